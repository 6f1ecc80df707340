"""Objective 1, stage 1: train image models at every resolution and explain test images with every method.

python experiments/objective1/mnist_explanations.py --profile quick
"""

import sys

from audioxai.studies.command import explaining, main
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective1/mnist_explanations.py"
DESCRIPTION = "Train image models and explain test images with every method."


def run(argv: list[str]) -> None:
    """Train image models and explain test images with every method."""
    main("objective1", [explaining("image")], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
