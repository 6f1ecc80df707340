"""What the model card and the data card rest on: checkpoints, and how well their models do for whom."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from audioxai import datasets
from audioxai.datasets import Dataset, find_root, read_speaker_metadata
from audioxai.datasets.records import SPLITS
from audioxai.models import checkpoints
from audioxai.report.cards import DataEntry, Group, ModelEntry
from audioxai.studies.models import Wanted, dataset_of, load_model, recordings_of, weights_path
from audioxai.studies.samples import in_domain, predicted
from audioxai.utils.store import Store

STUDY = "report"
ATTRIBUTES = ("gender", "native speaker", "accent", "age")
NOT_TOLD = "not told"


def model_entries(wanted: Sequence[Wanted], checkpoints_folder: Path, results: Path) -> list[ModelEntry]:
    """One entry a trained model; test clips are predicted once and remembered in the store.

    Models of planted cues tell cues apart, not what is said, so they have no groups.
    """
    store = Store(results, STUDY)
    entries = []
    for one in sorted(dict.fromkeys(wanted), key=_by_dataset):
        weights = weights_path(one, checkpoints_folder)
        groups = _groups(one, weights, store) if one.modality == "audio" and one.cues is None else ()
        entries.append(ModelEntry(asdict(checkpoints.read_card(weights)), groups))
    return entries


def data_entries(wanted: Sequence[Wanted]) -> list[DataEntry]:
    """One entry a dataset and split, as the models' training met it."""
    kinds = {(one.dataset, one.split): one for one in sorted(wanted, key=_by_dataset)}
    return [_data_entry(recordings_of(one)) for one in kinds.values()]


def speaker_attributes(dataset: str) -> dict[str, dict[str, str]]:
    """Speaker → attribute → value, as far as the dataset's metadata tell; ages by decade."""
    root = find_root(dataset)
    if root is None:
        return {}
    return {
        speaker: {name: _told(name, about[name]) for name in ATTRIBUTES if name in about}
        for speaker, about in read_speaker_metadata(root).items()
    }


def grouped(speakers: Sequence[str], correct: Tensor, attributes: dict[str, dict[str, str]]) -> tuple[Group, ...]:
    """Test clips by every attribute of their speakers, then by speaker; ``correct`` is bool ``(clips,)``."""
    told = {name for about in attributes.values() for name in about}
    keys = {name: [attributes.get(one, {}).get(name, NOT_TOLD) for one in speakers] for name in ATTRIBUTES}
    keys = {name: values for name, values in keys.items() if name in told} | {"speaker": list(speakers)}
    return tuple(
        _group(name, value, [row for row, own in enumerate(values) if own == value], speakers, correct)
        for name, values in keys.items()
        for value in sorted(set(values))
    )


def _group(name: str, value: str, rows: Sequence[int], speakers: Sequence[str], correct: Tensor) -> Group:
    among = {speakers[row] for row in rows}
    return Group(name, value, len(among), len(rows), int(correct[list(rows)].sum()))


def _groups(wanted: Wanted, weights: Path, store: Store) -> tuple[Group, ...]:
    card = checkpoints.read_card(weights)
    path = store.tensors_path("test_part", f"{weights.stem}-{card.weights_sha256[:8]}")
    if not path.exists():
        _predict(wanted, weights, store, path)
    tensors, metadata = store.load_tensors(path)
    return grouped(metadata["speakers"], tensors["correct"].bool(), speaker_attributes(wanted.dataset))


def _predict(wanted: Wanted, weights: Path, store: Store, path: Path) -> None:
    device = torch.device("cpu")
    model, _ = load_model(weights, wanted, device)
    test = dataset_of(wanted).part("test")
    with torch.inference_mode():
        predictions = predicted(model, in_domain(model, test.inputs, device))
    correct = (predictions == test.labels).to(torch.uint8)
    store.save_tensors(path, {"correct": correct}, {"speakers": [str(speaker) for speaker in test.speakers]})


def _data_entry(dataset: Dataset) -> DataEntry:
    audio = dataset.sample_rate_hz is not None
    parts = {part: dataset.part(part) for part in SPLITS}
    speakers = {part: {str(one) for one in own.speakers} for part, own in parts.items()} if audio else {}
    return DataEntry(
        name=dataset.name,
        split=dataset.split_name,
        stand_in_for=dataset.stand_in_for,
        speaker_disjoint=dataset.speaker_disjoint if audio else None,
        samples={part: len(own) for part, own in parts.items()},
        speakers={part: len(own) for part, own in speakers.items()},
        groups=_counted(speaker_attributes(dataset.name), set().union(*speakers.values())) if audio else {},
        form=_form(dataset),
        skipped=[f"{one.path.name}: {one.reason}" for one in dataset.skipped],
        fingerprint=dataset.fingerprint,
    )


def _counted(attributes: dict[str, dict[str, str]], speakers: Iterable[str]) -> dict[str, dict[str, int]]:
    """Attribute → value → how many of these speakers."""
    among = sorted(speakers)
    told = [name for name in ATTRIBUTES if any(name in about for about in attributes.values())]
    return {
        name: dict(sorted(Counter(attributes.get(one, {}).get(name, NOT_TOLD) for one in among).items()))
        for name in told
    }


def _form(dataset: Dataset) -> str:
    if dataset.sample_rate_hz is None:
        return f"image of {' × '.join(map(str, dataset.inputs.shape[2:]))} pixels in [0, 1]"
    duration_s = dataset.inputs.shape[-1] / dataset.sample_rate_hz
    return f"mono waveform of {duration_s:g} s at {dataset.sample_rate_hz:,} Hz in [−1, 1]"


def _told(name: str, value: object) -> str:
    if value is None or not str(value).strip():
        return NOT_TOLD
    return f"{10 * (int(str(value)) // 10)}–{10 * (int(str(value)) // 10) + 9}" if name == "age" else str(value)


def _by_dataset(wanted: Wanted) -> tuple[str, ...]:
    """Datasets together, so that each is decoded once."""
    told = (datasets.DATASETS[wanted.dataset].modality, wanted.dataset, wanted.split, str(wanted.cues is not None))
    return (*told, wanted.architecture, f"{wanted.resolution:05d}", f"{wanted.training.seed:05d}")
