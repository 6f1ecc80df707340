"""Command lines of Objective 1's scripts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from audio_xai.report.terminal import print_table
from audio_xai.studies.objective1.comparison import compare, context_of, directions_of, load_rows
from audio_xai.studies.objective1.config import PROFILES, Objective1Config
from audio_xai.studies.objective1.explanations import explain
from audio_xai.studies.objective1.plan import STUDY
from audio_xai.studies.objective1.scores import compute
from audio_xai.utils.configuration import parse
from audio_xai.utils.hardware import keep_freed_memory
from audio_xai.utils.store import Store

Stage = Callable[[Objective1Config], None]


def images(config: Objective1Config) -> None:
    """Train and explain image models."""
    made = explain(config, "image")
    print(f"{len(made)} sets of image attributions in {made[0].parent.parent}")


def audio(config: Objective1Config) -> None:
    """Train and explain audio models."""
    made = explain(config, "audio")
    print(f"{len(made)} sets of audio attributions in {made[0].parent.parent}")


def metrics(config: Objective1Config) -> None:
    """Score every attribution."""
    made = compute(config)
    print(f"{len(made)} shards of scores in {made[0].parent.parent}")


def comparison(config: Objective1Config) -> None:
    """Write and print the comparison."""
    written = compare(config)
    print_table(load_rows(config), directions_of(config), context_of(config))
    print("\nSummary and figures:")
    for path in written:
        print(f"  {path}")


def run(stages: Sequence[Stage], description: str, script: str, argv: Sequence[str] | None = None) -> None:
    """Parse the options, note them in the store and run the stages one after the other."""
    examples = (
        f"python {script}",
        f"python {script} --profile standard",
        f"python {script} --audio fsdd --audio_split speaker_disjoint",
        f"python {script} --config my_study.yaml",
        f"python {script} --profile standard --print_config > my_study.yaml",
    )
    config = parse(Objective1Config, PROFILES, description, examples, argv)
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    Store(Path(config.results), STUDY).save_config(config.profile, asdict(config))
    for stage in stages:
        stage(config)
