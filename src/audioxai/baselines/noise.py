"""Noise as baseline: a recording's noise floor, or noise that masks the speaker."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.baselines.statistics import NoiseFloor, Table
from audioxai.utils.counter_random import normal_like
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class NoisySilence:
    """Stationary noise at the training set's noise floor, as levels in dB.

    Attributes
    ----------
    floor : NoiseFloor
        Mean level of the noise per band.
    silence_value : float
        The domain's floor, the smallest level.
    seed : int
        Seed of the noise.

    Notes
    -----
    The power of Gaussian noise in one bin is exponentially distributed, so levels scatter around the floor.
    """

    floor: NoiseFloor
    silence_value: float
    seed: int = 0

    name: ClassVar[str] = "noisy silence"

    def __call__(self, inputs: Tensor) -> Tensor:
        """First draw."""
        return self.drawn(inputs, 0)

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """``floor + 10 log₁₀ E``, E exponential of mean 1, and at least silence."""
        power = _normal_power(inputs, "noisy silence", self.seed, draw)
        return (self.floor(inputs) + 10.0 * power.log10()).clamp_min(self.silence_value)


@dataclass(frozen=True)
class SpeechShapedNoise:
    """Gaussian noise with the training waveforms' long-term spectrum, at a stated ratio to each sample.

    Attributes
    ----------
    gains : Table
        Amplitude of every bin of the clip's spectrum, ``(bins,)``.
    snr_db : float
        Signal-to-noise ratio; 0 for noise as loud as the sample.
    seed : int
        Seed of the noise.
    """

    gains: Table
    snr_db: float = 0.0
    seed: int = 0

    name: ClassVar[str] = "speech-shaped noise"

    @classmethod
    def of(
        cls, training_waveforms: Tensor, snr_db: float = 0.0, seed: int = 0, smoothing_octaves: float = 0.0
    ) -> "SpeechShapedNoise":
        """Learn the spectrum from training waveforms ``(samples, 1, time)``.

        The spectrum of one clip is smoothed by averaging its power over so many octaves around each bin: its own lines
        would make the noise hum as the clip does.
        """
        if training_waveforms.ndim != 3 or len(training_waveforms) == 0:
            raise UserError(
                f"training waveforms have shape {tuple(training_waveforms.shape)}; give at least one (samples, 1, time)"
            )
        power = torch.fft.rfft(training_waveforms.detach().cpu().double()).abs().square().mean((0, 1))
        power = _smoothed(power, smoothing_octaves) if smoothing_octaves > 0.0 else power
        if not bool(power.any()):
            raise UserError("all training waveforms are silent, so that the noise has no spectrum; give others")
        return cls(Table.of(power.sqrt()), snr_db, seed)

    def __call__(self, inputs: Tensor) -> Tensor:
        """First draw."""
        return self.drawn(inputs, 0)

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """Noise like ``inputs`` ``(batch, 1, time)``.

        Raises
        ------
        UserError
            If the inputs are of another length than the training waveforms.
        """
        if inputs.shape[-1] // 2 + 1 != self.gains.shape[0]:
            raise UserError(
                f"the noise was learnt from spectra of {self.gains.shape[0]} bins but clips of "
                f"{inputs.shape[-1]} samples have {inputs.shape[-1] // 2 + 1}; learn it from waveforms of that length"
            )
        white = normal_like(inputs, "speech-shaped noise", self.seed, draw).double()
        shaped: Tensor = torch.fft.irfft(torch.fft.rfft(white) * self.gains.values.to(white), n=inputs.shape[-1])
        target: Tensor = inputs.detach().double().square().mean(-1, keepdim=True) * 10.0 ** (-self.snr_db / 10.0)
        return (shaped * (target / shaped.square().mean(-1, keepdim=True)).sqrt()).to(inputs.dtype)


@dataclass(frozen=True)
class BandNoise:
    """Speech-shaped noise as levels in dB, at a stated ratio to each sample.

    Attributes
    ----------
    spectrum : Table
        Long-term mean power of every band, ``(1, bands, 1)``.
    silence_value : float
        The domain's floor, the smallest level.
    snr_db : float
        Power of the sample over that of the noise, summed over all features.
    seed : int
        Seed of the noise.
    """

    spectrum: Table
    silence_value: float
    snr_db: float = 0.0
    seed: int = 0

    name: ClassVar[str] = "band noise"

    @classmethod
    def of(cls, training_levels: Tensor, silence_value: float, snr_db: float = 0.0, seed: int = 0) -> "BandNoise":
        """Learn the spectrum from training spectrograms ``(samples, 1, bands, frames)`` in dB."""
        if training_levels.ndim != 4 or len(training_levels) == 0:
            raise UserError(
                f"training spectrograms have shape {tuple(training_levels.shape)}; give (samples, 1, bands, frames)"
            )
        power = 10.0 ** (training_levels.detach().cpu().double() / 10.0)
        return cls(Table.of(power.mean((0, 3))[..., None]), silence_value, snr_db, seed)

    def __call__(self, inputs: Tensor) -> Tensor:
        """First draw, in dB."""
        return self.drawn(inputs, 0)

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """Level of the noise in dB, at least silence."""
        return (20.0 * self.amplitudes(inputs, draw).abs().log10()).clamp_min(self.silence_value)

    def amplitudes(self, inputs: Tensor, draw: int) -> Tensor:
        """Complex Gaussian amplitudes like ``inputs``, relative to a full-scale sine."""
        power = self.spectrum.expanded_like(inputs)
        target = (10.0 ** (inputs.detach() / 10.0)).flatten(1).sum(1) * 10.0 ** (-self.snr_db / 10.0)
        gain = (target / power.flatten(1).sum(1)).reshape(-1, *[1] * (inputs.ndim - 1))
        amplitudes: Tensor = (power * gain).sqrt() * _complex_normal(inputs, "band noise", self.seed, draw)
        return amplitudes


def _smoothed(power: Tensor, octaves: float) -> Tensor:
    """Mean of ``(bins,)`` over that many octaves around each bin."""
    bins = torch.arange(len(power), dtype=torch.float64)
    first = (bins * 2.0 ** (-octaves / 2.0)).floor().long()
    after = ((bins * 2.0 ** (octaves / 2.0)).ceil().long() + 1).clamp_max(len(power))
    sums = torch.cat([power.new_zeros(1), power.cumsum(0)])
    means: Tensor = (sums[after] - sums[first]) / (after - first)
    return means


def _complex_normal(inputs: Tensor, *purpose: object) -> Tensor:
    """Complex normal numbers of mean power 1 like ``inputs``."""
    real, imaginary = (normal_like(inputs, *purpose, part).to(inputs) for part in ("real", "imaginary"))
    both: Tensor = torch.complex(real, imaginary) / 2.0**0.5
    return both


def _normal_power(inputs: Tensor, *purpose: object) -> Tensor:
    """Exponentially distributed numbers of mean 1 like ``inputs``."""
    amplitudes: Tensor = _complex_normal(inputs, *purpose).abs()
    return amplitudes.square()
