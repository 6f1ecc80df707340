"""Robustness: how much an attribution map changes when its input hardly does.

Conventions
-----------
Noise is relative to the sample: a signal-to-noise ratio for sound, a share of the range for images. A *draw* is one
noisy version of every sample; the explained class stays the same. Norms are Euclidean, over all features of a map. All
metrics of this family with equal explainer, noise, draws and seed share the same noisy inputs and their explanations,
so all of them together cost the passes of one.

Metrics
-------
* :class:`AverageSensitivity` and :class:`MaximumSensitivity`: relative change of the map.
* :class:`LocalLipschitz`: the same per unit of noise.
* :class:`RelativeInputStability`: relative change of the map's features per relative change of the input's.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric, predicted_class
from audioxai.metrics.engine import Estimate, Scoring, Work
from audioxai.metrics.noise import Noise, NoisyInputs, RangeNoise, SignalNoise
from audioxai.metrics.precision import check_precision, mean_of, sampling
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import distance, norm
from audioxai.utils.errors import UserError

Comparison = Callable[[Tensor, Tensor], Tensor]
# Draws before a sample is first asked whether it is precise enough.
FEWEST_DRAWS = 8


@dataclass(eq=False)
class NoisyExplanations:
    """Noisy inputs of a batch and their explanations, of which only what metrics measure is kept.

    Attributes
    ----------
    batch : Batch
        The samples.
    explainer : Explainer
        The method under test.
    noise : Noise
        Noise added to the inputs.
    draws : int
        Noisy versions of each sample.
    seed : int
        Of the noise, a function of the sample's values and the seed.
    first : int
        Number of the first of the draws, which is draw 0 here.
    antithetic : bool
        Whether draws come in pairs of opposite noise.
    inputs : NoisyInputs
        Makes the noisy inputs.
    work : Work
        To be yielded by every metric that measures.
    """

    batch: Batch
    explainer: Explainer
    noise: Noise
    draws: int
    seed: int
    first: int = 0
    antithetic: bool = False
    inputs: NoisyInputs = field(init=False)
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        purpose = ("sensitivity noise", self.seed)
        self.inputs = NoisyInputs(self.batch, self.noise, purpose, self.draws, self.first, antithetic=self.antithetic)
        self._of_inputs: dict[Comparison, Tensor] = {}
        self._of_maps: dict[tuple[Any, ...], tuple[Comparison, Tensor, Tensor]] = {}
        self.work = self.batch.explanations(self.explainer, self._make, self.draws, self._take)

    def of_inputs(self, comparison: Comparison) -> Tensor:
        """``comparison(inputs, noisy inputs)`` of levels, ``(batch, draws)``, once the work is done."""
        return self._of_inputs.setdefault(comparison, self._unmeasured())

    def of_maps(self, comparison: Comparison, attributions: Tensor) -> Tensor:
        """``comparison(attributions, maps of the noisy inputs)``, ``(batch, draws)``, once the work is done."""
        # Views of one tensor are one key. The tensor is kept, so no other can get its address.
        key = (comparison, attributions.data_ptr(), attributions.shape, attributions.stride())
        return self._of_maps.setdefault(key, (comparison, attributions, self._unmeasured()))[2]

    def _unmeasured(self) -> Tensor:
        shape = (len(self.batch), self.draws)
        return torch.full(shape, torch.nan, dtype=torch.float64, device=self.batch.inputs.device)

    def _make(self, samples: Tensor, draws: Tensor) -> Tensor:
        noisy = self.inputs(samples, draws)
        for comparison, measured in self._of_inputs.items():
            levels = (self.noise.level(inputs) for inputs in (self.batch.inputs[samples], noisy))
            measured[samples, draws] = comparison(*levels)
        return noisy

    def _take(self, samples: Tensor, draws: Tensor, again: Tensor) -> None:
        for comparison, attributions, measured in self._of_maps.values():
            measured[samples, draws] = comparison(attributions[samples], again)


def noisy_explanations(
    batch: Batch, explainer: Explainer, noise: Noise, draws: int, seed: int, first: int = 0, *, antithetic: bool = False
) -> NoisyExplanations:
    """The batch's noisy explanations with these settings, one object for all metrics that ask before they are sent.

    After they have been sent, a new object is made.
    """

    def make() -> NoisyExplanations:
        return NoisyExplanations(batch, explainer, noise, draws, seed, first, antithetic)

    (latest,) = places = batch.shared(
        ("noisy explanations", id(explainer), noise, draws, seed, first, antithetic), lambda: [make()]
    )
    if latest.work.done:
        places[0] = latest = make()
    return latest


@dataclass(frozen=True)
class RobustnessMetric(PassMetric):
    """What the metrics of this family have in common.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    noise : SignalNoise or RangeNoise
        Noise added to the inputs.
    draws : int
        Noisy versions of each sample.
    seed : int
        Of the noise, a function of the sample's values and the seed.
    """

    explainer: Explainer
    noise: SignalNoise | RangeNoise
    draws: int = 10
    seed: int = 0

    family: ClassVar[str] = "robustness"
    revision: ClassVar[int] = 2
    complex_inputs: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    draws_at_random: ClassVar[bool] = True
    scale_matters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; {self.label} needs at least 1")

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """``draws`` explanations per sample."""
        return self.draws * self.explainer.passes(inputs)


@metric("average_sensitivity")
@dataclass(frozen=True)
class AverageSensitivity(RobustnessMetric):
    """Mean relative change ‖a(x + ε) − a(x)‖₂ / ‖a(x)‖₂ of the map under noise, for the same class.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`RobustnessMetric`.
    precision : float or None
        Standard error at which a sample stops, instead of a number of ``draws``; None for these.
    antithetic : bool or None
        Whether draws come in pairs of opposite noise, which move most maps in opposite directions, so that their mean
        is known better; ``draws`` are even then. None: where there is a ``precision``.

    Notes
    -----
    Yeh et al. 2019 (their maximum sensitivity, averaged), noise relative to the signal. NaN where a(x) is all zero, or
    the noise is zero because the input is silent.
    """

    precision: float | None = None
    antithetic: bool | None = None

    label: ClassVar[str] = "Average sensitivity"
    short: ClassVar[str] = "Sensitivity"
    source: ClassVar[str] = "Yeh et al. 2019"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_precision(self.precision)
        if self.antithetic and self.draws % 2:
            raise UserError(f"draws is {self.draws}; antithetic draws come in pairs, so give an even number")

    @property
    def states_passes(self) -> bool:  # type: ignore[override]
        """Whether :meth:`passes` is known beforehand: not with a ``precision``."""
        return self.precision is None

    @property
    def in_pairs(self) -> bool:
        """Whether draws come in pairs of opposite noise."""
        return self.precision is not None if self.antithetic is None else self.antithetic

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        return sampling(batch, _Changes(self, attributions), self.draws, self.precision, FEWEST_DRAWS)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """``draws`` explanations per sample, with a ``precision`` the fewest that it takes."""
        draws = self.draws if self.precision is None else FEWEST_DRAWS
        return draws * self.explainer.passes(inputs)


@dataclass(frozen=True, eq=False)
class _Changes:
    """Relative changes of the maps of a batch under noise."""

    metric: AverageSensitivity
    attributions: Tensor

    def draw(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[list[Work], Callable[[], Tensor]]:
        """Draws ``first`` to ``end`` − 1, which yield changes ``(rows, end − first)``."""
        metric, attributions = self.metric, self.attributions if first == 0 else self.attributions[rows]
        noisy = noisy_explanations(
            part, metric.explainer, metric.noise, end - first, metric.seed, first, antithetic=metric.in_pairs
        )
        changes = noisy.of_maps(distance, attributions)
        have_noise = noisy.inputs.have_noise[:, None]
        return [noisy.work], lambda: torch.where(have_noise, _relative(changes, attributions), torch.nan)

    def estimate(self, rows: Tensor, numbers: Tensor) -> Estimate:  # noqa: ARG002 (the interface)
        """Means over draws, or pairs of them."""
        return mean_of(numbers, in_pairs=self.metric.in_pairs)


@dataclass(frozen=True)
class _LargestMetric(RobustnessMetric):
    """A metric of the largest measurement over all draws, which has no standard error."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        return self.measuring(
            noisy_explanations(batch, self.explainer, self.noise, self.draws, self.seed), attributions
        )

    @abstractmethod
    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Ask for measurements, yield the work, return scores ``(batch,)``."""


@metric("maximum_sensitivity")
@dataclass(frozen=True)
class MaximumSensitivity(_LargestMetric):
    """Largest relative change ‖a(x + ε) − a(x)‖₂ / ‖a(x)‖₂ of the map under noise, for the same class.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`RobustnessMetric`.

    Notes
    -----
    Yeh et al. 2019, Eq. 5, its maximum over a ball estimated by the draws, so that it grows with their number; noise
    relative to the signal. NaN where a(x) is all zero, or the noise is zero because the input is silent.
    """

    label: ClassVar[str] = "Maximum sensitivity"
    source: ClassVar[str] = "Yeh et al. 2019"

    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes = noisy.of_maps(distance, attributions)
        yield [noisy.work]
        return torch.where(noisy.inputs.have_noise, _relative(changes.amax(1), attributions), torch.nan)


@metric("local_lipschitz")
@dataclass(frozen=True)
class LocalLipschitz(_LargestMetric):
    """Largest relative change of the map divided by the root mean square of the noise that caused it.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`RobustnessMetric`.

    Notes
    -----
    Alvarez-Melis & Jaakkola 2018, Eq. 2, max ‖a(x + ε) − a(x)‖₂ / ‖ε‖₂, its maximum over a ball estimated by the draws.
    Here the numerator is divided by ‖a(x)‖₂, so that the unit of the attributions does not matter, and ‖ε‖₂ by the root
    of the number of features, so that resolutions compare; the unit is one over the input's. NaN where a(x) is all zero
    or the noise is zero because the input is silent.
    """

    label: ClassVar[str] = "Local Lipschitz estimate"
    short: ClassVar[str] = "Lipschitz"
    source: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018"

    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes, of_inputs = noisy.of_maps(distance, attributions), noisy.of_inputs(distance)
        yield [noisy.work]
        root_mean_squares = of_inputs / math.sqrt(attributions[0].numel())
        steepness = torch.where(of_inputs > 0, changes / root_mean_squares, torch.nan)
        return _relative(largest_defined(steepness), attributions)


@metric("relative_input_stability")
@dataclass(frozen=True)
class RelativeInputStability(_LargestMetric):
    """Largest ‖(a(x) − a(x + ε)) / a(x)‖ / ‖ε / x‖, feature by feature, over noise that keeps the predicted class.

    Attributes
    ----------
    explainer, noise, draws, seed
        As in :class:`RobustnessMetric`.

    Notes
    -----
    Agarwal et al. 2022, Eq. 2, its maximum over a neighbourhood estimated by the draws. x is measured from silence, or
    from black. Both norms are root mean squares over the features whose divisor is not 0; the paper adds a small number
    to these, which would decide the score. NaN where the attributions or the input are all zero, or every draw changes
    the predicted class.
    """

    label: ClassVar[str] = "Relative input stability"
    short: ClassVar[str] = "Stability"
    source: ClassVar[str] = "Agarwal et al. 2022"

    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes, of_inputs = noisy.of_maps(relative_change, attributions), noisy.of_inputs(relative_change)
        before = noisy.batch.plain(predicted_class)
        after = noisy.batch.responses(noisy.inputs, self.draws, predicted_class)
        yield [noisy.work, before.work, after.work]
        counted = (after.values == before.values) & (of_inputs > 0)
        return largest_defined(torch.where(counted, changes / of_inputs, torch.nan))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Per sample ``draws`` explanations, and the outputs for the noisy and the unperturbed inputs."""
        return super().passes(model, inputs) + len(inputs) * (self.draws + 1)


def _relative(change: Tensor, attributions: Tensor) -> Tensor:
    """Change ``(batch,)`` or ``(batch, draws)`` divided by the norm of the map; NaN where the map is all zero."""
    size = norm(attributions).reshape(-1, *[1] * (change.ndim - 1))
    return torch.where(size > 0, change / size, torch.nan)


def relative_change(maps: Tensor, others: Tensor) -> Tensor:
    """Root mean square ``(batch,)`` of (other − map) / map where the map is not 0; NaN without any such feature."""
    before, after = maps.flatten(1).double(), others.flatten(1).double()
    counted = before != 0
    ratios = torch.where(counted, (after - before) / before, 0.0)
    return (ratios.square().sum(1) / counted.sum(1)).sqrt()


def largest_defined(values: Tensor) -> Tensor:
    """Largest number that is not NaN in each row of ``(batch, n)``; NaN where there is none."""
    undefined = values.isnan()
    return torch.where(undefined.all(1), torch.nan, values.masked_fill(undefined, -torch.inf).amax(1))
