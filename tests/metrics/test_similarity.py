"""Similarities against SciPy and scikit-image, and where they are undefined."""

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.tiny_models import draw
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor

from audioxai.metrics import similarity
from audioxai.metrics.similarity import RankCorrelation, _run_sums, gini, pearson, ranks, spearman, ssim
from audioxai.utils import hardware
from audioxai.utils.errors import UserError


def with_ties(batch: int, size: int, seed: int) -> Tensor:
    """Few different values, so that most are tied."""
    return (2 * draw(batch, size, seed=seed)).round()


PAIRS = {
    "normal": (draw(6, 50, seed=1), draw(6, 50, seed=2)),
    "alike": (draw(6, 50, seed=1), draw(6, 50, seed=1) + 0.1 * draw(6, 50, seed=2)),
    "opposed": (draw(6, 50, seed=1), -draw(6, 50, seed=1) + 1e-3 * draw(6, 50, seed=2)),
    "ties": (with_ties(6, 50, 1), with_ties(6, 50, 2)),
    "three numbers": (draw(6, 3, seed=1), draw(6, 3, seed=2)),
    "offset": (1e3 + draw(6, 50, seed=1), -1e3 + draw(6, 50, seed=2)),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_pearson_is_scipys(pair: str) -> None:
    first, second = PAIRS[pair]
    expected = [scipy.stats.pearsonr(*rows).statistic for rows in zip(first.numpy(), second.numpy(), strict=True)]
    np.testing.assert_allclose(pearson(first, second).numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pair", PAIRS)
def test_spearman_is_scipys(pair: str) -> None:
    first, second = PAIRS[pair]
    expected = [scipy.stats.spearmanr(*rows).statistic for rows in zip(first.numpy(), second.numpy(), strict=True)]
    np.testing.assert_allclose(spearman(first, second).numpy(), expected, rtol=0, atol=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 5))
@settings(deadline=None)
def test_ranks_are_scipys(values: list[int], seed: int) -> None:
    rows = torch.stack([torch.tensor(values), torch.tensor(values).flip(0)]).double()
    np.testing.assert_array_equal(ranks(rows).numpy(), scipy.stats.rankdata(rows.numpy(), axis=1))
    np.testing.assert_array_equal(ranks(rows.T).numpy(), scipy.stats.rankdata(rows.numpy().T, axis=1))


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30))
@settings(deadline=None)
@example([-0.0, 0.0, 1e-45, -1e-45, 0.0, -0.0])
@example([float("inf"), 1.0, float("-inf"), -1.0, float("inf")])
def test_ranks_of_single_precision_are_those_of_double(values: list[float]) -> None:
    rows = torch.tensor([values, values[::-1]], dtype=torch.float32)
    expected = scipy.stats.rankdata(rows.double().numpy(), axis=1)
    np.testing.assert_array_equal(ranks(rows).numpy(), expected)
    np.testing.assert_array_equal(ranks(rows.T.contiguous().T).numpy(), expected)


@pytest.mark.parametrize("pair", PAIRS)
def test_spearman_of_single_precision_is_scipys(pair: str) -> None:
    first, second = (part.float() for part in PAIRS[pair])
    expected = [scipy.stats.spearmanr(*rows).statistic for rows in zip(first.numpy(), second.numpy(), strict=True)]
    np.testing.assert_allclose(spearman(first, second).numpy(), expected, rtol=0, atol=1e-12)


def test_rows_ranked_once_are_compared_with_any_others() -> None:
    rows, others = with_ties(6, 50, 1), with_ties(4, 50, 2)
    rows[3] = 0.3
    places = torch.tensor([5, 0, 0, 3])
    found = RankCorrelation(rows)(places, others)
    torch.testing.assert_close(found, spearman(rows[places], others), rtol=0, atol=0, equal_nan=True)
    assert found.isnan().tolist() == [False, False, False, True]


@given(scale=st.floats(1e-6, 1e6), offset=st.floats(-10, 10), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=40)
def test_correlations_know_no_scale_and_no_offset(scale: float, offset: float, seed: int) -> None:
    first, second = draw(3, 20, seed=seed), draw(3, 20, seed=seed + 100)
    moved = scale * (first + offset)
    for correlation in (pearson, spearman):
        torch.testing.assert_close(correlation(moved, second), correlation(first, second), rtol=0, atol=1e-9)
        torch.testing.assert_close(correlation(-first, second), -correlation(first, second), rtol=0, atol=1e-12)
        torch.testing.assert_close(correlation(second, first), correlation(first, second), rtol=0, atol=1e-12)
        torch.testing.assert_close(correlation(first, first), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e20, 1e-20])
@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_correlation_with_a_constant_is_undefined_for_that_row_only(
    correlation, value: float, dtype: torch.dtype
) -> None:
    first, second = draw(3, 500, seed=1, dtype=dtype), draw(3, 500, seed=2, dtype=dtype)
    expected = correlation(first, second)
    first[1] = value
    for scores in (correlation(first, second), correlation(second, first)):
        assert torch.isnan(scores).tolist() == [False, True, False]
        torch.testing.assert_close(scores[[0, 2]], expected[[0, 2]], rtol=0, atol=1e-15)


