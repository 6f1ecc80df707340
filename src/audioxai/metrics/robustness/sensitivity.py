"""Sensitivity: relative change of a map under noise."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.metrics.engine import Scoring
from audioxai.metrics.robustness.disturbances import DisturbanceMetric, Disturbed, distance, norm


@dataclass(frozen=True)
class AverageSensitivity(DisturbanceMetric):
    """Mean relative change ‖a(x + ε) − a(x)‖₂ / ‖a(x)‖₂ of the attributions under noise, the class kept.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`~audioxai.metrics.robustness.disturbances.DisturbanceMetric`.

    Notes
    -----
    Yeh et al. 2019 (their maximum sensitivity, averaged), noise relative to the signal. NaN where a(x) is all zero, or
    the input is nothing but absence and so is not disturbed.
    """

    title: ClassVar[str] = "average sensitivity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Yeh et al. 2019"

    def measuring(self, given: Disturbed, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes = given.of_maps(distance, attributions)
        yield [given.work]
        return torch.where(given.inputs.disturbs, relative(changes.mean(1), attributions), torch.nan)


@dataclass(frozen=True)
class MaximumSensitivity(DisturbanceMetric):
    """Largest relative change ‖a(x + ε) − a(x)‖₂ / ‖a(x)‖₂ of the attributions under noise, the class kept.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`AverageSensitivity`, the very same disturbances included.

    Notes
    -----
    Yeh et al. 2019, Eq. 5, its maximum over a ball estimated by the draws, so that it grows with their number; noise
    relative to the signal. NaN where a(x) is all zero, or the input is nothing but absence and so is not disturbed.
    """

    title: ClassVar[str] = "maximum sensitivity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Yeh et al. 2019"

    def measuring(self, given: Disturbed, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes = given.of_maps(distance, attributions)
        yield [given.work]
        return torch.where(given.inputs.disturbs, relative(changes.amax(1), attributions), torch.nan)


def relative(change: Tensor, attributions: Tensor) -> Tensor:
    """Change by the size of the map that changed; NaN where that is all zero."""
    size = norm(attributions)
    return torch.where(size > 0, change / size, torch.nan)
