"""Sufficiency as in the reference: whether samples that are explained alike are classified alike."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from audioxai.compat.quantus.faithfulness.perturbing import Preparing
from audioxai.metrics.batch import Batch, predicted_class
from audioxai.metrics.engine import Scoring


@dataclass(frozen=True, kw_only=True)
class Sufficiency(Preparing):
    """Share of the samples explained alike that are classified alike.

    Distance is Euclidean, features divided by their standard deviation over the batch; the reference's choice of others
    is left out, for it raises for any. Quirks: a score depends on all other samples; one feature that is the same in
    all makes every distance NaN and every score 0; where no other sample is explained alike the score is 0, the worst.

    Attributes
    ----------
    threshold : float
        Largest distance, relative to the batch's largest, at which explanations are alike.
    abs, normalise
        As in :class:`Preparing`.
    """

    threshold: float = 0.6
    abs: bool = True

    label: ClassVar[str] = "sufficiency as in Quantus"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Quantus 0.6.0; Dasgupta et al. 2022"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        classes = batch.plain(predicted_class)
        yield [classes.work]
        alike = self._alike(self.features_of(attributions)).to(classes.values.device)
        same = classes.values == classes.values.T
        others = alike.sum(1)
        return (alike & same).sum(1).double() / torch.where(others > 0, others.double(), math.inf)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One per sample."""
        return len(inputs)

    def _alike(self, features: Tensor) -> Tensor:
        """Which other samples have an explanation like each sample's own, bool ``(batch, batch)``."""
        maps = features.cpu().double().numpy()
        distances = torch.from_numpy(cdist(maps, maps, "seuclidean"))
        largest = distances.abs().max()
        if float(largest) > 0.0:
            distances = distances / largest
        return (distances <= self.threshold).fill_diagonal_(False)
