"""Random patterns for perturbations: one per run, shifted cyclically by an offset of each sample's own."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from audioxai.utils.hardware import slices
from audioxai.utils.seeding import content_keys, generator

RUNS_AT_ONCE = 64


class Patterns:
    """Random patterns, one per run, which each sample gets cyclically shifted by an offset of its own.

    A pattern is drawn when its run comes and dropped after it, which is cheap and the same in any batch. Without the
    offsets all samples would share the chance of one draw, and intervals over samples would be too narrow.

    Parameters
    ----------
    inputs : Tensor
        The samples ``(batch, 1, …)``; an offset is a function of the sample's values and of ``purpose`` alone.
    purpose : tuple
        What the patterns are for, seed included.
    draw : callable
        ``draw(generator)`` → pattern ``(channels, …)`` of the inputs' spatial shape, on the CPU.

    Attributes
    ----------
    offsets : list of tuple of int
        Shift of each sample, in features along each axis.
    """

    def __init__(self, inputs: Tensor, purpose: tuple[object, ...], draw: Callable[[torch.Generator], Tensor]) -> None:
        self._shape, self._device = tuple(inputs.shape[2:]), inputs.device
        self._purpose = purpose
        self.offsets = [self._offset(key) for key in content_keys(inputs)]
        self._shifts = torch.tensor(self.offsets, device=inputs.device).unbind(1)
        self._draw = draw
        self._last: dict[int, Tensor] = {}

    def __call__(self, samples: Tensor, runs: Tensor) -> Tensor:
        """Pattern ``(pairs, channels, …)`` of each pair; ``samples`` and ``runs`` are ``(pairs,)``, runs ascending."""
        met, places = torch.unique_consecutive(runs, return_inverse=True)
        # The next call often begins with the run that this one ends with.
        self._last = {run: self._last[run] if run in self._last else self.drawn(run) for run in met.tolist()}
        starts = [-shifts[samples] % size for shifts, size in zip(self._shifts, self._shape, strict=True)]
        return _at(_windows(self._together(self._last.values())), places, starts)

    def sums(self, values: Tensor, runs: int) -> Tensor:
        """Sum over the features of pattern × value, ``(batch, runs)``, float64, for values shaped like the patterns."""
        # Moving the values back is moving the patterns forth, and leaves one product for the whole batch.
        everyone = torch.arange(len(values), device=values.device)
        back = _at(_windows(values.double()), everyone, self._shifts).flatten(1)
        parts = []
        for chunk in slices(runs, RUNS_AT_ONCE):
            drawn = self._together(self.drawn(run) for run in range(chunk.start, chunk.stop))
            parts.append(back @ drawn.flatten(1).double().T)
        return torch.cat(parts, dim=1)

    def drawn(self, run: int) -> Tensor:
        """The run's pattern ``(channels, …)``, before the samples' shifts, on the CPU."""
        return self._draw(generator(*self._purpose, self._shape, run))

    def _together(self, patterns: Iterable[Tensor]) -> Tensor:
        """Patterns ``(runs, channels, …)`` on the samples' device, moved there together."""
        return torch.stack(list(patterns)).to(self._device)

    def _offset(self, key: int) -> tuple[int, ...]:
        random = generator(*self._purpose, key)
        return tuple(int(torch.randint(size, (1,), generator=random)) for size in self._shape)


def _windows(patterns: Tensor) -> Tensor:
    """Every cyclic shift of patterns ``(runs, channels, …)``, a view ``(runs, channels, starts…, …)``."""
    views = patterns.repeat(1, 1, *[2] * (patterns.ndim - 2))
    for axis, size in enumerate(patterns.shape[2:], start=2):
        views = views.unfold(axis, size, 1)
    return views


def _at(windows: Tensor, runs: Tensor, starts: Sequence[Tensor]) -> Tensor:
    """Windows, as :func:`_windows` gives them, at each pair's run and starts, ``(pairs, channels, …)``."""
    places: tuple[Tensor | slice, ...] = (runs, slice(None), *starts)
    return windows[places]
