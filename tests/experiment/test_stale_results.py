"""Scores of another revision, of other weights or of other recordings are never served."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.tiny_studies import METHODS, METRICS, files_in, options_in, study_of

from audioxai.experiment import Plan, results_of, run
from audioxai.experiment.models import forget
from audioxai.experiment.runner import _ensured
from audioxai.metrics import METRICS as ALL_METRICS
from audioxai.models import checkpoints
from audioxai.results import ResultSet, manifest_path, write_manifest
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS as ALL_METHODS


@pytest.fixture
def plan(sounds_folder: Path, base: Path, tmp_path: Path) -> Plan:
    """A finished run of the tiny study on a copy of the recordings."""
    shutil.copytree(base, tmp_path / "run")
    return planned(tmp_path / "run")


@pytest.fixture(scope="module")
def base(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stale")
    shutil.copytree(sounds_folder, folder / "sounds")
    run(planned(folder))
    return folder


def planned(folder: Path) -> Plan:
    """The plan as a new process would make it."""
    forget()
    _ensured.cache_clear()
    return Plan(study_of(folder / "sounds"), options_in(folder, threads=1))


def raised(registry: Any, name: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The entry of another revision."""
    entry = registry[name]
    monkeypatch.setitem(registry._entries, name, replace(entry, revision=entry.revision + 1, **changes))


def shards(plan: Plan, pattern: str = "*") -> set[Path]:
    """Shards of scores and of attributions."""
    found = files_in(plan.options.results / "metrics" / "sounds", plan.options.results / "attributions")
    return {path for path in found if path.match(pattern)}


def test_a_metric_of_another_revision_is_computed_anew(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rows = shards(plan), results_of(plan).rows
    entry = ALL_METRICS["sparseness"]
    make = entry.make

    class Doubled(make):  # type: ignore[misc,valid-type]
        """Another formula."""

        def scoring(self, *arguments: Any) -> Any:
            return 2.0 * (yield from super().scoring(*arguments))

    raised(ALL_METRICS, "sparseness", monkeypatch, make=Doubled)
    with pytest.raises(UserError, match="not there yet"):
        results_of(plan)
    half = ResultSet.open(plan.options.results, "sounds")
    assert half.missing == len(METHODS)
    assert "sparseness" not in set(half.rows["metric"])
    run(plan)
    added = shards(plan) - before
    assert len(added) == len(METHODS)
    assert all("-sparseness-" in path.name for path in added)
    assert before < shards(plan)
    found = results_of(plan).rows
    keys = ["method", "metric", "sample"]
    old, new = (frame.set_index(keys)["score"].sort_index() for frame in (rows, found))
    factor = new.index.get_level_values("metric").map({"sparseness": 2.0}.get).to_series(index=new.index).fillna(1.0)
    pd.testing.assert_series_equal(new, old * factor, check_names=False)


def test_the_same_formula_of_the_same_revision_is_not_computed_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ALL_METRICS._entries, "mprt", replace(ALL_METRICS["mprt"], label="Another label"))
    before = shards(plan)
    run(plan)
    assert shards(plan) == before
    assert results_of(plan).metrics["mprt"].label == "Another label"


def test_a_method_of_another_revision_is_explained_and_scored_anew(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shards(plan)
    raised(ALL_METHODS, "saliency", monkeypatch)
    run(plan)
    added = shards(plan) - before
    assert len(added) == 1 + len(METRICS)
    assert all(path.name.startswith("saliency-") for path in added)
    assert results_of(plan).methods["saliency"].revision == ALL_METHODS["saliency"].revision
    assert len(results_of(plan).rows) == 3 * len(METHODS) * len(METRICS)


@pytest.mark.parametrize(("kind", "name"), [("methods", "saliency"), ("metrics", "sparseness")])
def test_a_manifest_of_another_revision_than_its_shards_is_refused(kind: str, name: str, plan: Plan) -> None:
    path = manifest_path(plan.options.results, "sounds", "quick")
    content = json.loads(path.read_text(encoding="utf-8"))
    next(entry for entry in content[kind] if entry["name"] == name)["revision"] += 1
    write_manifest(plan.options.results, content)
    with pytest.raises(UserError, match=rf"revision 1 of {kind[:-1]} {name} .* revision 2"):
        ResultSet.open(plan.options.results, "sounds")


def test_a_shard_in_the_place_of_another_revision_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied to the name that scores of the new revision would have."""
    old = next(iter(shards(plan, "saliency-*-sparseness-*")))
    raised(ALL_METRICS, "sparseness", monkeypatch)
    run(plan)
    new = next(iter(shards(plan, "saliency-*-sparseness-*") - {old}))
    shutil.copyfile(old, new)
    with pytest.raises(UserError, match=f"{new.name} was written as .*{old.name}"):
        results_of(plan)


def test_weights_that_changed_on_disk_are_refused(plan: Plan) -> None:
    weights = plan.place(plan.cells[0]).weights
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    again = planned(plan.options.results.parent)
    for action in (run, results_of, lambda one: run(one, "score")):
        with pytest.raises(UserError, match=f"{weights.name} is not the file its card describes"):
            action(again)


def test_other_weights_of_the_same_model_are_explained_anew(plan: Plan) -> None:
    """As when the model was trained again, by other software, to other weights."""
    before = shards(plan)
    weights = plan.place(plan.cells[0]).weights
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    card = checkpoints.read_card(weights)
    checkpoints.save_card(weights, replace(card, weights_sha256=checkpoints.file_sha256(weights)))
    again = planned(plan.options.results.parent)
    run(again)
    assert len(shards(again)) == 2 * len(before)
    assert set(results_of(again).rows["checkpoint"]) == {checkpoints.file_sha256(weights)}


def test_another_recording_makes_another_model_and_all_scores_anew(plan: Plan) -> None:
    folder = plan.options.results.parent
    old, before = results_of(plan), shards(plan)
    recording = folder / "sounds" / "bell" / "00.wav"
    content = bytearray(recording.read_bytes())
    content[-1] ^= 1
    recording.write_bytes(content)
    again = planned(folder)
    with pytest.raises(UserError, match="no model of study sounds is trained yet"):
        results_of(again)
    run(again)
    assert len(shards(again)) == 2 * len(before)
    assert len(list(again.options.checkpoints.glob("*.safetensors"))) == 2
    assert results_of(again).models[0]["data_fingerprint"] != old.models[0]["data_fingerprint"]


def test_a_renamed_folder_of_the_same_recordings_is_the_same_data(plan: Plan, tmp_path: Path) -> None:
    before, folder = shards(plan), plan.options.results.parent
    moved = tmp_path / "elsewhere" / "sounds"
    moved.parent.mkdir()
    (folder / "sounds").rename(moved)
    forget()
    again = Plan(study_of(moved), plan.options)
    run(again)
    assert shards(again) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content | {"format": 2}, "format 2"),
        (lambda content: {key: value for key, value in content.items() if key != "format"}, "format None"),
    ],
)
def test_results_of_another_format_are_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], words: str, plan: Plan
) -> None:
    path = manifest_path(plan.options.results, "sounds", "quick")
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        ResultSet.open(plan.options.results, "sounds")


def test_a_checkpoint_of_a_newer_format_is_refused(plan: Plan) -> None:
    path = checkpoints.card_path(plan.place(plan.cells[0]).weights)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"format": content["format"] + 1}), encoding="utf-8")
    with pytest.raises(UserError, match="newer"):
        run(planned(plan.options.results.parent))
