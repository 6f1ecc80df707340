"""``audio-xai``: the stages of the studies as one command line; the scripts call the same functions."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audio_xai.studies.objective1 import command as objective1
from audio_xai.studies.report import report
from audio_xai.utils.commands import run_command
from audio_xai.utils.errors import UserError

DRY_RUN = "--dry-run"


@dataclass(frozen=True)
class Command:
    """One word after ``audio-xai``: what it does, in one line, and how."""

    description: str
    main: Callable[[str, list[str]], None]


def _stages(*stages: objective1.Stage) -> Callable[[str, list[str]], None]:
    return lambda name, argv: objective1.run(stages, COMMANDS[name].description, f"audio-xai {name}", argv)


def _evaluate(name: str, argv: list[str]) -> None:
    if DRY_RUN in argv:
        options = [option for option in argv if option != DRY_RUN]
        objective1.dry_run(COMMANDS[name].description, f"audio-xai {name}", options)
    else:
        _stages(objective1.metrics)(name, argv)


def _report(name: str, argv: list[str]) -> None:
    report(argv, f"audio-xai {name}", COMMANDS[name].description)


COMMANDS: dict[str, Command] = {
    "explain": Command(
        "Train the models that are missing and explain them.", _stages(objective1.images, objective1.audio)
    ),
    "evaluate": Command(f"Score every explanation; {DRY_RUN} only counts the model passes it would take.", _evaluate),
    "compare": Command("Write and print the comparison of both modalities.", _stages(objective1.comparison)),
    "report": Command("Write what was found as one HTML file, with a model card and a data card.", _report),
    "run": Command(
        "Do all of it: explain, evaluate, compare.",
        _stages(objective1.images, objective1.audio, objective1.metrics, objective1.comparison),
    ),
}


def usage() -> str:
    """What ``audio-xai --help`` prints."""
    lines = [f"  {name:<10} {command.description}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: audio-xai COMMAND [options]",
            "",
            "commands:",
            *lines,
            "",
            "examples:",
            "  audio-xai run --profile quick",
            f"  audio-xai evaluate {DRY_RUN} --profile standard",
            "  audio-xai report --results results --output report.html",
            "  audio-xai evaluate --help",
        ]
    )


def dispatch(argv: Sequence[str]) -> None:
    """Run one command.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if not argv or argv[0] in ("--help", "-h"):
        print(usage())
        return
    name, *options = argv
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}; choose among {', '.join(COMMANDS)}")
    COMMANDS[name].main(name, options)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run_command(dispatch))


if __name__ == "__main__":
    main()
