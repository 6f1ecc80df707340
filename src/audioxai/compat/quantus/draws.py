"""Explanations made again, draw by draw, as the reference makes them: the whole batch at once."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.compat.quantus.reference import as_sent

Drawing = Callable[[np.random.RandomState, tuple[int, ...]], NDArray[np.float64]]


class NoisyDraws:
    """Inputs plus the reference's noise, of which only the latest draw is held.

    Parameters
    ----------
    inputs : Tensor
        ``(batch, 1, …)``.
    seed : int
        Of NumPy's generator.
    draw : callable
        ``draw(random, shape)``, the noise ``(batch, features)`` of one draw.
    """

    def __init__(self, inputs: Tensor, seed: int, draw: Drawing) -> None:
        self._inputs = inputs
        self._random = np.random.RandomState(seed)
        self._draw = draw
        self._drawn = -1
        self._noise = inputs

    def __call__(self, samples: Tensor, draws: Tensor) -> Tensor:
        """Noisy inputs ``(pairs, 1, …)``, draws ascending from call to call."""
        met, counts = torch.unique_consecutive(draws, return_counts=True)
        parts = zip(met.tolist(), torch.split(samples, counts.tolist()), strict=True)
        return torch.cat([self._noisy(draw, part) for draw, part in parts])

    def _noisy(self, draw: int, samples: Tensor) -> Tensor:
        while self._drawn < draw:
            noise = self._draw(self._random, (len(self._inputs), self._inputs[0].numel()))
            self._noise = torch.from_numpy(noise).to(self._inputs.device).reshape(self._inputs.shape)
            self._drawn += 1
        return as_sent(self._inputs[samples] + self._noise[samples]).to(self._inputs.dtype)


class WholeDraws:
    """Gathers the explanations of one draw until they are those of the whole batch, by which the reference divides.

    Parameters
    ----------
    inputs : Tensor
        ``(batch, 1, …)``.
    finish : callable
        ``finish(draw, maps)`` with ``maps`` shaped like the inputs, which are overwritten afterwards.
    """

    def __init__(self, inputs: Tensor, finish: Callable[[int, Tensor], None]) -> None:
        self._maps = torch.empty_like(inputs)
        self._finish = finish

    def __call__(self, samples: Tensor, draws: Tensor, maps: Tensor) -> None:
        """Take the explanations of these pairs, draws and then samples ascending."""
        met, counts = torch.unique_consecutive(draws, return_counts=True)
        sizes = counts.tolist()
        parts = zip(met.tolist(), torch.split(samples, sizes), torch.split(maps, sizes), strict=True)
        for draw, part, explained in parts:
            self._maps[part] = explained
            if int(part[-1]) == len(self._maps) - 1:
                self._finish(draw, self._maps)
