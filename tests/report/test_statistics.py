from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from audioxai.statistics import Interval, mean_interval, paired_differences, score_mean, slopes_per_doubling
from audioxai.utils.errors import UserError


def skewed(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.5, size=count)


def test_mean_and_counts_by_hand() -> None:
    interval = mean_interval([1.0, 2.0, 6.0, np.nan], ["a", "a", "b", "b"], seed=0)
    assert (interval.mean, interval.n, interval.clusters, interval.undefined) == (3.0, 3, 2, 1)


def test_interval_of_a_normal_sample_is_near_its_closed_form() -> None:
    scores = np.random.default_rng(3).normal(size=400)
    interval = mean_interval(scores, np.arange(400), resamples=20_000, seed=0)
    half_width = 1.96 * scores.std() / 20
    assert interval.low == pytest.approx(scores.mean() - half_width, abs=0.006)
    assert interval.high == pytest.approx(scores.mean() + half_width, abs=0.006)


@pytest.mark.parametrize("count", [8, 30, 200])
def test_bca_agrees_with_scipy_for_singleton_clusters(count: int) -> None:
    scores = skewed(count, seed=count)
    ours = mean_interval(scores, np.arange(count), resamples=40_000, seed=1)
    scipys = stats.bootstrap(
        (scores,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    # Both are Monte-Carlo: an end moves by some 2 % of the width between two runs of 40,000.
    tolerance = 0.03 * (scipys.high - scipys.low)
    assert ours.low == pytest.approx(scipys.low, abs=tolerance)
    assert ours.high == pytest.approx(scipys.high, abs=tolerance)


def test_cluster_bca_agrees_with_scipy_resampling_sums_and_counts_in_pairs() -> None:
    clusters = np.repeat(np.arange(25), np.random.default_rng(0).integers(1, 9, size=25))
    scores = skewed(clusters.size, seed=4) + skewed(25, seed=5)[clusters]
    sums, counts = np.bincount(clusters, weights=scores), np.bincount(clusters)

    def quotient(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    scipys = stats.bootstrap(
        (sums, counts), quotient, paired=True, n_resamples=40_000, rng=np.random.default_rng(2)
    ).confidence_interval
    ours = mean_interval(scores, clusters, resamples=40_000, seed=1)
    tolerance = 0.03 * (scipys.high - scipys.low)
    assert ours.low == pytest.approx(scipys.low, abs=tolerance)
    assert ours.high == pytest.approx(scipys.high, abs=tolerance)


def test_a_paired_difference_agrees_with_scipys_paired_bootstrap() -> None:
    first, second = skewed(40, seed=1), 2 * skewed(40, seed=2)
    scipys = stats.bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        n_resamples=40_000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    differences = paired_differences(np.append(first, np.nan), np.append(second, 1.0))
    ours = mean_interval(differences, np.arange(41), resamples=40_000, seed=1)
    tolerance = 0.03 * (scipys.high - scipys.low)
    assert ours.mean == pytest.approx(first.mean() - second.mean())
    assert ours.low == pytest.approx(scipys.low, abs=tolerance)
    assert ours.high == pytest.approx(scipys.high, abs=tolerance)
    assert (ours.n, ours.clusters, ours.undefined) == (40, 40, 1)


@pytest.mark.parametrize("clustered", [True, False])
def test_coverage_needs_the_clusters(clustered: bool) -> None:
    speakers, takes, simulations = 20, 10, 300
    generator = np.random.default_rng(11)
    labels = np.repeat(np.arange(speakers), takes)
    hits = 0
    for _ in range(simulations):
        scores = generator.normal(size=speakers)[labels] + generator.normal(size=labels.size)
        clusters = labels if clustered else np.arange(labels.size)
        interval = mean_interval(scores, clusters, resamples=500, seed=0)
        hits += interval.low <= 0 <= interval.high
    coverage = hits / simulations
    assert 0.90 <= coverage <= 0.98 if clustered else coverage < 0.75


def test_equal_scores_have_an_interval_without_width() -> None:
    found = mean_interval([0.1] * 12, np.repeat([0, 1, 2], 4), seed=0)
    assert [found.mean, found.low, found.high] == pytest.approx([0.1] * 3)
    assert found == Interval(found.mean, found.low, found.high, 12, 3, 0)


@pytest.mark.parametrize(
    ("scores", "clusters", "mean"),
    [([1.0, 3.0], [7, 7], 2.0), ([np.nan, np.nan], [1, 2], np.nan), ([], [], np.nan), ([1.0, np.nan], [1, 2], 1.0)],
)
def test_fewer_than_two_clusters_have_no_interval(scores: list[float], clusters: list[int], mean: float) -> None:
    interval = mean_interval(scores, clusters, seed=0)
    assert interval.mean == pytest.approx(mean, nan_ok=True)
    assert np.isnan([interval.low, interval.high]).all()
    assert not interval.excludes_zero


def test_order_and_repetition_change_no_bit() -> None:
    clusters = np.repeat(np.arange(15), 6)
    scores = skewed(90, seed=0)
    shuffled = np.random.default_rng(1).permutation(90)
    once = mean_interval(scores, clusters, seed=5)
    assert once == mean_interval(scores, clusters, seed=5)
    assert once == mean_interval(scores[shuffled], clusters[shuffled], seed=5)
    assert once != mean_interval(scores, clusters, seed=6)


def test_constant_scores_have_a_slope_of_exactly_nothing() -> None:
    slopes = slopes_per_doubling([0.3] * 6, [28, 64, 128] * 2, [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1])
    assert (slopes["slope"] == 0).all()


def trend_rows(slope: float, noise: float, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product([range(40), [28, 64, 128]], names=["pair", "resolution"]).to_frame(index=False)
    level = generator.normal(size=40)[rows["pair"]]
    rows["score"] = level + slope * np.log2(rows["resolution"]) + noise * generator.normal(size=len(rows))
    return rows.assign(cluster=rows["pair"] // 4)


def test_slope_of_an_exact_line_is_exact_whatever_the_samples_level() -> None:
    rows = trend_rows(slope=0.25, noise=0.0)
    slopes = slopes_per_doubling(rows["score"], rows["resolution"], rows["pair"], rows["cluster"])
    interval = score_mean(slopes["slope"], slopes["cluster"]).interval()
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-9)
    assert (interval.n, interval.clusters) == (40, 10)


def test_mean_slope_is_the_regression_through_the_means() -> None:
    rows = trend_rows(slope=0.1, noise=0.3)
    slopes = slopes_per_doubling(rows["score"], rows["resolution"], rows["pair"], rows["cluster"])
    means = rows.groupby("resolution")["score"].mean()
    assert slopes["slope"].mean() == pytest.approx(stats.linregress(np.log2(means.index), means).slope)


def test_pairs_that_miss_a_resolution_are_counted_as_undefined() -> None:
    rows = trend_rows(slope=0.1, noise=0.3)
    rows.loc[4, "score"] = np.nan
    slopes = slopes_per_doubling(rows["score"][1:], rows["resolution"][1:], rows["pair"][1:], rows["cluster"][1:])
    found = score_mean(slopes["slope"], slopes["cluster"])
    assert (found.n, found.undefined) == (38, 2)


def test_one_resolution_has_no_trend() -> None:
    assert slopes_per_doubling([1.0, 2.0], [64, 64], [0, 1], [0, 1]).empty


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([1.0], [1, 2], seed=0),
        lambda: mean_interval([1.0], [1], confidence=95, seed=0),
        lambda: mean_interval([1.0], [1], resamples=0, seed=0),
        lambda: slopes_per_doubling([1.0], [1, 2], [1], [1]),
        lambda: slopes_per_doubling([1.0, 2.0], [1, 2], [1, 1], [1, 2]),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(UserError):
        call()
