"""Samples to look at: their maps with the change of the score and how far the maps are from adding up to it."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from audio_xai.baselines import Baseline
from audio_xai.core import target_scores
from audio_xai.report.figures import INPUT, Overlay
from audio_xai.report.style import number
from audio_xai.studies.models import load_model
from audio_xai.studies.objective1.comparison import overlays_of, shown_cells
from audio_xai.studies.objective1.config import Objective1Config
from audio_xai.studies.objective1.plan import paths
from audio_xai.studies.objective2.adapted import SHOWN
from audio_xai.studies.objective2.config import Objective2Config
from audio_xai.studies.objective2.plan import cells, methods_of, place_of, told_in

# Methods of Objective 1 whose maps add up to the change of the score.
COMPLETE = ("integrated_gradients", "deep_lift")
ALONE = "integrated_gradients"


def objective1_overlays(config: Objective1Config, clips: int) -> dict[str, Overlay]:
    """Pages' names → overlays of the first samples of each modality, for audio also one map alone."""
    named: dict[str, Overlay] = {}
    for cell in shown_cells(config):
        model, _ = load_model(paths(config, cell).weights, cell.wanted, torch.device("cpu"))
        for place, overlay in enumerate(overlays_of(config, cell, clips), start=1):
            whole = noted(overlay, model.body, cell.baseline)
            named[f"o1_overlay_{cell.modality}_{place}"] = whole
            if ALONE in whole.attributions and cell.modality == "audio":
                alone = {ALONE: whole.attributions[ALONE]}
                named[f"o1_overlay_{cell.modality}_{place}_column"] = replace(whole, attributions=alone)
    return named


def objective2_overlays(config: Objective2Config, clips: int, best: str | None) -> dict[str, Overlay]:
    """Pages' names → overlays of the first clips of different digits, with the maps of the largest budget."""
    cell = next(cell for cell in cells(config) if cell.material == "clips")
    place, domain = place_of(config, cell), cell.domain
    tensors, metadata = place.store.load_tensors(place.inputs())
    wanted = {*SHOWN, best}
    largest = {method.name: method for method in methods_of(config, cell) if method.name in wanted}
    maps = {
        name: place.store.load_tensors(place.attributions(method))[0]
        for name, method in largest.items()
        if told_in(cell, method) == domain
    }
    rows, columns = domain.axes()
    first: dict[int, int] = {}
    for row, label in enumerate(tensors["labels"].tolist()):
        first.setdefault(label, row)
    stand_in = f" (STAND-IN for {metadata['stand_in_for']})" if metadata["stand_in_for"] else ""
    names = metadata["class_names"]
    return {
        f"o2_overlay_{position}": Overlay(
            title=f"{metadata['dataset']}{stand_in}: digit {names[label]}, speaker {metadata['speakers'][row]}, "
            f"predicted {names[int(tensors['predictions'][row])]}",
            inputs=tensors["levels"][row, 0].numpy(),
            attributions={name: one["attributions"][row, 0].numpy() for name, one in maps.items()},
            row_axis=(rows.name, rows.unit, rows.coordinates),
            column_axis=(columns.name, columns.unit, columns.coordinates),
            value_unit=domain.unit,
            notes={name: _change_and_gap(one, row) for name, one in maps.items() if "change" in one},
        )
        for position, (label, row) in enumerate(list(first.items())[:clips], start=1)
    }


def noted(overlay: Overlay, body: nn.Module, baseline: Baseline) -> Overlay:
    """The overlay with ΔF under the input and the completeness gap under the maps of complete methods."""
    change = change_of_score(body, torch.from_numpy(overlay.inputs)[None, None], baseline)
    notes = {
        method: f"gap {gap_text(float(attributions.astype('float64').sum()), change)}"
        for method, attributions in overlay.attributions.items()
        if method in COMPLETE
    }
    return replace(overlay, notes=notes | {INPUT: f"ΔF = {number(change)}"})


def change_of_score(body: nn.Module, inputs: Tensor, baseline: Baseline) -> float:
    """Logit of the predicted class of one input ``(1, 1, rows, columns)`` minus that of its baseline."""
    with torch.inference_mode():
        targets = body(inputs).argmax(1)
        return float(target_scores(body, inputs, targets) - target_scores(body, baseline(inputs), targets))


def gap_text(total: float, change: float) -> str:
    """|ΣA − ΔF| / |ΔF| in per cent; ``undefined`` where nothing changed."""
    return "undefined" if change == 0 else f"{100 * abs(total - change) / abs(change):.1f} %"


def _change_and_gap(found: Mapping[str, Tensor], row: int) -> str:
    """Adaptations start from different baselines, so each has a ΔF of its own."""
    change, total = float(found["change"][row]), float(found["attributions"][row].double().sum())
    return f"ΔF = {number(change)}, gap {gap_text(total, change)}"
