"""Faithfulness estimate: parts of the input removed one by one, relevance against the drop."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.drops import correlation_with_drops
from audioxai.metrics.faithfulness.ranking import (
    cell_count,
    cell_relevance,
    even_edges,
    places,
    ranks_cells,
    without_places,
)
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class FaithfulnessEstimate(PassMetric):
    """Correlation of summed relevance and the logit's drop over parts of the input, each absent by itself.

    Attributes
    ----------
    baseline : Baseline
        What absent cells hold.
    fraction : float
        Share of the input in a part: 0.01 makes 100 parts of any input that has 100 cells.
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    Alvarez-Melis & Jaakkola 2018, with cells grouped by their relevance (the most relevant 1 % is one part,
    and so on) and the target's logit, in whose unit attributions are, for their probability. Corrected against common
    implementations: the number of parts does not depend on the size of the input. NaN where all cells are equally
    relevant or no removal matters.
    """

    baseline: Baseline
    fraction: float = 0.01
    seed: int = 0

    title: ClassVar[str] = "faithfulness estimate"
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
        sums.scatter_add_(1, part, cell_relevance(attributions))
        return torch.where(ranks_cells(attributions), correlation_with_drops(sums, before, after), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """One a part and the unperturbed one, a sample."""
        return len(inputs) * len(self._edges(inputs))

    def _edges(self, inputs: Tensor) -> Tensor:
        return even_edges(cell_count(inputs), round(1 / self.fraction))
