"""``audioxai``: explain clips, evaluate methods, run studies. Heavy imports happen when a command is known."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioxai.utils.commands import OneLineParser, completion_script, run_command
from audioxai.utils.errors import UserError

PROGRAM = "audioxai"


@dataclass(frozen=True)
class Command:
    """One word after ``audioxai``: what it does in one line, its examples, and what does it."""

    description: str
    examples: tuple[str, ...]
    main: Callable[[list[str]], None]


def _parser(name: str) -> argparse.ArgumentParser:
    command = COMMANDS[name]
    examples = "\n  ".join(command.examples)
    return OneLineParser(
        prog=f"{PROGRAM} {name}",
        description=command.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"examples:\n  {examples}",
        allow_abbrev=False,
    )


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, help="checkpoint (.safetensors), package.module:factory or file.py:factory"
    )
    parser.add_argument(
        "--sample-rate", type=int, help="rate of the model in Hz, where its checkpoint does not state it"
    )
    parser.add_argument("--gradients", type=int, default=32, help="gradients that a method may take (32)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (0)")


def _explain_parser() -> argparse.ArgumentParser:
    parser = _parser("explain")
    parser.add_argument("sounds", nargs="+", help="sound files")
    _model_options(parser)
    parser.add_argument("--target", help="class to explain, by name or index; the predicted one if not given")
    parser.add_argument("--method", default="auto", help="explanation method; see audioxai methods")
    parser.add_argument("--out", default="explanations", help="folder for pictures, sounds and numbers (explanations)")
    return parser


def _explain(argv: list[str]) -> None:
    options = _explain_parser().parse_args(argv)
    from audioxai.api import explain, load_model

    stems = [Path(sound).stem for sound in options.sounds]
    again = next((stem for stem in stems if stems.count(stem) > 1), None)
    if again is not None:
        raise UserError(
            f"several sounds are called {again}, and each gets a folder of its name; explain them one by one"
        )
    model = load_model(options.model, sample_rate=options.sample_rate)
    target = int(options.target) if options.target is not None and options.target.isdecimal() else options.target
    for sound in map(Path, options.sounds):
        explanation = explain(
            sound, model, target=target, method=options.method, gradients=options.gradients, seed=options.seed
        )
        written = explanation.save(Path(options.out) / sound.stem)
        print(f"{sound}: {explanation.label} ({explanation.score:.2f}), by {explanation.method}: {written[1]}")


def _evaluate_parser() -> argparse.ArgumentParser:
    parser = _parser("evaluate")
    parser.add_argument("folder", help="folder of sound files, or one file")
    _model_options(parser)
    parser.add_argument("--methods", nargs="+", default=["auto", "energy", "random"], help="explanation methods")
    parser.add_argument("--metrics", nargs="+", help="metrics; the thesis' five if not given")
    parser.add_argument("--out", help="CSV file for the scores of every clip")
    return parser


def _evaluate(argv: list[str]) -> None:
    options = _evaluate_parser().parse_args(argv)
    from audioxai.api import evaluate
    from audioxai.metrics import THESIS_METRICS
    from audioxai.utils.files import write_text

    scores = evaluate(
        options.folder,
        options.model,
        sample_rate=options.sample_rate,
        methods=options.methods,
        metrics=options.metrics or THESIS_METRICS,
        gradients=options.gradients,
        seed=options.seed,
    )
    print(scores)
    if options.out:
        write_text(Path(options.out), scores.rows.to_csv(index=False))


def _run(argv: list[str]) -> None:
    from audioxai.studies import command

    dry = "--dry-run" in argv
    name, *rest = [argument for argument in argv if argument != "--dry-run"] or ["--help"]
    if name in ("--help", "-h"):
        parser = _parser("run")
        studies = "\n  ".join(f"{own:<16} {study.title}" for own, study in command.declared_studies().items())
        parser.epilog = f"{parser.epilog}\n\nstudies:\n  {studies}\n\noptions of one: {PROGRAM} run STUDY --help"
        parser.add_argument("study", help="a study below, or a YAML file that declares one")
        parser.add_argument("--dry-run", action="store_true", help="print the model passes that it takes, and stop")
        parser.print_help()
        return
    stages = [command.budget] if dry else [command.everything, command.compare, command.report]
    if name.endswith((".yaml", ".yml")):
        command.run_file(Path(name), rest, stages)
        return
    command.main(name, stages, command.declared(name).title, f"{PROGRAM} run {name}", rest, note=not dry)


def _report(argv: list[str]) -> None:
    from audioxai.studies import reports

    own = COMMANDS["report"]
    reports.main(argv, f"{PROGRAM} report", own.description, own.examples)


def _prepare_parser() -> argparse.ArgumentParser:
    from audioxai.datasets import supply

    examples = "\n  ".join(COMMANDS["prepare"].examples)
    return supply.option_parser(f"{COMMANDS['prepare'].description}\n\nexamples:\n  {examples}")


def _prepare(argv: list[str]) -> None:
    from audioxai.datasets import supply

    supply.prepare_as_asked(_prepare_parser().parse_args(argv), supply.home_folder(), supply.script_makers())


def _train(argv: list[str]) -> None:
    from audioxai.studies import single_model

    own = COMMANDS["train"]
    single_model.train(argv, f"{PROGRAM} train", own.description, own.examples)


def _list(registry: str) -> Callable[[list[str]], None]:
    def main(argv: list[str]) -> None:
        _parser(registry).parse_args(argv)
        from audioxai.metrics import METRICS
        from audioxai.xai_methods import METHODS

        if registry == "methods":
            for method in METHODS.values():
                print(f"{method.name:<26} {method.label:<32} {method.role:<8} {method.source}")
            return
        for metric in METRICS.values():
            better = {True: "higher", False: "lower", None: "–"}[metric.higher_is_better]
            print(f"{metric.name:<26} {metric.label:<40} {better:<7} {metric.family:<14} {metric.source}")

    return main


def _completion_parser() -> argparse.ArgumentParser:
    parser = _parser("completion")
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell that reads the script")
    return parser


def _completion(argv: list[str]) -> None:
    shell = _completion_parser().parse_args(argv).shell
    print(completion_script(PROGRAM, parsers(), shell), end="")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Parser of every command; those of studies after ``run``."""
    from audioxai.studies import command, reports, single_model
    from audioxai.utils.configuration import parser_of

    studies = {
        f"run {name}": parser_of(study.options_type, next(iter(study.profiles.values())), study.title)
        for name, study in command.declared_studies().items()
    }
    return {
        "explain": _explain_parser(),
        "evaluate": _evaluate_parser(),
        "run": argparse.ArgumentParser(description=COMMANDS["run"].description),
        **studies,
        "report": parser_of(reports.ReportConfig, reports.ReportConfig(), COMMANDS["report"].description),
        "prepare": _prepare_parser(),
        "train": parser_of(
            single_model.SingleModelConfig,
            next(iter(single_model.PROFILES.values())),
            COMMANDS["train"].description,
        ),
        "methods": _parser("methods"),
        "metrics": _parser("metrics"),
        "completion": _completion_parser(),
    }


