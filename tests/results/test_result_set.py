"""Stored results describe themselves: read from a copied folder without data, models or checkpoints."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.tiny_studies import METHODS, METRICS, options_in, study_of

from audioxai.core import configuration_of
from audioxai.domains import LogMel, Pixels, Stft, Waveform, domain_from
from audioxai.experiment import Plan, results_of, run
from audioxai.experiment.models import forget
from audioxai.metrics import METRICS as ALL_METRICS
from audioxai.results import Results, ResultSet, manifest_path, write_manifest
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS as ALL_METHODS


@pytest.fixture(scope="module")
def made(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ResultSet]:
    """Folder of a finished run on a copy of the recordings, and its results."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(sounds_folder, folder / "sounds")
    forget()
    plan = Plan(study_of(folder / "sounds", context={"command": "a command"}), options_in(folder, threads=1))
    run(plan)
    return folder, results_of(plan)


@pytest.fixture
def copy(made: tuple[Path, ResultSet], tmp_path: Path) -> Path:
    """A copied results folder."""
    shutil.copytree(made[0] / "results", tmp_path / "copied")
    return tmp_path / "copied"


def test_a_copied_folder_without_data_and_checkpoints_gives_everything(
    made: tuple[Path, ResultSet], copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = made
    away = tmp_path / "away"
    folder.rename(away)
    monkeypatch.setenv("AUDIO_XAI_DATA", "")
    monkeypatch.chdir(copy)
    forget()
    try:
        there = ResultSet.open(copy, "sounds")
        pd.testing.assert_frame_equal(there.rows, here.rows, check_exact=True)
        for name in ("study", "title", "question", "profile", "models", "context", "missing"):
            assert getattr(there, name) == getattr(here, name)
        assert [entry.facts() for entry in there.methods.values()] == [entry.facts() for entry in here.methods.values()]
        assert [entry.facts() for entry in there.metrics.values()] == [entry.facts() for entry in here.metrics.values()]
        (cell,) = there.cells
        inputs = cell.inputs()
        assert inputs["inputs"].shape == (3, 1, 32, 24)
        assert inputs["waveforms"].shape == (3, 1, 2000)
        assert torch.equal(inputs["targets"], inputs["predictions"])
        for method in METHODS:
            assert cell.attributions(method).values.shape == (3, 1, 32, 24)
    finally:
        away.rename(folder)
    (cell_here,) = here.cells
    assert (cell.ids, cell.groups, cell.budgets) == (cell_here.ids, cell_here.groups, cell_here.budgets)
    assert {name: tensor.tolist() for name, tensor in inputs.items()} == {
        name: tensor.tolist() for name, tensor in cell_here.inputs().items()
    }
    for method in METHODS:
        one, other = cell.attributions(method), cell_here.attributions(method)
        assert torch.equal(one.values, other.values)
        assert (one.domain, one.passes, one.seconds) == (other.domain, other.passes, other.seconds)


def test_facts_are_those_of_the_registry(made: tuple[Path, ResultSet]) -> None:
    _, results = made
    assert list(results.methods) == list(METHODS)
    assert list(results.metrics) == list(METRICS)
    assert all(results.methods[name].facts() == ALL_METHODS[name].facts() for name in METHODS)
    assert all(results.metrics[name].facts() == ALL_METRICS[name].facts() for name in METRICS)
    with pytest.raises(UserError, match="registry"):
        results.methods["saliency"].make()
    assert results.metrics["sparseness"].higher_is_better is True
    assert results.methods["random"].role == "control"


def test_the_cell_and_the_card_say_what_was_explained(made: tuple[Path, ResultSet]) -> None:
    folder, results = made
    (cell,) = results.cells
    assert cell.domain == LogMel(8000, 0.25, bands=32, frames=24)
    assert (cell.material, cell.modality, cell.dataset, cell.model) == ("clips", "audio", "sounds", "small_cnn")
    assert (cell.resolution, cell.training_seed, cell.sample_rate_hz) == (32, 0, 8000)
    assert cell.class_names == ("bell", "crow", "rain", "train")
    assert cell.group_name is None
    assert cell.groups == (None, None, None)
    assert cell.budgets == {"saliency": (0,), "silence": (8,), "random": (0,)}
    (card,) = results.models
    assert set(card["accuracy"]) == set(card["samples"]) == {"train", "validation", "test"}
    assert sum(card["samples"].values()) == 40
    assert card["data"]["root"] == str(folder / "sounds")
    assert card["data"]["name"] == "sounds"
    assert results.context["command"] == "a command"
    assert {"commit", "version", "profile"} <= set(results.context)


def test_attributions_that_are_complete_state_the_change_that_they_add_up_to(made: tuple[Path, ResultSet]) -> None:
    (cell,) = made[1].cells
    silence, saliency = cell.attributions("silence", 8), cell.attributions("saliency")
    assert silence.change is not None
    assert silence.change.shape == (3,)
    assert saliency.change is None
    assert silence.passes == 8
    with pytest.raises(UserError, match=r"method 'silence' with 99 gradients; there are .*silence \(8\)"):
        cell.attributions("silence", 99)
    with pytest.raises(UserError, match="'occlusion'"):
        cell.attributions("occlusion")
    assert cell.curves("silence") is None


def test_a_folder_lists_its_studies_and_profiles(copy: Path) -> None:
    manifest = manifest_path(copy, "sounds", "quick")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    for study, profile in (("sounds", "full"), ("sounds", "mine"), ("other-study", "quick")):
        write_manifest(copy, content | {"study": study, "profile": profile})
    results = Results.open(copy)
    assert results.studies == [("other-study", "quick"), ("sounds", "full"), ("sounds", "quick"), ("sounds", "mine")]
    assert "sounds" in results
    assert "song" not in results
    assert results["sounds"].profile == "full"
    assert results["sounds", "mine"].profile == "mine"
    assert "other-study (quick)" in repr(results)
    for wanted in ("song", ("sounds", "huge")):
        with pytest.raises(UserError, match=r"holds no results of .*sounds \(full\)"):
            results[wanted]


def test_folders_without_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        Results.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nothing"):
        Results.open(tmp_path)["sounds"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"'])
def test_damaged_manifests_are_named(content: bytes, copy: Path) -> None:
    path = manifest_path(copy, "sounds", "quick")
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path.name} are not .*delete"):
        ResultSet.open(copy, "sounds")


def test_a_manifest_that_was_changed_anywhere_is_refused(copy: Path) -> None:
    path = manifest_path(copy, "sounds", "quick")
    content = json.loads(path.read_text(encoding="utf-8"))
    first = content["cells"][0]
    changed = [
        *({key: value for key, value in content.items() if key != field} for field in ("shards", "title", "cells")),
        content | {"cells": [{key: value for key, value in first.items() if key != "domain"}]},
        content | {"methods": [entry | {"revision": entry["revision"] + 1} for entry in content["methods"]]},
        content | {"shards": content["shards"][1:]},
    ]
    for one in changed:
        path.write_text(json.dumps(one), encoding="utf-8")
        with pytest.raises(UserError, match=rf"{path.name} are damaged"):
            ResultSet.open(copy, "sounds")


def test_damaged_shards_are_named(copy: Path) -> None:
    shard = next((copy / "metrics" / "sounds").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(UserError, match=f"{shard.name} is unreadable"):
        ResultSet.open(copy, "sounds")


def test_missing_shards_are_counted(copy: Path) -> None:
    shards = list((copy / "metrics" / "sounds").rglob("*.parquet"))
    for shard in shards[:2]:
        shard.unlink()
    results = ResultSet.open(copy, "sounds")
    assert results.missing == 2
    assert len(results.rows) == 3 * (len(shards) - 2)


def test_domains_are_read_back() -> None:
    for domain in (LogMel(8000, 0.25, bands=32, frames=24), Pixels(28, 28), Waveform(8000, 1.0), Stft(8000, 1.0)):
        assert domain_from(json.loads(json.dumps(configuration_of(domain)))) == domain
    with pytest.raises(UserError, match="'Wavelet'"):
        domain_from({"name": "Wavelet"})
