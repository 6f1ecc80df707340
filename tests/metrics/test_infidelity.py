"""Infidelity against slow twins, closed forms and its boxes against loops."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE, batch_of
from helpers.removals import EVERY_KIND, linear, logit, tie_free
from helpers.tiny_models import Counting, Function, draw, layers_of
from hypothesis import given, settings
from hypothesis import strategies as st

from audioxai.metrics.batch import Batch, begin
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness import ContributionInfidelity, Infidelity
from audioxai.metrics.faithfulness.infidelity import Boxes
from audioxai.utils.errors import UserError

BOTH = pytest.mark.parametrize("family", [Infidelity, ContributionInfidelity])
SCALED = pytest.mark.parametrize("scaled", [False, True])
SHAPES = pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9), (2, 8, 9)])


def box_of(boxes: Boxes, sample: int, run: int) -> tuple[slice, ...]:
    """The cells of one box, all channels."""
    first = boxes.first[sample, run].tolist()
    return (slice(None), *(slice(at, at + side) for at, side in zip(first, boxes.sides, strict=True)))


@BOTH
@SCALED
@EVERY_KIND
def test_is_the_slow_twin(family: type, scaled: bool, kind: str) -> None:
    model, inputs, targets, attributions = tie_free(kind)
    metric = family(BASELINE, fraction=0.2, runs=15, scaled=scaled)
    boxes = Boxes.drawn(batch_of(inputs), 0.2, 15, seed=0)
    expected = []
    for number, (sample, target, attribution) in enumerate(zip(inputs, targets, attributions, strict=True)):
        drops, predicted = [], []
        for run_number in range(15):
            box = box_of(boxes, number, run_number)
            removed = sample.clone()
            removed[box] = BASELINE.value
            drops.append(logit(model, sample, target) - logit(model, removed, target))
            share = (sample - removed) * attribution if family is Infidelity else attribution[box]
            predicted.append(float(share.sum()))
        beta = np.linalg.lstsq(np.array(predicted)[:, None], np.array(drops), rcond=None)[0][0] if scaled else 1.0
        expected.append(np.mean((np.array(drops) - beta * np.array(predicted)) ** 2))
    np.testing.assert_allclose(metric(model, inputs, targets, attributions).numpy(), expected, rtol=1e-9, atol=1e-12)


@SHAPES
@SCALED
def test_exact_attributions_of_a_linear_model_are_perfect(shape: tuple[int, ...], scaled: bool) -> None:
    model, inputs, targets, shares = linear(*shape)
    weights = layers_of(model).weights.detach()[targets]
    none = torch.zeros(4, dtype=torch.float64)
    close: dict[str, Any] = {"rtol": 0, "atol": 1e-20}
    slopes, contributions = Infidelity(BASELINE, scaled=scaled), ContributionInfidelity(BASELINE, scaled=scaled)
    torch.testing.assert_close(slopes(model, inputs, targets, weights), none, **close)
    torch.testing.assert_close(contributions(model, inputs, targets, shares), none, **close)
    # Each is wrong about what the other is right about.
    assert bool((slopes(model, inputs, targets, shares) > 1e-3).all())
    assert bool((contributions(model, inputs, targets, weights) > 1e-3).all())


@SHAPES
def test_to_the_letter_the_unit_counts_and_scaled_it_does_not(shape: tuple[int, ...]) -> None:
    model, inputs, targets, shares = linear(*shape)
    letter, scaled = (ContributionInfidelity(BASELINE, runs=20, scaled=each) for each in (False, True))
    boxes = Boxes.drawn(batch_of(inputs), 0.1, 20, seed=0)
    squares = boxes.sums(shares.sum(1)).square().mean(1)
    # 3 a predicts three times every drop: the error is twice the drop.
    torch.testing.assert_close(letter(model, inputs, targets, 3 * shares), 4 * squares, rtol=1e-9, atol=0)
    torch.testing.assert_close(letter(model, inputs, targets, 0 * shares), squares, rtol=1e-9, atol=0)
    assert float(scaled(model, inputs, targets, 3 * shares).max()) < 1e-20


@BOTH
def test_where_nothing_is_predicted_the_scale_is_undefined(family: type) -> None:
    model, inputs, targets, attributions = tie_free("image")
    metric = family(BASELINE, runs=20)
    expected = metric(model, inputs, targets, attributions)
    attributions[2] = 0.0
    scores = metric(model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, False, True, False]
    torch.testing.assert_close(scores[[0, 1, 3]], expected[[0, 1, 3]], rtol=0, atol=0)
    assert not bool(family(BASELINE, runs=20, scaled=False)(model, inputs, targets, attributions).isnan().any())


@BOTH
def test_a_model_that_ignores_its_input_and_an_attribution_that_says_so(family: type) -> None:
    model = Function(lambda inputs: torch.ones(len(inputs), 3, dtype=inputs.dtype))
    inputs, targets = draw(3, 1, 8, 8), torch.tensor([0, 1, 2])
    scores = family(BASELINE, scaled=False)(model, inputs, targets, torch.zeros_like(inputs))
    assert torch.equal(scores, torch.zeros(3, dtype=torch.float64))


def test_both_share_the_removals() -> None:
    inner, inputs, targets, attributions = tie_free("image")
    metrics = [
        Infidelity(BASELINE, runs=9),
        ContributionInfidelity(BASELINE, runs=9),
        Infidelity(BASELINE, runs=9, scaled=False),
    ]
    expected = [metric(inner, inputs, targets, attributions) for metric in metrics]
    model = Counting(inner)
    batch = Batch(model, inputs, targets)
    outcomes = run([begin(metric, batch, attributions) for metric in metrics])
    for outcome, alone in zip(outcomes, expected, strict=True):
        assert torch.equal(outcome.scores, alone)
    assert model.counter.count == metrics[0].passes(inner, inputs) == 4 * 10


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 11), (1, 1), (1, 4, 7), (2, 5, 3), (1, 1, 6)]),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_boxes_are_inside_of_one_size_and_summed_right(shape: tuple[int, ...], fraction: float, seed: int) -> None:
    inputs, values = draw(2, *shape, seed=seed), draw(2, *shape[1:], seed=seed + 1)
    boxes = Boxes.drawn(batch_of(inputs), fraction, 6, seed)
    samples, runs = torch.arange(2).repeat(6), torch.arange(6).repeat_interleave(2)
    inside = boxes.inside(samples, runs)
    assert inside.shape == (12, 1, *shape[1:])
    assert set(inside.flatten(1).sum(1).tolist()) == {int(np.prod(boxes.sides))}
    sums = boxes.sums(values)
    for pair, (sample, number) in enumerate(zip(samples.tolist(), runs.tolist(), strict=True)):
        expected = torch.zeros(shape, dtype=torch.bool)
        expected[box_of(boxes, sample, number)] = True
        assert torch.equal(inside[pair], expected[:1])
        total = float(values[sample][box_of(boxes, sample, number)[1:]].sum())
        assert abs(float(sums[sample, number]) - total) < 1e-10


def test_every_position_of_a_box_is_as_likely_as_any_other() -> None:
    boxes = Boxes.drawn(batch_of(torch.zeros(1, 1, 6, 9)), 0.25, 8_000, seed=3)
    assert boxes.sides == (3, 4)
    # 4 × 6 positions; the standard deviation of a position's share over 8,000 boxes is 0.0022.
    shares = torch.bincount(boxes.first[0] @ torch.tensor([6, 1]), minlength=24) / 8_000
    torch.testing.assert_close(shares, torch.full((24,), 1 / 24), rtol=0, atol=0.01)


@BOTH
@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"fraction": 0.0}, r"fraction is 0\.0"), ({"fraction": 1.0}, r"fraction is 1\.0"), ({"runs": 1}, "runs is 1")],
)
def test_impossible_settings_are_refused(family: type, fields: dict[str, float], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        family(BASELINE, **fields)
