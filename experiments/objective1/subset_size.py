"""Supplement to Objective 1: faithfulness correlation that removes 224 features, or 10 % of the input.

python experiments/objective1/subset_size.py --profile quick
"""

import sys

from audioxai.studies.command import compare, everything, main
from audioxai.utils.commands import run_command

COMMAND = "python experiments/objective1/subset_size.py"
DESCRIPTION = "Compare faithfulness correlation with subsets of 224 features and of 10 % of the input."


def run(argv: list[str]) -> None:
    """Compare faithfulness correlation with subsets of 224 features and of 10 % of the input."""
    main("subset_size", [everything, compare], DESCRIPTION, COMMAND, argv)


if __name__ == "__main__":
    sys.exit(run_command(run))
