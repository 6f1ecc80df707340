"""The reference's robustness metrics.

Quirks of all: noise of an absolute size, whatever the input's unit, from a generator that the whole batch shares; maps
made again are divided by the largest magnitude of the batch where ``normalise`` is set.
"""

import math
from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.compat.quantus.draws import NoisyDraws, WholeDraws
from audioxai.compat.quantus.reference import QuantusMetric, prepared
from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, predicted_class
from audioxai.metrics.engine import Work
from audioxai.metrics.robustness import largest_defined
from audioxai.metrics.similarity import distance, norm


@dataclass(frozen=True)
class _NoiseMetric(QuantusMetric):
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
    def score(self, before: Tensor, changes: Tensor, of_inputs: Tensor) -> Tensor:
        """Scores of maps ``(batch, features)`` and of what was measured of every draw, ``(batch, draws)``."""

    def prepare(self, maps: Tensor) -> Tensor:
        """Maps as they are compared, ``(batch, features)``, float64."""
        return prepared(maps, normalise=self.normalise, absolute=self.abs).flatten(1).double()

    def change(self, maps: Tensor, others: Tensor) -> Tensor:
        """Change ``(n,)`` of maps or inputs ``(n, features)``."""
        return distance(maps, others)

    def scoring(self, batch: Batch, attributions: Tensor) -> Generator[Sequence[Work], None, Tensor]:
        """Scores ≥ 0."""
        before = self.prepare(attributions)
        changes = before.new_full((len(batch), self.nr_samples), torch.nan)
        of_inputs, noisy_draws = torch.full_like(changes, torch.nan), self.noisy(batch)

        def measured(samples: Tensor, draws: Tensor) -> Tensor:
            others = noisy_draws(samples, draws)
            plain = batch.inputs[samples].flatten(1).double()
            of_inputs[samples, draws] = self.change(plain, others.flatten(1).double())
            return others

        def finish(draw: int, maps: Tensor) -> None:
            changes[:, draw] = self.change(before, self.prepare(maps))

        take = WholeDraws(attributions, finish)
        yield [batch.explanations(self.explainer, measured, self.nr_samples, take)]
        return self.score(before, changes, of_inputs)

    def noisy(self, batch: Batch) -> NoisyDraws:
        """Its inputs under this noise, from the first draw on."""
        return NoisyDraws(batch.inputs, self.seed, self.noise)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """``nr_samples`` explanations per sample."""
        return self.nr_samples * self.explainer.passes(inputs)


@dataclass(frozen=True)
class AvgSensitivity(_NoiseMetric):
    """The reference's average sensitivity.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, lower_bound
        As in :mod:`~audioxai.compat.quantus.reference`.
    """

    lower_bound: float = 0.2

    label: ClassVar[str] = "average sensitivity (Quantus)"
    source: ClassVar[str] = "Yeh et al. 2019, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform in ± ``lower_bound``."""
        return random.uniform(-self.lower_bound, self.lower_bound, shape)

    def score(self, before: Tensor, changes: Tensor, of_inputs: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Mean relative change."""
        return (changes / norm(before)[:, None]).nanmean(1)


@dataclass(frozen=True)
class MaxSensitivity(_NoiseMetric):
    """The reference's maximum sensitivity.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, lower_bound
        As in :mod:`~audioxai.compat.quantus.reference`.
    """

    lower_bound: float = 0.2

    label: ClassVar[str] = "maximum sensitivity (Quantus)"
    source: ClassVar[str] = "Yeh et al. 2019, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform in ± ``lower_bound``."""
        return random.uniform(-self.lower_bound, self.lower_bound, shape)

    def score(self, before: Tensor, changes: Tensor, of_inputs: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest relative change."""
        return largest_defined(changes / norm(before)[:, None])


@dataclass(frozen=True)
class LocalLipschitzEstimate(_NoiseMetric):
    """The reference's local Lipschitz estimate.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, perturb_mean, perturb_std
        As in :mod:`~audioxai.compat.quantus.reference`.
    """

    normalise: bool = True
    perturb_mean: float = 0.0
    perturb_std: float = 0.1

    label: ClassVar[str] = "local Lipschitz estimate (Quantus)"
    source: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018, as Quantus 0.6.0 has it"

    def noise(self, random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Normal."""
        return random.normal(self.perturb_mean, self.perturb_std, shape)

    def score(self, before: Tensor, changes: Tensor, of_inputs: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest change by the noise that caused it."""
        return largest_defined(changes / (of_inputs + 1e-10))


@dataclass(frozen=True)
class RelativeInputStability(_NoiseMetric):
    """The reference's relative input stability.

    Quirks: the noise is positive, between 0.02 and 0.2; one draw that changes the prediction makes the score
    NaN; a feature that is 0 counts as ``eps_min``.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, abs, normalise, seed, eps_min
        As in :mod:`~audioxai.compat.quantus.reference`.
    """

    eps_min: float = 1e-6

    label: ClassVar[str] = "relative input stability (Quantus)"
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
        """Relative change, feature by feature."""
        return norm((maps - others) / (maps + (maps == 0) * self.eps_min))

    def scoring(self, batch: Batch, attributions: Tensor) -> Generator[Sequence[Work], None, Tensor]:
        """Scores ≥ 0, NaN where a prediction changed."""
        before = batch.plain(predicted_class)
        after = batch.responses(self.noisy(batch), self.nr_samples, predicted_class)
        yield [before.work, after.work]
        scores = yield from super().scoring(batch, attributions)
        assert isinstance(scores, Tensor)
        return torch.where((after.values == before.values).all(1), scores, torch.nan)

    def score(self, before: Tensor, changes: Tensor, of_inputs: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """Largest ratio of the two relative changes."""
        return (changes / (of_inputs + (of_inputs == 0) * self.eps_min)).amax(1)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """``nr_samples`` explanations per sample, and the predictions of noisy and unperturbed inputs."""
        return super().passes(model, inputs) + len(inputs) * (self.nr_samples + 1)
