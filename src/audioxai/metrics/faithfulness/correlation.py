"""Correlation of summed attribution with the drop of the logit, over random subsets or parts of the ranked input."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Perturbation, Responses, rounding_of
from audioxai.metrics.engine import Estimate, Scoring, Work
from audioxai.metrics.faithfulness.paired import FEWEST_CHOSEN, KNOWN, PairedSubsets, correlation_of_pairs
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
from audioxai.metrics.precision import check_precision, jackknife, moments, sampling
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import pearson
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError

Design = Literal["auto", "independent", "paired"]
FEWEST_PAIRED = 8
# Subsets that are drawn for themselves, or pairs of them, before a sample is first asked whether it is precise enough.
FEWEST_DRAWS = 40


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
        Number of subsets, at least 3; of no meaning with a ``precision``.
    features : int or None
        Number of features in a subset, which takes the place of ``fraction``; None for the fraction.
    patch : int
        Side, in features, of the squares that a subset is made of; 1 for single features. Squares wrap around the
        edges of the input.
    seed : int
        Of the subsets, a function of the sample's values and the seed; methods share independent ones.
    precision : float or None
        Standard error at which a sample stops, instead of a number of ``runs``; None for these.
    design : {"auto", "independent", "paired"}
        Independent subsets, or pairs of them (:mod:`~audioxai.metrics.faithfulness.paired`), which estimate the
        same correlation from fewer passes but are a method's own; subsets have to be of 200 squares or more and of half
        of the input at most, and ``runs`` even and 8 or more. ``auto``: paired where there is a ``precision`` and
        subsets are of such a size.

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
    precision: float | None = None
    design: Design = "auto"

    label: ClassVar[str] = "Faithfulness correlation"
    short: ClassVar[str] = "Faithfulness"
    family: ClassVar[str] = "faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Bhatt et al. 2020, Eq. 2"
    revision: ClassVar[int] = 3
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
        if self.design not in get_args(Design):
            raise UserError(f"design is {self.design!r}; choose {', '.join(get_args(Design))}")
        if self.design == "paired" and (self.runs < FEWEST_PAIRED or self.runs % 2):
            raise UserError(
                f"runs is {self.runs}; paired subsets come in twos, so give an even number from {FEWEST_PAIRED} on"
            )
        check_precision(self.precision)

    @property
    def states_passes(self) -> bool:  # type: ignore[override]
        """Whether :meth:`passes` is known beforehand: not with a ``precision``."""
        return self.precision is None

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse also inputs that are too small for their subsets.

        Raises
        ------
        UserError
            Naming what is wrong.
        """
        super().check(batch, attributions)
        shape = tuple(batch.inputs.shape[2:])
        chosen, count = self.chosen(batch.inputs), self.count(batch.inputs)
        if chosen > count:
            raise UserError(f"features is {chosen} but inputs of {shape} have {count}; give at most as many")
        if self.design == "paired" and not self._pairs_well(batch.inputs):
            raise UserError(
                f"a paired subset has {FEWEST_CHOSEN} squares or more and half of them at most, but one of inputs of "
                f"{shape} has {chosen} of {count}; choose the design independent"
            )

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]; NaN where attributions or drops do not vary."""
        removals = (_PairedRemovals if self.paired(batch.inputs) else _IndependentRemovals)(self, batch, attributions)
        return sampling(batch, removals, self.runs, self.precision, self._fewest_runs(batch.inputs))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample ``runs``, with a ``precision`` the fewest that it takes, and one for the unperturbed input."""
        return len(inputs) * ((self.runs if self.precision is None else self._fewest_runs(inputs)) + 1)

    def paired(self, inputs: Tensor) -> bool:
        """Whether the subsets of these inputs are paired."""
        if self.design == "auto":
            return self.precision is not None and self._pairs_well(inputs)
        return self.design == "paired"

    def count(self, inputs: Tensor) -> int:
        """Squares, or single features, of an input."""
        return math.prod(_grid(tuple(inputs.shape[2:]), self.patch))

    def chosen(self, inputs: Tensor) -> int:
        """Squares, or single features, of a subset."""
        return max(1, round(self.fraction * self.count(inputs))) if self.features is None else self.features

    def _pairs_well(self, inputs: Tensor) -> bool:
        return FEWEST_CHOSEN <= self.chosen(inputs) <= self.count(inputs) / 2

    def _fewest_runs(self, inputs: Tensor) -> int:
        return FEWEST_DRAWS * (2 if self.paired(inputs) else 1)

    def subsets(self, batch: Batch, first: int = 0, end: int | None = None) -> Patterns:
        """Random subsets ``(1, …)`` of the inputs' features, True where removed, of the runs ``first`` to ``end`` − 1.

        All ``runs`` if not given.
        """
        numbers, chosen = self.squares(batch), self.chosen(batch.inputs)

        def draw(streams: Streams) -> Tensor:
            return streams.subsets(int(numbers.max()) + 1, chosen)[:, None, numbers]

        end = self.runs if end is None else end
        return Patterns(batch, ("faithfulness subsets", self.seed), end - first, draw, first)

    def squares(self, batch: Batch) -> Tensor:
        """Number of the square of each feature, shaped like an input's features, before the samples' shifts."""
        shape = tuple(batch.inputs.shape[2:])
        grid = _grid(shape, self.patch)
        numbers = torch.arange(math.prod(grid), device=batch.inputs.device).reshape(grid)
        for axis, size in enumerate(shape):
            numbers = numbers.repeat_interleave(self.patch, axis).narrow(axis, 0, size)
        return numbers


