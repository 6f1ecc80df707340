"""Integrated Gradients adapted to sound, by name, each for a stated number of gradients.

An adaptation combines a baseline, a path, a rule, a score and what is done with the map. Where that makes sense it
takes spectrograms in dB, waveforms and images alike. Parameters have the same meaning throughout:

domain
    Domain in which the model takes its inputs.
training_inputs
    Inputs of the training part, ``(samples, 1, *domain.shape)``, from which baselines are learnt.
gradients
    Gradients per sample, at least 8 where they are divided among several paths.
seed
    Of everything that is drawn at random.

Examples
--------
>>> import torch
>>> from audioxai.domains import LogMel
>>> explainer = silence(LogMel(8_000, 0.25, bands=4, frames=8), gradients=16)
>>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 2))
>>> explainer(model, torch.full((1, 1, 4, 8), -30.0), torch.tensor([0])).shape
torch.Size([1, 1, 4, 8])
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from audioxai.baselines import (
    BandNoise,
    Baseline,
    Constant,
    DatasetMean,
    DatasetMedian,
    Inaudible,
    LowEnergy,
    NoiseFloor,
    NoisySilence,
    RandomBaseline,
    References,
    Silence,
    SpeechShapedNoise,
)
from audioxai.core import target_scores
from audioxai.domains import Domain, LogMel
from audioxai.domains.protocol import require_ordinary
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.xai_methods.calls import prepared
from audioxai.xai_methods.combinations import BalancedMean, MeanOf, Smoothed
from audioxai.xai_methods.gradients import noise_std
from audioxai.xai_methods.path_integral import PathIntegral, call_size
from audioxai.xai_methods.paths import (
    Amplified,
    FadeIn,
    FromDrawn,
    LevelCrossfade,
    NoisyInput,
    Path,
    Straight,
    WaveformCrossfade,
)
from audioxai.xai_methods.quadrature import Midpoint
from audioxai.xai_methods.registry import METHODS, SOUND
from audioxai.xai_methods.scores import LOGIT, LogOdds, Margin, TargetScore

FEWEST_GRADIENTS = 8
# A curved path needs several steps per draw; a straight one is best drawn anew for every gradient.
CROSSFADES = 4
SMOOTHING_CELLS = 1.5
DUAL_SMOOTHING_CELLS = 2.5

Recipe = TypeVar("Recipe", bound=Callable[..., object])


def _ours(
    name: str, label: str, family: str, *, domains: tuple[str, ...] = (), revision: int = 1
) -> Callable[[Recipe], Recipe]:
    """Register a complete method of ours."""
    facts: dict[str, Any] = {"domains": domains, "revision": revision}
    return METHODS.register(name, label=label, family=family, role="ours", complete=True, **facts)


# --- What recipes are made of ----------------------------------------------------------------------------------------


def _from_baseline(baseline: Baseline, gradients: int) -> PathIntegral:
    """On the straight line from a baseline."""
    return PathIntegral(Straight(baseline), Midpoint(gradients))


def _fade_in(domain: Domain, gradients: int, score: TargetScore = LOGIT) -> PathIntegral:
    """On the input at every gain."""
    path = FadeIn(domain.floor_db) if isinstance(domain, LogMel) else Amplified()
    return PathIntegral(path, Midpoint(gradients), score)


def _over_draws(path: Path, gradients: int) -> PathIntegral:
    """Mean over as many random straight lines as there are gradients, one gradient on each."""
    return PathIntegral(path, Midpoint(1), draws=gradients)


def _noise(domain: Domain, training_inputs: Tensor, seed: int) -> BandNoise | SpeechShapedNoise:
    """Noise with the long-term spectrum of the training inputs, as loud as each sample."""
    require_ordinary(domain, training_inputs)
    if isinstance(domain, LogMel):
        return BandNoise.of(training_inputs, domain.silence_value, seed=seed)
    return SpeechShapedNoise.of(training_inputs, seed=seed)


def _from_noise(noise: RandomBaseline, gradients: int) -> PathIntegral:
    return _over_draws(FromDrawn(noise), gradients)


def _crossfades(noise: BandNoise | SpeechShapedNoise, gradients: int) -> PathIntegral:
    """Mean over a few curved paths from noise to the input at constant power."""
    draws = max(count for count in range(1, CROSSFADES + 1) if gradients % count == 0)
    path = LevelCrossfade(noise) if isinstance(noise, BandNoise) else WaveformCrossfade(noise)
    return PathIntegral(path, Midpoint(gradients // draws), draws=draws)


def _references(training_inputs: Tensor, budget: int, seed: int) -> FromDrawn:
    """Lines from training inputs, of which as many are chosen as the whole method has gradients."""
    return FromDrawn(References.of(training_inputs, budget, seed))


def _halves(gradients: int) -> tuple[int, int]:
    _require_gradients(gradients)
    return gradients - gradients // 2, gradients // 2


def _require_gradients(gradients: int) -> None:
    if gradients < FEWEST_GRADIENTS:
        raise UserError(f"gradients is {gradients}; methods of several paths need at least {FEWEST_GRADIENTS}")


# --- One baseline ----------------------------------------------------------------------------------------------------


@METHODS.register("plain", label="Plain IG (from 0 dB)", family="IG from 0 dB", complete=True)
def plain(gradients: int = 32) -> PathIntegral:
    """From 0 in the model's own unit, which on a dB spectrogram is the loudest sound: IG as used on images."""
    return _from_baseline(Constant(0.0), gradients)


