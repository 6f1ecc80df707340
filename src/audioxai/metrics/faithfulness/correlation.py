"""Correlation of summed attribution with the drop of the logit, over random subsets or parts of the ranked input."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Responses, rounding_of
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import (
    even_edges,
    feature_count,
    feature_relevance,
    places,
    ranks_features,
    removed_inputs,
    without_places,
)
from audioxai.metrics.patterns import Patterns
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import pearson
from audioxai.utils.errors import UserError


@metric("faithfulness_correlation")
@dataclass(frozen=True)
class FaithfulnessCorrelation(PassMetric):
    """Correlation, over random subsets, of summed attribution and the drop of the logit when the subset is removed.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features.
    fraction : float
        Share of the input that a subset takes, in (0, 1).
    runs : int
        Number of subsets, at least 3.
    features : int or None
        Number of features in a subset, which takes the place of ``fraction``; None for the fraction.
    patch : int
        Side, in features, of the squares that a subset is made of; 1 for single features. Squares wrap around the
        edges of the input.
    seed : int
        Of the subsets, a function of the sample's values and the seed; methods share them.

    Notes
    -----
    Bhatt et al. 2020, Eq. 2. Corrected against common implementations: the subset is a fraction of the input, and the
    baseline is stated instead of being each sample's own minimum.
    """

    baseline: Baseline
    fraction: float = 0.1
    runs: int = 100
    patch: int = 1
    seed: int = 0
    features: int | None = None

    label: ClassVar[str] = "Faithfulness correlation"
    short: ClassVar[str] = "Faithfulness"
    family: ClassVar[str] = "faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Bhatt et al. 2020, Eq. 2"
    draws_at_random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.features is not None and self.features < 1:
            raise UserError(f"features is {self.features}; a subset has at least 1")
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; a subset has to be a fraction in (0, 1) of the input")
        if self.runs < 3:
            raise UserError(f"runs is {self.runs}; a correlation needs at least 3")
        if self.patch < 1:
            raise UserError(f"patch is {self.patch}; it has to be at least 1 feature")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]; NaN where attributions or drops do not vary."""
        subsets, after = batch.shared(self, lambda: self._removals(batch))
        before = batch.plain()
        yield [before.work, after.work]
        per_feature = attributions.sum(1, keepdim=True)
        sums = subsets.sums(per_feature, self.runs)
        # Sums of many equal numbers differ by their rounding, which is no correlation.
        varies = per_feature.flatten(1).amax(1) > per_feature.flatten(1).amin(1)
        return torch.where(varies, _correlation_with_drops(sums, before, after), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample ``runs`` and one for the unperturbed input."""
        return len(inputs) * (self.runs + 1)

    def subsets(self, inputs: Tensor) -> Patterns:
        """Random subsets ``(1, …)`` of the inputs' features, True where removed."""
        shape = tuple(inputs.shape[2:])
        return Patterns(inputs, ("faithfulness subsets", self.seed), lambda random: self._subset(shape, random))

    def _removals(self, batch: Batch) -> tuple[Patterns, Responses]:
        subsets, removed = self.subsets(batch.inputs), removed_inputs(batch, self.baseline)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            return torch.where(subsets(samples, runs), removed[samples], batch.inputs[samples])

        return subsets, batch.responses(remove, self.runs)

    def _subset(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        grid = tuple(-(-size // self.patch) for size in shape)
        chosen = max(1, round(self.fraction * math.prod(grid)) if self.features is None else self.features)
        mask = torch.zeros(math.prod(grid), dtype=torch.bool)
        mask[torch.randperm(len(mask), generator=random)[:chosen]] = True
        mask = mask.reshape(grid)
        for axis, size in enumerate(shape):
            mask = mask.repeat_interleave(self.patch, axis).narrow(axis, 0, size)
        return mask[None]


@metric("faithfulness_estimate")
@dataclass(frozen=True)
class FaithfulnessEstimate(PassMetric):
    """Correlation, over parts of the input, of summed relevance and the drop of the logit when one part is removed.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features.
    fraction : float
        Share of the input in a part, in (0, 0.5]: 0.01 makes 100 parts, or one per feature if there are fewer features.
    seed : int
        Of the order of equally relevant features, a function of the sample's values and the seed.

    Notes
    -----
    Alvarez-Melis & Jaakkola 2018, with features grouped by relevance (the most relevant 1 % is one part, and so on) and
    the target's logit, which has the unit of the attributions, in place of the probability. Corrected against common
    implementations: the number of parts does not depend on the size of the input. NaN where all features are equally
    relevant or no removal changes the logit.
    """

    baseline: Baseline
    fraction: float = 0.01
    seed: int = 0

    label: ClassVar[str] = "Faithfulness estimate"
    short: ClassVar[str] = "Estimate"
    family: ClassVar[str] = "faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 0.5:
            raise UserError(f"fraction is {self.fraction}; a part has to be a fraction in (0, 0.5] of the input")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        edges = self._edges(batch.inputs)
        place = places(batch, attributions, self.seed)
        before = batch.plain()
        after = batch.responses(without_places(batch, self.baseline, place, edges[:-1], edges[1:]), len(edges) - 1)
        yield [before.work, after.work]
        part = torch.bucketize(place, edges[1:].to(place.device), right=True)
        sums = torch.zeros(after.values.shape, dtype=torch.float64, device=place.device)
        sums.scatter_add_(1, part, feature_relevance(attributions))
        return torch.where(ranks_features(attributions), _correlation_with_drops(sums, before, after), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each part and one for the unperturbed input."""
        return len(inputs) * len(self._edges(inputs))

    def _edges(self, inputs: Tensor) -> Tensor:
        return even_edges(feature_count(inputs), round(1 / self.fraction))


def _correlation_with_drops(sums: Tensor, before: Responses, after: Responses) -> Tensor:
    """Correlation ``(batch,)`` of summed relevance ``(batch, runs)`` with the drops of the logit.

    NaN where drops differ by no more than the rounding of logits, which depends on the size of a call.
    """
    drops = before.values - after.values
    rounding = rounding_of(before.values, after.values).amax(1)
    return torch.where(drops.amax(1) - drops.amin(1) > rounding, pearson(sums, drops), torch.nan)
