"""Completion scripts, sourced by the shells they are for."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from audioxai.utils.completion import Completion

COMPLETION = Completion(
    program="my-tool",
    commands=("do", "undo"),
    table={
        "do": {"--help": (), "--size": ("small", "standard"), "--place": (), "--which": ("1", "2")},
        "do 2": {"--help": (), "--other": ("x",), "--which": ("1", "2")},
        "undo": {"undo": ("this", "that"), "--help": ()},
    },
    selector="--which",
    default="1",
)
# What is typed, the last word being completed → what is offered; nothing means file names.
OFFERED = [
    (["d"], ["do"]),
    ([""], ["do", "undo"]),
    (["do", ""], ["--help", "--size", "--place", "--which"]),
    (["do", "--s"], ["--size"]),
    (["do", "--size", "s"], ["small", "standard"]),
    (["do", "--size", "st"], ["standard"]),
    (["do", "--place", ""], []),
    (["do", "file"], []),
    (["do", "--which", "2", "--"], ["--help", "--other", "--which"]),
    (["do", "--which", "1", "--"], ["--help", "--size", "--place", "--which"]),
    (["do", "--which", "2", "--other", ""], ["x"]),
    (["undo", "th"], ["this", "that"]),
    (["undo", "this", "--"], ["--help"]),
    (["redo", "--"], []),
]
ASSIGNED = [
    (["do", "--size=st"], ["standard"]),
    (["do", "--size="], ["small", "standard"]),
    (["do", "--which=2", "--o"], ["--other"]),
    (["do", "--which=1", "--s"], ["--size"]),
]

Offer = Callable[[list[str]], list[str]]


def printed(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def in_bash(tmp_path: Path) -> Offer:
    script = tmp_path / "completion.bash"
    script.write_text(COMPLETION.bash())
    # Bash splits what is typed at = too; the arguments come split by blanks.
    program = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _my_tool; printf "%s\\n" "${COMPREPLY[@]}"'
    )

    def offer(typed: list[str]) -> list[str]:
        words = [part for word in typed for part in word.replace("=", "\n=\n").strip("\n").split("\n")]
        return printed("bash", "-uc", program, "bash", str(script), "my-tool", *words)

    return offer


@pytest.mark.parametrize(("typed", "offered"), [*OFFERED, *ASSIGNED])
def test_bash_offers_what_fits(in_bash: Offer, typed: list[str], offered: list[str]) -> None:
    assert in_bash(typed) == offered


def test_bash_knows_whom_to_ask_and_completes_files_otherwise(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(COMPLETION.bash())
    told = printed("bash", "-c", f"source {script}; complete -p my-tool")
    assert told == ["complete", "-o", "default", "-F", "_my_tool", "my-tool"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize(("typed", "offered"), [*OFFERED, *ASSIGNED])
def test_zsh_offers_what_fits(tmp_path: Path, typed: list[str], offered: list[str]) -> None:
    script = tmp_path / "completion.zsh"
    script.write_text(COMPLETION.zsh())
    # Stand-ins for what zsh defines while it completes; it keeps of the offers those that begin as the word does.
    program = (
        "compdef() { : }; compset() { : }; _files() { : }; compadd() { print -l -- $found }\n"
        'source "$1"; shift; words=("$@"); CURRENT=$#; _my_tool'
    )
    found = printed("zsh", "-fc", program, "zsh", str(script), "my-tool", *typed)
    beginning = typed[-1].split("=")[-1]
    assert [word for word in found if word.startswith(beginning)] == offered


def test_the_zsh_script_says_what_it_completes() -> None:
    text = COMPLETION.zsh()
    assert text.startswith("#compdef my-tool\n")
    assert "compdef _my_tool my-tool" in text
    assert "@" not in text.replace('"$@"', "")
