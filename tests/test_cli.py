"""The installed command: what it knows, what it refuses, what a dry run counts."""

import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from audioxai import cli
from audioxai.studies.objective1 import command as objective1
from audioxai.studies.objective1 import config as objective1_config
from audioxai.studies.objective1.budget import pass_budget
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective2 import command as objective2
from audioxai.studies.objective2 import config as objective2_config
from audioxai.utils.commands import run_command

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
    monkeypatch.setattr("audioxai.datasets.resolve", lambda name, _: name)
    monkeypatch.setattr("audioxai.studies.models.fingerprint", lambda *_: "none")
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
        assert "audioxai evaluate --dry-run" in printed


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_examples_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.dispatch([name, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert re.search(rf"^ +(eval \"\$\()?audioxai {name} ", printed.split("examples:")[1], re.MULTILINE)
    assert all(option in printed for option in cli.COMMANDS[name].own)


def test_the_examples_of_an_objective_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.dispatch(["run", "--help", "--objective", "2"])
    printed = capsys.readouterr().out
    assert "audioxai run --objective 2 --profile standard --print-config > my_study.yaml" in printed
    assert "--ground_truth" in printed


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("explain", [objective1.images, objective1.audio], [objective2.adapt]),
        ("evaluate", [objective1.metrics], [objective2.evaluate]),
        ("compare", [objective1.comparison], [objective2.comparison]),
        (
            "run",
            [objective1.images, objective1.audio, objective1.metrics, objective1.comparison],
            [objective2.adapt, objective2.evaluate],
        ),
    ],
)
def test_an_objective_has_its_own_stages_and_options(
    name: str, first: list[object], second: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[object, ...]] = []
    for number, module in ((1, objective1), (2, objective2)):
        monkeypatch.setattr(module, "run", lambda stages, *rest, number=number: ran.append((number, stages, *rest[1:])))
    for options in (
        ["--profile", "full"],
        ["--objective", "2", "--profile", "full"],
        ["--profile=full", "--objective=1"],
    ):
        cli.dispatch([name, *options])
    assert ran == [
        (1, first, f"audioxai {name}", ["--profile", "full"]),
        (2, second, f"audioxai {name} --objective 2", ["--profile", "full"]),
        (1, first, f"audioxai {name}", ["--profile=full"]),
    ]


def test_a_printed_configuration_is_that_of_the_objective(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.dispatch(["run", "--objective", "2", "--profile", "standard", "--print-config"])
    assert not stopped.value.code
    printed = yaml.safe_load(capsys.readouterr().out)
    expected = objective2_config.PROFILES["standard"]
    assert printed["gradients"] == list(expected.gradients)
    assert {field.name for field in fields(expected)} | {"debug"} == set(printed)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evalute"], "there is no command 'evalute'; choose among prepare, train, explain, evaluate"),
        (["run", "--objective", "3"], "objective is '3'; choose 1 or 2"),
        (["run", "--objective"], "--objective: expected one argument"),
        (["evaluate", "--dry-run", "--objective", "2"], "objective 1 alone; leave out --objective 2"),
        (["run", "--objective", "2", "--images", "mnist"], "no option or configuration key 'images'"),
        (["completion", "fish"], "'fish'"),
        (["completion"], "shell"),
        (["prepare", "--datasets", "mnits"], "unknown dataset 'mnits'"),
        (["train", "--resolutoin", "64"], "did you mean resolution?"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(cli.dispatch, arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert told in error
    assert error.count("\n") == 1


def completed(shell: str, *words: str) -> list[str]:
    """What bash offers for the last word after it has sourced what ``audioxai completion bash`` prints."""
    program = 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _audioxai; printf "%s\\n" "${COMPREPLY[@]}"'
    command = ["bash", "-uc", program, "bash", shell, "audioxai", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    cli.dispatch(["completion", "bash"])
    script = capsys.readouterr().out
    assert completed(script, "") == list(cli.COMMANDS)
    assert completed(script, "ex") == ["explain"]
    assert completed(script, "run", "--profile", "") == list(objective1_config.PROFILES)
    assert completed(script, "report", "--profile", "a") == ["auto"]
    assert completed(script, "prepare", "--datasets", "spoken") == ["spoken_digits"]
    assert completed(script, "completion", "") == ["bash", "zsh"]
    assert completed(script, "evaluate", "--dr") == ["--dry-run"]
    assert completed(script, "run", "--print") == ["--print_config", "--print-config"]
    assert completed(script, "compare", "--objective", "2", "--ground_truth_") == [
        "--ground_truth_per_seed",
        "--ground_truth_gradients",
    ]
    assert completed(script, "compare", "--ground_truth_") == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_in_a_commands_help_can_be_completed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for objective, suffix in (("1", ""), ("2", " 2")) if len(cli.COMMANDS[name].options) > 1 else (("", ""),):
        with pytest.raises(SystemExit):
            cli.dispatch([name, "--help", *(["--objective", objective] if objective else [])])
        shown = set(re.findall(r"^ +(?:-h, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE))
        assert shown
        assert shown <= set(cli.completion().table[name + suffix])


def test_zsh_has_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    cli.dispatch(["completion", "zsh"])
    zsh = capsys.readouterr().out
    assert zsh.startswith("#compdef audioxai\n")
    words = re.search(r"^_audioxai_words.*?^}", cli.completion().bash(), re.MULTILINE | re.DOTALL)
    assert words is not None
    assert words.group() in zsh
