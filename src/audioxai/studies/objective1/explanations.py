"""First stage: train what has no checkpoint, choose test samples, explain them with every method."""

import time
from pathlib import Path

import torch

from audioxai.datasets import summary_of_skipped
from audioxai.models import checkpoints
from audioxai.models.front_end import Classifier
from audioxai.studies.models import dataset_of, ensure_model
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective1.plan import Modality, Paths, own_cells, paths
from audioxai.studies.samples import chosen, in_domain, predicted
from audioxai.utils.hardware import select_device
from audioxai.utils.progress import bar
from audioxai.xai_methods import explainer


def explain(config: Objective1Config, modality: Modality) -> list[Path]:
    """Explain every cell of one modality, of this process's part of it, and return the places of all attributions."""
    device = select_device(config.device)
    planned = own_cells(config, modality)
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


def _save_inputs(place: Paths, model: Classifier, card: checkpoints.Card, device: torch.device) -> None:
    """Store what is explained: inputs in the model's domain, labels, predictions and who speaks."""
    cell = place.cell
    dataset = dataset_of(cell.wanted)
    if dataset.skipped:
        place.store.log("skipped files", dataset=dataset.name, summary=summary_of_skipped(dataset.skipped))
    test = dataset.part("test")
    rows = chosen(test, cell.samples, cell.sample_seed)
    with torch.inference_mode():
        inputs = in_domain(model, test.inputs[rows], device)
        predictions = predicted(model, inputs)
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
