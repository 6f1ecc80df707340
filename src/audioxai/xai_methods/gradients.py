"""Explanations from one gradient: saliency and input × gradient."""

from dataclasses import dataclass

from torch import Tensor, nn

from audioxai.core import target_scores
from audioxai.xai_methods.calls import explained, input_gradient


@dataclass(frozen=True)
class Saliency:
    """Absolute gradient of the target's logit, |∂F/∂x| (Simonyan et al. 2014)."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions ≥ 0 shaped like ``inputs``, in logits per unit of the input."""
        return explained(model, inputs, targets, _saliency)

    def passes(self, inputs: Tensor) -> int:
        """One a sample."""
        return len(inputs)


@dataclass(frozen=True)
class InputXGradient:
    """Input times gradient, x ⊙ ∂F/∂x (Shrikumar et al. 2016); zero wherever the input is zero in its own unit."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        return explained(model, inputs, targets, _input_x_gradient)

    def passes(self, inputs: Tensor) -> int:
        """One a sample."""
        return len(inputs)


def _saliency(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return input_gradient(target_scores(model, inputs, targets), inputs).abs()


def _input_x_gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return inputs * input_gradient(target_scores(model, inputs, targets), inputs)