def _grid(shape: tuple[int, ...], patch: int) -> tuple[int, ...]:
    """Squares along each axis; the last may be cut off."""
    return tuple(-(-size // patch) for size in shape)


@dataclass(frozen=True, eq=False)
class _Removals(ABC):
    """Responses of a batch to the removal of subsets, with the attributions' sums over them.

    Attributes
    ----------
    metric, batch, attributions
        As of :meth:`FaithfulnessCorrelation.scoring`.
    """

    metric: FaithfulnessCorrelation
    batch: Batch
    attributions: Tensor

    @abstractmethod
    def removed(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[Responses, Callable[[], Tensor]]:
        """Responses of the samples ``rows``, which are ``part``, and what is known of the subsets.

        That is ``(rows, end − first, several)``, the sums first.
        """

    @abstractmethod
    def correlation(self, known: Tensor, drops: Tensor) -> Estimate:
        """Correlations and standard errors ``(n,)`` from ``(n, runs, several)`` and ``(n, runs)``."""

    def draw(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[list[Work], Callable[[], Tensor]]:
        """Removals ``first`` to ``end`` − 1, which yield what is known of subsets, then responses, along axis 2."""
        before = self.batch.plain()
        after, known = self.removed(part, rows, first, end)
        works = [before.work, after.work] if first == 0 else [after.work]
        return works, lambda: torch.cat([known(), after.values.double()[..., None]], dim=-1)

    def estimate(self, rows: Tensor, numbers: Tensor) -> Estimate:
        """Correlations; NaN where attributions or drops do not vary."""
        before = self.batch.plain().values[rows]
        known, after = numbers[..., :-1], numbers[..., -1].to(before.dtype)
        found = self.correlation(known, before - after)
        per_feature = self.attributions[rows].sum(1).flatten(1)
        # Sums of many equal numbers differ by their rounding, which is no correlation.
        varies = (per_feature.amax(1) > per_feature.amin(1)) & _drops_vary(before, after)
        return Estimate(*(torch.where(varies, each, torch.nan) for each in (found.scores, found.standard_errors)))

    def remove(self, part: Batch, subsets: Perturbation, runs: int) -> Responses:
        """Responses to the removal of subsets ``(pairs, 1, …)``, True where removed, of samples and runs."""
        removed = removed_inputs(part, self.metric.baseline)

        def perturbed(samples: Tensor, runs: Tensor) -> Tensor:
            return torch.where(subsets(samples, runs), removed[samples], part.inputs[samples])

        return part.responses(perturbed, runs)


@dataclass(frozen=True, eq=False)
class _IndependentRemovals(_Removals):
    """Removals of subsets that are drawn for themselves; methods of one batch share them."""

    def removed(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[Responses, Callable[[], Tensor]]:
        """Sums are computed for all runs together, once these are done."""

        def make() -> tuple[Patterns, Responses]:
            subsets = self.metric.subsets(part, first, end)
            return subsets, self.remove(part, subsets, end - first)

        subsets, after = part.shared((self.metric, first, end), make)
        return after, lambda: subsets.sums(self.attributions[rows].sum(1, keepdim=True))[..., None]

    def correlation(self, known: Tensor, drops: Tensor) -> Estimate:
        """Pearson's, with an error from four runs on: two of three runs always correlate fully."""
        sums = known[..., 0]
        scores, errors = pearson(sums, drops), jackknife(*moments(sums, drops.double())).standard_errors
        return Estimate(scores, errors if sums.shape[1] > 3 else torch.full_like(errors, torch.nan))


@dataclass(frozen=True, eq=False)
class _PairedRemovals(_Removals):
    """Removals of paired subsets."""

    @cached_property
    def subsets(self) -> PairedSubsets:
        """Those of the whole batch."""
        return PairedSubsets.of(
            self.metric.squares(self.batch),
            self.metric.subsets(self.batch).offsets,
            feature_relevance(self.attributions),
            self.metric.chosen(self.batch.inputs),
            ("paired subsets", self.metric.seed),
        )

    def removed(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[Responses, Callable[[], Tensor]]:
        """Of a subset all is known once it is made."""
        known = torch.full((len(rows), end - first, KNOWN), torch.nan, dtype=torch.float64, device=rows.device)

        def subsets(samples: Tensor, runs: Tensor) -> Tensor:
            chosen, known[samples, runs] = self.subsets(rows[samples], runs + first)
            return chosen.reshape(-1, 1, *part.inputs.shape[2:])

        return self.remove(part, subsets, end - first), lambda: known

    def correlation(self, known: Tensor, drops: Tensor) -> Estimate:
        """That of pairs."""
        return correlation_of_pairs(known, drops.double())


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
        varies = ranks_features(attributions) & _drops_vary(before.values, after.values)
        return torch.where(varies, pearson(sums, before.values - after.values), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each part and one for the unperturbed input."""
        return len(inputs) * len(self._edges(inputs))

    def _edges(self, inputs: Tensor) -> Tensor:
        return even_edges(feature_count(inputs), round(1 / self.fraction))


def _drops_vary(before: Tensor, after: Tensor) -> Tensor:
    """Whether drops of the logit ``(batch, runs)`` differ by more than its rounding, which depends on a call's size."""
    drops = before - after
    return drops.amax(1) - drops.amin(1) > rounding_of(before, after).amax(1)
