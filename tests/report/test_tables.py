import json
import math

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_rows import MakeRows
from scipy import stats

from audioxai.report.tables import (
    Evidence,
    gather,
    matched_resolutions,
    method_by_metric,
    model_accuracies,
    prepared,
    records,
)
from audioxai.utils.errors import UserError

Directions = dict[str, bool | None]


@pytest.fixture(scope="module")
def rows(rows_with: MakeRows) -> pd.DataFrame:
    rows = rows_with(audio_shift=-0.2, slope=0.05, samples=20)
    rows.loc[[3, 50, 51], "score"] = np.nan
    return rows


@pytest.fixture(scope="module")
def evidence(rows: pd.DataFrame, cards: list[dict[str, object]], directions: Directions) -> Evidence:
    return gather(rows, cards, directions)


def cell(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_means_are_pandas_means(rows: pd.DataFrame, evidence: Evidence) -> None:
    keys = ["modality", "resolution", "method", "metric"]
    expected = rows.groupby(keys)["score"].agg(["mean", "count"])
    found = evidence.cells.set_index(keys).loc[expected.index]
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12)
    assert (found["n"] == expected["count"]).all()
    assert (found["n"] + found["undefined"] == 40).all()
    assert evidence.cells["undefined"].sum() == 3


def test_clusters_are_speakers_for_audio_and_samples_for_images(evidence: Evidence) -> None:
    assert set(evidence.cells.query("modality == 'audio'")["clusters"]) == {10}
    assert set(evidence.cells.query("modality == 'image'")["clusters"]) == {20}


def test_differences_pair_the_smallest_with_the_smallest(rows: pd.DataFrame, evidence: Evidence) -> None:
    assert matched_resolutions(prepared(rows)) == [(32, 28), (64, 64), (128, 128)]
    means = evidence.cells.set_index(["modality", "resolution", "method", "metric"])["mean"]
    for row in evidence.differences.to_dict("records"):
        what = (row["method"], row["metric"])
        expected = means["audio", row["audio_resolution"], *what] - means["image", row["image_resolution"], *what]
        assert row["mean"] == pytest.approx(expected)


def test_direction_decides_who_is_better(evidence: Evidence, directions: Directions) -> None:
    faithful = evidence.differences.query("metric == 'faithfulness_correlation'")
    assert set(faithful["better"]) == {"image"}
    assert evidence.differences.query("metric == 'sparseness'")["better"].isna().all()


def test_lower_is_better_turns_the_verdict_round(
    rows_with: MakeRows, cards: list[dict[str, object]], directions: Directions
) -> None:
    turned = {**directions, "faithfulness_correlation": False}
    evidence = gather(rows_with(audio_shift=-0.2, method_step=0.2, samples=20), cards, turned)
    faithful = evidence.differences.query("metric == 'faithfulness_correlation'")
    assert set(faithful["better"]) == {"audio"}
    assert set(evidence.contrasts.query("metric == 'faithfulness_correlation'")["verdict"]) == {"worse"}
    assert set(evidence.leaders.query("metric == 'faithfulness_correlation'")["method"]) == {"occlusion"}


def test_trends_recover_the_slope(evidence: Evidence) -> None:
    faithful = evidence.trends.query("metric == 'faithfulness_correlation'")
    audio = faithful[faithful["scope"] == "audio"]
    assert audio["mean"].to_numpy() == pytest.approx(0.05, abs=0.04)
    between = cell(faithful, scope="audio − image", method="saliency")
    one, other = (cell(faithful, scope=scope, method="saliency")["mean"] for scope in ("audio", "image"))
    assert between["mean"] == pytest.approx(one - other)


def test_trends_are_students_over_the_speakers_slopes_and_welchs_between_modalities(
    rows: pd.DataFrame, evidence: Evidence
) -> None:
    chosen = rows.query("method == 'occlusion' and metric == 'mprt'")
    audio, image = (
        own.pivot_table(index=unit, columns="resolution", values="score").apply(
            lambda scores: stats.linregress(np.log2(scores.index), scores).slope, axis=1
        )
        for modality, unit in (("audio", "speaker"), ("image", "sample"))
        for own in [chosen[chosen["modality"] == modality]]
    )
    alone = stats.ttest_1samp(audio, 0).confidence_interval()
    between = stats.ttest_ind(audio, image, equal_var=False).confidence_interval()
    for scope, ends in (("audio", alone), ("audio − image", between)):
        found = cell(evidence.trends, scope=scope, method="occlusion", metric="mprt")
        assert (found["low"], found["high"]) == pytest.approx((ends.low, ends.high))


def test_contrast_with_the_control_is_paired(rows: pd.DataFrame, evidence: Evidence) -> None:
    where = "modality == 'image' and resolution == 64 and metric == 'mprt'"
    grid = rows.query(where).pivot_table(index=["sample", "training_seed"], columns="method", values="score")
    # Every image has both training seeds, so weighing scores alike is weighing images alike: the paired t-test of them.
    by_sample = grid.groupby(level="sample").mean()
    expected = stats.ttest_rel(by_sample["occlusion"], by_sample["random"])
    ends = expected.confidence_interval()
    found = cell(evidence.contrasts, modality="image", resolution=64, metric="mprt", method="occlusion")
    mean = (by_sample["occlusion"] - by_sample["random"]).mean()
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((mean, ends.low, ends.high))


