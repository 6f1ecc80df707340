"""Where and how computations run: device, threads, memory, batches."""

import ctypes
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from audioxai.utils.errors import UserError

# PyTorch is loaded when a device is needed, so that command lines can describe themselves without it.
if TYPE_CHECKING:
    import torch

# Features (numbers in the inputs) that one model call takes at once. On a CPU a call should stay in the cache: of the
# small CNN's forward passes on 128 × 128 inputs, those in calls of 16 took 0.8 ms each, in calls of 128 1.1 ms.
CELLS_PER_CALL_CPU = 2**18
# On a GPU a call should fill the chip, as a thousand 64 × 64 inputs do, and leave room for others: counted from
# the layers, AlexNet and the small CNN keep 1.0 to 1.3 MB of activations for the gradient of such an input and 0.6 MB
# more come and go, so a call takes about 2 GB and a dozen processes share a card of 80 GB; at 2**24 they would not.
CELLS_PER_CALL_CUDA = 2**22


def select_device(name: str = "auto") -> "torch.device":
    """Device by name; ``auto`` is CUDA where present, else the CPU. CUDA is set to compute as exactly as a CPU does.

    Raises
    ------
    UserError
        If the name is not a device or the device is not there.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device is 'cuda' but PyTorch sees no CUDA device here; choose cpu or auto")
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        _compute_exactly()
    return device


def _compute_exactly() -> None:
    """Convolutions and products in single precision, by algorithms that give the same bits in every run.

    By default cuDNN rounds what it convolves to the 10 bits of TF32, which moves logits by a thousandth: more than the
    completeness gaps that are reported, and more than the differences of close probabilities.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def finish(device: "torch.device") -> None:
    """Wait for what is queued on a device, so that a clock read afterwards shows what it took."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next call instead of returning them to the kernel.

    Every call of a convolution frees and asks again for the same tens of megabytes; the page faults that follow took
    more than half of the time of 128 × 128 calls. No effect where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_maximum = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    mallopt(mmap_maximum, 0)
    mallopt(trim_threshold, 2**31 - 1)


def inputs_per_call(features: int, device: "torch.device") -> int:
    """How many inputs of ``features`` features each one model call should take, at least 1."""
    budget = CELLS_PER_CALL_CUDA if device.type == "cuda" else CELLS_PER_CALL_CPU
    return max(1, budget // max(1, features))


def slices(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` that cover ``range(count)``."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))
