"""Complex spectrograms with an exact inverse."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audioxai.domains.amplitudes import Amplitudes
from audioxai.domains.protocol import Axis, require_a_window, require_waveforms
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Stft(Amplitudes):
    """Short-time Fourier transform, complex ``(batch, 1, bins, frames)``; a full-scale sine has magnitude 1 in its bin.

    Attributes
    ----------
    sample_rate_hz, duration_s
        Sample rate of the waveforms in Hz, and their length in seconds.
    window_s : float
        Length of the periodic Hann window.
    overlap : int
        Windows that cover every sample; the hop is the window's length divided by it.

    Notes
    -----
    Frames are centred on multiples of the hop and padded with zeros; the last one is centred on or after the last
    sample. ``synthesis`` is the least-squares inverse (Griffin & Lim 1984): windowed overlap-add divided by the sum of
    squared windows. It inverts ``analysis`` exactly, and maps any other values to the waveform whose STFT is closest.
    """

    window_s: float = 0.032
    overlap: int = 4

    name: ClassVar[str] = "stft"

    def __post_init__(self) -> None:
        if self.overlap < 2 or self.window_length < 2 * self.overlap:
            raise UserError(
                f"overlap is {self.overlap} with a window of {self.window_s} s; give at least 2 and a window of at "
                "least twice as many samples"
            )
        require_a_window(self.samples, self.window_length, self.sample_rate_hz)

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.sample_rate_hz * self.window_s / self.overlap / 2.0) * 2)

    @property
    def window_length(self) -> int:
        """Length of the window, and of the FFT, in samples; ``overlap`` hops."""
        return self.hop_length * self.overlap

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bins, frames)``."""
        return (self.window_length // 2 + 1, 1 - (-self.samples // self.hop_length))

    def analysis(self, recorded: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` in [−1, 1] → complex ``(batch, 1, bins, frames)``, differentiable.

        Raises
        ------
        UserError
            If the waveforms have another shape or length.
        """
        require_waveforms(recorded, self.samples)
        window, _ = _stft_constants(self, recorded.device, recorded.dtype)
        half = self.window_length // 2
        padded = functional.pad(recorded[:, 0], (half, self._padded_length - half - self.samples))
        frames: Tensor = padded.unfold(-1, self.window_length, self.hop_length)
        spectrum: Tensor = torch.fft.rfft(frames * window) * (2.0 / window.sum())
        return spectrum.transpose(1, 2)[:, None]

    def synthesis(self, values: Tensor) -> Tensor:
        """Complex ``(batch, 1, bins, frames)`` → waveforms ``(batch, 1, time)``, linear and differentiable.

        Raises
        ------
        UserError
            If the values have another shape.
        """
        if values.ndim != 4 or tuple(values.shape[1:]) != (1, *self.shape):
            raise UserError(
                f"values have shape {tuple(values.shape)} but this domain's are (batch, 1, *{self.shape}); "
                "make them by its analysis"
            )
        window, envelope = _stft_constants(self, values.device, values.real.dtype)
        frames = torch.fft.irfft(values[:, 0].transpose(1, 2), n=self.window_length) * (window * (window.sum() / 2.0))
        half = self.window_length // 2
        added: Tensor = _overlap_add(frames, self.hop_length) / envelope
        return added[:, None, half : half + self.samples]

    def axes(self) -> tuple[Axis, ...]:
        """Bin frequencies in Hz and frame centres in seconds."""
        bins, frames = self.shape
        frequencies = np.arange(bins) * self.sample_rate_hz / self.window_length
        times = np.arange(frames) * self.hop_length / self.sample_rate_hz
        return (
            Axis("frequency", "Hz", tuple(frequencies.tolist())),
            Axis("time", "s", tuple(times.tolist())),
        )

    @property
    def _padded_length(self) -> int:
        return (self.shape[1] - 1) * self.hop_length + self.window_length


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Frames ``(batch, frames, window)``, each moved on by one hop, added up: ``(batch, padded time)``."""
    batch, count, length = frames.shape
    # Hop by hop for all frames at once: bit-identical to torch's fold in a twentieth of its time on a CPU.
    hops = frames.reshape(batch, count, length // hop_length, hop_length)
    added = frames.new_zeros(batch, count + hops.shape[2] - 1, hop_length)
    for later in range(hops.shape[2]):
        added[:, later : later + count] += hops[:, :, later]
    return added.flatten(1)


@lru_cache(maxsize=32)
def _stft_constants(domain: Stft, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Window ``(window_length,)`` and sum of squared windows ``(padded time,)``, made once."""
    # These are cached, and tensors made in inference mode cannot be used with autograd.
    with torch.inference_mode(mode=False):
        window = torch.hann_window(domain.window_length, dtype=torch.float64)
        squares = window.square().expand(1, domain.shape[1], -1)
        # The first sample of the padding has weight 0; it is cut off.
        envelope = _overlap_add(squares, domain.hop_length)[0].clamp_min(1e-12)
        return window.to(device=device, dtype=dtype), envelope.to(device=device, dtype=dtype)
