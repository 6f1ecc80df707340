"""Estimates against the numbers of the earlier report, against pandas and SciPy, and for single groups and NaN."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_results import metric_entries, result_set
from helpers.synthetic_rows import MakeRows
from scipy import stats

from audioxai.report.estimates import (
    INTERVAL,
    clustered_by_samples,
    contrast,
    directed,
    estimate,
    leaders,
    paired_scores,
    prepared,
    slopes,
    trend,
)
from audioxai.report.objective1 import CELL, Evidence, evidence_of, matched_resolutions, view_of
from audioxai.report.style import Style
from audioxai.utils.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "objective1_estimates.json").read_text(encoding="utf-8"))
FRAMES = {
    "cells": CELL,
    "differences": ["audio_resolution", "image_resolution", "method", "metric"],
    "trends": ["scope", "method", "metric"],
    "contrasts": CELL,
    "leaders": ["modality", "resolution", "metric", "method"],
}


def frame(stored: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(stored["rows"], columns=stored["columns"])


def same_numbers(found: pd.DataFrame, stored: dict[str, Any], keys: list[str], columns: list[str]) -> None:
    wanted = frame(stored).set_index(keys).sort_index()
    own = found.set_index(keys).sort_index()
    assert list(own.index) == list(wanted.index)
    for column in columns:
        np.testing.assert_allclose(
            own[column].to_numpy(float), wanted[column].astype(float).to_numpy(), rtol=1e-8, atol=1e-9, err_msg=column
        )


def evidence(rows: pd.DataFrame, **changes: Any) -> Evidence:
    return evidence_of(view_of(result_set(rows, **changes)))


@pytest.fixture(scope="module")
def measured() -> tuple[pd.DataFrame, Evidence]:
    """Scores of a tiny run of every method; its recordings are all of one speaker."""
    stored = GOLDEN["measured"]
    rows = frame(stored["rows"]).assign(
        material="clips", dataset=lambda one: one["modality"], stand_in_for=None, model="small_cnn", training_seed=0
    )
    rows = rows.rename(columns={"speaker": "group"})
    rows["score"] = rows["score"].astype(float)
    metrics = metric_entries(stored["directions"])
    return rows, evidence(rows.assign(split="", seed=0), metrics=metrics)


@pytest.mark.parametrize("name", ["cells", "contrasts", "leaders", "trends"])
def test_measured_scores_of_images_give_the_earlier_estimates(
    measured: tuple[pd.DataFrame, Evidence], name: str
) -> None:
    stored, found = GOLDEN["measured"][name], getattr(measured[1], name)
    side = "scope" if name == "trends" else "modality"
    place = stored["columns"].index(side)
    stored = stored | {"rows": [row for row in stored["rows"] if row[place] == "image"]}
    columns = [*INTERVAL, *(["score", "second_score", "separated"] if name == "leaders" else [])]
    same_numbers(found[found[side] == "image"], stored, FRAMES[name], columns)


@pytest.mark.parametrize("name", ["cells", "contrasts", "leaders", "differences"])
def test_measured_scores_of_recordings_give_the_earlier_means(
    measured: tuple[pd.DataFrame, Evidence], name: str
) -> None:
    # One speaker gave no interval then; his recordings are the clusters now.
    found = getattr(measured[1], name)
    same_numbers(found, GOLDEN["measured"][name], FRAMES[name], ["mean", "n", "undefined"])


@pytest.mark.parametrize("name", list(FRAMES))
def test_scores_of_several_speakers_give_the_earlier_estimates(rows_with: MakeRows, name: str) -> None:
    rows = rows_with(audio_shift=-0.05, slope=0.03, samples=12)
    rows = rows[
        (rows["training_seed"] == 0)
        & rows["metric"].isin(["faithfulness_correlation", "average_sensitivity"])
        & rows["method"].isin(["saliency", "integrated_gradients", "occlusion", "random"])
    ].reset_index(drop=True)
    rows.loc[[3, 50, 51], "score"] = np.nan
    found = getattr(evidence(rows), name)
    stored = GOLDEN["synthetic"][name]
    same_numbers(found, stored, FRAMES[name], list(INTERVAL))
    outcome = {"differences": "better", "contrasts": "verdict"}.get(name)
    if outcome:
        assert list(found[outcome].fillna("")) == list(frame(stored)[outcome].fillna(""))


def test_means_are_pandas_means(rows_with: MakeRows) -> None:
    rows = rows_with(samples=20)
    rows.loc[[3, 50, 51], "score"] = np.nan
    expected = rows.groupby(CELL)["score"].agg(["mean", "count"])
    found = estimate(prepared(rows), CELL).set_index(CELL).loc[expected.index]
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12)
    assert (found["n"] == expected["count"]).all()
    assert (found["n"] + found["undefined"] == 40).all()


def test_weights_of_clusters_give_the_t_interval_of_their_means(rows_with: MakeRows) -> None:
    tidy = prepared(rows_with(samples=25))
    part = tidy[tidy["modality"] == "audio"]
    found = estimate(part, ["metric"], "clusters").set_index("metric")
    for metric, own in part.groupby("metric"):
        means = own.groupby("cluster")["score"].mean()
        low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
        np.testing.assert_allclose(found.loc[metric, ["mean", "low", "high"]].astype(float), [means.mean(), low, high])


def test_clusters_are_groups_where_there_are_several_and_samples_else(rows_with: MakeRows) -> None:
    rows = rows_with(samples=20)
    found = estimate(prepared(rows), ["modality"]).set_index("modality")["clusters"]
    assert (found["audio"], found["image"]) == (10, 20)
    alone = rows[rows["group"].isna() | (rows["group"] == "s00")]
    tidy = prepared(alone)
    assert estimate(tidy, ["modality"]).set_index("modality")["clusters"]["audio"] == 2
    assert clustered_by_samples(tidy) == ["fsdd"]
    assert clustered_by_samples(prepared(rows)) == []


def test_the_same_group_of_two_data_sets_is_two_clusters(rows_with: MakeRows) -> None:
    rows = rows_with(samples=20)
    audio = rows[rows["modality"] == "audio"]
    both = pd.concat([audio, audio.assign(dataset="audio_mnist")])
    assert set(estimate(prepared(both), ["metric"])["clusters"]) == {20}


def test_paired_contrasts_are_the_difference_on_the_same_pairs(rows_with: MakeRows) -> None:
    rows = rows_with(samples=12)
    rows.loc[(rows["method"] == "saliency") & (rows["sample"].str.endswith("0001")), "score"] = np.nan
    tidy = prepared(rows)
    found = contrast(tidy, ["modality", "resolution", "metric"], "random").set_index(
        ["modality", "resolution", "metric", "first"]
    )
    part = tidy[(tidy["modality"] == "image") & (tidy["resolution"] == 64) & (tidy["metric"] == "mprt")]
    scores = paired_scores(part)
    own = dict(zip(found.index, found.to_dict("records"), strict=True))["image", 64, "mprt", "saliency"]
    assert own["mean"] == pytest.approx((scores["saliency"] - scores["random"]).mean())
    assert (own["n"], own["undefined"], own["second"]) == (22, 2, "random")


def test_contrasts_with_tests_are_corrected_within_each_combination(rows_with: MakeRows) -> None:
    tidy = prepared(rows_with(samples=12))
    found = contrast(tidy[tidy["modality"] == "audio"], ["resolution", "metric"], "random", weigh="clusters")
    for _, own in found.groupby(["resolution", "metric"]):
        assert (own["p_holm"] >= own["p"] - 1e-12).all()
        assert own["p_holm"].min() == pytest.approx(min(1, own["p"].min() * len(own)))


def test_a_trend_is_the_slope_of_the_means(rows_with: MakeRows) -> None:
    tidy = prepared(rows_with(slope=0.1, noise=0.0))
    found = trend(tidy, ["modality", "method", "metric"]).set_index(["modality", "method", "metric"])
    assert found.loc[("audio", "saliency", "faithfulness_correlation"), "mean"] == pytest.approx(0.1)
    assert found.loc[("image", "saliency", "mprt"), "mean"] == pytest.approx(0.0)
    assert slopes(tidy[tidy["resolution"] == 64], ["modality"]).empty
    assert trend(tidy[tidy["resolution"] == 64], ["modality"]).empty


def test_leaders_leave_controls_out_and_lead_by_a_positive_number(rows_with: MakeRows, style: Style) -> None:
    tidy = prepared(rows_with(method_step=-0.2))
    found = leaders(tidy, ["modality", "resolution"], style)
    faithful = found[found["metric"] == "faithfulness_correlation"]
    assert set(faithful["method"]) == {"occlusion"}
    assert faithful["separated"].all()
    assert (found["mean"] >= 0).all()
    assert "sparseness" not in set(found["metric"])
    assert set(directed(tidy, style)["metric"]) == set(found["metric"])


def test_the_order_of_the_rows_does_not_matter(rows_with: MakeRows) -> None:
    rows = rows_with(samples=6)
    shuffled = rows.sample(frac=1, random_state=1)
    for name in FRAMES:
        first, second = (getattr(evidence(one), name) for one in (rows, shuffled))
        pd.testing.assert_frame_equal(first, second)


def test_resolutions_are_matched_where_they_are_alike(rows_with: MakeRows) -> None:
    rows = rows_with()
    assert matched_resolutions(rows) == [(32, 28), (64, 64), (128, 128)]
    assert matched_resolutions(rows[rows["modality"] == "audio"]) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (lambda rows: rows.drop(columns="group"), "lack the column 'group'"),
        (lambda rows: rows.iloc[:0], "no result rows yet"),
    ],
)
def test_rows_that_are_no_results_are_refused(rows_with: MakeRows, rows: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        prepared(rows(rows_with()))
