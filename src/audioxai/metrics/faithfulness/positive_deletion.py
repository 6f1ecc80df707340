"""FreqRISE's deletion: the probability of the target while the bins of the most positive relevance are silenced."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import feature_count, places, without_places
from audioxai.metrics.faithfulness.removal import CurveMetric, Tracing
from audioxai.metrics.registry import metric
from audioxai.utils.errors import UserError

SHARE_OF_A_LEVEL = 20


@metric("positive_deletion")
@dataclass(frozen=True)
class PositiveDeletion(CurveMetric):
    """Area under the target's probability while 0, 5, … 95 % of the features are removed by their positive relevance.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features: silence, which in a spectrum is 0.
    levels : int
        Shares 0, 1/20, …, (levels − 1)/20, at most 20.
    seed : int
        Of the order of equally relevant features, a function of the sample's values and the seed.

    Notes
    -----
    Brüsch et al. 2024 as in their code: the largest ⌊q · features⌋ of max(relevance, 0) are removed, features of
    equal relevance in any order, and the area is ∫ p dq by the trapezoid rule over q from 0 to .95, not divided by .95.
    A probability of .966 that no deletion changes scores .918. Negative relevance counts as none, so a map without
    positive relevance removes features at random. The paper averages the curves of all clips before the area; the area
    is linear, so that the mean of these scores is the same number.
    """

    baseline: Baseline
    levels: int = SHARE_OF_A_LEVEL
    seed: int = 0

    label: ClassVar[str] = "Deletion by positive relevance"
    short: ClassVar[str] = "Deletion⁺"
    family: ClassVar[str] = "faithfulness"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 0.95)
    source: ClassVar[str] = "Brüsch et al. 2024"
    defined_for_zero: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= SHARE_OF_A_LEVEL:
            raise UserError(f"levels is {self.levels}; give 2 to {SHARE_OF_A_LEVEL}")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, .95]."""
        curve = yield from self.tracing(batch, attributions)
        return torch.trapezoid(curve, dx=1.0 / SHARE_OF_A_LEVEL)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Probability ``(batch, levels)`` of the target, from nothing removed on."""
        features = feature_count(batch.inputs)
        end = torch.tensor([level * features // SHARE_OF_A_LEVEL for level in range(1, self.levels)])
        place = places(batch, attributions.clamp_min(0.0), self.seed)
        remove = without_places(batch, self.baseline, place, torch.zeros_like(end), end)
        whole, after = batch.plain(batch.probability), batch.responses(remove, len(end), batch.probability)
        yield [whole.work, after.work]
        return torch.cat([whole.values, after.values], dim=1).double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each level."""
        return len(inputs) * self.levels
