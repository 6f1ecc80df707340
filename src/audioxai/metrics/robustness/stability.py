"""Relative input stability: relative change of a map's cells per relative change of the input's."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.metrics.engine import Scoring
from audioxai.metrics.robustness.disturbances import DisturbanceMetric, Disturbed, largest_defined


@dataclass(frozen=True)
class RelativeInputStability(DisturbanceMetric):
    """Largest ‖(a(x) − a(x + ε)) / a(x)‖ / ‖ε / x‖, cell by cell, over disturbances that do not change the prediction.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`~audioxai.metrics.robustness.AverageSensitivity`, the very same disturbances included.

    Notes
    -----
    Agarwal et al. 2022, Eq. 2, its maximum over a neighbourhood estimated by the draws. x is measured from silence, or
    from black. Both norms are root mean squares over the cells whose divisor is not 0, where the paper's ratio of norms
    would hang on an arbitrary small number; without such cells the two are equal. NaN where the attributions or the
    input are all zero, or every disturbance changes the prediction.
    """

    title: ClassVar[str] = "relative input stability"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Agarwal et al. 2022"

    def measuring(self, given: Disturbed, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes, disturbances = given.of_maps(relative_change, attributions), given.of_inputs(relative_change)
        before, after = given.batch.plain(predicted), given.batch.responses(given.inputs, self.draws, predicted)
        yield [given.work, before.work, after.work]
        counted = (after.values == before.values) & (disturbances > 0)
        return largest_defined(torch.where(counted, changes / disturbances, torch.nan))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """``draws`` explanations a sample, and the predictions of disturbed and plain inputs."""
        return super().passes(model, inputs) + len(inputs) * (self.draws + 1)


def predicted(logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001 (a reading's)
    """Class of the largest logit, ``(n,)``."""
    return logits.argmax(1)


def relative_change(maps: Tensor, others: Tensor) -> Tensor:
    """Root mean square ``(batch,)`` of (other − map) / map over the cells where the map is not 0; NaN without any."""
    before, after = maps.flatten(1).double(), others.flatten(1).double()
    counted = before != 0
    ratios = torch.where(counted, (after - before) / before, 0.0)
    return (ratios.square().sum(1) / counted.sum(1)).sqrt()
