"""Running a study: every sample scored once, the same numbers however it was run, nothing done twice, damage named."""

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.tiny_studies import METHODS, METRICS, files_in, model_of, options_in, sorted_rows, study_of

from audioxai.datasets import AudioFolder
from audioxai.experiment import Cell, DataSpec, MetricSpec, Plan, RunOptions, Study, results_of, run, run_study
from audioxai.experiment.materials import MATERIALS, UNMASKED
from audioxai.experiment.plan import MethodUse, baseline_of
from audioxai.experiment.runner import _ensured, _Work
from audioxai.experiment.study import cue_design
from audioxai.models import checkpoints
from audioxai.results import ROW_COLUMNS, ResultSet, load_tensors
from audioxai.results import store as store_module
from audioxai.studies import command
from audioxai.utils import files
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

GROUND_TRUTH = tuple(name for name in MATERIALS if name not in UNMASKED)


def whole_study(folder: Path, **changes: Any) -> Study:
    """Clips under two budgets and all ground truth, removals and gaps included."""
    model = model_of(folder)
    cued = model_of(folder, data=DataSpec(AudioFolder(folder), cues=cue_design(0.25)))
    declared: dict[str, Any] = {
        "cells": (
            Cell(model, 0, 3, gradients=(8, 12)),
            *(Cell(cued if material == "cues" else model, 0, 2, material, (8,)) for material in GROUND_TRUTH),
        ),
        "methods": ("silence", "pullback", "energy", "random"),
        "metrics": (
            *(MetricSpec(name) for name in ("removal_silence", "removal_noise", "removal_worst")),
            MetricSpec("faithfulness_correlation"),
            MetricSpec("faithfulness_correlation", "faithfulness_patches", {"patch": 4}, label="Patches"),
            MetricSpec("sparseness"),
            MetricSpec("relevance_rank", materials=GROUND_TRUTH),
            MetricSpec("completeness_gap", materials=("clips", *GROUND_TRUTH)),
        ),
        "settings": {"runs": 6, "steps": 3},
        "references": 6,
    }
    return study_of(folder, **(declared | changes))


