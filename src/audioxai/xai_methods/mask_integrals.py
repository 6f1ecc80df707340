"""Integrated Gradients in masks of a recording whose removal is noise, or silence and noise.

From silence alone any method can be used there by :func:`audioxai.xai_methods.masks.in_masks`.
"""

from torch import Tensor

from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.domains import Mask, MaskValues, Waveform
from audioxai.xai_methods.combinations import BalancedMean
from audioxai.xai_methods.masks import IntegralInMasks
from audioxai.xai_methods.ordered import NOISE_SNR_DB
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.quadrature import Midpoint
from audioxai.xai_methods.registry import METHODS


def _from(removal: Baseline, domain: Mask, gradients: int) -> IntegralInMasks:
    """From a mask of zeros, where the removal is heard, to one of ones."""
    line = Straight(Silence(MaskValues(domain)))
    return IntegralInMasks(PathIntegral(line, Midpoint(gradients)), domain, removal)


@METHODS.register(
    "mask_noise",
    label="Noise IG (masks)",
    family="noise baseline",
    role="ours",
    complete=True,
    domains=("mask",),
    revision=2,
)
def mask_noise(domain: Mask, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> IntegralInMasks:
    """From noise with the spectrum of the training waveforms, one draw for each clip."""
    return _from(SpeechShapedNoise.of(training_inputs, NOISE_SNR_DB, seed), domain, gradients)


@METHODS.register(
    "mask_silence_and_noise",
    label="Silence-and-noise IG (masks)",
    family="two baselines",
    role="ours",
    complete=True,
    domains=("mask",),
    revision=2,
)
def mask_silence_and_noise(domain: Mask, training_inputs: Tensor, gradients: int = 32, seed: int = 0) -> BalancedMean:
    """Balanced mean of the integrals from silence and from noise, half of the gradients for each."""
    silence = Silence(Waveform(domain.sample_rate_hz, domain.duration_s))
    noisy = mask_noise(domain, training_inputs, gradients - gradients // 2, seed)
    return BalancedMean((_from(silence, domain, gradients // 2), noisy))
