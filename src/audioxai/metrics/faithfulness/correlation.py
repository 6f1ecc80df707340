"""Faithfulness correlation: removals at random, summed attribution against the drop."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Responses
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.drops import correlation_with_drops
from audioxai.metrics.faithfulness.ranking import absent_cells
from audioxai.metrics.patterns import Patterns
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class FaithfulnessCorrelation(PassMetric):
    """Correlation over random subsets of summed attribution and the logit's drop when the subset is removed.

    Attributes
    ----------
    baseline : Baseline
        What removed cells are set to.
    fraction : float
        Share of the input that a subset takes, so that small and large inputs compare.
    runs : int
        Number of subsets.
    patch : int
        Side in cells of the squares that a subset is made of; 1 for single cells. A square that reaches over one edge
        of the input comes in again at the opposite one.
    seed : int
        Of the subsets. Every sample has its own, a function of its values and the seed, so the score does not depend on
        batch or order, and methods are compared on the same removals.

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

    title: ClassVar[str] = "faithfulness correlation"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Bhatt et al. 2020, Eq. 2"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; a subset has to be a fraction in (0, 1) of the input")
        if self.runs < 3:
            raise UserError(f"runs is {self.runs}; a correlation needs at least 3")
        if self.patch < 1:
            raise UserError(f"patch is {self.patch}; it has to be at least 1 cell")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]; NaN where attributions or drops do not vary. All methods share the removals."""
        subsets, after = batch.shared(self, lambda: self._removals(batch))
        before = batch.plain()
        yield [before.work, after.work]
        per_cell = attributions.sum(1, keepdim=True)
        sums = subsets.sums(per_cell, self.runs)
        # Sums of many equal numbers differ by their rounding, which is no correlation.
        varies = per_cell.flatten(1).amax(1) > per_cell.flatten(1).amin(1)
        return torch.where(varies, correlation_with_drops(sums, before, after), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``runs`` and the unperturbed one, a sample."""
        return len(inputs) * (self.runs + 1)

    def subsets(self, inputs: Tensor) -> Patterns:
        """Random subsets ``(1, …)`` of the inputs' cells, True where removed."""
        shape = tuple(inputs.shape[2:])
        return Patterns(inputs, ("faithfulness subsets", self.seed), lambda random: self._subset(shape, random))

    def _removals(self, batch: Batch) -> tuple[Patterns, Responses]:
        subsets, absent = self.subsets(batch.inputs), absent_cells(batch, self.baseline)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            return torch.where(subsets(samples, runs), absent[samples], batch.inputs[samples])

        return subsets, batch.responses(remove, self.runs)

    def _subset(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        grid = tuple(-(-size // self.patch) for size in shape)
        chosen = max(1, round(self.fraction * math.prod(grid)))
        mask = torch.zeros(math.prod(grid), dtype=torch.bool)
        mask[torch.randperm(len(mask), generator=random)[:chosen]] = True
        mask = mask.reshape(grid)
        for axis, size in enumerate(shape):
            mask = mask.repeat_interleave(self.patch, axis).narrow(axis, 0, size)
        return mask[None]