@pytest.fixture(scope="module")
def finished(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = Plan(whole_study(sounds_folder), options_in(tmp_path_factory.mktemp("finished"), threads=1))
    run(plan)
    return plan


@pytest.fixture(scope="module")
def results(finished: Plan) -> ResultSet:
    return results_of(finished)


def copied(plan: Plan, folder: Path) -> Plan:
    """The same plan with a copy of its results and checkpoints."""
    options = options_in(folder, threads=1)
    shutil.copytree(plan.options.results, options.results)
    shutil.copytree(plan.options.checkpoints, options.checkpoints)
    return replace(plan, options=options)


def test_every_sample_has_one_row_per_method_budget_and_metric(results: ResultSet) -> None:
    rows = results.rows
    assert tuple(rows.columns) == ROW_COLUMNS
    keys = ["material", "method", "gradients", "metric"]
    assert (rows.groupby([*keys, "sample"]).size() == 1).all()
    clips = rows[rows["material"] == "clips"]
    assert set(clips.groupby(keys).size()) == {3}
    assert set(rows[rows["material"] != "clips"].groupby(keys).size()) == {2}
    assert set(clips["method"]) == {"silence", "pullback", "energy", "random"}
    budgets = clips[clips["metric"] == "removal_worst"].groupby("method")["gradients"].unique().map(sorted)
    assert budgets.to_dict() == {"silence": [8, 12], "pullback": [8, 12], "energy": [0], "random": [0]}
    of_body = {"faithfulness_correlation", "faithfulness_patches", "sparseness"}
    removals = {"removal_silence", "removal_noise", "removal_worst"}
    judged = clips.groupby("method")["metric"].agg(set)
    assert judged["energy"] == removals | of_body
    assert judged["silence"] == removals | of_body | {"completeness_gap"}
    assert judged["pullback"] == removals | {"completeness_gap"}
    for material in GROUND_TRUTH:
        part = rows[rows["material"] == material]
        assert set(part["metric"]) == {"relevance_rank", "completeness_gap"}
        assert set(part["method"]) == {"silence", "energy", "random"}
    assert results.missing == 0


def test_every_column_holds_what_its_name_says(results: ResultSet) -> None:
    rows = results.rows
    complete = [name for name in ROW_COLUMNS if name not in ("group", "score", "stand_in_for", "standard_error")]
    assert rows[complete].notna().all(axis=None)
    assert rows[["stand_in_for", "group"]].isna().all(axis=None)
    clips = rows[rows["material"] == "clips"]
    names = results.cells[0].class_names
    assert names == ("bell", "crow", "rain", "train")
    assert (clips["sample"].str.split("/").str[0] == clips["label"].map(dict(enumerate(names)))).all()
    assert rows["prediction"].between(0, 3).all()
    assert (rows["seconds"] > 0).all()
    drawn = {"faithfulness_correlation", "faithfulness_patches"}
    assert set(rows.loc[rows["standard_error"] > 0, "metric"]) == drawn
    assert set(rows["modality"]) == {"audio"}
    assert set(rows["dataset"]) == {"sounds"}
    assert set(rows.loc[rows["method"] == "pullback", "domain"]) == {"stft"}
    assert set(rows.loc[rows["method"] == "silence", "domain"]) == {"log_mel"}
    assert set(rows["checkpoint"]) == {model["weights_sha256"] for model in results.models}
    taken = clips[clips["method"] == "silence"].groupby("gradients")["map_passes"].unique()
    assert [list(passes) for passes in taken] == [[8], [12]]


def test_rows_hold_the_passes_that_were_planned(finished: Plan, results: ResultSet) -> None:
    planned = finished.cost()
    assert planned["done"].all()
    planned = planned[(planned["material"] == "clips") & (planned["metric"] != "removal")]
    taken = results.rows[results.rows["material"] == "clips"].groupby(["method", "gradients", "metric"])["passes"].sum()
    for row in planned.to_dict("records"):
        assert taken[row["method"], row["gradients"], row["metric"]] == row["passes"]


def test_the_worst_removal_is_the_smaller_score_of_each_clip_and_that_of_its_curves(results: ResultSet) -> None:
    rows = results.rows
    wide = rows.pivot_table(index=["method", "gradients", "sample"], columns="metric", values="score")
    smaller = wide[["removal_silence", "removal_noise"]].min(axis=1)
    pd.testing.assert_series_equal(wide["removal_worst"].dropna(), smaller.dropna(), check_names=False)
    cell = results.cells[0]
    stored = cell.curves("silence", 8)
    assert stored is not None
    curves, fractions = stored
    assert curves.shape == (3, 2, 2, 4)
    area = torch.trapezoid(curves, fractions)
    for number, name in enumerate(("removal_silence", "removal_noise")):
        scored = wide[name].loc["silence", 8].loc[list(cell.ids)]
        torch.testing.assert_close(area[:, number, 0] - area[:, number, 1], torch.tensor(scored.to_numpy()))
    assert results.cells[1].curves("silence", 8) is None


def test_stored_scores_are_those_of_the_stored_attributions(finished: Plan, results: ResultSet) -> None:
    """Scored again one by one, in another order."""
    plan, cell = finished, finished.cells[0]
    work = _Work(plan, cell)
    use = MethodUse("silence", 8)
    values = results.cells[0].attributions("silence", 8).values
    for name in ("faithfulness_correlation", "sparseness"):
        entry = MetricSpec(name).entry
        metric = entry.bind({"baseline": baseline_of(cell), "explainer": work.explainer(use), "seed": 0, "runs": 6})
        rows = results.rows.query("method == 'silence' and gradients == 8 and metric == @name and material == 'clips'")
        stored = rows.set_index("sample")["score"]
        for row in (2, 0):
            one = slice(row, row + 1)
            again = metric(work.model.body, work.body.inputs[one], work.body.targets[one], values[one])
            assert again.item() == pytest.approx(stored[results.cells[0].ids[row]], abs=2e-4)


def test_controls_behave_as_controls(sounds_folder: Path, tmp_path: Path) -> None:
    metrics = tuple(MetricSpec(name) for name in ("mprt", "random_logit", "average_sensitivity"))
    study = study_of(sounds_folder, methods=("random", "saliency"), metrics=metrics)
    scores = run_study(study, options_in(tmp_path, threads=1)).rows.set_index(["method", "metric"])["score"]
    assert scores["random", "mprt"].to_numpy() == pytest.approx(1.0)
    assert scores["random", "random_logit"].to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert scores["random", "average_sensitivity"].to_numpy() == pytest.approx(0.0)
    assert (scores["saliency", "mprt"] < 0.99).all()


def test_ground_truth_says_where_relevance_belongs(results: ResultSet) -> None:
    by_material = {cell.material: cell for cell in results.cells}
    assert set(by_material) == {"clips", *GROUND_TRUTH}
    for material, cell in by_material.items():
        inputs = cell.inputs()
        assert ("masks" in inputs) == (material != "clips")
        if material == "clips":
            assert torch.equal(inputs["targets"], inputs["predictions"])
        else:
            assert inputs["masks"].shape == inputs["inputs"].shape == (2, 1, 32, 24)
            assert bool(inputs["masks"].flatten(1).any(1).all())
            assert torch.equal(inputs["targets"], inputs["labels"])
    assert len(by_material["cues"].class_names) == 4
    cards = {model["cues"]: model for model in results.models}
    assert set(cards[True]["cue_reliance"]) == {"samples", "with_cue", "without_cue", "follows_swap", "chance"}
    assert cards[False]["cue_reliance"] is None


def test_a_second_run_does_nothing(finished: Plan, results: ResultSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Work, "explain", lambda *_: pytest.fail("explained again"))
    monkeypatch.setattr(_Work, "score", lambda *_: pytest.fail("scored again"))
    before = files_in(finished.options.results, finished.options.checkpoints)
    assert len(before) > 40
    run(finished)
    assert files_in(finished.options.results, finished.options.checkpoints) == before
    pd.testing.assert_frame_equal(results_of(finished).rows, results.rows)


def test_the_order_of_a_declaration_decides_no_number(results: ResultSet, sounds_folder: Path, tmp_path: Path) -> None:
    study = whole_study(sounds_folder)
    turned = replace(study, cells=study.cells[::-1], methods=study.methods[::-1], metrics=study.metrics[::-1])
    rows = run_study(turned, options_in(tmp_path, threads=1)).rows
    pd.testing.assert_frame_equal(sorted_rows(rows), sorted_rows(results.rows), check_exact=True)


def test_what_was_lost_is_made_again_and_is_the_same(finished: Plan, results: ResultSet, tmp_path: Path) -> None:
    plan = copied(finished, tmp_path)
    lost = (
        sorted(plan.options.results.rglob("*.parquet"))[::4]
        + sorted(plan.options.results.rglob("*-*.safetensors"))[::5]
    )
    for path in lost:
        path.unlink()
    run(plan)
    assert all(path.exists() for path in lost)
    pd.testing.assert_frame_equal(sorted_rows(results_of(plan).rows), sorted_rows(results.rows), check_exact=True)


def test_what_a_kill_may_leave_is_no_result(finished: Plan, results: ResultSet, tmp_path: Path) -> None:
    plan = copied(finished, tmp_path)
    for folder in {path.parent for path in files_in(plan.options.results)} | {plan.options.checkpoints}:
        for name in (".saliency-mprt-00000000.parquet.x.1.partial", ".inputs.safetensors.x.1.partial", ".tmpAbCdEf"):
            (folder / name).write_bytes(b"half of")
    run(plan)
    pd.testing.assert_frame_equal(results_of(plan).rows, results.rows)


def test_scores_are_refused_before_anything_is_explained(sounds_folder: Path, tmp_path: Path) -> None:
    plan = Plan(study_of(sounds_folder), options_in(tmp_path, threads=1))
    with pytest.raises(UserError, match="has not been explained"):
        run(plan, "score")
    assert not plan.options.results.exists()
    run(plan, "train")
    with pytest.raises(UserError, match="has not been explained by saliency"):
        run(plan, "score")
    with pytest.raises(UserError, match="not there yet"):
        results_of(plan)


def test_half_a_study_knows_what_is_missing(sounds_folder: Path, tmp_path: Path) -> None:
    study = study_of(sounds_folder, seeds=(0, 1))
    plan = Plan(study, options_in(tmp_path, threads=1))
    run(plan, "train", "explain", "score", cells=study.cells[:1])
    half = ResultSet.open(plan.options.results, "sounds")
    assert half.missing == len(METHODS) * len(METRICS)
    assert len(half.rows) == 3 * half.missing
    assert set(half.rows["training_seed"]) == {0}


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        ("metrics/sounds/*/*.parquet", ()),
        ("attributions/*/inputs.safetensors", ("explain", "score")),
        ("attributions/*/silence-*.safetensors", ("score",)),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_results_are_named_in_one_line(
    damage: str,
    pattern: str,
    kinds: tuple[Any, ...],
    sounds_folder: Path,
    tmp_path: Path,
    base: Plan,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = copied(base, tmp_path)
    damaged = next(plan.options.results.glob(pattern))
    damaged.write_bytes(damaged.read_bytes()[:100] if damage == "cut" else b"nothing")
    if kinds:
        for shard in (plan.options.results / "metrics" / "sounds").rglob("*.parquet"):
            shard.unlink()
    one_line(lambda: (run(plan, *kinds), results_of(plan)), capsys, f"result {damaged}", "delete it")
    assert damaged.exists()


@pytest.fixture(scope="module")
def base(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A finished run of the smallest study."""
    plan = Plan(study_of(sounds_folder), options_in(tmp_path_factory.mktemp("base"), threads=1))
    run(plan)
    return plan


def one_line(action: Callable[[], object], capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """The action ends with exit code 2 and one line on standard error that holds these words."""
    capsys.readouterr()

    def main(_: list[str]) -> None:
        action()

    assert run_command(main, []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    assert all(word in error for word in words), error


@pytest.mark.parametrize("damage", ["weights", "card", "other weights"])
def test_damaged_checkpoints_are_named_and_not_trained_over(
    damage: str, base: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = copied(base, tmp_path)
    shutil.rmtree(plan.options.results / "metrics")
    weights = plan.place(plan.cells[0]).weights
    if damage == "card":
        damaged = checkpoints.card_path(weights)
        damaged.write_text("{", encoding="utf-8")
    else:
        damaged = weights
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(b"nothing" if damage == "weights" else content)
    before = damaged.read_bytes()
    one_line(lambda: run(fresh(plan)), capsys, str(damaged))
    assert damaged.read_bytes() == before


def fresh(plan: Plan) -> Plan:
    """The plan in what is like a new process, which has no model in memory."""
    _ensured.cache_clear()
    return plan


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    base: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = copied(base, tmp_path)
    shard = next(plan.options.results.rglob("*-sparseness-*.parquet"))
    shard.unlink()

    def full(_: object, place: Path, **_options: object) -> None:
        place.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    one_line(lambda: run(plan), capsys, "no space", str(shard))
    assert {path.suffix for path in shard.parent.iterdir()} == {".parquet"}
    assert not shard.exists()


def test_results_in_the_place_of_a_file_are_one_line(
    sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")

    def act() -> None:
        run_study(study_of(sounds_folder), RunOptions(tmp_path / "file", tmp_path / "checkpoints", "cpu", 1))

    one_line(act, capsys, str(tmp_path / "file"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["file/below", "a\0b", "x" * 300, "circle", "circle/below"])
@pytest.mark.parametrize("which", ["results", "checkpoints"])
def test_folders_that_cannot_be_are_refused_before_any_work(which: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "circle").symlink_to("circle")
    changes: dict[str, Any] = {which: tmp_path / name}
    with pytest.raises(UserError, match=f"{which} is .* cannot be used"):
        replace(RunOptions(), **changes)


def test_finished_results_of_a_read_only_folder_can_be_read_and_shown(
    base: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = copied(base, tmp_path)
    before = results_of(plan).rows

    def read_only(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    command.compare(plan)
    command.report(plan)
    capsys.readouterr()
    monkeypatch.setattr(files, "replacing", read_only)
    monkeypatch.setattr(store_module, "replacing", read_only)
    command.compare(plan)
    command.report(plan)
    assert "Four sounds" in capsys.readouterr().out
    run(plan)
    pd.testing.assert_frame_equal(results_of(plan).rows, before)
    pd.testing.assert_frame_equal(ResultSet.open(plan.options.results, "sounds").rows, before)


def test_the_log_says_what_was_done(base: Plan) -> None:
    lines = (base.options.results / "logs" / "sounds.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("explained") == len(METHODS)
    assert events.count("scored") == len(METHODS) * len(METRICS)


def test_a_shard_says_what_made_it(base: Plan) -> None:
    place, cell = base.place(base.cells[0]), base.cells[0]
    task = next(task for task in base.tasks("score", cells=[cell]) if task.unit and task.unit.name == "mprt")
    assert task.method is not None
    assert task.unit is not None
    _, description = store_module.read_rows(place.scores(task.method, task.unit))
    assert description["method"]["name"] == task.method.name
    assert description["metric"]["name"] == "mprt"
    assert description["metric"]["revision"] == description["method"]["revision"] == 1
    assert description["checkpoint"] == checkpoints.file_sha256(place.weights)
    assert {"version", "commit", "settings", "data_fingerprint", "study"} <= set(description)
    _, metadata = load_tensors(place.attributions(task.method))
    assert metadata["method"]["name"] == task.method.name


def test_files_that_cannot_be_read_are_skipped_and_noted(sounds_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    shutil.copytree(sounds_folder, folder)
    (folder / "bell" / "broken.wav").write_bytes(b"RIFF")
    results = run_study(study_of(folder), options_in(tmp_path, threads=1))
    assert np.isfinite(results.rows["score"]).mean() > 0.9
    assert any("broken.wav" in one for one in results.models[0]["data"]["skipped"])
    assert "skipped files" in (tmp_path / "results" / "logs" / "sounds.jsonl").read_text(encoding="utf-8")
