"""Bands of equal width on the ERB-rate scale, each of them a waveform."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from audioxai.domains.amplitudes import Amplitudes
from audioxai.domains.protocol import Axis, require_waveforms
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class ErbBands(Amplitudes):
    """Waveform split into bands that add up to it, ``(batch, 1, bands, time)`` in about [−1, 1].

    Attributes
    ----------
    sample_rate_hz, duration_s
        Sample rate of the waveforms in Hz, and their length in seconds.
    bands : int
        Bands, their centres evenly spaced on the ERB-rate scale from 0 Hz to half the sample rate.

    Notes
    -----
    Zero-phase filters, cos² on the ERB-rate scale between neighbouring centres, so that they add up to 1 at every
    frequency (Glasberg & Moore 1990 for the scale). Clips are padded with as many zeros, so that nothing wraps around.
    """

    bands: int = 32

    name: ClassVar[str] = "erb_bands"

    def __post_init__(self) -> None:
        if self.bands < 2:
            raise UserError(f"bands is {self.bands}; a waveform is split into at least 2")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bands, time)``, time in samples."""
        return (self.bands, self.samples)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` in [−1, 1] → ``(batch, 1, bands, time)``, differentiable.

        Raises
        ------
        UserError
            If the waveforms have another shape or length.
        """
        require_waveforms(recorded, self.samples)
        filters = _erb_constants(self, recorded.device, recorded.dtype)
        spectrum = torch.fft.rfft(recorded, n=2 * self.samples)
        filtered: Tensor = torch.fft.irfft(spectrum[:, :, None] * filters, n=2 * self.samples)
        return filtered[..., : self.samples]

    def synthesis(self, values: Tensor) -> Tensor:
        """``(batch, 1, bands, time)`` → waveforms ``(batch, 1, time)``: the sum of the bands."""
        return values.sum(2)

    def axes(self) -> tuple[Axis, ...]:
        """Band centres in Hz and time in seconds."""
        times = np.arange(self.samples) / self.sample_rate_hz
        return (
            Axis("frequency", "Hz", tuple(erb_rate_to_hz(self._centres).tolist())),
            Axis("time", "s", tuple(times.tolist())),
        )

    @property
    def _centres(self) -> np.ndarray:
        """Band centres on the ERB-rate scale."""
        return np.linspace(0.0, float(erb_rate(np.array(self.sample_rate_hz / 2.0))), self.bands)


def erb_rate(hz: np.ndarray) -> np.ndarray:
    """Number of equivalent rectangular bandwidths below a frequency, 21.4 log₁₀(1 + 0.00437 f)."""
    return cast(np.ndarray, 21.4 * np.log10(1.0 + 0.00437 * hz))


def erb_rate_to_hz(rate: np.ndarray) -> np.ndarray:
    """Inverse of :func:`erb_rate`."""
    return cast(np.ndarray, (10.0 ** (rate / 21.4) - 1.0) / 0.00437)


@lru_cache(maxsize=8)
def _erb_constants(domain: ErbBands, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Gains ``(bands, samples + 1)`` of the filters at the bins of the padded clip's spectrum, made once."""
    rates = erb_rate(np.arange(domain.samples + 1) * domain.sample_rate_hz / (2 * domain.samples))
    centres = domain._centres
    distance = np.abs(rates - centres[:, None]) / (centres[1] - centres[0])
    gains = np.cos(np.pi / 2.0 * np.minimum(distance, 1.0)) ** 2
    # These are cached, and tensors made in inference mode cannot be used with autograd.
    with torch.inference_mode(mode=False):
        return torch.from_numpy(gains).to(device=device, dtype=dtype)
