"""What complexity, localisation, axioms and similarities must keep for any numbers: scale, place, range, company."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE, Gradient
from helpers.tiny_models import Linear, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from audioxai.metrics.axiomatic import Completeness, InputInvariance, NonSensitivity
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.complexity import Complexity, EffectiveComplexity, Sparseness
from audioxai.metrics.localisation import Focus, PointingGame, RelevanceMass, RelevanceRank, TopKIntersection
from audioxai.metrics.similarity import gini, pearson, ranks, spearman, ssim

COMPLEXITY: list[PassMetric] = [Sparseness(), Complexity(), EffectiveComplexity(), EffectiveComplexity(0.3)]
LOCALISATION: list[PassMetric] = [RelevanceMass(), Focus(), RelevanceRank(), PointingGame(), TopKIntersection(0.3)]
AXIOMS: list[PassMetric] = [Completeness(BASELINE), NonSensitivity(BASELINE, 4, 0.2), InputInvariance(Gradient(), 0.5)]
MODEL_FREE = pytest.mark.parametrize("metric", COMPLEXITY + LOCALISATION, ids=repr)
EVERY = pytest.mark.parametrize("metric", COMPLEXITY + LOCALISATION + AXIOMS, ids=repr)
SIMILARITIES = pytest.mark.parametrize("similarity", [pearson, spearman])

SHAPE = (4, 1, 3, 5)
EVERYONE = slice(None)
MODEL = Linear(3, *SHAPE[1:])
INPUTS = draw(*SHAPE, seed=5)
TARGETS = torch.tensor([2, 0, 1, 2])

tied = st.integers(-3, 3).map(float)
any_number = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
maps = st.one_of(arrays(np.float64, SHAPE, elements=tied), arrays(np.float64, SHAPE, elements=any_number)).map(
    torch.from_numpy
)
masks = arrays(np.bool_, SHAPE).map(torch.from_numpy)
rows = maps.map(lambda values: values.flatten(1))
powers_of_two = st.integers(-20, 20).map(lambda power: 2.0**power)
orders = st.permutations(range(SHAPE[0]))
places = st.permutations(range(15))
few = settings(max_examples=20, deadline=None)


def scores(
    metric: PassMetric, attributions: Tensor, inside: Tensor, samples: list[int] | slice = slice(None)
) -> Tensor:
    """Scores of some of the samples together."""
    return metric(MODEL, INPUTS[samples], TARGETS[samples], attributions[samples], inside[samples])


def moved(cells: Tensor, order: list[int]) -> Tensor:
    """The same cells in other places."""
    return cells.flatten(1)[:, order].reshape(cells.shape)


def assert_same(one: Tensor, other: Tensor, tolerance: float = 1e-11) -> None:
    """Alike up to rounding, undefined for the same samples."""
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("metric", COMPLEXITY + LOCALISATION + AXIOMS[1:2], ids=repr)
@few
@given(attributions=maps, inside=masks, scale=powers_of_two)
def test_a_positive_factor_changes_nothing(
    metric: PassMetric, attributions: Tensor, inside: Tensor, scale: float
) -> None:
    assert_same(scores(metric, scale * attributions, inside), scores(metric, attributions, inside), 0.0)


@few
@given(attributions=maps, inside=masks, scale=powers_of_two)
def test_a_positive_factor_of_the_method_changes_no_input_invariance(
    attributions: Tensor, inside: Tensor, scale: float
) -> None:
    plain, scaled = (InputInvariance(Gradient(factor), 0.5) for factor in (1.0, scale))
    assert_same(scores(scaled, scale * attributions, inside), scores(plain, attributions, inside), 0.0)


@few
@given(attributions=maps, inside=masks)
def test_scaled_to_the_change_of_the_logit_attributions_are_complete(attributions: Tensor, inside: Tensor) -> None:
    with torch.no_grad():
        change = (MODEL(INPUTS) - MODEL(torch.full_like(INPUTS, 0.25))).gather(1, TARGETS[:, None])[:, 0]
    total = attributions.sum((1, 2, 3))
    factor = torch.where(total.abs() > 1e-3, change / total, 0.0)
    complete = scores(Completeness(BASELINE), factor.reshape(-1, 1, 1, 1) * attributions, inside)
    expected = torch.where(total.abs() > 1e-3, 0.0, 1.0).double()
    assert_same(complete, expected, 1e-8)


@MODEL_FREE
@few
@given(attributions=maps, inside=masks, order=places)
def test_it_does_not_matter_which_cell_is_where(
    metric: PassMetric, attributions: Tensor, inside: Tensor, order: list[int]
) -> None:
    again = scores(metric, moved(attributions, order), moved(inside, order))
    assert_same(again, scores(metric, attributions, inside))


@EVERY
@few
@given(attributions=maps, inside=masks)
def test_scores_are_within_the_range_or_undefined(metric: PassMetric, attributions: Tensor, inside: Tensor) -> None:
    low, high = metric.score_range
    score = scores(metric, attributions, inside)
    assert bool((score.isnan() | ((score >= low) & (score <= high))).all())


@EVERY
@few
@given(attributions=maps, inside=masks, order=orders)
def test_samples_may_come_in_any_order(
    metric: PassMetric, attributions: Tensor, inside: Tensor, order: list[int]
) -> None:
    assert_same(scores(metric, attributions, inside, order), scores(metric, attributions, inside)[order])


@EVERY
@few
@given(attributions=maps, inside=masks, cut=st.integers(1, SHAPE[0] - 1))
def test_samples_may_come_in_parts(metric: PassMetric, attributions: Tensor, inside: Tensor, cut: int) -> None:
    parts = [scores(metric, attributions, inside, part) for part in (slice(cut), slice(cut, None))]
    assert_same(torch.cat(parts), scores(metric, attributions, inside))


@pytest.mark.parametrize("metric", [m for m in LOCALISATION if not isinstance(m, RelevanceRank)], ids=repr)
@few
@given(attributions=maps, inside=masks)
def test_what_lies_inside_and_outside_adds_up_to_one(metric: PassMetric, attributions: Tensor, inside: Tensor) -> None:
    both = scores(metric, attributions, inside) + scores(metric, attributions, ~inside)
    assert_same(both[~both.isnan()], torch.ones_like(both[~both.isnan()]))


@SIMILARITIES
@few
@given(first=rows, second=rows, scale=powers_of_two, order=places)
def test_correlations_know_neither_scale_nor_place_nor_side(
    similarity: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor, scale: float, order: list[int]
) -> None:
    expected = similarity(first, second)
    assert bool((expected.isnan() | (expected.abs() <= 1.0)).all())
    assert_same(similarity(scale * first, second), expected)
    assert_same(similarity(second, first), expected)
    assert_same(similarity(first[:, order], second[:, order]), expected, 1e-9)


@few
@given(first=rows, second=rows)
def test_rank_correlation_asks_for_the_order_alone(first: Tensor, second: Tensor) -> None:
    assert_same(spearman(first**3 / 1e6, second), spearman(first, second))
    assert_same(spearman(first, ranks(second)), spearman(first, second))


@few
@given(first=maps, second=maps, scale=powers_of_two, axis=st.sampled_from([2, 3]))
def test_structural_similarity_knows_neither_common_scale_nor_mirror_nor_side(
    first: Tensor, second: Tensor, scale: float, axis: int
) -> None:
    expected = ssim(first, second, window=3)
    assert bool((expected.isnan() | (expected.abs() <= 1.0 + 1e-9)).all())
    assert_same(ssim(scale * first, scale * second, window=3), expected)
    assert_same(ssim(second, first, window=3), expected)
    assert_same(ssim(first.flip(axis), second.flip(axis), window=3), expected, 1e-9)


@few
@given(values=rows, scale=powers_of_two, order=places, copies=st.integers(2, 4))
def test_gini_knows_neither_scale_nor_place_nor_how_often_all_of_it_is_there(
    values: Tensor, scale: float, order: list[int], copies: int
) -> None:
    magnitudes = values.abs()
    expected = gini(magnitudes)
    assert_same(gini(scale * magnitudes), expected)
    assert_same(gini(magnitudes[:, order]), expected)
    assert_same(gini(magnitudes.repeat(1, copies)), expected)


@pytest.mark.parametrize("similarity", [pearson, spearman, lambda a, b: ssim(a[:, None], b[:, None], window=5)])
@few
@given(first=rows, second=rows, order=orders, cut=st.integers(1, SHAPE[0] - 1))
def test_pairs_are_compared_one_by_one(
    similarity: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor, order: list[int], cut: int
) -> None:
    expected = similarity(first, second)
    assert_same(similarity(first[order], second[order]), expected[order])
    parts = [similarity(first[:cut], second[:cut]), similarity(first[cut:], second[cut:])]
    assert_same(torch.cat(parts), expected)
