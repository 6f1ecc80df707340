"""Paired comparisons, effect sizes and rank tests against SciPy, statsmodels, scikit-posthocs and slow loops."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audioxai.statistics import (
    cluster_mean,
    cluster_table,
    cohens_dz,
    compare,
    compare_all,
    compare_with,
    comparison_matrix,
    friedman_p,
    holm,
    paired_differences,
    pooled_mean,
    rank_biserial,
    signed_rank_p,
    superiority,
)
from audioxai.utils.errors import UserError


def study(speakers: int = 8, clips: int = 5, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Scores of three methods: b above a, c like a; the speaker's own level is shared."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(speakers), clips)
    level = random.normal(size=speakers)[labels]
    shifts = {"a": 0, "b": 1, "c": 0}
    scores = {name: level + shift + 0.3 * random.normal(size=labels.size) for name, shift in shifts.items()}
    return pd.DataFrame(scores), labels


def means_by_speaker(differences: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([differences[labels == label].mean() for label in np.unique(labels)])


def test_a_comparison_is_scipys_tests_on_the_speakers_means() -> None:
    scores, labels = study()
    found = compare(scores["b"], scores["a"], labels)
    means = means_by_speaker((scores["b"] - scores["a"]).to_numpy(), labels)
    scipys = stats.ttest_1samp(means, 0)
    assert found.p_value == pytest.approx(scipys.pvalue, rel=1e-9)
    assert found.difference.low == pytest.approx(scipys.confidence_interval().low, abs=1e-12)
    assert found.signed_rank_p == stats.wilcoxon(means).pvalue
    assert found.d_z.mean == pytest.approx(means.mean() / means.std(ddof=1))
    assert found.superiority.mean == pytest.approx((scores["b"] > scores["a"]).groupby(labels).mean().mean())


def test_pairing_takes_the_speakers_own_level_out() -> None:
    scores, labels = study()
    loud = scores.add(10 * np.random.default_rng(1).normal(size=8)[labels], axis=0)
    once, again = compare(scores["b"], scores["a"], labels), compare(loud["b"], loud["a"], labels)
    assert again.difference.low == pytest.approx(once.difference.low, abs=1e-9)
    assert again.difference.excludes_zero


def test_pairs_that_lack_a_score_are_dropped_together_and_counted() -> None:
    scores, labels = study()
    holed = scores.copy()
    holed.loc[3, "a"] = holed.loc[17, "b"] = holed.loc[18, "b"] = np.nan
    kept = ~np.isin(np.arange(40), [3, 17, 18])
    found, expected = (
        compare(holed["b"], holed["a"], labels),
        compare(scores["b"][kept], scores["a"][kept], labels[kept]),
    )
    assert (found.difference.n, found.difference.undefined) == (37, 3)
    assert (expected.difference.n, expected.difference.undefined) == (37, 0)
    assert found.difference.low == expected.difference.low
    assert (found.p_value, found.signed_rank_p) == (expected.p_value, expected.signed_rank_p)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_order_nor_side_matters(seed: int) -> None:
    scores, labels = study(seed=seed)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    once = compare(scores["b"], scores["a"], labels)
    assert once == compare(scores["b"].to_numpy()[shuffled], scores["a"].to_numpy()[shuffled], labels[shuffled])
    turned = compare(scores["a"], scores["b"], labels)
    assert (turned.p_value, turned.signed_rank_p) == pytest.approx((once.p_value, once.signed_rank_p), rel=1e-9)
    for name, centre in (("difference", 0), ("d_z", 0), ("rank_biserial", 0), ("superiority", 0.5)):
        one, other = getattr(once, name), getattr(turned, name)
        assert (other.mean, other.low, other.high) == pytest.approx(
            (2 * centre - one.mean, 2 * centre - one.high, 2 * centre - one.low), abs=1e-6
        )


def test_strata_weigh_datasets_alike() -> None:
    scores, labels = study(speakers=9)
    strata = np.where(labels < 2, "fsdd", "audio_mnist_az")
    found = compare(scores["b"], scores["a"], labels, strata)
    assert found.difference == pooled_mean(scores["b"] - scores["a"], labels, strata).interval()
    with pytest.raises(UserError, match="two strata"):
        compare(scores["b"], scores["a"], labels, np.arange(len(labels)) % 2)


# Degenerate ---------------------------------------------------------------------------------------------------------


def test_no_difference_anywhere() -> None:
    found = compare([0.3] * 6, [0.3] * 6, range(6))
    assert (found.difference.mean, found.difference.low, found.difference.high) == (0, 0, 0)
    assert (found.p_value, found.signed_rank_p, found.superiority.mean, found.rank_biserial.mean) == (1, 1, 0.5, 0)
    assert np.isnan(found.d_z.mean)


def test_rounding_is_no_difference() -> None:
    assert (paired_differences([0.1 + 0.2, 1e-20, 1.0], [0.3, 0.0, 0.5]) == [0, 1e-20, 0.5]).all()


@pytest.mark.parametrize("first", [[], [np.nan, np.nan], [1.0, np.nan], [1.0, 2.0]])
def test_fewer_than_two_speakers_prove_nothing(first: list[float]) -> None:
    found = compare(first, np.zeros(len(first)), np.zeros(len(first)))
    assert np.isnan([found.difference.low, found.p_value, found.d_z.mean, found.superiority.low]).all()
    assert np.isnan(found.rank_biserial.low)
    assert found.difference.n == np.sum(~np.isnan(first))


def test_six_speakers_who_agree_do_not_prove_the_seventh() -> None:
    found = compare(np.arange(1.0, 7), np.zeros(6), range(6))
    assert (found.superiority.mean, found.rank_biserial.mean) == (1, 1)
    assert found.superiority.low < 0.7
    assert 0 < found.rank_biserial.low < 0.5
    assert (found.superiority.high, found.rank_biserial.high) == (1, 1)
    assert found.signed_rank_p == 2 / 2**6


# Effect sizes -------------------------------------------------------------------------------------------------------


def slow_rank_biserial(means: np.ndarray) -> float:
    """From Wilcoxon's own ranks of the differences that are not zero."""
    kept = means[means != 0]
    ranks = stats.rankdata(np.abs(kept))
    return float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum())


