"""Critical differences, rank stability and the metrics' own noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from audioxai.statistics import critical_difference, friedman_p, metric_noise, rank_stability
from audioxai.statistics.noise import MetricNoise
from audioxai.utils.errors import UserError


def study(speakers: int = 10, clips: int = 4, noise: float = 0.3, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(speakers), clips)
    levels = {"low": 0.0, "high": 0.5, "middle": 0.25, "highest": 0.55}
    return pd.DataFrame(
        {name: level + noise * random.normal(size=labels.size) for name, level in levels.items()}
    ), labels


def test_mean_ranks_are_those_of_the_speakers_means() -> None:
    scores, labels = study()
    found = critical_difference(scores, labels, higher_is_better=True)
    ranks = scores.groupby(labels).mean().rank(axis=1, ascending=False).mean().sort_values()
    pd.testing.assert_series_equal(found.mean_ranks, ranks, check_names=False)
    assert found.friedman_p == friedman_p(scores, labels)
    assert (found.clusters, found.undefined) == (10, 0)


@pytest.mark.parametrize(("speakers", "noise"), [(10, 0.3), (3, 1.0), (40, 2.0)])
def test_nemenyis_p_is_scikit_posthocs(speakers: int, noise: float) -> None:
    posthocs = pytest.importorskip("scikit_posthocs")
    scores, labels = study(speakers, noise=noise)
    found = critical_difference(scores, labels, higher_is_better=True)
    expected = posthocs.posthoc_nemenyi_friedman(scores.groupby(labels).mean())
    order = found.mean_ranks.index
    pd.testing.assert_frame_equal(found.p_values, expected.loc[order, order], rtol=1e-12, atol=0)


def test_nemenyis_p_of_two_methods_is_that_of_a_normal_difference() -> None:
    # The range of two normal variables is |N(0, 2)|, so p = 2 (1 - Phi(|difference of mean ranks| sqrt(n))).
    scores = pd.DataFrame({"a": [0.0] * 9, "b": [1.0] * 7 + [-1.0] * 2})
    found = critical_difference(scores, range(9), higher_is_better=True)
    expected = 2 * stats.norm.sf((7 - 2) / 9 * 9**0.5)
    assert found.p_values.loc["a", "b"] == pytest.approx(expected, rel=1e-9)
    assert found.p_values.loc["b", "b"] == 1.0


def test_nemenyis_p_is_five_per_cent_where_the_tables_of_the_studentised_range_say_so() -> None:
    # q = 3.3145 for three groups and infinite degrees of freedom at 0.05.
    found = critical_difference(
        pd.DataFrame({"a": [0.0], "b": [1.0], "c": [2.0]}).loc[[0] * 2], range(2), higher_is_better=True
    )
    standard_error = (3 * 4 / (6 * 2)) ** 0.5
    assert found.critical_difference == pytest.approx(3.3145 / 2**0.5 * standard_error, abs=1e-3)
    assert found.p_values.loc["a", "c"] == pytest.approx(stats.studentized_range.sf(2 * 2**0.5, 3, np.inf), rel=1e-12)


def test_the_critical_difference_is_demsars_and_where_nemenyis_p_is_five_per_cent() -> None:
    # Table 5(a) of Demšar (2006): q = 2.569 for four methods at 0.05.
    found = critical_difference(*study(), higher_is_better=True)
    assert found.critical_difference == pytest.approx(2.569 * (4 * 5 / (6 * 10)) ** 0.5, abs=5e-4)
    apart = found.mean_ranks.iloc[-1] - found.mean_ranks.iloc[0]
    assert (apart >= found.critical_difference) == (found.p_values.to_numpy()[0, -1] <= 0.05)


def test_the_other_end_turns_the_ranks_round() -> None:
    scores, labels = study()
    high = critical_difference(scores, labels, higher_is_better=True)
    low = critical_difference(scores, labels, higher_is_better=False)
    assert low.mean_ranks[high.mean_ranks.index].to_numpy() == pytest.approx(5 - high.mean_ranks.to_numpy())
    assert low.friedman_p == pytest.approx(high.friedman_p)


def test_equal_methods_share_their_rank() -> None:
    found = critical_difference(pd.DataFrame({"a": [0.1] * 4, "b": [0.1] * 4}), range(4), higher_is_better=True)
    assert found.mean_ranks.tolist() == [1.5, 1.5]
    assert found.p_values.loc["a", "b"] == pytest.approx(1)


@pytest.mark.parametrize("rows", [0, 3])
def test_fewer_than_two_speakers_have_no_diagram(rows: int) -> None:
    scores, labels = study()
    found = critical_difference(scores[:rows], labels[:rows], higher_is_better=True)
    assert np.isnan([found.critical_difference, found.friedman_p, found.p_values["high"]["low"]]).all()
    stability = rank_stability(scores[:rows], labels[:rows], higher_is_better=True, seed=0)
    assert stability[["rank_low", "rank_high", "first", "kept"]].isna().all(axis=None)
    assert stability["rank"].isna().all() == (rows == 0)


def slow_stability(means: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of leads and of kept comparisons, by loops over resamples and methods."""
    methods = means.shape[1]
    full = means.mean(axis=0)
    first, kept = np.zeros(methods), np.zeros(methods)
    for rows in drawn:
        resampled = means[rows].mean(axis=0)
        first[resampled.argmax()] += 1
        for one in range(methods):
            for other in range(methods):
                if one != other:
                    kept[one] += ((resampled[one] > resampled[other]) == (full[one] > full[other])) / (methods - 1)
    return first / len(drawn), kept / len(drawn)


