"""Levels of cells of any domain of sound, and what every made clip has to obey: full scale."""

import math

import torch
from torch import Tensor

from audioxai.datasets.records import Dataset
from audioxai.datasets.sources import content_fingerprint
from audioxai.domains import Domain, LogMel, Stft, audible
from audioxai.utils.errors import UserError

# Just below 1, so that adding the scaled parts in float32 never rounds above it.
LARGEST_PEAK = 1.0 - 1e-6
RAMP_S = 0.005
# What log-mel spectrograms end at; amplitudes have no floor of their own.
LINEAR_FLOOR_DB = -80.0
# As long as the shortest window of the spectrograms.
SURROUNDINGS_S = 0.032
_CLIPS_PER_ANALYSIS = 64


def levels_db(domain: Domain, waveforms: Tensor) -> Tensor:
    """Level of every cell in dB re. a full-scale sine, ``(clips, 1, *domain.shape)``, never below :func:`floor_db`.

    That of a sample, of the waveform or of an ERB band, is the level of its surroundings: a single one is near 0 twice
    in every period, whatever the level of the sound.

    Raises
    ------
    UserError
        If the domain is none of sound.
    """
    lowest_db = floor_db(domain)
    return torch.cat([_levels_db(domain, lowest_db, some) for some in torch.split(waveforms, _CLIPS_PER_ANALYSIS)])


def _levels_db(domain: Domain, lowest_db: float, waveforms: Tensor) -> Tensor:
    cells = domain.analysis(waveforms)
    if isinstance(domain, LogMel):
        return cells
    squares = cells.abs().square() if isinstance(domain, Stft) else _mean_squares(domain, cells)
    return 10.0 * squares.clamp_min(10.0 ** (lowest_db / 10.0)).log10()


def _mean_squares(domain: Domain, samples: Tensor) -> Tensor:
    """Mean square around every sample ``(clips, …, time)``, under a Hann window of unit sum; of a full-scale sine 1."""
    length = 2 * round(audible(domain).sample_rate_hz * SURROUNDINGS_S / 2.0) + 1
    window = torch.hann_window(length + 2, periodic=False, dtype=samples.dtype, device=samples.device)[1:-1]
    # Convolved by way of their spectra, padded so that nothing wraps around.
    padded = samples.shape[-1] + length
    product = torch.fft.rfft(2.0 * samples.square(), n=padded) * torch.fft.rfft(window / window.sum(), n=padded)
    means: Tensor = torch.fft.irfft(product, n=padded)
    return means[..., length // 2 : length // 2 + samples.shape[-1]]


def floor_db(domain: Domain) -> float:
    """Level in dB of a cell in which there is nothing.

    Raises
    ------
    UserError
        If the domain is none of sound.
    """
    sound = audible(domain)
    return sound.floor_db if isinstance(sound, LogMel) else LINEAR_FLOOR_DB


def require_made_for(domain: Domain, dataset: Dataset) -> None:
    """Check that the domain takes clips of this sample rate and length.

    Raises
    ------
    UserError
        If it does not.
    """
    rate_hz, duration_s = getattr(domain, "sample_rate_hz", 0), getattr(domain, "duration_s", 0.0)
    samples = dataset.inputs.shape[-1]
    if (rate_hz, round(rate_hz * duration_s)) != (dataset.sample_rate_hz, samples):
        raise UserError(
            f"the clips of {dataset.name} are {samples} samples at {dataset.sample_rate_hz} Hz but domain "
            f"{domain.name} takes {duration_s:g} s at {rate_hz} Hz; give a domain made for these clips"
        )


def require_sounds(dataset: Dataset) -> int:
    """Sample rate in Hz of the clips.

    Raises
    ------
    UserError
        If the dataset is of images.
    """
    if dataset.sample_rate_hz is None:
        raise UserError(f"{dataset.name} is a dataset of images; give one of sounds")
    return dataset.sample_rate_hz


def energy(waveform: Tensor) -> float:
    """Sum of squares, in float64."""
    return float(waveform.double().square().sum())


def ratio_db(energy_one: float, energy_other: float) -> float:
    """Ratio of two energies in dB: ±inf where one of them is 0, NaN where both are."""
    if energy_one == 0.0 or energy_other == 0.0:
        return math.nan if energy_one == energy_other else math.copysign(math.inf, energy_one - energy_other)
    return 10.0 * math.log10(energy_one / energy_other)


def full_scale_gain(*waveforms: Tensor) -> float:
    """Factor in (0, 1] that brings the largest magnitude in any of them into full scale; 1 where all are in it."""
    peak = max(float(waveform.abs().max()) for waveform in waveforms)
    return 1.0 if peak <= 1.0 else LARGEST_PEAK / peak


def ramped(waveform: Tensor, sample_rate_hz: int) -> Tensor:
    """The waveform ``(…, time)`` with raised-cosine ramps of 5 ms at both ends, so that it starts without a click."""
    length = min(round(RAMP_S * sample_rate_hz), waveform.shape[-1] // 2)
    rise = torch.sin(torch.pi / 2 * (torch.arange(length, dtype=waveform.dtype) + 0.5) / max(1, length)).square()
    middle = torch.ones(waveform.shape[-1] - 2 * length, dtype=waveform.dtype)
    return waveform * torch.cat([rise, middle, rise.flip(0)])


def derived_fingerprint(dataset: Dataset, *design: object) -> str:
    """Fingerprint of clips that are a pure function of a dataset and a design."""
    return content_fingerprint([], dataset.fingerprint, *design)
