"""What holds for every faithfulness metric: invariances, degenerate inputs, shared work, memory."""

import gc
from typing import Any
from unittest.mock import patch

import pytest
import torch
from helpers.metric_cases import BASELINE
from helpers.removals import EVERY_KIND, KINDS, linear, tie_free
from helpers.tiny_models import Counting, Function, draw, nothing_touched, with_hooks_and_marks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.metrics import patterns
from audioxai.metrics.batch import Batch, PassMetric, begin, evaluate
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    Comprehensiveness,
    ContributionInfidelity,
    Deletion,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Infidelity,
    InputFidelity,
    Insertion,
    MaskFaithfulness,
    Road,
    Sufficiency,
)
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

METRICS: dict[str, PassMetric] = {
    type(metric).__name__: metric
    for metric in (
        FaithfulnessCorrelation(BASELINE, runs=12),
        FaithfulnessEstimate(BASELINE, fraction=0.1),
        Deletion(BASELINE, steps=6),
        Insertion(BASELINE, steps=6),
        Road((0.2, 0.6)),
        Infidelity(BASELINE, runs=12),
        ContributionInfidelity(BASELINE, runs=12),
        Comprehensiveness(BASELINE),
        Sufficiency(BASELINE),
        AverageIncrease(BASELINE),
        AverageDrop(BASELINE),
        AverageGain(BASELINE),
        MaskFaithfulness(BASELINE),
        InputFidelity(BASELINE),
    )
}
EVERY = pytest.mark.parametrize("name", METRICS)
RANKING = ("FaithfulnessEstimate", "Deletion", "Insertion", "Road", "Comprehensiveness", "Sufficiency")


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-11, equal_nan=True)


@EVERY
@EVERY_KIND
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_is_the_same_for_any_order_split_call_size_and_positive_scale(name: str, kind: str, data: Any) -> None:
    metric, (model, inputs, targets, attributions) = METRICS[name], tie_free(kind, batch=5)
    together = metric(model, inputs, targets, attributions)
    order = torch.tensor(data.draw(st.permutations(range(5))))
    scale = 10.0 ** data.draw(st.floats(-8, 8))
    split = data.draw(st.integers(1, 4))
    with patch.object(hardware, "CELLS_PER_CALL_CPU", data.draw(st.integers(1, 20)) * inputs[0].numel()):
        parts = [
            metric(model, inputs[part], targets[part], scale * attributions[part])
            for part in torch.split(order, [split, 5 - split])
        ]
    close(torch.cat(parts), together[order])


@EVERY
@settings(max_examples=8, deadline=None)
@given(
    shape=st.sampled_from([(1, 3), (1, 17), (1, 3, 4), (2, 4, 3), (3, 5)]),
    seed=st.integers(0, 10_000),
    digits=st.integers(0, 3),
)
def test_lies_in_its_range_or_is_undefined(name: str, shape: tuple[int, ...], seed: int, digits: int) -> None:
    """Of any attributions, ties in them included."""
    metric, weights = METRICS[name], draw(3, *shape, seed=seed + 1)
    model = Function(lambda inputs: (inputs.flatten(1) @ weights.flatten(1).T).sin() * 5)
    inputs, attributions = draw(4, *shape, seed=seed), draw(4, *shape, seed=seed + 2).round(decimals=digits)
    scores = metric(model, inputs, torch.arange(4) % 3, attributions)
    assert scores.dtype == torch.float64
    low, high = metric.score_range
    assert bool((scores.isnan() | ((scores >= low) & (scores <= high))).all())


@EVERY
@EVERY_KIND
def test_a_sample_without_relevance_is_undefined_and_no_other(name: str, kind: str) -> None:
    model, inputs, targets, attributions = tie_free(kind)
    expected = METRICS[name](model, inputs, targets, attributions)
    attributions[1] = 0.0
    scores = METRICS[name](model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, True, False, False]
    close(scores[[0, 2, 3]], expected[[0, 2, 3]])


@pytest.mark.parametrize("name", [*RANKING, "FaithfulnessCorrelation"])
@pytest.mark.parametrize("value", [0.1, -3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_relevance_ranks_nothing(name: str, value: float, dtype: torch.dtype) -> None:
    model, inputs, targets, attributions = tie_free("waveform")
    model, inputs, attributions = model.to(dtype), inputs.to(dtype), attributions.to(dtype)
    attributions[2] = value
    scores = METRICS[name](model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, False, True, False]


@EVERY
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1)])
def test_an_input_of_one_cell(name: str, shape: tuple[int, ...]) -> None:
    """One cell has no order and correlates with nothing; a mask or a box of it is the whole input."""
    model, inputs, targets, exact = linear(*shape)
    scores = METRICS[name](model, inputs, targets, exact)
    if name in (*RANKING, "FaithfulnessCorrelation"):
        assert bool(scores.isnan().all())
    elif "Infidelity" in name:
        close(scores, torch.zeros(4, dtype=torch.float64))
    else:
        assert torch.equal(scores.isnan(), exact.flatten() <= 0)


