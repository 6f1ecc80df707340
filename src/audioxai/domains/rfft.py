"""The real Fourier transform of a whole clip."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from audioxai.domains.amplitudes import Amplitudes
from audioxai.domains.protocol import Axis, require_waveforms
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Rfft(Amplitudes):
    """Real Fourier transform of a clip, complex ``(batch, 1, bins)``; a full-scale sine has magnitude 1 in its bin.

    Attributes
    ----------
    sample_rate_hz, duration_s
        Sample rate of the waveforms in Hz, and their length in seconds.

    Examples
    --------
    >>> domain = Rfft(8_000, 1.0)
    >>> domain.shape, tuple(domain.analysis(torch.zeros(1, 1, 8_000)).shape)
    ((4001,), (1, 1, 4001))
    """

    name: ClassVar[str] = "rfft"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bins,)``, from 0 to half the sample rate."""
        return (self.samples // 2 + 1,)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` in [−1, 1] → complex ``(batch, 1, bins)``, differentiable.

        Raises
        ------
        UserError
            If the waveforms have another shape or length.
        """
        require_waveforms(recorded, self.samples)
        spectrum: Tensor = torch.fft.rfft(recorded) * (2.0 / self.samples)
        return spectrum

    def synthesis(self, values: Tensor) -> Tensor:
        """Complex ``(batch, 1, bins)`` → waveforms ``(batch, 1, time)``, linear and differentiable.

        Raises
        ------
        UserError
            If the values have another shape.
        """
        if values.ndim != 3 or tuple(values.shape[1:]) != (1, *self.shape):
            raise UserError(
                f"values have shape {tuple(values.shape)} but this domain's are (batch, 1, *{self.shape}); "
                "make them by its analysis"
            )
        waveforms: Tensor = torch.fft.irfft(values, n=self.samples) * (self.samples / 2.0)
        return waveforms

    def axes(self) -> tuple[Axis, ...]:
        """Bin frequencies in Hz."""
        frequencies = np.arange(self.shape[0]) * self.sample_rate_hz / self.samples
        return (Axis("frequency", "Hz", tuple(frequencies.tolist())),)
