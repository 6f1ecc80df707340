"""Objective 1, stage 3: score every explanation of both modalities with every metric.

python experiments/objective1/compute_metrics.py --profile quick
"""

import sys

from audioxai.studies.command import main, score
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective1/compute_metrics.py"
DESCRIPTION = "Score every explanation of both modalities with every metric."


def run(argv: list[str]) -> None:
    """Score every explanation of both modalities with every metric."""
    main("objective1", [score], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
