"""Controls: attributions that explain nothing, which every method has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.utils.seeding import generator


@dataclass(frozen=True)
class RandomAttribution:
    """Standard normal noise that depends on the seed and the shape alone, the same for every sample and model."""

    seed: int = 0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions shaped like ``inputs``."""
        noise = torch.randn(inputs.shape[1:], generator=generator("random attribution", self.seed))
        return noise.to(inputs).expand_as(inputs).clone()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """None."""
        return 0


@dataclass(frozen=True)
class Energy:
    """Distance from what counts as absent, |x − x₀|: in dB the level above the floor, whatever the model does."""

    baseline: Baseline

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions ≥ 0 shaped like ``inputs``, in their unit."""
        return (inputs - self.baseline(inputs)).abs().detach()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """None."""
        return 0


@dataclass(frozen=True)
class Edges:
    """Magnitude of Sobel's gradient of the input itself: an edge detector, which knows no model."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions ≥ 0 shaped like ``inputs``, in their unit; beyond the border goes on what is there."""
        slopes = [_slope(inputs.detach(), axis) for axis in range(2, inputs.ndim)]
        return torch.stack(slopes).square().sum(0).sqrt()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """None."""
        return 0


def _slope(inputs: Tensor, along: int) -> Tensor:
    """Central difference along one axis, averaged by (1, 2, 1) along the others."""
    for axis in range(2, inputs.ndim):
        before, after = _beside(inputs, axis)
        inputs = after - before if axis == along else before + 2.0 * inputs + after
    return inputs


def _beside(inputs: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Every cell's neighbours along one axis; at the border the cell itself."""
    first, last = inputs.narrow(axis, 0, 1), inputs.narrow(axis, inputs.shape[axis] - 1, 1)
    rest = inputs.shape[axis] - 1
    before = torch.cat([first, inputs.narrow(axis, 0, rest)], axis)
    after = torch.cat([inputs.narrow(axis, 1, rest), last], axis)
    return before, after
