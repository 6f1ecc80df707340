"""The installed command: what it knows, what it refuses, what a dry run counts."""

import re
from pathlib import Path

import pytest

from audio_xai import cli
from audio_xai.studies.objective1.budget import pass_budget
from audio_xai.studies.objective1.config import Objective1Config
from audio_xai.utils.commands import run_command
from audio_xai.utils.errors import UserError

OPTIONS = [
    "--images=mnist",
    "--audio=fsdd",
    "--image_resolutions=[28]",
    "--image_epochs=[1]",
    "--audio_resolutions=[32]",
    "--audio_epochs=[1]",
    "--samples_per_seed=4",
]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for places that do not exist yet, and data that are there by name alone."""
    monkeypatch.setattr("audio_xai.datasets.resolve", lambda name, _: name)
    monkeypatch.setattr("audio_xai.studies.models.fingerprint", lambda *_: "none")
    return [f"--results={tmp_path / 'results'}", f"--checkpoints={tmp_path / 'checkpoints'}"]


def test_a_dry_run_counts_every_pass_and_writes_nothing(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(cli.dispatch, ["evaluate", "--dry-run", *OPTIONS, *folders]) == 0
    printed = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    config = Objective1Config(
        images="mnist",
        audio="fsdd",
        image_resolutions=(28,),
        image_epochs=(1,),
        audio_resolutions=(32,),
        audio_epochs=(1,),
        samples_per_seed=4,
        results=str(tmp_path / "results"),
        checkpoints=str(tmp_path / "checkpoints"),
    )
    planned = pass_budget(config)
    assert len(planned) == 2 * len(config.methods) * len(config.metrics)
    assert not planned["done"].any()
    faithfulness = planned[(planned["metric"] == "faithfulness_correlation") & (planned["method"] == "saliency")]
    assert faithfulness["passes"].tolist() == [4 * 101, 4 * 101]
    assert re.search(rf"^due +{planned['passes'].sum():,}$", printed, re.MULTILINE)
    assert all(method in printed for method in config.methods)


def test_help_names_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"]):
        assert run_command(cli.dispatch, arguments) == 0
        printed = capsys.readouterr().out
        assert all(f"\n  {name} " in printed for name in cli.COMMANDS)
        assert "audio-xai evaluate --dry-run" in printed


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_examples_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.dispatch([name, "--help"])
    assert stopped.value.code == 0
    assert f"audio-xai {name} --profile standard" in capsys.readouterr().out


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(UserError, match="there is no command 'evalute'; choose among explain, evaluate"):
        cli.dispatch(["evalute"])