def test_intervals_of_means_are_students_over_the_speakers(rows: pd.DataFrame, evidence: Evidence) -> None:
    where = "modality == 'audio' and resolution == 64 and method == 'occlusion' and metric == 'mprt'"
    by_speaker = rows.query(where).groupby("speaker")["score"].mean()
    expected = stats.ttest_1samp(by_speaker, 0).confidence_interval()
    found = cell(evidence.cells, modality="audio", resolution=64, metric="mprt", method="occlusion")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_modalities_are_compared_by_welchs_test(rows: pd.DataFrame, evidence: Evidence) -> None:
    chosen = rows.query("resolution == 64 and method == 'occlusion' and metric == 'mprt'")
    audio = chosen.query("modality == 'audio'").groupby("speaker")["score"].mean()
    image = chosen.query("modality == 'image'").groupby("sample")["score"].mean()
    expected = stats.ttest_ind(audio, image, equal_var=False).confidence_interval()
    found = cell(evidence.differences, audio_resolution=64, method="occlusion", metric="mprt")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_the_leader_is_the_method_put_first(evidence: Evidence) -> None:
    found = cell(evidence.leaders, modality="audio", resolution=64, metric="faithfulness_correlation")
    assert (found["method"], found["second"]) == ("saliency", "input_x_gradient")
    assert found["mean"] == pytest.approx(found["score"] - found["second_score"])
    assert "random" not in set(evidence.leaders["method"])


def test_row_order_changes_nothing(
    rows: pd.DataFrame, evidence: Evidence, cards: list[dict[str, object]], directions: Directions
) -> None:
    again = gather(rows.sample(frac=1, random_state=1), list(reversed(cards)), directions)
    for name, table in vars(evidence).items():
        pd.testing.assert_frame_equal(table, getattr(again, name), check_exact=True)


def test_categorical_columns_do_as_well(rows: pd.DataFrame, directions: Directions) -> None:
    small = rows.query("metric == 'mprt'")
    kinds = dict.fromkeys(("modality", "method", "metric", "speaker", "sample"), "category")
    pd.testing.assert_frame_equal(
        gather(small, [], directions).cells, gather(small.astype(kinds), [], directions).cells
    )


def test_records_round_trip_through_json(evidence: Evidence) -> None:
    for table in vars(evidence).values():
        plain = records(table)
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert list(plain[0]) == list(table.columns)
    again = pd.DataFrame(records(evidence.cells))
    np.testing.assert_allclose(again["low"], evidence.cells["low"], atol=1e-12)


def test_nan_becomes_null(rows: pd.DataFrame, directions: Directions) -> None:
    lonely = rows.query("modality == 'audio' and speaker == 's00' and metric == 'mprt'")
    found = records(gather(lonely, [], directions).cells)
    assert all(record["low"] is None and record["mean"] is not None for record in found)


def test_markdown_shows_every_method_in_order(evidence: Evidence) -> None:
    table = evidence.cells.query("modality == 'audio' and resolution == 64")
    lines = method_by_metric(table, {"mprt": "MPRT ↓"}).splitlines()
    assert lines[0] == "| Method | MPRT ↓ |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| Saliency",
        "| Input × gradient",
        "| Integrated Gradients",
        "| Guided Grad-CAM",
        "| DeepLift",
        "| Occlusion",
        "| Random (control)",
    ]
    mean = cell(table, method="saliency", metric="mprt")["mean"]
    assert f"{mean:.3f} [" in lines[2]


def test_models_are_sorted(cards: list[dict[str, object]]) -> None:
    table = model_accuracies(cards)
    assert table["resolution"].tolist() == [32, 32, 64, 64, 128, 128, 28, 28, 64, 64, 128, 128]
    assert model_accuracies([]).empty


def test_one_modality_or_one_method_leaves_tables_empty(rows: pd.DataFrame, directions: Directions) -> None:
    alone = gather(rows.query("modality == 'audio' and method == 'saliency' and resolution == 64"), [], directions)
    assert len(alone.cells) == 5
    for table in (alone.differences, alone.trends, alone.contrasts, alone.leaders, alone.models):
        assert table.empty


def test_a_wholly_undefined_method_is_reported_and_never_leads(rows: pd.DataFrame, directions: Directions) -> None:
    broken = rows.assign(score=rows["score"].where(rows["method"] != "guided_grad_cam"))
    evidence = gather(broken.query("metric == 'mprt'"), [], directions)
    found = evidence.cells.query("method == 'guided_grad_cam'")
    assert found["mean"].isna().all()
    assert set(found["undefined"]) == {40}
    assert all(not math.isnan(score) for score in evidence.leaders["score"])
    assert "guided_grad_cam" not in {*evidence.leaders["method"], *evidence.leaders["second"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="speaker"), "speaker"),
        (lambda rows: rows.iloc[:0], "no result rows"),
        (lambda rows: rows.assign(modality="video"), "video"),
        (lambda rows: rows.assign(model=["a", "b"] * (len(rows) // 2)), "mix the models"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(
    rows: pd.DataFrame, directions: Directions, change: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        gather(change(rows), [], directions)


def test_incomplete_card_is_refused() -> None:
    with pytest.raises(UserError, match="accuracy"):
        model_accuracies([{"dataset": "mnist", "architecture": "a", "resolution": 28, "seed": 0}])
