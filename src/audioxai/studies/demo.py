"""Both research questions from end to end: models, explanations, metrics, answers, and one report of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audioxai.api import explain
from audioxai.binding import logits_without_gradient
from audioxai.experiment.materials import chosen
from audioxai.experiment.models import dataset_of, weights_path
from audioxai.experiment.plan import Plan
from audioxai.models.loading import load_model
from audioxai.studies import objective1, objective2
from audioxai.studies.command import answered, declared, everything, note_options
from audioxai.studies.options import NO_NUMBERS, RunConfig
from audioxai.studies.reports import ReportConfig, print_report
from audioxai.utils.configuration import option, parse

# Test clips among which the explained one is the first that the model gets right.
CLIPS_LOOKED_AT = 20


@dataclass(frozen=True)
class DemoConfig(RunConfig):
    """What the demo runs on; the profile decides everything else."""

    profile: str = option("first", "profile of both objectives: first, quick, standard or full")
    images: str = option("auto", "image data set of question 1: mnist, digits_8x8, or auto for the first one found")
    audio: str = option(
        "auto",
        "audio data set of both questions: audio_mnist, audio_mnist_az, fsdd, spoken_digits, or auto for the first one "
        "found",
    )


PROFILES = {name: DemoConfig(profile=name) for name in ("first", "quick", "standard", "full")}


def main(argv: Sequence[str], command: str) -> None:
    """Parse the options, answer both questions and say what to open."""
    examples = (command, f"{command} --audio fsdd", f"{command} --profile quick")
    description = "Answer both research questions: train, explain, score, compare and report."
    config = parse(DemoConfig, PROFILES, description, examples, argv, command)
    # Both are declared before the first one starts: data that are missing are missed now.
    plans = [(declared(name).plan(options), options) for name, options in options_of(config).items()]
    documents = []
    for plan, options in plans:
        everything(plan)
        note_options(plan, options)
        documents.append(answered(plan))
    print("\nOpen the report first: it answers both questions and lets you look at and listen to explained clips.")
    print_report(ReportConfig(profile=config.profile, results=config.results), documents)
    print(f"One clip, explained: {explained_clip(plans[0][0])}")


def explained_clip(plan: Plan) -> Path:
    """Explain a test clip that the study's finest audio model gets right, and return the place of the page."""
    audio = (cell.model for cell in plan.cells if cell.model.data.modality == "audio")
    spec = max(audio, key=lambda one: one.resolution)
    test = dataset_of(spec).part("test")
    model = load_model(weights_path(spec, Path(plan.options.checkpoints)))
    order = chosen(test, min(CLIPS_LOOKED_AT, len(test)), 0)
    right = logits_without_gradient(model.module, test.inputs[order]).argmax(1) == test.labels[order]
    place = int(order[int(right.int().argmax())])
    made = explain(test.inputs[place, 0], model, sample_rate=model.sample_rate_hz, compare=2)
    stand_in = (f"STAND-IN for {test.stand_in_for}",) if test.stand_in_for else ()
    named = replace(made, source=test.ids[place], notes=(*stand_in, *made.notes))
    return named.save(Path(plan.options.results) / "explanations" / test.name)[0]


def options_of(config: DemoConfig) -> dict[str, Any]:
    """Options of every objective, by its name."""
    where = {name: getattr(config, name) for name in NO_NUMBERS}
    first = replace(objective1.PROFILES[config.profile], images=config.images, audio=config.audio, **where)
    second = objective2.PROFILES[config.profile]
    named: dict[str, Any] = {} if config.audio == "auto" else {"datasets": (config.audio,), "further_datasets": ()}
    return {objective1.NAME: first, objective2.NAME: replace(second, **named, **where)}
