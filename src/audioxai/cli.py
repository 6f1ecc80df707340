"""``audioxai``: the stages of the studies as one command line; the scripts call the same functions."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audioxai.datasets import DATASETS, PREFERENCES, supply
from audioxai.models import ARCHITECTURES
from audioxai.studies import report, single_model
from audioxai.studies.objective1 import command as objective1
from audioxai.studies.objective1 import config as objective1_config
from audioxai.studies.objective2 import command as objective2
from audioxai.studies.objective2 import config as objective2_config
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.completion import Completion
from audioxai.utils.configuration import PRINT_CONFIG, parser_of
from audioxai.utils.errors import UserError

PROGRAM = "audioxai"
DRY_RUN = "--dry-run"
OBJECTIVE = "--objective"
OBJECTIVES = ("1", "2")
SHELLS = {"bash": Completion.bash, "zsh": Completion.zsh}

# Option → values that are known of it.
Options = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Command:
    """One word after ``audioxai``.

    Attributes
    ----------
    description : str
        What it does, in one line.
    main : callable
        Does it, from the command's name and the arguments after it.
    options : mapping
        What can be completed, read when it is asked for: options by objective, the first where there is none to choose.
    own : mapping
        Options that are taken before all others, with their help.
    """

    description: str
    main: Callable[[str, list[str]], None]
    options: Mapping[str, Callable[[], Options]]
    own: Mapping[str, str] = field(default_factory=dict)

    def help(self) -> str:
        """Description with the options of its own."""
        if not self.own:
            return self.description
        lines = [f"  {option:<15} {text}" for option, text in self.own.items()]
        return "\n".join([self.description, "", "beside the options below:", *lines])


def _prepare(name: str, argv: list[str]) -> None:
    options = _prepare_parser(name).parse_args(argv)
    supply.prepare_as_asked(options, supply.home_folder(), supply.script_makers())


def _prepare_parser(name: str = "") -> argparse.ArgumentParser:
    examples = (
        f"{PROGRAM} {name}",
        f"{PROGRAM} {name} --datasets fsdd --root /big/disk    (then set AUDIO_XAI_DATA=/big/disk)",
        f"{PROGRAM} {name} --datasets audio_mnist --source ~/AudioMNIST-master.zip",
        f"{PROGRAM} {name} --for-demo",
    )
    return supply.option_parser("\n  ".join([COMMANDS["prepare"].description + "\n\nexamples:", *examples]))


def _train(name: str, argv: list[str]) -> None:
    single_model.train(argv, f"{PROGRAM} {name}")


def _stages(first: Sequence[objective1.Stage], second: Sequence[objective2.Stage]) -> Callable[[str, list[str]], None]:
    """Runs the stages of the objective that is asked for."""

    def main(name: str, argv: list[str]) -> None:
        objective, options = _objective(argv)
        if objective == "1":
            objective1.run(first, COMMANDS[name].help(), f"{PROGRAM} {name}", options)
        else:
            objective2.run(second, COMMANDS[name].help(), f"{PROGRAM} {name} {OBJECTIVE} 2", options)

    return main


def _objective(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Objective that is asked for, and the other arguments."""
    early = OneLineParser(add_help=False, allow_abbrev=False)
    early.add_argument(OBJECTIVE, default=OBJECTIVES[0])
    known, options = early.parse_known_args(argv)
    if known.objective not in OBJECTIVES:
        raise UserError(f"objective is {known.objective!r}; choose {' or '.join(OBJECTIVES)}")
    return known.objective, options


def _evaluate(name: str, argv: list[str]) -> None:
    if DRY_RUN not in argv:
        _stages([objective1.metrics], [objective2.evaluate])(name, argv)
        return
    objective, options = _objective([option for option in argv if option != DRY_RUN])
    if objective != "1":
        raise UserError(f"{DRY_RUN} counts the model passes of objective 1 alone; leave out {OBJECTIVE} {objective}")
    objective1.dry_run(COMMANDS[name].help(), f"{PROGRAM} {name}", options)


def _report(name: str, argv: list[str]) -> None:
    report.report(argv, f"{PROGRAM} {name}", COMMANDS[name].description)


def _completion(_: str, argv: list[str]) -> None:
    print(SHELLS[_completion_parser().parse_args(argv).shell](completion()), end="")


def _completion_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        description=COMMANDS["completion"].description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "examples:",
                f'  eval "$({PROGRAM} completion bash)"    # in this shell',
                f"  {PROGRAM} completion bash > ~/.local/share/bash-completion/completions/{PROGRAM}",
                f"  {PROGRAM} completion zsh > ~/.zfunc/_audioxai    # a folder of $fpath, before compinit",
            ]
        ),
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="which shell")
    return parser


