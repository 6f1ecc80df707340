"""Explanations of waveform models in time and frequency: the mean gradient, pulled back to spectrograms and bands.

Along a · x, the recording at every gain, Integrated Gradients are ḡ ⊙ x with one mean gradient ḡ. Where an analysis has
a linear synthesis S, x = S(Z), the same path in Z has the mean gradient S*ḡ, S* the adjoint. So A = Re(conj(S*ḡ) ⊙ Z),
its sum is ⟨ḡ, x⟩ exactly, and it costs no gradient more than the waveform's.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.domains import ErbBands, Invertible
from audioxai.utils.errors import UserError
from audioxai.xai_methods.accumulation import change_along, end_scores, path_sum
from audioxai.xai_methods.calls import input_gradient, prepared, require_finite
from audioxai.xai_methods.explained_scores import Explained, Logit
from audioxai.xai_methods.path_integral import Integral, call_size
from audioxai.xai_methods.paths import Amplified, Apart
from audioxai.xai_methods.quadrature import Midpoint, Rule

LOGIT = Logit()
FADE = Amplified()
MIDPOINT = Midpoint()


def mean_gradient(
    model: nn.Module, waveforms: Tensor, targets: Tensor, path: Amplified, rule: Rule, explained: Explained, size: int
) -> Tensor:
    """ḡ = ∫ ∇F(a · x) da by the rule's nodes, ``(batch, 1, time)``, of a model in evaluation mode; ``size`` a call."""
    rows = torch.arange(len(waveforms), device=waveforms.device)
    score = explained.score(model, waveforms, targets, size)
    curve = Apart(path.curve(waveforms, 0), path.curve(torch.ones_like(waveforms), 0))
    mean = path_sum(score, curve, rows, rule.partition(), size)
    require_finite(mean)
    return mean


def pulled_back(domain: Invertible, gradient: Tensor, waveforms: Tensor) -> Tensor:
    """``Re(conj(S* gradient) ⊙ analysis(waveforms))``, ``(batch, 1, *domain.shape)``; sums to ⟨gradient, waveform⟩."""
    values = domain.analysis(waveforms)
    at = torch.zeros_like(values).requires_grad_(True)
    # The synthesis is linear: the gradient of ⟨gradient, S(at)⟩ is S* gradient wherever it is taken.
    adjoint = input_gradient((domain.synthesis(at) * gradient).flatten(1).sum(1), at)
    return change_along(adjoint, values)


class OfMeanGradient(ABC):
    """An explainer of waveforms whose attributions are made of ḡ alone; a frozen dataclass with these fields.

    Attributes
    ----------
    rule : Rule
        Where gradients are taken.
    path : Amplified
        Over which gains.
    explained : Explained
        The score that is explained.
    """

    rule: Rule
    path: Amplified
    explained: Explained

    @abstractmethod
    def carried(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """Attributions of waveforms with this mean gradient, which sum to ⟨gradient, waveform⟩."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Real attributions of waveforms ``(batch, 1, time)``, in the explainer's own domain, in logits."""

        def attributions(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            mean = mean_gradient(model, inputs, targets, self.path, self.rule, self.explained, call_size(inputs))
            return self.carried(mean, inputs)

        return prepared(model, inputs, targets, attributions)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap, as :meth:`PathIntegral.attribute` gives them."""

        def measured(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            size, rows = inputs_a_call or call_size(inputs), torch.arange(len(inputs), device=inputs.device)
            mean = mean_gradient(model, inputs, targets, self.path, self.rule, self.explained, size)
            score = self.explained.score(model, inputs, targets, size)
            start, end = end_scores(score, self.path.curve(inputs, 0), rows, size)
            gradients = torch.full_like(rows, len(self.rule.partition()))
            return Integral(self.carried(mean, inputs), end - start, gradients)

        return prepared(model, inputs, targets, measured)

    def passes(self, inputs: Tensor) -> int:
        """Those of the rule, a sample, and what the score takes beforehand."""
        return len(inputs) * (len(self.rule.partition()) + self.explained.passes)


@dataclass(frozen=True)
class PullBack(OfMeanGradient):
    """Integrated Gradients of a waveform model from silence, in another domain of the same waveform.

    Attributes
    ----------
    domain : Invertible
        Where the explanation lives, such as the complex STFT.
    rule, path, explained
        As of :class:`OfMeanGradient`.
    """

    domain: Invertible
    rule: Rule = MIDPOINT
    path: Amplified = FADE
    explained: Explained = LOGIT

    def carried(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)``."""
        return pulled_back(self.domain, gradient, waveforms)


@dataclass(frozen=True)
class Bandwise(OfMeanGradient):
    """A_{b,τ} = Σ over the samples n of frame τ of ḡ_n · x_b[n]: what every band of every frame is worth.

    Attributes
    ----------
    domain : ErbBands
        The bands x_b, which add up to the waveform and can each be played.
    frame_s : float
        Length of a frame.
    rule, path, explained
        As of :class:`OfMeanGradient`.
    """

    domain: ErbBands
    frame_s: float = 0.01
    rule: Rule = MIDPOINT
    path: Amplified = FADE
    explained: Explained = LOGIT

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

    def carried(self, gradient: Tensor, waveforms: Tensor) -> Tensor:
        """``(batch, 1, bands, frames)``."""
        # One clip at a time: its bands are as many times larger than the clip as there are bands.
        rows = [slice(row, row + 1) for row in range(len(waveforms))]
        return torch.cat([self._by_frame(pulled_back(self.domain, gradient[row], waveforms[row])) for row in rows])

    def _by_frame(self, attributions: Tensor) -> Tensor:
        """Sums over the samples of every frame; the last one may be shorter."""
        missing = -attributions.shape[-1] % self.frame_length
        padded = functional.pad(attributions, (0, missing))
        return padded.reshape(*padded.shape[:-1], -1, self.frame_length).sum(-1)