@METHODS.register("silence", label="Silence IG", family="silence baseline", complete=True)
def silence(domain: Domain, gradients: int = 32) -> PathIntegral:
    """From silence, the analysis of zeros."""
    return _from_baseline(Silence(domain), gradients)


@_ours("median", "Median-baseline IG", "training-set baseline")
def median(training_inputs: Tensor, gradients: int = 32) -> PathIntegral:
    """From the median of the training set."""
    return _from_baseline(DatasetMedian.of(training_inputs), gradients)


@_ours("low_energy_mask", "Low-energy mask IG", "silence baseline", domains=("log_mel",))
def low_energy_mask(training_inputs: Tensor, gradients: int = 32) -> PathIntegral:
    """From the input's quiet features, loud ones cut down to a low quantile of their band."""
    return _from_baseline(LowEnergy.of(training_inputs), gradients)


@_ours("noisy_silence", "Noisy-silence IG", "silence baseline", domains=("log_mel",), revision=2)
def noisy_silence(domain: LogMel, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> PathIntegral:
    """From stationary noise at the training set's noise floor."""
    require_ordinary(domain, training_inputs)
    return _from_baseline(NoisySilence(NoiseFloor.of(training_inputs), domain.silence_value, seed), gradients)


@_ours("mean", "Mean-baseline IG", "training-set baseline")
def mean(training_inputs: Tensor, gradients: int = 32) -> PathIntegral:
    """From the mean of the training set."""
    return _from_baseline(DatasetMean.of(training_inputs), gradients)


@METHODS.register(
    "expected",
    label="Expected gradients",
    family="training-set baseline",
    role="peer",
    complete=True,
    source="Erion et al. 2021",
    revision=2,
)
def expected(training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> PathIntegral:
    """From members of the training set, one per gradient."""
    return _over_draws(_references(training_inputs, gradients, seed), gradients)


@_ours("expected_noise", "Expected-noise IG", "noise baseline", domains=SOUND, revision=2)
def expected_noise(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> PathIntegral:
    """From noise with the spectrum of the training inputs, drawn anew for every gradient."""
    return _from_noise(_noise(domain, training_inputs, seed), gradients)


@_ours("audible", "Audible IG", "silence baseline", domains=("log_mel",))
def audible(domain: LogMel, gradients: int = 32) -> PathIntegral:
    """From the masking threshold, so that inaudible features get exactly 0."""
    return _from_baseline(Inaudible(domain), gradients)


# --- Other paths -----------------------------------------------------------------------------------------------------


@_ours("amplitude", "Fade-in IG", "silence baseline")
def amplitude(domain: Domain, gradients: int = 32) -> PathIntegral:
    """Along the input at every gain."""
    return _fade_in(domain, gradients)


@_ours("crossfade", "Crossfade IG", "noise baseline", domains=SOUND, revision=2)
def crossfade(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> PathIntegral:
    """Along crossfades from noise to the input."""
    return _crossfades(_noise(domain, training_inputs, seed), gradients)


@_ours("smooth", "Smooth silence IG", "silence baseline", revision=2)
def smooth(domain: Domain, gradients: int = 32, seed: int = 0) -> PathIntegral:
    """From silence to the input with noise added, drawn anew for every gradient."""
    return _over_draws(NoisyInput(Straight(Silence(domain)), noise_std(domain), seed), gradients)


# --- Two baselines ---------------------------------------------------------------------------------------------------


@_ours("two_missingness", "Two-missingness IG", "two baselines", revision=2)
def two_missingness(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> MeanOf:
    """Mean of a fade-in from silence and expected gradients, half of the gradients for each."""
    silent, usual = _halves(gradients)
    return MeanOf((_fade_in(domain, silent), _over_draws(_references(training_inputs, gradients, seed), usual)))


@_ours("silence_and_noise", "Silence-and-noise IG", "two baselines", domains=SOUND, revision=2)
def silence_and_noise(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> MeanOf:
    """Mean of a fade-in from silence and lines from noise, half of the gradients for each."""
    silent, noisy = _halves(gradients)
    return MeanOf((_fade_in(domain, silent), _from_noise(_noise(domain, training_inputs, seed), noisy)))


@_ours("silence_and_crossfade", "Silence-and-crossfade IG", "two baselines", domains=SOUND, revision=2)
def silence_and_crossfade(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> MeanOf:
    """Mean of a fade-in from silence and crossfades from noise, half of the gradients for each."""
    silent, noisy = _halves(gradients)
    return MeanOf((_fade_in(domain, silent), _crossfades(_noise(domain, training_inputs, seed), noisy)))


@_ours("dual", "Dual IG", "two baselines", domains=SOUND, revision=2)
def dual(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> BalancedMean:
    """Balanced mean of a fade-in from silence and, smoothed over patches, paths from noise as loud as the input.

    Noise hides whole patches: the effect of a feature there depends on its neighbours, and few gradients leave its
    attributions noisy, so this part is smoothed and takes three quarters of the gradients, half of them on lines from
    noise and half on crossfades.
    """
    _require_gradients(gradients)
    silent = gradients // 4
    lines = (gradients - silent) // 2
    noise = _noise(domain, training_inputs, seed)
    noisy = MeanOf((_from_noise(noise, lines), _crossfades(noise, gradients - silent - lines)))
    return BalancedMean((_fade_in(domain, silent), Smoothed(noisy, DUAL_SMOOTHING_CELLS)))


# --- Other scores ----------------------------------------------------------------------------------------------------


@_ours("contrastive", "Contrastive fade-in IG", "silence baseline")
def contrastive(domain: Domain, gradients: int = 32) -> PathIntegral:
    """Fade-in of the margin; one pass finds the runner-up, so it takes one gradient less."""
    return _fade_in(domain, gradients - Margin.passes, Margin())


@_ours("log_odds", "Log-odds fade-in IG", "silence baseline")
def log_odds(domain: Domain, gradients: int = 32) -> PathIntegral:
    """Fade-in of the log odds."""
    return _fade_in(domain, gradients, LogOdds())


# --- Smoothed maps ---------------------------------------------------------------------------------------------------


@_ours("silence_smoothed", "Silence IG, smoothed", "silence baseline")
def silence_smoothed(domain: Domain, gradients: int = 32) -> Smoothed:
    """Smoothed map of ``silence``."""
    return Smoothed(silence(domain, gradients), SMOOTHING_CELLS)


@_ours("noise_smoothed", "Expected-noise IG, smoothed", "noise baseline", domains=SOUND, revision=2)
def noise_smoothed(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> Smoothed:
    """Smoothed map of ``expected_noise``."""
    return Smoothed(expected_noise(domain, training_inputs, gradients, seed), SMOOTHING_CELLS)


@_ours("two_missingness_smoothed", "Two-missingness IG, smoothed", "two baselines", revision=2)
def two_missingness_smoothed(domain: Domain, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> Smoothed:
    """Smoothed map of ``two_missingness``."""
    return Smoothed(two_missingness(domain, training_inputs, gradients, seed), SMOOTHING_CELLS)


# --- What cannot be heard --------------------------------------------------------------------------------------------


def inaudible_share(model: nn.Module, inputs: Tensor, targets: Tensor, domain: LogMel) -> Tensor:
    """Share of the logit's change from silence that happens below the masking threshold, ``(batch,)``.

    Parameters
    ----------
    model : nn.Module
        Takes levels of the domain.
    inputs : Tensor
        Levels in dB, ``(batch, 1, bands, frames)``.
    targets : Tensor
        Class indices ``(batch,)``.
    domain : LogMel
        Of the inputs.

    Returns
    -------
    Tensor
        (F(L̃) − F(L_f)) / (F(L) − F(L_f)), L̃ the inputs cut down to their masking threshold; NaN where the logit does
        not change at all. The rest is what the attributions of the path from L̃ sum to.
    """

    def share(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        points = (inputs, Inaudible(domain)(inputs), Silence(domain)(inputs))
        whole, inaudible, silent = (_logits(model, one, targets) for one in points)
        return torch.where(whole == silent, torch.nan, (inaudible - silent) / (whole - silent))

    return prepared(model, inputs, targets, share)


def _logits(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        parts = slices(len(inputs), call_size(inputs))
        return torch.cat([target_scores(model, inputs[rows], targets[rows]) for rows in parts])
