"""Result sets in which everything is known: made of synthetic rows, with explained cells in a folder of their own."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from audioxai.domains import LogMel, Pixels
from audioxai.registry import MethodEntry, MetricEntry
from audioxai.results import ExplainedCell, ResultSet, Store
from helpers.synthetic_rows import make_rows

METHODS = {
    "saliency": "Saliency",
    "input_x_gradient": "Input × gradient",
    "integrated_gradients": "Integrated Gradients",
    "guided_grad_cam": "Guided Grad-CAM",
    "deep_lift": "DeepLift",
    "occlusion": "Occlusion",
    "energy": "Energy (control)",
    "random": "Random (control)",
}
METRICS: dict[str, tuple[str, str, bool | None]] = {
    "faithfulness_correlation": ("Faithfulness correlation", "Faithfulness", True),
    "average_sensitivity": ("Average sensitivity", "Sensitivity", False),
    "sparseness": ("Sparseness", "Sparseness", None),
    "random_logit": ("Random logit (SSIM)", "Random logit", False),
    "mprt": ("Parameter randomisation (MPRT)", "MPRT", False),
}
CONTROLS = ("energy", "random")
COMPLETE = ("integrated_gradients", "deep_lift")
CONTEXT = {"command": "make demo", "profile": "quick", "commit": "0123abc"}
RATE_HZ = 8_000


def method_entries(names: Sequence[str] = tuple(METHODS)) -> dict[str, MethodEntry]:
    return {
        name: MethodEntry(
            name=name,
            make=dict,
            label=METHODS.get(name, name.replace("_", " ").capitalize()),
            family="controls" if name in CONTROLS else name,
            role="control" if name in CONTROLS else "method",
            complete=name in COMPLETE,
        )
        for name in names
    }


def metric_entries(directions: Mapping[str, bool | None] | None = None) -> dict[str, MetricEntry]:
    known = {name: higher for name, (_, _, higher) in METRICS.items()} if directions is None else directions
    return {
        name: MetricEntry(
            name=name,
            make=dict,
            label=METRICS.get(name, (name.replace("_", " ").capitalize(),))[0],
            short=METRICS[name][1] if name in METRICS else "",
            higher_is_better=higher,
        )
        for name, higher in known.items()
    }


def result_set(rows: pd.DataFrame | None = None, **changes: Any) -> ResultSet:
    """Objective 1 on synthetic rows, ``make_rows()`` if none are given."""
    found = make_rows() if rows is None else rows
    methods = [name for name in METHODS if name in set(found["method"])]
    settings: dict[str, Any] = {
        "study": "objective1",
        "title": "Objective 1: explanations of audio spectrograms and of images",
        "question": "How do the explanation methods do on audio?",
        "profile": "quick",
        "rows": found,
        "methods": method_entries([*methods, *sorted(set(found["method"]) - set(methods))]),
        "metrics": metric_entries(),
        "models": tuple(cards(found)),
        "context": CONTEXT,
    }
    return ResultSet(**(settings | changes))


def cards(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """A card per model that the rows name."""
    keys = ["modality", "dataset", "stand_in_for", "split", "model", "resolution", "training_seed"]
    found = rows[keys].drop_duplicates().sort_values(["modality", "resolution", "training_seed"]).to_dict("records")
    return [
        {
            "dataset": one["dataset"],
            "stand_in_for": None if pd.isna(one["stand_in_for"]) else one["stand_in_for"],
            "split": one["split"],
            "architecture": one["model"],
            "resolution": one["resolution"],
            "seed": one["training_seed"],
            "accuracy": {"train": 0.999, "validation": 0.98, "test": 0.975},
            "samples": {"train": 800, "validation": 100, "test": 1200},
            "class_names": [str(digit) for digit in range(10)],
            "config": {"epochs": 12},
            "epochs_run": 12,
            "seconds": 61.2,
            "data_fingerprint": "f" * 16,
            "weights_sha256": "a" * 64,
            "git_commit": "0123abc",
            "cues": False,
            "cue_reliance": None,
            "groups": groups() if one["modality"] == "audio" else [],
            "data": data_facts(one),
        }
        for one in found
    ]


def groups() -> list[dict[str, Any]]:
    return [
        {"attribute": "gender", "value": "female", "groups": 2, "clips": 800, "correct": 790},
        {"attribute": "gender", "value": "male", "groups": 1, "clips": 60, "correct": 54},
        {"attribute": "speaker", "value": "s00", "groups": 1, "clips": 400, "correct": 400},
        {"attribute": "speaker", "value": "s01", "groups": 1, "clips": 400, "correct": 380},
        {"attribute": "speaker", "value": "s02", "groups": 1, "clips": 400, "correct": 390},
    ]


def data_facts(one: Mapping[Hashable, Any]) -> dict[str, Any]:
    audio = one["modality"] == "audio"
    return {
        "name": one["dataset"],
        "split": one["split"],
        "stand_in_for": None if pd.isna(one["stand_in_for"]) else one["stand_in_for"],
        "group_disjoint": True if audio else None,
        "samples": {"train": 800, "validation": 100, "test": 1200},
        "groups": {"train": 4, "validation": 1, "test": 1} if audio else {},
        "attributes": {"gender": {"female": 2, "male": 4}} if audio else {},
        "form": "mono waveform of 1 s at 8,000 Hz in [−1, 1]" if audio else "image of 28 × 28 pixels in [0, 1]",
        "skipped": ["broken.wav: no sound"] if audio else [],
        "fingerprint": "f" * 16,
        "label": one["dataset"],
        "description": "spoken digits" if audio else "handwritten digits",
        "origin": "somebody 2018",
        "licence": "CC BY-SA 4.0",
        "root": "data",
    }


def audio_cell(
    folder: Path, methods: Sequence[str] = ("saliency", "integrated_gradients", "random"), sign: float | None = None
) -> ExplainedCell:
    """Three recordings on a log-mel grid of 16 × 24, explained; all attributions have ``sign`` if one is given."""
    domain = LogMel(RATE_HZ, duration_s=1.0, bands=16, frames=24)
    times = torch.arange(RATE_HZ) / RATE_HZ
    waveforms = torch.stack([0.4 * torch.sin(2 * torch.pi * pitch * times) for pitch in (200.0, 600.0, 1500.0)])[
        :, None
    ]
    inputs = domain.analysis(waveforms)
    return _cell(folder, "audio", "fsdd", domain, inputs, methods, {"waveforms": waveforms}, RATE_HZ, "speaker", sign)


def image_cell(folder: Path, methods: Sequence[str] = ("saliency", "integrated_gradients", "random")) -> ExplainedCell:
    """Three images of 8 × 8 pixels, explained."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(3, 1, 8, 8, generator=generator)
    return _cell(folder, "image", "mnist", Pixels(8, 8), inputs, methods, {}, None, None)


