"""Localisation as Quantus 0.6.0 computes it, with one channel; full masks are scored, ties fall where a sort puts them.

Dividing by the batch's largest magnitude moves none of these scores but Focus, whose denominator has 1e-9 added.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.compat.quantus.reference import QuantusMetric, prepared
from audioxai.metrics.batch import Batch, masks_of
from audioxai.metrics.engine import Scoring
from audioxai.metrics.localisation import top_share
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class ReferenceLocalisation(QuantusMetric):
    """What these metrics have in common.

    Attributes
    ----------
    abs, normalise : bool
        Whether absolute values are taken, after division by the batch's largest magnitude.
    """

    abs: bool = False
    normalise: bool = True

    needs_masks: ClassVar[bool] = True
    uses_passes: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores ``(batch,)`` of prepared attributions and masks ``(batch, features)``."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores of the whole batch."""
        inside = masks_of(batch, self.label)
        yield ()
        relevance = prepared(attributions, normalise=self.normalise, absolute=self.abs)
        return self.of(relevance.flatten(1).double(), inside).double()


@dataclass(frozen=True)
class RelevanceMassAccuracy(ReferenceLocalisation):
    """Signed relevance inside over signed relevance in all; quirk: unbounded, for the two may cancel differently."""

    label: ClassVar[str] = "relevance mass accuracy (Quantus)"
    score_range: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    source: ClassVar[str] = "Arras et al. 2022, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Any number; NaN where the mask is empty."""
        shares = (relevance * inside).sum(1) / relevance.sum(1)
        return torch.where(inside.any(1), shares, torch.nan)


@dataclass(frozen=True)
class RelevanceRankAccuracy(ReferenceLocalisation):
    """Share of the K largest attributions inside a mask of K features."""

    label: ClassVar[str] = "relevance rank accuracy (Quantus)"
    source: ClassVar[str] = "Arras et al. 2022, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1]; NaN where the mask is empty."""
        return torch.where(inside.any(1), top_share(relevance, inside, inside.sum(1)), torch.nan)


@dataclass(frozen=True)
class PointingGame(ReferenceLocalisation):
    """Whether the largest attribution, or one of several, lies inside; quirk: an empty mask is always hit.

    The reference's option ``weighted`` is left out: there it raises for any batch.
    """

    label: ClassVar[str] = "pointing game (Quantus)"
    source: ClassVar[str] = "Zhang et al. 2018, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """0 or 1."""
        largest = relevance == relevance.amax(1, keepdim=True)
        return (inside & largest).any(1) | ~inside.any(1)


@dataclass(frozen=True)
class TopKIntersection(ReferenceLocalisation):
    """Share of the k largest attributions inside the mask.

    Attributes
    ----------
    k : int
        Quirk: a number of features whatever the input's size, which has to be larger.
    concept_influence : bool
        Divide by the mask's share of the input.
    """

    k: int = 1000
    concept_influence: bool = False

    label: ClassVar[str] = "top-k intersection (Quantus)"
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Theiner et al. 2021, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores ≥ 0, at most 1 without ``concept_influence``; NaN where the mask is empty."""
        if not 0 < self.k < relevance.shape[1]:
            raise UserError(
                f"k is {self.k} for inputs of {relevance.shape[1]} features; choose at least 1 and fewer features"
            )
        shares = top_share(relevance, inside, torch.full_like(inside[:, 0], self.k, dtype=torch.int64))
        if self.concept_influence:
            shares = shares / inside.double().mean(1)
        return torch.where(inside.any(1), shares, torch.nan)


@dataclass(frozen=True)
class Focus(ReferenceLocalisation):
    """Share of the positive relevance in the target's parts of a mosaic, given as masks (see :func:`mosaic_masks`).

    Quirk: 1e-9 is added to the positive relevance in all, so where there is none the score is 0.
    """

    label: ClassVar[str] = "focus (Quantus)"
    source: ClassVar[str] = "Arias-Duart et al. 2022, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1)."""
        positive = relevance.clamp(min=0.0)
        return (positive * inside).sum(1) / (positive.sum(1) + 1e-9)


@dataclass(frozen=True)
class AttributionLocalisation(ReferenceLocalisation):
    """Share of the absolute relevance inside the mask; the default of this is :class:`RelevanceMass`.

    Quirks: 1e-9 is added to the relevance in all; shares above 1, which signed relevance may have, are dropped; the
    weight is the mask's size by that of all samples *from the third on*, so it falls with the batch's size, and is
    infinite up to two. The reference's ``max_size`` only warns, and is left out.

    Attributes
    ----------
    weighted : bool
        Multiply by that weight.
    positive_attributions : bool
        Take negative attributions as 0.
    """

    abs: bool = True
    weighted: bool = False
    positive_attributions: bool = False

    label: ClassVar[str] = "attribution localisation (Quantus)"
    score_range: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    source: ClassVar[str] = "Kohlbrenner et al. 2020, as Quantus 0.6.0 has it"

    def of(self, relevance: Tensor, inside: Tensor) -> Tensor:
        """Scores in [0, 1) of absolute relevance without weight; NaN where the mask is empty."""
        if self.positive_attributions:
            relevance = relevance.clamp(min=0.0)
        shares = (relevance * inside).sum(1) / (relevance.sum(1) + 1e-9)
        shares = torch.where(inside.any(1) & (shares <= 1), shares, torch.nan)
        return shares * (inside.sum(1) / inside[2:].numel()) if self.weighted else shares


def mosaic_masks(inputs: Tensor, positions: Sequence[Sequence[int]]) -> Tensor:
    """Masks of mosaics of two by two images, bool, shaped like the inputs ``(batch, channels, rows, columns)``.

    Parameters
    ----------
    inputs : Tensor
        The mosaics; of an odd number of rows or columns the upper or left part is the smaller.
    positions : sequence of four numbers a sample
        Not 0 where the part shows the target: upper left, upper right, lower left, lower right.
    """
    rows, columns = inputs.shape[2:]
    lower = (torch.arange(rows) >= rows // 2).long()
    right = (torch.arange(columns) >= columns // 2).long()
    part = 2 * lower[:, None] + right
    masks = torch.as_tensor(positions).bool()[:, part]
    return masks[:, None].expand_as(inputs).to(inputs.device)
