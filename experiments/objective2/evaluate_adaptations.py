"""Objective 2, stage 2: score every adaptation under two removals, on ground truth and against controls.

    python experiments/objective2/evaluate_adaptations.py --profile quick

Reads what audio_adapted_ig.py made with the same options; writes results/summaries/objective2.md and .json.
"""

import sys

from audioxai.studies.objective2.command import evaluate, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Score the adapted attributions and answer research question 2."""
    run(
        [evaluate],
        "Score the adapted attributions and answer research question 2.",
        "python experiments/objective2/evaluate_adaptations.py",
        argv,
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
