"""Complexity: on how few cells an explanation rests."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from audio_xai.metrics.batch import Batch, PassMetric
from audio_xai.metrics.engine import Scoring
from audio_xai.metrics.similarity import gini


@dataclass(frozen=True)
class Sparseness(PassMetric):
    """Gini index of the absolute attributions (Chalasani et al. 2020): 0 all alike, towards 1 all in one cell.

    Invariant to the attributions' scale, so no normalisation enters; NaN where all are zero.
    """

    title: ClassVar[str] = "sparseness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Chalasani et al. 2020; Hurley & Rickard 2009, Eq. 14"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:  # noqa: ARG002 (the engine's)
        """Scores in [0, 1]."""
        yield ()
        return gini(attributions.abs().flatten(1))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """None."""
        return 0
