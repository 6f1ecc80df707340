"""Random logit: the maps of other classes should be different."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring
from audioxai.metrics.similarity import ssim
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys, generator


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
        distances = torch.stack([self._distances(key) for key in content_keys(batch.inputs)]).to(batch.targets.device)
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

    def _distances(self, key: int) -> Tensor:
        """How far ``(alternatives,)`` a sample's other classes are from the target, around the circle of classes."""
        random = generator("random logit", self.seed, key)
        return 1 + torch.randperm(self.class_count - 1, generator=random)[: self.alternatives]


def _scaled(attributions: Tensor) -> Tensor:
    """Each sample's map divided by its largest magnitude; NaN where it is all zero."""
    largest = attributions.abs().flatten(1).amax(1).reshape(-1, *[1] * (attributions.ndim - 1))
    return attributions / torch.where(largest > 0, largest, torch.nan)
