"""The scripts of the experiments from recordings to documents on tiny data: whole, again, by workers, and killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import soundfile
import yaml
from helpers.tiny_studies import files_in, sorted_rows

from audioxai.experiment import results_of
from audioxai.experiment.models import forget
from audioxai.results import ResultSet
from audioxai.studies import command
from audioxai.utils.commands import run_command

PROJECT = Path(__file__).resolve().parents[2]
OBJECTIVE_1 = ("mnist_explanations", "audiomnist_explanations", "compute_metrics", "comparison_analysis")
OBJECTIVE_2 = ("audio_adapted_ig", "evaluate_adaptations")
METHODS = ("saliency", "input_x_gradient", "random")
METRICS = ("faithfulness_correlation", "sparseness", "mprt")
ADAPTATIONS = ("silence", "expected", "energy", "random")
# The stages before the comparison in one process, which saves importing everything three times.
SCORING = f"""
import runpy
from audioxai.studies import command, objective1
print("ready", flush=True)
for name in {OBJECTIVE_1[:3]}:
    try:
        runpy.run_path(f"{PROJECT}/experiments/objective1/{{name}}.py", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""


@dataclass(frozen=True)
class Place:
    """Where a run lies, and its options as a file."""

    folder: Path
    data: Path
    study: str
    output: list[str] = field(default_factory=list)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def config(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"AUDIO_XAI_DATA": str(self.data)}

    def rows(self) -> pd.DataFrame:
        return sorted_rows(ResultSet.open(self.results, self.study).rows)

    def script(self, name: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """A script in a process of its own, every warning an error."""
        script = PROJECT / "experiments" / self.study / f"{name}.py"
        arguments = [sys.executable, "-W", "error", str(script), "--config", str(self.config), *more]
        return subprocess.run(
            arguments, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )


def placed(folder: Path, data: Path, study: str = "objective1") -> Place:
    """A place with its options."""
    own: dict[str, Any] = {
        "objective1": {
            "images": "digits_8x8",
            "audio": "spoken_digits",
            "image_resolutions": [28],
            "audio_resolutions": [32],
            "image_epochs": [2],
            "audio_epochs": [1],
            "samples_per_seed": 4,
            "methods": list(METHODS),
            "metrics": list(METRICS),
            "sensitivity_draws": 1,
            "alternatives": 2,
        },
        "objective2": {
            "datasets": ["spoken_digits"],
            "resolution": 32,
            "epochs": 1,
            "clips_per_seed": 3,
            "ground_truth_per_seed": 2,
            "ground_truth": ["cues", "mixtures"],
            "adaptations": list(ADAPTATIONS),
            "gradients": [8],
            "ground_truth_gradients": 8,
            "references": 6,
            "curve_steps": 3,
            "faithfulness_patches": [1, 8],
        },
    }[study]
    place = Place(folder, data, study)
    shared = {"faithfulness_runs": 6, "device": "cpu", "threads": 1}
    folders = {"results": str(folder / "results"), "checkpoints": str(folder / "checkpoints")}
    place.config.write_text(yaml.safe_dump(own | shared | folders), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def first(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Objective 1 by its four scripts, one process each."""
    place = placed(tmp_path_factory.mktemp("first"), data_folder)
    for name in OBJECTIVE_1:
        done = place.script(name)
        assert (done.returncode, done.stderr) == (0, "")
        place.output.append(done.stdout)
    return place


@pytest.fixture(scope="module")
def second(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Objective 2 by its two scripts, one process each."""
    place = placed(tmp_path_factory.mktemp("second"), data_folder, "objective2")
    for name in OBJECTIVE_2:
        done = place.script(name)
        assert (done.returncode, done.stderr) == (0, "")
        place.output.append(done.stdout)
    return place


Run = Callable[..., str]


@pytest.fixture
def quick_run(
    script: Callable[[str], ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs scripts in this process, without drawing; what they print comes back."""
    monkeypatch.setattr(command, "compare", results_of)

    def execute(place: Place, *names: str, more: tuple[str, ...] = (), code: int = 0) -> str:
        capsys.readouterr()
        for name in names:
            main = script(f"experiments/{place.study}/{name}.py").run
            assert run_command(main, ["--config", str(place.config), *more]) == code
        out, error = capsys.readouterr()
        if code:
            assert error.startswith("error: ")
            assert error.count("\n") == len(names)
        else:
            assert error == ""
        return error if code else out

    return execute


@pytest.mark.slow
def test_objective_1_scores_every_sample_once_by_every_metric_for_every_method(first: Place) -> None:
    rows = first.rows()
    keys = ["dataset", "resolution", "method", "metric"]
    assert set(rows.groupby(keys).size()) == {4}
    assert (rows.groupby([*keys, "sample"]).size() == 1).all()
    assert len(rows) == 2 * 4 * len(METHODS) * len(METRICS)
    sound, images = rows[rows["modality"] == "audio"], rows[rows["modality"] == "image"]
    assert set(sound["stand_in_for"]) == {"audio_mnist"}
    assert set(images["stand_in_for"]) == {"mnist"}
    assert images["group"].isna().all()
    names = sound["sample"].str.extract(r"(?P<folder>\d\d)/(?P<digit>\d)_(?P<speaker>\d\d)_\d\.wav$")
    assert (names["digit"].astype(int) == sound["label"]).all()
    assert (names["folder"] == sound["group"]).all()
    assert set(sound["domain"]) == {"log_mel"}
    assert set(images["domain"]) == {"pixels"}
    assert set(sound["baseline"]) != set(images["baseline"])


@pytest.mark.slow
def test_objective_1_writes_its_document_with_the_means_of_its_rows(first: Place) -> None:
    text = (first.results / "summaries" / "objective1.md").read_text(encoding="utf-8")
    printed = first.output[-1]
    for name in ("digits_8x8", "spoken_digits", "audio_mnist"):
        assert name in text
    assert "stand-in" in text.lower()
    assert "stand-in" in printed.lower()
    assert json.loads((first.results / "summaries" / "objective1.json").read_text(encoding="utf-8"))
    figures = {path.suffix for path in (first.results / "visualizations" / "objective1").iterdir()}
    assert {".png", ".pdf"} <= figures
    kept = yaml.safe_load((first.results / "configs" / "objective1-quick.yaml").read_text(encoding="utf-8"))
    wanted = yaml.safe_load(first.config.read_text(encoding="utf-8"))
    assert {name: kept[name] for name in wanted} == wanted


@pytest.mark.slow
def test_a_second_run_does_nothing(first: Place, quick_run: Run) -> None:
    checkpoints = first.folder / "checkpoints"
    before = files_in(first.results, checkpoints)
    assert len(before) > 20
    quick_run(first, *OBJECTIVE_1[:3])
    after = files_in(first.results, checkpoints)
    manifest = {path for path in before if path.parent.name == "manifests"}
    assert {path: time for path, time in after.items() if path not in manifest} == {
        path: time for path, time in before.items() if path not in manifest
    }


@pytest.fixture
def started(tmp_path: Path, data_folder: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts the scoring scripts of one place; whatever is still running at the end is killed."""
    place, running = placed(tmp_path, data_folder), []

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCORING, "--config", str(place.config)],
            env=place.environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def wait_for(reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_rows(
    first: Place, tmp_path: Path, started: Callable[[], "subprocess.Popen[str]"]
) -> None:
    """SIGKILL while training, explaining and scoring, each at a seeded random moment."""
    chance = random.Random(20)
    results, checkpoints = tmp_path / "results", tmp_path / "checkpoints"
    complete = len(list((first.results / "metrics").rglob("*.parquet")))

    def shards(kind: str, suffix: str, least: int) -> Callable[[], bool]:
        return lambda: len(list((results / kind).rglob(f"*.{suffix}"))) >= least

    moments = [
        lambda: bool(list(checkpoints.glob("*.training"))),
        shards("attributions", "safetensors", chance.randrange(1, 4)),
        shards("attributions", "safetensors", chance.randrange(5, 8)),
        shards("metrics", "parquet", chance.randrange(1, complete // 2)),
        shards("metrics", "parquet", chance.randrange(complete // 2, complete - 2)),
    ]
    for reached in moments:
        process = started()
        wait_for(reached, process)
        time.sleep(chance.uniform(0.0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0)
    process = started()
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    place = Place(tmp_path, first.data, "objective1")
    pd.testing.assert_frame_equal(place.rows(), first.rows(), check_exact=True)


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(tmp_path: Path, started: Callable[[], "subprocess.Popen[str]"]) -> None:
    # Python drops an interrupt that arrives while an object is finalised; the run then ends as if there had been none.
    for _ in range(3):
        process = started()
        wait_for(lambda: bool(list((tmp_path / "results").rglob("*.safetensors"))), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        if process.returncode != 0:
            break
        shutil.rmtree(tmp_path / "results")
    assert process.returncode == 130, errors
    assert errors.startswith("interrupted")
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_sizes_of_subsets_use_the_attributions_of_objective_1(first: Place, quick_run: Run) -> None:
    attributions = files_in(first.results / "attributions", first.folder / "checkpoints")
    quick_run(first, "subset_size")
    assert files_in(first.results / "attributions", first.folder / "checkpoints") == attributions
    results = ResultSet.open(first.results, "subset_size")
    assert set(results.rows["metric"]) == {"faithfulness_fraction", "faithfulness_fixed"}
    assert len(results.rows) == 2 * 4 * len(METHODS) * 2
    assert {entry.label for entry in results.metrics.values()} == {"10 % of the input", "224 features"}
    fraction = results.rows[results.rows["metric"] == "faithfulness_fraction"]
    own = ResultSet.open(first.results, "objective1").rows
    own = own[own["metric"] == "faithfulness_correlation"]
    keys = ["dataset", "method", "sample"]
    pd.testing.assert_series_equal(
        fraction.set_index(keys)["score"].sort_index(), own.set_index(keys)["score"].sort_index(), check_exact=True
    )


@pytest.mark.slow
def test_objective_2_scores_clips_and_ground_truth_and_writes_its_answer(second: Place) -> None:
    rows = second.rows()
    assert set(rows["material"]) == {"clips", "cues", "mixtures"}
    assert set(rows["dataset"]) == {"spoken_digits"}
    clips = rows[rows["material"] == "clips"]
    assert set(clips.groupby(["method", "gradients", "metric"]).size()) == {3}
    expected = {"removal_worst", "removal_silence", "removal_noise", "sparseness", "complexity"}
    expected |= {"faithfulness_correlation_1", "faithfulness_correlation_8"}
    expected |= {"average_sensitivity", "random_logit", "mprt"}
    assert set(clips.loc[clips["method"] == "energy", "metric"]) == expected
    assert set(clips.loc[clips["method"] == "silence", "metric"]) == expected | {"completeness_gap"}
    truth = rows[rows["material"] != "clips"]
    assert set(truth["metric"]) == {"relevance_rank", "relevance_mass", "pointing_game", "completeness_gap"}
    assert (second.results / "summaries" / "objective2.md").is_file()
    assert (second.results / "summaries" / "objective2.json").is_file()


@pytest.mark.slow
def test_objective_2_shows_completeness_and_three_clips_to_hear(second: Place) -> None:
    assert "completeness gap" in second.output[0]
    sounds = sorted((second.results / "visualizations" / "objective2").rglob("*.flac"))
    shown = {"silence", "expected", "energy"}
    assert len(sounds) == 3 * (1 + 2 * len(shown))
    for path in sounds:
        samples, rate_hz = soundfile.read(path)
        assert (rate_hz, len(samples)) == (16_000, 16_000)
        assert abs(samples).max() <= 10 ** (-1 / 20) + 1e-6


@pytest.mark.parametrize(
    ("study", "names", "words"),
    [
        ("objective1", ("compute_metrics", "comparison_analysis"), ("first",)),
        ("objective2", ("evaluate_adaptations",), ("first",)),
    ],
)
def test_stages_before_their_time_are_one_line(
    study: str, names: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, data_folder: Path, quick_run: Run
) -> None:
    place = placed(tmp_path, data_folder, study)
    for name in names:
        error = quick_run(place, name, code=2)
        assert all(word in error for word in words), error
    assert not place.results.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--images=imagenet", ("data set", "'imagenet'")),
        ("--images=spoken_digits", ("audio", "image")),
        ("--methods=[saliency, lime]", ("method", "'lime'", "saliency")),
        ("--metrics=[accuracy]", ("metric", "'accuracy'")),
        ("--metrics=[relevance_rank]", ("metric", "'relevance_rank'")),
        ("--profile=huge", ("'huge'", "quick, first, standard, full")),
        ("--sample_per_seed=3", ("did you mean samples_per_seed?",)),
        ("--architecture=audionet", ("'audionet'",)),
        ("--image_epochs=[0]", ("epochs is 0",)),
        ("--image_limit=0", ("limit is 0",)),
        ("--image_limit=9", ("limit is 9", "10 classes")),
        ("--audio_limit=9", ("limit is 9", "10 classes")),
        ("--threads=100000", ("threads is 100000",)),
        ("--results=/dev/null/x", ("results is '/dev/null/x'",)),
        ("--checkpoints=/dev/null", ("checkpoints is '/dev/null'",)),
        ("--image_resolutions=[100000000]", ("100000000",)),
        ("--audio_resolutions=[100000000]", ("bands is 100000000",)),
        ("--samples_per_seed=41", ("41 samples", "digits_8x8 holds 40")),
        ("--samples_per_seed=40", ("40 samples", "spoken_digits holds 20")),
        ("--image_resolutions=[8]", ("16",)),
        ("--alternatives=10", ("alternatives is 10", "10 classes")),
        ("--faithfulness_runs=0", ("runs is 0",)),
        ("--workers=0", ("workers is 0",)),
        ("--slurm=gpus=many", ("gpus=many",)),
        ("--slurm=queue=gpu", ("queue=gpu", "partition")),
        ("--threads=0", ("threads is 0",)),
    ],
)
def test_bad_options_are_one_line_before_any_work(
    more: str, words: tuple[str, ...], tmp_path: Path, data_folder: Path, quick_run: Run
) -> None:
    place = placed(tmp_path, data_folder)
    options = (more, "--metrics=[random_logit]") if "alternatives" in more else (more,)
    error = quick_run(place, "mnist_explanations", more=options, code=2)
    assert all(word in error for word in words), error
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_data_folder_that_is_not_there_is_one_line(
    tmp_path: Path, data_folder: Path, quick_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placed(tmp_path, data_folder)
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path / "nowhere"))
    forget()
    assert "AUDIO_XAI_DATA is" in quick_run(place, "mnist_explanations", code=2)
    monkeypatch.setenv("AUDIO_XAI_DATA", "")
    monkeypatch.chdir(tmp_path)
    missing = quick_run(place, "mnist_explanations", more=("--audio=audio_mnist_az",), code=2)
    assert "is not there" in missing or "did you mean" in missing


def test_what_fails_at_once_leaves_the_saved_options_of_an_earlier_run(
    tmp_path: Path, data_folder: Path, quick_run: Run
) -> None:
    place = placed(tmp_path, data_folder)
    saved = place.results / "configs" / "objective1-quick.yaml"
    saved.parent.mkdir(parents=True)
    saved.write_text("an: earlier run\n", encoding="utf-8")
    quick_run(place, "compute_metrics", code=2)
    assert saved.read_text(encoding="utf-8") == "an: earlier run\n"


def test_exit_codes_and_the_traceback_reach_the_shell(tmp_path: Path, data_folder: Path) -> None:
    place = placed(tmp_path, data_folder)
    quiet = place.script("mnist_explanations", "--methods=[lime]")
    assert (quiet.returncode, quiet.stdout) == (2, "")
    assert quiet.stderr.startswith("error: ")
    assert quiet.stderr.count("\n") == 1
    loud = place.script("mnist_explanations", "--methods=[lime]", "--debug")
    assert loud.returncode == 1
    assert loud.stderr.startswith("Traceback")
    assert "UserError" in loud.stderr


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "experiments").rglob("*.py")), ids=lambda path: str(path.relative_to(PROJECT))
)
def test_every_script_has_help_with_its_own_command(
    path: Path, script: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    own = path.relative_to(PROJECT).as_posix()
    with pytest.raises(SystemExit) as stopped:
        script(own).run(["--help"])
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert f"python {own}" in printed
    for option in ("--profile", "--config", "--results", "--workers", "--dask", "--slurm"):
        assert option in printed