def _strings(parser: argparse.ArgumentParser) -> dict[str, Sequence[str]]:
    """All option strings of a parser, without known values."""
    # Argparse has no public list of them, and the help has it only as text.
    return {string: () for action in parser._actions for string in action.option_strings}


def _of_config(config_type: type[Any], profiles: Mapping[str, Any], **values: Sequence[str]) -> Callable[[], Options]:
    """Options of a configuration: its fields' and the parser's, with the values that are known."""

    def options() -> Options:
        found = _strings(parser_of(config_type, next(iter(profiles.values()))))
        known = {f"--{name}": tuple(choices) for name, choices in values.items()}
        return found | {PRINT_CONFIG: (), "--profile": tuple(profiles), **known}

    return options


def _of_prepare() -> Options:
    named = {"--datasets": tuple(DATASETS), "--audio": PREFERENCES["audio"], "--images": PREFERENCES["image"]}
    return _strings(_prepare_parser()) | named


DEVICES = ("auto", "cpu", "cuda")
OF_OBJECTIVES = {
    "1": _of_config(
        objective1_config.Objective1Config,
        objective1_config.PROFILES,
        device=DEVICES,
        audio=PREFERENCES["audio"],
        images=PREFERENCES["image"],
    ),
    "2": _of_config(objective2_config.Objective2Config, objective2_config.PROFILES, device=DEVICES),
}
OWN = {f"{OBJECTIVE} 1|2": "research question: sound beside images (1, the default), or methods made for sound (2)"}

COMMANDS: dict[str, Command] = {
    "prepare": Command("Put datasets where the studies look for them.", _prepare, {OBJECTIVES[0]: _of_prepare}),
    "train": Command(
        "Train one model alone; explain trains what it needs by itself.",
        _train,
        {
            OBJECTIVES[0]: _of_config(
                single_model.SingleModelConfig,
                single_model.PROFILES,
                device=DEVICES,
                dataset=tuple(DATASETS),
                architecture=tuple(ARCHITECTURES),
            )
        },
    ),
    "explain": Command(
        "Train the models that are missing and explain them.",
        _stages([objective1.images, objective1.audio], [objective2.adapt]),
        OF_OBJECTIVES,
        OWN,
    ),
    "evaluate": Command(
        "Score every explanation.",
        _evaluate,
        OF_OBJECTIVES,
        {**OWN, DRY_RUN: "only count the model passes that it would take (objective 1)"},
    ),
    "compare": Command(
        "Write tables, figures and the answer to the research question.",
        _stages([objective1.comparison], [objective2.comparison]),
        OF_OBJECTIVES,
        OWN,
    ),
    "report": Command(
        "Write what was found as one HTML file, with a model card and a data card.",
        _report,
        {OBJECTIVES[0]: _of_config(report.ReportConfig, report.PROFILES)},
    ),
    "run": Command(
        "Do an objective from end to end: explain, evaluate, compare.",
        _stages(
            [objective1.images, objective1.audio, objective1.metrics, objective1.comparison],
            [objective2.adapt, objective2.evaluate],
        ),
        OF_OBJECTIVES,
        OWN,
    ),
    "completion": Command(
        "Print a script that makes bash or zsh complete these words.",
        _completion,
        {OBJECTIVES[0]: lambda: {"completion": tuple(SHELLS), **_strings(_completion_parser())}},
    ),
}


def _name(option: str) -> str:
    """``--objective`` of ``--objective 1|2``."""
    return option.split()[0]


def completion() -> Completion:
    """What a shell can complete after ``audioxai``: commands, and their options as the parsers have them."""
    table: dict[str, Options] = {}
    for name, command in COMMANDS.items():
        own = {option: tuple(OBJECTIVES) if option == OBJECTIVE else () for option in map(_name, command.own)}
        for objective, options in command.options.items():
            table[name if objective == OBJECTIVES[0] else f"{name} {objective}"] = {**options(), **own}
    return Completion(PROGRAM, tuple(COMMANDS), table, OBJECTIVE, OBJECTIVES[0])


def usage() -> str:
    """What ``audioxai --help`` prints."""
    lines = [f"  {name:<10} {command.description}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [options]",
            "",
            "commands:",
            *lines,
            "",
            "examples:",
            f"  {PROGRAM} prepare --for-demo                       # whatever data can be had",
            f"  {PROGRAM} run --profile quick                      # research question 1 from end to end",
            f"  {PROGRAM} run {OBJECTIVE} 2 --profile quick        # research question 2",
            f"  {PROGRAM} evaluate {DRY_RUN} --profile standard    # what scoring would cost",
            f"  {PROGRAM} run --profile standard {PRINT_CONFIG} > my_study.yaml",
            f"  {PROGRAM} run --config my_study.yaml",
            f"  {PROGRAM} report --results results --output report.html",
            f'  eval "$({PROGRAM} completion bash)"                # or zsh',
            f"  {PROGRAM} evaluate --help",
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
