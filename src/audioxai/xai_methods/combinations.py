"""Explainers made of others: their mean, and their maps smoothed."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from audioxai.baselines import blurred
from audioxai.core import Targets
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.xai_methods.path_integral import Integral, Integrating
from audioxai.xai_methods.paths import broadcast


@dataclass(frozen=True)
class MeanOf:
    """Mean of the attributions of several integrals, complete to the mean of their changes.

    Attributes
    ----------
    parts : tuple of Integrating
        Such as a fade-in from silence and lines from training references: two baselines at once.
    """

    parts: tuple[Integrating, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError("parts is empty, a mean of no explainers; give at least one")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        maps = [part(model, inputs, targets) for part in self.parts]
        return weighted_sum(self.weights(maps), maps)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Targets, internal_batch_size: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap to the mean change, and all gradients spent."""
        integrals = [part.attribute(model, inputs, targets, internal_batch_size) for part in self.parts]
        maps = [one.attributions for one in integrals]
        weights = self.weights(maps)
        change = weighted_sum(weights, [one.change for one in integrals])
        gradients = torch.stack([one.gradients for one in integrals]).sum(0)
        return Integral(weighted_sum(weights, maps), change, gradients)

    def passes(self, inputs: Tensor) -> int:
        """Those of all parts."""
        return sum(part.passes(inputs) for part in self.parts)

    @property
    def domain(self) -> Domain | None:
        """Where the attributions live if not where the inputs do: the domain of the parts."""
        return getattr(self.parts[0], "domain", None)

    def weights(self, maps: list[Tensor]) -> Tensor:
        """Weight of every part in every sample's mean, ``(parts, batch)``, with sum 1: equal weights."""
        return maps[0].new_full((len(maps), len(maps[0])), 1.0 / len(maps))


@dataclass(frozen=True)
class BalancedMean(MeanOf):
    """Weighted mean of several integrals with an equal influence on every sample: equal Σ|A|.

    Notes
    -----
    The change of the score differs from one baseline to another and from sample to sample; in a plain mean the larger
    change alone would decide the order of the features. The weights are not negative and add up to 1, so the
    mean is complete to the mean of the changes with these weights.
    """

    def weights(self, maps: list[Tensor]) -> Tensor:
        """In inverse proportion to Σ|A|; 0 for a part that is 0 everywhere."""
        sizes = torch.stack([one.flatten(1).abs().sum(1) for one in maps])
        inverse = torch.where(sizes > 0.0, 1.0 / sizes.where(sizes > 0.0, 1.0), 0.0)
        total = inverse.sum(0)
        return torch.where(total > 0.0, inverse / total.where(total > 0.0, 1.0), 1.0 / len(maps))


def weighted_sum(weights: Tensor, values: list[Tensor]) -> Tensor:
    """Σ over parts of ``weights`` ``(parts, batch)`` times values ``(batch, …)``."""
    return reduce(torch.add, (broadcast(weight, value) * value for weight, value in zip(weights, values, strict=True)))


@dataclass(frozen=True)
class Smoothed:
    """Attributions smoothed over neighbouring features by a Gaussian, which keeps their sum and so their completeness.

    Attributes
    ----------
    of : Integrating
        Whose attributions.
    sigma_cells : float
        Standard deviation along every axis, in features.
    """

    of: Integrating
    sigma_cells: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Smoothed attributions shaped like ``inputs``."""
        return self._smooth(self.of(model, inputs, targets))

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Targets, internal_batch_size: int | None = None
    ) -> Integral:
        """Smoothed attributions; change and gradients are those of the wrapped explainer."""
        integral = self.of.attribute(model, inputs, targets, internal_batch_size)
        return Integral(self._smooth(integral.attributions), integral.change, integral.gradients)

    def passes(self, inputs: Tensor) -> int:
        """Those of the wrapped explainer."""
        return self.of.passes(inputs)

    def _smooth(self, attributions: Tensor) -> Tensor:
        return blurred(attributions, attributions.new_full((len(attributions),), self.sigma_cells))
