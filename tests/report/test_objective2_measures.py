"""The mission's four measures of Objective 2: what is said is what was put into the rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.objective2_rows import FACTS, LEVELS, as_results, changed, make_objective2_rows
from scipy.stats import ttest_1samp

from audioxai.registry import MetricEntry
from audioxai.report.document import Bullets, Figure, Paragraph, Table
from audioxai.report.objective2 import objective2_document
from audioxai.report.objective2_answer import advice
from audioxai.report.objective2_estimates import ALL, gather
from audioxai.report.objective2_measures import judged
from audioxai.results import ResultSet
from audioxai.statistics import holm

# Metric → label, whether higher is better, and the sign with which a method's level goes into its score.
ADDED = {
    "average_sensitivity": ("Average sensitivity", False, 1.0),
    "random_logit": ("Random logit (SSIM)", False, -1.0),
    "mprt": ("Parameter randomisation (MPRT)", False, 0.0),
}


def results_with_measures(**others: Any) -> ResultSet:
    """The better a method under removal, the more it moves under noise, the less it looks like other classes' maps."""
    facts: dict[str, Any] = {"seeds": (0,), "budgets": (32,), "ground_truth": False, "speakers": 8} | others
    rows = make_objective2_rows(**facts)
    worst, random = rows[rows["metric"] == "removal_worst"], np.random.default_rng(1)
    added = [
        worst.assign(metric=name, score=0.5 + sign * worst["score"] + 0.05 * random.normal(size=len(worst)))
        for name, (_, _, sign) in ADDED.items()
    ]
    results = as_results(pd.concat([rows, *added], ignore_index=True))
    metrics = {
        name: MetricEntry(name=name, make=print, label=label, higher_is_better=higher)
        for name, (label, higher, _) in ADDED.items()
    }
    return ResultSet(**(vars(results) | {"metrics": {**results.metrics, **metrics}}))


@pytest.fixture(scope="module")
def results() -> ResultSet:
    return results_with_measures()


def test_what_pays_and_what_costs_is_what_was_put_into_the_rows(results: ResultSet) -> None:
    evidence = gather(results)
    found = advice(evidence)
    assert evidence.best == "dual"
    assert found.pays == ("random_logit",)
    assert found.costs == ("average_sensitivity",)
    assert evidence.mission == (
        *("faithfulness_correlation_8", "average_sensitivity", "sparseness", "random_logit", "mprt"),
    )
    assert set(evidence.side_by_side) == {"plain", "silence", "dual", "expected", "energy", "random"}


def test_differences_are_those_of_the_clusters_and_corrected_over_the_whole_table(results: ResultSet) -> None:
    """By hand: with one clip per speaker and model, the differences of the speakers' means."""
    evidence = gather(results)
    scope = "fsdd, small_cnn"
    table = evidence.measures[evidence.measures["scope"] == scope]
    rows = results.rows.query("dataset == 'fsdd' and model == 'small_cnn'")
    for record in table.to_dict("records"):
        own = rows[rows["metric"] == record["metric"]].pivot_table("score", "group", "method")
        difference = own[record["first"]] - own[record["second"]]
        assert record["mean"] == pytest.approx(difference.mean())
        assert record["p"] == pytest.approx(ttest_1samp(difference, 0).pvalue, rel=1e-6)
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"]).tolist())
    pairs = set(zip(table["first"], table["second"], strict=True))
    assert ("silence", "plain") in pairs
    assert ("plain", "silence") not in pairs
    assert len(table) == len(pairs) * len(evidence.mission)


def test_the_table_marks_what_the_verdicts_say(results: ResultSet) -> None:
    document = objective2_document(results)
    shown = next(block for block in document.blocks(Table) if block.name == "o2_measures")
    assert shown.terminal is not None
    lines = {row[0].text: [cell.text for cell in row[1:]] for row in shown.rows}
    columns = list(shown.columns[1:])
    sensitivity, logit = columns.index("Average sensitivity ↓"), columns.index("Random logit (SSIM) ↓")
    assert lines["Dual IG"][sensitivity].endswith("P− S−")
    assert lines["Dual IG"][logit].endswith("P+ S+")
    assert not lines["Plain IG (from 0 dB)"][logit].endswith(("+", "−"))
    assert lines["Random (control)"][sensitivity].endswith("P− S+")
    every = next(block for block in document.blocks(Table) if block.name == "o2_measures_every")
    assert {row[0].text for row in every.rows} == set(gather(results).scopes())
    tests = next(block for block in document.blocks(Table) if block.name == "o2_measure_tests")
    assert tests.frame is not None
    assert set(tests.frame["scope"]) == {ALL, *gather(results).scopes()}
    assert any(block.name == "o2_measures_forest" for block in document.blocks(Figure))


def test_the_answer_says_that_a_map_moves_more_if_and_only_if_it_does(results: ResultSet) -> None:
    told = "\n".join(item for block in objective2_document(results).blocks(Bullets) for item in block.items)
    assert "Dual IG moves more under noise than silence IG" in told
    assert "it pays in random logit" in told
    calm = results_with_measures(levels={**LEVELS, "dual": 0.42, "amplitude": 0.1}, noise=0.2)
    assert not judged(gather(calm), gather(calm).overall(), "plain", "plain")
    told = "\n".join(item for block in objective2_document(calm).blocks(Bullets) for item in block.items)
    assert "moves more under noise" not in told
    assert "it costs in none" in told


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (0.4, "following the map's own order makes it **more** sensitive"),
        (0.9, "it is steadier than smoothing alone makes silence IG"),
        (0.7, "its steadiness is not told apart from that of smoothing"),
    ],
)
def test_what_smoothing_alone_does_is_told_from_what_the_method_does(level: float, words: str) -> None:
    """The level of smoothed silence IG is its sensitivity: below that of the best, the best moves more."""
    # It belongs to ours, and the best by removal is to be another.
    results = results_with_measures(levels={**LEVELS, "silence_smoothed": level})
    worst = results.rows["metric"].eq("removal_worst") & results.rows["method"].eq("silence_smoothed")
    rows = results.rows.assign(score=results.rows["score"].mask(worst, 0.3))
    told = [text for block in objective2_document(changed(results, rows)).blocks(Bullets) for text in block.items]
    assert any(words in text for text in told if text.startswith("**Against Silence IG, smoothed**"))


def test_without_them_nothing_is_said_of_them() -> None:
    rows = make_objective2_rows(seeds=(0,), budgets=(32,), ground_truth=False)
    document = objective2_document(as_results(rows))
    assert not any("measures" in block.name for block in document.blocks(Table))
    told = [block.text for block in document.blocks(Paragraph)]
    assert not any("own measures" in text for text in told)
    assert set(FACTS) >= set(rows["method"])
