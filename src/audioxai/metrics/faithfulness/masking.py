"""Soft masks made of the attributions: what the model says of what they keep, or remove.

Conventions
-----------
The mask M ∈ [0, 1] is the positive part of a feature's relevance divided by the sample's largest. Kept input: b + M ⊙
(x − b), b the baseline; removed input: x + M ⊙ (b − x). p is the target's probability, by softmax, or by its own
sigmoid where labels do not exclude each other. Each class gives the per-sample form of a published number, which is its
mean over samples (some papers report the median). NaN where no feature has positive relevance.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import activation_of, with_rival
from audioxai.metrics.batch import Batch, PassMetric, Reading, predicted_class, target_logit
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import feature_relevance, removed_inputs
from audioxai.metrics.registry import metric

# Relative difference of probabilities up to which it may be rounding, which depends on the size of a call.
ROUNDING = 1e-5


def soft_mask(attributions: Tensor) -> Tensor:
    """Mask ``(batch, 1, …)`` in [0, 1], float64; all 0 where no feature has positive relevance."""
    positive = feature_relevance(attributions).clamp(min=0.0)
    largest = positive.amax(1, keepdim=True)
    mask = positive / torch.where(largest > 0.0, largest, 1.0)
    return mask.reshape(len(attributions), 1, *attributions.shape[2:])


def other_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """1 − p, ``(n,)``, as a sum over the other classes, which stays above 0 where p rounds to 1."""
    return with_rival(logits).double().softmax(1).scatter(1, targets[:, None], 0.0).sum(1)


def absence_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """1 − p, ``(n,)``, of a label that excludes no other, which stays above 0 where p rounds to 1."""
    return (-target_logit(logits, targets).double()).sigmoid()


@dataclass(frozen=True)
class _MaskMetric(PassMetric):
    """What the metrics of masked inputs have in common.

    Attributes
    ----------
    baseline : Baseline
        What masked features become.
    """

    baseline: Baseline

    family: ClassVar[str] = "faithfulness"

    def reading(self, batch: Batch) -> Reading:
        """What is read off the logits; p unless a metric says otherwise."""
        return batch.probability

    @abstractmethod
    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Scores ``(batch,)`` from the reading of the input and of the masked input, both ``(batch,)``, float64."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in ``score_range``, NaN where the mask is empty."""
        mask = soft_mask(attributions).to(batch.inputs.device, batch.inputs.dtype.to_real())
        reading = self.reading(batch)
        whole = batch.plain(reading)
        masked = batch.responses(
            lambda samples, _: self.masked(batch, samples, mask[samples].to(batch.inputs)), 1, reading
        )
        yield [whole.work, masked.work]
        scores = self.compared(whole.values[:, 0].double(), masked.values[:, 0].double())
        return torch.where(mask.flatten(1).amax(1) > 0.0, scores, torch.nan)

    def masked(self, batch: Batch, samples: Tensor, mask: Tensor) -> Tensor:
        """The kept input."""
        return torch.lerp(removed_inputs(batch, self.baseline)[samples], batch.inputs[samples], mask)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Two per sample: the input and the masked input."""
        return 2 * len(inputs)


@metric("average_increase")
@dataclass(frozen=True)
class AverageIncrease(_MaskMetric):
    """100 where the target is more probable in the kept input than in the input, else 0.

    Attributes
    ----------
    baseline : Baseline
        What masked features become.

    Notes
    -----
    Chattopadhay et al. 2018 (increase in confidence), in per cent: 100 · [p(kept) > p(x)].
    """

    label: ClassVar[str] = "Average increase"
    few_values: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Chattopadhay et al. 2018"

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """100 or 0."""
        return 100.0 * (masked > (1.0 + ROUNDING) * whole).double()


@metric("average_drop")
@dataclass(frozen=True)
class AverageDrop(_MaskMetric):
    """Relative drop of the target's probability in the kept input, in per cent.

    Attributes
    ----------
    baseline : Baseline
        What masked features become.

    Notes
    -----
    Chattopadhay et al. 2018: 100 · max(0, p(x) − p(kept)) / p(x). NaN where p(x) is 0.
    """

    label: ClassVar[str] = "Average drop"
    few_values: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Chattopadhay et al. 2018"

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Per cent."""
        return 100.0 * (whole - masked).clamp(min=0.0) / torch.where(whole > 0.0, whole, torch.nan)


@metric("average_gain")
@dataclass(frozen=True)
class AverageGain(_MaskMetric):
    """Relative gain of the target's probability in the kept input, in per cent of 1 − p(x).

    Attributes
    ----------
    baseline : Baseline
        What masked features become.

    Notes
    -----
    Zhang et al. 2024 (Opti-CAM): 100 · max(0, p(kept) − p(x)) / (1 − p(x)), 1 − p taken from the other classes, or from
    the label's absence. NaN where these have no probability at all.
    """

    label: ClassVar[str] = "Average gain"
    few_values: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    source: ClassVar[str] = "Zhang et al. 2024"

    def reading(self, batch: Batch) -> Reading:
        """1 − p."""
        return absence_probability if activation_of(batch.model) == "sigmoid" else other_probability

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Per cent."""
        return 100.0 * (whole - masked).clamp(min=0.0) / torch.where(whole > 0.0, whole, torch.nan)


@metric("mask_faithfulness")
@dataclass(frozen=True)
class MaskFaithfulness(_MaskMetric):
    """Drop of the target's probability in the removed input (FF).

    Attributes
    ----------
    baseline : Baseline
        What masked features become.

    Notes
    -----
    Parekh et al. 2022: p(x) − p(removed).
    """

    label: ClassVar[str] = "Mask faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Parekh et al. 2022"

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """Difference of probabilities."""
        return whole - masked

    def masked(self, batch: Batch, samples: Tensor, mask: Tensor) -> Tensor:
        """The removed input."""
        return torch.lerp(batch.inputs[samples], removed_inputs(batch, self.baseline)[samples], mask)


@metric("input_fidelity")
@dataclass(frozen=True)
class InputFidelity(_MaskMetric):
    """1 where the predicted class of the kept input is that of the input, else 0 (Fid-In).

    Attributes
    ----------
    baseline : Baseline
        What masked features become.

    Notes
    -----
    Paissan et al. 2023: [argmax f(kept) = argmax f(x)]; the target is not used. Of labels that do not exclude each
    other it is the most probable one.
    """

    label: ClassVar[str] = "Input fidelity"
    few_values: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Paissan et al. 2023"

    def reading(self, batch: Batch) -> Reading:  # noqa: ARG002 (the interface)
        """The predicted class."""
        return predicted_class

    def compared(self, whole: Tensor, masked: Tensor) -> Tensor:
        """1 or 0."""
        return (whole == masked).double()
