"""Objective 1 from end to end in one process: models, explanations, metrics, comparison, report.

    python scripts/run_demo.py --profile quick --audio fsdd

The four scripts in experiments/objective1 do the same, stage by stage, over the same store.
"""

import sys

from audioxai.studies.objective1.command import audio, comparison, images, metrics, run
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.report import ReportConfig, print_report
from audioxai.utils.commands import run_command


def report(config: Objective1Config) -> None:
    """Write the HTML report on all that the store holds."""
    print_report(ReportConfig(results=config.results, checkpoints=config.checkpoints))


def main(argv: list[str]) -> None:
    """Run all stages of Objective 1."""
    stages = [images, audio, metrics, comparison, report]
    run(stages, "Run all stages of Objective 1.", "python scripts/run_demo.py", argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
