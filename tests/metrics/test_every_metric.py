"""What holds for every registered metric, and that the suite for it finds metrics for which it does not."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from helpers.metric_cases import Gradient, case, kinds_of, masks_of, metric_case, registered
from helpers.tiny_models import nothing_touched, with_hooks_and_marks
from torch import Tensor, nn

from audioxai.core import Explainer, Metric
from audioxai.metrics import METRICS, THESIS_METRICS, PassMetric, metric
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.metrics.registry import FACTS, entry_of
from audioxai.registry import UnknownNameError
from audioxai.testing.metrics import MetricCase, check_metric
from audioxai.utils.errors import UserError

EVERY = pytest.mark.parametrize("name", METRICS)
FAMILIES = {"faithfulness", "robustness", "complexity", "randomisation", "localisation", "axioms"}


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_contract(name: str, dtype: torch.dtype) -> None:
    for kind in kinds_of(name):
        check_metric(registered(name), metric_case(kind, dtype))


@EVERY
def test_states_the_facts_of_its_entry_and_where_it_comes_from(name: str) -> None:
    made, entry = registered(name), METRICS[name]
    assert isinstance(made, Metric)
    assert made == registered(name)
    assert entry.family in FAMILIES
    assert entry.label
    assert len(entry.short or entry.label) <= 26
    assert any(character.isdigit() for character in entry.source)
    for fact in set(FACTS) - {"label", "short"}:
        assert getattr(entry, fact) == getattr(made, fact)


def test_labels_differ() -> None:
    for labels in ([entry.label for entry in METRICS.values()], [e.short or e.label for e in METRICS.values()]):
        assert len(set(labels)) == len(labels)


def test_the_metrics_of_the_thesis_are_registered() -> None:
    assert set(THESIS_METRICS) <= set(METRICS)


@EVERY
def test_leaves_a_model_that_somebody_else_uses_as_it_was(name: str) -> None:
    for kind in kinds_of(name):
        tried = metric_case(kind)
        with_hooks_and_marks(tried.model)
        with nothing_touched(tried.model, tried.inputs, tried.targets, tried.attributions):
            tried.scores(registered(name))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'sparsness', did you mean 'sparseness'"):
        METRICS["sparsness"]


def test_options_are_bound_by_name_and_unknown_ones_refused() -> None:
    entry = METRICS["faithfulness_correlation"]
    made = entry.bind({"baseline": None, "seed": 3, "explainer": Gradient()}, runs=7, patch=2)
    assert (made.runs, made.patch, made.seed, made.fraction) == (7, 2, 3, 0.1)
    with pytest.raises(UserError, match="no option 'run', did you mean 'runs'"):
        entry.bind({"baseline": None}, run=7)
    with pytest.raises(UserError, match="needs baseline"):
        entry.bind({"seed": 3})
    assert METRICS.bind("faithfulness_correlation", {"baseline": None}, patch=8).patch == 8


def test_a_new_metric_is_registered_by_its_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS))
    metric("largest")(Largest)
    assert METRICS.bind("largest", {"seed": 1}) == Largest()
    assert METRICS["largest"].revision == 4
    with pytest.raises(UserError, match="there is a metric 'largest' already"):
        metric("largest")(Draws)


def test_a_class_that_lacks_a_fact_is_refused() -> None:
    class Unlabelled(PassMetric):
        """States nothing but its direction."""

        higher_is_better: ClassVar[bool] = True

    with pytest.raises(UserError, match="does not state label, family, score_range, source"):
        entry_of("unlabelled", Unlabelled)


def test_masks_and_change_are_asked_for() -> None:
    with pytest.raises(UserError, match="got no masks for inputs of"):
        registered("relevance_mass")(*case("image"))
    with pytest.raises(UserError, match="got no change for 5 inputs"):
        registered("completeness_gap")(*case("image"))


def test_completeness_gap_is_relative_to_the_change_the_method_measured() -> None:
    model, inputs, targets, _ = case("image", batch=3)
    attributions = torch.zeros(3, 1, 4, 5, dtype=torch.float64)
    attributions[:, 0, 0, 0] = torch.tensor([1.0, 1.5, -2.0])
    change = torch.tensor([1.0, 1.0, 0.0])
    scores = registered("completeness_gap")(model, inputs, targets, attributions, change=change)
    torch.testing.assert_close(scores, torch.tensor([0.0, 0.5, torch.nan], dtype=torch.float64), equal_nan=True)


# Metrics that violate one part of the contract each.


@dataclass(frozen=True)
class Largest(PassMetric):
    """Largest share of the absolute attributions, as it should be; the others differ from it in one thing."""

    label: ClassVar[str] = "Largest share"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "this test, 2026"
    revision: ClassVar[int] = 4
    uses_passes: ClassVar[bool] = False

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        yield ()
        return self.of(batch, attributions)

    def of(self, batch: Batch, attributions: Tensor) -> Tensor:  # noqa: ARG002 (others read it)
        magnitudes = attributions.abs().flatten(1).double()
        return magnitudes.amax(1) / magnitudes.sum(1)


@dataclass
class NotFrozen:
    """No frozen dataclass."""

    label: ClassVar[str] = "Not frozen"


@dataclass(frozen=True)
class Keeps(Largest):
    """Its configuration holds a function, which has no name but its address."""

    function: object = field(default=lambda: None)


@dataclass(frozen=True)
class NoSource(Largest):
    """Says that its best is below its worst."""

    score_range: ClassVar[tuple[float, float]] = (1.0, 0.0)


@dataclass(frozen=True)
class OneForAll(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return super().of(batch, attributions).mean()


@dataclass(frozen=True)
class Single(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return super().of(batch, attributions).float()


@dataclass(frozen=True)
class OutOfRange(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return 1.0 + super().of(batch, attributions)


@dataclass(frozen=True)
class AllAlike(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return 0.0 * super().of(batch, attributions) + 0.5


@dataclass(frozen=True)
class OfTheBatch(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:  # noqa: ARG002 (others read it)
        magnitudes = attributions.abs().flatten(1).double()
        return magnitudes.amax(1) / magnitudes.sum()


@dataclass(frozen=True)
class OfThePlace(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return super().of(batch, attributions) / (1 + torch.arange(len(batch)))


@dataclass(frozen=True)
class OfTheCall(Largest):
    """The first of every call counts less."""

    uses_passes: ClassVar[bool] = True

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        return len(inputs)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        firsts: list[int] = []

        def shown(samples: Tensor, runs: Tensor) -> Tensor:
            firsts.append(int(samples[0]))
            return batch.inputs[samples]

        yield [batch.responses(shown, 1).work]
        scores = self.of(batch, attributions)
        scores[firsts] = 0.9 * scores[firsts]
        return scores


@dataclass(frozen=True)
class KnowsTheScale(Largest):
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    def of(self, batch: Batch, attributions: Tensor) -> Tensor:  # noqa: ARG002
        sizes = attributions.abs().flatten(1).double().amax(1)
        return torch.where(sizes > 0, sizes, torch.nan)


@dataclass(frozen=True)
class ZeroIsGood(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return super().of(batch, attributions).nan_to_num(1.0)


@dataclass(frozen=True)
class ZeroSpreads(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        scores = super().of(batch, attributions)
        return torch.full_like(scores, torch.nan) if bool(scores.isnan().any()) else scores


@dataclass(frozen=True)
class Draws(Largest):
    """Draws from PyTorch's global generator."""

    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        return super().of(batch, attributions) * (0.5 + 0.5 * float(torch.rand(())))


