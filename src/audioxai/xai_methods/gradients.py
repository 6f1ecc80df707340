"""Methods from gradients at the input or near it: saliency, input × gradient, SmoothGrad."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Targets, target_scores
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import attribute_in_calls, input_gradient, prepared, require_finite, require_real
from audioxai.xai_methods.path_integral import call_size, change_along, path_sum
from audioxai.xai_methods.paths import Line, with_noise
from audioxai.xai_methods.quadrature import Midpoint
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import LOGIT, TargetScore

# Standard deviation of the noise on inputs as a share of the domain's range: 4 dB of 80 dB.
NOISE_SHARE = 0.05


@METHODS.register("saliency", label="Saliency", family="gradients", source="Simonyan et al. 2014")
@dataclass(frozen=True)
class Saliency:
    """Absolute gradient of the target's logit, |∂F/∂x| (Simonyan et al. 2014).

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    >>> Saliency()(model, torch.ones(1, 1, 2, 3), torch.tensor([1])).shape
    torch.Size([1, 1, 2, 3])
    """

    of_input_gradients: ClassVar[bool] = True

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ≥ 0 shaped like ``inputs``, in logits per unit of the input."""
        return attribute_in_calls(model, inputs, targets, _saliency)

    def passes(self, inputs: Tensor) -> int:
        """One per sample."""
        return len(inputs)


@METHODS.register("input_x_gradient", label="Input × gradient", family="gradients", source="Shrikumar et al. 2016")
@dataclass(frozen=True)
class InputXGradient:
    """Input times gradient, x ⊙ ∂F/∂x (Shrikumar et al. 2016); zero wherever the input is zero in its own unit."""

    of_input_gradients: ClassVar[bool] = True

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        return attribute_in_calls(model, inputs, targets, _input_x_gradient)

    def passes(self, inputs: Tensor) -> int:
        """One per sample."""
        return len(inputs)


def _saliency(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return input_gradient(target_scores(model, inputs, targets), inputs).abs()


def _input_x_gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return change_along(input_gradient(target_scores(model, inputs, targets), inputs), inputs.detach())


@dataclass(frozen=True)
class SmoothGrad:
    """Mean gradient of the score at the input with noise added, signed (Smilkov et al. 2017).

    Attributes
    ----------
    noise_std : float
        Standard deviation of the noise, in the inputs' unit.
    draws : int
        Gradients per sample.
    score : TargetScore
        The score that is explained.
    seed : int
        Of the noise, which each sample has its own of.
    """

    noise_std: float
    draws: int = 32
    score: TargetScore = LOGIT
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.noise_std > 0.0 or self.draws < 1:
            raise UserError(
                f"noise_std is {self.noise_std} and draws is {self.draws}; give a positive one and at least 1 draw"
            )

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs``, in logits per unit of the input."""
        return prepared(model, inputs, targets, self._mean)

    def passes(self, inputs: Tensor) -> int:
        """``draws`` per sample, and what the score takes beforehand."""
        return len(inputs) * (self.draws + self.score.passes)

    def _mean(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        require_real("SmoothGrad", inputs)
        size, rows = call_size(inputs, model), torch.arange(len(inputs), device=inputs.device)
        score = self.score.of(model, inputs, targets, size)
        unit, one_node = Line(torch.zeros_like(inputs), torch.ones_like(inputs)), Midpoint(1).partition()
        total = torch.zeros_like(inputs)
        for draw in range(self.draws):
            point = with_noise(inputs, self.noise_std, self.seed, draw)
            total += path_sum(score, Line(point, point), rows, one_node, size, steps_of=unit)
        require_finite(total)
        return total / self.draws


@METHODS.register(
    "smooth_grad", label="SmoothGrad", family="peers", role="peer", source="Smilkov et al. 2017", revision=2
)
def smooth_grad(domain: Domain, gradients: int = 32, seed: int = 0) -> SmoothGrad:
    """SmoothGrad with noise of a twentieth of the domain's range."""
    return SmoothGrad(noise_std(domain), gradients, seed=seed)


def noise_std(domain: Domain) -> float:
    """Standard deviation of noise on inputs of a domain, in their unit."""
    low, high = domain.value_range
    return NOISE_SHARE * (high - low)
