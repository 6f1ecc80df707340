"""Controls: attributions that do not depend on the model, which every method has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence
from audioxai.core import Targets
from audioxai.domains import Domain
from audioxai.utils.seeding import generator
from audioxai.xai_methods.calls import check_inputs
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.quadrature import Right
from audioxai.xai_methods.registry import METHODS


@METHODS.register(
    "grad_x_level",
    label="Gradient × level (control)",
    family="controls",
    role="control",
    complete=True,
    source="one node of Integrated Gradients",
)
def grad_x_level(domain: Domain) -> PathIntegral:
    """Gradient at the input times the level above silence: Integrated Gradients by one node, hardly complete."""
    return PathIntegral(Straight(Silence(domain)), Right(1))


@METHODS.register("random", label="Random (control)", family="controls", role="control", gradients=False)
@dataclass(frozen=True)
class RandomAttribution:
    """Standard normal noise that depends on the seed and the shape alone, the same for every sample and model."""

    seed: int = 0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions shaped like ``inputs``."""
        check_inputs(inputs, targets)
        random = generator("random attribution", self.seed)
        noise = torch.randn(inputs.shape[1:], generator=random, dtype=torch.float32)
        return noise.to(inputs.real if inputs.is_complex() else inputs).expand_as(inputs).clone()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """0."""
        return 0


@dataclass(frozen=True)
class Energy:
    """Distance from the baseline, |x − x₀|: in dB the level above the floor."""

    baseline: Baseline

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions ≥ 0 shaped like ``inputs``, in their unit."""
        check_inputs(inputs, targets)
        return (inputs - self.baseline(inputs)).abs().detach()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """0."""
        return 0


@METHODS.register("energy", label="Energy (control)", family="controls", role="control", gradients=False)
def energy(domain: Domain) -> Energy:
    """Level above silence."""
    return Energy(Silence(domain))


@METHODS.register(
    "edges",
    label="Edges (control)",
    family="controls",
    role="control",
    source="Adebayo et al. 2018",
    gradients=False,
)
@dataclass(frozen=True)
class Edges:
    """Magnitude of Sobel's gradient of the input itself: an edge detector."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions ≥ 0 shaped like ``inputs``, in their unit; borders are continued by their own values."""
        check_inputs(inputs, targets)
        values = inputs.detach().abs() if inputs.is_complex() else inputs.detach()
        slopes = [_slope(values, axis) for axis in range(2, inputs.ndim)]
        return torch.stack(slopes).square().sum(0).sqrt()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """0."""
        return 0


def _slope(inputs: Tensor, along: int) -> Tensor:
    """Central difference along one axis, averaged by (1, 2, 1) along the others."""
    for axis in range(2, inputs.ndim):
        before, after = _neighbours(inputs, axis)
        inputs = after - before if axis == along else before + 2.0 * inputs + after
    return inputs


def _neighbours(inputs: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Neighbours of every feature along one axis; at the border the feature itself."""
    first, last = inputs.narrow(axis, 0, 1), inputs.narrow(axis, inputs.shape[axis] - 1, 1)
    rest = inputs.shape[axis] - 1
    before = torch.cat([first, inputs.narrow(axis, 0, rest)], axis)
    after = torch.cat([inputs.narrow(axis, 1, rest), last], axis)
    return before, after
