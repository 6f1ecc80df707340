"""The reference's randomisation metrics.

Quirks of the three that randomise the model: every layer is drawn from one and the same seed, so that layers of one
shape get the same weights; the explanation of the model as it is, made again, counts as one of the randomised ones.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from typing import Any, ClassVar, cast

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.compat.quantus.draws import Drawing, NoisyDraws, WholeDraws
from audioxai.compat.quantus.reference import QuantusMetric, prepared
from audioxai.core import Explainer
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.metrics.similarity import RankCorrelation, ssim
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class RandomLogit(QuantusMetric):
    """The reference's random logit.

    Quirks: one other class, chosen by a sample's place in the batch; maps are compared as rows of numbers, whatever
    their shape, each divided by its batch's largest magnitude.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    num_classes, seed, abs, normalise
        As in :mod:`~audioxai.compat.quantus.reference`.
    """

    explainer: Explainer
    num_classes: int = 1000
    seed: int = 42
    abs: bool = False
    normalise: bool = True

    label: ClassVar[str] = "random logit (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Sixt et al. 2020, as Quantus 0.6.0 has it"

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise UserError(f"num_classes is {self.num_classes}; {self.label} needs at least 2")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        before = prepared(attributions, normalise=self.normalise, absolute=self.abs).flatten(1)
        chosen = np.random.RandomState(self.seed).randint(0, self.num_classes - 1, len(batch))
        others = torch.from_numpy(chosen).to(batch.targets)
        others = others + (others >= batch.targets)
        scores = before.new_full((len(batch),), torch.nan, dtype=torch.float64)

        def finish(_: int, maps: Tensor) -> None:
            after = prepared(maps, normalise=self.normalise, absolute=self.abs).flatten(1)
            scores.copy_(ssim(before[:, None], after[:, None]))

        yield [
            batch.explanations(
                self.explainer,
                lambda samples, _: batch.inputs[samples],
                1,
                WholeDraws(attributions, finish),
                targets=lambda samples, _: others[samples],
            )
        ]
        return scores

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One explanation per sample."""
        return self.explainer.passes(inputs)


