"""Objective 1, stage 1: train image models at every resolution and explain test images with every method.

    python experiments/objective1/mnist_explanations.py --profile quick

On two CPU cores profile quick takes 2.5 minutes, standard about 40 (estimated) minutes.
"""

import sys

from audioxai.studies.objective1.command import images, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Train image models and explain them."""
    run([images], "Train image models and explain them.", "python experiments/objective1/mnist_explanations.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
