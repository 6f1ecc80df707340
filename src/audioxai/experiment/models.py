"""The models of a study: found among the checkpoints, trained, or somebody else's."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioxai import datasets
from audioxai.core import configuration_of, output_of
from audioxai.datasets import AudioFormat, Dataset, Outline
from audioxai.datasets.ground_truth import CueDesign, cue_reliance, plant
from audioxai.datasets.sources import Source, known_split
from audioxai.domains import Domain, LogMel, Pixels, Waveform
from audioxai.fused import VERIFIED_INPUTS, fastest_copies
from audioxai.models import ARCHITECTURES, build, checkpoints
from audioxai.models.external import ExternalModel
from audioxai.models.front_end import Classifier, prepared_for
from audioxai.models.training import Labelled, TrainingConfig, accuracy, train
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.provenance import git_commit
from audioxai.utils.seeding import derived_seed

# Accuracy on the training part is measured on this many of its samples: enough to see overfitting.
TRAINING_SAMPLES_MEASURED = 5_000
AUDIO_SHIFT = 0.1
# Of every image data set of the catalogue, at most.
IMAGE_SHAPE = (28, 28)
WAVEFORM_MODEL_RATE_HZ = 8_000
ATTRIBUTES = ("gender", "native speaker", "accent", "age")
NOT_STATED = "not stated"


@dataclass(frozen=True)
class DataSpec:
    """A data set under one split.

    Attributes
    ----------
    source : str or Source
        Name of a registered data set, or a data set of the user's own such as an ``AudioFolder``.
    split : str or None
        How samples are divided; the default split of the data set if None.
    limit : int or None
        Most samples of each part.
    cues : CueDesign or None
        Planted in every clip, and the classes to tell apart; None for the recordings as they are.
    """

    source: str | Source
    split: str | None = None
    limit: int | None = None
    cues: CueDesign | None = None

    @property
    def registered(self) -> Source:
        """The data set itself."""
        return datasets.source_of(self.source)

    @property
    def root(self) -> Path | None:
        """Folder that it is read from; None if it is not there."""
        own = getattr(self.source, "root", None)
        return datasets.find_root(self.source) if isinstance(self.source, str) else own and Path(own)

    @property
    def facts(self) -> dict[str, Any]:
        """What the registry knows of it: label, description, origin and licence."""
        registered = self.source if isinstance(self.source, str) else getattr(self.source, "origin", "audio_folder")
        entry = datasets.DATASETS[registered]
        label = entry.label if isinstance(self.source, str) else self.name
        return {"label": label, "description": entry.description, "origin": entry.source, "licence": entry.licence}

    @property
    def name(self) -> str:
        """Name of the data set, with what was done to it."""
        return self.registered.name if self.cues is None else f"{self.registered.name}_cues"

    @property
    def modality(self) -> str:
        """``audio`` or ``image``."""
        return self.registered.modality

    @property
    def split_name(self) -> str:
        """Name of the split."""
        source: Any = self.source
        return _split_of(source, self.split)


@dataclass(frozen=True)
class ModelSpec:
    """A model by everything that decides its weights.

    Attributes
    ----------
    data : DataSpec
        What it is trained on and explained with.
    architecture : str
        Registered architecture; of no meaning to an external model.
    grid : tuple of int
        Rows and columns of the input: bands and frames of a spectrogram, or pixels; of no meaning to a waveform model.
    training : TrainingConfig
        The recipe, seed included.
    external : ExternalModel or None
        A model that is not trained here.
    front_end : Domain or None
        Where its body sees its inputs; if None, the log-mel spectrogram or image of this grid, or the waveform.
    weights_of : ModelSpec or None
        Model of the same architecture whose weights it takes instead of being trained.
    """

    data: DataSpec
    architecture: str
    grid: tuple[int, int]
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=1))
    external: ExternalModel | None = None
    front_end: Domain | None = None
    weights_of: "ModelSpec | None" = None

    @property
    def name(self) -> str:
        """Architecture, or the external model's name."""
        return self.architecture if self.external is None else self.external.name

    @property
    def takes_waveforms(self) -> bool:
        """Whether its body sees waveforms."""
        if self.external is not None:
            return self.external.takes_waveforms
        return ARCHITECTURES[self.architecture].dimensions == 1

    @property
    def audio_format(self) -> AudioFormat | None:
        """How recordings are read: as the data set says, but at 8 kHz for our waveform models; None for images."""
        source: Any = self.data.source
        own = _format_of(source)
        if own is None or not self.takes_waveforms:
            return own
        if self.external is not None:
            return replace(own, sample_rate_hz=self.external.sample_rate_hz or own.sample_rate_hz)
        return replace(own, sample_rate_hz=WAVEFORM_MODEL_RATE_HZ)

    @property
    def domain(self) -> Domain:
        """Where its body sees its inputs."""
        if self.front_end is not None:
            return self.front_end
        audio_format = self.audio_format
        if audio_format is None:
            return Pixels(*self.grid)
        if self.takes_waveforms:
            return Waveform(audio_format.sample_rate_hz, audio_format.duration_s)
        bands, frames = self.grid
        return LogMel(audio_format.sample_rate_hz, audio_format.duration_s, bands=bands, frames=frames)

    @property
    def resolution(self) -> int:
        """Rows of the input; samples of a waveform."""
        return self.domain.shape[0]

    @property
    def label(self) -> str:
        """Short name for logs and progress."""
        return f"{self.data.name} {self.name} {self.resolution} seed {self.training.seed}"


