"""Third stage: tables, figures and the answer to research question 1, from stored results alone."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.core import configuration_of
from audioxai.models import checkpoints
from audioxai.report.figures import Overlay, write_all
from audioxai.report.objective1 import write_summary
from audioxai.studies.objective1.config import Objective1Config, options_of
from audioxai.studies.objective1.plan import STUDY, Cell, higher_is_better, paths
from audioxai.studies.objective1.scores import all_cells, units
from audioxai.utils.files import write_text
from audioxai.utils.provenance import git_commit
from audioxai.utils.seeding import derived_seed
from audioxai.utils.store import MADE_FROM, Store

OVERLAYS_PER_MODALITY = 2


def compare(config: Objective1Config) -> list[Path]:
    """Write summary and figures and return their places; nothing is written anew where nothing has changed.

    Raises
    ------
    UserError
        If results are missing.
    """
    store = Store(Path(config.results), STUDY)
    planned = all_cells(config)
    shards = [unit.path for cell in planned for unit in units(config, cell)]
    outputs = store.figures / MADE_FROM
    # Shards are named by what decides their content, so their names say whether anything has changed.
    made_from = f"{derived_seed(asdict(config), [str(path) for path in shards], git_commit(Path(__file__).parent)):x}"
    if outputs.exists():
        earlier, *places = outputs.read_text(encoding="utf-8").splitlines()
        if earlier == made_from and all(Path(place).exists() for place in places):
            return [Path(place) for place in places]
    rows = load_rows(config)
    directions = directions_of(config)
    cards = [asdict(checkpoints.read_card(paths(config, cell).weights)) for cell in planned]
    written = [*write_summary(rows, cards, directions, context_of(config), store.summaries)]
    written += write_all(rows, overlays(config), directions, store.figures)
    write_text(outputs, "\n".join([made_from, *map(str, written)]) + "\n")
    store.log("compared", profile=config.profile, rows=len(rows))
    return written


def load_rows(config: Objective1Config) -> pd.DataFrame:
    """Every result row of this configuration, and no other that the store may hold."""
    store = Store(Path(config.results), STUDY)
    return store.load_rows([unit.path for cell in all_cells(config) for unit in units(config, cell)])


def overlays(config: Objective1Config) -> list[Overlay]:
    """Attributions of the first, differently titled test samples of each modality at its middle resolution."""
    return [overlay for cell in shown_cells(config) for overlay in _overlays(config, cell)]


def shown_cells(config: Objective1Config) -> list[Cell]:
    """The cell of each modality whose samples are shown: the first training seed's at the middle resolution."""
    chosen = []
    for modality in ("audio", "image"):
        of_modality = [cell for cell in all_cells(config) if cell.modality == modality and cell.sample_seed == 0]
        chosen.append(of_modality[len(of_modality) // 2])
    return chosen


def _overlays(config: Objective1Config, cell: Cell) -> list[Overlay]:
    place = paths(config, cell)
    tensors, metadata = place.store.load_tensors(place.inputs())
    attributions = {
        method: place.store.load_tensors(place.attributions(method))[0]["attributions"] for method in config.methods
    }
    rows, columns = cell.domain.axes()
    first: dict[str, int] = {}
    for sample in range(cell.samples):
        first.setdefault(_title(metadata, tensors, sample), sample)
    return [
        Overlay(
            title=title,
            inputs=tensors["inputs"][sample, 0].numpy(),
            attributions={method: maps[sample, 0].numpy() for method, maps in attributions.items()},
            row_axis=(rows.name, rows.unit, rows.coordinates),
            column_axis=(columns.name, columns.unit, columns.coordinates),
            value_unit=cell.domain.unit,
        )
        for title, sample in list(first.items())[:OVERLAYS_PER_MODALITY]
    ]


def _title(metadata: dict[str, Any], tensors: dict[str, Any], sample: int) -> str:
    names = metadata["class_names"]
    label, prediction = names[int(tensors["labels"][sample])], names[int(tensors["predictions"][sample])]
    speaker = metadata["speakers"][sample]
    spoken = f", speaker {speaker}" if speaker is not None else ""
    stand_in = f" (STAND-IN for {metadata['stand_in_for']})" if metadata["stand_in_for"] else ""
    return f"{metadata['dataset']}{stand_in}: digit {label}{spoken}, predicted {prediction}"


def directions_of(config: Objective1Config) -> dict[str, bool]:
    """Whether higher is better, for every metric of the study."""
    return higher_is_better(config, all_cells(config)[0])


def context_of(config: Objective1Config) -> dict[str, Any]:
    """Where the numbers come from: command, profile, commit and every setting."""
    cell = all_cells(config)[0]
    return {
        "command": f"python experiments/objective1/comparison_analysis.py {options_of(config)}",
        "profile": config.profile,
        "commit": git_commit(Path(__file__).parent),
        "configuration": asdict(config),
        "metrics": {unit.metric_name: configuration_of(unit.scorer) for unit in units(config, cell)},
    }
