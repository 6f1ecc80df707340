"""Infidelity: error of the drops of the logit that an attribution map predicts for random removals."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, PassMetric, Responses
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import removed_inputs
from audioxai.metrics.precision import mean_of
from audioxai.metrics.registry import metric
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class _BoxInfidelity(PassMetric):
    """Mean squared error of predicted drops of the target's logit when random boxes of the input are removed."""

    baseline: Baseline
    fraction: float = 0.1
    runs: int = 100
    scaled: bool = True
    seed: int = 0

    family: ClassVar[str] = "faithfulness"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    revision: ClassVar[int] = 2
    draws_at_random: ClassVar[bool] = True
    scale_matters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; a box has to be a fraction in (0, 1) of the input")
        if self.runs < 2:
            raise UserError(f"runs is {self.runs}; infidelity needs at least 2")

    @abstractmethod
    def contributions(self, batch: Batch, attributions: Tensor) -> Tensor:
        """Drop of the logit that the attributions predict for removing each feature; shaped like them."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        key = ("boxes", self.baseline, self.fraction, self.runs, self.seed)
        boxes, after = batch.shared(key, lambda: self._removals(batch))
        before = batch.plain()
        yield [before.work, after.work]
        drops = before.values.double() - after.values.double()
        predicted = boxes.sums(self.contributions(batch, attributions).double().sum(1))
        if not self.scaled:
            return mean_of((drops - predicted).square())
        # Where all predictions are 0 the scale is undefined, and 0 / 0 is NaN.
        scale = (drops * predicted).mean(1) / predicted.square().mean(1)
        # The scale minimises the error, so the error it has from the draws does not count to first order.
        return mean_of((drops - scale[:, None] * predicted).square())

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample ``runs`` and one for the unperturbed input."""
        return len(inputs) * (self.runs + 1)

    def _removals(self, batch: Batch) -> tuple["Boxes", Responses]:
        boxes = Boxes.drawn(batch, self.fraction, self.runs, self.seed)
        removed = removed_inputs(batch, self.baseline)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            return torch.where(boxes.inside(samples, runs), removed[samples], batch.inputs[samples])

        return boxes, batch.responses(remove, self.runs)


@metric("infidelity")
@dataclass(frozen=True)
class Infidelity(_BoxInfidelity):
    """Mean squared error of Iᵀa against the drop f(x) − f(x − I), I = x − baseline on a random box and 0 elsewhere.

    Attributes
    ----------
    baseline : Baseline
        Value of features in the box.
    fraction : float
        Share of the input that a box takes: a square of a square image, a stretch of a waveform.
    runs : int
        Boxes per sample.
    scaled : bool
        Multiply the attributions by the β that minimises the error, as the authors' own code does, so that methods
        of different units compare. If False this is Eq. 1.
    seed : int
        Of the boxes, a function of the sample's values and the seed; methods share them.

    Notes
    -----
    Yeh et al. 2019, Eq. 1, f the target's logit; the unit is logits². For attributions *per unit of the input*, such as
    gradients; for those that are contributions to the logit see :class:`ContributionInfidelity`. If scaled, NaN where
    every predicted drop is 0.
    """

    label: ClassVar[str] = "Infidelity"
    source: ClassVar[str] = "Yeh et al. 2019, Eq. 1"
    complex_inputs: ClassVar[bool] = False

    def contributions(self, batch: Batch, attributions: Tensor) -> Tensor:
        """I ⊙ a."""
        return (batch.inputs - removed_inputs(batch, self.baseline)) * attributions


@metric("contribution_infidelity")
@dataclass(frozen=True)
class ContributionInfidelity(_BoxInfidelity):
    """Mean squared error of the attributions' sum over a random box against the drop when the box is removed.

    Attributes
    ----------
    baseline, fraction, runs, scaled, seed
        As in :class:`Infidelity`, the very same boxes included.

    Notes
    -----
    Yeh et al. 2019, Eq. 1 with a binary I, for attributions that are contributions to the logit: Integrated Gradients,
    gradient × input, Shapley values, occlusion.
    """

    label: ClassVar[str] = "Contribution infidelity"
    short: ClassVar[str] = "Contribution inf."
    source: ClassVar[str] = "Yeh et al. 2019, Eq. 1, binary I"

    def contributions(self, batch: Batch, attributions: Tensor) -> Tensor:  # noqa: ARG002 (the family's)
        """The attributions themselves."""
        return attributions


@dataclass(frozen=True, eq=False)
class Boxes:
    """Random boxes, one per sample and run.

    Attributes
    ----------
    first : Tensor
        ``(batch, runs, axes)``, first feature of the box along each axis.
    sides : tuple of int
        Features of the box along each axis.
    shape : tuple of int
        Features of the input along each axis.
    """

    first: Tensor
    sides: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def drawn(cls, batch: Batch, fraction: float, runs: int, seed: int) -> "Boxes":
        """Boxes whose sides are the same share of each axis, every position equally likely."""
        shape = tuple(batch.inputs.shape[2:])
        sides = tuple(max(1, round(fraction ** (1 / len(shape)) * size)) for size in shape)
        room = torch.tensor([size - side + 1 for size, side in zip(shape, sides, strict=True)])
        streams = Streams(("boxes", seed), batch.keys, batch.inputs.device)
        shares = streams.uniform(runs * len(shape)).reshape(-1, runs, len(shape))
        return cls((shares * room.to(shares.device)).long(), sides, shape)

    def inside(self, samples: Tensor, runs: Tensor) -> Tensor:
        """Boolean ``(pairs, 1, …)``, True inside the box of every pair."""
        inside = torch.ones(len(samples), *[1] * (len(self.shape) + 1), dtype=torch.bool, device=samples.device)
        for axis, (size, side) in enumerate(zip(self.shape, self.sides, strict=True)):
            first = self.first[samples, runs, axis, None]
            positions = torch.arange(size, device=samples.device)
            along = (positions >= first) & (positions < first + side)
            inside = inside & along.reshape(
                len(samples), *(size if at == axis else 1 for at in range(-1, len(self.shape)))
            )
        return inside

    def sums(self, values: Tensor) -> Tensor:
        """Sum ``(batch, runs)`` over every box of values ``(batch, …)``, from running totals."""
        totals = values
        for axis in range(1, values.ndim):
            none = torch.zeros_like(totals.narrow(axis, 0, 1))
            totals = torch.cat([none, totals.cumsum(axis)], dim=axis)
        strides = torch.tensor(totals.stride()[1:], device=values.device)
        corners = (self.first * strides).sum(-1)
        flat, sums = totals.flatten(1), torch.zeros(corners.shape, dtype=values.dtype, device=values.device)
        for corner in range(2 ** len(self.sides)):
            ends = [corner >> axis & 1 for axis in range(len(self.sides))]
            reach = sum(
                end * side * stride for end, side, stride in zip(ends, self.sides, strides.tolist(), strict=True)
            )
            sign = (-1) ** (len(ends) - sum(ends))
            sums += sign * flat.gather(1, corners + reach)
        # Sums no larger than the rounding of terms that cancel count as 0.
        rounding = 1e-12 * values.abs().flatten(1).sum(1, keepdim=True)
        return torch.where(sums.abs() > rounding, sums, 0.0)
