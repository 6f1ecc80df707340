"""Objective 1 from recordings to its answer on tiny data, through the scripts themselves: whole, again, and killed."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
import yaml
from helpers.tiny_data import arguments, options

from audioxai.metrics import THESIS_METRICS
from audioxai.studies.models import load_model
from audioxai.studies.objective1 import command
from audioxai.studies.objective1.comparison import overlays
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective1.plan import cells, paths, scorer
from audioxai.utils import store as store_module
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.store import ROW_SCHEMA
from audioxai.xai_methods import EXPLAINERS

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    name: f"experiments/objective1/{name}.py"
    for name in ("mnist_explanations", "audiomnist_explanations", "compute_metrics", "comparison_analysis")
}
# The four scripts in one process, which saves importing everything four times.
ALL_STAGES = f"""
import runpy
from audioxai.studies.objective1 import command, comparison
print("ready", flush=True)
for script in {[str(PROJECT / script) for script in SCRIPTS.values()]}:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
STAGES = (command.images, command.audio, command.metrics, command.comparison)
# The numbers only: drawing takes longer than everything before it.
WITHOUT_FIGURES = ALL_STAGES.replace('print("ready"', 'comparison.write_all = lambda *_: []\nprint("ready"')


@dataclass(frozen=True)
class Run:
    """A finished run: where its configuration and its results lie, and what its scripts said."""

    config_file: Path
    results: Path
    checkpoints: Path
    data: Path
    output: tuple[str, ...] = ()

    @property
    def config(self) -> Objective1Config:
        content = yaml.safe_load(self.config_file.read_text())
        return Objective1Config(**{key: tuple(v) if isinstance(v, list) else v for key, v in content.items()})

    def environment(self) -> dict[str, str]:
        return os.environ | {"AUDIO_XAI_DATA": str(self.data)}

    def rows(self) -> pd.DataFrame:
        """All rows in the store, in an order of their own."""
        shards = sorted((self.results / "metrics").rglob("*.parquet"))
        frame = pd.concat([pyarrow.parquet.read_table(shard).to_pandas() for shard in shards], ignore_index=True)
        return frame.sort_values(["dataset", "resolution", "method", "metric", "sample"], ignore_index=True)


def prepared(folder: Path, data: Path) -> Run:
    run = Run(folder / "tiny.yaml", folder / "results", folder / "checkpoints", data)
    run.config_file.write_text(yaml.safe_dump(options(run.results, run.checkpoints, threads=1)))
    return run