def recordings_of(spec: ModelSpec) -> Dataset:
    """Decoded data set of a model before anything is planted in it; the last one is kept for the next model."""
    return _decoded(replace(spec.data, cues=None), spec.audio_format)


def dataset_of(spec: ModelSpec) -> Dataset:
    """Decoded data set of a model."""
    return recordings_of(spec) if spec.data.cues is None else _planted(spec.data, spec.audio_format)


def outline_of(spec: ModelSpec) -> Outline:
    """Classes that the model tells apart and samples of each part, without decoding; planted cues are the classes."""
    outline = _outline(replace(spec.data, cues=None))
    if spec.data.cues is None:
        return outline
    return replace(outline, class_names=tuple(cue.name for cue in spec.data.cues.cues))


def fingerprint_of(spec: ModelSpec) -> str:
    """Hash of the data set's content, split and reading, without decoding it."""
    return _fingerprint(replace(spec.data, cues=None), spec.audio_format)


@lru_cache(maxsize=64)
def _split_of(source: Any, split: str | None) -> str:
    data = DataSpec(source)
    return known_split(data.registered, split, data.root)


@lru_cache(maxsize=64)
def _format_of(source: Any) -> AudioFormat | None:
    data = DataSpec(source)
    return data.registered.audio_format(data.root)


@lru_cache(maxsize=1)
def _decoded(data: DataSpec, audio_format: AudioFormat | None) -> Dataset:
    return datasets.load(data.source, split=data.split_name, limit=data.limit, audio_format=audio_format)


@lru_cache(maxsize=1)
def _planted(data: DataSpec, audio_format: AudioFormat | None) -> Dataset:
    assert data.cues is not None
    return plant(_decoded(replace(data, cues=None), audio_format), data.cues).dataset


@lru_cache(maxsize=64)
def _outline(data: DataSpec) -> Outline:
    return datasets.outline(data.source, split=data.split_name, limit=data.limit)


@lru_cache(maxsize=64)
def _fingerprint(data: DataSpec, audio_format: AudioFormat | None) -> str:
    return datasets.fingerprint(data.source, split=data.split_name, limit=data.limit, audio_format=audio_format)


@lru_cache(maxsize=8)
def _external(external: ExternalModel) -> nn.Module:
    return external.load()


def forget() -> None:
    """Read data sets and external models anew from now on."""
    for cached in (_split_of, _format_of, _outline, _decoded, _planted, _fingerprint, _external):
        cached.cache_clear()


def weights_path(spec: ModelSpec, folder: Path) -> Path:
    """Place of the checkpoint; its name ends with a hash of everything that decides the weights."""
    deciding = (
        fingerprint_of(spec),
        configuration_of(spec.domain),
        configuration_of(spec.data.cues),
        _origin_of_weights(spec, folder),
    )
    name = f"{spec.data.name}-{spec.data.split_name}-{spec.name}-{spec.resolution}-seed{spec.training.seed}"
    return folder / f"{name}-{derived_seed(*deciding) % 16**8:08x}.safetensors"


def _origin_of_weights(spec: ModelSpec, folder: Path) -> Any:
    if spec.weights_of is not None:
        return weights_path(spec.weights_of, folder).name
    if spec.external is not None:
        return checkpoints.weights_digest(_external(spec.external))
    return asdict(spec.training), ARCHITECTURES[spec.architecture].revision


