"""Objective 1, stage 4: compare audio with images and resolutions; write tables, figures and the answer.

    python experiments/objective1/comparison_analysis.py --profile quick

On two CPU cores profile quick takes half a minute, standard 1 minute.
"""

import sys

from audioxai.studies.objective1.command import comparison, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Compare audio with images."""
    run([comparison], "Compare audio with images.", "python experiments/objective1/comparison_analysis.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
