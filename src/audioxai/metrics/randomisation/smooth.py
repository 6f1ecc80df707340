"""Smooth model-parameter randomisation: the same of maps that are means over noise."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.randomisation.cascade import cascade, resettable
from audioxai.metrics.robustness.noise import Disturbance, RangeNoise, SignalNoise
from audioxai.metrics.similarity import RankCorrelation
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class SmoothMprt(PassMetric):
    """Rank correlation of |smoothed attributions| before and after randomising layers from the bottom; low is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    noise : SignalNoise or RangeNoise
        What disturbs the inputs.
    draws : int
        Explanations of each sample and model of which the mean is taken. One is that of the input as it is, of the
        model itself the given attributions.
    seed : int
        Of the noise, which every model meets alike, and of the random weights; every layer has its own.

    Notes
    -----
    Hedström et al. 2023, Eq. 3: cascading randomisation from the bottom, Spearman, here the mean over the randomised
    models only. Smoothing keeps a method from looking sensitive to the model merely because its maps are noisy. NaN
    where the attributions, or any of the smoothed ones, are constant.
    """

    explainer: Explainer
    noise: SignalNoise | RangeNoise
    draws: int = 10
    seed: int = 0

    title: ClassVar[str] = "smooth model-parameter randomisation"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Hedström et al. 2023"

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; {self.title} needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        disturbance = Disturbance(batch.inputs, self.noise, ("smoothing noise", self.seed))
        smooth = attributions.clone()
        yield [_added(smooth, batch, self.explainer, batch.model, disturbance, range(1, self.draws))]
        original, everyone = RankCorrelation(smooth.abs().flatten(1)), torch.arange(len(batch), device=smooth.device)
        total = torch.zeros(len(batch), dtype=torch.float64, device=smooth.device)
        layers = 0
        for layers, model in enumerate(cascade(batch.model, self.seed, bottom_up=True), start=1):  # noqa: B007 (counted)
            smooth.zero_()
            yield [_added(smooth, batch, self.explainer, model, disturbance, range(self.draws))]
            total += original(everyone, smooth.abs().flatten(1))
        flat = attributions.flatten(1)
        return torch.where(flat.amax(1) > flat.amin(1), total / layers, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """``draws`` explanations a layer, and ``draws`` − 1 of the model itself, a sample."""
        return (self.draws * (len(resettable(model)) + 1) - 1) * self.explainer.passes(inputs)


def _added(
    sums: Tensor, batch: Batch, explainer: Explainer, model: nn.Module, disturbance: Disturbance, draws: range
) -> Work:
    """Work that adds the explanations of these draws to ``sums``, shaped like the inputs; draw 0 is undisturbed."""

    def disturbed(samples: Tensor, runs: Tensor) -> Tensor:
        plain = (runs + draws.start == 0).reshape(-1, *[1] * (batch.inputs.ndim - 1))
        return torch.where(plain, batch.inputs[samples], disturbance(samples, runs + draws.start))

    def take(samples: Tensor, _: Tensor, maps: Tensor) -> None:
        sums.index_add_(0, samples, maps.to(sums))

    return batch.explanations(explainer, disturbed, len(draws), take, model=model)
