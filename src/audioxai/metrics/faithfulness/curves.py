"""Deletion and insertion: the target's probability while the most relevant cells go, or come, first."""

from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, check_attributions, target_probability
from audioxai.metrics.engine import Scoring, Work, run
from audioxai.metrics.faithfulness.ranking import cell_count, even_edges, places, ranks_cells, without_places
from audioxai.utils.errors import UserError

Tracing = Generator[Sequence[Work], None, Tensor]


class CurveMetric(PassMetric):
    """A metric that condenses a curve; the curve itself is there for figures."""

    @abstractmethod
    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Yield the work, then return the curve ``(batch, points)``, float64."""

    def curve(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Curve ``(batch, points)``, float64, of every sample; arguments and errors as in calling the metric."""
        check_attributions(inputs, attributions, self.title)
        (outcome,) = run([self.tracing(Batch(model, inputs, targets), attributions.detach())])
        return outcome.scores


@dataclass(frozen=True)
class Deletion(CurveMetric):
    """Mean probability of the target while cells are made absent step by step, the most relevant first.

    Attributes
    ----------
    baseline : Baseline
        What absent cells hold.
    steps : int
        Parts, as equal as can be, in which the input goes; an input of fewer cells goes cell by cell.
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    Petsiuk et al. 2018: the area under the curve by the trapezoid rule, over the fraction of cells gone, so
    that it lies in [0, 1] whatever the size of the input and the number of steps. NaN where all cells are equally
    relevant.
    """

    baseline: Baseline
    steps: int = 32
    seed: int = 0

    title: ClassVar[str] = "deletion"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Petsiuk et al. 2018"

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        return _area(curve, attributions, self.steps)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, steps + 1)`` of the target, from nothing absent to everything."""
        gone = even_edges(cell_count(batch.inputs), self.steps)[1:]
        place = places(batch, attributions, self.seed)
        remove = without_places(batch, self.baseline, place, torch.zeros_like(gone), gone)
        whole, after = batch.plain(target_probability), batch.responses(remove, len(gone), target_probability)
        yield [whole.work, after.work]
        return torch.cat([whole.values, after.values], dim=1).double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``steps`` and the unperturbed one, a sample."""
        return len(inputs) * len(even_edges(cell_count(inputs), self.steps))


@dataclass(frozen=True)
class Insertion(CurveMetric):
    """Mean probability of the target while cells come into an input that had none, the most relevant first.

    Attributes
    ----------
    baseline : Baseline
        What absent cells hold.
    steps : int
        Parts, as equal as can be, in which the input comes; an input of fewer cells comes cell by cell.
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    Petsiuk et al. 2018; area and undefined scores as in :class:`Deletion`.
    """

    baseline: Baseline
    steps: int = 32
    seed: int = 0

    title: ClassVar[str] = "insertion"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Petsiuk et al. 2018"

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        return _area(curve, attributions, self.steps)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, steps + 1)`` of the target, from everything absent to nothing."""
        cells = cell_count(batch.inputs)
        there = even_edges(cells, self.steps)[:-1]
        place = places(batch, attributions, self.seed)
        remove = without_places(batch, self.baseline, place, there, torch.full_like(there, cells))
        before, whole = batch.responses(remove, len(there), target_probability), batch.plain(target_probability)
        yield [before.work, whole.work]
        return torch.cat([before.values, whole.values], dim=1).double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``steps`` and the unperturbed one, a sample."""
        return len(inputs) * len(even_edges(cell_count(inputs), self.steps))


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise UserError(f"steps is {steps}; a curve needs at least 1")


def _area(curve: Tensor, attributions: Tensor, steps: int) -> Tensor:
    cells = cell_count(attributions)
    fractions = even_edges(cells, steps).to(curve) / cells
    return torch.where(ranks_cells(attributions), torch.trapezoid(curve, fractions), torch.nan)
