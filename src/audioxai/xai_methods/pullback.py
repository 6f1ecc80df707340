"""Explanations of waveform models in time and frequency: the mean gradient, pulled back to spectrograms and bands.

Along a · x, the recording at every gain, Integrated Gradients are ḡ ⊙ x with one mean gradient ḡ. Where an analysis has
a linear synthesis S, x = S(Z), the same path in Z has the mean gradient S*ḡ, S* the adjoint. So A = Re(conj(S*ḡ) ⊙ Z),
its sum is ⟨ḡ, x⟩ exactly, and it costs no gradient more than the waveform's.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.domains import ErbBands, Invertible, Stft, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import input_gradient, require_finite
from audioxai.xai_methods.path_integral import (
    MIDPOINT,
    Integral,
    IntegralMethod,
    change_along,
    change_of,
    path_sum,
    unknown_change,
)
from audioxai.xai_methods.paths import Amplified
from audioxai.xai_methods.quadrature import Midpoint, Rule
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import LOGIT, ScoreFunction, TargetScore

FADE = Amplified()


def mean_gradient(score: ScoreFunction, waveforms: Tensor, path: Amplified, rule: Rule, size: int) -> Tensor:
    """ḡ = ∫ ∇F(a · x) da over the gains a, ``(batch, 1, time)``; ``size`` inputs per model call."""
    rows, unit = torch.arange(len(waveforms), device=waveforms.device), path.curve(torch.ones_like(waveforms), 0)
    mean = path_sum(score, path.curve(waveforms, 0), rows, rule.partition(), size, steps_of=unit)
    require_finite(mean)
    return mean


def pull_back(domain: Invertible, gradient: Tensor, waveforms: Tensor) -> Tensor:
    """``Re(conj(S* gradient) ⊙ analysis(waveforms))``, ``(batch, 1, *domain.shape)``; sums to ⟨gradient, waveform⟩."""
    values = domain.analysis(waveforms)
    at = torch.zeros_like(values).requires_grad_(True)
    # The synthesis is linear: the gradient of ⟨gradient, S(at)⟩ is S* gradient wherever it is taken.
    adjoint = input_gradient((domain.synthesis(at) * gradient).flatten(1).sum(1), at)
    return change_along(adjoint, values)


class MeanGradientMethod(IntegralMethod):
    """A method for waveforms whose attributions are a function of ḡ; a frozen dataclass with these fields.

    Attributes
    ----------
    rule : Rule
        Where gradients are taken.
    path : Amplified
        Over which gains.
    score : TargetScore
        The score that is explained.
    """

    rule: Rule
    path: Amplified
    score: TargetScore

    @abstractmethod
    def from_mean_gradient(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """Real attributions of waveforms with this mean gradient, which sum to ⟨gradient, waveform⟩."""

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        """Attributions of waveforms ``(batch, 1, time)`` in the method's own domain."""
        rows = torch.arange(len(inputs), device=inputs.device)
        score = self.score.of(model, inputs, targets, size)
        mean = mean_gradient(score, inputs, self.path, self.rule, size)
        curve = self.path.curve(inputs, 0)
        change = change_of(score, curve, rows, size) if with_change else unknown_change(rows)
        gradients = torch.full_like(rows, len(self.rule.partition()))
        return Integral(self.from_mean_gradient(mean, inputs), change, gradients)

    def passes(self, inputs: Tensor) -> int:
        """Those of the rule per sample, and what the score takes beforehand."""
        return len(inputs) * (len(self.rule.partition()) + self.score.passes)


@dataclass(frozen=True)
class PullBack(MeanGradientMethod):
    """Integrated Gradients of a waveform model from silence, in another domain of the same waveform.

    Attributes
    ----------
    domain : Invertible
        Where the explanation lives, such as the complex STFT.
    rule, path, score
        As of :class:`MeanGradientMethod`.
    """

    domain: Invertible
    rule: Rule = MIDPOINT
    path: Amplified = FADE
    score: TargetScore = LOGIT

    def from_mean_gradient(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)``."""
        return pull_back(self.domain, gradient, waveforms)


@dataclass(frozen=True)
class Bandwise(MeanGradientMethod):
    """A_{b,τ} = Σ over the samples n of frame τ of ḡ_n · x_b[n]: the attribution of every band in every frame.

    Attributes
    ----------
    domain : ErbBands
        The bands x_b, which add up to the waveform and can each be played.
    frame_s : float
        Length of a frame.
    rule, path, score
        As of :class:`MeanGradientMethod`.
    """

    domain: ErbBands
    frame_s: float = 0.01
    rule: Rule = MIDPOINT
    path: Amplified = FADE
    score: TargetScore = LOGIT

    def __post_init__(self) -> None:
        if self.frame_length < 1 or self.frame_length > self.domain.samples:
            raise UserError(
                f"frame_s is {self.frame_s} for clips of {self.domain.samples} samples at "
                f"{self.domain.sample_rate_hz} Hz; give frames of at least one sample and at most a clip"
            )

    @property
    def frame_length(self) -> int:
        """Samples of a frame."""
        return round(self.frame_s * self.domain.sample_rate_hz)

    def from_mean_gradient(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """``(batch, 1, bands, frames)``."""
        # One clip at a time: its bands are as many times larger than the clip as there are bands.
        rows = [slice(row, row + 1) for row in range(len(waveforms))]
        return torch.cat([self._by_frame(pull_back(self.domain, gradient[row], waveforms[row])) for row in rows])

    def _by_frame(self, attributions: Tensor) -> Tensor:
        """Sums over the samples of every frame; the last one may be shorter."""
        missing = -attributions.shape[-1] % self.frame_length
        padded = functional.pad(attributions, (0, missing))
        return padded.reshape(*padded.shape[:-1], -1, self.frame_length).sum(-1)


@METHODS.register(
    "pullback",
    label="Pull-back IG (waveform)",
    family="silence baseline",
    role="ours",
    complete=True,
    domains=("waveform",),
)
def pullback(domain: Waveform, gradients: int = 32) -> PullBack:
    """Integrated Gradients of waveforms from silence, in the STFT domain."""
    return PullBack(Stft(domain.sample_rate_hz, domain.duration_s), Midpoint(gradients))


@METHODS.register(
    "bandwise",
    label="Bandwise IG (waveform)",
    family="silence baseline",
    role="ours",
    complete=True,
    domains=("waveform",),
)
def bandwise(domain: Waveform, gradients: int = 32) -> Bandwise:
    """Integrated Gradients of waveforms from silence, in ERB bands and frames of 10 ms."""
    return Bandwise(ErbBands(domain.sample_rate_hz, domain.duration_s), rule=Midpoint(gradients))