def _cell(
    folder: Path,
    modality: str,
    dataset: str,
    domain: Any,
    inputs: torch.Tensor,
    methods: Sequence[str],
    more: Mapping[str, torch.Tensor],
    rate_hz: int | None,
    group_name: str | None,
    sign: float | None = None,
) -> ExplainedCell:
    store, generator = Store(folder, "objective1"), torch.Generator().manual_seed(1)
    labels = torch.tensor([7, 3, 1])
    tensors = {"inputs": inputs, "labels": labels, "predictions": labels.clone(), "targets": labels.clone(), **more}
    groups = ["theo", "theo", "lucas"] if group_name else [None] * 3
    place = store.tensors_path(modality, "inputs")
    store.save_tensors(place, tensors, {"ids": ["a", "b", "c"], "groups": groups})
    configuration = {"name": type(domain).__name__, **{name: getattr(domain, name) for name in domain.__match_args__}}
    files: dict[str, Any] = {"inputs": str(place.relative_to(folder)), "attributions": {}, "curves": {}}
    for method in methods:
        maps = torch.randn(inputs.shape, generator=generator)
        maps = maps if sign is None else sign * maps.abs()
        stored = {"attributions": maps}
        if method in COMPLETE:
            stored["change"] = maps.flatten(1).sum(1) * 1.004
        place = store.tensors_path(modality, method)
        store.save_tensors(place, stored, {"domain": configuration, "passes": 32, "seconds": 0.5})
        files["attributions"][method] = {"0": str(place.relative_to(folder))}
    return ExplainedCell(
        material="clips",
        modality=modality,
        dataset=dataset,
        stand_in_for=None,
        split="fold 1",
        model="small_cnn",
        resolution=inputs.shape[2],
        training_seed=0,
        class_names=tuple(str(digit) for digit in range(10)),
        domain=domain,
        sample_rate_hz=rate_hz,
        group_name=group_name,
        budgets=dict.fromkeys(methods, (0,)),
        _root=folder,
        _files=files,
    )
