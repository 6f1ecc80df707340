"""Local Lipschitz estimate: change of a map per unit of disturbance."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.metrics.engine import Scoring
from audioxai.metrics.robustness.disturbances import DisturbanceMetric, Disturbed, distance, largest_defined
from audioxai.metrics.robustness.sensitivity import relative


@dataclass(frozen=True)
class LocalLipschitz(DisturbanceMetric):
    """Largest relative change of the attributions by the root mean square of the noise that made it, the class kept.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`~audioxai.metrics.robustness.AverageSensitivity`, the very same disturbances included.

    Notes
    -----
    Alvarez-Melis & Jaakkola 2018, Eq. 2, max ‖a(x + ε) − a(x)‖₂ / ‖ε‖₂, its maximum over a ball estimated by the draws.
    Here the numerator is divided by ‖a(x)‖₂, so that the unit of the attributions does not matter, and ‖ε‖₂ by the root
    of the number of cells, so that resolutions compare; the unit is one over the input's. NaN where a(x) is all zero or
    the input is not disturbed at all, silence for one.
    """

    title: ClassVar[str] = "local Lipschitz estimate"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    source: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018"

    def measuring(self, given: Disturbed, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes, disturbances = given.of_maps(distance, attributions), given.of_inputs(distance)
        yield [given.work]
        root_mean_squares = disturbances / math.sqrt(attributions[0].numel())
        steepness = torch.where(disturbances > 0, changes / root_mean_squares, torch.nan)
        return relative(largest_defined(steepness), attributions)
