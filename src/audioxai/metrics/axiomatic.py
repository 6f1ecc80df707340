"""Axioms: by how much an explanation violates a property that holds for any data.

Conventions
-----------
Every score is the size of a violation, 0 where the axiom holds. Differences of logits that may be rounding (a few units
in the last place of the logits) count as zero.

Metrics
-------
* :class:`Completeness`, :class:`CompletenessGap`: attributions add up to the change of the score.
* :class:`NonSensitivity`: zero attribution where, and only where, the model does not depend on the input.
* :class:`InputInvariance`: a constant added to the input and subtracted by the model changes nothing.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import Explainer, activation_of
from audioxai.metrics.batch import Batch, PassMetric, Responses, check_finite, rounding_of
from audioxai.metrics.engine import Scoring
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import norm
from audioxai.utils.errors import UserError


@metric("completeness")
@dataclass(frozen=True)
class Completeness(PassMetric):
    """Gap |Σa − (F(x) − F(baseline))| / |F(x) − F(baseline)| between the sum of the attributions and the change.

    Attributes
    ----------
    baseline : Baseline
        From where the change is measured; that of the attributions where their method has one.

    Notes
    -----
    Sundararajan et al. 2017, Proposition 1, as a relative error instead of a yes or no, which rounding
    would decide. F is the target's logit. NaN where the two logits do not differ; 1 where attributions are all zero.
    """

    baseline: Baseline

    label: ClassVar[str] = "Completeness"
    family: ClassVar[str] = "axioms"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Sundararajan et al. 2017, Proposition 1"
    scale_matters: ClassVar[bool] = True
    defined_for_zero: ClassVar[bool] = True

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        at_input, at_baseline = batch.plain(), batch.shared(self, lambda: self._at_baseline(batch))
        yield [at_input.work, at_baseline.work]
        change = (at_input.values - at_baseline.values).double()[:, 0]
        rounding = rounding_of(at_input.values, at_baseline.values)[:, 0]
        gap = (attributions.flatten(1).double().sum(1) - change).abs() / change.abs()
        return torch.where(change.abs() > rounding, gap, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Two per sample: the input and the baseline."""
        return 2 * len(inputs)

    def _at_baseline(self, batch: Batch) -> Responses:
        baseline = self.baseline(batch.inputs)
        return batch.responses(lambda samples, _: baseline[samples], 1)


