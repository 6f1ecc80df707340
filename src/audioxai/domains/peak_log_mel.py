"""Mel spectrograms in dB below each clip's own maximum, as many published models take them."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from audioxai.domains.log_mel import LogMel


@dataclass(frozen=True)
class PeakLogMel(LogMel):
    """Mel power spectrogram in dB below its own largest value, ``(batch, 1, bands, frames)`` in [floor_db, 0].

    The reference that toolkits call ``ref=max``. A level says nothing about how loud a clip is, and 0 dB is the
    loudest feature of *every* clip. :class:`LogMel`, with one reference for all clips, is what this project uses; this
    domain is for models that were trained otherwise.

    Attributes
    ----------
    sample_rate_hz, duration_s, bands, frames, window_s, floor_db
        As of :class:`LogMel`; the floor is relative to the clip's maximum.
    padding_db : float
        Level of frames that hold nothing but zeros, which is padding: the floor, or 0 where spectrograms were padded
        after they had been turned into decibels.

    Examples
    --------
    >>> import torch
    >>> domain = PeakLogMel(8_000, 0.25, bands=16, frames=12, padding_db=0.0)
    >>> noise = 0.1 * torch.randn(1, 1, 2_000, generator=torch.Generator().manual_seed(0))
    >>> quieter = domain.analysis(0.01 * noise)
    >>> torch.allclose(domain.analysis(noise), quieter, atol=1e-3), float(quieter.max())
    (True, 0.0)
    """

    padding_db: float = -80.0

    name: ClassVar[str] = "peak_log_mel"
    unit: ClassVar[str] = "dB re. the clip's maximum"

    @property
    def silence_value(self) -> float:
        """The floor, the quietest level that there is; a recording of zeros alone is padding."""
        return self.floor_db

    def analysis(self, recorded: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` in [−1, 1] → ``(batch, 1, bands, frames)`` in dB, differentiable.

        Raises
        ------
        UserError
            If the waveforms have another shape or length.
        """
        # Low enough that no clip above 16 bits' rounding meets its floor.
        levels = self._absolute.analysis(recorded)
        relative = (levels - levels.amax((1, 2, 3), keepdim=True)).clamp_min(self.floor_db)
        return relative.where(self._sounding(recorded)[:, None, None], self.padding_db)

    @property
    def _absolute(self) -> LogMel:
        return LogMel(self.sample_rate_hz, self.duration_s, self.bands, self.frames, self.window_s, 2.0 * self.floor_db)

    def _sounding(self, recorded: Tensor) -> Tensor:
        """Whether any sample of a frame is not zero, ``(batch, frames)``."""
        half, span = self.window_length // 2, (self.frames - 1) * self.hop_length
        padded = functional.pad(recorded[:, 0].detach(), (half, self.window_length))[:, : span + self.window_length]
        return (padded.unfold(-1, self.window_length, self.hop_length) != 0.0).any(-1)