@pytest.mark.parametrize("ties", [False, True])
def test_rank_biserial_is_that_of_the_signed_ranks(ties: bool) -> None:
    random = np.random.default_rng(5)
    means = random.integers(-3, 6, size=14).astype(float) if ties else random.normal(0.4, size=14)
    found = rank_biserial(means, range(14))
    assert found.mean == pytest.approx(slow_rank_biserial(means), abs=1e-12)
    assert found.low < found.mean < found.high
    assert (found.n, found.clusters) == (14, 14)


def test_rank_biserials_interval_is_wilsons_with_the_jackknifes_variance() -> None:
    means = np.random.default_rng(2).normal(0.3, size=11)
    found = rank_biserial(means, range(11))
    share = (found.mean + 1) / 2
    without = [(slow_rank_biserial(np.delete(means, index)) + 1) / 2 for index in range(11)]
    observations = share * (1 - share) / (10 * np.var(without))
    expected = wilson(share, np.minimum(11, observations), stats.norm.ppf(0.975))
    assert ((found.low + 1) / 2, (found.high + 1) / 2) == pytest.approx(expected, abs=1e-9)


def wilson(share: float, observations: float, quantile: float) -> tuple[float, float]:
    """The two shares p at which |share − p| is ``quantile`` standard errors, as roots of their quadratic."""
    a = 1 + quantile**2 / observations
    b = -(2 * share + quantile**2 / observations)
    low, high = sorted(np.roots([a, b, share**2]).real)
    return low, high


def test_superiority_of_singletons_is_wilsons_interval_nearly() -> None:
    wins = np.array([1.0] * 30 + [-1.0] * 10)
    found = superiority(wins, range(40))
    variance = 0.75 * 0.25 / 39
    expected = wilson(0.75, 0.75 * 0.25 / variance, stats.t.ppf(0.975, 39))
    assert (found.mean, found.low, found.high) == pytest.approx((0.75, *expected), abs=1e-12)
    scipys = stats.binomtest(30, 40).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.01)


def test_ties_are_half_a_win_and_nan_none() -> None:
    found = superiority([0.0, 1.0, -1.0, np.nan], [0, 0, 1, 1])
    assert found.mean == pytest.approx((0.75 + 0) / 2)
    assert (found.n, found.undefined) == (3, 1)