def started(run: Run, program: str) -> "subprocess.Popen[str]":
    """All stages, past their imports."""
    command = [sys.executable, "-W", "error", "-c", program, "--config", str(run.config_file)]
    process = subprocess.Popen(
        command,
        env=run.environment(),
        cwd=run.results.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(run: Run, program: str = ALL_STAGES) -> None:
    process = started(run, program)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def undisturbed(data_folder, tmp_path_factory) -> Run:
    run = prepared(tmp_path_factory.mktemp("undisturbed"), data_folder)
    outputs = []
    for script in SCRIPTS.values():
        command = [sys.executable, "-W", "error", str(PROJECT / script), "--config", str(run.config_file)]
        done = subprocess.run(
            command, env=run.environment(), cwd=run.results.parent, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    return Run(run.config_file, run.results, run.checkpoints, run.data, tuple(outputs))


def test_every_sample_is_scored_once_by_every_metric_for_every_method(undisturbed):
    rows = undisturbed.rows()
    assert list(rows.columns) == ROW_SCHEMA.names
    assert len(rows) == 3 * 4 * len(EXPLAINERS) * len(THESIS_METRICS)
    counts = rows.groupby(["dataset", "resolution", "method", "metric", "sample"]).size()
    assert (counts == 1).all()
    assert set(rows["method"]) == set(EXPLAINERS)
    assert set(rows["metric"]) == set(THESIS_METRICS)
    assert set(rows.groupby("modality")["resolution"].unique().map(lambda own: tuple(sorted(own))).items()) == {
        ("audio", (32,)),
        ("image", (28, 32)),
    }


def test_parts_make_what_one_process_makes_and_only_the_whole_is_compared(undisturbed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUDIO_XAI_DATA", str(undisturbed.data))
    monkeypatch.setattr(command, "keep_freed_memory", lambda: None)
    run = prepared(tmp_path, undisturbed.data)
    told = {}
    for part in ("2/2", "1/2"):
        command.run(list(STAGES), "", "", ["--config", str(run.config_file), "--part", part])
        told[part] = capsys.readouterr().out
    assert f"{len(EXPLAINERS)} sets of audio attributions in" in told["1/2"]
    assert "0 sets of audio attributions\n" in told["2/2"]
    assert "70 shards of other parts are not" in told["2/2"]
    assert "Part 1/2 is scored, so are all others: now compare without --part" in told["1/2"]
    assert all(f"No comparison of part {part}: it is that of the whole study" in told[part] for part in told)
    assert not (run.results / "summaries").exists()
    assert yaml.safe_load((run.results / "configs" / "objective1-quick.yaml").read_text())["part"] is None
    rows, expected = (one.rows().drop(columns="seconds") for one in (run, undisturbed))
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)


def test_what_fails_at_once_leaves_the_saved_options_of_an_earlier_run(undisturbed, tmp_path, monkeypatch):
    run = copied(undisturbed, tmp_path)
    saved = run.results / "configs" / "objective1-quick.yaml"
    before = saved.read_bytes()
    monkeypatch.setenv("AUDIO_XAI_DATA", str(undisturbed.data))
    monkeypatch.setattr(command, "keep_freed_memory", lambda: None)
    with pytest.raises(UserError, match="samples_per_seed is 41 but the test part"):
        command.run([command.images], "", "", ["--config", str(run.config_file), "--samples_per_seed=41"])
    assert saved.read_bytes() == before


def test_sizes_of_subsets_are_not_compared_in_parts(undisturbed, monkeypatch):
    monkeypatch.setenv("AUDIO_XAI_DATA", str(undisturbed.data))
    with pytest.raises(UserError, match="part is 1/2; sizes of subsets are compared over the whole study"):
        command.subset_sizes(replace(undisturbed.config, part="1/2"))


def test_every_column_tells_the_truth(undisturbed):
    rows = undisturbed.rows()
    filled = rows.drop(columns=["speaker", "score"])
    assert filled.notna().all(axis=None)
    sound, images = rows[rows["modality"] == "audio"], rows[rows["modality"] == "image"]
    assert set(sound["stand_in_for"]) == {"audio_mnist"}
    assert set(images["stand_in_for"]) == {"mnist"}
    assert images["speaker"].isna().all()
    names = sound["sample"].str.extract(r"(?P<folder>\d\d)/(?P<digit>\d)_(?P<speaker>\d\d)_\d\.wav$")
    assert (names["digit"].astype(int) == sound["label"]).all()
    assert (names["folder"] == sound["speaker"]).all()
    assert set(sound["domain"]) == {"log_mel"}
    assert set(images["domain"]) == {"pixels"}
    assert set(sound["baseline"]) != set(images["baseline"])
    assert set(rows["model"]) == {"small_cnn"}
    assert set(rows["training_seed"]) == {0}
    assert rows["prediction"].between(0, 9).all()
    assert (rows["seconds"] > 0).all()
    assert (rows["passes"] >= 0).all()
    explained_again = (rows["metric"] == "average_sensitivity") & (rows["method"] != "random")
    assert (rows.loc[explained_again, "passes"] > 0).all()
    cards = [json.loads(card.read_text()) for card in undisturbed.checkpoints.glob("*.json")]
    told = {(card["dataset"], card["resolution"], card["weights_sha256"]) for card in cards}
    assert set(rows[["dataset", "resolution", "checkpoint"]].itertuples(index=False, name=None)) == told


def test_the_same_samples_are_explained_at_every_resolution(undisturbed):
    rows = undisturbed.rows()
    images = rows[rows["modality"] == "image"]
    small, large = (set(images.loc[images["resolution"] == resolution, "sample"]) for resolution in (28, 32))
    assert small == large
    assert len(small) == 4


def test_scores_are_finite_and_in_range(undisturbed):
    rows = undisturbed.rows()
    # All-zero maps have no score; of these methods only guided Grad-CAM, whose map is rectified, may give one.
    assert np.isfinite(rows.loc[rows["method"] != "guided_grad_cam", "score"]).all()
    ranges = {
        "faithfulness_correlation": (-1, 1),
        "average_sensitivity": (0, np.inf),
        "sparseness": (0, 1),
        "random_logit": (-1, 1),
        "mprt": (-1, 1),
    }
    for metric, (low, high) in ranges.items():
        scores = rows.loc[rows["metric"] == metric, "score"].dropna()
        assert scores.between(low - 1e-9, high + 1e-9).all()
        assert scores.nunique() > len(scores) // 4
    # What knows nothing of the model does not change with it, nor with the class.
    control = rows[rows["method"] == "random"].groupby("metric")["score"].agg(list)
    assert control["mprt"] == pytest.approx([1.0] * 12)
    assert control["random_logit"] == pytest.approx([1.0] * 12, abs=1e-5)
    assert control["average_sensitivity"] == pytest.approx([0.0] * 12)


def test_stored_scores_are_those_of_the_stored_maps(undisturbed, data):
    """Each row belongs to its sample: scored again one by one, in another order."""
    config = undisturbed.config
    for cell in (*cells(config, "image")[:1], *cells(config, "audio")):
        place = paths(config, cell)
        model, _ = load_model(place.weights, cell.wanted, torch.device("cpu"))
        tensors, metadata = place.store.load_tensors(place.inputs())
        inputs, predictions = tensors["inputs"], tensors["predictions"]
        assert torch.equal(model.body(inputs).argmax(1), predictions)
        maps = place.store.load_tensors(place.attributions("saliency"))[0]["attributions"]
        for name in THESIS_METRICS:
            own = scorer(config, cell, "saliency", name)
            stored = place.store.load_rows([place.scores("saliency", own, name)]).set_index("sample")["score"]
            assert stored.index.tolist() == metadata["ids"]
            for sample in (2, 0):
                one = slice(sample, sample + 1)
                again = own(model.body, inputs[one], predictions[one], maps[one])
                assert again.item() == pytest.approx(stored[metadata["ids"][sample]], abs=2e-4)


def test_the_comparison_is_written_and_names_the_stand_ins(undisturbed):
    summaries, figures = undisturbed.results / "summaries", undisturbed.results / "visualizations" / "objective1"
    text = (summaries / "objective1.md").read_text(encoding="utf-8")
    content = json.loads((summaries / "objective1.json").read_text(encoding="utf-8"))
    assert "STAND-IN" in text.split("## ")[0]
    for name in ("digits_8x8", "spoken_digits", "audio_mnist"):
        assert name in text
    assert content["context"]["configuration"]["faithfulness_runs"] == 6
    assert {(cell["modality"], cell["resolution"]) for cell in content["cells"]} == {
        ("audio", 32),
        ("image", 28),
        ("image", 32),
    }
    assert len(content["cells"]) == 3 * len(EXPLAINERS) * len(THESIS_METRICS)
    assert {cell["n"] + cell["undefined"] for cell in content["cells"]} == {4}
    drawn = sorted(path.name for path in figures.glob("*.png"))
    assert {"heatmap_audio.png", "heatmap_image.png", "resolution_curves.png", "audio_minus_image.png"} <= set(drawn)
    assert sum("overlay_spoken_digits_stand_in" in name for name in drawn) == 2
    assert sum("overlay_digits_8x8_stand_in" in name for name in drawn) == 2
    assert [path.with_suffix(".pdf").name for path in sorted(figures.glob("*.png"))] == sorted(
        path.name for path in figures.glob("*.pdf")
    )
    printed = undisturbed.output[-1]
    assert "STAND-IN for audio_mnist" in printed
    assert str(summaries / "objective1.md") in printed
    assert all(str(figures / name) in printed for name in drawn)


def test_means_in_the_summary_are_those_of_the_rows(undisturbed):
    content = json.loads((undisturbed.results / "summaries" / "objective1.json").read_text(encoding="utf-8"))
    means = undisturbed.rows().groupby(["modality", "resolution", "method", "metric"])["score"].mean()
    for cell in content["cells"]:
        expected = means[cell["modality"], cell["resolution"], cell["method"], cell["metric"]]
        if cell["mean"] is None:
            assert np.isnan(expected)
        else:
            assert cell["mean"] == pytest.approx(expected)


def test_configuration_and_log_are_kept(undisturbed):
    kept = yaml.safe_load((undisturbed.results / "configs" / "objective1-quick.yaml").read_text())
    assert kept == yaml.safe_load(yaml.safe_dump(_plain(undisturbed.config)))
    log = [json.loads(line) for line in (undisturbed.results / "logs" / "objective1.jsonl").read_text().splitlines()]
    events = [line["event"] for line in log]
    assert events.count("explained") == 3 * len(EXPLAINERS)
    assert events.count("scored") == 3 * len(EXPLAINERS) * len(THESIS_METRICS)
    assert events.count("compared") == 1


def _plain(config):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(config).items()}


def test_a_second_run_does_nothing(undisturbed):
    def times():
        found = [*undisturbed.results.rglob("*"), *undisturbed.checkpoints.rglob("*")]
        kept = [path for path in found if path.is_file() and path.parent.name != "configs"]
        return {path: path.stat().st_mtime_ns for path in kept}

    before = times()
    assert len(before) > 100
    finish(undisturbed)
    assert times() == before


def test_killed_again_and_again_it_ends_with_the_same_numbers(undisturbed, data_folder, tmp_path):
    """SIGKILL while training, explaining and scoring, each at a seeded random moment."""
    run = prepared(tmp_path, data_folder)
    chance = random.Random(20)
    complete = len(list((undisturbed.results / "metrics").rglob("*.parquet")))

    def training():
        return list(run.checkpoints.glob("*.training"))

    def shards(kind, suffix, least):
        return lambda: len(list((run.results / kind).rglob(f"*.{suffix}"))) >= least

    moments = [
        training,
        shards("attributions", "safetensors", chance.randrange(2, 16)),
        shards("metrics", "parquet", chance.randrange(1, complete // 2)),
        shards("metrics", "parquet", chance.randrange(complete // 2, complete - 20)),
    ]
    for reached in moments:
        process = started(run, WITHOUT_FIGURES)
        while not reached():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (run.results / "summaries").exists()
        _leave_what_a_kill_may_leave(run)
    left = len(list((run.results / "metrics").rglob("*.parquet")))
    assert 0 < left < complete
    finish(run, WITHOUT_FIGURES)
    expected = undisturbed.rows().drop(columns="seconds")
    pd.testing.assert_frame_equal(run.rows().drop(columns="seconds"), expected, check_exact=True)
    one, other = (json.loads((own.results / "summaries/objective1.json").read_text()) for own in (run, undisturbed))
    for part in ("answer", "cells", "differences", "trends"):
        assert one[part] == other[part]


def _leave_what_a_kill_may_leave(run):
    """Half-written files under their temporary names, beside what they were to become."""
    for folder in {path.parent for path in run.results.rglob("*") if path.is_file()} | {run.checkpoints}:
        for name in (".saliency-mprt-00000000.parquet.1.partial", ".inputs.safetensors.1.partial", ".tmpAbCdEf"):
            (folder / name).write_bytes(b"half of")


def copied(run: Run, folder: Path) -> Run:
    """The same run at another place."""
    shutil.copytree(run.results, folder / "results")
    shutil.copytree(run.checkpoints, folder / "checkpoints")
    return prepared(folder, run.data)


@pytest.fixture
def refusal(data, script, capsys, tmp_path):
    """The one line that a script ends with."""

    def one_line(name, *more):
        own = [] if "--config" in more else arguments(options(tmp_path / "results", tmp_path / "checkpoints"))
        assert run_command(script(SCRIPTS[name]).main, [*own, *more]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        return err

    return one_line


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--images=imagenet"], "unknown dataset 'imagenet'; choose from mnist"),
        (["--images=spoken_digits"], "dataset spoken_digits is of modality audio"),
        (["--methods=[saliency, lime]"], "method is 'lime'; choose among saliency"),
        (["--metrics=[accuracy]"], "metric is 'accuracy'; choose among"),
        (["--profile=huge"], "profile is 'huge'; choose one of quick, standard, full"),
        (["--sample_per_seed=3"], "did you mean samples_per_seed?"),
        (["--architecture=audionet"], "architecture is 'audionet'"),
        (["--image_epochs=[0, 1]"], "epochs is 0"),
        (["--image_limit=0"], "limit is 0"),
        (["--samples_per_seed=41"], "samples_per_seed is 41 but the test part of digits_8x8 holds 40"),
        (["--image_resolutions=[8, 28]"], "at least 16 cells"),
    ],
)
def test_bad_options_are_one_line(more, told, refusal):
    assert told in refusal("mnist_explanations", *more)


def test_an_unknown_key_in_the_file_is_one_line(refusal, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("samples_per_sed: 4\n")
    assert "did you mean samples_per_seed?" in refusal("compute_metrics", "--config", str(file))


def test_a_data_folder_that_is_not_there_is_one_line(refusal, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path / "nowhere"))
    assert "AUDIO_XAI_DATA is" in refusal("audiomnist_explanations")


def test_a_dataset_that_is_not_there_is_one_line(refusal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = refusal("audiomnist_explanations", "--audio=audio_mnist_az")
    assert "audio_mnist_az is not there" in told
    assert "AUDIO_XAI_DATA" in told


def test_results_that_cannot_be_a_folder_are_one_line(refusal, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert f"{tmp_path}/file" in refusal("mnist_explanations", f"--results={tmp_path}/file")


@pytest.mark.parametrize("name", ["compute_metrics", "comparison_analysis"])
def test_scores_before_any_explanation_name_the_script_to_run(name, refusal):
    assert "experiments/objective1/mnist_explanations.py" in refusal(name)


def test_scores_before_explanations_of_sound_name_the_script_to_run(undisturbed, refusal, tmp_path):
    run = copied(undisturbed, tmp_path)
    for folder in (run.results / "attributions" / "objective1").glob("spoken_digits*"):
        shutil.rmtree(folder)
    for script_name in ("compute_metrics", "comparison_analysis"):
        told = refusal(script_name, "--config", str(run.config_file))
        assert "experiments/objective1/audiomnist_explanations.py" in told


def test_comparison_before_scores_names_the_script_to_run(undisturbed, refusal, tmp_path):
    run = copied(undisturbed, tmp_path)
    shutil.rmtree(run.results / "metrics")
    (run.results / "visualizations/objective1/.made-from").unlink()
    told = refusal("comparison_analysis", "--config", str(run.config_file))
    assert "run the scripts of experiments/objective1 with the same options" in told


def test_damaged_files_are_named(undisturbed, refusal, tmp_path):
    run = copied(undisturbed, tmp_path)
    (run.results / "visualizations/objective1/.made-from").unlink()
    shard = next((run.results / "metrics").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:100])
    assert f"result {shard} is unreadable" in refusal("comparison_analysis", "--config", str(run.config_file))
    shard.unlink()
    inputs = shard_folder(run, shard) / "inputs.safetensors"
    inputs.write_bytes(inputs.read_bytes()[:100])
    assert f"result {inputs} is unreadable" in refusal("compute_metrics", "--config", str(run.config_file))
    weights = next(run.checkpoints.glob("digits*.safetensors"))
    weights.write_bytes(b"nothing")
    assert f"checkpoint {weights} is unreadable" in refusal("mnist_explanations", "--config", str(run.config_file))


def shard_folder(run, shard):
    return run.results / "attributions" / "objective1" / shard.parent.name


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(undisturbed, refusal, tmp_path, monkeypatch):
    run = copied(undisturbed, tmp_path)
    shard = next((run.results / "metrics").rglob("*-sparseness-*.parquet"))
    shard.unlink()

    def full(_, place, **_options):
        place.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr(store_module.pyarrow.parquet, "write_table", full)
    told = refusal("compute_metrics", "--config", str(run.config_file))
    assert told == f"error: no space is left for {shard}; free some space or choose a folder on another disk\n"
    assert not [path for path in shard.parent.iterdir() if path.suffix != ".parquet"]


def test_samples_that_look_alike_share_no_figure(undisturbed, data, tmp_path):
    """Two images of one digit with one prediction would have the same title and file name."""
    run = copied(undisturbed, tmp_path)
    config = run.config
    for alike, expected in ((3, 2), (4, 1)):
        for modality in ("image", "audio"):
            for cell in cells(config, modality):
                place = paths(config, cell)
                tensors, metadata = place.store.load_tensors(place.inputs())
                metadata["speakers"] = metadata["speakers"][:1] * 4
                for name in ("labels", "predictions"):
                    tensors[name] = torch.tensor([5] * alike + [6] * (4 - alike))
                place.store.save_tensors(place.inputs(), tensors, metadata)
        titles = [overlay.title for overlay in overlays(config)]
        assert len(set(titles)) == len(titles) == 2 * expected


def test_exit_codes_and_the_traceback_reach_the_shell(data_folder, tmp_path):
    def run(*more):
        command = [sys.executable, str(PROJECT / SCRIPTS["mnist_explanations"]), "--methods=[lime]", *more]
        environment = os.environ | {"AUDIO_XAI_DATA": str(data_folder)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    quiet, loud = run(), run("--debug")
    assert quiet.returncode == 2
    assert quiet.stdout == ""
    assert quiet.stderr.startswith("error: method is 'lime'; choose among saliency")
    assert quiet.stderr.count("\n") == 1
    assert loud.returncode == 1
    assert loud.stderr.startswith("Traceback")
    assert "UserError: method is 'lime'" in loud.stderr
    assert not list(tmp_path.iterdir())
