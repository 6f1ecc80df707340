"""Trained models for studies: found among the checkpoints, or trained."""

import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from audioxai import datasets
from audioxai.core import configuration_of
from audioxai.datasets.ground_truth import CueDesign, plant
from audioxai.datasets.records import Dataset
from audioxai.datasets.speech import SpeechFolder
from audioxai.domains import Domain, LogMel, Pixels, Waveform
from audioxai.models import ARCHITECTURES, build, checkpoints
from audioxai.models.front_end import Classifier, prepared_for
from audioxai.models.training import Labelled, TrainingConfig, accuracy, train
from audioxai.utils.provenance import git_commit
from audioxai.utils.seeding import derived_seed

# Accuracy on the training part is measured on this many of its samples: enough to see overfitting.
TRAINING_SAMPLES_MEASURED = 5_000
AUDIO_SHIFT = 0.1
WAVEFORM_MODEL_RATE_HZ = 8_000
# Batch norm bears a higher peak rate than the architectures without it.
LEARNING_RATES = {"small_cnn": 4e-3, "alexnet": 5e-4, "audionet": 5e-4}


@dataclass(frozen=True)
class Wanted:
    """A model by everything that decides its weights.

    Attributes
    ----------
    dataset, split : str
        What to train on.
    limit : int or None
        Most samples of each part.
    architecture : str
        Registered architecture.
    resolution : int
        Rows and columns of the input; of no meaning to a waveform model.
    training : TrainingConfig
        The recipe, seed included.
    cues : CueDesign or None
        Planted in every clip, to be told apart instead of what is said; None for the recordings as they are.
    """

    dataset: str
    split: str
    limit: int | None
    architecture: str
    resolution: int
    training: TrainingConfig
    cues: CueDesign | None = None

    @property
    def name(self) -> str:
        """Dataset and, if any, what was done to it."""
        return self.dataset if self.cues is None else f"{self.dataset}_cues"

    @property
    def modality(self) -> str:
        """``audio`` or ``image``."""
        return datasets.DATASETS[self.dataset].modality


def audio_format_for(dataset: str, architecture: str) -> datasets.AudioFormat | None:
    """How waveforms are made for an architecture: the dataset's own way, at 8 kHz for waveform models."""
    source = datasets.require_known(dataset)
    if not isinstance(source, SpeechFolder):
        return None
    if ARCHITECTURES[architecture].dimensions == 2:
        return source.audio_format
    return replace(source.audio_format, sample_rate_hz=WAVEFORM_MODEL_RATE_HZ)


def domain_for(dataset: str, architecture: str, resolution: int) -> Domain:
    """Domain in which a model of this architecture sees this dataset."""
    audio_format = audio_format_for(dataset, architecture)
    if audio_format is None:
        return Pixels(resolution, resolution)
    if ARCHITECTURES[architecture].dimensions == 1:
        return Waveform(audio_format.sample_rate_hz, audio_format.duration_s)
    return LogMel(audio_format.sample_rate_hz, audio_format.duration_s, bands=resolution, frames=resolution)


@lru_cache(maxsize=1)
def load_dataset(name: str, split: str, limit: int | None, audio_format: datasets.AudioFormat | None) -> Dataset:
    """Dataset as :func:`audioxai.datasets.load` gives it, the last one kept for the next model."""
    return datasets.load(name, split=split, limit=limit, audio_format=audio_format)


@lru_cache(maxsize=8)
def fingerprint(name: str, split: str, limit: int | None, audio_format: datasets.AudioFormat | None) -> str:
    """Fingerprint of a dataset without decoding it."""
    return datasets.fingerprint(name, split=split, limit=limit, audio_format=audio_format)


def recordings_of(wanted: Wanted) -> Dataset:
    """Decoded dataset of a model before anything is planted in it."""
    return load_dataset(
        wanted.dataset, wanted.split, wanted.limit, audio_format_for(wanted.dataset, wanted.architecture)
    )


