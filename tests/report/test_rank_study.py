"""The study of ranks: leads, ranks and concordance are those of rows whose order is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.objective2_rows import as_results, make_objective2_rows
from scipy.stats import spearmanr, ttest_1samp

from audioxai.report.document import Bullets, Figure, Table
from audioxai.report.estimates import prepared
from audioxai.report.rank_study import concordance, leads, rank_document, ranks
from audioxai.report.style import Style
from audioxai.results import ResultSet
from audioxai.statistics import holm

LEVELS = {"silence": 0.4, "ordered": 0.8, "expected": 0.5, "idgi": 0.45}
SEEN = ("audio_mnist_az", "fsdd")


def study_results(levels: dict[str, float] | None = None, **others: Any) -> ResultSet:
    """Three data sets and two models; the order of the methods is that of their levels everywhere."""
    facts: dict[str, Any] = {"datasets": (*SEEN, "speech_commands"), "seeds": (0,), "budgets": (32,)}
    facts["ground_truth"] = False
    rows = make_objective2_rows({**LEVELS, **(levels or {})}, **(facts | others))
    return as_results(rows, study="ranks", context={"configuration": {"chosen_on": list(SEEN)}})


def judged(results: ResultSet) -> tuple[pd.DataFrame, Style]:
    tidy = prepared(results.rows)
    return tidy[tidy["metric"] == "removal_worst"], Style(results.methods, results.metrics)


def test_ranks_are_those_of_the_levels_and_certain_where_these_are_far_apart() -> None:
    found = ranks(*judged(study_results()))
    expected = {"ordered": 1, "expected": 2, "idgi": 3, "silence": 4, "energy": 5, "random": 6}
    for row in found.to_dict("records"):
        assert row["rank"] == expected[row["method"]]
        if row["method"] in ("ordered", "random"):
            assert row["rank_low"] == row["rank_high"] == row["rank"]
    agreed = concordance(found)
    assert agreed["kendall_w"] == pytest.approx(1.0)
    assert agreed["data_sets"] == agreed["models"] == pytest.approx(1.0)


def test_concordance_is_the_mean_rank_correlation_on_the_scale_of_kendalls_w() -> None:
    """W by its definition, from the sums of ranks."""
    rng = np.random.default_rng(0)
    places = [("a", "m"), ("a", "n"), ("b", "m")]
    table = np.array([rng.permutation(5) + 1 for _ in places], dtype=float)
    frame = pd.DataFrame(
        [
            {"dataset": data, "model": model, "method": str(method), "rank": table[row, method]}
            for row, (data, model) in enumerate(places)
            for method in range(5)
        ]
    )
    found = concordance(frame)
    spread = ((table.sum(0) - table.sum(0).mean()) ** 2).sum()
    assert found["kendall_w"] == pytest.approx(12 * spread / (3**2 * (5**3 - 5)))
    assert found["data_sets"] == pytest.approx(spearmanr(table[0], table[2]).statistic)
    assert found["models"] == pytest.approx(spearmanr(table[0], table[1]).statistic)


def test_leads_are_paired_differences_corrected_over_all_settings() -> None:
    results = study_results({"ordered": 0.47})
    table, rows = leads(*judged(results)), results.rows
    assert len(table) == 6 * 3
    for record in table.to_dict("records"):
        own = rows[(rows["dataset"] == record["dataset"]) & (rows["model"] == record["model"])]
        scores = own[own["metric"] == "removal_worst"].pivot_table("score", "group", "method")
        difference = scores["ordered"] - scores[record["second"]]
        assert record["mean"] == pytest.approx(difference.mean())
        assert record["p"] == pytest.approx(ttest_1samp(difference, 0).pvalue, rel=1e-6)
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"]).tolist())
    # The best of the literature, silence IG left aside.
    assert set(table.loc[table["rival"] == "peer", "second"]) == {"expected"}


def test_the_answer_says_what_the_unseen_data_set_says() -> None:
    document = rank_document(study_results())
    told = next(block for block in document.blocks(Bullets)).items
    line = next(text for text in told if "took no part" in text)
    assert "on speech_commands" in line
    assert "ahead of Silence IG in 2 of 2, behind in none" in line
    assert "ahead of Energy (control) in 2 of 2" in line
    behind = next(block for block in rank_document(study_results({"ordered": 0.2})).blocks(Bullets)).items
    assert any("ahead of Silence IG in 0 of 6, behind in 6" in text for text in behind)
    table = next(block for block in document.blocks(Table) if block.name == "ranks_leads")
    assert {row[0].text for row in table.rows} == {*SEEN, "speech_commands (unseen)"}


def test_the_figure_is_drawn_and_one_setting_alone_is_shown_too() -> None:
    for results in (study_results(), study_results(datasets=("fsdd",), models=("small_cnn",))):
        document = rank_document(results)
        (figure,) = document.blocks(Figure)
        drawn = figure.draw(7.0)
        assert len(drawn.axes) == results.rows["model"].nunique()
