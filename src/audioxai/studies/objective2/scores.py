"""Second stage: score every attribution under two removals, by faithfulness, complexity and ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.metrics.batch import Batch, PassMetric, begin
from audioxai.metrics.complexity import Complexity, Sparseness
from audioxai.metrics.engine import Outcome, run
from audioxai.metrics.faithfulness import FaithfulnessCorrelation, ResynthesisFaithfulness
from audioxai.metrics.faithfulness.ranking import ranks_cells
from audioxai.metrics.localisation import PointingGame, RelevanceMass, RelevanceRank
from audioxai.studies.models import load_model
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.explanations import training_waveforms
from audioxai.studies.objective2.parts import own_cells
from audioxai.studies.objective2.plan import STUDY, Cell, Method, Place, methods_of, place_of, told_in
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import select_device
from audioxai.utils.progress import bar

REMOVALS = ("removal_silence", "removal_noise")
WORST_REMOVAL = "removal_worst"
GAP = "completeness_gap"
LOCALISATION: dict[str, PassMetric] = {
    "relevance_rank": RelevanceRank(),
    "relevance_mass": RelevanceMass(),
    "pointing_game": PointingGame(),
}


@dataclass(frozen=True)
class Scorers:
    """What judges one method's attributions of one kind of clips.

    Attributes
    ----------
    removal : ResynthesisFaithfulness or None
        By what is left of the sounds, through the whole model; the worst removal of each clip counts.
    levels : tuple of (name, PassMetric)
        By what the model's body sees; each with the name under which its scores are stored.
    """

    removal: ResynthesisFaithfulness | None
    levels: tuple[tuple[str, PassMetric], ...]


@dataclass(frozen=True)
class Unit:
    """Work of one method in one cell."""

    place: Place
    method: Method
    scorers: Scorers
    path: Path
    curves: Path


@dataclass(frozen=True, eq=False)
class Explained:
    """One cell's clips as the model hears and as its body sees them, with what was stored beside them."""

    sounds: Batch
    levels: Batch
    labels: Tensor
    predictions: Tensor
    metadata: dict[str, Any]


@lru_cache(maxsize=64)
def removals_of(config: Objective2Config, cell: Cell) -> tuple[Baseline, Baseline]:
    """Silence, and noise with the spectrum of the training clips at the stated ratio below each clip."""
    training = training_waveforms(cell, config.references)
    return Silence(cell.recorded), SpeechShapedNoise.of(training, config.removal_snr_db, config.metric_seed)


def scorers_of(config: Objective2Config, cell: Cell, method: Method) -> Scorers:
    """What judges a method's attributions of the clips of a cell."""
    if cell.material != "clips":
        return Scorers(None, tuple(LOCALISATION.items()))
    removal = ResynthesisFaithfulness(
        told_in(cell, method), cell.stft, removals_of(config, cell), config.curve_steps, config.metric_seed
    )
    return Scorers(removal, () if method.of_waveforms else _level_scorers(config, cell))


def _level_scorers(config: Objective2Config, cell: Cell) -> tuple[tuple[str, PassMetric], ...]:
    silence = Silence(cell.domain)
    by_patch = {
        f"faithfulness_correlation_{patch}": FaithfulnessCorrelation(
            silence, runs=config.faithfulness_runs, patch=patch, seed=config.metric_seed
        )
        for patch in config.faithfulness_patches
    }
    return (*by_patch.items(), ("sparseness", Sparseness()), ("complexity", Complexity()))


def explained_cells(config: Objective2Config) -> list[Cell]:
    """All cells of this process's part.

    Raises
    ------
    UserError
        If the attributions of one are missing.
    """
    planned = own_cells(config)
    for cell in planned:
        place = place_of(config, cell)
        due = (place.inputs(), *map(place.attributions, methods_of(config, cell))) if place.trained else ()
        if not due or not all(path.exists() for path in due):
            raise UserError(
                f"{cell.label()} has not been explained in profile {config.profile}; run "
                "experiments/objective2/audio_adapted_ig.py with the same options first"
            )
    return planned


def units(config: Objective2Config, cell: Cell) -> list[Unit]:
    """All work in one cell."""
    place = place_of(config, cell)
    return [
        Unit(place, method, scorers, place.scores(method, scorers), place.curves(method, scorers))
        for method in methods_of(config, cell)
        for scorers in (scorers_of(config, cell, method),)
    ]


def compute(config: Objective2Config) -> list[Path]:
    """Score everything that has been explained in this process's part and return the places of its shards.

    Raises
    ------
    UserError
        If a cell has not been explained yet.
    """
    device = select_device(config.device)
    planned = [(cell, units(config, cell)) for cell in explained_cells(config)]
    left = [(cell, [unit for unit in work if not unit.path.exists()]) for cell, work in planned]
    with bar(sum(passes_of(unit) for _, work in left for unit in work), "metrics", "pass") as progress:
        for cell, due in left:
            if due:
                progress.set_postfix_str(cell.label())
                _score(config, cell, due, device, progress)
    return [unit.path for _, work in planned for unit in work]