@metric("completeness_gap")
@dataclass(frozen=True)
class CompletenessGap(PassMetric):
    """Gap |Σa − ΔF| / |ΔF|, ΔF the change of the score as the method measured it along its own path.

    Notes
    -----
    As :class:`Completeness`, but of whatever score and baselines the method explains (log-odds, several references, …):
    what is left is the error of its quadrature. NaN where ΔF is 0.
    """

    label: ClassVar[str] = "Completeness gap"
    short: ClassVar[str] = "Gap"
    family: ClassVar[str] = "axioms"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Sundararajan et al. 2017, Proposition 1"
    needs_change: ClassVar[bool] = True
    any_shape: ClassVar[bool] = True
    uses_passes: ClassVar[bool] = False
    scale_matters: ClassVar[bool] = True
    defined_for_zero: ClassVar[bool] = True

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse attributions that are no numbers, of any domain, and a batch without the change.

        Raises
        ------
        UserError
            Naming what is wrong.
        """
        if len(attributions) != len(batch):
            raise UserError(
                f"{self.label} got attributions of shape {tuple(attributions.shape)} for inputs of "
                f"{tuple(batch.inputs.shape)}; give one map per input"
            )
        if batch.change is None or batch.change.shape != (len(batch),):
            given = "no change" if batch.change is None else f"a change of shape {tuple(batch.change.shape)}"
            raise UserError(
                f"{self.label} got {given} for {len(batch)} inputs; give the change that each map adds up to"
            )
        check_finite(self.label, inputs=batch.inputs, attributions=attributions, change=batch.change)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        yield ()
        assert batch.change is not None  # see check
        change = batch.change.double().to(attributions.device)
        gap = (attributions.double().flatten(1).sum(1) - change).abs() / change.abs()
        return torch.where(change != 0, gap, torch.nan)


@metric("non_sensitivity")
@dataclass(frozen=True)
class NonSensitivity(PassMetric):
    """Share of the patches that get relevance without effect on the logit, or have effect but get no relevance.

    Attributes
    ----------
    baseline : Baseline
        Value of removed features.
    patches : int
        Number of patches, about equal, into which the input is divided, whatever its size: 64 is 8 × 8 for an image or
        spectrogram and 64 stretches for a waveform. A patch has at least one feature along each axis.
    tolerance : float
        A patch has relevance, or effect, if its Σ|a|, or |change of the logit|, exceeds this fraction of the sample's
        largest; in [0, 1).

    Notes
    -----
    Nguyen & Rodríguez Martínez 2020: |A₀ △ X₀|, the features of zero attribution against those that the model does
    not depend on. Corrected against common implementations: the tolerance is relative, for attributions and logits
    separately, and the count is a share. NaN where attributions are all zero, which have no largest to compare with.
    """

    baseline: Baseline
    patches: int = 64
    tolerance: float = 0.01

    label: ClassVar[str] = "Non-sensitivity"
    family: ClassVar[str] = "axioms"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020"
    few_values: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.patches < 1:
            raise UserError(f"patches is {self.patches}; non-sensitivity needs at least 1")
        if not 0.0 <= self.tolerance < 1.0:
            raise UserError(f"tolerance is {self.tolerance}; give a fraction in [0, 1) of the largest")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]; methods share the removals."""
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

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each patch and one for the unperturbed input."""
        return len(inputs) * (self._count(inputs) + 1)

    def _parts(self, shape: tuple[int, ...]) -> list[int]:
        """Number of patches along each axis."""
        return [min(size, max(1, round(self.patches ** (1 / len(shape))))) for size in shape]

    def _count(self, inputs: Tensor) -> int:
        return math.prod(self._parts(tuple(inputs.shape[2:])))

    def _patch_numbers(self, shape: tuple[int, ...]) -> Tensor:
        """Number of the patch that each feature of an input of this spatial shape is in."""
        numbers = torch.zeros(shape, dtype=torch.int64)
        for axis, (size, parts) in enumerate(zip(shape, self._parts(shape), strict=True)):
            place = torch.arange(size) * parts // size
            numbers = numbers * parts + place.reshape(-1, *[1] * (len(shape) - axis - 1))
        return numbers

    def _mass(self, attributions: Tensor) -> Tensor:
        """Σ|a| of every patch, ``(batch, patches)``."""
        numbers = self._patch_numbers(tuple(attributions.shape[2:])).to(attributions.device).flatten()
        magnitudes = attributions.abs().double().sum(1).flatten(1)
        return magnitudes.new_zeros(len(magnitudes), self._count(attributions)).index_add_(1, numbers, magnitudes)

    def _removals(self, batch: Batch) -> Responses:
        inputs, baseline = batch.inputs, self.baseline(batch.inputs)
        numbers = self._patch_numbers(tuple(inputs.shape[2:])).to(inputs.device)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            patch = runs.to(numbers.device).reshape(-1, *[1] * (inputs.ndim - 1))
            return torch.where(numbers == patch, baseline[samples], inputs[samples])

        return batch.responses(remove, self._count(inputs))


@metric("input_invariance")
@dataclass(frozen=True)
class InputInvariance(PassMetric):
    """Relative change ‖a′ − a‖₂ / ‖a‖₂ when a constant is added to the input and subtracted by the model.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    shift : float
        The constant, in the inputs' unit; not 0.

    Notes
    -----
    Kindermans et al. 2019. Both models are the same function of the unshifted input, so maps should be equal; those of
    a method with a fixed baseline of its own are not. The paper changes the first layer's bias, which is exact only
    where that layer does not pad; subtracting the constant before the first layer is exact for every model. Numbers
    that a method draws by the input's content are drawn anew for the shifted input and count as change. NaN where a is
    all zero.
    """

    explainer: Explainer
    shift: float = 1.0

    label: ClassVar[str] = "Input invariance"
    family: ClassVar[str] = "axioms"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Kindermans et al. 2019"
    scale_matters: ClassVar[bool] = True

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

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One explanation per sample."""
        return self.explainer.passes(inputs)


class Shifted(nn.Module):
    """A model that subtracts a constant from its inputs and passes them on to another model.

    Parameters
    ----------
    model : nn.Module
        The other model, shared, not copied.
    shift : float
        The constant, in the inputs' unit.
    """

    def __init__(self, model: nn.Module, shift: float) -> None:
        super().__init__()
        self.model = model
        self.shift = shift
        self.activation = activation_of(model)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of the other model for ``inputs − shift``."""
        logits: Tensor = self.model(inputs - self.shift)
        return logits
