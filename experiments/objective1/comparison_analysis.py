"""Objective 1, stage 4: compare audio with images and resolutions; write tables, figures and the answer.

python experiments/objective1/comparison_analysis.py --profile quick
"""

import sys

from audioxai.studies.command import compare, main
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective1/comparison_analysis.py"
DESCRIPTION = "Compare audio with images and resolutions: tables, figures and the answer."


def run(argv: list[str]) -> None:
    """Compare audio with images and resolutions: tables, figures and the answer."""
    main("objective1", [compare], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
