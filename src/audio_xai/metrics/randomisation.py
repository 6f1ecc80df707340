"""Randomisation: an explanation of this class and this model has to change with either."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audio_xai.core import Explainer
from audio_xai.metrics.batch import Batch, PassMetric
from audio_xai.metrics.engine import Scoring
from audio_xai.metrics.similarity import pearson, ranks, ssim
from audio_xai.utils.errors import UserError
from audio_xai.utils.seeding import content_key, derived_seed, generator


@dataclass(frozen=True)
class RandomLogit(PassMetric):
    """Structural similarity of the explanations of the target and of other classes; low is class-discriminative.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    class_count : int
        Classes of the model.
    alternatives : int
        Other classes explained, the mean taken.
    seed : int
        Of the choice of classes, which is every sample's own, a function of its values and the seed.

    Notes
    -----
    Sixt et al. 2020. Each map is divided by its own largest magnitude; maps of images and spectrograms are compared in
    two dimensions, windows of 7 × 7. NaN where a map is all zero.
    """

    explainer: Explainer
    class_count: int
    alternatives: int = 3
    seed: int = 0

    title: ClassVar[str] = "random logit"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Sixt et al. 2020"

    def __post_init__(self) -> None:
        if not 1 <= self.alternatives < self.class_count:
            raise UserError(
                f"alternatives is {self.alternatives} but the model has {self.class_count} classes; "
                "choose at least 1 and fewer than there are classes"
            )

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        distances = torch.stack([self._distances(sample) for sample in batch.inputs]).to(batch.targets.device)
        own = _scaled(attributions)
        total = torch.zeros(len(batch), dtype=torch.float64, device=own.device)

        def others(samples: Tensor, runs: Tensor) -> Tensor:
            return (batch.targets[samples] + distances[samples, runs]) % self.class_count

        def take(samples: Tensor, _: Tensor, other: Tensor) -> None:
            total.index_add_(0, samples, ssim(own[samples], _scaled(other)))

        yield [
            batch.explanations(
                self.explainer, lambda samples, _: batch.inputs[samples], self.alternatives, take, targets=others
            )
        ]
        return total / self.alternatives

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``alternatives`` explanations a sample."""
        return self.alternatives * self.explainer.passes(inputs)

    def _distances(self, sample: Tensor) -> Tensor:
        """How far ``(alternatives,)`` the other classes are from the target, around the circle of classes."""
        random = generator("random logit", self.seed, content_key(sample))
        return 1 + torch.randperm(self.class_count - 1, generator=random)[: self.alternatives]


@dataclass(frozen=True)
class ModelParameterRandomisation(PassMetric):
    """Rank correlation of |attributions| before and after randomising the model's layers from the top; low is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    seed : int
        Of the random weights; every layer has its own.

    Notes
    -----
    Adebayo et al. 2018, cascading randomisation, Spearman, mean over the randomised models only. NaN where the
    attributions are constant.
    """

    explainer: Explainer
    seed: int = 0

    title: ClassVar[str] = "model-parameter randomisation"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Adebayo et al. 2018"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        original = ranks(attributions.abs().flatten(1))
        total = torch.zeros(len(batch), dtype=torch.float64, device=original.device)

        def take(samples: Tensor, _: Tensor, randomised: Tensor) -> None:
            total.index_add_(0, samples, pearson(original[samples], ranks(randomised.abs().flatten(1))))

        layers = 0
        for layers, model in enumerate(self.randomised_models(batch.model), start=1):  # noqa: B007 (counted)
            yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return total / layers

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """One explanation a layer, a sample."""
        return len(_resettable(model)) * self.explainer.passes(inputs)

    def randomised_models(self, model: nn.Module) -> Iterator[nn.Module]:
        """Copy of the model with its last layer drawn anew, then its last two, and so on down to the first.

        The model itself and the global random state stay as they are.
        """
        layers = _resettable(model)
        if not layers:
            raise UserError("the model has no layer with reset_parameters, so its parameters cannot be randomised")
        randomised = copy.deepcopy(model)
        modules = dict(randomised.named_modules())
        for depth, name in enumerate(reversed(layers)):
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                torch.manual_seed(derived_seed("model randomisation", self.seed, depth))
                modules[name].reset_parameters()
            yield randomised


def _resettable(model: nn.Module) -> list[str]:
    """Names of the layers that hold parameters and know how to draw them anew, in the order of definition."""
    return [
        name
        for name, module in model.named_modules()
        if callable(getattr(module, "reset_parameters", None)) and any(True for _ in module.parameters(recurse=False))
    ]


def _scaled(attributions: Tensor) -> Tensor:
    """Each sample's map divided by its largest magnitude; NaN where it is all zero."""
    largest = attributions.abs().flatten(1).amax(1).reshape(-1, *[1] * (attributions.ndim - 1))
    return attributions / torch.where(largest > 0, largest, torch.nan)