def test_dzs_interval_inverts_the_noncentral_t() -> None:
    means = np.random.default_rng(3).normal(0.5, size=12)
    found = cohens_dz(means, range(12), confidence=0.9)
    t = stats.ttest_1samp(means, 0).statistic
    assert stats.nct.sf(t, 11, found.low * 12**0.5) == pytest.approx(0.05, abs=1e-6)
    assert stats.nct.cdf(t, 11, found.high * 12**0.5) == pytest.approx(0.05, abs=1e-6)


# Rank tests and families --------------------------------------------------------------------------------------------


def test_friedman_is_scipys_on_the_speakers_means() -> None:
    scores, labels = study()
    means = scores.groupby(labels).mean()
    assert friedman_p(scores, labels) == pytest.approx(stats.friedmanchisquare(*means.T.to_numpy()).pvalue)
    assert np.isnan(friedman_p(scores[["a", "b"]], labels))
    assert np.isnan(friedman_p(scores[:5], labels[:5]))
    assert friedman_p(scores * 0 + 0.1, labels) == 1


def test_the_table_of_clusters_holds_complete_pairs_alone() -> None:
    scores, labels = study(speakers=3, clips=2)
    scores.loc[0, "c"] = np.nan
    table = cluster_table(scores, labels)
    assert table.attrs["undefined"] == 1
    assert table.to_numpy()[0].tolist() == scores.to_numpy()[1].tolist()
    pd.testing.assert_frame_equal(table.loc[1:], scores[2:].groupby(labels[2:]).mean(), check_names=False)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-15)
    assert holm(p_values[::-1]) == pytest.approx(holm(p_values)[::-1], abs=0)


def test_undefined_p_values_count_for_nothing() -> None:
    assert holm([0.01, np.nan, 0.03]) == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)
    assert holm([]).size == 0


def test_families_of_comparisons() -> None:
    scores, labels = study()
    every, against = compare_all(scores, labels), compare_with("a", scores, labels)
    assert list(zip(every["first"], every["second"], strict=True)) == list(combinations("abc", 2))
    assert list(zip(against["first"], against["second"], strict=True)) == [("b", "a"), ("c", "a")]
    alone = compare(scores["b"], scores["a"], labels)
    assert against.loc[0, list(alone.record())].to_dict() == alone.record()
    assert every["p_holm"].to_numpy() == pytest.approx(multipletests(every["p"], method="holm")[1])
    assert every["signed_rank_p_holm"].to_numpy() == pytest.approx(
        multipletests(every["signed_rank_p"], method="holm")[1]
    )
    assert compare_with("a", scores[["a"]], labels).empty


def test_matrix_of_comparisons_mirrors_each_column_its_way() -> None:
    scores, labels = study()
    every = compare_all(scores, labels)
    mean, share = comparison_matrix(every, "mean"), comparison_matrix(every, "superiority")
    assert mean["a"]["b"] == -mean["b"]["a"] == cluster_mean(scores["b"] - scores["a"], labels).mean
    assert share["b"]["a"] + share["a"]["b"] == 1
    assert np.diag(mean).tolist() == [0, 0, 0]
    assert np.diag(share).tolist() == [0.5] * 3
    p = comparison_matrix(every, "p_holm")
    assert p.equals(p.T)
    assert np.diag(p).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: compare([1.0], [1.0, 2.0], [1]), "same pairs"),
        (lambda: compare([np.inf], [np.inf], [1]), "infinite"),
        (lambda: compare([1.0, 2.0], [0.0, 0.0], [1]), "one cluster a score"),
        (lambda: compare([1.0, 2.0], [0.0, 0.0], [1, 2], confidence=1.0), "confidence is 1"),
        (lambda: compare([1.0, 2.0], [0.0, 0.0], [1, 2], strata=["a"]), "one of each"),
        (lambda: rank_biserial([1.0, 2.0], [1, 2], confidence=0.0), "confidence is 0"),
        (lambda: signed_rank_p([1.0, 2.0], np.array([1, None])), "no cluster"),
        (lambda: compare_with("d", study()[0], study()[1]), "no scores of 'd'; choose one of a, b, c"),
        (lambda: comparison_matrix(compare_all(*study()), "low"), "matrix of 'low'"),
        (lambda: friedman_p(study()[0][["a"]], study()[1]), "two or more"),
        (lambda: friedman_p(study()[0], [1, 2]), "one cluster per pair"),
        (lambda: holm([0.5, 1.5]), "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        call()