def passes_of(unit: Unit) -> int:
    """Model passes that a unit's metrics take by themselves, those that methods share included."""
    cell, body = unit.place.cell, torch.nn.Identity()
    sounds = torch.empty(cell.count, 1, *cell.recorded.shape, device="meta")
    levels = torch.empty(cell.count, 1, *cell.domain.shape, device="meta")
    removal = unit.scorers.removal
    by_sound = 0 if removal is None else removal.passes(body, sounds)
    return by_sound + sum(metric.passes(body, levels) for _, metric in unit.scorers.levels)


def explained(config: Objective2Config, cell: Cell, device: torch.device) -> Explained:
    """What one cell explained, ready to be judged."""
    place = place_of(config, cell)
    model, card = load_model(place.weights, cell.wanted, device)
    tensors, metadata = place.store.load_tensors(place.inputs())
    on_device = {name: tensor.to(device) for name, tensor in tensors.items()}
    return Explained(
        sounds=Batch(model, on_device["waveforms"], on_device["targets"]),
        levels=Batch(model.body, on_device["levels"], on_device["targets"], on_device.get("masks")),
        labels=tensors["labels"],
        predictions=tensors["predictions"],
        metadata=metadata | {"checkpoint": card.weights_sha256},
    )


def _score(config: Objective2Config, cell: Cell, due: list[Unit], device: torch.device, progress: Any) -> None:
    """Carry out units of one cell, passes that they share once, and store each as soon as it is done."""
    clips = explained(config, cell, device)
    for unit in due:
        tensors, made = unit.place.store.load_tensors(unit.place.attributions(unit.method))
        outcomes = _outcomes(unit, clips, tensors["attributions"].to(device), progress)
        if "change" in tensors:
            outcomes[GAP] = _gap(tensors, made)
        shared = _shared_columns(config, cell, unit, clips.metadata, made)
        # Rows last: where they are, the unit is done.
        unit.place.store.save_rows(unit.path, _rows(shared, clips, outcomes))
        unit.place.store.log("scored", cell=cell.label(), method=unit.method.name, gradients=unit.method.gradients)


def _outcomes(unit: Unit, clips: Explained, attributions: Tensor, progress: Any) -> dict[str, Outcome]:
    """Scores of one unit by metric; the curves under the removals go into the store."""
    removal, levels = unit.scorers.removal, unit.scorers.levels
    on_levels = [begin(metric, clips.levels, attributions) for _, metric in levels]
    if removal is None:
        return dict(zip((name for name, _ in levels), run(on_levels, progress.update), strict=True))
    removal.check(clips.sounds, attributions)
    curves, *others = run([removal.tracing(clips.sounds, attributions), *on_levels], progress.update)
    fractions = removal.fractions.to(curves.scores.device)
    unit.place.store.save_tensors(unit.curves, {"curves": curves.scores, "fractions": fractions}, {})
    return _by_removal(curves, fractions, attributions) | dict(zip((name for name, _ in levels), others, strict=True))


def _by_removal(curves: Outcome, fractions: Tensor, attributions: Tensor) -> dict[str, Outcome]:
    """Insertion minus deletion under each removal and under the worst one of every clip."""
    areas = torch.trapezoid(curves.scores, fractions)
    scores = torch.where(ranks_cells(attributions)[:, None], areas[..., 0] - areas[..., 1], torch.nan)
    named = dict(zip(REMOVALS, scores.unbind(1), strict=True)) | {WORST_REMOVAL: scores.amin(1)}
    return {name: Outcome(values, curves.passes, curves.seconds) for name, values in named.items()}


def _gap(tensors: Mapping[str, Tensor], made: Mapping[str, Any]) -> Outcome:
    """|ΣA − ΔF| / |ΔF| as it was when the attributions were made."""
    total, change = tensors["attributions"].double().flatten(1).sum(1), tensors["change"].double()
    return Outcome((total - change).abs() / change.abs(), made["passes"] * len(total), made["seconds"])


def _shared_columns(
    config: Objective2Config, cell: Cell, unit: Unit, metadata: Mapping[str, Any], made: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "study": STUDY,
        "modality": "audio",
        "dataset": metadata["dataset"],
        "stand_in_for": metadata["stand_in_for"],
        "split": metadata["split"],
        "model": cell.wanted.architecture,
        "training_seed": cell.wanted.training.seed,
        "checkpoint": metadata["checkpoint"],
        "domain": told_in(cell, unit.method).name,
        "resolution": cell.wanted.resolution,
        "method": unit.method.name,
        "map_passes": made["passes"],
        "baseline": "silence",
        "seed": config.metric_seed,
    }


def _rows(shared: Mapping[str, Any], clips: Explained, outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """One tidy row a clip and metric; passes and seconds are a clip's share."""
    count = len(clips.labels)
    scores = {name: outcome.scores.tolist() for name, outcome in outcomes.items()}
    return [
        dict(shared)
        | {
            "metric": name,
            "sample": clips.metadata["ids"][row],
            "speaker": clips.metadata["speakers"][row],
            "label": int(clips.labels[row]),
            "prediction": int(clips.predictions[row]),
            "score": scores[name][row],
            "passes": outcome.passes // count,
            "seconds": outcome.seconds / count,
        }
        for name, outcome in outcomes.items()
        for row in range(count)
    ]