def test_rank_stability_is_that_of_a_slow_bootstrap() -> None:
    scores, labels = study()
    found = rank_stability(scores, labels, higher_is_better=True, resamples=500, seed=3)
    means = scores.groupby(labels).mean().to_numpy()
    drawn = np.random.default_rng([3, 0]).integers(10, size=(500, 10))
    first, kept = slow_stability(means, drawn)
    order = found.loc[scores.columns]
    assert order["first"].to_numpy() == pytest.approx(first, abs=1e-12)
    assert order["kept"].to_numpy() == pytest.approx(kept, abs=1e-12)
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found.index[-1] == "low"
    assert ((found["rank_low"] <= found["rank"]) & (found["rank"] <= found["rank_high"])).all()


def test_clear_ranks_stay_and_order_changes_nothing() -> None:
    scores, labels = study(noise=0.001)
    shuffled = np.random.default_rng(1).permutation(len(labels))
    found = rank_stability(scores, labels, higher_is_better=False, seed=0)
    assert found.index.tolist() == ["low", "middle", "high", "highest"]
    assert (found["rank_low"] == found["rank_high"]).all()
    assert found["first"].tolist() == [1, 0, 0, 0]
    assert (found["kept"] == 1).all()
    pd.testing.assert_frame_equal(
        found, rank_stability(scores.iloc[shuffled], labels[shuffled], higher_is_better=False, seed=0)
    )


def repeated(speakers: int = 5, clips: int = 6, repeats: int = 4, common: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Scores of the same clips under several metric seeds; ``common`` is what a seed does to all clips alike."""
    random = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product([range(speakers * clips), range(repeats)], names=["sample", "repeat"])
    frame = rows.to_frame(index=False)
    clip, draw = random.normal(size=speakers * clips)[frame["sample"]], 0.1 * random.normal(size=len(frame))
    frame["score"] = clip + draw + common * random.normal(size=repeats)[frame["repeat"]]
    return frame.assign(cluster=frame["sample"] % speakers)


def noise_of(frame: pd.DataFrame, **options: Any) -> MetricNoise:
    return metric_noise(frame["score"], frame["sample"], frame["cluster"], frame["repeat"], **options)


def test_noise_by_slow_loops() -> None:
    frame = repeated()
    found = noise_of(frame, averaged=2)
    means = [part.groupby("cluster")["score"].mean().mean() for _, part in frame.groupby("repeat")]
    variances = [part["score"].var() for _, part in frame.groupby("sample")]
    assert found.mean == pytest.approx(np.mean(means))
    assert found.of_mean == pytest.approx(np.std(means, ddof=1))
    assert found.of_sample == pytest.approx(np.mean(variances) ** 0.5)
    assert found.smallest_difference == pytest.approx(stats.t.ppf(0.975, 3) * found.of_mean / 2**0.5)
    assert (found.repeats, found.n, found.undefined) == (4, 30, 0)
    assert found == noise_of(frame.sample(frac=1, random_state=1), averaged=2)


def test_clips_that_a_seed_left_undefined_are_dropped_and_counted() -> None:
    frame = repeated()
    frame.loc[5, "score"] = np.nan
    found, without = noise_of(frame), noise_of(frame[frame["sample"] != frame.loc[5, "sample"]])
    assert (found.n, found.undefined) == (29, 1)
    assert found.of_mean == without.of_mean


def test_draws_shared_by_all_clips_do_not_average_out() -> None:
    assert noise_of(repeated(common=0.5)).of_mean > 10 * noise_of(repeated()).of_mean


def test_pure_noise_exceeds_itself_once_in_twenty() -> None:
    # Two methods that differ by the metric's draws alone: five seeds tell the noise, the sixth is reported.
    exceeded = 0
    for seed in range(300):
        differences = np.random.default_rng(seed).normal(size=6)
        noise = metric_noise(np.repeat(differences[1:], 2), [0, 1] * 5, [0, 1] * 5, np.repeat(range(5), 2))
        exceeded += noise.is_exceeded_by(differences[0])
    assert stats.binomtest(exceeded, 300, 0.05).pvalue > 0.01


def test_one_seed_knows_no_noise() -> None:
    found = noise_of(repeated(repeats=1))
    assert np.isnan([found.of_mean, found.of_sample, found.smallest_difference]).all()
    assert not found.is_exceeded_by(100)
    nothing = metric_noise([], [], [], [])
    assert np.isnan(nothing.mean)
    assert (nothing.n, nothing.repeats) == (0, 0)


def test_a_metric_that_draws_nothing_has_no_noise() -> None:
    frame = repeated()
    frame["score"] = frame["sample"] * 0.1
    found = noise_of(frame)
    assert found.smallest_difference == pytest.approx(0, abs=1e-12)
    assert found.is_exceeded_by(0.01)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metric_noise([1.0], [1], [1], [1, 2]), "lengths"),
        (lambda: metric_noise([1.0, 2.0], [1, 1], [1, 1], [1, 1]), "two scores of one metric seed"),
        (lambda: metric_noise([1.0, 2.0], [1, 1], [1, 2], [1, 2]), "more than one cluster"),
        (lambda: metric_noise([1.0], [1], np.array([None]), [1]), "no cluster"),
        (lambda: metric_noise([1.0], [1], [1], [1], averaged=0), "averaged is 0"),
        (lambda: rank_stability(*study(), higher_is_better=True, resamples=0, seed=0), "resamples is 0"),
        (lambda: critical_difference(*study(), higher_is_better=True, confidence=2), "confidence is 2"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        call()
