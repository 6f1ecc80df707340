"""Random patterns for perturbations: one a run, met by every sample in a place of its own."""

from collections.abc import Callable

import torch
from torch import Tensor

from audio_xai.utils.hardware import slices
from audio_xai.utils.seeding import content_keys, generator

RUNS_AT_ONCE = 64


class Patterns:
    """Random patterns, one a run, that every sample meets cyclically shifted by an offset of its own.

    A pattern is drawn when its run comes and forgotten after it. That is cheap, the same in any batch, and yet the
    chance of one draw is not shared by all samples, which would make intervals over samples too narrow.

    Parameters
    ----------
    inputs : Tensor
        The samples ``(batch, 1, …)``; an offset is a function of the sample's values and of ``purpose`` alone.
    purpose : tuple
        What the patterns are for, seed included.
    draw : callable
        ``draw(generator)`` → pattern ``(1, …)`` of the inputs' spatial shape.

    Attributes
    ----------
    offsets : list of tuple of int
        Every sample's shift, in cells along each axis.
    """

    def __init__(self, inputs: Tensor, purpose: tuple[object, ...], draw: Callable[[torch.Generator], Tensor]) -> None:
        self._shape, self._device = tuple(inputs.shape[2:]), inputs.device
        self._purpose = purpose
        self.offsets = [self._offset(key) for key in content_keys(inputs)]
        starts = [
            [(size - shift) % size for size, shift in zip(self._shape, offset, strict=True)] for offset in self.offsets
        ]
        self._starts = torch.tensor(starts, device=inputs.device).unbind(1)
        self._draw = draw
        self._last: tuple[int, Tensor] = (-1, torch.empty(0))

    def __call__(self, samples: Tensor, runs: Tensor) -> Tensor:
        """Pattern ``(pairs, 1, …)`` of every pair; ``samples`` and ``runs`` are ``(pairs,)``, runs ascending."""
        met, counts = torch.unique_consecutive(runs, return_counts=True)
        parts = torch.split(samples, counts.tolist())
        windows = [self._windows(run)[self._places(part)] for run, part in zip(met.tolist(), parts, strict=True)]
        # Channels first until here.
        return (torch.cat(windows, dim=1) if len(windows) > 1 else windows[0]).transpose(0, 1)

    def sums(self, values: Tensor, runs: int) -> Tensor:
        """Sum over the cells of pattern × value, ``(batch, runs)``, float64, for values ``(batch, 1, …)``."""
        axes = tuple(range(1, values.ndim - 1))
        # Moving the values back is moving the patterns forth, and leaves one product for the whole batch.
        back = torch.stack(
            [
                sample.roll(tuple(-shift for shift in offset), axes)
                for sample, offset in zip(values.double(), self.offsets, strict=True)
            ]
        ).flatten(1)
        parts = []
        for chunk in slices(runs, RUNS_AT_ONCE):
            drawn = torch.stack([self.drawn(run) for run in range(chunk.start, chunk.stop)])
            parts.append(back @ drawn.flatten(1).double().T)
        return torch.cat(parts, dim=1)

    def drawn(self, run: int) -> Tensor:
        """The run's pattern ``(1, …)``, before any sample's own shift."""
        return self._draw(generator(*self._purpose, self._shape, run)).to(self._device)

    def _offset(self, key: int) -> tuple[int, ...]:
        random = generator(*self._purpose, key)
        return tuple(int(torch.randint(size, (1,), generator=random)) for size in self._shape)

    def _places(self, samples: Tensor) -> tuple[slice | Tensor, ...]:
        """Where in :meth:`_windows` these samples' own shifts are."""
        return (slice(None), *(starts[samples] for starts in self._starts))

    def _windows(self, run: int) -> Tensor:
        """Every cyclic shift of the run's pattern: a view ``(1, starts…, …)`` of it, twice along each axis."""
        if self._last[0] != run:
            views = self.drawn(run).repeat(1, *[2] * len(self._shape))
            for axis, size in enumerate(self._shape, start=1):
                views = views.unfold(axis, size, 1)
            self._last = (run, views)
        return self._last[1]
