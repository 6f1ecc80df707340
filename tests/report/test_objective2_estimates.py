import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.objective2_rows import LEVELS, as_results, changed, make_objective2_results
from scipy import stats

from audioxai.registry import MethodEntry, Role
from audioxai.report.objective2_estimates import CLIPS, LEADING, Evidence, gather
from audioxai.results import ResultSet
from audioxai.statistics import holm
from audioxai.utils.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "objective2_estimates.json").read_text())
KEYS = {
    "means": ["material", "scope", "gradients", "method", "metric"],
    "gains": ["scope", "gradients", "first"],
    "leads": ["scope", "second"],
    "gaps": ["scope", "gradients", "method"],
}


@pytest.fixture(scope="module")
def results() -> ResultSet:
    return make_objective2_results()


@pytest.fixture(scope="module")
def evidence(results: ResultSet) -> Evidence:
    return gather(results)


def stored_results() -> ResultSet:
    """Scores that were really measured: a quick study of ten methods, one test speaker."""
    stored = GOLDEN["stored"]
    rows = pd.DataFrame(
        [
            (material, metric, method, gradients, passes, sample, group, score)
            for material, metric, method, gradients, passes, scores in stored["scores"]
            for (sample, group), score in zip(stored["samples"][material], scores, strict=True)
        ],
        columns=["material", "metric", "method", "gradients", "map_passes", "sample", "group", "score"],
    )
    return as_results(
        rows.astype({"score": float}).assign(
            modality="audio",
            dataset="spoken_digits",
            stand_in_for="audio_mnist",
            model="small_cnn",
            training_seed=0,
            resolution=32,
        )
    )


def assert_golden(evidence: Evidence, golden: dict[str, Any]) -> None:
    assert evidence.best == golden["best"]
    assert evidence.main_budget == golden["main_budget"]
    for name, keys in KEYS.items():
        expected = pd.DataFrame(golden[name]["rows"], columns=golden[name]["columns"]).set_index(keys).astype(float)
        found = getattr(evidence, name).set_index(keys)[list(expected.columns)].astype(float)
        pd.testing.assert_frame_equal(found.loc[expected.index], expected, rtol=1e-9, atol=1e-12)


def test_estimates_of_a_stored_study_are_those_of_version_0() -> None:
    evidence = gather(stored_results())
    assert_golden(evidence, GOLDEN["stored"]["estimates"])
    for name in KEYS:
        assert len(getattr(evidence, name)) == len(GOLDEN["stored"]["estimates"][name]["rows"])


def test_pooled_estimates_of_unequal_datasets_are_those_of_version_0(results: ResultSet) -> None:
    rows = results.rows
    few = rows[(rows["dataset"] != "fsdd") | (rows["group"] < "s05")]
    assert_golden(gather(changed(results, few)), GOLDEN["made"]["estimates"])


def test_methods_at_one_cost_stand_in_every_budget_whatever_was_asked_of_them() -> None:
    stored = stored_results()
    asked = stored.rows["gradients"].mask(stored.rows["gradients"] == 0, 8)
    evidence = gather(changed(stored, stored.rows.assign(gradients=asked)))
    assert_golden(evidence, GOLDEN["stored"]["estimates"])
    occlusion = evidence.means.query("method == 'occlusion' and metric == 'removal_worst'")
    assert list(occlusion["gradients"]) == [8, 12]
    assert set(occlusion["cost"]) == {65}


def test_differences_are_those_of_a_t_test_over_groups_and_corrected_by_holm(
    results: ResultSet, evidence: Evidence
) -> None:
    own = evidence.gains.query("scope == 'fsdd, alexnet' and gradients == 16")
    rows = results.rows[(results.rows["material"] == "clips") & results.rows["gradients"].isin([0, 16])]
    part = rows.query("dataset == 'fsdd' and model == 'alexnet' and metric == 'removal_worst'")
    scores = part.pivot_table(index="group", columns="method", values="score")
    for row in own.to_dict("records"):
        expected = stats.ttest_rel(scores[row["first"]], scores["silence"])
        low, high = expected.confidence_interval()
        assert row["p"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-9)
    assert len(own) == len(LEVELS) + 2 - 1
    assert own["p_holm"].to_numpy() == pytest.approx(holm(own["p"]))


def test_leads_are_the_best_minus_the_other(evidence: Evidence) -> None:
    lead = evidence.leads.query("scope == 'fsdd, small_cnn' and second == 'idgi'").iloc[0]
    best, other = (evidence.mean(CLIPS, "fsdd, small_cnn", name, LEADING)["mean"] for name in ("dual", "idgi"))
    assert lead["mean"] == pytest.approx(best - other)
    assert lead["low"] < lead["mean"] < lead["high"]
    assert lead["d_z"] > 0
    assert lead["superiority"] > 0.5


def test_one_group_has_clips_as_clusters(results: ResultSet) -> None:
    rows = results.rows
    evidence = gather(changed(results, rows.assign(group=rows["group"].mask(rows["dataset"] == "fsdd", "nicolas"))))
    assert evidence.clustered_by_clips() == ["fsdd"]
    own = evidence.gain("fsdd, small_cnn", "dual")
    assert own["clusters"] == 12
    assert own["p"] == own["p_clips"]


@pytest.mark.parametrize("role", ["ours", "peer", "control", "method"])
def test_a_method_that_is_registered_tomorrow_takes_part_by_its_role(role: Role) -> None:
    results = make_objective2_results(datasets=("fsdd",), models=("small_cnn",), seeds=(0,), ground_truth=False)
    rows = results.rows
    new = rows[rows["method"] == "dual"].assign(method="brand_new", score=lambda own: own["score"] + 0.1)
    entry = MethodEntry(name="brand_new", make=dict, label="Brand-new IG", role=role, family="new")
    evidence = gather(
        as_results(pd.concat([rows, new]), methods={**results.methods, "brand_new": entry}, metrics=results.metrics)
    )
    assert evidence.best == ("brand_new" if role == "ours" else "dual")
    assert ("brand_new" in set(evidence.leads["second"])) == (role in ("peer", "control"))
    assert "brand_new" in set(evidence.gains["first"])


def test_order_of_the_rows_does_not_matter(results: ResultSet, evidence: Evidence) -> None:
    shuffled = gather(changed(results, results.rows.sample(frac=1, random_state=3)))
    for name in KEYS:
        pd.testing.assert_frame_equal(getattr(shuffled, name), getattr(evidence, name), check_exact=True)


def test_rows_without_recordings_are_refused(results: ResultSet) -> None:
    rows = results.rows
    for kept, words in (
        (rows[rows["material"] == "cues"], "ground truth only"),
        (rows.iloc[:0], "no result rows"),
        (rows.drop(columns="score"), "'score'"),
    ):
        with pytest.raises(UserError, match=words):
            gather(changed(results, kept))
