"""Objective 1, stage 2: train models on spectrograms of spoken digits at every resolution and explain test clips.

    python experiments/objective1/audiomnist_explanations.py --profile quick

On two CPU cores profile quick takes 2 minutes, standard about 15 (estimated) minutes.
"""

import sys

from audioxai.studies.objective1.command import audio, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Train audio models and explain them."""
    run(
        [audio],
        "Train audio models and explain them.",
        "python experiments/objective1/audiomnist_explanations.py",
        argv,
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