@EVERY
@EVERY_KIND
def test_takes_the_passes_it_says_and_leaves_everything_as_it_was(name: str, kind: str) -> None:
    inner, inputs, targets, attributions = tie_free(kind)
    model = Counting(with_hooks_and_marks(inner) if kind != "channels" else inner)
    with nothing_touched(model, inputs, targets, attributions):
        METRICS[name](model, inputs, targets, attributions)
    assert model.counter.count == METRICS[name].passes(model, inputs)


@EVERY
@pytest.mark.parametrize("part", [1, 3], ids=["inputs", "attributions"])
def test_numbers_that_are_none_are_refused_with_sample_and_metric(name: str, part: int) -> None:
    case = tie_free("image")
    cells = case[1] if part == 1 else case[3]
    cells[2, 0, 1, 1] = torch.nan
    with pytest.raises(UserError, match=rf"^{METRICS[name].label}: .* of sample 2 contain NaN or infinity"):
        METRICS[name](*case)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluated_together_they_score_as_alone_and_ask_for_the_whole_once(kind: str) -> None:
    inner, inputs, targets, attributions = tie_free(kind)
    model = Counting(inner)
    scores = evaluate(METRICS, Batch(model, inputs, targets), attributions)
    for name, metric in METRICS.items():
        close(scores[name], metric(inner, inputs, targets, attributions))
    alone = sum(metric.passes(inner, inputs) for metric in METRICS.values())
    # Logit, probability, the others' probability and the class of the whole are read off one pass; boxes are shared.
    wholes = sum(name != "Road" for name in METRICS)
    assert model.counter.count == alone - len(inputs) * (wholes - 1) - len(inputs) * 12


@pytest.mark.parametrize("name", ["FaithfulnessCorrelation", "Infidelity", "ContributionInfidelity"])
def test_removals_that_no_attribution_decides_are_made_once_for_all_methods(name: str) -> None:
    inner, inputs, targets, attributions = tie_free("image")
    judged = (attributions, -attributions, attributions**2)
    expected = [METRICS[name](inner, inputs, targets, each) for each in judged]
    model = Counting(inner)
    batch = Batch(model, inputs, targets)
    outcomes = run([begin(METRICS[name], batch, each) for each in judged])
    assert model.counter.count == METRICS[name].passes(inner, inputs)
    for outcome, alone in zip(outcomes, expected, strict=True):
        assert torch.equal(outcome.scores, alone)


def living_at_the_end(metric: PassMetric, size: int) -> int:
    """Numbers in the tensors that are alive when the model is called for the last time."""
    inputs, attributions, targets = draw(2, 1, size), draw(2, 1, size, seed=1), torch.tensor([0, 1])
    sent, alive = 0, 0

    def weigh(stack: Tensor) -> Tensor:
        nonlocal sent, alive
        sent += len(stack)
        if sent == metric.passes(model, inputs):
            gc.collect()
            alive = sum(each.numel() for each in gc.get_objects() if issubclass(type(each), Tensor))
        return stack[:, 0, :3]

    model = Function(weigh)
    metric(model, inputs, targets, attributions)
    return alive


@pytest.mark.parametrize(
    ("few", "many"),
    [
        (FaithfulnessCorrelation(BASELINE, runs=10), FaithfulnessCorrelation(BASELINE, runs=60)),
        (FaithfulnessEstimate(BASELINE, fraction=0.1), FaithfulnessEstimate(BASELINE, fraction=0.02)),
        (Deletion(BASELINE, steps=10), Deletion(BASELINE, steps=60)),
        (Insertion(BASELINE, steps=10), Insertion(BASELINE, steps=60)),
        (Infidelity(BASELINE, runs=10), Infidelity(BASELINE, runs=60)),
        (Road((0.1, 0.2)), Road((0.1, 0.2) * 6)),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_memory_does_not_grow_with_the_number_of_runs(few: PassMetric, many: PassMetric) -> None:
    size = 2_000
    with (
        patch.object(hardware, "CELLS_PER_CALL_CPU", 4 * size),
        patch.object(patterns, "FEATURES_AT_ONCE", size),
        patch.object(patterns, "KEPT", 1),
    ):
        grown = living_at_the_end(many, size) - living_at_the_end(few, size)
    # An input more for each run would be 100,000 numbers, one boolean mask more as many.
    assert grown < 2 * size
