"""Command lines of Objective 2's scripts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from audioxai.studies.objective2.adapted import checks, write_clips
from audioxai.studies.objective2.answer import answer
from audioxai.studies.objective2.config import PROFILES, Objective2Config
from audioxai.studies.objective2.explanations import explain
from audioxai.studies.objective2.parts import parts_left, whole
from audioxai.studies.objective2.plan import STUDY, Method, Place
from audioxai.studies.objective2.scores import compute
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.store import Store

Stage = Callable[[Objective2Config], None]


def adapt(config: Objective2Config) -> None:
    """Train, explain, and print how complete the attributions are and what they cost; of a part, what is left."""
    made = explain(config)
    print(f"{len(made)} sets of attributions in {made[0].parent.parent}\n")
    if config.part is not None:
        _tell_of_part(config, "explained", Place.is_explained)
        return
    table = checks(config).groupby(["method", "gradients"], sort=False)[
        ["passes", "gap_median", "gap_p95", "ms_a_clip"]
    ]
    print("Medians over models: completeness gap |ΣA − ΔF| / |ΔF|, passes and time of one map\n")
    print(table.median().round(4).to_string())
    written = write_clips(config)
    print("\nThree clips, to look at and to hear (original, kept, removed):")
    for path in written:
        if path.suffix != ".flac":
            print(f"  {path}")
    sounds = [path for path in written if path.suffix == ".flac"]
    print(f"  {len(sounds)} sounds in {sounds[0].parent}")


def evaluate(config: Objective2Config) -> None:
    """Score every attribution and answer research question 2; of a part, tell what is left."""
    made = compute(config)
    print(f"{len(made)} shards of scores in {made[0].parent.parent}")
    if config.part is not None:
        _tell_of_part(config, "scored", Place.is_scored)
        return
    print()
    comparison(config)


def comparison(config: Objective2Config) -> None:
    """Answer research question 2 from the scores that are there.

    Raises
    ------
    UserError
        If a part was asked for: the answer is the whole study's.
    """
    if config.part is not None:
        raise UserError(f"part is {config.part}; the answer is that of the whole study, so leave part out")
    print("Summary and figures:")
    for path in answer(config):
        print(f"  {path}")


def _tell_of_part(config: Objective2Config, stage: str, done: Callable[[Place, Method], bool]) -> None:
    left = parts_left(config, done)
    others = f"{left} other parts are not yet" if left else "so are all others: now run the same command without --part"
    print(f"Part {config.part} is {stage}, {others}")


def run(
    stages: Sequence[Stage],
    description: str,
    command: str,
    argv: Sequence[str] | None = None,
) -> None:
    """Parse the options and run the stages one after the other.

    The options are noted in the store once the first stage has been: what fails at once leaves those of an earlier run.
    """
    examples = (
        command,
        f"{command} --profile standard",
        f'{command} --datasets "[fsdd]" --architectures "[small_cnn, alexnet]"',
        f"{command} --profile standard --print-config > my_study.yaml",
        f"{command} --config my_study.yaml",
    )
    config = parse(Objective2Config, PROFILES, description, examples, argv)
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    first, *others = stages
    first(config)
    Store(Path(config.results), STUDY).save_config(config.profile, asdict(whole(config)))
    for stage in others:
        stage(config)
