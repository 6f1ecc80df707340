"""Complexity: on how few cells an explanation rests.

Idea
----
A person can hold few things in mind, so of two explanations that are equally faithful the one of fewer cells is the
better. Each metric looks at the absolute attributions alone, no model pass is needed, and none depends on their scale.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.similarity import gini
from audioxai.utils.errors import UserError


class MagnitudeMetric(PassMetric):
    """A metric of the absolute attributions alone, NaN where all are zero."""

    @abstractmethod
    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores ``(batch,)`` of absolute attributions ``(batch, cells)``, float64; of rows of zeros, anything."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:  # noqa: ARG002 (the engine's)
        """Scores within ``score_range``."""
        yield ()
        magnitudes = attributions.abs().flatten(1).double()
        return torch.where(magnitudes.amax(1) > 0, self.of(magnitudes), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """None."""
        return 0


@dataclass(frozen=True)
class Sparseness(MagnitudeMetric):
    """Gini index of the absolute attributions (Chalasani et al. 2020): 0 all alike, towards 1 all in one cell.

    Invariant to the attributions' scale, so no normalisation enters; NaN where all are zero.
    """

    title: ClassVar[str] = "sparseness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Chalasani et al. 2020; Hurley & Rickard 2009, Eq. 14"

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in [0, 1]."""
        return gini(magnitudes)


@dataclass(frozen=True)
class Complexity(MagnitudeMetric):
    """Entropy in nats of the cells' shares pᵢ = |aᵢ| / Σ|a|: 0 where one cell holds all, ln(cells) where all are alike.

    Notes
    -----
    Bhatt et al. 2020. The ceiling ln(cells) grows with the input, so compare maps of one size only.
    """

    title: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Bhatt et al. 2020"

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in [0, ln(cells)]."""
        return cast(Tensor, torch.special.entr(magnitudes / magnitudes.sum(1, keepdim=True)).sum(1))


@dataclass(frozen=True)
class EffectiveComplexity(MagnitudeMetric):
    """Share of the cells whose |attribution| exceeds a fraction of the sample's largest.

    Attributes
    ----------
    threshold : float
        Fraction of the largest magnitude, in [0, 1); 0.01 is 40 dB below the peak.

    Notes
    -----
    After Nguyen & Rodríguez Martínez 2020, who ask for the fewest top cells that fix the prediction; the usual proxy
    counts the cells above an absolute number. Here the number is relative, so a map's scale says nothing, and the count
    is a share of the input, so inputs of different sizes compare.
    """

    threshold: float = 0.01

    title: ClassVar[str] = "effective complexity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020"

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold < 1.0:
            raise UserError(f"threshold is {self.threshold}; give a fraction in [0, 1) of the largest magnitude")

    def of(self, magnitudes: Tensor) -> Tensor:
        """Scores in (0, 1]."""
        floor = self.threshold * magnitudes.amax(1, keepdim=True)
        return (magnitudes > floor).double().mean(1)
