"""Explained samples to look at and to hear: inputs, maps, ΔF and completeness, and sounds."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import target_scores
from audioxai.datasets import DATASETS
from audioxai.domains import Domain
from audioxai.listening import Heard, SoftMask, loudness_matched, separate
from audioxai.report.figures import Overlay
from audioxai.report.style import number
from audioxai.studies.models import dataset_of, load_model
from audioxai.studies.objective1 import plan as objective1
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective2 import plan as objective2
from audioxai.studies.objective2.config import Objective2Config
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices

# Methods of Objective 1 whose maps add up to the change of the score.
COMPLETE = ("integrated_gradients", "deep_lift")
CALL_SIZE = 64


@dataclass(frozen=True, eq=False)
class Gallery:
    """Samples that one model explained.

    Attributes
    ----------
    name : str
        Dataset, resolution, model and training seed; stand-ins are named as such.
    titles : tuple of str
        One a sample.
    domain : Domain
        Where inputs and maps live.
    inputs : Tensor
        ``(samples, 1, *domain.shape)``.
    maps : mapping of str to Tensor
        Method → attributions ``(samples, 1, *domain.shape)``.
    changes : mapping of str to Tensor
        Method → what its attributions should add up to, ``(samples,)``; methods that claim to be complete only.
    waveforms : callable or None
        Returns the recordings ``(samples, 1, time)``; None for images.
    """

    name: str
    titles: tuple[str, ...]
    domain: Domain
    inputs: Tensor
    maps: Mapping[str, Tensor]
    changes: Mapping[str, Tensor]
    waveforms: Callable[[], Tensor] | None

    def overlay(self, sample: int, methods: Collection[str] | None = None) -> Overlay:
        """One sample's input and maps, of all methods if none are named.

        Raises
        ------
        UserError
            If there is no such sample or method.
        """
        chosen = list(self.maps) if methods is None else list(methods)
        for method in chosen:
            self._require(sample, method)
        rows, columns = self.domain.axes()
        return Overlay(
            title=self.titles[sample],
            inputs=self.inputs[sample, 0].numpy(),
            attributions={method: self.maps[method][sample, 0].numpy() for method in chosen},
            row_axis=(rows.name, rows.unit, rows.coordinates),
            column_axis=(columns.name, columns.unit, columns.coordinates),
            value_unit=self.domain.unit,
            notes={method: self._note(sample, method) for method in chosen if method in self.changes},
        )

    def heard(self, sample: int, method: str) -> Heard:
        """One recording, what a method keeps of it and what it removes, all as loud as the recording.

        Raises
        ------
        UserError
            If there is no such sample or method, or the samples are no sounds.
        """
        self._require(sample, method)
        if self.waveforms is None:
            raise UserError(f"{self.name} is made of images; choose recordings to listen to")
        waveform = self.waveforms()[sample : sample + 1]
        return loudness_matched(separate(waveform, self.maps[method][sample : sample + 1], SoftMask(self.domain)))

    def of_different_titles(self, count: int) -> list[int]:
        """The first ``count`` samples that are titled differently."""
        first: dict[str, int] = {}
        for sample, title in enumerate(self.titles):
            first.setdefault(title, sample)
        return list(first.values())[:count]

    def _note(self, sample: int, method: str) -> str:
        change, total = float(self.changes[method][sample]), float(self.maps[method][sample].double().sum())
        gap = "undefined" if change == 0 else f"{100 * abs(total - change) / abs(change):.1f} %"
        return f"ΔF = {number(change)}, gap {gap}"

    def _require(self, sample: int, method: str) -> None:
        if not 0 <= sample < len(self.titles):
            raise UserError(f"sample is {sample} but {self.name} holds {len(self.titles)}; give 0 to the last")
        if method not in self.maps:
            raise UserError(f"method is {method!r}; choose among {', '.join(self.maps)}")


Open = Callable[[], Gallery]


def objective1_galleries(config: Objective1Config) -> dict[str, Open]:
    """Name → how to open it, for every model of Objective 1 that has explained its samples, audio first."""
    planned = [cell for modality in ("audio", "image") for cell in objective1.cells(config, modality)]
    return {
        f"Objective 1: {_labelled(cell)}": partial(objective1_gallery, config, cell)
        for cell in planned
        if objective1.paths(config, cell).explained_by(config.methods)
    }


def objective1_gallery(config: Objective1Config, cell: objective1.Cell) -> Gallery:
    """What one model of Objective 1 explained; ΔF is asked of the model anew."""
    place = objective1.paths(config, cell)
    tensors, metadata = place.store.load_tensors(place.inputs())
    maps = {
        method: place.store.load_tensors(place.attributions(method))[0]["attributions"] for method in config.methods
    }
    model, _ = load_model(place.weights, cell.wanted, torch.device("cpu"))
    change = changes_of_score(model.body, tensors["inputs"], tensors["predictions"], cell.baseline)
    return Gallery(
        name=f"{_named(metadata)}, {cell.wanted.resolution} × {cell.wanted.resolution}, seed "
        f"{cell.wanted.training.seed}",
        titles=_titles(tensors, metadata),
        domain=cell.domain,
        inputs=tensors["inputs"],
        maps=maps,
        changes={method: change for method in COMPLETE if method in maps},
        waveforms=None if cell.modality == "image" else lambda: _recorded(cell, metadata["ids"]),
    )


def objective2_galleries(config: Objective2Config) -> dict[str, Open]:
    """Name → how to open it, for every model of Objective 2 with every kind of clips that it has explained."""
    return {
        f"Objective 2: {_labelled(cell)}": partial(objective2_gallery, config, cell)
        for cell in objective2.cells(config)
        if _explained(config, cell)
    }


def objective2_gallery(
    config: Objective2Config, cell: objective2.Cell, methods: Collection[str] | None = None
) -> Gallery:
    """What one model of Objective 2 explained in the domain that it sees, with the maps of the largest budget.

    Only ``methods`` are read from the store where they are named.
    """
    place = objective2.place_of(config, cell)
    tensors, metadata = place.store.load_tensors(place.inputs())
    largest = {method.name: method for method in objective2.methods_of(config, cell)}
    found = {
        name: place.store.load_tensors(place.attributions(method))[0]
        for name, method in largest.items()
        if objective2.told_in(cell, method) == cell.domain and (methods is None or name in methods)
    }
    return Gallery(
        name=f"{_named(metadata)}, {cell.wanted.architecture}, seed {cell.wanted.training.seed}",
        titles=_titles(tensors, metadata),
        domain=cell.domain,
        inputs=tensors["levels"],
        maps={name: one["attributions"] for name, one in found.items()},
        changes={name: one["change"] for name, one in found.items() if "change" in one},
        waveforms=lambda: tensors["waveforms"],
    )


def changes_of_score(body: nn.Module, inputs: Tensor, targets: Tensor, baseline: Baseline) -> Tensor:
    """Logits ``(samples,)`` of the targets, minus those of the baseline in place of the inputs."""
    with torch.inference_mode():
        parts = [
            target_scores(body, inputs[part], targets[part])
            - target_scores(body, baseline(inputs[part]), targets[part])
            for part in slices(len(inputs), CALL_SIZE)
        ]
    return torch.cat(parts)


def _explained(config: Objective2Config, cell: objective2.Cell) -> bool:
    place = objective2.place_of(config, cell)
    return place.trained and all(
        path.exists()
        for path in (place.inputs(), *(place.attributions(method) for method in objective2.methods_of(config, cell)))
    )


def _labelled(cell: objective1.Cell | objective2.Cell) -> str:
    stood = DATASETS[cell.wanted.dataset].stand_in_for
    return cell.label() + (f" (STAND-IN for {stood})" if stood else "")


def _recorded(cell: objective1.Cell, ids: list[str]) -> Tensor:
    test = dataset_of(cell.wanted).part("test")
    places = {name: row for row, name in enumerate(test.ids)}
    return test.inputs[torch.tensor([places[name] for name in ids])]


def _named(metadata: Mapping[str, Any]) -> str:
    stood = metadata["stand_in_for"]
    return str(metadata["dataset"]) + (f" (STAND-IN for {stood})" if stood else "")


def _titles(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> tuple[str, ...]:
    names, data = metadata["class_names"], _named(metadata)
    told = zip(tensors["labels"].tolist(), tensors["predictions"].tolist(), metadata["speakers"], strict=True)
    return tuple(
        f"{data}: class {names[label]}"
        + ("" if speaker is None else f", speaker {speaker}")
        + f", predicted {names[prediction]}"
        for label, prediction, speaker in told
    )
