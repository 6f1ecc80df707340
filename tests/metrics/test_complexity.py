"""Complexity and effective complexity: closed forms, SciPy, and what they must not depend on."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.tiny_models import Counting, draw, tiny_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.metrics.complexity import Complexity, EffectiveComplexity, MagnitudeMetric
from audioxai.utils.errors import UserError

MODEL = Counting(tiny_cnn())
SHAPES = pytest.mark.parametrize("shape", [(1, 40), (1, 6, 7), (2, 6, 7)])
BOTH = pytest.mark.parametrize("metric", [Complexity(), EffectiveComplexity()])


def scores(metric: MagnitudeMetric, attributions: Tensor) -> Tensor:
    """Scores of attributions; inputs and targets play no part."""
    targets = torch.zeros(len(attributions), dtype=torch.int64)
    return metric(MODEL, torch.zeros_like(attributions), targets, attributions)


def maps(*shape: int) -> Tensor:
    """One cell, all alike, alike but for the sign, half of the cells, none."""
    cells = math.prod(shape)
    attributions = torch.zeros(5, cells, dtype=torch.float64)
    attributions[0, 3] = -2.0
    attributions[1] = 0.3
    attributions[2] = 0.3 * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(cells // 2)
    attributions[3, : cells // 2] = 1.0
    return attributions.reshape(5, *shape)


@SHAPES
def test_complexity_in_closed_form(shape: tuple[int, ...]) -> None:
    ceiling = math.log(math.prod(shape))
    expected = torch.tensor([0.0, ceiling, ceiling, ceiling - math.log(2), math.nan], dtype=torch.float64)
    torch.testing.assert_close(scores(Complexity(), maps(*shape)), expected, rtol=0, atol=1e-12, equal_nan=True)


@SHAPES
def test_effective_complexity_in_closed_form(shape: tuple[int, ...]) -> None:
    expected = torch.tensor([1 / math.prod(shape), 1.0, 1.0, 0.5, math.nan], dtype=torch.float64)
    torch.testing.assert_close(
        scores(EffectiveComplexity(), maps(*shape)), expected, rtol=0, atol=1e-15, equal_nan=True
    )


@SHAPES
def test_complexity_is_the_entropy_of_scipy(shape: tuple[int, ...]) -> None:
    attributions = draw(4, *shape)
    expected = scipy.stats.entropy(np.abs(attributions.flatten(1).numpy()), axis=1)
    np.testing.assert_allclose(scores(Complexity(), attributions).numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 0.01, 0.5, 0.999])
def test_effective_complexity_is_the_slow_twin(threshold: float) -> None:
    attributions = draw(4, 1, 8, 9) ** 3
    expected = []
    for sample in attributions:
        cells = [abs(cell) for cell in sample.flatten().tolist()]
        expected.append(sum(cell > threshold * max(cells) for cell in cells) / len(cells))
    assert scores(EffectiveComplexity(threshold), attributions).tolist() == expected


def test_effective_complexity_counts_what_lies_above_the_threshold_not_on_it() -> None:
    attributions = torch.tensor([[[4.0, -2.0, 1.0, 0.0]]])
    assert [float(scores(EffectiveComplexity(t), attributions)) for t in (0.0, 0.25, 0.5, 0.6)] == [
        0.75,
        0.5,
        0.25,
        0.25,
    ]


def test_effective_complexity_compares_sizes_and_complexity_grows_with_them() -> None:
    small = draw(1, 1, 8, 8)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert scores(EffectiveComplexity(), small) == scores(EffectiveComplexity(), large)
    grown = float(scores(Complexity(), large) - scores(Complexity(), small))
    assert grown == pytest.approx(math.log(4), abs=1e-12)


@BOTH
@pytest.mark.parametrize("scale", [1e-12, 2.0**-9, -1.0, 1e6])
def test_knows_no_scale_sign_or_place(metric: MagnitudeMetric, scale: float) -> None:
    attributions = draw(4, 1, 8, 9)
    expected = scores(metric, attributions)
    torch.testing.assert_close(scores(metric, scale * attributions), expected, rtol=1e-12, atol=0)
    shuffled = attributions.flatten(2)[:, :, torch.randperm(72, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(scores(metric, shuffled.reshape(4, 1, 8, 9)), expected, rtol=1e-12, atol=0)


@BOTH
@settings(max_examples=30, deadline=None)
@given(cells=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_stays_in_its_range(metric: MagnitudeMetric, cells: list[float]) -> None:
    score = float(scores(metric, torch.tensor([[cells]], dtype=torch.float64)))
    ceiling = math.log(len(cells)) if isinstance(metric, Complexity) else 1.0
    assert math.isnan(score) if not any(cells) else 0.0 <= score <= ceiling + 1e-12


@BOTH
def test_one_cell_holds_everything(metric: MagnitudeMetric) -> None:
    attributions = torch.tensor([[[[2.0]]], [[[0.0]]]])
    expected = 0.0 if isinstance(metric, Complexity) else 1.0
    torch.testing.assert_close(
        scores(metric, attributions), torch.tensor([expected, math.nan]).double(), equal_nan=True, rtol=0, atol=0
    )


@BOTH
def test_takes_no_pass(metric: MagnitudeMetric) -> None:
    before = MODEL.counter.count
    scores(metric, draw(3, 1, 8, 8))
    assert MODEL.counter.count == before
    assert metric.passes(MODEL, torch.empty(3, 1, 8, 8, device="meta")) == 0


@pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
def test_a_threshold_that_is_no_fraction_is_refused(threshold: float) -> None:
    with pytest.raises(UserError, match=f"threshold is {threshold}"):
        EffectiveComplexity(threshold)
