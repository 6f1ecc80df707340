"""Faithfulness estimate and pixel flipping as in the reference: features replaced in their attributions' order."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.compat.quantus.faithfulness.perturbing import Perturbing
from audioxai.compat.quantus.reference import (
    as_sent,
    descending_places,
    reading,
    running_fills,
    still_fills,
)
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.removal import CurveMetric, Tracing
from audioxai.metrics.similarity import pearson


@dataclass(frozen=True, kw_only=True)
class FaithfulnessEstimate(Perturbing):
    """The reference's faithfulness estimate.

    Quirks: one feature a step, so the number of steps is the size of the input; removed features take the sample's own
    minimum.

    Attributes
    ----------
    features_in_step : int
        Features replaced at once.
    abs, normalise, perturb_baseline, softmax, seed
        As in :class:`Perturbing`.
    """

    features_in_step: int = 1

    label: ClassVar[str] = "faithfulness estimate as in Quantus"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Quantus 0.6.0; Alvarez-Melis & Jaakkola 2018"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        features, steps = batch.inputs.flatten(1), _steps(batch.inputs, self.features_in_step)
        flat = self.features_of(attributions)
        chunks = descending_places(flat) // self.features_in_step
        draws = np.random.RandomState(self.seed).uniform(size=(steps, len(batch)))
        fills = still_fills(features, self.perturb_baseline, draws)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            filled = torch.where(chunks[samples] == runs[:, None], fills[samples, runs, None], features[samples])
            return as_sent(filled).reshape(-1, *batch.inputs.shape[1:])

        before = batch.plain(reading(self.softmax))
        after = batch.responses(remove, steps, reading(self.softmax))
        yield [before.work, after.work]
        sums = flat.new_zeros(len(batch), steps, dtype=torch.float64).scatter_add_(1, chunks, flat.double())
        return pearson(sums, before.values - after.values)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each step and one for the unperturbed input."""
        return len(inputs) * (_steps(inputs, self.features_in_step) + 1)


@dataclass(frozen=True, kw_only=True)
class PixelFlipping(Perturbing, CurveMetric):
    """The reference's pixel flipping, as the area under its curve.

    Quirks: the area is a sum over steps, so it grows with their number; the curve lacks its first point, the input as
    it is; the baseline is read off the input as flipped so far.

    Attributes
    ----------
    features_in_step : int
        Features replaced at once.
    abs, normalise, perturb_baseline, softmax, seed
        As in :class:`Perturbing`.
    """

    features_in_step: int = 1
    softmax: bool = True

    label: ClassVar[str] = "pixel flipping as in Quantus"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    source: ClassVar[str] = "Quantus 0.6.0; Bach et al. 2015"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Areas by the trapezoid rule, one unit a step."""
        curve = yield from self.tracing(batch, attributions)
        return torch.trapezoid(curve, dim=1)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, steps)`` of the target after each step."""
        features, steps = batch.inputs.flatten(1), _steps(batch.inputs, self.features_in_step)
        chunks = descending_places(self.features_of(attributions)) // self.features_in_step
        draws = np.random.RandomState(self.seed).uniform(size=(steps, len(batch)))
        fills = running_fills(features, chunks, steps, self.perturb_baseline, draws).gather(1, chunks)

        def flip(samples: Tensor, runs: Tensor) -> Tensor:
            flipped = torch.where(chunks[samples] <= runs[:, None], fills[samples], features[samples])
            return as_sent(flipped).reshape(-1, *batch.inputs.shape[1:])

        after = batch.responses(flip, steps, reading(self.softmax))
        yield [after.work]
        return after.values.double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One per step and sample."""
        return len(inputs) * _steps(inputs, self.features_in_step)


def _steps(inputs: Tensor, features_in_step: int) -> int:
    return math.ceil(math.prod(inputs.shape[1:]) / features_in_step)
