"""Objective 1 from end to end in one process: models, explanations, metrics, comparison.

    python scripts/run_demo.py --profile quick --audio fsdd

The four scripts in experiments/objective1 do the same, stage by stage, over the same store.
"""

import sys

from audio_xai.studies.objective1.command import audio, comparison, images, metrics, run
from audio_xai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Run all stages of Objective 1."""
    run([images, audio, metrics, comparison], "Run all stages of Objective 1.", "python scripts/run_demo.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
