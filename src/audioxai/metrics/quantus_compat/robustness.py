"""The reference's robustness metrics.

Quirks of all: noise of an absolute size, whatever the input's unit, from a generator that the whole batch shares; maps
made again are divided by the largest magnitude of the batch where ``normalise`` is set.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.quantus_compat.draws import DisturbedDraws, WholeDraws
from audioxai.metrics.quantus_compat.reference import prepared
from audioxai.metrics.robustness.disturbances import distance, largest_defined, norm
from audioxai.metrics.robustness.stability import predicted


@dataclass(frozen=True)
class _Disturbing(PassMetric):
    """What the four have in common."""

    explainer: Explainer
    nr_samples: int = 200
    abs: bool = False
    normalise: bool = False
    seed: int = 0

    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    @abstractmethod
    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Noise of one draw."""

    @abstractmethod
    def score(self, before: Tensor, changes: Tensor, disturbances: Tensor) -> Tensor:
        """Scores of maps ``(batch, features)`` and of what was measured of every draw, ``(batch, draws)``."""

    def prepare(self, maps: Tensor) -> Tensor:
        """Maps as they are compared, ``(batch, features)``, float64."""
        return prepared(maps, normalise=self.normalise, absolute=self.abs).flatten(1).double()

    def change(self, maps: Tensor, others: Tensor) -> Tensor:
        """Change ``(n,)`` of maps or inputs ``(n, features)``."""
        return distance(maps, others)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        before = self.prepare(attributions)
        changes = before.new_full((len(batch), self.nr_samples), torch.nan)
        disturbances, disturb = torch.full_like(changes, torch.nan), self.disturbed(batch)

        def measured(samples: Tensor, draws: Tensor) -> Tensor:
            others = disturb(samples, draws)
            plain = batch.inputs[samples].flatten(1).double()
            disturbances[samples, draws] = self.change(plain, others.flatten(1).double())
            return others

        def finish(draw: int, maps: Tensor) -> None:
            changes[:, draw] = self.change(before, self.prepare(maps))

        take = WholeDraws(attributions, finish)
        yield [batch.explanations(self.explainer, measured, self.nr_samples, take)]
        return self.score(before, changes, disturbances)

    def disturbed(self, batch: Batch) -> DisturbedDraws:
        """Its inputs under this noise, from the first draw on."""
        return DisturbedDraws(batch.inputs, self.seed, self.noise)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``nr_samples`` explanations a sample."""
        return self.nr_samples * self.explainer.passes(inputs)


@dataclass(frozen=True)
class AvgSensitivity(_Disturbing):
    """The reference's average sensitivity.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, lower_bound
        As in :mod:`~audioxai.metrics.quantus_compat.reference`.
    """

    lower_bound: float = 0.2

    title: ClassVar[str] = "average sensitivity (Quantus)"
    source: ClassVar[str] = "Yeh et al. 2019, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform in ± ``lower_bound``."""
        return random.uniform(-self.lower_bound, self.lower_bound, shape)

    def score(self, before: Tensor, changes: Tensor, disturbances: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Mean relative change."""
        return (changes / norm(before)[:, None]).nanmean(1)


@dataclass(frozen=True)
class MaxSensitivity(_Disturbing):
    """The reference's maximum sensitivity.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, lower_bound
        As in :mod:`~audioxai.metrics.quantus_compat.reference`.
    """

    lower_bound: float = 0.2

    title: ClassVar[str] = "maximum sensitivity (Quantus)"
    source: ClassVar[str] = "Yeh et al. 2019, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform in ± ``lower_bound``."""
        return random.uniform(-self.lower_bound, self.lower_bound, shape)

    def score(self, before: Tensor, changes: Tensor, disturbances: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest relative change."""
        return largest_defined(changes / norm(before)[:, None])


@dataclass(frozen=True)
class LocalLipschitzEstimate(_Disturbing):
    """The reference's local Lipschitz estimate.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, perturb_mean, perturb_std
        As in :mod:`~audioxai.metrics.quantus_compat.reference`.
    """

    normalise: bool = True
    perturb_mean: float = 0.0
    perturb_std: float = 0.1

    title: ClassVar[str] = "local Lipschitz estimate (Quantus)"
    source: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Normal."""
        return random.normal(self.perturb_mean, self.perturb_std, shape)

    def score(self, before: Tensor, changes: Tensor, disturbances: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest change by the disturbance that made it."""
        return largest_defined(changes / (disturbances + 1e-10))


@dataclass(frozen=True)
class RelativeInputStability(_Disturbing):
    """The reference's relative input stability.

    Quirks: the noise is positive, between 0.02 and 0.2; one disturbance that changes the prediction makes the score
    NaN; a cell that is 0 counts as ``eps_min``.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, eps_min
        As in :mod:`~audioxai.metrics.quantus_compat.reference`.
    """

    eps_min: float = 1e-6

    title: ClassVar[str] = "relative input stability (Quantus)"
    source: ClassVar[str] = "Agarwal et al. 2022, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform in 0.02…0.2."""
        return random.uniform(0.02, 0.2, shape)

    def prepare(self, maps: Tensor) -> Tensor:
        """Maps, where ``normalise`` is set, by the root mean square of the whole batch."""
        flat = maps.flatten(1).double()
        if self.normalise and bool((flat != 0).any()):
            flat = flat / flat.square().mean().sqrt()
        return flat.abs() if self.abs else flat

    def change(self, maps: Tensor, others: Tensor) -> Tensor:
        """Relative change, cell by cell."""
        return norm((maps - others) / (maps + (maps == 0) * self.eps_min))

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0, NaN where a prediction changed."""
        before = batch.plain(predicted)
        after = batch.responses(self.disturbed(batch), self.nr_samples, predicted)
        yield [before.work, after.work]
        scores = yield from super().scoring(batch, attributions)
        return torch.where((after.values == before.values).all(1), scores, torch.nan)

    def score(self, before: Tensor, changes: Tensor, disturbances: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest ratio of the two relative changes."""
        return (changes / (disturbances + (disturbances == 0) * self.eps_min)).amax(1)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """``nr_samples`` explanations a sample, and the predictions of disturbed and plain inputs."""
        return super().passes(model, inputs) + len(inputs) * (self.nr_samples + 1)
