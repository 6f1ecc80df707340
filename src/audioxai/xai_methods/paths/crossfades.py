"""From noise to the input at constant power: the speaker comes out of noise that hides them, rather than of silence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.baselines import BandNoise, SpeechShapedNoise
from audioxai.xai_methods.paths.protocol import Curve, Path, beside


@dataclass(frozen=True, eq=False)
class _Mixture(Curve):
    """``t · signal + √(1 − t²) · noise`` with t = sin(place · 90°)."""

    signal: Tensor
    noise: Tensor

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        signal, angles = self.signal[rows], places * (torch.pi / 2.0)
        return beside(angles.sin(), signal) * signal + beside(angles.cos(), signal) * self.noise[rows]


@dataclass(frozen=True, eq=False)
class _LevelOfMixture(Curve):
    """Level in dB of a mixture of amplitudes, at least the floor."""

    mixture: _Mixture
    floor_db: float

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        power = self.mixture.at(rows, places).abs().square()
        return 10.0 * power.clamp_min(10.0 ** (self.floor_db / 10.0)).log10()


@dataclass(frozen=True)
class WaveformCrossfade(Path):
    """x_t = t · x + √(1 − t²) · n, n speech-shaped noise; its STFT is the same mixture of spectra.

    Notes
    -----
    Places are even in the angle arcsin t. Where the noise is as loud as the clip, the power stays the same.
    """

    noise: SpeechShapedNoise

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Crossfade of every waveform ``(batch, 1, time)`` with that draw of noise."""
        return _Mixture(inputs, self.noise.drawn(inputs, draw))


@dataclass(frozen=True)
class LevelCrossfade(Path):
    """Levels in dB of Z_t = t · Z + √(1 − t²) · N, N complex noise with the bands of speech.

    Notes
    -----
    A cell's level does not tell its phase, but N is as likely at every phase, so Z may be taken as real. Mixing
    amplitudes keeps their interference, which adding powers would leave out. Places as in :class:`WaveformCrossfade`.
    """

    noise: BandNoise

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Crossfade of every spectrogram ``(batch, 1, bands, frames)`` with that draw of noise."""
        noise = self.noise.amplitudes(inputs, draw)
        signal = (10.0 ** (inputs / 20.0)).to(noise.dtype)
        return _LevelOfMixture(_Mixture(signal, noise), self.noise.silence_value)