def skimages(first: Tensor, second: Tensor) -> list[float]:
    """scikit-image's structural similarity with its defaults, over the joint range."""
    scores = []
    for a, b in zip(first[:, 0].double().numpy(), second[:, 0].double().numpy(), strict=True):
        data_range = max(a.max(), b.max()) - min(a.min(), b.min())
        scores.append(structural_similarity(a, b, win_size=7, data_range=data_range))
    return scores


@pytest.mark.parametrize("shape", [(7,), (40,), (7, 7), (28, 28), (12, 31)])
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ssim_is_scikit_images(shape: tuple[int, ...], noise: float, dtype: torch.dtype) -> None:
    first = draw(4, 1, *shape, seed=1, dtype=dtype)
    second = first + noise * draw(4, 1, *shape, seed=2, dtype=dtype) + 0.1 * noise
    np.testing.assert_allclose(ssim(first, second).numpy(), skimages(first, second), rtol=0, atol=1e-10)
    np.testing.assert_allclose(ssim(-second, first).numpy(), skimages(-second, first), rtol=0, atol=1e-10)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("step", [1, 4])
def test_run_sums_are_loops(window: int, step: int) -> None:
    rows = draw(2, 60)
    places = range(60 - (window - 1) * step)
    expected = [[sum(row[first : first + window * step : step]) for first in places] for row in rows.tolist()]
    np.testing.assert_allclose(_run_sums(rows, step, window).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_are_sorted_by_any_number_of_threads(threads: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "SORTED_BY_ONE_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    values = draw(rows, 50)
    before = values.clone()
    assert torch.equal(similarity.ascending(values), torch.sort(values, dim=1).values)
    assert torch.equal(values, before)


@pytest.mark.parametrize("cells", [1, 300, 10**6])
def test_ssim_does_not_depend_on_how_many_maps_are_compared_at_once(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = draw(7, 1, 12, 10, seed=1), draw(7, 1, 12, 10, seed=2)
    expected = ssim(first, second)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 4 * cells)
    assert torch.equal(ssim(first, second), expected)


def test_ssim_of_a_map_with_itself_is_one_and_is_symmetric() -> None:
    first, second = draw(4, 1, 9, 9, seed=1), draw(4, 1, 9, 9, seed=2)
    torch.testing.assert_close(ssim(first, first), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(ssim(first, second), ssim(second, first), rtol=0, atol=1e-12)


def test_ssim_sees_a_batch_as_so_many_maps() -> None:
    first, second = draw(4, 1, 9, 9, seed=1), draw(4, 1, 9, 9, seed=2)
    expected = ssim(first, second)
    first[2] *= 1e6
    torch.testing.assert_close(ssim(first, second)[[0, 1, 3]], expected[[0, 1, 3]], rtol=0, atol=0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, -7.3, 1e-9])
@pytest.mark.parametrize("shape", [(9,), (9, 9)])
def test_ssim_of_one_and_the_same_constant_is_undefined(value: float, shape: tuple[int, ...]) -> None:
    first, second = draw(3, 1, *shape, seed=1), draw(3, 1, *shape, seed=2)
    first[1], second[1] = value, value
    assert torch.isnan(ssim(first, second)).tolist() == [False, True, False]
    second[1] = value + 1.0
    assert bool(torch.isfinite(ssim(first, second)).all())


@pytest.mark.parametrize("shape", [(6,), (6, 9), (9, 6)])
def test_maps_smaller_than_the_window_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="smaller than the SSIM window of 7"):
        ssim(draw(1, 1, *shape), draw(1, 1, *shape))


def gini_slowly(values: np.ndarray) -> float:
    """Half the mean difference of all pairs over the mean."""
    differences = sum(abs(a - b) for a in values for b in values)
    return differences / (2 * len(values) * values.sum())


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=25).filter(lambda values: max(values) > 1e-3))
@settings(deadline=None, max_examples=60)
def test_gini_is_the_mean_difference(values: list[float]) -> None:
    (score,) = gini(torch.tensor([values], dtype=torch.float64)).tolist()
    assert abs(score - gini_slowly(np.array(values))) < 1e-10
    assert 0.0 <= score <= 1.0 - 1.0 / len(values) + 1e-12


@pytest.mark.parametrize("size", [1, 2, 10, 784])
def test_gini_of_one_hot_constant_and_nothing(size: int) -> None:
    values = torch.zeros(4, size, dtype=torch.float64)
    values[0, size // 2] = 3.0
    values[1] = 0.1
    values[2] = torch.arange(1.0, size + 1)
    scores = gini(values)
    assert abs(float(scores[0]) - (1 - 1 / size)) < 1e-14
    assert abs(float(scores[1])) < 1e-13
    assert abs(float(scores[2]) - (size - 1) / (3 * size)) < 1e-13
    assert bool(torch.isnan(scores[3]))
