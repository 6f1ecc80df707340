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
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.noise import Noise, NoisyInputs, RangeNoise, SignalNoise
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import distance, norm
from audioxai.utils.errors import UserError

Comparison = Callable[[Tensor, Tensor], Tensor]


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
    inputs: NoisyInputs = field(init=False)
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = NoisyInputs(self.batch.inputs, self.noise, ("sensitivity noise", self.seed))
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


def noisy_explanations(batch: Batch, explainer: Explainer, noise: Noise, draws: int, seed: int) -> NoisyExplanations:
    """The batch's noisy explanations with these settings, one object for all metrics that ask before they are sent.

    After they have been sent, a new object is made.
    """
    key = ("noisy explanations", id(explainer), noise, draws, seed)
    (latest,) = places = batch.shared(key, lambda: [NoisyExplanations(batch, explainer, noise, draws, seed)])
    if latest.work.done:
        places[0] = latest = NoisyExplanations(batch, explainer, noise, draws, seed)
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
    complex_inputs: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    draws_at_random: ClassVar[bool] = True
    scale_matters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; {self.label} needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        return self.measuring(
            noisy_explanations(batch, self.explainer, self.noise, self.draws, self.seed), attributions
        )

    @abstractmethod
    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Ask for measurements, yield the work, return scores ``(batch,)``."""

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

    Notes
    -----
    Yeh et al. 2019 (their maximum sensitivity, averaged), noise relative to the signal. NaN where a(x) is all zero, or
    the noise is zero because the input is silent.
    """

    label: ClassVar[str] = "Average sensitivity"
    short: ClassVar[str] = "Sensitivity"
    source: ClassVar[str] = "Yeh et al. 2019"

    def measuring(self, noisy: NoisyExplanations, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes = noisy.of_maps(distance, attributions)
        yield [noisy.work]
        return torch.where(noisy.inputs.have_noise, _relative(changes.mean(1), attributions), torch.nan)


@metric("maximum_sensitivity")
@dataclass(frozen=True)
class MaximumSensitivity(RobustnessMetric):
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
class LocalLipschitz(RobustnessMetric):
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
class RelativeInputStability(RobustnessMetric):
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
    """Change divided by the norm of the map; NaN where the map is all zero."""
    size = norm(attributions)
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
