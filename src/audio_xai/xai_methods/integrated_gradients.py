"""Integrated Gradients along a straight line from a stated baseline."""

from dataclasses import dataclass

from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor, nn

from audio_xai.baselines import Baseline
from audio_xai.utils.errors import UserError
from audio_xai.xai_methods.calls import explained, probe


@dataclass(frozen=True)
class IntegratedGradients:
    """(x − x₀) ⊙ ∫₀¹ ∂F(x₀ + t(x − x₀))/∂x dt by the midpoint rule (Sundararajan et al. 2017), through Captum.

    Attributes
    ----------
    baseline : Baseline
        x₀, where the path begins: silence for sound, black for images.
    steps : int
        Gradients along the path.

    Notes
    -----
    The midpoint rule because its completeness gap was the smallest at every number of steps tried, and because its
    weights sum to one, which those of Captum's trapezoid do not.
    """

    baseline: Baseline
    steps: int = 32

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise UserError(f"steps is {self.steps}; Integrated Gradients needs at least 2")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits; they sum to about F(x) − F(x₀)."""
        return explained(model, inputs, targets, self._attribute, passes_at_once=self.steps)

    def passes(self, inputs: Tensor) -> int:
        """``steps`` a sample."""
        return len(inputs) * self.steps

    def _attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        probe(model, inputs, targets)
        attributions: Tensor = CaptumIntegratedGradients(model).attribute(
            inputs, baselines=self.baseline(inputs), target=targets, n_steps=self.steps, method="riemann_middle"
        )
        return attributions
