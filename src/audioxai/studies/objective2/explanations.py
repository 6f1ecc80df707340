"""First stage: train what has no checkpoint, choose clips, explain them by every adaptation at every budget."""

import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.datasets import Dataset, summary_of_skipped
from audioxai.datasets.ground_truth import cue_reliance, plant
from audioxai.models import checkpoints
from audioxai.models.front_end import Classifier
from audioxai.studies.models import dataset_of, ensure_model, recordings_of
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.materials import MATERIALS, Material
from audioxai.studies.objective2.parts import own_cells
from audioxai.studies.objective2.plan import Cell, Method, Place, explainer_of, methods_of, place_of
from audioxai.studies.samples import chosen, in_domain, predicted
from audioxai.utils.hardware import finish, select_device
from audioxai.utils.progress import bar
from audioxai.utils.seeding import generator
from audioxai.xai_methods.combinations import Integrating


def explain(config: Objective2Config) -> list[Path]:
    """Explain the clips of every cell of this process's part and return the places of their attributions."""
    device = select_device(config.device)
    planned = [(cell, methods_of(config, cell)) for cell in own_cells(config)]
    made = []
    with bar(sum(len(methods) for _, methods in planned), "adapted explanations", "map set") as progress:
        for cell, methods in planned:
            model, card = ensure_model(cell.wanted, Path(config.checkpoints), device)
            place = place_of(config, cell)
            if not place.inputs().exists():
                _save_inputs(place, model, card, device)
            for method in methods:
                progress.set_postfix_str(f"{cell.label()} {method.name} {method.gradients}")
                if not place.attributions(method).exists():
                    _save_attributions(place, model, method, device)
                made.append(place.attributions(method))
                progress.update(1)
    return made


def training_waveforms(cell: Cell, count: int) -> Tensor:
    """Training clips ``(count, 1, time)`` chosen at random, all where there are fewer."""
    train = dataset_of(cell.wanted).part("train")
    order = torch.randperm(len(train), generator=generator("references", train.name, train.split_name))[:count]
    return train.inputs[order]


def training_levels(cell: Cell, model: Classifier, count: int, device: torch.device) -> Tensor:
    """Training clips ``(count, 1, *domain.shape)`` in the model's domain, on the CPU; what baselines learn from."""
    with torch.inference_mode():
        levels = in_domain(model, training_waveforms(cell, count), device).cpu()
    return levels.clone()


def material_of(cell: Cell) -> tuple[Material, Dataset]:
    """The clips that a cell explains, and the recordings they are made from."""
    recordings = recordings_of(cell.wanted)
    test = recordings.part("test")
    option = "clips_per_seed" if cell.material == "clips" else "ground_truth_per_seed"
    picked = test.rows(chosen(test, cell.count, cell.sample_seed, option))
    return MATERIALS[cell.material](picked), recordings


def _save_inputs(place: Place, model: Classifier, card: checkpoints.Card, device: torch.device) -> None:
    """Store what is explained: sounds, their levels, labels, targets, predictions and masks."""
    cell = place.cell
    material, recordings = material_of(cell)
    clips = material.clips
    if recordings.skipped:
        place.store.log("skipped files", dataset=recordings.name, summary=summary_of_skipped(recordings.skipped))
    with torch.inference_mode():
        levels = in_domain(model, clips.inputs, device)
        predictions = predicted(model, levels).cpu()
    tensors = {
        "waveforms": clips.inputs,
        "levels": levels,
        "labels": clips.labels,
        "predictions": predictions,
        "targets": (predictions if material.targets is None else material.targets).clone(),
    }
    if material.mask is not None:
        tensors["masks"] = material.mask(cell.domain)
    metadata = {
        "ids": list(clips.ids),
        "speakers": list(clips.speakers),
        "dataset": clips.name,
        "recordings": recordings.name,
        "stand_in_for": clips.stand_in_for,
        "split": clips.split_name,
        "class_names": list(clips.class_names),
        "checkpoint": card.weights_sha256,
        "skipped": [f"{skipped.path}: {skipped.reason}" for skipped in clips.skipped],
        "proof": _proof(cell, model, device),
    }
    place.store.save_tensors(place.inputs(), tensors, metadata)


def _proof(cell: Cell, model: Classifier, device: torch.device) -> dict[str, float]:
    """That a model of planted cues goes by them, as :class:`CueReliance` tells it; empty for other models."""
    if cell.wanted.cues is None:
        return {}
    cued = plant(recordings_of(cell.wanted).part("test"), cell.wanted.cues)
    return asdict(cue_reliance(lambda waveforms: model.eval()(waveforms.to(device)).cpu(), cued))


def _save_attributions(place: Place, model: Classifier, method: Method, device: torch.device) -> None:
    tensors, _ = place.store.load_tensors(place.inputs())
    targets = tensors["targets"].to(device)
    inputs = tensors["waveforms" if method.of_waveforms else "levels"].to(device)
    training = _training_inputs(place, model, method, device)
    explainer = explainer_of(place.cell, method, training, place.seed)
    started = time.perf_counter()
    made = _explained(explainer, model if method.of_waveforms else model.body, inputs, targets)
    finish(device)
    seconds = time.perf_counter() - started
    metadata: dict[str, Any] = {
        "method": method.name,
        "gradients": method.gradients,
        "passes": explainer.passes(inputs) // len(inputs),
        "seconds": round(seconds, 4),
    }
    place.store.save_tensors(place.attributions(method), made, metadata)
    place.store.log("explained", cell=place.cell.label(), **metadata)


def _explained(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Attributions and, where they claim to be complete, the change that they should add up to."""
    if not isinstance(explainer, Integrating):
        return {"attributions": explainer(model, inputs, targets)}
    integral = explainer.attribute(model, inputs, targets)
    return {"attributions": integral.attributions, "change": integral.change}


@lru_cache(maxsize=1)
def _kept_levels(place: Place, model: Classifier, device: torch.device) -> Tensor:
    return training_levels(place.cell, model, place.references, device)


def _training_inputs(place: Place, model: Classifier, method: Method, device: torch.device) -> Tensor:
    if method.of_waveforms:
        return training_waveforms(place.cell, place.references)
    return _kept_levels(place, model, device)
