"""Model-parameter randomisation: the maps of randomised models should be different."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.randomisation.cascade import cascade, resettable
from audioxai.metrics.similarity import RankCorrelation


@dataclass(frozen=True)
class ModelParameterRandomisation(PassMetric):
    """Rank correlation of |attributions| before and after randomising the model's layers from the top; low is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    seed : int
        Of the random weights; every layer has its own.

    Notes
    -----
    Adebayo et al. 2018, cascading randomisation, Spearman, mean over the randomised models only. NaN where the
    attributions, or those of a randomised model, are constant.
    """

    explainer: Explainer
    seed: int = 0

    title: ClassVar[str] = "model-parameter randomisation"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Adebayo et al. 2018"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        original = RankCorrelation(attributions.abs().flatten(1))
        total = torch.zeros(len(batch), dtype=torch.float64, device=attributions.device)

        def take(samples: Tensor, _: Tensor, randomised: Tensor) -> None:
            total.index_add_(0, samples, original(samples, randomised.abs().flatten(1)))

        layers = 0
        for layers, model in enumerate(cascade(batch.model, self.seed), start=1):  # noqa: B007 (counted)
            yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return total / layers

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """One explanation a layer, a sample."""
        return len(resettable(model)) * self.explainer.passes(inputs)
