"""Objective 2, stage 1: explain spoken digits by Integrated Gradients adapted to sound, by peers and by controls.

    python experiments/objective2/audio_adapted_ig.py --profile quick

Trains what is missing, makes the attributions at every number of gradients, prints how complete they are and what they
cost, and writes three clips to hear and to look at below results/visualizations/objective2.
"""

import sys

from audioxai.studies.command import explaining, main
from audioxai.studies.listening import completeness_and_clips
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective2/audio_adapted_ig.py"
DESCRIPTION = "Make the adapted attributions, and show how complete they are and what they cost."


def run(argv: list[str]) -> None:
    """Make the adapted attributions, and show how complete they are and what they cost."""
    main("objective2", [explaining(), completeness_and_clips], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
