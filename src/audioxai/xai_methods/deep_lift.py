"""DeepLift, by the rescale rule.

Idea
----
Input and reference pass through the model together. Every non-linear module then returns, instead of its gradient,
the multiplier that accounts for the whole difference of its output: Δout / Δin of each unit, and for max pooling the
difference of the maxima at the units where they lie. Linear layers keep their gradient. The attributions sum to
F(x) − F(reference) exactly; where they do not, they are refused.

Written here because Captum 0.9 loses the pooling rule where a pooling follows a ReLU directly, and overwrites instead
of adding where windows overlap; both are so in common CNNs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import target_scores
from audioxai.fused import original_passes
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.xai_methods.calls import input_gradient, require_relu_modules
from audioxai.xai_methods.path_integral import Integral, IntegralMethod, change_along
from audioxai.xai_methods.registry import METHODS

ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Softplus, nn.Sigmoid, nn.Tanh)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
# Below this difference of a unit, relative to the largest, Δout / Δin is rounding; the gradient is its limit.
SMALLEST_DIFFERENCE = 1e-6
LARGEST_GAP = 1e-2
LARGEST_SHARE = 1e-3
ROUNDINGS = 64.0


@METHODS.register(
    "deep_lift", label="DeepLift", family="backpropagation rules", complete=True, source="Shrikumar et al. 2017"
)
@dataclass(frozen=True)
class DeepLift(IntegralMethod):
    """DeepLift with the rescale rule (Shrikumar et al. 2017) against a stated baseline.

    Attributes
    ----------
    baseline : Baseline
        The reference input.

    Notes
    -----
    Max pooling as in Lundberg & Lee's DeepSHAP: f(x) − f(r) goes to the winner of whichever is larger.
    """

    baseline: Baseline

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:  # noqa: ARG002 (the change costs nothing)
        """Attributions shaped like ``inputs``, in logits, and F(x) − F(baseline), to which they add up.

        Raises
        ------
        UserError
            If a non-linearity of the model is not a module, or has no rule.
        """
        # An input and its reference pass together.
        with original_passes(model):
            parts = [
                self._attribute(model, inputs[rows].detach().requires_grad_(True), targets[rows])
                for rows in slices(len(inputs), max(1, size // 2))
            ]
        maps, changes = zip(*parts, strict=True)
        return Integral(torch.cat(maps), torch.cat(changes), torch.ones_like(targets))

    def passes(self, inputs: Tensor) -> int:
        """Two per sample, input and baseline."""
        return 2 * len(inputs)

    def _attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        require_relu_modules("DeepLift", model, inputs, targets)
        reference = self.baseline(inputs).detach()
        with _multipliers(model):
            scores = target_scores(model, torch.cat([inputs, reference]), torch.cat([targets, targets]))
            multiplier = input_gradient(scores[: len(inputs)], inputs)
        attributions = change_along(multiplier, inputs.detach() - reference).detach()
        _require_completeness(attributions, scores.detach())
        return attributions, scores[: len(inputs)].detach() - scores[len(inputs) :].detach()


@contextmanager
def _multipliers(model: nn.Module) -> Iterator[None]:
    """Inside, non-linear modules return multipliers instead of gradients."""
    hooks = []
    for module in model.modules():
        if isinstance(module, ELEMENTWISE):
            hooks.append(module.register_forward_hook(_rescale))
        elif isinstance(module, MAX_POOLS):
            hooks.append(module.register_forward_hook(_rescale_pool))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _rescale(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
    slope = _slope_of(module, arguments[0])
    rescaled: Tensor = _Rescale.apply(arguments[0], output.detach(), slope)  # type: ignore[no-untyped-call]
    return rescaled


def _rescale_pool(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
    rescaled: Tensor = _RescalePool.apply(arguments[0], output.detach(), module)  # type: ignore[no-untyped-call]
    return rescaled


def _slope_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """Derivative of an elementwise module at the first half of its inputs, zeros for the second, the references."""
    own = inputs.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        # The class's own forward, so that hooks are not run again.
        (slope,) = torch.autograd.grad(type(module).forward(module, own).sum(), own)
    return slope


class _Rescale(torch.autograd.Function):
    """Identity on the output; backward multiplies by Δout / Δin of each sample and its reference."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, output: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, output, slope)
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        inputs, output, slope = ctx.saved_tensors
        delta_in, delta_out = _difference(inputs), _difference(output)
        small = delta_in.abs() <= SMALLEST_DIFFERENCE * delta_in.abs().amax()
        secant = delta_out / torch.where(small, torch.ones_like(delta_in), delta_in)
        multiplier = torch.where(small, slope[: len(delta_in)], secant)
        return _for_samples_alone(gradients[0], multiplier * gradients[0][: len(multiplier)]), None, None


class _RescalePool(torch.autograd.Function):
    """Identity on the output; backward gives the difference of the maxima to the units where they lie."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, output: Tensor, module: nn.Module) -> Tensor:
        ctx.save_for_backward(inputs, output)
        ctx.module = module
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        inputs, output = ctx.saved_tensors
        samples, references = output.chunk(2)
        larger = torch.maximum(samples, references)
        gradient = gradients[0][: len(samples)]
        given = torch.cat([gradient * (larger - references), gradient * (samples - larger)])
        own = inputs.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            (at_winners,) = torch.autograd.grad(type(ctx.module).forward(ctx.module, own), own, given)
        at_winner_of_sample, at_winner_of_reference = at_winners.chunk(2)
        delta_in = _difference(inputs)
        # A unit that is the maximum of one side only differs between them, so nothing is lost where Δin is zero.
        multiplier = torch.where(delta_in == 0, 0.0, (at_winner_of_sample + at_winner_of_reference) / delta_in)
        return _for_samples_alone(inputs, multiplier), None, None


def _difference(both: Tensor) -> Tensor:
    samples, references = both.chunk(2)
    return samples - references


def _for_samples_alone(like: Tensor, of_samples: Tensor) -> Tensor:
    """Gradient for samples and references, zero for the latter."""
    return torch.cat([of_samples, torch.zeros_like(of_samples)]).to(like.dtype)


def _require_completeness(attributions: Tensor, scores: Tensor) -> None:
    of_samples, of_references = scores.chunk(2)
    change = of_samples - of_references
    gap = (attributions.flatten(1).sum(1) - change).abs()
    # Logits may be large while their change is small, so what is tolerated follows the change and the rounding.
    rounding = ROUNDINGS * torch.finfo(scores.dtype).eps * (of_samples.abs() + of_references.abs())
    magnitude = attributions.flatten(1).abs().sum(1)
    broken = gap > LARGEST_GAP * change.abs() + LARGEST_SHARE * magnitude + rounding
    if bool(broken.any()):
        sample = int(torch.nonzero(broken)[0, 0])
        raise UserError(
            f"DeepLift accounts for {float(attributions[sample].sum()):.4g} of a score change of "
            f"{float(change[sample]):.4g}, so the model holds a non-linearity without a rule; "
            f"make every non-linearity a module among {', '.join(kind.__name__ for kind in (*ELEMENTWISE, *MAX_POOLS))}"
        )
