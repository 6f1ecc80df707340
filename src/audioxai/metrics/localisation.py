"""Localisation: whether relevance lies where it is known to belong.

Idea
----
Where the clip was made so that its label can only be read off some cells (a planted tone, one of two digits), a mask
says which; an explanation of a model that found them should point there.

Conventions
-----------
Masks are boolean, shaped like the inputs, True where relevance belongs. A mask that is empty or full asks nothing: NaN
for that sample. Scores have no common chance level: relevance mass and top-k intersection of a random map expect the
mask's share of the cells, so compare methods on the same masks.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.utils.errors import UserError


class LocalisationMetric(PassMetric):
    """A share of relevance, or of the most relevant cells, inside the mask; signed attributions, no model pass."""

    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores ``(batch,)``, float64, of relevance and mask, both ``(batch, cells)``; of any mask whatsoever."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]; NaN where the mask is empty or full."""
        inside = masks_of(batch, self.title)
        yield ()
        partial = inside.any(1) & ~inside.all(1)
        return torch.where(partial, self.share(attributions.flatten(1), inside), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """None."""
        return 0


@dataclass(frozen=True)
class RelevanceMass(LocalisationMetric):
    """Share of the positive relevance that lies inside the mask; NaN where no cell is positive.

    Notes
    -----
    Arras et al. 2022, of positive relevance alone, so that the share stays in [0, 1].
    """

    title: ClassVar[str] = "relevance mass"
    source: ClassVar[str] = "Arras et al. 2022"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        positive = relevance.double().clamp(min=0.0)
        # Over the sum of the two parts, so that rounding cannot take the share above 1.
        within, outside = (positive * inside).sum(1), (positive * ~inside).sum(1)
        return within / (within + outside)


@dataclass(frozen=True)
class Focus(RelevanceMass):
    """Share of the positive relevance that lies in the target's parts of a mosaic or sequence of several classes.

    The formula is :class:`RelevanceMass`'s; what differs is the inputs, joined from clips or images of the target's and
    of other classes, and the mask, True all over the target's parts. NaN where no cell is positive.

    Notes
    -----
    Arias-Duart et al. 2022, who join images two by two; clips are joined in time. Relevance spread evenly over all
    parts scores the target's share of the cells, half in a sequence of two.
    """

    title: ClassVar[str] = "focus"
    source: ClassVar[str] = "Arias-Duart et al. 2022"


@dataclass(frozen=True)
class RelevanceRank(LocalisationMetric):
    """Share of the K most relevant cells that lie inside a mask of K cells; NaN where attributions are constant.

    Cells that tie for the last places count by the share of them inside: the mean over all ways to break the tie.

    Notes
    -----
    Arras et al. 2022.
    """

    title: ClassVar[str] = "relevance rank"
    source: ClassVar[str] = "Arras et al. 2022"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return top_share(relevance, inside, inside.sum(1))


@dataclass(frozen=True)
class PointingGame(LocalisationMetric):
    """1 where the most relevant cell lies inside the mask, else 0; NaN where attributions are constant.

    Of several equal maxima the share inside counts, so that a saturated map is neither always right nor always wrong.

    Notes
    -----
    Zhang et al. 2018, without their tolerance of 15 pixels around the mask: widen the mask to have one.
    """

    title: ClassVar[str] = "pointing game"
    source: ClassVar[str] = "Zhang et al. 2018"

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return top_share(relevance, inside, torch.ones_like(inside[:, 0], dtype=torch.int64))


@dataclass(frozen=True)
class TopKIntersection(LocalisationMetric):
    """Share of the most relevant cells, a fraction of the input, inside the mask; NaN where attributions are constant.

    Attributes
    ----------
    fraction : float
        Share of the input's cells that count as most relevant, in (0, 1); at least one cell is taken. A mask smaller
        than that caps the score at mask / fraction.

    Notes
    -----
    Theiner et al. 2021, with k relative to the input (the usual 1000 cells are 2 % of 224 × 224); ties as in
    :class:`RelevanceRank`.
    """

    fraction: float = 0.02

    title: ClassVar[str] = "top-k intersection"
    source: ClassVar[str] = "Theiner et al. 2021"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; choose a fraction in (0, 1) of the input")

    def share(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        k = max(1, round(self.fraction * relevance.shape[1]))
        return top_share(relevance, inside, torch.full_like(inside[:, 0], k, dtype=torch.int64))


def masks_of(batch: Batch, metric: str) -> Tensor:
    """The batch's masks, bool ``(batch, cells)``.

    Raises
    ------
    UserError
        If there are none, or they are not boolean and shaped like the inputs.
    """
    masks = batch.masks
    if masks is None or masks.dtype != torch.bool or masks.shape != batch.inputs.shape:
        given = "no masks" if masks is None else f"masks of {masks.dtype} and shape {tuple(masks.shape)}"
        raise UserError(
            f"{metric} got {given} for inputs of {tuple(batch.inputs.shape)}; "
            "give boolean masks shaped like the inputs, True where relevance belongs"
        )
    return masks.to(batch.inputs.device).flatten(1)


def top_share(relevance: Tensor, inside: Tensor, k: Tensor) -> Tensor:
    """Expected share inside the mask of each row's k largest cells, ties broken at random; NaN where all cells tie.

    Parameters
    ----------
    relevance, inside : Tensor
        Real and bool ``(batch, cells)``.
    k : Tensor
        Integers ``(batch,)``; 0 is read as 1.
    """
    k = k.clamp(min=1)[:, None]
    threshold = relevance.sort(dim=1, descending=True).values.gather(1, k - 1)
    above, tied = relevance > threshold, relevance == threshold
    left = k[:, 0] - above.sum(1)
    hits = (above & inside).sum(1) + left * (tied & inside).sum(1).double() / tied.sum(1)
    return torch.where(relevance.amax(1) > relevance.amin(1), hits / k[:, 0], torch.nan)
