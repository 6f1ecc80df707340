"""Efficient model-parameter randomisation: the map of a wholly random model should be more complex."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.randomisation.cascade import cascade
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class EfficientMprt(PassMetric):
    """Relative rise (H' − H) / H of the attributions' entropy when all layers are drawn anew; high is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    bins : int
        Of the histogram over each map's own range.
    seed : int
        Of the random weights; every layer has its own.

    Notes
    -----
    Hedström et al. 2023, Eq. 4, H the entropy of the map's histogram. H is that of the given attributions, which are
    not made again. NaN where either map is constant and so has no histogram over its range.
    """

    explainer: Explainer
    bins: int = 100
    seed: int = 0

    title: ClassVar[str] = "efficient model-parameter randomisation"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, float("inf"))
    source: ClassVar[str] = "Hedström et al. 2023"

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise UserError(f"bins is {self.bins}; {self.title} needs at least 2")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ −1."""
        before = histogram_entropy(attributions, self.bins)
        after = torch.full_like(before, torch.nan)

        def take(samples: Tensor, _: Tensor, randomised: Tensor) -> None:
            after[samples] = histogram_entropy(randomised, self.bins)

        *_, model = cascade(batch.model, self.seed)
        yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return after / before - 1.0

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """One explanation a sample."""
        return self.explainer.passes(inputs)


def histogram_entropy(maps: Tensor, bins: int) -> Tensor:
    """Entropy in nats ``(batch,)`` of the histogram of each map over its own range; NaN where the map is constant."""
    flat = maps.flatten(1).double()
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    places = ((flat - low) * (bins / torch.where(high > low, high - low, 1.0))).long().clamp_(max=bins - 1)
    counts = flat.new_zeros(len(flat), bins).scatter_add_(1, places, torch.ones_like(flat))
    shares = counts / flat.shape[1]
    return torch.where((high > low)[:, 0], -torch.xlogy(shares, shares).sum(1), torch.nan)
