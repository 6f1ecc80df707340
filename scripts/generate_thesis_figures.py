"""Every figure and table of both objectives for a thesis, from the results store, with captions.

    python scripts/generate_thesis_figures.py --profile standard

Reads what the experiments left in results/ and the checkpoints; the data have to be where they were, since results are
named by them. Writes PDF, PNG, LaTeX and CSV into results/visualizations/thesis; the same results, the same bytes.
"""

import sys

from audioxai.studies.thesis import COMMAND, PROFILES, ThesisConfig, make_pages
from audioxai.utils.commands import run_command
from audioxai.utils.configuration import parse

EXAMPLES = (
    COMMAND,
    f"{COMMAND} --profile standard",
    f"{COMMAND} --results /big/disk/results --checkpoints /big/disk/checkpoints --output figures",
)


def main(argv: list[str]) -> None:
    """Write the pages and say where they are and what is missing."""
    config = parse(ThesisConfig, PROFILES, "Make every figure and table of both objectives.", EXAMPLES, argv)
    made = make_pages(config)
    for line in made.left_out:
        print(line)
    print(f"{len(made.written)} files in {config.destination}; thesis.tex holds every figure and table")


if __name__ == "__main__":
    sys.exit(run_command(main))
