"""Explanations of disturbed inputs, asked for once however many metrics look at them."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.robustness.noise import Disturbance, Noise, RangeNoise, SignalNoise
from audioxai.utils.errors import UserError

Comparison = Callable[[Tensor, Tensor], Tensor]


@dataclass(eq=False)
class Disturbed:
    """Disturbed inputs of a batch and their explanations, of which only what metrics measure is kept.

    Attributes
    ----------
    batch : Batch
        What is disturbed.
    explainer : Explainer
        The method under test.
    noise : Noise
        What disturbs.
    draws : int
        Disturbances a sample.
    seed : int
        Of the noise. Every sample has its own, a function of its values and the seed.
    inputs : Disturbance
        Makes the disturbed inputs.
    work : Work
        To be yielded by every metric that measures.
    """

    batch: Batch
    explainer: Explainer
    noise: Noise
    draws: int
    seed: int
    inputs: Disturbance = field(init=False)
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = Disturbance(self.batch.inputs, self.noise, ("sensitivity noise", self.seed))
        self._of_inputs: dict[Comparison, Tensor] = {}
        self._of_maps: dict[tuple[Any, ...], tuple[Comparison, Tensor, Tensor]] = {}
        self.work = self.batch.explanations(self.explainer, self._made, self.draws, self._taken)

    def of_inputs(self, comparison: Comparison) -> Tensor:
        """``comparison(inputs, disturbed)`` of levels, ``(batch, draws)``, once the work is done."""
        return self._of_inputs.setdefault(comparison, self._unmeasured())

    def of_maps(self, comparison: Comparison, attributions: Tensor) -> Tensor:
        """``comparison(attributions, explanations of disturbed inputs)``, ``(batch, draws)``, once the work is done."""
        # The same numbers may come as another tensor; they are kept, so their address is nobody else's.
        key = (comparison, attributions.data_ptr(), attributions.shape, attributions.stride())
        return self._of_maps.setdefault(key, (comparison, attributions, self._unmeasured()))[2]

    def _unmeasured(self) -> Tensor:
        shape = (len(self.batch), self.draws)
        return torch.full(shape, torch.nan, dtype=torch.float64, device=self.batch.inputs.device)

    def _made(self, samples: Tensor, draws: Tensor) -> Tensor:
        disturbed = self.inputs(samples, draws)
        for comparison, measured in self._of_inputs.items():
            levels = (self.noise.level(inputs) for inputs in (self.batch.inputs[samples], disturbed))
            measured[samples, draws] = comparison(*levels)
        return disturbed

    def _taken(self, samples: Tensor, draws: Tensor, again: Tensor) -> None:
        for comparison, attributions, measured in self._of_maps.values():
            measured[samples, draws] = comparison(attributions[samples], again)


def disturbed(batch: Batch, explainer: Explainer, noise: Noise, draws: int, seed: int) -> Disturbed:
    """The batch's disturbed inputs for these settings: the same object for every metric that asks before they are sent.

    Once they have been sent, what comes later has missed them and gets its own.
    """
    key = ("disturbed", id(explainer), noise, draws, seed)
    (latest,) = places = batch.shared(key, lambda: [Disturbed(batch, explainer, noise, draws, seed)])
    if latest.work.done:
        places[0] = latest = Disturbed(batch, explainer, noise, draws, seed)
    return latest


@dataclass(frozen=True)
class DisturbanceMetric(PassMetric):
    """What metrics of disturbed inputs have in common.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    noise : SignalNoise or RangeNoise
        What disturbs the inputs.
    draws : int
        Disturbances a sample.
    seed : int
        Of the noise. Every sample has its own, a function of its values and the seed; metrics share it.
    """

    explainer: Explainer
    noise: SignalNoise | RangeNoise
    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; {self.title} needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        return self.measuring(disturbed(batch, self.explainer, self.noise, self.draws, self.seed), attributions)

    @abstractmethod
    def measuring(self, given: Disturbed, attributions: Tensor) -> Scoring:
        """Ask for measurements, yield the work, return scores ``(batch,)``."""

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """``draws`` explanations a sample."""
        return self.draws * self.explainer.passes(inputs)


def norm(maps: Tensor) -> Tensor:
    """Euclidean norm ``(batch,)`` of every map, summed in float64."""
    return torch.linalg.vector_norm(maps.flatten(1), dim=1, dtype=torch.float64)  # type: ignore[no-any-return]


def distance(maps: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance ``(batch,)`` between maps."""
    return norm(others - maps)


def largest_defined(values: Tensor) -> Tensor:
    """Largest number that is not NaN in each row of ``(batch, n)``; NaN where there is none."""
    undefined = values.isnan()
    return torch.where(undefined.all(1), torch.nan, values.masked_fill(undefined, -torch.inf).amax(1))
