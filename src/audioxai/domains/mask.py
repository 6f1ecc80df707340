"""Masks over time and bands of a recording: the domain in which every model of sounds can be explained.

Idea
----
A mask says how much of the recording is there in each cell of time and frequency. With a removal r (silence, noise),
the sound that a mask M leaves is

    x(M) = r + S(M ⊙ Z(x − r)),

Z the short-time Fourier transform, S its inverse, and M spread over the transform's bins by weights that add up to 1 in
each: the recording where all cells are 1, the removal where all are 0. What a model's own features are does not matter.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.domains.erb import erb_rate, erb_rate_to_hz
from audioxai.domains.log_mel import mel_band_edges_hz
from audioxai.domains.protocol import Axis
from audioxai.domains.stft import Stft
from audioxai.utils.errors import UserError

Scale = Literal["mel", "erb"]
# Bands by default; on the ERB-rate scale more would be narrower than the bins at low frequencies.
BANDS: dict[Scale, int] = {"mel": 64, "erb": 32}
FRAME_S = 0.016
# Longer recordings than 10 s have longer frames.
MOST_FRAMES = 640
WINDOW_S = 0.032


@dataclass(frozen=True)
class Mask:
    """Cells of time and frequency of a recording, ``(batch, 1, bands, frames)``; :meth:`of` chooses their number.

    Attributes
    ----------
    sample_rate_hz, duration_s
        Sample rate of the waveforms in Hz, and their length in seconds.
    bands, frames : int
        Rows and columns.
    scale : {"mel", "erb"}
        Scale on which the bands' centres are evenly spaced.
    window_s : float
        Window of the transform whose bins the cells share.
    floor_db : float
        Smallest level of a cell, which is also that of silence.

    Raises
    ------
    UserError
        If the clips are shorter than a window, or a band is so narrow that no bin of the transform belongs to it.

    Notes
    -----
    A bin's weights are those of linear interpolation between the centres of bands and frames, so they add up to 1;
    bands by mel weigh as those of :class:`~audioxai.domains.LogMel` do. ``analysis`` is the level of the recording in
    each cell: the power of its bins by the same weights, the sum over a band and the mean over a frame.

    Examples
    --------
    >>> domain = Mask.of(16_000, 1.0)
    >>> domain.shape, tuple(domain.analysis(torch.zeros(1, 1, 16_000)).shape)
    ((64, 64), (1, 1, 64, 64))
    """

    sample_rate_hz: int
    duration_s: float
    bands: int
    frames: int
    scale: Scale = "mel"
    window_s: float = WINDOW_S
    floor_db: float = -80.0

    name: ClassVar[str] = "mask"
    unit: ClassVar[str] = "dB re. full-scale sine"

    def __post_init__(self) -> None:
        if self.scale not in get_args(Scale):
            raise UserError(f"scale is {self.scale!r}; choose {' or '.join(get_args(Scale))}")
        if self.frames < 2 or self.bands < 2:
            raise UserError(f"bands is {self.bands} and frames is {self.frames}; a mask needs at least 2 of each")
        across, along = _shares(self)
        for what, shares, remedy in (("bands", across, "bands or a longer window"), ("frames", along, "frames")):
            if empty := _empty(shares):
                raise UserError(
                    f"{empty} of {len(shares)} {what} contain no bin of a spectrogram with windows of "
                    f"{self.window_s:g} s at {self.sample_rate_hz} Hz; ask for fewer {remedy}"
                )

    @classmethod
    def of(
        cls,
        sample_rate_hz: int,
        duration_s: float,
        *,
        scale: Scale = "mel",
        bands: int | None = None,
        frames: int | None = None,
    ) -> "Mask":
        """Cells for clips of this rate and length: 64 mel or 32 ERB bands, a frame every 16 ms, at most 640.

        Windows are shorter for clips shorter than two of them, and bands fewer where some would hold no bin.
        """
        window_s = min(WINDOW_S, duration_s / 2.0)
        if bands is None:
            bins_hz = Stft(sample_rate_hz, duration_s, window_s).axes()[0].coordinates
            counts = range(BANDS.get(scale, 2), 1, -1)
            full = (n for n in counts if not _empty(interpolation(centres_hz(scale, n, sample_rate_hz), bins_hz)))
            bands = next(full, 2)
        if frames is None:
            frames = min(MOST_FRAMES, 1 + math.ceil(duration_s / FRAME_S))
        return cls(sample_rate_hz, duration_s, bands, frames, scale, window_s)

    @property
    def stft(self) -> Stft:
        """Transform whose bins the cells share."""
        return Stft(self.sample_rate_hz, self.duration_s, self.window_s)

    @property
    def samples(self) -> int:
        """Length of a waveform in samples."""
        return self.stft.samples

    @property
    def silence_value(self) -> float:
        """The floor."""
        return self.floor_db

    @property
    def value_range(self) -> tuple[float, float]:
        """From the floor to a full-scale sine."""
        return (self.floor_db, 0.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bands, frames)``."""
        return (self.bands, self.frames)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` in [−1, 1] → level of every cell in dB, ``(batch, 1, bands, frames)``.

        Raises
        ------
        UserError
            If the waveforms have another shape or length.
        """
        power = self.stft.analysis(recorded).abs().square()
        across, along = (torch.from_numpy(shares).to(power) for shares in _shares(self))
        mean = across @ power @ (along / along.sum(1, keepdim=True)).T
        return 10.0 * mean.clamp_min(10.0 ** (self.floor_db / 10.0)).log10()

    def axes(self) -> tuple[Axis, ...]:
        """Band centres in Hz and frame centres in seconds."""
        times = np.linspace(0.0, self.duration_s, self.frames)
        return (
            Axis("frequency", "Hz", centres_hz(self.scale, self.bands, self.sample_rate_hz)),
            Axis("time", "s", tuple(times.tolist())),
        )


@dataclass(frozen=True)
class MaskValues:
    """The mask's own values as features: 0 where the sound is removed, 1 where it is there, as in the recording.

    Attributes
    ----------
    cells : Mask
        What the values belong to.
    """

    cells: Mask

    name: ClassVar[str] = "mask"
    unit: ClassVar[str] = "share of the sound"

    @property
    def silence_value(self) -> float:
        """Nothing of the recording."""
        return 0.0

    @property
    def value_range(self) -> tuple[float, float]:
        """Nothing to all."""
        return (0.0, 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bands, frames)``."""
        return self.cells.shape

    def analysis(self, recorded: Tensor) -> Tensor:
        """Ones: everything is there, ``(batch, 1, bands, frames)``."""
        return recorded.new_ones(len(recorded), 1, *self.shape)

    def axes(self) -> tuple[Axis, ...]:
        """Those of the cells."""
        return self.cells.axes()


def centres_hz(scale: Scale, bands: int, sample_rate_hz: int) -> tuple[float, ...]:
    """Centres of bands, evenly spaced on a scale."""
    if scale == "mel":
        return tuple(mel_band_edges_hz(bands, sample_rate_hz)[1:-1].tolist())
    top = float(erb_rate(np.array(sample_rate_hz / 2.0)))
    return tuple(erb_rate_to_hz(np.linspace(0.0, top, bands)).tolist())


def interpolation(known: tuple[float, ...], target: tuple[float, ...]) -> NDArray[np.float64]:
    """Weights of linear interpolation, ``(known, target)``, that add up to 1 for each target; constant outside."""
    return np.stack([np.interp(target, known, unit) for unit in np.eye(len(known))])


@lru_cache(maxsize=8)
def _shares(domain: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of every band in every bin ``(bands, bins)``, and of every frame in the transform's ``(frames, …)``."""
    across, along = (
        interpolation(own.coordinates, bins.coordinates)
        for own, bins in zip(domain.axes(), domain.stft.axes(), strict=True)
    )
    return across, along


def _empty(shares: NDArray[np.float64]) -> int:
    """Rows without any weight."""
    return int((shares.max(axis=1) == 0.0).sum())