def ensure_model(spec: ModelSpec, folder: Path, device: torch.device) -> tuple[Classifier, checkpoints.Card]:
    """Return the model and its card from its checkpoint, training it first where there is none.

    An external model is kept as a checkpoint as well, so that results are keyed by the weights that made them.
    """
    path = weights_path(spec, folder)
    if not checkpoints.exists(path):
        _make(spec, path, device)
    return load_model(spec, path, device)


def load_model(spec: ModelSpec, path: Path, device: torch.device) -> tuple[Classifier, checkpoints.Card]:
    """Load the model and its card from a checkpoint.

    Raises
    ------
    UserError
        If the checkpoint is missing, unreadable or of another architecture or class count.
    """
    card = checkpoints.read_card(path)
    model = untrained(spec, len(card.class_names))
    checkpoints.load_weights(path, model, card)
    prepared_for(model, device)
    return model.eval(), card


def in_domain(model: Classifier, recorded: Tensor, device: torch.device) -> Tensor:
    """Recordings ``(samples, 1, …)`` in the model's domain, ``(samples, 1, *domain.shape)``, on the device."""
    size = inputs_per_call(recorded[0].numel(), device)
    return torch.cat([model.front_end(recorded[rows].to(device)) for rows in slices(len(recorded), size)])


def predicted(model: Classifier, inputs: Tensor) -> Tensor:
    """Predicted classes ``(samples,)`` of inputs in the model's domain."""
    return torch.cat([output_of(model.body, inputs[part]) for part in slices(len(inputs), 64)]).argmax(1)


def dataset_shape(spec: ModelSpec) -> tuple[int, ...]:
    """Shape of a recording or an image as the data set has it."""
    audio_format = spec.audio_format
    return (audio_format.samples,) if audio_format is not None else IMAGE_SHAPE


def untrained(spec: ModelSpec, class_count: int) -> Classifier:
    """The model with the weights that its training begins with; an external one as it is."""
    if spec.external is not None:
        return Classifier(spec.domain, _external(spec.external))
    return build(spec.architecture, spec.domain, class_count, spec.training.seed)


def _make(spec: ModelSpec, path: Path, device: torch.device) -> None:
    dataset = dataset_of(spec)
    model = untrained(spec, len(dataset.class_names))
    parts = {split: Labelled(part.inputs, part.labels) for split in datasets.SPLITS for part in [dataset.part(split)]}
    config: dict[str, Any] = asdict(spec.training)
    started, history, state = time.monotonic(), [], path.with_suffix(".training")
    if spec.weights_of is not None:
        trained, _ = ensure_model(spec.weights_of, path.parent, device)
        model.body.load_state_dict(trained.body.state_dict())
        config = {"weights_of": weights_path(spec.weights_of, path.parent).stem}
    elif spec.external is None:
        history = train(model, parts["train"], parts["validation"], spec.training, device, state)
    else:
        spec.external.check(model, parts["test"].inputs, dataset.class_names)
        config = configuration_of(spec.external)
    prepared_for(model.eval(), device)
    seen = in_domain(model, parts["test"].inputs[:VERIFIED_INPUTS], device)
    measured = {**parts, "train": _some(parts["train"], TRAINING_SAMPLES_MEASURED)}
    card = checkpoints.Card(
        dataset=dataset.name,
        stand_in_for=dataset.stand_in_for,
        split=dataset.split_name,
        architecture=spec.name,
        resolution=spec.resolution,
        seed=spec.training.seed,
        accuracy={split: round(accuracy(model, part, device), 6) for split, part in measured.items()},
        samples={split: len(part) for split, part in parts.items()},
        class_names=list(dataset.class_names),
        domain=configuration_of(spec.domain),
        config=config,
        epochs_run=len(history),
        seconds=round(time.monotonic() - started, 1),
        data_fingerprint=dataset.fingerprint,
        weights_sha256=checkpoints.save_weights(path, model),
        git_commit=git_commit(Path(__file__).parent),
        data=data_facts(spec),
        groups=_groups(spec, dataset.part("test"), model, device),
        cues=spec.data.cues is not None,
        cue_reliance=_reliance(spec, model, device),
        fused=fastest_copies(model.body, seen, same_bits=True),
    )
    checkpoints.save_card(path, card)
    state.unlink(missing_ok=True)


