"""Localisation: whether relevance lies where it is known to belong.

Idea
----
Where the label can only be read off some features (a planted tone, one of two digits), a mask says which; an
explanation of a model that uses them should point there.

Conventions
-----------
Masks are boolean, shaped like the inputs, True where relevance belongs. A mask that is empty or full gives NaN for that
sample. The chance level depends on the mask: relevance mass and top-k intersection of a random map are on average the
mask's share of the features, so compare methods on the same masks. No model pass is needed.

Metrics
-------
* :class:`RelevanceMass`: share of the positive relevance inside; :class:`Focus`: the same for mosaics and sequences.
* :class:`RelevanceRank`, :class:`TopKIntersection`, :class:`PointingGame`: share of the most relevant features inside.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.metrics.batch import Batch, PassMetric, masks_of
from audioxai.metrics.engine import Scoring
from audioxai.metrics.registry import metric
from audioxai.utils.errors import UserError


class LocalisationMetric(PassMetric):
    """A share of relevance, or of the most relevant features, inside the mask; of signed attributions."""

    family: ClassVar[str] = "localisation"
    needs_masks: ClassVar[bool] = True
    uses_passes: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores ``(batch,)``, float64, of relevance and mask, both ``(batch, features)``, for any mask."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]; NaN where the mask is empty or full."""
        inside = masks_of(batch, self.label)
        yield ()
        partial = inside.any(1) & ~inside.all(1)
        return torch.where(partial, self.share(attributions.flatten(1), inside), torch.nan)


@metric("relevance_mass")
@dataclass(frozen=True)
class RelevanceMass(LocalisationMetric):
    """Share of the positive relevance that lies inside the mask; NaN where no feature is positive.

    Notes
    -----
    Arras et al. 2022, of positive relevance alone, so that the share stays in [0, 1].
    """

    label: ClassVar[str] = "Relevance mass accuracy"
    short: ClassVar[str] = "Mass"
    source: ClassVar[str] = "Arras et al. 2022"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        positive = relevance.double().clamp(min=0.0)
        # Over the sum of the two parts, so that rounding cannot take the share above 1.
        within, outside = (positive * inside).sum(1), (positive * ~inside).sum(1)
        return within / (within + outside)


@metric("focus")
@dataclass(frozen=True)
class Focus(RelevanceMass):
    """Share of the positive relevance that lies in the target's parts of a mosaic or sequence of several classes.

    The formula is :class:`RelevanceMass`'s; what differs is the inputs, joined from clips or images of the target's and
    of other classes, and the mask, True throughout the target's parts. NaN where no feature is positive.

    Notes
    -----
    Arias-Duart et al. 2022, who join images two by two; clips are joined in time. Relevance spread evenly over all
    parts scores the target's share of the features, half in a sequence of two.
    """

    label: ClassVar[str] = "Focus"
    short: ClassVar[str] = ""
    source: ClassVar[str] = "Arias-Duart et al. 2022"


@metric("relevance_rank")
@dataclass(frozen=True)
class RelevanceRank(LocalisationMetric):
    """Share of the K most relevant features that lie inside a mask of K features; NaN where attributions are constant.

    Cells that tie for the last places count by the share of them inside: the mean over all ways to break the tie.

    Notes
    -----
    Arras et al. 2022.
    """

    label: ClassVar[str] = "Relevance rank accuracy"
    short: ClassVar[str] = "Rank"
    few_values: ClassVar[bool] = True
    source: ClassVar[str] = "Arras et al. 2022"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return top_share(relevance, inside, inside.sum(1))


@metric("pointing_game")
@dataclass(frozen=True)
class PointingGame(LocalisationMetric):
    """1 where the most relevant feature lies inside the mask, else 0; NaN where attributions are constant.

    Of several equal maxima the share inside counts, so that a saturated map is neither always a hit nor always a miss.

    Notes
    -----
    Zhang et al. 2018, without their tolerance of 15 pixels around the mask: widen the mask to have one.
    """

    label: ClassVar[str] = "Pointing game"
    short: ClassVar[str] = "Pointing"
    few_values: ClassVar[bool] = True
    source: ClassVar[str] = "Zhang et al. 2018"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return top_share(relevance, inside, torch.ones_like(inside[:, 0], dtype=torch.int64))


@metric("top_k_intersection")
@dataclass(frozen=True)
class TopKIntersection(LocalisationMetric):
    """Share of the most relevant features, a fraction of the input, inside the mask; NaN where attributions tie.

    Attributes
    ----------
    fraction : float
        Share of the input's features that count as most relevant, in (0, 1); at least one feature is taken. A mask
        smaller than that caps the score at mask / fraction.

    Notes
    -----
    Theiner et al. 2021, with k relative to the input (the usual 1000 features are 2 % of 224 × 224); ties as in
    :class:`RelevanceRank`.
    """

    fraction: float = 0.02

    label: ClassVar[str] = "Top-k intersection"
    few_values: ClassVar[bool] = True
    source: ClassVar[str] = "Theiner et al. 2021"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; choose a fraction in (0, 1) of the input")

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        k = max(1, round(self.fraction * relevance.shape[1]))
        return top_share(relevance, inside, torch.full_like(inside[:, 0], k, dtype=torch.int64))


def top_share(relevance: Tensor, inside: Tensor, k: Tensor) -> Tensor:
    """Expected share inside the mask of each row's k largest features, ties broken at random; NaN where all tie.

    Parameters
    ----------
    relevance, inside : Tensor
        Real and bool ``(batch, features)``.
    k : Tensor
        Integers ``(batch,)``; 0 is read as 1.
    """
    k = k.clamp(min=1)[:, None]
    threshold = relevance.sort(dim=1, descending=True).values.gather(1, k - 1)
    above, tied = relevance > threshold, relevance == threshold
    left = k[:, 0] - above.sum(1)
    hits = (above & inside).sum(1) + left * (tied & inside).sum(1).double() / tied.sum(1)
    return torch.where(relevance.amax(1) > relevance.amin(1), hits / k[:, 0], torch.nan)
