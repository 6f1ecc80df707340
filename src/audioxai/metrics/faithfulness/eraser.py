"""Comprehensiveness and sufficiency: what the most relevant cells take with them, and what they carry alone."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Responses, target_probability
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import (
    cell_count,
    check_fractions,
    counts_of,
    places,
    ranks_cells,
    without_places,
)

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Comprehensiveness(PassMetric):
    """Drop of the target's probability when the most relevant cells are absent, mean over shares of the input.

    Attributes
    ----------
    baseline : Baseline
        What absent cells hold.
    fractions : tuple of float
        Shares of the input, each in (0, 1).
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    DeYoung et al. 2020 (ERASER), Sec. 4: p(x) − p(x without the top k), at 1, 5, 10, 20 and 50 %. The mean is over
    these five; the paper also counts the empty share, which adds nothing and divides by six. NaN where all cells are
    equally relevant.
    """

    baseline: Baseline
    fractions: tuple[float, ...] = BINS
    seed: int = 0

    title: ClassVar[str] = "comprehensiveness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "DeYoung et al. 2020, Sec. 4"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        top = counts_of(self.fractions, cell_count(batch.inputs))
        place = places(batch, attributions, self.seed)
        remove = without_places(batch, self.baseline, place, torch.zeros_like(top), top)
        whole, rest = batch.plain(target_probability), batch.responses(remove, len(top), target_probability)
        yield [whole.work, rest.work]
        return _mean_drop(whole, rest, attributions)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """One a fraction and the unperturbed one, a sample."""
        return len(inputs) * (len(self.fractions) + 1)


@dataclass(frozen=True)
class Sufficiency(PassMetric):
    """Drop of the target's probability when the most relevant cells alone are left, mean over shares of the input.

    Attributes
    ----------
    baseline : Baseline
        What absent cells hold.
    fractions : tuple of float
        Shares of the input, each in (0, 1).
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    DeYoung et al. 2020 (ERASER), Sec. 4: p(x) − p(the top k alone); the rest as in :class:`Comprehensiveness`. The
    sufficiency of Dasgupta et al. 2022, which compares explanations across samples, is another notion.
    """

    baseline: Baseline
    fractions: tuple[float, ...] = BINS
    seed: int = 0

    title: ClassVar[str] = "sufficiency"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "DeYoung et al. 2020, Sec. 4"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        cells = cell_count(batch.inputs)
        top = counts_of(self.fractions, cells)
        place = places(batch, attributions, self.seed)
        remove = without_places(batch, self.baseline, place, top, torch.full_like(top, cells))
        whole, alone = batch.plain(target_probability), batch.responses(remove, len(top), target_probability)
        yield [whole.work, alone.work]
        return _mean_drop(whole, alone, attributions)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """One a fraction and the unperturbed one, a sample."""
        return len(inputs) * (len(self.fractions) + 1)


def _mean_drop(whole: Responses, left: Responses, attributions: Tensor) -> Tensor:
    drops = whole.values.double() - left.values.double()
    return torch.where(ranks_cells(attributions), drops.mean(1), torch.nan)
