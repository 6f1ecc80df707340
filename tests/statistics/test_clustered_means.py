"""Means with t intervals: SciPy, statsmodels' formulas by hand, invariances and what is degenerate."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audioxai.statistics import (
    cluster_mean,
    contrast,
    crossed_interval,
    mean_interval,
    pooled_mean,
    score_mean,
)
from audioxai.statistics.means import MeanEstimate
from audioxai.utils.errors import UserError


def unequal(clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores with an effect of their speaker, one to nine a speaker."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), random.integers(1, 10, size=clusters))
    return 0.2 + random.normal(size=clusters)[labels] + random.normal(size=labels.size), labels


@pytest.mark.parametrize("clusters", [2, 6, 40])
def test_every_cluster_alike_is_scipys_t_interval_over_the_clusters_means(clusters: int) -> None:
    scores, labels = unequal(clusters, seed=clusters)
    means = [scores[labels == label].mean() for label in range(clusters)]
    scipys = stats.ttest_1samp(means, 0)
    ours = cluster_mean(scores, labels)
    interval, expected = ours.interval(0.9), scipys.confidence_interval(0.9)
    assert (interval.mean, interval.low, interval.high) == pytest.approx(
        (np.mean(means), expected.low, expected.high), abs=1e-12
    )
    assert ours.p_value == pytest.approx(scipys.pvalue, abs=1e-12)
    assert ours.degrees_of_freedom == pytest.approx(clusters - 1, rel=1e-12)
    assert (ours.n, ours.clusters, ours.undefined) == (scores.size, clusters, 0)


def slow_cr2(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Bell and McCaffrey's variance of a mean and its degrees of freedom, with whole matrices over the scores."""
    count = scores.size
    hat = np.full((count, count), 1 / count)
    variance, vectors = 0.0, []
    for label in np.unique(labels):
        own = labels == label
        values, axes = np.linalg.eigh(np.eye(own.sum()) - hat[np.ix_(own, own)])
        adjusted = axes @ np.diag(values**-0.5) @ axes.T @ np.ones(own.sum()) / count
        variance += float(adjusted @ (scores - scores.mean())[own]) ** 2
        vectors.append((np.eye(count) - hat)[:, own] @ adjusted)
    products = np.array(vectors) @ np.array(vectors).T
    return variance, float(np.trace(products) ** 2 / np.trace(products @ products))


@pytest.mark.parametrize("clusters", [2, 6, 25])
def test_every_score_alike_is_cr2_with_satterthwaites_degrees_of_freedom(clusters: int) -> None:
    scores, labels = unequal(clusters, seed=clusters)
    ours = score_mean(scores, labels)
    assert ours.mean == pytest.approx(scores.mean())
    assert (ours.variance, ours.degrees_of_freedom) == pytest.approx(slow_cr2(scores, labels), rel=1e-9)


def test_a_contrast_of_two_groups_is_welchs_test() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=9), 1 + 3 * random.normal(size=14)
    ours = contrast([cluster_mean(first, range(9)), cluster_mean(second, range(14))], [1, -1])
    scipys = stats.ttest_ind(first, second, equal_var=False)
    expected = scipys.confidence_interval()
    interval = ours.interval()
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert ours.p_value == pytest.approx(scipys.pvalue, abs=1e-12)
    assert (ours.n, ours.clusters) == (23, 23)


def test_equal_groups_differ_by_exactly_nothing() -> None:
    found = contrast([score_mean([0.3] * 6, [0, 0, 0, 1, 1, 1]), score_mean([0.3] * 5, range(5))], [1, -1])
    interval = found.interval()
    assert (interval.mean, interval.low, interval.high) == (0, 0, 0)
    assert not interval.excludes_zero


def test_strata_weigh_alike_whatever_their_size() -> None:
    scores = np.array([1.0, 3.0, 10.0, 20.0, 30.0, np.nan])
    strata = np.array(["few", "few", "many", "many", "many", "none"])
    pooled = pooled_mean(scores, np.arange(6), strata)
    assert pooled.mean == pytest.approx((2 + 20) / 2)
    assert pooled.variance == pytest.approx((1 + 100 / 3) / 4)
    assert pooled.n == 5
    one = pooled_mean(scores[:2], [0, 1], ["few", "few"])
    assert one == cluster_mean(scores[:2], [0, 1])


def test_nothing_pooled_is_nothing() -> None:
    assert np.isnan(pooled_mean([], [], []).mean)
    assert pooled_mean([np.nan], [0], ["a"]).n == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), clusters=st.integers(2, 12))
def test_order_names_shift_and_scale(seed: int, clusters: int) -> None:
    scores, labels = unequal(clusters, seed)
    shuffled = np.random.default_rng(seed).permutation(scores.size)
    for estimator in (cluster_mean, score_mean):
        once = estimator(scores, labels)
        assert once == estimator(scores[shuffled], labels[shuffled])
        renamed = estimator(scores, np.array([f"speaker {label:03d}" for label in labels]))
        assert once == renamed
        moved = estimator(2 - 3 * scores, labels)
        assert moved.mean == pytest.approx(2 - 3 * once.mean, abs=1e-9)
        assert moved.variance == pytest.approx(9 * once.variance, rel=1e-9)


