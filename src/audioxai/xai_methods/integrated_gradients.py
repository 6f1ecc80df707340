"""Integrated Gradients along a straight line from a stated baseline."""

from dataclasses import dataclass

from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.utils.errors import UserError
from audioxai.xai_methods.path_integral import Integral, PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.quadrature import Midpoint


@dataclass(frozen=True)
class IntegratedGradients:
    """(x − x₀) ⊙ ∫₀¹ ∂F(x₀ + t(x − x₀))/∂x dt by the midpoint rule (Sundararajan et al. 2017).

    Attributes
    ----------
    baseline : Baseline
        x₀, where the path begins: silence for sound, black for images.
    steps : int
        Gradients along the path.

    Notes
    -----
    The midpoint rule because its completeness gap was the smallest at every number of steps tried, and because its
    weights sum to one, which those of the trapezoid as other libraries take it do not. Other paths, rules and scores
    are combined in :class:`audioxai.xai_methods.path_integral.PathIntegral`.
    """

    baseline: Baseline
    steps: int = 32

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise UserError(f"steps is {self.steps}; Integrated Gradients needs at least 2")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits; they sum to about F(x) − F(x₀)."""
        return self._integral()(model, inputs, targets)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap, as :meth:`PathIntegral.attribute` gives them."""
        return self._integral().attribute(model, inputs, targets, inputs_a_call)

    def passes(self, inputs: Tensor) -> int:
        """``steps`` a sample."""
        return len(inputs) * self.steps

    def _integral(self) -> PathIntegral:
        return PathIntegral(Straight(self.baseline), Midpoint(self.steps))