def dataset_of(wanted: Wanted) -> Dataset:
    """Decoded dataset of a model."""
    return recordings_of(wanted) if wanted.cues is None else _planted(wanted)


@lru_cache(maxsize=1)
def _planted(wanted: Wanted) -> Dataset:
    assert wanted.cues is not None
    return plant(recordings_of(wanted), wanted.cues).dataset


def weights_path(wanted: Wanted, folder: Path) -> Path:
    """Place of the checkpoint; its name ends with a hash of everything that decides the weights."""
    audio_format = audio_format_for(wanted.dataset, wanted.architecture)
    domain = domain_for(wanted.dataset, wanted.architecture, wanted.resolution)
    deciding = (
        fingerprint(wanted.dataset, wanted.split, wanted.limit, audio_format),
        configuration_of(domain),
        asdict(wanted.training),
        configuration_of(wanted.cues),
    )
    size = domain.shape[0]
    name = f"{wanted.name}-{wanted.split}-{wanted.architecture}-{size}-seed{wanted.training.seed}"
    return folder / f"{name}-{derived_seed(*deciding) % 16**8:08x}.safetensors"


def ensure_model(wanted: Wanted, folder: Path, device: torch.device) -> tuple[Classifier, checkpoints.Card]:
    """Return the model and its card from its checkpoint, training it first where there is none."""
    path = weights_path(wanted, folder)
    if not checkpoints.exists(path):
        _train(wanted, path, device)
    return load_model(path, wanted, device)


def load_model(path: Path, wanted: Wanted, device: torch.device) -> tuple[Classifier, checkpoints.Card]:
    """Load the model and its card from a checkpoint.

    Raises
    ------
    UserError
        If the checkpoint is missing, unreadable or of another architecture or class count.
    """
    card = checkpoints.read_card(path)
    domain = domain_for(wanted.dataset, wanted.architecture, wanted.resolution)
    model = build(wanted.architecture, domain, len(card.class_names), wanted.training.seed)
    checkpoints.load_weights(path, model, card)
    prepared_for(model, device)
    return model, card


def _train(wanted: Wanted, path: Path, device: torch.device) -> None:
    dataset = dataset_of(wanted)
    domain = domain_for(wanted.dataset, wanted.architecture, wanted.resolution)
    model = build(wanted.architecture, domain, len(dataset.class_names), wanted.training.seed)
    parts = {split: _labelled(dataset.part(split)) for split in ("train", "validation", "test")}
    state = path.with_suffix(".training")
    started = time.monotonic()
    history = train(model, parts["train"], parts["validation"], wanted.training, device, state)
    measured = {**parts, "train": _some(parts["train"], TRAINING_SAMPLES_MEASURED)}
    card = checkpoints.Card(
        dataset=dataset.name,
        stand_in_for=dataset.stand_in_for,
        split=dataset.split_name,
        architecture=wanted.architecture,
        resolution=domain.shape[0],
        seed=wanted.training.seed,
        accuracy={split: round(accuracy(model, part, device), 6) for split, part in measured.items()},
        samples={split: len(part) for split, part in parts.items()},
        class_names=list(dataset.class_names),
        domain=configuration_of(domain),
        config=asdict(wanted.training),
        epochs_run=len(history),
        seconds=round(time.monotonic() - started, 1),
        data_fingerprint=dataset.fingerprint,
        weights_sha256=checkpoints.save_weights(path, model),
        git_commit=git_commit(Path(__file__).parent),
    )
    checkpoints.save_card(path, card)
    state.unlink(missing_ok=True)


def _labelled(part: Dataset) -> Labelled:
    return Labelled(part.inputs, part.labels)


def _some(labelled: Labelled, count: int) -> Labelled:
    """Evenly spaced samples, at most ``count``."""
    step = max(1, -(-len(labelled) // count))
    return Labelled(labelled.inputs[::step], labelled.labels[::step])
