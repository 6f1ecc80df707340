"""Both research questions from end to end in one process: models, explanations, metrics, answers, report.

    python scripts/run_demo.py --profile quick --audio fsdd

The scripts in experiments/ do the same, stage by stage, over the same results folder.
"""

import sys

from audioxai.studies.demo import main
from audioxai.utils.commands import run_command


def run(argv: list[str]) -> None:
    """Answer both research questions."""
    main(argv, "python scripts/run_demo.py")


if __name__ == "__main__":
    sys.exit(run_command(run))
