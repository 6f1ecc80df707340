"""Objective 1, stage 2: train models on spectrograms of spoken digits at every resolution and explain test clips.

python experiments/objective1/audiomnist_explanations.py --profile quick
"""

import sys

from audioxai.studies.command import explaining, main
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective1/audiomnist_explanations.py"
DESCRIPTION = "Train audio models and explain test clips with every method."


def run(argv: list[str]) -> None:
    """Train audio models and explain test clips with every method."""
    main("objective1", [explaining("audio")], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
