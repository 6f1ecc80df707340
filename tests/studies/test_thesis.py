"""The thesis' figures and the notebook over a store that tiny studies filled, and over one that lacks a study."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
import torch
from helpers.tiny_data import arguments, options
from nbclient import NotebookClient

from audioxai.core import target_scores
from audioxai.studies import stored, thesis
from audioxai.studies.galleries import Gallery, objective1_galleries, objective2_galleries
from audioxai.studies.models import load_model
from audioxai.studies.objective1.comparison import load_rows
from audioxai.studies.objective1.plan import cells, paths
from audioxai.studies.stored import Folders, objective1_config_in, objective1_repeats, objective2_config_in
from audioxai.studies.thesis import PROFILES, ThesisConfig, make_pages
from audioxai.utils.commands import run_command
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOK = PROJECT / "notebooks" / "results_analysis.ipynb"
FIGURES = "scripts/generate_thesis_figures.py"
STUDY1 = {
    "image_resolutions": [28],
    "image_epochs": [1],
    "audio_epochs": [1],
    "methods": "[integrated_gradients, saliency, random]",
    "metrics": "[faithfulness_correlation, sparseness]",
    "threads": 1,
}
STUDY2 = (
    "--datasets=[spoken_digits]",
    "--resolution=32",
    "--epochs=1",
    "--limit=null",
    "--clips_per_seed=4",
    "--ground_truth_per_seed=3",
    "--ground_truth=[sequences]",
    "--adaptations=[plain, silence, expected, energy, random]",
    "--gradients=[8]",
    "--ground_truth_gradients=8",
    "--references=4",
    "--curve_steps=3",
    "--faithfulness_runs=4",
    "--faithfulness_patches=[8]",
    "--device=cpu",
    "--threads=1",
)


@pytest.fixture(scope="module")
def filled(data_folder, tmp_path_factory, script) -> Iterator[Folders]:
    """A store with both studies, Objective 1 scored under two metric seeds."""
    folder = tmp_path_factory.mktemp("filled")
    folders = Folders(folder / "results", folder / "checkpoints")
    first = options(folders.results, folders.checkpoints, **STUDY1)
    second = [*STUDY2, f"--results={folders.results}", f"--checkpoints={folders.checkpoints}"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        for path in ("mnist_explanations", "audiomnist_explanations", "compute_metrics"):
            seeds = (1, 0) if path == "compute_metrics" else (0,)
            for seed in seeds:
                options_of_run = arguments(first | {"metric_seed": seed})
                assert run_command(script(f"experiments/objective1/{path}.py").main, options_of_run) == 0
        for path in ("audio_adapted_ig", "evaluate_adaptations"):
            assert run_command(script(f"experiments/objective2/{path}.py").main, second) == 0
        yield folders


def only_objective1(folders: Folders, place: Path) -> Folders:
    """The same results, as they are after ``make demo``."""
    made = replace(folders, results=place / "results")
    for name in ("attributions", "metrics"):
        (made.results / name).mkdir(parents=True)
        (made.results / name / "objective1").symlink_to(folders.results / name / "objective1")
    (made.results / "configs").mkdir()
    saved = folders.results / "configs" / "objective1-quick.yaml"
    (made.results / "configs" / saved.name).write_bytes(saved.read_bytes())
    return made


def test_the_script_fills_every_page_of_both_objectives(filled, data, script, capsys, tmp_path) -> None:
    given = [f"--results={filled.results}", f"--checkpoints={filled.checkpoints}", f"--output={tmp_path}", "--clips=1"]
    assert run_command(script(FIGURES).main, given) == 0
    told = capsys.readouterr().out
    assert "left out" not in told
    assert f"{len(list(tmp_path.iterdir()))} files in {tmp_path}" in told
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"o1_overlay_audio_1.pdf", "o1_overlay_audio_1_column.png", "o1_metric_noise.tex", "o2_scores.csv"}
    assert names >= {"o2_curves_two_removals.pdf", "o2_ground_truth.png", "o2_overlay_1.pdf", "thesis.tex"}
    caption = (tmp_path / "o1_cost.caption.txt").read_text(encoding="utf-8")
    assert "spoken_digits (STAND-IN for audio_mnist)" in caption
    assert '--methods \'["integrated_gradients", "saliency", "random"]\'' in caption


def test_what_the_store_lacks_is_told_with_its_command(filled, data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(thesis, "write_pages", lambda pages, folder: [folder / page.name for page in pages])
    there = only_objective1(filled, tmp_path)
    config = ThesisConfig(
        results=str(there.results), checkpoints=str(there.checkpoints), output=str(tmp_path / "pages"), clips=1
    )
    made = make_pages(config)
    assert {path.name[:2] for path in made.written} == {"o1"}
    (line,) = made.left_out
    assert line.startswith("Objective 2 is left out")
    assert line.endswith("holds no Objective 2; run python experiments/objective2/audio_adapted_ig.py")


def test_an_empty_store_is_refused_with_both_commands(tmp_path, script, capsys) -> None:
    assert run_command(script(FIGURES).main, [f"--results={tmp_path}", "--profile=standard"]) == 2
    error = capsys.readouterr().err
    assert "no Objective 1 of profile standard; run python scripts/run_demo.py --profile standard" in error
    assert "run python experiments/objective2/audio_adapted_ig.py --profile standard" in error


def test_scores_that_are_missing_are_told(filled, data, tmp_path) -> None:
    config = objective2_config_in(filled)
    with pytest.raises(UserError, match=r"has not been scored in profile quick; run .*evaluate_adaptations.py"):
        stored.objective2_rows(replace(config, curve_steps=4))


def test_the_options_of_a_run_are_found_again(filled, data) -> None:
    config = objective1_config_in(filled)
    assert (config.methods, config.metric_seed) == (("integrated_gradients", "saliency", "random"), 0)
    assert objective2_config_in(filled).gradients == (8,)
    assert Path(config.results) == filled.results


def test_repeats_are_the_scores_under_every_metric_seed(filled, data) -> None:
    config = objective1_config_in(filled)
    repeats, rows = objective1_repeats(config), load_rows(config)
    by_seed = {seed: own.drop(columns="seed").reset_index(drop=True) for seed, own in repeats.groupby("seed")}
    assert set(by_seed) == {0, 1}
    pd.testing.assert_frame_equal(by_seed[0], rows.drop(columns="seed"))
    changed = by_seed[0]["score"] != by_seed[1]["score"]
    assert set(rows.loc[changed, "metric"]) == {"faithfulness_correlation"}


def test_the_largest_profile_is_taken_unless_one_is_named(filled, tmp_path) -> None:
    there = only_objective1(filled, tmp_path)
    quick = there.results / "configs" / "objective1-quick.yaml"
    larger = quick.read_text(encoding="utf-8").replace("profile: quick", "profile: standard")
    quick.with_name("objective1-standard.yaml").write_text(larger, encoding="utf-8")
    assert objective1_config_in(there).profile == "standard"
    assert objective1_config_in(replace(there, profile="quick")).profile == "quick"


def first_gallery(folders: Folders) -> Gallery:
    return next(iter(objective1_galleries(objective1_config_in(folders)).values()))()


def test_galleries_tell_change_and_gap_of_complete_maps(filled, data) -> None:
    config = objective1_config_in(filled)
    gallery, cell = first_gallery(filled), cells(config, "audio")[0]
    model, _ = load_model(paths(config, cell).weights, cell.wanted, torch.device("cpu"))
    inputs = gallery.inputs[1:2]
    targets = model.body(inputs).argmax(1)
    with torch.no_grad():
        absent = target_scores(model.body, cell.baseline(inputs), targets)
        change = target_scores(model.body, inputs, targets) - absent
    total = float(gallery.maps["integrated_gradients"][1].double().sum())
    torch.testing.assert_close(gallery.changes["integrated_gradients"][1:2], change, rtol=1e-5, atol=1e-6)
    note = gallery.overlay(1).notes["integrated_gradients"]
    assert f"gap {100 * abs(total - float(change)) / abs(float(change)):.1f} %" in note
    assert set(gallery.overlay(1).notes) == {"integrated_gradients"}


def test_galleries_play_the_recordings_that_were_explained(filled, data) -> None:
    gallery = first_gallery(filled)
    assert gallery.waveforms is not None
    domain = gallery.domain
    torch.testing.assert_close(domain.analysis(gallery.waveforms()), gallery.inputs, rtol=1e-4, atol=1e-2)
    heard = gallery.heard(0, "saliency")
    assert heard.sounds.kept.shape == (1, 1, heard.sample_rate_hz)
    with pytest.raises(UserError, match="choose among integrated_gradients"):
        gallery.heard(0, "none")
    with pytest.raises(UserError, match="sample is 4 but"):
        gallery.overlay(4)


def test_images_cannot_be_played(filled, data) -> None:
    images = list(objective1_galleries(objective1_config_in(filled)).values())[-1]()
    with pytest.raises(UserError, match="choose recordings"):
        images.heard(0, "saliency")


def test_galleries_of_adaptations_keep_every_baseline_s_own_change(filled, data) -> None:
    opened = objective2_galleries(objective2_config_in(filled))
    assert [name.split(" ")[3] for name in opened] == ["clips", "sequences"]
    assert all("STAND-IN for audio_mnist" in name for name in opened)
    gallery = next(iter(opened.values()))()
    assert set(gallery.changes) == {"plain", "silence", "expected"}
    assert not torch.equal(gallery.changes["plain"], gallery.changes["silence"])


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_name_themselves(profile: str) -> None:
    assert parse(ThesisConfig, PROFILES, "", (), ["--profile", profile]).profile == profile


def test_a_page_without_samples_is_refused() -> None:
    with pytest.raises(UserError, match="clips is 0"):
        ThesisConfig(clips=0)


def run_notebook(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook with its outputs; raises where a cell does."""
    monkeypatch.setenv("AUDIO_XAI_RESULTS", str(folders.results))
    monkeypatch.setenv("AUDIO_XAI_CHECKPOINTS", str(folders.checkpoints))
    notebook = nbformat.read(NOTEBOOK, 4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_the_notebook_runs_from_top_to_bottom(filled, data, monkeypatch) -> None:
    made = outputs(run_notebook(filled, monkeypatch))
    assert not [one for one in made if one.output_type == "error" or one.get("name") == "stderr"]
    shown = [one.data for one in made if "data" in one]
    assert sum("image/png" in data for data in shown) >= 8
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 3
    assert sum("<table" in data.get("text/html", "") for data in shown) >= 4
    assert not any("Not here yet" in data.get("text/markdown", "") for data in shown)


def test_the_notebook_runs_on_a_fresh_demo(filled, data, monkeypatch, tmp_path) -> None:
    made = outputs(run_notebook(only_objective1(filled, tmp_path), monkeypatch))
    shown = [one.data for one in made if "data" in one]
    told = [data["text/markdown"] for data in shown if "Not here yet" in data.get("text/markdown", "")]
    assert len(told) == 1
    assert "audio_adapted_ig.py" in told[0]
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 3


def test_notebook_and_text_are_in_step_and_hold_no_outputs() -> None:
    notebook, text = jupytext.read(NOTEBOOK), jupytext.read(NOTEBOOK.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in text.cells
    ]
    assert notebook.metadata["kernelspec"] == text.metadata["kernelspec"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