COMMANDS: dict[str, Command] = {
    "explain": Command(
        "Explain why a model gives sounds their classes: picture, sounds and numbers for each.",
        (
            f"{PROGRAM} explain bark.wav --model checkpoints/fsdd.safetensors",
            f"{PROGRAM} explain bark.wav --model my_model.py:build --sample-rate 16000 --target 3 --out bark",
        ),
        _explain,
    ),
    "evaluate": Command(
        "Judge explanation methods on a folder of sounds.",
        (f"{PROGRAM} evaluate clips --model checkpoints/fsdd.safetensors --methods ordered silence energy random",),
        _evaluate,
    ),
    "run": Command(
        "Run a study from end to end: train, explain, score, compare.",
        (
            f"{PROGRAM} run my_study.yaml",
            f"{PROGRAM} run objective1 --profile quick",
            f"{PROGRAM} run objective2 --profile standard --dry-run",
            f"{PROGRAM} run objective1 --print-config > my_options.yaml",
        ),
        _run,
    ),
    "report": Command(
        "Write what a results folder holds as one HTML file.",
        (f"{PROGRAM} report", f"{PROGRAM} report --results copied_results --output report.html"),
        _report,
    ),
    "prepare": Command(
        "Put data sets where studies look for them.",
        (
            f"{PROGRAM} prepare --for-demo",
            f"{PROGRAM} prepare --datasets audio_mnist --source ~/AudioMNIST-master.zip",
        ),
        _prepare,
    ),
    "train": Command(
        "Train one model alone; studies train what they need by themselves.",
        (
            f"{PROGRAM} train --dataset fsdd --architecture small_cnn --resolution 64",
            f"{PROGRAM} train --dataset fsdd --architecture audionet",
            f"{PROGRAM} train --dataset audio_mnist --split fold2 --architecture alexnet --resolution 227",
        ),
        _train,
    ),
    "methods": Command("List the explanation methods.", (f"{PROGRAM} methods",), _list("methods")),
    "metrics": Command("List the metrics.", (f"{PROGRAM} metrics",), _list("metrics")),
    "completion": Command(
        "Print a script that makes bash or zsh complete these commands.",
        (f'eval "$({PROGRAM} completion bash)"', f"{PROGRAM} completion zsh > ~/.zfunc/_audioxai"),
        _completion,
    ),
}


def usage() -> str:
    """What ``audioxai --help`` prints."""
    lines = [f"  {name:<10} {command.description}" for name, command in COMMANDS.items()]
    examples = [f"  {command.examples[0]}" for command in COMMANDS.values()]
    more = f"options of a command: {PROGRAM} COMMAND --help"
    return "\n".join(
        [f"usage: {PROGRAM} COMMAND [options]", "", "commands:", *lines, "", "examples:", *examples, "", more]
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
    if argv[0] == "--version":
        from audioxai import __version__

        print(f"{PROGRAM} {__version__}")
        return
    name, *options = argv
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}; choose among {', '.join(COMMANDS)}")
    COMMANDS[name].main(options)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run_command(dispatch))


if __name__ == "__main__":
    main()
