"""Second stage: score every attribution with every metric, one shard a cell × method × metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioxai.metrics.batch import Batch, PassMetric, begin
from audioxai.metrics.engine import Outcome, run
from audioxai.studies.models import load_model
from audioxai.studies.objective1.budget import passes_of
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective1.plan import STUDY, Cell, Paths, own_cells, paths, scorer
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import select_device
from audioxai.utils.progress import bar
from audioxai.xai_methods import explainer


@dataclass(frozen=True, eq=False)
class Explained:
    """One cell's model with what it explained."""

    batch: Batch
    labels: Tensor
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """Work of one method and metric in one cell."""

    place: Paths
    method: str
    metric_name: str
    scorer: PassMetric
    path: Path


def units(config: Objective1Config, cell: Cell) -> list[Unit]:
    """All work in one cell, methods within metrics."""
    place = paths(config, cell)
    planned = []
    for metric_name in config.metrics:
        for method in config.methods:
            scored_by = scorer(config, cell, method, metric_name)
            path = place.scores(method, scored_by, metric_name)
            planned.append(Unit(place, method, metric_name, scored_by, path))
    return planned


def compute(config: Objective1Config) -> list[Path]:
    """Score everything that has been explained and return the places of all shards.

    Raises
    ------
    UserError
        If a cell has not been explained yet.
    """
    return score_all(config, [(cell, units(config, cell)) for cell in all_cells(config)])


def score_all(config: Objective1Config, planned: Sequence[tuple[Cell, Sequence[Unit]]]) -> list[Path]:
    """Carry out what is not in the store yet of all cells' units and return the places of all their shards."""
    device = select_device(config.device)
    left = [(cell, [unit for unit in work if not unit.path.exists()]) for cell, work in planned]
    due_passes = sum(passes_of(cell, unit.scorer) for cell, work in left for unit in work)
    with bar(due_passes, "metrics", "pass") as progress:
        for cell, due in left:
            if due:
                progress.set_postfix_str(cell.label())
                score(config, cell, due, device, progress)
    return [unit.path for _, work in planned for unit in work]


def all_cells(config: Objective1Config) -> list[Cell]:
    """Cells of both modalities, of this process's part where there is one.

    Raises
    ------
    UserError
        If the inputs or attributions of one are missing.
    """
    planned = own_cells(config, "image") + own_cells(config, "audio")
    for cell in planned:
        if not paths(config, cell).explained_by(config.methods):
            script = "mnist_explanations.py" if cell.modality == "image" else "audiomnist_explanations.py"
            raise UserError(
                f"{cell.label()} has not been explained in profile {config.profile}; run "
                f"experiments/objective1/{script} with the same options first"
            )
    return planned


def score(config: Objective1Config, cell: Cell, due: Sequence[Unit], device: torch.device, progress: Any) -> None:
    """Carry out units of one cell, passes that they share once, and store each as soon as it is done."""
    place = due[0].place
    model, card = load_model(place.weights, cell.wanted, device)
    tensors, metadata = place.store.load_tensors(place.inputs())
    metadata = metadata | {"checkpoint": card.weights_sha256}
    batch = Batch(model.body, tensors["inputs"].to(device), tensors["predictions"].to(device))
    for unit in due:
        attributions = place.store.load_tensors(place.attributions(unit.method))[0]["attributions"].to(device)
        (outcome,) = run([begin(unit.scorer, batch, attributions)], progress.update)
        place.store.save_rows(unit.path, _rows(config, unit, Explained(batch, tensors["labels"], metadata), outcome))
        place.store.log(
            "scored",
            cell=cell.label(),
            method=unit.method,
            metric=unit.metric_name,
            passes=outcome.passes,
            seconds=round(outcome.seconds, 3),
        )


def _rows(config: Objective1Config, unit: Unit, explained: Explained, outcome: Outcome) -> list[dict[str, Any]]:
    """One tidy row a sample; passes and seconds are a sample's share."""
    cell, metadata, count = unit.place.cell, explained.metadata, len(explained.batch)
    shared = {
        "study": STUDY,
        "modality": cell.modality,
        "dataset": metadata["dataset"],
        "stand_in_for": metadata["stand_in_for"],
        "split": metadata["split"],
        "model": cell.wanted.architecture,
        "training_seed": cell.wanted.training.seed,
        "checkpoint": metadata["checkpoint"],
        "domain": cell.domain.name,
        "resolution": cell.wanted.resolution,
        "method": unit.method,
        "map_passes": explainer(unit.method, cell.baseline).passes(explained.batch.inputs) // count,
        "metric": unit.metric_name,
        "baseline": cell.baseline.name,
        "seed": config.metric_seed,
        "passes": outcome.passes // count,
        "seconds": outcome.seconds / count,
    }
    return [
        shared
        | {
            "sample": metadata["ids"][row],
            "speaker": metadata["speakers"][row],
            "label": int(explained.labels[row]),
            "prediction": int(explained.batch.targets[row]),
            "score": float(outcome.scores[row]),
        }
        for row in range(count)
    ]
