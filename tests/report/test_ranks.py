"""Ranks against slow twins, the pairs of methods, the metrics' own noise, and what is too few to rank."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_results import method_entries, result_set
from helpers.synthetic_rows import MakeRows

from audioxai.report.blocks import Source
from audioxai.report.document import Figure, Paragraph, Table
from audioxai.report.estimates import prepared
from audioxai.report.ranks import (
    FEWEST_CLUSTERS,
    Contest,
    contests,
    critical_difference_diagrams,
    groups_alike,
    noise_table,
    pairwise_matrices,
    pairwise_table,
    rank_blocks,
    rank_table,
)
from audioxai.report.style import Style
from audioxai.statistics import compare

STYLE = Style(method_entries(tuple("abcd")), {})


def contest(pairs: int = 24, clusters: int = 8, step: float = 1.0, repeats: float | None = None) -> Contest:
    """Methods a, b, c, d, each ``step`` worse than the one before, unit noise; ``repeats`` is a metric seed's noise."""
    generator = np.random.default_rng(3)
    arrays = [np.arange(pairs), np.arange(pairs) % clusters, np.array(["fsdd"] * pairs)]
    index = pd.MultiIndex.from_arrays(arrays, names=["pair", "cluster", "dataset"])
    scores = pd.DataFrame(generator.normal(size=(pairs, 4)) - step * np.arange(4), index=index, columns=list("abcd"))
    again = {seed: scores + generator.normal(scale=repeats or 0, size=(1, 4)) for seed in range(3)}
    repeated = None if repeats is None else pd.concat(again, names=["seed"])
    return Contest("a to d", scores, higher_is_better=True, repeats=repeated)


@pytest.mark.parametrize("step", [0.0, 0.3, 1.0, 3.0])
def test_bars_join_the_longest_runs_within_the_critical_difference(step: float) -> None:
    found = contest(step=step).ranked()
    ranks = found.mean_ranks.tolist()
    alike = [
        (first, last)
        for first, last in combinations(range(len(ranks)), 2)
        if ranks[last] - ranks[first] < found.critical_difference
    ]
    longest = [
        (first, last)
        for first, last in alike
        if not any((a, b) != (first, last) and a <= first and last <= b for a, b in alike)
    ]
    assert groups_alike(found) == longest


def test_a_diagram_places_every_method_at_its_mean_rank() -> None:
    one = contest()
    axes = critical_difference_diagrams([one], STYLE, 6.9).axes[0]
    marks = sorted(
        float(np.asarray(line.get_xdata())[0]) for line in axes.lines if line.get_marker() not in ("None", "", "|")
    )
    np.testing.assert_allclose(marks, sorted(one.ranked().mean_ranks))
    assert len(axes.texts) == 4


def test_a_method_without_scores_is_left_out_of_the_ranking() -> None:
    one = contest()
    scores = one.scores.assign(e=np.nan)
    table = rank_table([replace(one, scores=scores)])
    assert set(table["method"]) == set("abcd")
    pd.testing.assert_frame_equal(table, rank_table([one]))
    assert not replace(one, scores=scores[["a", "e"]]).decidable


def test_a_method_that_is_always_best_leads_every_resample() -> None:
    first = rank_table([contest(step=50.0)]).iloc[0]
    assert (first["method"], first["rank_low"], first["rank_high"], first["first"], first["kept"]) == ("a", 1, 1, 1, 1)


def test_pairs_are_compared_on_their_clusters() -> None:
    one = contest()
    table = pairwise_table([one], STYLE)
    row = table[(table["first"] == "a") & (table["second"] == "c")].iloc[0]
    expected = compare(one.scores["a"], one.scores["c"], one.scores.index.get_level_values("cluster"))
    assert row["mean"] == expected.difference.mean
    assert row["p"] == expected.p_value
    assert len(table) == 6


def shown_marks(one: Contest) -> dict[tuple[int, int], str]:
    axes = pairwise_matrices(pairwise_table([one], STYLE), STYLE, 6.9).axes[0]
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_matrices_mirror_and_mark_what_is_sure() -> None:
    marks = shown_marks(contest(step=2.0))
    assert len(marks) == 12
    assert marks[0, 3].endswith("*")
    for (row, column), text in marks.items():
        assert marks[column, row].replace("−", "") == text.replace("−", "")


def test_what_the_metrics_own_draws_could_make_is_marked_as_that() -> None:
    sure, noisy = contest(step=0.5, repeats=1e-9), contest(step=0.5, repeats=5.0)
    assert not any("≈" in text for text in shown_marks(sure).values())
    assert all("≈" in text for text in shown_marks(noisy).values())
    noise = noise_table([noisy], STYLE).set_index("method")
    assert noisy.repeats is not None
    by_seed = noisy.repeats["a"].groupby(["seed", "cluster"]).mean().groupby("seed").mean()
    assert noise.loc["a", "of_mean"] == pytest.approx(by_seed.std(ddof=1))
    assert noise_table([contest()], STYLE).empty


def test_repeats_come_from_rows_of_several_metric_seeds(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(samples=8, methods=("saliency", "occlusion", "random"))
    rows = rows[(rows["modality"] == "audio") & (rows["resolution"] == 64)]
    again = rows.assign(seed=1, score=rows["score"] + 0.01)
    found = contests(prepared(pd.concat([rows, again])), ["resolution"], "{resolution}: {metric}", style)
    assert next(iter(found)) == (64, "faithfulness_correlation")
    assert found[64, "mprt"].title == "64: Parameter randomisation (MPRT)"
    noise = noise_table(list(found.values()), style)
    assert set(noise["repeats"]) == {2}
    np.testing.assert_allclose(noise["of_mean"], 0.01 / 2**0.5, atol=1e-12)
    alone = contests(prepared(rows), ["resolution"], "{resolution}: {metric}", style)
    assert all(one.repeats is None for one in alone.values())
    pd.testing.assert_frame_equal(found[64, "mprt"].scores, alone[64, "mprt"].scores)


def test_too_few_clusters_are_said_and_not_drawn(rows_with: MakeRows) -> None:
    source = Source(result_set(rows_with(samples=2)))
    few, enough = contest(clusters=FEWEST_CLUSTERS - 1), contest(clusters=FEWEST_CLUSTERS)
    (told,) = rank_blocks([few], [few], STYLE, source, "x")
    assert isinstance(told, Paragraph)
    assert f"{FEWEST_CLUSTERS - 1} clusters" in told.text
    drawn = rank_blocks([enough], [enough, few], STYLE, source, "x")
    assert {block.name for block in drawn if isinstance(block, Figure)} == {
        "x_critical_difference",
        "x_rank_stability",
        "x_pairwise",
    }
    assert [block.name for block in drawn if isinstance(block, Table)] == ["x_ranks"]