@pytest.mark.parametrize("estimator", [cluster_mean, score_mean])
@pytest.mark.parametrize(
    ("scores", "clusters", "mean", "undefined"),
    [
        ([1.0, 3.0], [7, 7], 2.0, 0),
        ([5.0], [1], 5.0, 0),
        ([1.0, np.nan], [1, 2], 1.0, 1),
        ([np.nan] * 2, [1, 2], np.nan, 2),
        ([], [], np.nan, 0),
    ],
)
def test_one_speaker_has_a_mean_and_no_interval(
    estimator: Callable[..., MeanEstimate], scores: list[float], clusters: list[int], mean: float, undefined: int
) -> None:
    found = estimator(scores, clusters)
    interval = found.interval()
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert found.undefined == undefined
    assert np.isnan([interval.low, interval.high, found.p_value]).all()
    assert not interval.excludes_zero


@pytest.mark.parametrize(("score", "p"), [(0.0, 1.0), (0.3, 0.0)])
def test_speakers_that_all_agree_have_an_interval_without_width(score: float, p: float) -> None:
    found = cluster_mean([score] * 12, np.repeat([0, 1, 2], 4))
    interval = found.interval()
    assert (interval.mean, interval.low, interval.high) == pytest.approx((score, score, score), abs=1e-15)
    assert interval.low == interval.high
    assert found.p_value == p


def test_six_speakers_get_a_wider_interval_than_the_bootstraps() -> None:
    scores, labels = unequal(6, seed=1)
    bootstrap, ours = mean_interval(scores, labels, seed=0), score_mean(scores, labels).interval()
    assert ours.mean == pytest.approx(bootstrap.mean)
    assert ours.high - ours.low > 1.2 * (bootstrap.high - bootstrap.low)


def test_crossed_interval_by_hand() -> None:
    # Cells of 3 speakers × 2 seeds. Two-way sums of squares; the rest is what the two leave of the whole.
    table = np.array([[0.0, 2.0], [3.0, 3.0], [4.0, 6.0]])
    speakers, seeds = 2 * ((table.mean(1) - 3) ** 2).sum(), 3 * ((table.mean(0) - 3) ** 2).sum()
    rest = ((table - 3) ** 2).sum() - speakers - seeds
    parts = [speakers / 2, seeds / 1 - rest / 2]
    quantile = np.average(stats.t.ppf(0.95, [2, 1]), weights=parts)
    found = crossed_interval(table.ravel(), np.repeat([0, 1, 2], 2), np.tile([0, 1], 3), confidence=0.9)
    assert parts[1] > 0
    assert found.mean == pytest.approx(3)
    assert found.high - 3 == pytest.approx(quantile * (sum(parts) / 6) ** 0.5)
    assert 3 - found.low == pytest.approx(found.high - 3)


def test_seeds_that_change_nothing_leave_the_interval_over_speakers() -> None:
    scores = np.random.default_rng(0).normal(size=8)
    crossed = crossed_interval(np.repeat(scores, 3), np.repeat(np.arange(8), 3), np.tile([0, 1, 2], 8))
    alone = cluster_mean(scores, np.arange(8)).interval()
    assert (crossed.mean, crossed.low, crossed.high) == pytest.approx((alone.mean, alone.low, alone.high), abs=1e-12)
    constant = crossed_interval([0.3] * 4, [0, 0, 1, 1], [0, 1, 0, 1])
    assert constant.low == constant.high == pytest.approx(0.3)


def test_speakers_without_some_seed_are_left_out_and_counted() -> None:
    scores = [1.0, 2.0, 3.0, 5.0, 9.0, np.nan]
    found = crossed_interval(scores, [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1])
    assert found.mean == pytest.approx(np.mean(scores[:4]))
    assert (found.n, found.clusters, found.undefined) == (4, 2, 2)
    shuffled = [3, 0, 5, 1, 4, 2]
    assert found == crossed_interval(
        np.array(scores)[shuffled], np.array([0, 0, 1, 1, 2, 2])[shuffled], np.array([0, 1, 0, 1, 0, 1])[shuffled]
    )


@pytest.mark.parametrize(("clusters", "repeats"), [([0, 0], [0, 1]), ([0, 1], [0, 0])])
def test_one_speaker_or_one_seed_has_no_crossed_interval(clusters: list[int], repeats: list[int]) -> None:
    found = crossed_interval([1.0, 2.0], clusters, repeats)
    assert found.mean == pytest.approx(1.5)
    assert np.isnan(found.low)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cluster_mean([1.0], [1, 2]), "one cluster a score"),
        (lambda: cluster_mean([1.0, np.inf], [1, 2]), "infinite"),
        (lambda: cluster_mean([1.0, 2.0], np.array(["a", None])), "no cluster"),
        (lambda: cluster_mean([1.0, 2.0], [1, 2]).interval(95), "confidence is 95"),
        (lambda: contrast([cluster_mean([1.0, 2.0], [1, 2])], [1, -1]), "1 groups and 2 coefficients"),
        (lambda: pooled_mean([1.0, 2.0], [1, 2], ["a"]), "one stratum a score"),
        (lambda: crossed_interval([1.0, 2.0], [1, 2], [1]), "lengths"),
        (lambda: crossed_interval([1.0, 2.0], [1, np.nan], [1, 2]), "no cluster"),
        (lambda: crossed_interval([1.0, 2.0], [1, 2], np.array([1, None])), "no cluster or seed"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        call()
