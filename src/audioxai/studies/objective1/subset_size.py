"""Supplement: faithfulness correlation with subsets of a fixed number of cells and of a fraction of the input.

The reference implementation removes 224 cells of every input, whatever its size: 29 % of a 28 × 28 image and 1.4 % of a
128 × 128 spectrogram. Both definitions are computed on the same models, samples and attributions as Objective 1's.
"""

import math
from pathlib import Path

from audioxai.core import configuration_of
from audioxai.metrics.faithfulness import FaithfulnessCorrelation
from audioxai.report.subset_size import write_summary
from audioxai.studies.objective1.config import Objective1Config, options_of
from audioxai.studies.objective1.plan import STUDY, Cell, paths
from audioxai.studies.objective1.scores import Unit, all_cells, score_all
from audioxai.utils.provenance import git_commit
from audioxai.utils.store import Store

FIXED_CELLS = 224
FRACTION = 0.1
DEFINITIONS = ("faithfulness_fraction", "faithfulness_fixed")


def scorers(config: Objective1Config, cell: Cell) -> dict[str, FaithfulnessCorrelation]:
    """Both definitions for one cell, by the names under which their rows are stored."""
    shares = (FRACTION, FIXED_CELLS / math.prod(cell.domain.shape))
    return {
        name: FaithfulnessCorrelation(cell.baseline, share, config.faithfulness_runs, seed=config.metric_seed)
        for name, share in zip(DEFINITIONS, shares, strict=True)
    }


def units(config: Objective1Config, cell: Cell) -> list[Unit]:
    """All work in one cell, methods within definitions."""
    place = paths(config, cell)
    return [
        Unit(place, method, name, scorer, place.scores(method, scorer, name))
        for name, scorer in scorers(config, cell).items()
        for method in config.methods
    ]


def compare_subset_sizes(config: Objective1Config) -> tuple[Path, Path]:
    """Score under both definitions and write ``subset_size.md`` and ``subset_size.json``.

    Raises
    ------
    UserError
        If a cell has not been explained yet.
    """
    store = Store(Path(config.results), STUDY)
    rows = store.load_rows(score_all(config, [(cell, units(config, cell)) for cell in all_cells(config)]))
    context = {
        "command": f"python experiments/objective1/subset_size.py {options_of(config)}",
        "commit": git_commit(Path(__file__).parent),
        "definitions": {
            cell.label(): configuration_of(scorers(config, cell)[DEFINITIONS[1]])["fraction"]
            for cell in all_cells(config)
        },
    }
    return write_summary(rows, DEFINITIONS, context, store.summaries)
