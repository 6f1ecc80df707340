"""Third stage: tables, figures and the answer to research question 2, from stored results alone."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audioxai.core import configuration_of
from audioxai.models import checkpoints
from audioxai.report.objective2 import write_summary
from audioxai.report.objective2_curves import Curves
from audioxai.report.objective2_figures import write_figures
from audioxai.report.objective2_tables import gather
from audioxai.studies.objective2.config import Objective2Config, options_of
from audioxai.studies.objective2.plan import STUDY, Cell, place_of
from audioxai.studies.objective2.scores import Unit, explained_cells, units
from audioxai.utils.provenance import git_commit
from audioxai.utils.store import Store


def answer(config: Objective2Config) -> list[Path]:
    """Write summary and figures and return their places.

    Raises
    ------
    UserError
        If results are missing.
    """
    store = Store(Path(config.results), STUDY)
    planned = [(cell, units(config, cell)) for cell in explained_cells(config)]
    rows = store.load_rows([unit.path for _, work in planned for unit in work])
    cards = [asdict(checkpoints.read_card(weights)) for weights in _weights(config, [cell for cell, _ in planned])]
    evidence = gather(rows)
    written = [*write_summary(rows, proofs(config), cards, context_of(config), store.summaries, evidence)]
    return written + write_figures(rows, curves_of(planned, evidence.main_budget), store.figures, evidence)


def proofs(config: Objective2Config) -> list[dict[str, Any]]:
    """What each model of planted cues goes by."""
    found = []
    for cell in explained_cells(config):
        place = place_of(config, cell)
        _, metadata = place.store.load_tensors(place.inputs())
        if metadata["proof"]:
            wanted = cell.wanted
            which = {"dataset": wanted.dataset, "model": wanted.architecture, "training_seed": wanted.training.seed}
            found.append(which | metadata["proof"])
    return found


def curves_of(planned: Iterable[tuple[Cell, list[Unit]]], gradients: int) -> dict[tuple[str, str], dict[str, Curves]]:
    """(dataset, architecture) → method → curves of all training seeds at a number of gradients.

    Methods that always cost the same are there at every number.
    """
    parts: dict[tuple[str, str], dict[str, list[Curves]]] = {}
    for cell, work in planned:
        if cell.material != "clips":
            continue
        of_model = parts.setdefault((cell.wanted.dataset, cell.wanted.architecture), {})
        several = {unit.method.name for unit in work if unit.method.gradients != min(cell.gradients)}
        for unit in work:
            if unit.method.gradients == gradients or unit.method.name not in several:
                of_model.setdefault(unit.method.name, []).append(_curves(unit))
    return {
        scope: {method: _together(curves) for method, curves in of_model.items()} for scope, of_model in parts.items()
    }


def context_of(config: Objective2Config) -> dict[str, Any]:
    """Where the numbers come from: command, profile, commit and every setting."""
    return {
        "command": f"python experiments/objective2/evaluate_adaptations.py {options_of(config)}",
        "profile": config.profile,
        "commit": git_commit(Path(__file__).parent),
        "configuration": configuration_of(config),
    }


def _weights(config: Objective2Config, planned: Iterable[Cell]) -> list[Path]:
    return list(dict.fromkeys(place_of(config, cell).weights for cell in planned))


def _curves(unit: Unit) -> Curves:
    tensors, _ = unit.place.store.load_tensors(unit.curves)
    _, metadata = unit.place.store.load_tensors(unit.place.inputs())
    scores, fractions = (tensors[name].double().numpy() for name in ("curves", "fractions"))
    return Curves(scores, fractions, tuple(map(str, metadata["speakers"])))


def _together(curves: list[Curves]) -> Curves:
    scores = np.concatenate([one.scores for one in curves])
    return Curves(scores, curves[0].fractions, tuple(speaker for one in curves for speaker in one.speakers))
