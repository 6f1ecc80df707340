"""First stage: train what has no checkpoint, choose test samples, explain them with every method."""

import time
from pathlib import Path

import torch
from torch import Tensor

from audio_xai.datasets import Dataset, summary_of_skipped
from audio_xai.models import checkpoints
from audio_xai.models.front_end import Classifier
from audio_xai.studies.models import dataset_of, ensure_model
from audio_xai.studies.objective1.config import Objective1Config
from audio_xai.studies.objective1.plan import Modality, Paths, cells, paths
from audio_xai.utils.errors import UserError
from audio_xai.utils.hardware import inputs_per_call, select_device, slices
from audio_xai.utils.progress import bar
from audio_xai.utils.seeding import generator
from audio_xai.xai_methods import explainer


def explain(config: Objective1Config, modality: Modality) -> list[Path]:
    """Explain every cell of one modality and return the places of all attributions."""
    device = select_device(config.device)
    planned = cells(config, modality)
    made = []
    with bar(len(planned) * len(config.methods), f"{modality} explanations", "map set") as progress:
        for cell in planned:
            model, card = ensure_model(cell.wanted, Path(config.checkpoints), device)
            place = paths(config, cell)
            if not place.inputs().exists():
                _save_inputs(place, model, card, device)
            for method in config.methods:
                progress.set_postfix_str(f"{cell.label()} {method}")
                if not place.attributions(method).exists():
                    _save_attributions(place, model, method, device)
                made.append(place.attributions(method))
                progress.update(1)
    return made


def chosen(test: Dataset, count: int, sample_seed: int) -> Tensor:
    """Positions ``(count,)`` of the test samples that one training seed's models explain.

    Consecutive stretches of one seeded shuffle, so that different training seeds meet different samples as long as the
    test part suffices.

    Raises
    ------
    UserError
        If the test part holds fewer samples.
    """
    if count > len(test):
        raise UserError(
            f"samples_per_seed is {count} but the test part of {test.name} holds {len(test)} samples; ask for fewer"
        )
    order = torch.randperm(len(test), generator=generator("explained samples", test.name, test.split_name))
    return order[(sample_seed * count + torch.arange(count)) % len(test)]


def _save_inputs(place: Paths, model: Classifier, card: checkpoints.Card, device: torch.device) -> None:
    """Store what is explained: inputs in the model's domain, labels, predictions and who speaks."""
    cell = place.cell
    dataset = dataset_of(cell.wanted)
    if dataset.skipped:
        place.store.log("skipped files", dataset=dataset.name, summary=summary_of_skipped(dataset.skipped))
    test = dataset.part("test")
    rows = chosen(test, cell.samples, cell.sample_seed)
    with torch.inference_mode():
        inputs = _in_domain(model, test.inputs[rows], device)
        predictions = torch.cat([model.body(inputs[part]) for part in slices(len(inputs), 64)]).argmax(1)
    place.store.save_tensors(
        place.inputs(),
        {"inputs": inputs, "labels": test.labels[rows], "predictions": predictions},
        {
            "ids": [test.ids[row] for row in rows.tolist()],
            "speakers": [test.speakers[row] for row in rows.tolist()],
            "dataset": dataset.name,
            "stand_in_for": dataset.stand_in_for,
            "split": dataset.split_name,
            "class_names": list(dataset.class_names),
            "checkpoint": card.weights_sha256,
            "skipped": [f"{skipped.path}: {skipped.reason}" for skipped in dataset.skipped],
        },
    )


def _in_domain(model: Classifier, recorded: Tensor, device: torch.device) -> Tensor:
    size = inputs_per_call(recorded[0].numel(), device)
    return torch.cat([model.front_end(recorded[rows].to(device)) for rows in slices(len(recorded), size)])


def _save_attributions(place: Paths, model: Classifier, method: str, device: torch.device) -> None:
    tensors, _ = place.store.load_tensors(place.inputs())
    started = time.perf_counter()
    attributions = explainer(method, place.cell.baseline)(
        model.body, tensors["inputs"].to(device), tensors["predictions"].to(device)
    )
    seconds = time.perf_counter() - started
    place.store.save_tensors(
        place.attributions(method), {"attributions": attributions}, {"method": method, "seconds": round(seconds, 4)}
    )
    place.store.log("explained", cell=place.cell.label(), method=method, seconds=round(seconds, 3))