@dataclass(frozen=True)
class MPRT(QuantusMetric):
    """The reference's model-parameter randomisation test, as its average correlation; layers from the top.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    seed : int
        Of the layers' weights.
    """

    explainer: Explainer
    seed: int = 42

    label: ClassVar[str] = "MPRT (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Adebayo et al. 2018, as Quantus 0.6.0 has it"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        original = RankCorrelation(attributions.abs().flatten(1))
        total = torch.zeros(len(batch), dtype=torch.float64, device=attributions.device)

        def take(samples: Tensor, _: Tensor, again: Tensor) -> None:
            total.index_add_(0, samples, original(samples, again.abs().flatten(1)))

        for model in chain((batch.model,), _cascade(batch.model, self.seed)):
            yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return total / (1 + len(_layers(batch.model)))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Per sample one explanation for each layer and one for the model as it is."""
        return (1 + len(_layers(model))) * self.explainer.passes(inputs)


@dataclass(frozen=True)
class SmoothMPRT(QuantusMetric):
    """The reference's smooth MPRT, as its average correlation; layers from the bottom.

    Quirks: the attributions it is given are compared as they are, unsmoothed; its explanations are always those of its
    own functions, by default the signed gradient, never of a function that the caller gives.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    nr_samples, noise_magnitude
        As in :mod:`~audioxai.compat.quantus.reference`.
    seed : int
        Of the layers' weights and of NumPy's generator.
    """

    explainer: Explainer
    nr_samples: int = 50
    noise_magnitude: float = 0.1
    seed: int = 42

    label: ClassVar[str] = "smooth MPRT (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Hedström et al. 2023, as Quantus 0.6.0 has it"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        original, smooth = RankCorrelation(attributions.abs().flatten(1)), torch.zeros_like(attributions)
        noisy_draws = NoisyDraws(batch.inputs, self.seed, self._noise(batch.inputs))
        total = torch.zeros(len(batch), dtype=torch.float64, device=smooth.device)
        everyone = torch.arange(len(batch), device=smooth.device)

        def take(samples: Tensor, _: Tensor, maps: Tensor) -> None:
            smooth.index_add_(0, samples, maps.to(smooth))

        for place, model in enumerate(chain((batch.model,), _cascade(batch.model, self.seed, bottom_up=True))):
            noisy = partial(_later, noisy_draws, place * self.nr_samples)
            yield [batch.explanations(self.explainer, noisy, self.nr_samples, take, model=model)]
            total += original(everyone, smooth.abs().flatten(1))
            smooth.zero_()
        return total / (1 + len(_layers(batch.model)))

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Per sample ``nr_samples`` explanations for each layer and as many for the model as it is."""
        return (1 + len(_layers(model))) * self.nr_samples * self.explainer.passes(inputs)

    def _noise(self, inputs: Tensor) -> Drawing:
        """Normal noise, but none at the last draw of each model."""
        flat = inputs.flatten(1)
        deviations = (self.noise_magnitude * (flat.amax(1) - flat.amin(1)))[:, None].double().cpu().numpy()
        numbers = count(1)

        def draw(random: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
            last = next(numbers) % self.nr_samples == 0
            return np.zeros(shape) if last else random.standard_normal(shape) * deviations

        return draw


@dataclass(frozen=True)
class EfficientMPRT(QuantusMetric):
    """The reference's efficient MPRT.

    Quirk: the entropy before is that of the explanation made again, not of the attributions it is given.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    n_bins : int
        Of the histogram over each map's own range.
    seed : int
        Of the layers' weights.
    """

    explainer: Explainer
    n_bins: int = 100
    seed: int = 42

    label: ClassVar[str] = "efficient MPRT (Quantus)"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, math.inf)
    source: ClassVar[str] = "Hedström et al. 2023, as Quantus 0.6.0 has it"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ −1."""
        *_, randomised = _cascade(batch.model, self.seed)
        before, after = (attributions.new_full((len(batch),), torch.nan, dtype=torch.float64) for _ in range(2))
        yield [
            batch.explanations(
                self.explainer,
                lambda samples, _: batch.inputs[samples],
                1,
                partial(_take_entropies, entropies, self.n_bins),
                model=model,
            )
            for model, entropies in ((batch.model, before), (randomised, after))
        ]
        return (after - before) / before

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Two explanations per sample."""
        return 2 * self.explainer.passes(inputs)


def _later(noisy_draws: NoisyDraws, first: int, samples: Tensor, draws: Tensor) -> Tensor:
    """Noisy inputs of draws that are counted from ``first``."""
    return noisy_draws(samples, first + draws)


def _take_entropies(entropies: Tensor, bins: int, samples: Tensor, _: Tensor, maps: Tensor) -> None:
    """Entropy in nats of each map's histogram, whose bins NumPy places as in the reference."""
    found = [scipy.stats.entropy(np.histogram(map_, bins)[0]) for map_ in maps.cpu().numpy()]
    entropies[samples] = torch.tensor(found, dtype=entropies.dtype, device=entropies.device)


def _layers(model: nn.Module) -> list[nn.Module]:
    """Layers that the reference draws anew, in the order of definition."""
    return [module for module in model.modules() if hasattr(module, "reset_parameters")]


def _cascade(model: nn.Module, seed: int, *, bottom_up: bool = False) -> Iterator[nn.Module]:
    """A copy of the model, one more layer drawn anew each time; global random state and model stay as they are."""
    randomised = copy.deepcopy(model)
    layers = _layers(randomised)
    if not layers:
        raise UserError("the model has no layer with reset_parameters, so its parameters cannot be randomised")
    for layer in layers if bottom_up else reversed(layers):
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed + 1)
            cast(Any, layer).reset_parameters()
        yield randomised
