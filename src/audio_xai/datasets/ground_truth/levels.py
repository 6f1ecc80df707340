"""Levels of sounds and of time–frequency cells, and what every made clip has to obey: full scale."""

import math

import torch
from torch import Tensor

from audio_xai.datasets.records import Dataset
from audio_xai.datasets.sources import content_fingerprint
from audio_xai.domains import Domain, LogMel, Stft
from audio_xai.utils.errors import UserError

# Just below 1, so that adding the scaled parts in float32 never rounds above it.
LARGEST_PEAK = 1.0 - 1e-6
RAMP_S = 0.005
# What log-mel spectrograms end at; a complex one has no floor of its own.
STFT_FLOOR_DB = -80.0
_CLIPS_PER_ANALYSIS = 64


def levels_db(domain: Domain, waveforms: Tensor) -> Tensor:
    """Level of every cell in dB re. a full-scale sine, ``(clips, 1, *domain.shape)``, never below :func:`floor_db`.

    Raises
    ------
    UserError
        If the domain is neither log-mel nor STFT.
    """
    lowest_db = floor_db(domain)
    return torch.cat([_levels_db(domain, lowest_db, some) for some in torch.split(waveforms, _CLIPS_PER_ANALYSIS)])


def _levels_db(domain: Domain, lowest_db: float, waveforms: Tensor) -> Tensor:
    cells = domain.analysis(waveforms)
    return 20.0 * cells.abs().clamp_min(10.0 ** (lowest_db / 20.0)).log10() if cells.is_complex() else cells


def floor_db(domain: Domain) -> float:
    """Level in dB of a cell in which there is nothing.

    Raises
    ------
    UserError
        If the domain is neither log-mel nor STFT.
    """
    if isinstance(domain, LogMel):
        return domain.floor_db
    if isinstance(domain, Stft):
        return STFT_FLOOR_DB
    raise UserError(
        f"domain {domain.name} has no time–frequency cells with a level; ask for the mask in a {LogMel.name} or "
        f"{Stft.name} domain"
    )


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
