"""Objective 1 from end to end in one process: models, explanations, metrics, comparison, report.

    python scripts/run_demo.py --profile quick --audio fsdd

The four scripts in experiments/objective1 do the same, stage by stage, over the same results folder.
"""

import sys

from audioxai.studies.command import compare, everything, main, report
from audioxai.utils.commands import run_command


def run(argv: list[str]) -> None:
    """Run all stages of Objective 1."""
    stages = [everything, compare, report]
    main("objective1", stages, "Run all stages of Objective 1.", "python scripts/run_demo.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
