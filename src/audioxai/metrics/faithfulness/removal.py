"""Removal in the order of relevance: the target's probability while the most relevant features go, or come, first.

Metrics
-------
* :class:`Deletion` and :class:`Insertion`: area under the curve of the probability over the share of features.
* :class:`Comprehensiveness` and :class:`Sufficiency`: mean drop of the probability without, or with only, the top.
"""

from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Responses, check_attributions
from audioxai.metrics.engine import Scoring, Work, run
from audioxai.metrics.faithfulness.ranking import (
    check_fractions,
    counts_of,
    even_edges,
    feature_count,
    places,
    ranks_features,
    without_places,
)
from audioxai.metrics.registry import metric
from audioxai.utils.errors import UserError

Tracing = Generator[Sequence[Work], None, Tensor]
ERASER_FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)


class CurveMetric(PassMetric):
    """A metric that condenses a curve, which :meth:`curve` returns for figures."""

    @abstractmethod
    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Yield the work, then return the curve ``(batch, points)``, float64."""

    def curve(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Curve ``(batch, points)``, float64; arguments and errors as in calling the metric."""
        check_attributions(inputs, attributions, self.label)
        (outcome,) = run([self.tracing(Batch(model, inputs, targets), attributions.detach())])
        return outcome.scores


@dataclass(frozen=True)
class _AreaMetric(CurveMetric):
    """What deletion and insertion have in common."""

    baseline: Baseline
    steps: int = 32
    seed: int = 0

    family: ClassVar[str] = "faithfulness"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Petsiuk et al. 2018"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; a curve needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        features = feature_count(attributions)
        fractions = even_edges(features, self.steps).to(curve) / features
        return torch.where(ranks_features(attributions), torch.trapezoid(curve, fractions), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample ``steps`` and one for the unperturbed input."""
        return len(inputs) * len(even_edges(feature_count(inputs), self.steps))

    def removals(self, batch: Batch, attributions: Tensor, first: Tensor, end: Tensor) -> Responses:
        """Probabilities without the features in the places ``first[run]`` to ``end[run]`` − 1."""
        place = places(batch, attributions, self.seed)
        return batch.responses(without_places(batch, self.baseline, place, first, end), len(first), batch.probability)


@metric("deletion")
@dataclass(frozen=True)
class Deletion(_AreaMetric):
    """Mean probability of the target while features are removed step by step, the most relevant first.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features.
    steps : int
        Parts, of about equal size, that are removed; an input with fewer features is removed feature by feature.
    seed : int
        Of the order of equally relevant features, a function of the sample's values and the seed.

    Notes
    -----
    Petsiuk et al. 2018: the area under the curve by the trapezoid rule, over the fraction of features removed, so
    that it lies in [0, 1] whatever the size of the input and the number of steps. NaN where all features are equally
    relevant.
    """

    label: ClassVar[str] = "Deletion"
    higher_is_better: ClassVar[bool] = False

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, steps + 1)`` of the target, from nothing removed to everything."""
        end = even_edges(feature_count(batch.inputs), self.steps)[1:]
        after = self.removals(batch, attributions, torch.zeros_like(end), end)
        whole = batch.plain(batch.probability)
        yield [whole.work, after.work]
        return torch.cat([whole.values, after.values], dim=1).double()


@metric("insertion")
@dataclass(frozen=True)
class Insertion(_AreaMetric):
    """Mean probability of the target while features are added to an input without any, the most relevant first.

    Attributes
    ----------
    baseline, steps, seed
        As in :class:`Deletion`.

    Notes
    -----
    Petsiuk et al. 2018; area and undefined scores as in :class:`Deletion`.
    """

    label: ClassVar[str] = "Insertion"
    higher_is_better: ClassVar[bool] = True

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, steps + 1)`` of the target, from everything removed to nothing."""
        features = feature_count(batch.inputs)
        first = even_edges(features, self.steps)[:-1]
        before = self.removals(batch, attributions, first, torch.full_like(first, features))
        whole = batch.plain(batch.probability)
        yield [before.work, whole.work]
        return torch.cat([before.values, whole.values], dim=1).double()


@dataclass(frozen=True)
class _DropMetric(PassMetric):
    """What comprehensiveness and sufficiency have in common."""

    baseline: Baseline
    fractions: tuple[float, ...] = ERASER_FRACTIONS
    seed: int = 0

    family: ClassVar[str] = "faithfulness"
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "DeYoung et al. 2020, Sec. 4"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)

    @abstractmethod
    def removed(self, top: Tensor, features: int) -> tuple[Tensor, Tensor]:
        """First place and end ``(fractions,)`` of the features that are removed, of so many top ones."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        features = feature_count(batch.inputs)
        first, end = self.removed(counts_of(self.fractions, features), features)
        remove = without_places(batch, self.baseline, places(batch, attributions, self.seed), first, end)
        whole, rest = batch.plain(batch.probability), batch.responses(remove, len(first), batch.probability)
        yield [whole.work, rest.work]
        drops = whole.values.double() - rest.values.double()
        return torch.where(ranks_features(attributions), drops.mean(1), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each fraction and one for the unperturbed input."""
        return len(inputs) * (len(self.fractions) + 1)


@metric("comprehensiveness")
@dataclass(frozen=True)
class Comprehensiveness(_DropMetric):
    """Drop of the target's probability when the most relevant features are removed, mean over shares of the input.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features.
    fractions : tuple of float
        Shares of the input, each in (0, 1).
    seed : int
        Of the order of equally relevant features, a function of the sample's values and the seed.

    Notes
    -----
    DeYoung et al. 2020 (ERASER), Sec. 4: p(x) − p(x without the top k), at 1, 5, 10, 20 and 50 %. The mean is over
    these five; the paper also counts the empty share, which adds nothing, and divides by six. NaN where all features
    are equally relevant.
    """

    label: ClassVar[str] = "Comprehensiveness"
    higher_is_better: ClassVar[bool] = True

    def removed(self, top: Tensor, features: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002 (the family's)
        """The top features."""
        return torch.zeros_like(top), top


@metric("sufficiency")
@dataclass(frozen=True)
class Sufficiency(_DropMetric):
    """Drop of the target's probability when only the most relevant features are left, mean over shares of the input.

    Attributes
    ----------
    baseline, fractions, seed
        As in :class:`Comprehensiveness`.

    Notes
    -----
    DeYoung et al. 2020 (ERASER), Sec. 4: p(x) − p(the top k alone); the rest as in :class:`Comprehensiveness`. The
    sufficiency of Dasgupta et al. 2022, which compares explanations across samples, is another notion.
    """

    label: ClassVar[str] = "Sufficiency"
    higher_is_better: ClassVar[bool] = False

    def removed(self, top: Tensor, features: int) -> tuple[Tensor, Tensor]:
        """All but the top features."""
        return top, torch.full_like(top, features)
