"""``audioxai``: explain clips, evaluate methods, run studies. Heavy imports happen when a command is known."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from audioxai.utils.commands import OneLineParser, completion_script, run_command
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from audioxai.models.loading import Model

PROGRAM = "audioxai"
MODEL_KINDS = (
    "Hugging Face id or folder; checkpoint (.safetensors); package.module:factory or file.py:factory; file of "
    "TorchScript, torch.export, ONNX or TFLite"
)


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


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no positive whole number")
    return int(text)


def _model_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        required=not several,
        action="append" if several else "store",
        help=MODEL_KINDS + ("; two are compared, and the example's is used if none is given" if several else ""),
    )
    group.add_argument("--sample-rate", type=_positive, metavar="HZ", help="its rate, where it does not state it")
    group.add_argument("--duration", type=float, metavar="S", help="length of its clips, where it takes one only")
    group.add_argument("--class-names", nargs="+", metavar="NAME", help="names of its classes, in their order")
    group.add_argument(
        "--outputs", choices=("logits", "softmax", "sigmoid"), help="what it returns; asked for where nothing tells"
    )
    group.add_argument(
        "--activation", choices=("softmax", "sigmoid"), help="what makes its logits probabilities (softmax)"
    )
    group.add_argument("--output", metavar="KEY", help="which of its outputs holds the scores, by name or position")
    group.add_argument("--pool", choices=("mean", "max"), help="what becomes of scores per frame (mean)")
    group.add_argument("--frame-axis", type=int, choices=(1, 2), help="axis of the scores that is time")
    group.add_argument("--weights", help="safetensors file with the weights of a factory's module")
    group.add_argument("--prompts", nargs="+", metavar="TEXT", help="classes of a model of sounds and texts (CLAP)")
    group.add_argument("--similar-to", metavar="SOUND", help="explain the similarity of its embeddings to this sound's")
    group.add_argument("--revision", help="branch, tag or commit of a Hugging Face id")
    group.add_argument("--trust-remote-code", action="store_true", help="let code that comes with the model run")


def _loaded(options: argparse.Namespace) -> "Model":
    """The model of the options, for a process that is there for its passes.

    A function of this module, so that other processes can be told to call it.
    """
    from audioxai.clips import clip_of
    from audioxai.models.loading import load_model
    from audioxai.utils.hardware import keep_freed_memory

    keep_freed_memory()
    return load_model(
        options.model,
        sample_rate=options.sample_rate,
        duration_s=options.duration,
        class_names=options.class_names or (),
        weights=options.weights,
        outputs=options.outputs,
        activation=options.activation,
        output=int(options.output) if (options.output or "").isdecimal() else options.output,
        pool=options.pool,
        frame_axis=options.frame_axis,
        similar_to=None if options.similar_to is None else clip_of(options.similar_to),
        prompts=options.prompts or (),
        revision=options.revision,
        trust_remote_code=options.trust_remote_code,
    )


def _explaining_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--domain", choices=("auto", "mask", "model", "waveform"), default="auto", help="where attributions live (auto)"
    )
    parser.add_argument(
        "--budget", type=_positive, help="gradients that a method may take, or passes of one without (32 and 400)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (0)")


def _explain_parser() -> argparse.ArgumentParser:
    parser = _parser("explain")
    parser.add_argument("sounds", nargs="+", help="sound files, and folders of them")
    _model_options(parser)
    parser.add_argument("--target", help="class to explain, by name or index; the predicted one if not given")
    parser.add_argument("--method", default="auto", help="explanation method (auto); see audioxai methods")
    _explaining_options(parser)
    parser.add_argument("--removal", help="what removed sound becomes, silence or noise, in methods that remove")
    parser.add_argument("--compare", type=int, default=2, help="other probable classes to explain beside it (2)")
    parser.add_argument("--windows", type=int, default=1, help="windows of a long recording to explain (1)")
    parser.add_argument("--at", type=float, nargs="+", metavar="S", help="where the windows begin, instead")
    parser.add_argument("--no-trust", action="store_true", help="do not measure how far to believe the explanation")
    parser.add_argument("--out", default="explanations", help="folder for the pages (explanations)")
    return parser


def _explain(argv: list[str]) -> None:
    options = _explain_parser().parse_args(argv)
    from audioxai.explain_files import explain_files
    from audioxai.utils.files import require_folder

    require_folder("out", Path(options.out))
    outcome = explain_files(
        options.sounds,
        _loaded(options),
        options.out,
        progress=True,
        command=lambda sound: shlex.join([PROGRAM, "explain", sound, *_without(argv, options.sounds)]),
        target=int(options.target) if options.target is not None and options.target.isdecimal() else options.target,
        method=options.method,
        domain=options.domain,
        budget=options.budget,
        compare=options.compare,
        windows=options.at or options.windows,
        trust=not options.no_trust,
        seed=options.seed,
        **({} if options.removal is None else {"removal": options.removal}),
    )
    for entry in outcome.entries:
        verdict = f": {entry.verdict}" if entry.verdict else ""
        print(f"{entry.file}: {entry.explained} ({entry.probability:.2f}){verdict}")
    if outcome.kept:
        print(f"{outcome.kept} were there already")
    print(f"open {outcome.index}")
    if outcome.refused:
        reasons = "; ".join(outcome.refused.values())
        raise UserError(f"{len(outcome.refused)} sounds were not explained: {reasons}")


def _without(arguments: Sequence[str], sounds: Sequence[str]) -> list[str]:
    return [argument for argument in arguments if argument not in sounds]


def _app_parser() -> argparse.ArgumentParser:
    parser = _parser("app")
    _model_options(parser, several=True)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (127.0.0.1); any other asks visitors for a token"
    )
    parser.add_argument("--port", type=_port, default=8765, help="port to listen on (8765); 0 takes a free one")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no port from 0 to 65535")
    return int(text)


def _app(argv: list[str]) -> None:
    options = _app_parser().parse_args(argv)
    from audioxai.app.command import run

    models = [argparse.Namespace(**{**vars(options), "model": model}) for model in options.model or ()]
    run([partial(_loaded, model) for model in models], options.host, options.port)


def _evaluate_parser() -> argparse.ArgumentParser:
    parser = _parser("evaluate")
    parser.add_argument("folder", help="folder of sound files, or one file")
    _model_options(parser)
    _explaining_options(parser)
    parser.add_argument("--methods", nargs="+", default=["auto", "energy", "random"], help="explanation methods")
    parser.add_argument("--metrics", nargs="+", help="metrics; removal_worst and the thesis' five if not given")
    parser.add_argument("--out", help="CSV file for the scores of every clip")
    return parser


def _evaluate(argv: list[str]) -> None:
    options = _evaluate_parser().parse_args(argv)
    from audioxai.evaluation import DEFAULT_METRICS, evaluate
    from audioxai.utils.files import require_file, write_text

    if options.out:
        require_file("out", Path(options.out))
    scores = evaluate(
        options.folder,
        _loaded(options),
        methods=options.methods,
        metrics=options.metrics or DEFAULT_METRICS,
        domain=options.domain,
        budget=options.budget,
        seed=options.seed,
    )
    print(scores)
    if options.out:
        write_text(Path(options.out), scores.rows.to_csv(index=False))


def _run(argv: list[str]) -> None:
    from audioxai.studies import command

    name = next((argument for argument in argv if argument != command.DRY_RUN), "--help")
    if name in ("--help", "-h"):
        parser = _parser("run")
        studies = "\n  ".join(f"{own:<16} {study.title}" for own, study in command.declared_studies().items())
        parser.epilog = f"{parser.epilog}\n\nstudies:\n  {studies}\n\noptions of one: {PROGRAM} run STUDY --help"
        parser.add_argument("study", help="a study below, or a YAML file that declares one")
        parser.add_argument(
            command.DRY_RUN, action="store_true", help="print what it takes (passes, time, memory, disk)"
        )
        parser.print_help()
        return
    stages = [command.everything, command.compare, command.report]
    rest = [*argv]
    rest.remove(name)
    if name.endswith((".yaml", ".yml")):
        command.run_file(Path(name), rest, stages)
        return
    command.main(name, stages, command.declared(name).title, f"{PROGRAM} run {name}", rest)


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


def _example_parser() -> argparse.ArgumentParser:
    parser = _parser("example")
    parser.add_argument("folder", nargs="?", default="example", help="new folder for the files (example)")
    return parser


def _example(argv: list[str]) -> None:
    folder = Path(_example_parser().parse_args(argv).folder)
    from audioxai.example import CLIP, MODEL, STUDY, write_example

    card = write_example(folder)
    print(f"{folder / MODEL} tells {', '.join(card.class_names)} apart; test accuracy {card.accuracy['test']:.0%}")
    model, out = shlex.quote(str(folder / MODEL)), shlex.quote(str(folder / "page"))
    print(f"next: {PROGRAM} explain {shlex.quote(str(folder / CLIP))} --model {model} --out {out}")
    print(f"      {PROGRAM} run {shlex.quote(str(folder / STUDY))}")


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
        "app": _app_parser(),
        "evaluate": _evaluate_parser(),
        "run": argparse.ArgumentParser(description=COMMANDS["run"].description),
        **studies,
        "report": parser_of(reports.ReportConfig, reports.ReportConfig(), COMMANDS["report"].description),
        "example": _example_parser(),
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
    "example": Command(
        "Write sounds, a small model and a study to try everything on.",
        (f"{PROGRAM} example",),
        _example,
    ),
    "explain": Command(
        "Explain why a model gives sounds their classes: a page with picture and sounds for each.",
        (
            f"{PROGRAM} explain bark.wav --model MIT/ast-finetuned-audioset-10-10-0.4593",
            f"{PROGRAM} explain bark.wav --model my_model.py:build --sample-rate 16000 --target 3 --out bark",
            f"{PROGRAM} explain recordings --model checkpoints/fsdd.safetensors --compare 1",
        ),
        _explain,
    ),
    "app": Command(
        "Open a page of this machine to explain sounds, and to erase regions and hear what the model says.",
        (
            f"{PROGRAM} app",
            f"{PROGRAM} app --model checkpoints/fsdd.safetensors",
            f"{PROGRAM} app --model before.onnx --model after.onnx --sample-rate 16000 --outputs logits",
        ),
        _app,
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