def data_facts(spec: ModelSpec) -> dict[str, Any]:
    """What a data card says of the recordings that a model was trained on."""
    recordings = recordings_of(spec)
    attributes = _attributes(spec)
    parts = {part: recordings.part(part) for part in datasets.SPLITS}
    groups = {part: sorted({one for one in own.groups if one is not None}) for part, own in parts.items()}
    everybody = sorted({one for own in groups.values() for one in own})
    stated = [name for name in ATTRIBUTES if any(name in about for about in attributes.values())]
    return {
        **spec.data.facts,
        "name": recordings.name,
        "split": recordings.split_name,
        "stand_in_for": recordings.stand_in_for,
        "group_name": recordings.group_name,
        "group_disjoint": recordings.group_disjoint if recordings.group_name is not None else None,
        "samples": {part: len(own) for part, own in parts.items()},
        "groups": {part: len(own) for part, own in groups.items()},
        "attributes": {
            name: dict(sorted(Counter(attributes.get(one, {}).get(name, NOT_STATED) for one in everybody).items()))
            for name in stated
        },
        "form": _form(recordings, spec.audio_format),
        "skipped": [f"{one.path.name}: {one.reason}" for one in recordings.skipped],
        "fingerprint": recordings.fingerprint,
        "root": str(spec.data.root),
    }


def grouped(
    groups: Sequence[str | None], correct: Tensor, attributes: Mapping[str, Mapping[str, str]], group_name: str
) -> list[dict[str, Any]]:
    """Test samples by every attribute of their groups, then by group; ``correct`` is boolean, ``(samples,)``."""
    names = [str(one) for one in groups]
    stated = {name for about in attributes.values() for name in about}
    keys = {
        name: [attributes.get(one, {}).get(name, NOT_STATED) for one in names] for name in ATTRIBUTES if name in stated
    }
    return [
        _group(name, value, [row for row, own in enumerate(values) if own == value], names, correct)
        for name, values in [*keys.items(), (group_name, names)]
        for value in sorted(set(values))
    ]


def _group(name: str, value: str, rows: Sequence[int], groups: Sequence[str], correct: Tensor) -> dict[str, Any]:
    among = {groups[row] for row in rows}
    return {
        "attribute": name,
        "value": value,
        "groups": len(among),
        "clips": len(rows),
        "correct": int(correct[list(rows)].sum()),
    }


def _groups(spec: ModelSpec, test: Dataset, model: Classifier, device: torch.device) -> list[dict[str, Any]]:
    """How well a model does for whom; a model of planted cues tells cues apart, not what is said, so it has none."""
    if test.group_name is None or spec.data.cues is not None:
        return []
    with torch.inference_mode():
        predictions = predicted(model, in_domain(model, test.inputs, device)).cpu()
    return grouped(test.groups, predictions == test.labels, _attributes(spec), test.group_name)


def _reliance(spec: ModelSpec, model: Classifier, device: torch.device) -> dict[str, Any] | None:
    """Whether a model of planted cues goes by them; None for other models."""
    if spec.data.cues is None:
        return None
    cued = plant(recordings_of(spec).part("test"), spec.data.cues)
    return asdict(cue_reliance(lambda waveforms: model.eval()(waveforms.to(device)).cpu(), cued))


def _attributes(spec: ModelSpec) -> dict[str, dict[str, str]]:
    """Group → attribute → value, as far as the data set's metadata state them; ages by decade."""
    about = {} if spec.data.root is None else spec.data.registered.group_attributes(spec.data.root)
    return {
        group: {name: _stated(name, own[name]) for name in ATTRIBUTES if name in own} for group, own in about.items()
    }


def _stated(name: str, value: object) -> str:
    if value is None or not str(value).strip():
        return NOT_STATED
    decade = 10 * (int(str(value)) // 10) if name == "age" else 0
    return f"{decade}–{decade + 9}" if name == "age" else str(value)


def _form(dataset: Dataset, audio_format: AudioFormat | None) -> str:
    if dataset.sample_rate_hz is None:
        return f"image of {' × '.join(map(str, dataset.inputs.shape[2:]))} pixels in [0, 1]"
    duration_s = dataset.inputs.shape[-1] / dataset.sample_rate_hz
    parts = [f"mono waveform of {duration_s:g} s at {dataset.sample_rate_hz:,} Hz in [−1, 1]"]
    if audio_format is not None and audio_format.trim_below_peak_db is not None:
        parts.append(f"without leading and trailing silence {audio_format.trim_below_peak_db:g} dB below its peak")
    if audio_format is not None and audio_format.peak_normalise:
        parts.append("scaled to a peak of 1")
    return ", ".join(parts)


def _some(labelled: Labelled, count: int) -> Labelled:
    """Evenly spaced samples, at most ``count``."""
    step = max(1, -(-len(labelled) // count))
    return Labelled(labelled.inputs[::step], labelled.labels[::step])
