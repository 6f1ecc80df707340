"""Supplement to Objective 1: faithfulness correlation that removes 224 cells, or 10 % of the input.

    python experiments/objective1/subset_size.py --training_seeds "[0, 1, 2]" --samples_per_seed 100

Trains and explains what is missing, scores every explanation under both definitions and says whether they order the
methods differently, in results/summaries/subset_size.md and subset_size.json.
"""

import sys

from audioxai.studies.objective1.command import audio, images, run, subset_sizes
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Compare both definitions of the subset."""
    run(
        [images, audio, subset_sizes],
        "Compare faithfulness correlation with subsets of 224 cells and of 10 % of the input.",
        "python experiments/objective1/subset_size.py",
        argv,
        study="objective1_subset_size",
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
