"""Complexity as Quantus 0.6.0 computes it.

Quirk of all three: attributions are divided by the largest magnitude of the whole batch, which moves every number that
is then added to them or compared with them.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from audioxai.compat.quantus.reference import QuantusMetric, prepared
from audioxai.metrics import similarity
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring


@dataclass(frozen=True)
class ReferenceComplexity(QuantusMetric):
    """What the three have in common.

    Attributes
    ----------
    abs, normalise : bool
        Whether absolute values are taken, after division by the batch's largest magnitude.
    """

    abs: bool = True
    normalise: bool = True

    uses_passes: ClassVar[bool] = False

    @abstractmethod
    def of(self, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)`` of prepared attributions ``(batch, features)``."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:  # noqa: ARG002 (the interface)
        """Scores of the whole batch."""
        yield ()
        return self.of(prepared(attributions, normalise=self.normalise, absolute=self.abs).flatten(1)).double()


@dataclass(frozen=True)
class Sparseness(ReferenceComplexity):
    """Gini index; quirk: 1e-7 is added to every normalised magnitude."""

    label: ClassVar[str] = "sparseness (Quantus)"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Chalasani et al. 2020, as Quantus 0.6.0 has it"

    def of(self, attributions: Tensor) -> Tensor:
        """Scores in [0, 1], of magnitudes."""
        return similarity.gini(attributions + 1e-7)


@dataclass(frozen=True)
class Complexity(ReferenceComplexity):
    """Entropy in nats of the fractional contributions; quirk: 1e-12 is added under the logarithm."""

    label: ClassVar[str] = "complexity (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1e-12, float("inf"))
    source: ClassVar[str] = "Bhatt et al. 2020, as Quantus 0.6.0 has it"

    def of(self, attributions: Tensor) -> Tensor:
        """Scores in [0, ln(features)] up to the 1e-12; NaN where attributions are all zero, or any negative."""
        shares = attributions.double() / attributions.double().abs().sum(1, keepdim=True)
        return -(shares * (shares + 1e-12).log()).sum(1)


@dataclass(frozen=True)
class EffectiveComplexity(ReferenceComplexity):
    """Number of features above a threshold.

    Attributes
    ----------
    eps : float
        Threshold of attributions normalised over the batch: the quirk is that it is relative to another sample's peak.
    """

    eps: float = 1e-5

    label: ClassVar[str] = "effective complexity (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020, as Quantus 0.6.0 has it"

    def of(self, attributions: Tensor) -> Tensor:
        """Counts."""
        return (attributions > self.eps).sum(1)
