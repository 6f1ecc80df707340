"""Complexity: on how few features an attribution map rests.

Idea
----
People can attend to few things at once, so of two equally faithful explanations the one with fewer features is better.

Conventions
-----------
Only the absolute attributions matter, not their scale; no model pass is needed. NaN where all are zero.

Metrics
-------
* :class:`Sparseness`: Gini index.
* :class:`Complexity`: entropy.
* :class:`EffectiveComplexity`: share of the features above a threshold.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import gini
from audioxai.utils.errors import UserError


class MagnitudeMetric(PassMetric):
    """A metric of the absolute attributions alone, NaN where all are zero."""

    family: ClassVar[str] = "complexity"
    uses_passes: ClassVar[bool] = False

    @abstractmethod
    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores ``(batch,)`` of absolute attributions ``(batch, features)``, float64; rows of zeros are ignored."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:  # noqa: ARG002 (the interface)
        """Scores within ``score_range``."""
        yield ()
        magnitudes = attributions.abs().flatten(1).double()
        return torch.where(magnitudes.amax(1) > 0, self.of(magnitudes), torch.nan)


@metric("sparseness")
@dataclass(frozen=True)
class Sparseness(MagnitudeMetric):
    """Gini index of the absolute attributions (Chalasani et al. 2020): 0 all equal, towards 1 all in one feature.

    Invariant to the attributions' scale, so no normalisation enters; NaN where all are zero.
    """

    label: ClassVar[str] = "Sparseness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Chalasani et al. 2020; Hurley & Rickard 2009, Eq. 14"

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return gini(magnitudes)


@metric("complexity")
@dataclass(frozen=True)
class Complexity(MagnitudeMetric):
    """Entropy in nats of the shares pᵢ = |aᵢ| / Σ|a|: 0 where one feature has all, ln(features) where all are equal.

    Notes
    -----
    Bhatt et al. 2020. The maximum ln(features) grows with the input, so compare maps of one size only.
    """

    label: ClassVar[str] = "Complexity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Bhatt et al. 2020"

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in [0, ln(features)]."""
        return cast(Tensor, torch.special.entr(magnitudes / magnitudes.sum(1, keepdim=True)).sum(1))


@metric("effective_complexity")
@dataclass(frozen=True)
class EffectiveComplexity(MagnitudeMetric):
    """Share of the features whose |attribution| exceeds a fraction of the sample's largest.

    Attributes
    ----------
    threshold : float
        Fraction of the largest magnitude, in [0, 1); 0.01 is 40 dB below the peak.

    Notes
    -----
    After Nguyen & Rodríguez Martínez 2020, who ask for the fewest top features that fix the prediction; the usual
    proxy counts the features above an absolute number. Here the threshold is relative, so the map's scale does not
    matter, and the count is a share of the input, so that inputs of different sizes compare.
    """

    threshold: float = 0.01

    label: ClassVar[str] = "Effective complexity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    few_values: ClassVar[bool] = True
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020"

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold < 1.0:
            raise UserError(f"threshold is {self.threshold}; give a fraction in [0, 1) of the largest magnitude")

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in (0, 1]."""
        floor = self.threshold * magnitudes.amax(1, keepdim=True)
        return (magnitudes > floor).double().mean(1)
