"""Axioms: whether an explanation keeps what its method promises, whatever the data.

Conventions
-----------
Differences of logits are compared with their rounding: what is no larger than a few units in the last place of the
logits themselves counts as none. Every score is a violation, 0 where the axiom holds.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import Explainer
from audioxai.metrics.batch import Batch, PassMetric, Responses, rounding_of
from audioxai.metrics.engine import Scoring
from audioxai.metrics.robustness.disturbances import norm
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Completeness(PassMetric):
    """Gap |Σa − (F(x) − F(baseline))| / |F(x) − F(baseline)| between what is explained and what there is to explain.

    Attributes
    ----------
    baseline : Baseline
        What "nothing" is; the one that the attributions were made with, where their method has one.

    Notes
    -----
    Sundararajan et al. 2017, Proposition 1, as a relative error, not as a yes or no that hangs on rounding. F is the
    target's logit. NaN where the two logits do not differ; 1 where attributions are all zero.
    """

    baseline: Baseline

    title: ClassVar[str] = "completeness"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Sundararajan et al. 2017, Proposition 1"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        at_input, at_baseline = batch.plain(), batch.shared(self, lambda: self._at_baseline(batch))
        yield [at_input.work, at_baseline.work]
        change = (at_input.values - at_baseline.values).double()[:, 0]
        rounding = rounding_of(at_input.values, at_baseline.values)[:, 0]
        gap = (attributions.flatten(1).double().sum(1) - change).abs() / change.abs()
        return torch.where(change.abs() > rounding, gap, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """The input and the baseline, a sample."""
        return 2 * len(inputs)

    def _at_baseline(self, batch: Batch) -> Responses:
        baseline = self.baseline(batch.inputs)
        return batch.responses(lambda samples, _: baseline[samples], 1)


@dataclass(frozen=True)
class NonSensitivity(PassMetric):
    """Share of the patches that get relevance without effect on the logit, or have effect but get no relevance.

    Attributes
    ----------
    baseline : Baseline
        What removed cells are set to.
    patches : int
        Into about how many equal patches the input is cut, whatever its size: 64 is 8 × 8 in an image or spectrogram
        and 64 stretches in a waveform. No axis is cut finer than into cells.
    tolerance : float
        A patch has relevance, or effect, if its Σ|a|, or |change of the logit|, exceeds this fraction of the sample's
        largest; in [0, 1).

    Notes
    -----
    Nguyen & Rodríguez Martínez 2020: |A₀ △ X₀|, the cells of zero attribution against the cells that the model does not
    depend on. Corrected against common implementations: the tolerance is relative, to attributions and logits each by
    themselves, and the count is a share. A change of the logit that is no more than rounding is none. NaN where
    attributions are all zero, for then there is no largest to compare with.
    """

    baseline: Baseline
    patches: int = 64
    tolerance: float = 0.01

    title: ClassVar[str] = "non-sensitivity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020"

    def __post_init__(self) -> None:
        if self.patches < 1:
            raise UserError(f"patches is {self.patches}; non-sensitivity needs at least 1")
        if not 0.0 <= self.tolerance < 1.0:
            raise UserError(f"tolerance is {self.tolerance}; give a fraction in [0, 1) of the largest")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]. All methods share the removals."""
        key = (type(self), self.baseline, self.patches)
        before, after = batch.plain(), batch.shared(key, lambda: self._removals(batch))
        yield [before.work, after.work]
        changes = (before.values - after.values).double().abs()
        effect = changes > rounding_of(before.values, after.values)
        effect &= changes > self.tolerance * changes.amax(1, keepdim=True)
        mass = self._mass(attributions)
        most = mass.amax(1, keepdim=True)
        wrong = effect ^ (mass > self.tolerance * most)
        return torch.where(most[:, 0] > 0, wrong.double().mean(1), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """One a patch and the unperturbed one, a sample."""
        return len(inputs) * (self._count(inputs) + 1)

    def _parts(self, shape: tuple[int, ...]) -> list[int]:
        """Number of patches along each axis."""
        return [min(size, max(1, round(self.patches ** (1 / len(shape))))) for size in shape]

    def _count(self, inputs: Tensor) -> int:
        return math.prod(self._parts(tuple(inputs.shape[2:])))

    def _patch_of_cells(self, shape: tuple[int, ...]) -> Tensor:
        """Number of the patch that each cell of the given spatial shape is in."""
        numbers = torch.zeros(shape, dtype=torch.int64)
        for axis, (size, parts) in enumerate(zip(shape, self._parts(shape), strict=True)):
            place = torch.arange(size) * parts // size
            numbers = numbers * parts + place.reshape(-1, *[1] * (len(shape) - axis - 1))
        return numbers

    def _mass(self, attributions: Tensor) -> Tensor:
        """Σ|a| of every patch, ``(batch, patches)``."""
        numbers = self._patch_of_cells(tuple(attributions.shape[2:])).to(attributions.device).flatten()
        magnitudes = attributions.abs().double().sum(1).flatten(1)
        return magnitudes.new_zeros(len(magnitudes), self._count(attributions)).index_add_(1, numbers, magnitudes)

    def _removals(self, batch: Batch) -> Responses:
        inputs, baseline = batch.inputs, self.baseline(batch.inputs)
        numbers = self._patch_of_cells(tuple(inputs.shape[2:])).to(inputs.device)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            patch = runs.to(numbers.device).reshape(-1, *[1] * (inputs.ndim - 1))
            return torch.where(numbers == patch, baseline[samples], inputs[samples])

        return batch.responses(remove, self._count(inputs))


@dataclass(frozen=True)
class InputInvariance(PassMetric):
    """Relative change ‖a′ − a‖₂ / ‖a‖₂ when a constant is added to the input and taken away again inside the model.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    shift : float
        The constant, in the inputs' unit; not 0.

    Notes
    -----
    Kindermans et al. 2019. The two models are one function of the unshifted input, so a method should not
    tell them apart; one with a fixed baseline of its own does. The paper changes the first layer's bias, which is exact
    only where that layer does not pad; taking the constant away before the first layer is exact for every model. What a
    method draws at random from the input's content is drawn anew for the shifted input and counts as change. NaN where
    a is all zero.
    """

    explainer: Explainer
    shift: float

    title: ClassVar[str] = "input invariance"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Kindermans et al. 2019"

    def __post_init__(self) -> None:
        if self.shift == 0.0 or not math.isfinite(self.shift):
            raise UserError(f"shift is {self.shift}; give a finite number other than 0 in the inputs' unit")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        changes = torch.zeros(len(batch), dtype=torch.float64, device=batch.inputs.device)

        def shifted(samples: Tensor, _: Tensor) -> Tensor:
            return batch.inputs[samples] + self.shift

        def take(samples: Tensor, _: Tensor, again: Tensor) -> None:
            changes[samples] = norm(again - attributions[samples])

        yield [batch.explanations(self.explainer, shifted, 1, take, model=Shifted(batch.model, self.shift))]
        size = norm(attributions)
        return torch.where(size > 0, changes / size, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """One explanation a sample."""
        return self.explainer.passes(inputs)


class Shifted(nn.Module):
    """A model that takes a constant away from its inputs and passes them on to another.

    Parameters
    ----------
    model : nn.Module
        The other, shared, not copied.
    shift : float
        The constant, in the inputs' unit.
    """

    def __init__(self, model: nn.Module, shift: float) -> None:
        super().__init__()
        self.model = model
        self.shift = shift

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of the other model for ``inputs − shift``."""
        logits: Tensor = self.model(inputs - self.shift)
        return logits
