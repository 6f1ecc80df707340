"""Objective 2, stage 1: explain spoken digits by Integrated Gradients adapted to sound, by peers and by controls.

    python experiments/objective2/audio_adapted_ig.py --profile quick

Trains what is missing, makes the attributions at every number of gradients, prints how complete they are and what they
cost, and writes three clips to hear and to look at below results/visualizations/objective2.
"""

import sys

from audioxai.studies.objective2.command import adapt, run
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Make and check the adapted attributions."""
    run(
        [adapt],
        "Make and check the adapted attributions.",
        "python experiments/objective2/audio_adapted_ig.py",
        argv,
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
