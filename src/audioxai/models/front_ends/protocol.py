"""What all front ends share: three steps, and statistics of one clip that can be held."""

import copy
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.utils.errors import UserError

# Seed of everything that an extractor draws at random, so that every pass over a clip sees the same draw.
DRAW_SEED = 0


class ClipFrontEnd(nn.Module, ABC):
    """The layer that makes a model's inputs of waveforms, as its extractor does, in three steps.

    ``analysis`` takes every clip by itself; ``statistics`` are numbers of the whole clip, such as its mean or maximum;
    ``inputs`` applies them. :meth:`frozen` holds the statistics of one clip, so that no part of a clip changes what the
    model is given of another part.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of the waveforms.
    shortest_samples : int
        Fewest samples of a clip.
    longest_samples : int, optional
        Samples beyond which the extractor drops or picks parts of the clip; None where it takes all.
    """

    def __init__(self, sample_rate_hz: int, shortest_samples: int = 1, longest_samples: int | None = None) -> None:
        super().__init__()
        self.sample_rate_hz = sample_rate_hz
        self.shortest_samples = shortest_samples
        self.longest_samples = longest_samples
        self.held: tuple[Tensor, ...] | None = None

    @abstractmethod
    def analysis(self, sounds: Tensor) -> Tensor:
        """Waveforms ``(batch, time)`` → features before the clip's statistics are applied."""

    def statistics(self, analysed: Tensor) -> tuple[Tensor, ...]:
        """Statistics of every clip, each ``(batch, …)`` and broadcastable to ``analysed``; none by default."""
        del analysed
        return ()

    @abstractmethod
    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Keyword arguments of the model, the features first."""

    @abstractmethod
    def padding_share(self, samples: int) -> float:
        """Share of the model's input that is padding for a clip of so many samples, in [0, 1)."""

    @property
    def longest_s(self) -> float | None:
        """``longest_samples`` in seconds."""
        return None if self.longest_samples is None else self.longest_samples / self.sample_rate_hz

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of an explanation must know of the front end, in sentences."""
        return ()

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Waveforms ``(batch, 1, time)`` → keyword arguments of the model, in the waveforms' precision.

        Raises
        ------
        UserError
            If the waveforms have another shape or are too short.
        """
        analysed = self.analysis(self._sounds(waveforms))
        held = self.held
        statistics = self.statistics(analysed) if held is None else tuple(value.to(analysed) for value in held)
        return {
            name: value.to(waveforms.dtype) if value.is_floating_point() else value
            for name, value in self.inputs(analysed, statistics).items()
        }

    def frozen(self, clip: Tensor) -> "ClipFrontEnd":
        """The same layer with the statistics of ``clip`` ``(1, 1, time)`` held; at the clip both are equal."""
        twin = copy.copy(self)
        with torch.inference_mode(mode=False), torch.no_grad():
            twin.held = self.statistics(self.analysis(self._sounds(clip.detach().clone())))
        return twin

    def _sounds(self, waveforms: Tensor) -> Tensor:
        if waveforms.ndim != 3 or waveforms.shape[1] != 1:
            raise UserError(f"waveforms have shape {tuple(waveforms.shape)}; give (batch, 1, time)")
        samples = waveforms.shape[-1]
        if samples < self.shortest_samples:
            raise UserError(
                f"the clip has {samples} samples but the model's extractor needs at least {self.shortest_samples} "
                f"({self.shortest_samples / self.sample_rate_hz:g} s at {self.sample_rate_hz} Hz); give a longer clip"
            )
        return waveforms[:, 0]


class Constants:
    """Arrays that a front end computes with, in double precision, converted once for each precision and device.

    They are no buffers: the digest of a model is that of its weights, and a model in single precision must not round
    what double precision may need later.
    """

    def __init__(self, *arrays: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
        with torch.inference_mode(mode=False):
            self._exact = tuple(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)) for array in arrays)
        self._converted: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    def like(self, sounds: Tensor) -> tuple[Tensor, ...]:
        """The arrays in the precision and on the device of ``sounds``."""
        key = (sounds.dtype, sounds.device)
        if key not in self._converted:
            with torch.inference_mode(mode=False):
                self._converted[key] = tuple(array.to(sounds.device, sounds.dtype) for array in self._exact)
        return self._converted[key]


def power_of(spectrum: Tensor) -> Tensor:
    """Squared magnitude without a square root, whose gradient is not finite at silence."""
    return spectrum.real.square() + spectrum.imag.square()
