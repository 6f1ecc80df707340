"""A study in YAML: from folders of sounds and fifteen lines to rows; bad input is one line and writes nothing."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile
import torch
import yaml
from helpers.tiny_studies import sorted_rows
from safetensors.torch import save_model

from audioxai import cli
from audioxai.domains import LogMel, Waveform
from audioxai.experiment import Plan, results_of, run_study
from audioxai.experiment.declared import read_study
from audioxai.experiment.models import forget
from audioxai.experiment.runner import _ensured
from audioxai.results import Results, ResultSet
from audioxai.studies import command
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

FIFTEEN_LINES = """\
name: my_sounds
data:
  folder: sounds
model:
  architecture: small_cnn
  bands: 32
  frames: 24
  epochs: 2
samples: 4
methods: [saliency, silence, energy, random]
metrics: [faithfulness_correlation, sparseness, mprt]
gradients: [8]
settings: {runs: 6}
device: cpu
threads: 1
"""
MODEL = '''
import torch
from torch import nn


class Bands(nn.Module):
    """Somebody's own model of {what}."""

    def __init__(self, classes: int = {classes}) -> None:
        super().__init__()
        self.layers = {layers}

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs)


def build() -> nn.Module:
    return Bands()
'''
OF_WAVEFORMS = (
    "nn.Sequential(nn.Conv1d(1, 4, 16, 8), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(16, classes))"
)
OF_LEVELS = (
    "nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, classes))"
)


@dataclass(frozen=True)
class Project:
    """Somebody's folder with sounds and a study."""

    folder: Path

    @property
    def study(self) -> Path:
        return self.folder / "my.yaml"

    def declare(self, **changes: Any) -> None:
        """The study with sections and keys replaced, a section's keys one by one; None removes."""
        content: dict[str, Any] = yaml.safe_load(FIFTEEN_LINES)
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(content.get(key), dict):
                merged = content[key] | value
                content[key] = {name: own for name, own in merged.items() if own is not None}
            else:
                content[key] = value
        self.study.write_text(
            yaml.safe_dump({key: value for key, value in content.items() if value is not None}), encoding="utf-8"
        )

    def run(self, *more: str) -> int:
        forget()
        _ensured.cache_clear()
        return run_command(cli.dispatch, ["run", str(self.study), *more])

    def table(self, columns: Callable[[str, int], dict[str, str]]) -> None:
        """A table of all sounds; ``columns(class, clip)`` are its cells besides the file."""
        rows = [
            {"file": f"{name}/{clip:02d}.wav", **columns(name, clip)}
            for name in ("bell", "crow", "rain", "train")
            for clip in range(10)
        ]
        with (self.folder / "sounds" / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture
def project(sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    shutil.copytree(sounds_folder, tmp_path / "project" / "sounds")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made = Project(tmp_path / "project")
    made.study.write_text(FIFTEEN_LINES, encoding="utf-8")
    return made


@pytest.fixture(autouse=True)
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything before it, so one test alone does."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(command, "compare", results_of)
        monkeypatch.setattr(command, "report", lambda _: None)


def rows_of(project: Project) -> pd.DataFrame:
    return ResultSet.open(project.folder / "results", "my_sounds").rows


@pytest.mark.slow
def test_four_folders_and_fifteen_lines_become_rows_and_a_report(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(FIFTEEN_LINES.splitlines()) == 15
    assert project.run() == 0
    out, error = capsys.readouterr()
    assert error == ""
    results = Results.open(project.folder / "results")["my_sounds"]
    assert results.profile == "custom"
    rows = results.rows
    assert (rows.groupby(["method", "metric"]).size() == 4).all()
    assert len(rows) == 4 * 4 * 3
    (cell,) = results.cells
    assert cell.class_names == ("bell", "crow", "rain", "train")
    assert cell.domain == LogMel(8000, 0.25, bands=32, frames=24)
    assert cell.attributions("silence").values.shape == (4, 1, 32, 24)
    assert results.context["configuration"] == yaml.safe_load(FIFTEEN_LINES)
    written = [path for path in (project.folder / "results").rglob("*") if path.is_file()]
    assert f"Summary: {next(path for path in written if path.suffix == '.md' and path.stem == 'my_sounds')}" in out
    assert any(path.suffix == ".md" for path in written)
    assert all(path.is_file() for path in written)
    assert "Saliency" in out
    assert not list(Path.cwd().iterdir())


def test_running_it_again_changes_nothing(project: Project) -> None:
    assert project.run() == 0
    before = rows_of(project)
    folder = project.folder
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".parquet", ".safetensors")}
    assert project.run() == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    pd.testing.assert_frame_equal(rows_of(project), before)


def test_the_file_and_a_declaration_are_the_same_study(project: Project) -> None:
    assert project.run() == 0
    study, options = read_study(project.study)
    assert (options.results, options.checkpoints) == (project.folder / "results", project.folder / "checkpoints")
    pd.testing.assert_frame_equal(sorted_rows(run_study(study, options).rows), sorted_rows(rows_of(project)))


def test_a_dry_run_counts_passes_and_writes_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.folder.rglob("*"))
    assert project.run("--dry-run") == 0
    printed = capsys.readouterr().out
    total = Plan(*read_study(project.study)).cost()["passes"].sum()
    assert f"{total:,}" in printed
    assert sorted(project.folder.rglob("*")) == before


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process(project: Project) -> None:
    project.declare(seeds=[0, 1], methods=["saliency", "random"])
    assert project.run() == 0
    expected = rows_of(project)
    shutil.rmtree(project.folder / "results")
    shutil.rmtree(project.folder / "checkpoints")
    assert project.run("--workers", "2", "--threads", "1") == 0
    pd.testing.assert_frame_equal(sorted_rows(rows_of(project)), sorted_rows(expected), check_exact=True)


def test_a_table_gives_labels_groups_and_parts(project: Project) -> None:
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2

    def columns(name: str, clip: int) -> dict[str, str]:
        loud = "low" if name in ("bell", "crow") else "high"
        return {"pitch": loud, "site": f"{parts[clip]} {name}", "use": parts[clip], "note": "x"}

    project.table(columns)
    project.declare(
        data={"label_column": "pitch", "group_column": "site", "split_column": "use"},
        settings=None,
        metrics=["sparseness"],
    )
    assert project.run() == 0
    results = ResultSet.open(project.folder / "results", "my_sounds")
    assert results.cells[0].class_names == ("high", "low")
    assert results.cells[0].group_name == "site"
    rows = results.rows
    assert set(rows["group"]) <= {f"test {name}" for name in ("bell", "crow", "rain", "train")}
    assert set(rows["sample"].str[-6:-4].astype(int)) <= {8, 9}
    assert set(rows["split"]) == {"given"}
    data = results.models[0]["data"]
    assert data["samples"] == {"train": 24, "validation": 8, "test": 8}
    assert data["groups"] == {"train": 4, "validation": 4, "test": 4}
    assert data["group_disjoint"] is True


def test_groups_of_a_pattern_are_in_one_part_alone(project: Project) -> None:
    project.declare(data={"group_pattern": r"(\d)\.wav$", "group_name": "site"}, metrics=["sparseness"], settings=None)
    assert project.run() == 0
    results = ResultSet.open(project.folder / "results", "my_sounds")
    assert results.models[0]["data"]["group_disjoint"] is True
    assert results.models[0]["data"]["group_name"] == "site"
    assert (results.rows["sample"].str[-5] == results.rows["group"]).all()


@pytest.mark.parametrize(("input_kind", "layers"), [("waveform", OF_WAVEFORMS), ("log_mel", OF_LEVELS)])
def test_a_model_of_ones_own_with_its_own_weights(input_kind: str, layers: str, project: Project) -> None:
    models = project.folder / "models"
    models.mkdir()
    (models / "mine.py").write_text(MODEL.format(what=input_kind, classes=4, layers=layers), encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec((models / "mine.py").read_text(encoding="utf-8"), namespace)
    torch.manual_seed(5)
    own = namespace["build"]()
    save_model(own, str(models / "mine.safetensors"))
    section = {
        "factory": "models/mine.py:build",
        "weights": "models/mine.safetensors",
        "input": input_kind,
        "architecture": None,
        "epochs": None,
    }
    methods = ["saliency", "random"] if input_kind == "waveform" else ["saliency", "energy", "ordered"]
    project.declare(model=section, methods=methods)
    assert project.run() == 0
    results = ResultSet.open(project.folder / "results", "my_sounds")
    (cell,) = results.cells
    assert cell.model == "mine_build"
    due = Waveform(8000, 0.25) if input_kind == "waveform" else LogMel(8000, 0.25, bands=32, frames=24)
    assert cell.domain == due
    inputs = cell.inputs()
    with torch.inference_mode():
        expected = own.eval()(inputs["inputs"]).argmax(1)
    assert torch.equal(inputs["predictions"], expected)
    assert results.rows["score"].notna().mean() > 0.8
    before = set((project.folder / "results").rglob("*.parquet"))
    with torch.no_grad():
        next(own.parameters()).add_(1.0)
    save_model(own, str(models / "mine.safetensors"))
    assert project.run() == 0
    assert len(set((project.folder / "results").rglob("*.parquet"))) == 2 * len(before)


def write(project: Project, text: str) -> None:
    project.study.write_text(text, encoding="utf-8")


def lone_clip(project: Project) -> None:
    for path in sorted((project.folder / "sounds" / "crow").iterdir())[1:]:
        path.unlink()


def without_label(project: Project) -> None:
    project.table(lambda _, clip: {"speaker": str(clip)})


def without_validation(project: Project) -> None:
    project.table(lambda name, clip: {"label": name, "split": "train" if clip < 7 else "test"})


def missing_file(project: Project) -> None:
    project.table(lambda name, _: {"label": name})
    (project.folder / "sounds" / "rain" / "03.wav").unlink()


def five_classes(project: Project) -> None:
    (project.folder / "mine.py").write_text(
        MODEL.format(what="five classes", classes=5, layers=OF_WAVEFORMS), encoding="utf-8"
    )
    project.declare(model={"factory": "mine.py:build"}, methods=["saliency"])


def one_class(project: Project) -> None:
    for name in ("crow", "rain", "train"):
        shutil.rmtree(project.folder / "sounds" / name)


def no_sounds(project: Project) -> None:
    shutil.rmtree(project.folder / "sounds")
    (project.folder / "sounds").mkdir()


def only_broken_sounds(project: Project) -> None:
    for path in (project.folder / "sounds").rglob("*.wav"):
        path.write_bytes(b"RIFF")


BAD: dict[str, tuple[Callable[[Project], object], tuple[str, ...]]] = {
    "unknown key": (lambda one: one.declare(sampels=4), ("'sampels'", "did you mean 'samples'")),
    "unknown key of a section": (lambda one: one.declare(model={"bnads": 3}), ("'bnads'", "did you mean 'bands'")),
    "unknown key of the data": (lambda one: one.declare(data={"fodler": "x"}), ("'fodler'", "did you mean 'folder'")),
    "unknown method": (lambda one: one.declare(methods=["saliancy"]), ("method", "did you mean 'saliency'")),
    "unknown metric": (lambda one: one.declare(metrics=["sparsness"]), ("metric", "did you mean 'sparseness'")),
    "unknown architecture": (
        lambda one: one.declare(model={"architecture": "smal_cnn"}),
        ("architecture", "did you mean 'small_cnn'"),
    ),
    "unknown data set": (lambda one: one.declare(data="fsd"), ("data set", "did you mean 'fsdd'")),
    "unknown setting": (lambda one: one.declare(settings={"rusn": 5}), ("'rusn'", "did you mean 'runs'")),
    "unknown input": (
        lambda one: one.declare(model={"factory": "x.py:y", "input": "logmel"}),
        ("input", "did you mean 'log_mel'"),
    ),
    "method of other inputs": (
        lambda one: one.declare(model={"architecture": "audionet"}, methods=["ordered"]),
        ("ordered", "waveform"),
    ),
    "no name": (lambda one: one.declare(name=None), ("name is missing",)),
    "no data": (lambda one: one.declare(data=None), ("data is missing",)),
    "two kinds of data": (lambda one: one.declare(data={"name": "fsdd"}), ("name", "folder")),
    "name with a slash": (lambda one: one.declare(name="../x"), ("'../x'",)),
    "number as text": (lambda one: one.declare(samples="four"), ("samples is 'four'", "whole number")),
    "fraction": (lambda one: one.declare(samples=1.5), ("samples is 1.5", "whole number")),
    "truth as number": (lambda one: one.declare(samples=True), ("samples is True", "whole number")),
    "list as text": (lambda one: one.declare(title=["x"]), ("title is ['x']",)),
    "section as number": (lambda one: one.declare(model=3), ("model is 3",)),
    "setting of another type": (lambda one: one.declare(settings={"runs": "many"}), ("runs is 'many'",)),
    "setting out of range": (lambda one: one.declare(settings={"runs": 0}), ("runs is 0",)),
    "too many classes": (
        lambda one: one.declare(metrics=["random_logit"], settings={"runs": None, "alternatives": 4}),
        ("alternatives is 4", "4 classes"),
    ),
    "too many samples": (lambda one: one.declare(samples=9), ("9 samples", "holds 8")),
    "no samples": (lambda one: one.declare(samples=0), ("samples is 0",)),
    "no seeds": (lambda one: one.declare(seeds=[]), ("no model",)),
    "seeds twice": (lambda one: one.declare(seeds=[1, 1]), ("seeds is [1, 1]",)),
    "negative epochs": (lambda one: one.declare(model={"epochs": -1}), ("epochs is -1",)),
    "bands of nothing": (lambda one: one.declare(model={"bands": 0}), ("bands", "0")),
    "too few bands": (lambda one: one.declare(model={"bands": 8}), ("16",)),
    "gradients of nothing": (lambda one: one.declare(gradients=[0]), ("gradients is [0]",)),
    "threads": (lambda one: one.declare(threads=0), ("threads is 0",)),
    "device": (lambda one: one.declare(device="tpu"), ("device is 'tpu'",)),
    "references": (lambda one: one.declare(references=0), ("references is 0",)),
    "key twice": (lambda one: write(one, FIFTEEN_LINES + "samples: 5\n"), ("line 16", "'samples' twice")),
    "alias": (lambda one: write(one, FIFTEEN_LINES + "title: &t x\nquestion: *t\n"), ("line 17", "alias")),
    "tag": (lambda one: write(one, "name: !!python/object/apply:os.getcwd []\n"), ("YAML",)),
    "no YAML": (lambda one: write(one, "name: [\n"), ("YAML",)),
    "no mapping": (lambda one: write(one, "- name\n"), ("no options",)),
    "empty": (lambda one: write(one, ""), ("no options",)),
    "not UTF-8": (lambda one: one.study.write_bytes(b"name: \xff\n"), ("UTF-8",)),
    "no file": (lambda one: one.study.unlink(), ("cannot be read",)),
    "no folder": (lambda one: one.declare(data={"folder": "nowhere"}), ("nowhere",)),
    "no sounds": (no_sounds, ("no sounds",)),
    "only broken sounds": (only_broken_sounds, ("can be read",)),
    "one class": (one_class, ("one class",)),
    "a class with one clip": (lone_clip, ("'crow'", "1 clip")),
    "table without labels": (without_label, ("metadata.csv", "label")),
    "table that is not there": (lambda one: one.declare(data={"table": "meta.csv"}), ("meta.csv",)),
    "table with a missing file": (missing_file, ("rain/03.wav",)),
    "a part that stays empty": (without_validation, ("validation",)),
    "unknown split": (lambda one: one.declare(data={"split": "fold7"}), ("'fold7'", "by_clip")),
    "another class count": (five_classes, ("5 logits", "4 classes")),
    "no model file": (lambda one: one.declare(model={"factory": "no.py:build"}), ("no.py",)),
    "no such factory": (lambda one: one.declare(model={"factory": "nothing"}), ("'nothing'", "file.py:name")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(
    case: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = BAD[case]
    spoil(project)
    before = sorted(project.folder.rglob("*"))
    assert project.run() == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words), error
    found = sorted(path for path in project.folder.rglob("*") if "__pycache__" not in path.parts)
    assert found == [path for path in before if "__pycache__" not in path.parts]
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("more", [["--workers", "0"], ["--workers"], ["--wrokers", "2"], ["extra"], ["--slurm", "gpu"]])
def test_bad_options_are_one_line(more: list[str], project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run(*more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not (project.folder / "results").exists()


def test_words_of_yaml_that_other_readers_take_for_something_else(project: Project) -> None:
    """Names such as ``no``, ``on`` or ``1_000`` are text."""
    write(project, FIFTEEN_LINES + "title: no\nquestion: 2026-01-02\n")
    study, _ = read_study(project.study)
    assert (study.title, study.question) == ("no", "2026-01-02")
    write(project, FIFTEEN_LINES + "title: 12\n")
    with pytest.raises(UserError, match="title is 12"):
        read_study(project.study)


def test_a_registered_data_set_by_its_name(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(
        "name: digits\ndata: {name: spoken_digits, limit: 20}\nmodel: {bands: 32, frames: 32, epochs: 1}\n"
        "samples: 2\nmethods: [saliency]\nmetrics: [sparseness]\ndevice: cpu\n",
        encoding="utf-8",
    )
    assert run_command(cli.dispatch, ["run", str(file)]) == 0
    rows = ResultSet.open(tmp_path / "results", "digits").rows
    assert set(rows["dataset"]) == {"spoken_digits"}
    assert set(rows["stand_in_for"]) == {"audio_mnist"}
    assert rows["group"].notna().all()


def test_sounds_of_other_rates_and_lengths_are_read_as_the_study_says(project: Project) -> None:
    path = project.folder / "sounds" / "bell" / "00.wav"
    samples, _ = soundfile.read(path)
    soundfile.write(path, samples[:500], 16_000)
    project.declare(data={"duration_s": 0.3, "sample_rate_hz": 4000}, metrics=["sparseness"], settings=None)
    assert project.run() == 0
    (cell,) = ResultSet.open(project.folder / "results", "my_sounds").cells
    assert cell.domain == LogMel(4000, 0.3, bands=32, frames=24)
    assert cell.inputs()["waveforms"].shape == (4, 1, 1200)
