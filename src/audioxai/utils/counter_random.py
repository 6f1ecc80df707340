"""Random numbers that are a function of their purpose, their stream and their place in it: a counter-based generator.

Idea
----
Nothing is drawn one after the other, so numbers of many streams are made together, on the device where they are used,
and are the same on every device, in any batch and any order. The function is Philox 4×64 of ten rounds (Salmon et al.
2011, https://doi.org/10.1145/2063384.2063405): the key holds the purpose's seed and the stream, the counter the place.

Conventions
-----------
A stream's words are those that ``numpy.random.Philox(key=[seed, stream])`` gives, in their order. NumPy makes them
where they are for the CPU and streams are long, tensor operations elsewhere.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from audioxai.utils.seeding import content_keys, derived_seed

ROUNDS = 10
WORDS_PER_BLOCK = 4
# Words of a stream from which NumPy is faster than some four hundred small tensor operations for all streams together.
LONG_STREAM = 128
LOW_HALF = 2**32 - 1


class Streams:
    """Streams of random numbers for one purpose; results have a row for each stream.

    Parameters
    ----------
    purpose : tuple
        What the numbers are for, seed included (:func:`~audioxai.utils.seeding.derived_seed`).
    streams : sequence of int
        What tells the streams apart, in [0, 2**63): numbers of runs, or content keys of samples.
    device : torch.device
        Where the numbers are made.

    Examples
    --------
    >>> several = Streams(("example", 0), range(3), torch.device("cpu")).uniform(5)
    >>> alone = Streams(("example", 0), [1], torch.device("cpu")).uniform(2, first=3)
    >>> bool((several[1:2, 3:] == alone).all())
    True
    """

    def __init__(self, purpose: tuple[object, ...], streams: Sequence[int], device: torch.device) -> None:
        self._seed = derived_seed(*purpose)
        self._streams = streams
        self._device = device

    def __len__(self) -> int:
        return len(self._streams)

    def words(self, count: int, first: int = 0) -> Tensor:
        """Words of 64 random bits, ``(streams, count)``, int64, from place ``first`` on."""
        if self._device.type == "cpu" and count >= LONG_STREAM:
            return self._words_of_numpy(count, first)
        start, skipped = divmod(first, WORDS_PER_BLOCK)
        # NumPy counts before it makes a block, so its first one is that of 1.
        places = torch.arange(1 + start, 1 - (-(first + count) // WORDS_PER_BLOCK), device=self._device)
        counters = torch.zeros(len(self), len(places), WORDS_PER_BLOCK, dtype=torch.int64, device=self._device)
        counters[..., 0] = places
        seeds = [[self._seed, stream] for stream in self._streams]
        keys = torch.tensor(seeds, dtype=torch.int64, device=self._device).reshape(-1, 1, 2)
        return philox(counters, keys).flatten(1)[:, skipped : skipped + count]

    def uniform(self, count: int, first: int = 0) -> Tensor:
        """Uniform in [0, 1), ``(streams, count)``, float64 of 53 random bits."""
        return _shifted(self.words(count, first), 11).double().mul_(2.0**-53)

    def normal(self, count: int) -> Tensor:
        """Standard normal, ``(streams, count)``, float32, of magnitude below 6.8.

        By Box & Muller in double precision, two from the halves of a word. Devices may differ in the last place of a
        logarithm, sine or cosine there; rounded to single precision, in about one of 10⁸ numbers.
        """
        words = self.words(-(-count // 2))
        radii = _shifted(words, 32).double().add_(0.5).mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
        angles = (words & LOW_HALF).double().mul_(2.0 * math.pi * 2.0**-32)
        both = torch.stack([angles.cos().mul_(radii), angles.sin_().mul_(radii)], -1)
        return both.flatten(1)[:, :count].float()

    def integers(self, below: int, count: int) -> Tensor:
        """Whole numbers in [0, ``below``), ``(streams, count)``, int64."""
        return self.uniform(count).mul_(below).long()

    def orders(self, count: int) -> Tensor:
        """Random orders of ``range(count)``, ``(streams, count)``, int64."""
        return self._sort_keys(count).argsort(1)

    def subsets(self, count: int, chosen: int) -> Tensor:
        """Random subsets of ``chosen`` among ``count``, bool ``(streams, count)``, True where chosen."""
        keys = self._sort_keys(count)
        largest: Tensor = keys.kthvalue(chosen, dim=1, keepdim=True).values
        return keys <= largest

    def _sort_keys(self, count: int) -> Tensor:
        """Random numbers ``(streams, count)`` of which no two of a row are equal: the last bits are the place."""
        last_bits = 2 ** max(count - 1, 0).bit_length() - 1
        places = torch.arange(count, device=self._device)
        return self.words(count).bitwise_and_(~last_bits).bitwise_or_(places)

    def _words_of_numpy(self, count: int, first: int) -> Tensor:
        start, skipped = divmod(first, WORDS_PER_BLOCK)
        words = np.empty((len(self), skipped + count), dtype=np.uint64)
        for row, stream in zip(words, self._streams, strict=True):
            key = np.array([self._seed, stream], dtype=np.uint64)
            row[:] = np.random.Philox(counter=start, key=key).random_raw(len(row))
        return torch.from_numpy(words.view(np.int64)[:, skipped:])


def normal_like(inputs: Tensor, *purpose: object) -> Tensor:
    """Standard normal numbers shaped like ``inputs``, float32, by each sample's values and the purpose."""
    streams = Streams(purpose, content_keys(inputs), inputs.device)
    numbers: Tensor = streams.normal(inputs[0].numel()).reshape(inputs.shape)
    return numbers


def philox(counters: Tensor, keys: Tensor) -> Tensor:
    """Philox 4×64-10 of counters ``(…, 4)`` and keys ``(…, 2)``, int64 that stand for unsigned words; ``(…, 4)``."""
    factors = _words(0xD2E7470EE14C6C93, 0xCA5A826395121157).to(counters.device)
    steps = _words(0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B).to(counters.device)
    multiplied, added = counters[..., 0::2], counters[..., 1::2]
    for number in range(ROUNDS):
        high, low = _products(multiplied, factors)
        multiplied, added = high.flip(-1) ^ added ^ (keys + number * steps), low.flip(-1)
    return torch.stack([multiplied, added], -1).flatten(-2)


def _products(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Higher and lower word of the products of two words: the schoolbook way, with halves of words as digits."""
    first_high, first_low = _shifted(first, 32), first & LOW_HALF
    second_high, second_low = _shifted(second, 32), second & LOW_HALF
    middle = first_high * second_low + _shifted(first_low * second_low, 32)
    other = first_low * second_high + (middle & LOW_HALF)
    return first_high * second_high + _shifted(middle, 32) + _shifted(other, 32), first * second


def _shifted(words: Tensor, places: int) -> Tensor:
    """Words shifted to the right, zeros coming in from the left."""
    shifted: Tensor = (words >> places) & (2 ** (64 - places) - 1)
    return shifted


def _words(*values: int) -> Tensor:
    """Unsigned words as the signed ones of the same bits."""
    return torch.tensor([value - 2**64 if value >> 63 else value for value in values])
