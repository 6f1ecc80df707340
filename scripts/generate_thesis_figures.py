"""Every figure and table of the studies for a thesis, from the results folder alone, with captions.

    python scripts/generate_thesis_figures.py --profile standard

Writes PDF, PNG, LaTeX and CSV into results/visualizations/thesis; the same results, the same bytes.
"""

import sys

from audioxai.studies.reports import thesis
from audioxai.utils.commands import run_command


def main(argv: list[str]) -> None:
    """Write every figure and table and say where they are."""
    thesis(argv, "python scripts/generate_thesis_figures.py", "Make every figure and table for a thesis.")


if __name__ == "__main__":
    sys.exit(run_command(main))
