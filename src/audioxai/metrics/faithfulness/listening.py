"""What a mask made of the attributions keeps and loses: the measures of listenable explanations.

Conventions
-----------
The mask M ∈ [0, 1] is the positive part of a cell's relevance divided by the sample's largest. Kept input: b + M ⊙ (x −
b), b the stated baseline; removed input: x + M ⊙ (b − x). p is the softmax probability of the target. Every class gives
the per-sample form of a published number, which is its mean over samples (some papers report the median). NaN where no
cell has positive relevance.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Reading, target_probability
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import absent_cells, cell_relevance

# Probabilities that differ by a smaller share are the rounding of calls of different sizes.
ROUNDING = 1e-5


def soft_mask(attributions: Tensor) -> Tensor:
    """Mask ``(batch, 1, …)`` in [0, 1], float64; all 0 where no cell has positive relevance."""
    positive = cell_relevance(attributions).clamp(min=0.0)
    largest = positive.amax(1, keepdim=True)
    mask = positive / torch.where(largest > 0.0, largest, 1.0)
    return mask.reshape(len(attributions), 1, *attributions.shape[2:])


def other_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """1 − p, ``(n,)``, summed over the other classes: it stays above 0 where p rounds to 1."""
    return logits.double().softmax(1).scatter(1, targets[:, None], 0.0).sum(1)


def predicted_class(logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001 (a reading's)
    """Predicted class, ``(n,)``, as a number of the logits' type."""
    return logits.argmax(1).to(logits.dtype)


@dataclass(frozen=True)
class _MaskMetric(PassMetric):
    """Compares what the model says of the input and of the masked input."""

    baseline: Baseline

    reading: ClassVar[Reading]

    @abstractmethod
    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Scores ``(batch,)`` from what is read off the input and the masked input, both ``(batch,)``, float64."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in the range, NaN where the mask is empty."""
        mask, reading = soft_mask(attributions).to(batch.inputs), type(self).reading
        whole = batch.plain(reading)
        masked = batch.responses(lambda samples, _: self.masked(batch, samples, mask[samples]), 1, reading)
        yield [whole.work, masked.work]
        scores = self.compared(whole.values[:, 0].double(), masked.values[:, 0].double())
        return torch.where(mask.flatten(1).amax(1) > 0.0, scores, torch.nan)

    def masked(self, batch: Batch, samples: Tensor, mask: Tensor) -> Tensor:
        """What the mask keeps of the samples."""
        return torch.lerp(absent_cells(batch, self.baseline)[samples], batch.inputs[samples], mask)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """The input and the masked input, a sample."""
        return 2 * len(inputs)


@dataclass(frozen=True)
class AverageIncrease(_MaskMetric):
    """100 where what the mask keeps makes the target more probable than the whole input does, else 0.

    Attributes
    ----------
    baseline : Baseline
        What the mask fades into.

    Notes
    -----
    Chattopadhay et al. 2018 (increase in confidence), in per cent: 100 · [p(kept) > p(x)].
    """

    title: ClassVar[str] = "average increase"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Chattopadhay et al. 2018"
    reading: ClassVar[Reading] = target_probability

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """100 or 0."""
        return 100.0 * (masked > (1.0 + ROUNDING) * whole).double()


@dataclass(frozen=True)
class AverageDrop(_MaskMetric):
    """How much less probable the target is in what the mask keeps, in per cent of its probability.

    Attributes
    ----------
    baseline : Baseline
        What the mask fades into.

    Notes
    -----
    Chattopadhay et al. 2018: 100 · max(0, p(x) − p(kept)) / p(x). NaN where p(x) is 0.
    """

    title: ClassVar[str] = "average drop"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Chattopadhay et al. 2018"
    reading: ClassVar[Reading] = target_probability

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Per cent."""
        return 100.0 * (whole - masked).clamp(min=0.0) / torch.where(whole > 0.0, whole, torch.nan)


@dataclass(frozen=True)
class AverageGain(_MaskMetric):
    """How much more probable the target is in what the mask keeps, in per cent of what was left to gain.

    Attributes
    ----------
    baseline : Baseline
        What the mask fades into.

    Notes
    -----
    Zhang et al. 2024 (Opti-CAM): 100 · max(0, p(kept) − p(x)) / (1 − p(x)), 1 − p taken from the other classes.
    NaN where they have no probability at all.
    """

    title: ClassVar[str] = "average gain"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Zhang et al. 2024"
    reading: ClassVar[Reading] = other_probability

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Per cent."""
        return 100.0 * (whole - masked).clamp(min=0.0) / torch.where(whole > 0.0, whole, torch.nan)


@dataclass(frozen=True)
class MaskFaithfulness(_MaskMetric):
    """Drop of the target's probability when what the mask marks is removed (FF).

    Attributes
    ----------
    baseline : Baseline
        What the marked part fades into.

    Notes
    -----
    Parekh et al. 2022: p(x) − p(removed).
    """

    title: ClassVar[str] = "mask faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Parekh et al. 2022"
    reading: ClassVar[Reading] = target_probability

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Difference of probabilities."""
        return whole - masked

    def masked(self, batch: Batch, samples: Tensor, mask: Tensor) -> Tensor:
        """What is left when the mask takes its part."""
        return torch.lerp(batch.inputs[samples], absent_cells(batch, self.baseline)[samples], mask)


@dataclass(frozen=True)
class InputFidelity(_MaskMetric):
    """1 where the predicted class of what the mask keeps is that of the whole input, else 0 (Fid-In).

    Attributes
    ----------
    baseline : Baseline
        What the mask fades into.

    Notes
    -----
    Paissan et al. 2023: [argmax f(kept) = argmax f(x)]; the target does not enter.
    """

    title: ClassVar[str] = "input fidelity"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Paissan et al. 2023"
    reading: ClassVar[Reading] = predicted_class

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """1 or 0."""
        return (whole == masked).double()
