"""ROAD: the class while the most relevant cells are imputed from the others."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.metrics.batch import Batch, Perturbation
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.curves import CurveMetric, Tracing
from audioxai.metrics.faithfulness.imputation import imputed
from audioxai.metrics.faithfulness.ranking import cell_count, check_fractions, counts_of, places, ranks_cells
from audioxai.metrics.patterns import Patterns
from audioxai.utils.errors import UserError


def is_predicted(logits: Tensor, targets: Tensor) -> Tensor:
    """1 where the target is the predicted class, else 0, ``(n,)``."""
    return (logits.argmax(1) == targets).to(logits.dtype)


@dataclass(frozen=True)
class Road(CurveMetric):
    """Share of removals that leave the target the predicted class, the most relevant cells being removed.

    Attributes
    ----------
    fractions : tuple of float
        Shares of the input that are removed, each in (0, 1).
    noise : float
        Standard deviation of the noise on removed cells, in standard deviations of the sample's own values.
    seed : int
        Of the noise and of the order of cells of equal relevance, both every sample's own.

    Notes
    -----
    Rong et al. 2022, most relevant first. Removed cells are imputed linearly from their neighbours plus a
    little noise, so that no baseline enters. The mean over samples is the paper's accuracy, averaged over the
    fractions; :meth:`curve` has it for each. Corrected against common implementations: every sample counts, waveforms
    are imputed too, and noise is relative to the sample, so that it means the same in dB and in [0, 1]. NaN where all
    cells are equally relevant.
    """

    fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
    noise: float = 0.01
    seed: int = 0

    title: ClassVar[str] = "road"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Rong et al. 2022"

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        if not (math.isfinite(self.noise) and self.noise >= 0.0):
            raise UserError(f"noise is {self.noise}; a standard deviation has to be finite and at least 0")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        return torch.where(ranks_cells(attributions), curve.mean(1), torch.nan)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Whether the target is still predicted, 1 or 0, ``(batch, fractions)``."""
        place = places(batch, attributions, self.seed)
        after = batch.responses(self._imputation(batch, place), len(self.fractions), is_predicted)
        yield [after.work]
        return after.values.double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """One a fraction, a sample."""
        return len(inputs) * len(self.fractions)

    def _imputation(self, batch: Batch, place: Tensor) -> Perturbation:
        """The perturbation: top cells imputed. One cell is always left to impute the others from."""
        inputs, cells = batch.inputs, cell_count(batch.inputs)
        counts = counts_of(self.fractions, cells).clamp(max=cells - 1).to(place.device)
        shape = tuple(inputs.shape[1:])
        noise = Patterns(inputs, ("imputation", self.seed), lambda random: torch.randn(shape, generator=random))
        strength = self.noise * inputs.flatten(1).std(1, correction=0).reshape(-1, *[1] * (inputs.ndim - 1))

        def impute(samples: Tensor, runs: Tensor) -> Tensor:
            absent = (place[samples] < counts[runs, None]).reshape(-1, 1, *inputs.shape[2:])
            added = strength[samples] * noise(samples, runs).to(inputs)
            return imputed(inputs[samples], absent) + added * absent

        return impute
