"""Objective 2, stage 2: score every adaptation under two removals, on ground truth and against controls.

python experiments/objective2/evaluate_adaptations.py --profile quick
"""

import sys

from audioxai.studies.command import compare, main, score
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective2/evaluate_adaptations.py"
DESCRIPTION = "Score the adapted attributions and answer research question 2."


def run(argv: list[str]) -> None:
    """Score the adapted attributions and answer research question 2."""
    main("objective2", [score, compare], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
