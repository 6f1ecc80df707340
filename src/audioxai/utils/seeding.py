"""Random numbers that depend on what they are for, never on when or in which batch they are drawn."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(*parts: object) -> int:
    """Seed in [0, 2**63) that is a pure function of ``parts`` (their ``repr``), the same on every platform."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*parts: object) -> "torch.Generator":
    """CPU generator seeded by :func:`derived_seed`; draws are made on the CPU so that every device sees the same."""
    import torch

    return torch.Generator().manual_seed(derived_seed(*parts))


def content_key(sample: "torch.Tensor") -> int:
    """Number in [0, 2**63) that depends on a tensor's values alone.

    What is random in one sample's score is drawn by its key, so the score does not depend on the batch the sample came
    in, and different samples still meet different randomness.
    """
    return content_keys(sample[None])[0]


def content_keys(samples: "torch.Tensor") -> list[int]:
    """:func:`content_key` of every sample of a batch, which leaves its device once and not sample by sample."""
    import torch

    numbers = samples.detach().cpu().contiguous()
    # NumPy has no bfloat16; the bits are what counts.
    rows = (numbers.view(torch.int16) if numbers.dtype == torch.bfloat16 else numbers).numpy()
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return [int.from_bytes(digest, "little") >> 1 for digest in digests]
