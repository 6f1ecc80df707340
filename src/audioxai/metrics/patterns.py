"""Random patterns for perturbations: one per run, shifted cyclically by an offset of each sample's own."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from audioxai.metrics.batch import Batch
from audioxai.utils.counter_random import Streams
from audioxai.utils.windows import windows_at

# Features of the patterns that are drawn together, and how often as many are kept until they are needed again.
FEATURES_AT_ONCE = 2**20
KEPT = 4


class Patterns:
    """Random patterns, one per run, which each sample gets cyclically shifted by an offset of its own.

    Patterns of neighbouring runs are drawn together, on the samples' device, and the latest are kept. Each is a
    function of the purpose, the shape and its run, so they are the same in any batch. Without the offsets all samples
    would share the chance of one draw, and intervals over samples would be too narrow.

    Parameters
    ----------
    batch : Batch
        The samples; an offset is a function of the sample's values and of ``purpose`` alone.
    purpose : tuple
        What the patterns are for, seed included.
    runs : int
        How many there are; a pattern does not depend on it.
    draw : callable
        ``draw(streams)`` → patterns ``(streams, channels, …)`` of the inputs' spatial shape.
    first : int
        Number of the first of them, which is run 0 here.

    Attributes
    ----------
    offsets : Tensor
        Shift of each sample, in features along each axis, ``(batch, axes)``.
    """

    def __init__(
        self, batch: Batch, purpose: tuple[object, ...], runs: int, draw: Callable[[Streams], Tensor], first: int = 0
    ) -> None:
        self._shape, self._device = tuple(batch.inputs.shape[2:]), batch.inputs.device
        self._purpose, self._runs, self._first, self._draw = purpose, runs, first, draw
        sizes = torch.tensor(self._shape, device=self._device)
        self.offsets = (Streams(purpose, batch.keys, self._device).uniform(len(sizes)) * sizes).long()
        self._at_once = max(1, min(runs, FEATURES_AT_ONCE // math.prod(self._shape)))
        self._kept: dict[int, Tensor] = {}

    def __call__(self, samples: Tensor, runs: Tensor) -> Tensor:
        """Pattern ``(pairs, channels, …)`` of each pair; ``samples`` and ``runs`` are ``(pairs,)``, runs ascending."""
        starts = [-shifts[samples] % size for shifts, size in zip(self.offsets.unbind(1), self._shape, strict=True)]
        # Where all patterns are drawn together the device need not be asked which runs it has come to.
        ends = (0, 0) if self._at_once == self._runs else runs[[0, -1]].tolist()
        first, last = (run // self._at_once for run in ends)
        if first == last:
            return self._shifted(first, runs, starts)
        parts = []
        for number in range(first, last + 1):
            here = runs // self._at_once == number
            parts.append(self._shifted(number, runs[here], [each[here] for each in starts]))
        return torch.cat(parts)

    def sums(self, values: Tensor) -> Tensor:
        """Sum over the features of pattern × value, ``(batch, runs)``, float64, for values shaped like the patterns."""
        # Moving the values back is moving the patterns forth, and leaves one product for the whole batch.
        everyone = torch.arange(len(values), device=values.device)
        back = windows_at(_doubled(values.double()), everyone, self.offsets.unbind(1), self._shape).flatten(1)
        chunks = (self._plain(number) for number in range(-(-self._runs // self._at_once)))
        return torch.cat([back @ chunk.flatten(1).double().T for chunk in chunks], dim=1)

    def drawn(self, run: int) -> Tensor:
        """The run's pattern ``(channels, …)``, before the samples' shifts."""
        number, place = divmod(run, self._at_once)
        return self._plain(number)[place]

    def _shifted(self, number: int, runs: Tensor, starts: Sequence[Tensor]) -> Tensor:
        """Patterns of these runs, which are drawn together as this number, cut out at these starts."""
        return windows_at(self._doubled(number), runs - number * self._at_once, starts, self._shape)

    def _plain(self, number: int) -> Tensor:
        """Patterns ``(runs, channels, …)`` of the runs that are drawn together as this number."""
        patterns = self._doubled(number)
        for axis, size in enumerate(self._shape, start=2):
            patterns = patterns.narrow(axis, 0, size)
        return patterns

    def _doubled(self, number: int) -> Tensor:
        if number not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            runs = range(number * self._at_once, min((number + 1) * self._at_once, self._runs))
            numbers = [self._first + run for run in runs]
            drawn = self._draw(Streams((*self._purpose, self._shape), numbers, self._device))
            self._kept[number] = _doubled(drawn)
        return self._kept[number]


def _doubled(maps: Tensor) -> Tensor:
    """Maps ``(n, channels, …)`` repeated once along every axis, so that a window of them is a cyclic shift."""
    return maps.repeat(1, 1, *[2] * (maps.ndim - 2))
