"""Objective 1, stage 3: score every explanation of both modalities with every metric.

    python experiments/objective1/compute_metrics.py --profile quick

On two CPU cores profile quick takes 4 minutes, standard about 50 (estimated) minutes.
"""

import sys

from audioxai.studies.objective1.command import metrics, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Score every explanation."""
    run([metrics], "Score every explanation.", "python experiments/objective1/compute_metrics.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
