"""The installed command: what it knows, what it refuses, what it prints and writes."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

import audioxai as ax
from audioxai import __version__, cli
from audioxai.metrics import METRICS
from audioxai.studies import command
from audioxai.studies.command import declared_studies
from audioxai.utils.commands import run_command
from audioxai.xai_methods import METHODS

MODEL = "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(2000, 3))\n"


@pytest.fixture
def factory(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MODEL, encoding="utf-8")
    return f"{tmp_path / 'mine.py'}:build"


def test_help_names_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert run_command(cli.dispatch, arguments) == 0
        printed = capsys.readouterr().out
        assert all(f"\n  {name} " in printed for name in cli.COMMANDS)
        assert f"{cli.PROGRAM} run" in printed
    assert run_command(cli.dispatch, ["--version"]) == 0
    assert capsys.readouterr().out == f"audioxai {__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_examples_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        cli.dispatch([name, "--help"])
    out, error = capsys.readouterr()
    assert error == ""
    assert re.search(rf"^ +audioxai {name}", out.split("examples:")[1], re.MULTILINE)


@pytest.mark.parametrize("name", ["explain", "evaluate", "methods", "metrics"])
def test_help_of_a_command_loads_no_torch(name: str) -> None:
    program = (
        f"import sys\nfrom audioxai.cli import dispatch\ntry:\n    dispatch([{name!r}, '--help'])\n"
        "except SystemExit:\n    pass\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_installed_entry_point_ends_with_the_exit_code(tmp_path: Path) -> None:
    def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error", "-m", "audioxai.cli", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)

    assert ran("--help").returncode == 0
    wrong = ran("evalute")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: ")
    assert "did you mean" in wrong.stderr or "choose among" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evalute"], ("'evalute'", "explain, app, evaluate, run")),
        (["run", "objective3"], ("'objective3'", "objective1")),
        (["run", "nowhere.yaml"], ("nowhere.yaml",)),
        (["run", "objective2", "--images", "mnist"], ("images",)),
        (["run", "objective1", "--profil", "quick"], ("profil",)),
        (["explain"], ("sounds",)),
        (["explain", "x.wav"], ("--model",)),
        (["explain", "x.wav", "--model", "m.pt"], ("m.pt",)),
        (["explain", "x.wav", "--model", "m.safetensors", "--budget", "many"], ("--budget", "'many'")),
        (["evaluate", "x", "--mdoel", "m"], ("--model",)),
        (["methods", "extra"], ("extra",)),
        (["prepare", "--datasets", "mnits"], ("'mnits'", "did you mean 'mnist'")),
        (["train", "--resolutoin", "64"], ("did you mean resolution?",)),
        (["train", "--dataset", "timit"], ("'timit'",)),
        (["report", "--results", "nowhere/at/all"], ("nowhere/at/all",)),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(cli.dispatch, arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert all(word in error for word in words), error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_methods_and_metrics_are_listed_with_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    for name, registry in (("methods", METHODS), ("metrics", METRICS)):
        assert run_command(cli.dispatch, [name]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(registry)
        assert all(entry.label in line for line, entry in zip(lines, registry.values(), strict=True))


def test_every_study_of_the_package_can_be_run_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    cli.dispatch(["run", "--help"])
    printed = capsys.readouterr().out
    assert {"objective1", "objective2", "subset_size", "speech_commands"} <= set(declared_studies())
    for name, study in declared_studies().items():
        assert name in printed
        with pytest.raises(SystemExit) as stopped:
            cli.dispatch(["run", name, "--print-config"])
        assert not stopped.value.code
        options = yaml.safe_load(capsys.readouterr().out)
        options.pop("debug", None)
        first = next(iter(study.profiles.values()))
        assert options == {
            key: list(value) if isinstance(value, tuple) else value for key, value in vars(first).items()
        }


def test_a_dry_run_counts_every_pass_and_writes_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--images=digits_8x8", "--audio=spoken_digits", "--image_resolutions=[28]", "--image_epochs=[1]"]
    options += ["--audio_resolutions=[32]", "--audio_epochs=[1]", "--samples_per_seed=4", "--methods=[saliency,random]"]
    options += ["--metrics=[faithfulness_correlation,sparseness]"]
    never: list[command.Stage] = [lambda _: pytest.fail("a dry run ran")]
    script = partial(command.main, "objective1", never, "Scores.", "python compute_metrics.py")
    assert run_command(script, [*options, command.DRY_RUN]) == 0
    by_script = capsys.readouterr().out
    assert run_command(cli.dispatch, ["run", "objective1", "--dry-run", *options]) == 0
    printed = capsys.readouterr().out
    assert [line.split() for line in by_script.splitlines()[:9]] == [line.split() for line in printed.splitlines()[:9]]
    assert re.search(r"^time .*\nmemory .*\ndisk ", printed, re.MULTILINE)
    assert not list(tmp_path.iterdir())
    # 100 subsets and the input itself, of four samples, for two methods of two models; sparseness takes none.
    total = 101 * 4 * 2 * 2
    assert re.search(rf"^due +{total:,}$", printed, re.MULTILINE)
    assert re.search(r"^done +0$", printed, re.MULTILINE)


def test_explain_writes_a_folder_per_sound(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [str(sounds_folder / "bell" / f"0{number}.wav") for number in range(2)]
    options = ["--model", factory, "--sample-rate", "8000", "--method", "saliency", "--target", "2"]
    assert run_command(cli.dispatch, ["explain", *sounds, *options, "--out", str(tmp_path / "out")]) == 0
    out, error = capsys.readouterr()
    # Progress is told where it takes long, and nothing else.
    assert all(line.startswith("sounds: ") for line in error.splitlines())
    *lines, last = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["00.wav", "01.wav"]
    assert last.endswith(str(tmp_path / "out" / "index.html"))
    for name in ("00", "01"):
        suffixes = {path.suffix for path in (tmp_path / "out" / name).iterdir()}
        assert suffixes == {".html", ".png", ".npz", ".json", ".wav"}
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}/index.html"' in index for name in ("00", "01"))
    assert run_command(cli.dispatch, ["explain", *sounds, *options[:-1], "7", "--out", str(tmp_path / "no")]) == 2
    assert "0…2" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_explain_takes_the_removal_of_a_method_by_name(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = str(sounds_folder / "bell" / "00.wav")
    options = ["--model", factory, "--sample-rate", "8000", "--method", "integrated_gradients", "--budget", "8"]
    maps = []
    for removal in ("silence", "noise"):
        out = tmp_path / removal
        command = ["explain", sound, *options, "--no-trust", "--removal", removal, "--out", str(out)]
        assert run_command(cli.dispatch, command) == 0
        (page,) = out.glob("**/00/index.html")
        assert f"--removal {removal}" in page.read_text(encoding="utf-8")
        maps.append(np.load(page.with_name("explanation.npz"))["attributions"])
    assert not np.allclose(maps[0], maps[1])
    capsys.readouterr()
    command = ["explain", sound, *options, "--removal", "loud", "--out", str(tmp_path / "no")]
    assert run_command(cli.dispatch, command) == 2
    assert "'loud'" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_explain_goes_on_where_it_was_stopped_and_does_not_explain_twice(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from audioxai import explain_files

    explained: list[str] = []
    whole = ax.explain

    def counted(sound: Path, *arguments: Any, **options: Any) -> Any:
        explained.append(sound.name)
        if len(explained) == 4:
            raise KeyboardInterrupt
        return whole(sound, *arguments, **options)

    monkeypatch.setattr(explain_files, "explain", counted)
    options = ["--model", factory, "--sample-rate", "8000", "--method", "saliency", "--no-trust", "--compare", "0"]
    command = ["explain", str(sounds_folder / "rain"), *options, "--out", str(tmp_path / "out")]
    assert run_command(cli.dispatch, command) == 130
    assert (tmp_path / "out" / "index.html").is_file()
    assert run_command(cli.dispatch, command) == 0
    assert sorted(explained) == sorted([*(f"{number:02}.wav" for number in range(10)), "03.wav"])
    before = len(explained)
    assert run_command(cli.dispatch, command) == 0
    assert len(explained) == before
    assert "10 were there already" in capsys.readouterr().out
    assert run_command(cli.dispatch, [*command, "--seed", "1"]) == 0
    assert len(explained) == before + 10


def test_a_sound_that_cannot_be_used_does_not_stop_the_others(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sounds"
    shutil.copytree(sounds_folder / "rain", folder)
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    options = ["--model", factory, "--sample-rate", "8000", "--method", "saliency", "--no-trust", "--compare", "0"]
    assert run_command(cli.dispatch, ["explain", str(folder), *options, "--out", str(tmp_path / "out")]) == 2
    out, error = capsys.readouterr()
    assert len(out.splitlines()) == 11
    assert "broken.wav" in error
    assert "broken.wav" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_two_sounds_of_one_name_do_not_overwrite_each_other(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [str(sounds_folder / name / "00.wav") for name in ("bell", "crow")]
    options = ["--model", factory, "--sample-rate", "8000", "--method", "saliency", "--out", str(tmp_path / "out")]
    assert run_command(cli.dispatch, ["explain", *sounds, *options]) == 2
    assert "same folder 00" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluate_prints_means_and_writes_the_scores_of_every_clip(
    factory: str, sounds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", factory, "--sample-rate", "8000", "--methods", "saliency", "random"]
    wanted = ["--metrics", "sparseness", "complexity", "--out", str(tmp_path / "scores.csv")]
    assert run_command(cli.dispatch, ["evaluate", str(sounds_folder / "rain"), *options, *wanted]) == 0
    out = capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "scores.csv")
    assert len(rows) == 10 * 2 * 2
    mean = rows.query("method == 'saliency' and metric == 'sparseness'")["score"].mean()
    assert f"{mean:.3f}" in out


def test_train_prints_where_the_model_lies_and_then_finds_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--dataset", "spoken_digits", "--resolution", "32", "--epochs", "1", "--limit", "20"]
    arguments += ["--checkpoints", str(tmp_path / "checkpoints"), "--device", "cpu"]
    assert run_command(cli.dispatch, arguments) == 0
    out = capsys.readouterr().out
    (weights,) = (tmp_path / "checkpoints").glob("*.safetensors")
    assert str(weights) in out
    before = weights.stat().st_mtime_ns
    assert run_command(cli.dispatch, arguments) == 0
    assert capsys.readouterr().out == out
    assert weights.stat().st_mtime_ns == before
    # The same file is a model for explain.
    sound = next((data / "spoken_digits").rglob("3_01_0.wav"))
    options = ["--model", str(weights), "--budget", "8", "--target", "3", "--out", str(tmp_path / "out")]
    assert run_command(cli.dispatch, ["explain", str(sound), *options]) == 0
    samples, rate_hz = soundfile.read(next((tmp_path / "out").rglob("original.wav")))
    assert (rate_hz, len(samples)) == (16_000, 16_000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "spoken_digits", "--architecture", "resnet"], ("architecture", "'resnet'")),
        (["--dataset", "spoken_digits", "--split", "fold9"], ("split", "'fold9'")),
        (["--dataset", "digits_8x8", "--architecture", "audionet"], ("audionet",)),
        (["--dataset", "digits_8x8", "--resolution", "8"], ("16",)),
        (["--dataset", "spoken_digits", "--limit", "0"], ("limit is 0",)),
        (["--dataset", "spoken_digits", "--batch_size", "0"], ("batch_size is 0",)),
        (["--dataset", "spoken_digits", "--learning_rate", "-1"], ("learning_rate is -1",)),
    ],
)
def test_training_that_cannot_be_is_one_line(
    arguments: list[str], words: tuple[str, ...], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(cli.dispatch, ["train", *arguments, "--checkpoints", str(tmp_path), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in words), error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train", "--threads", "0"], "threads is 0"),
        (["train", "--threads", "99999999999"], "threads is 99999999999"),
        (["train", "--checkpoints", "/dev/null"], "checkpoints is '/dev/null'"),
        (["evaluate", "clips", "--model", "m", "--budget", "0"], "'0' is no positive whole number"),
        (["evaluate", "clips", "--model", "m", "--sample-rate", "-5"], "'-5' is no positive whole number"),
        (["evaluate", "clips", "--model", "m", "--out", "/dev/null/x.csv"], "out is '/dev/null'"),
        (["evaluate", "clips", "--model", "m", "--out", "/"], "out is '/', which is a folder"),
        (["explain", "a.wav", "--model", "m", "--out", "/dev/null"], "out is '/dev/null'"),
        (["report", "--output", "/dev/null/x"], "output is '/dev/null'"),
        (["report", "--output", "/"], "output is '/', which is a folder"),
    ],
)
def test_options_are_judged_before_any_work(
    argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(cli.dispatch, argv) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