@dataclass(frozen=True)
class UsesUpNumbers(Largest):
    """Draws from NumPy's global generator, though it needs nothing."""

    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        np.random.random()  # noqa: NPY002
        return super().of(batch, attributions)


@dataclass(frozen=True)
class SameSeed(Largest):
    seed: int = 0
    draws_at_random: ClassVar[bool] = True


@dataclass(frozen=True)
class LeavesAHook(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        batch.model.register_forward_hook(lambda *_: None)
        return super().of(batch, attributions)


@dataclass(frozen=True)
class ChangesWeights(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        next(batch.model.parameters()).mul_(1.0)
        return super().of(batch, attributions)


@dataclass(frozen=True)
class ChangesInputs(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        batch.inputs[:, :, 0] += 1.0
        return super().of(batch, attributions)


@dataclass(frozen=True)
class HidesPasses(Largest):
    def of(self, batch: Batch, attributions: Tensor) -> Tensor:
        batch.model(batch.inputs)
        return super().of(batch, attributions)


@dataclass(frozen=True)
class AcceptsNan(Largest):
    def check(self, batch: Batch, attributions: Tensor) -> None:
        if attributions.shape != batch.inputs.shape:
            raise UserError("shapes differ")


@dataclass(frozen=True)
class AcceptsShapes(Largest):
    def check(self, batch: Batch, attributions: Tensor) -> None:
        if not bool(attributions.isfinite().all() and batch.inputs.isfinite().all()):
            raise UserError("not finite")


@dataclass(frozen=True)
class AcceptsNoMasks(Largest):
    needs_masks: ClassVar[bool] = True


def test_a_metric_that_keeps_the_contract_passes() -> None:
    check_metric(Largest())
    check_metric(Largest(), metric_case("image"))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (NotFrozen, "is not frozen"),
        (Keeps, "configuration that is no plain data"),
        (NoSource, "has the range"),
        (OneForAll, "returned shape"),
        (Single, "instead of float64"),
        (OutOfRange, "outside 0.0 … 1.0"),
        (AllAlike, "gave different samples the same score"),
        (OfTheBatch, "when it is alone"),
        (OfThePlace, "when it is alone"),
        (OfTheCall, "when it is alone|inputs per model call"),
        (KnowsTheScale, "attributions' scale"),
        (ZeroIsGood, "where only sample 1 is all zero"),
        (ZeroSpreads, "where only sample 1 is all zero"),
        (Draws, "."),
        (UsesUpNumbers, "global random state"),
        (SameSeed, "same scores for another seed"),
        (LeavesAHook, "changed .*_forward_hooks"),
        (ChangesWeights, "changed 0.weight"),
        (ChangesInputs, "changed inputs"),
        (HidesPasses, "took 5 model passes but states 0"),
        (AcceptsNan, "accepts nan in inputs"),
        (AcceptsShapes, "accepts attributions of shape"),
        (AcceptsNoMasks, "accepts no masks"),
    ],
)
def test_a_metric_that_violates_the_contract_is_found(broken: type[PassMetric], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_metric(broken(), metric_case("image"))


def test_passes_of_explainers_count() -> None:
    @dataclass(frozen=True)
    class Again(Largest):
        """Explains again, and says that it sends one input too few."""

        explainer: Explainer = field(default_factory=Gradient)
        uses_passes: ClassVar[bool] = True

        def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
            return self.explainer.passes(inputs) - 1

        def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
            yield [batch.explanations(self.explainer, lambda rows, _: batch.inputs[rows], 1, lambda *_: None)]
            return self.of(batch, attributions)

    with pytest.raises(AssertionError, match="took 5 model passes but states 4"):
        check_metric(Again(), metric_case("image"))


def test_cases_are_cut_and_ordered_with_all_that_belongs_to_a_sample() -> None:
    whole = metric_case("image")
    part = whole.rows([3, 1])
    assert isinstance(part, MetricCase)
    for one, other in zip(
        (part.inputs, part.targets, part.attributions, part.masks, part.change),
        (whole.inputs, whole.targets, whole.attributions, masks_of(whole.inputs), whole.change),
        strict=True,
    ):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other[[3, 1]])
