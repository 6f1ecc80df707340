"""Command lines of Objective 1's scripts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from audioxai.report.terminal import print_table
from audioxai.studies.objective1.budget import pass_budget
from audioxai.studies.objective1.comparison import compare, context_of, directions_of, load_rows
from audioxai.studies.objective1.config import PROFILES, Objective1Config, whole
from audioxai.studies.objective1.explanations import explain
from audioxai.studies.objective1.plan import STUDY
from audioxai.studies.objective1.scores import compute
from audioxai.studies.objective1.subset_size import compare_subset_sizes
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.store import Store

Stage = Callable[[Objective1Config], None]


def images(config: Objective1Config) -> None:
    """Train and explain image models."""
    made = explain(config, "image")
    print(_counted(made, "sets of image attributions"))


def audio(config: Objective1Config) -> None:
    """Train and explain audio models."""
    made = explain(config, "audio")
    print(_counted(made, "sets of audio attributions"))


def metrics(config: Objective1Config) -> None:
    """Score every attribution."""
    made = compute(config)
    print(_counted(made, "shards of scores"))
    if config.part is not None:
        left = int((~pass_budget(whole(config))["done"]).sum())
        others = f"{left} shards of other parts are not" if left else "so are all others: now compare without --part"
        print(f"Part {config.part} is scored, {others}")


def budget(config: Objective1Config) -> None:
    """Print what scoring would cost, and run nothing."""
    planned = pass_budget(config)
    table = planned.pivot_table(index="method", columns="metric", values="passes", aggfunc="sum", sort=False)
    print("Model passes of every method under every metric, all models and samples together:\n")
    print(table.map("{:,.0f}".format).to_string())
    print(f"\nall    {planned['passes'].sum():>15,}")
    print(f"done   {planned.loc[planned['done'], 'passes'].sum():>15,}")
    print(f"due    {planned.loc[~planned['done'], 'passes'].sum():>15,}")
    print("\nPasses that do not depend on the method are sent once for all methods, so fewer reach the models.")


def comparison(config: Objective1Config) -> None:
    """Write and print the comparison; of a part there is none."""
    if config.part is not None:
        print(f"No comparison of part {config.part}: it is that of the whole study, so leave part out")
        return
    written = compare(config)
    print_table(load_rows(config), directions_of(config), context_of(config))
    print("\nSummary and figures:")
    for path in written:
        print(f"  {path}")


def subset_sizes(config: Objective1Config) -> None:
    """Compare faithfulness correlation with subsets of a fixed number of cells and of a fraction of the input.

    Raises
    ------
    UserError
        If a part was asked for: sizes are compared over the whole study.
    """
    if config.part is not None:
        raise UserError(f"part is {config.part}; sizes of subsets are compared over the whole study, so leave part out")
    summary, tables = compare_subset_sizes(config)
    print(summary.read_text(encoding="utf-8"))
    print(f"Summary:\n  {summary}\n  {tables}")


def run(
    stages: Sequence[Stage],
    description: str,
    command: str,
    argv: Sequence[str] | None = None,
    study: str = STUDY,
) -> None:
    """Parse the options and run the stages one after the other.

    The options are noted in the store, under the study's name, once the first stage has been: what fails at once leaves
    those of an earlier run.
    """
    config = _parsed(description, command, argv)
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    first, *others = stages
    first(config)
    Store(Path(config.results), study).save_config(config.profile, asdict(whole(config)))
    for stage in others:
        stage(config)


def dry_run(description: str, command: str, argv: Sequence[str] | None = None) -> None:
    """Parse the options and print the model passes that scoring would take; nothing is run or written."""
    budget(_parsed(description, command, argv))


def _counted(made: Sequence[Path], what: str) -> str:
    """How many there are and where; a part may have none of one modality."""
    return f"{len(made)} {what}" + (f" in {made[0].parent.parent}" if made else "")


def _parsed(description: str, command: str, argv: Sequence[str] | None) -> Objective1Config:
    examples = (
        command,
        f"{command} --profile standard",
        f"{command} --audio fsdd --audio_split speaker_disjoint",
        f"{command} --config my_study.yaml",
        f"{command} --profile standard --print-config > my_study.yaml",
    )
    return parse(Objective1Config, PROFILES, description, examples, argv)
