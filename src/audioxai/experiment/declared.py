"""Studies declared in YAML: a folder of sounds, a model, methods and metrics in a few lines.

Examples
--------
A folder with one sub-folder of sounds per class, and a small model that is trained on it::

    name: birds
    data:
      folder: recordings
      duration_s: 2
    model:
      architecture: small_cnn
      bands: 64
      frames: 64
      epochs: 20
    samples: 20
    methods: [saliency, ordered, energy, random]
    metrics: [faithfulness_correlation, sparseness]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from audioxai import datasets
from audioxai.datasets import AudioFolder
from audioxai.experiment.models import DataSpec, ModelSpec
from audioxai.experiment.study import Cell, MetricSpec, RunOptions, Study
from audioxai.metrics import THESIS_METRICS, setting_types
from audioxai.models import ARCHITECTURES
from audioxai.models.external import ExternalModel
from audioxai.models.training import TrainingConfig
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest
from audioxai.utils.strict_yaml import parsed, read_yaml, valued

AUDIO_SHIFT = 0.1
INPUTS = ("waveform", "log_mel")


@dataclass(frozen=True)
class DataSection:
    """``data``: a registered data set by ``name``, or a ``folder`` of class folders or with a ``table``."""

    SHORTHAND: ClassVar[str] = "name"

    name: str | None = None
    folder: str | None = None
    table: str | None = None
    file_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    group_pattern: str | None = None
    group_name: str | None = None
    sample_rate_hz: int | None = None
    duration_s: float | None = None
    trim_below_peak_db: float | None = None
    split: str | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class ModelSection:
    """``model``: a registered ``architecture`` that is trained, or a ``factory`` of the user's own with its weights."""

    architecture: str = "small_cnn"
    bands: int = 64
    frames: int = 64
    epochs: int = 20
    learning_rate: float | None = None
    batch_size: int = 32
    factory: str | None = None
    weights: str | None = None
    input: str = "waveform"


@dataclass(frozen=True)
class StudySection:
    """A study file."""

    name: str
    data: DataSection
    model: ModelSection = field(default_factory=ModelSection)
    title: str = ""
    question: str = "Which explanation method suits this model and these sounds?"
    seeds: tuple[int, ...] = (0,)
    samples: int = 20
    methods: tuple[str, ...] = ("saliency", "integrated_gradients", "ordered", "occlusion", "energy", "random")
    metrics: tuple[str, ...] = THESIS_METRICS
    gradients: tuple[int, ...] = (32,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    references: int = 512
    profile: str = "custom"
    results: str = "results"
    checkpoints: str = "checkpoints"
    device: str = "auto"
    threads: int | None = None


def read_study(path: Path) -> tuple[Study, RunOptions]:
    """Study that a YAML file declares, and where to compute it; relative paths are relative to the file.

    Raises
    ------
    UserError
        For an unknown key, method, metric, architecture or data set (with the nearest known name), or a value of the
        wrong type.
    """
    content = read_yaml(path)
    section = parsed(StudySection, content, str(path))
    if len(set(section.seeds)) != len(section.seeds):
        raise UserError(f"{path}: seeds is {list(section.seeds)}; give each once")
    types = setting_types(section.metrics, section.settings)
    settings = {name: valued(types[name], value, f"{path}: {name}") for name, value in section.settings.items()}
    data = _data(section.data, path.parent)
    external = _external(section.model, path.parent)
    study = Study(
        name=section.name,
        title=section.title or section.name,
        question=section.question,
        cells=tuple(
            Cell(_model(section.model, data, external, seed), position, section.samples, gradients=section.gradients)
            for position, seed in enumerate(section.seeds)
        ),
        methods=section.methods,
        metrics=tuple(MetricSpec(name) for name in section.metrics),
        settings=settings,
        seed=section.seed,
        references=section.references,
        profile=section.profile,
        context={"command": f"audioxai run {path.name}", "configuration": content},
    )
    results, checkpoints = (path.parent / folder for folder in (section.results, section.checkpoints))
    return study, RunOptions(results, checkpoints, section.device, section.threads)


def _data(section: DataSection, folder: Path) -> DataSpec:
    if (section.name is None) == (section.folder is None):
        raise UserError("data: name a registered data set by name or a folder of sounds by folder, one of both")
    if section.name is not None:
        return DataSpec(datasets.DATASETS[section.name].name, section.split, section.limit)
    own = {
        one.name: getattr(section, one.name)
        for one in fields(section)
        if one.name not in ("split", "limit", "folder", "name")
    }
    given = {name: value for name, value in own.items() if value is not None}
    return DataSpec(AudioFolder(folder / str(section.folder), **given), section.split, section.limit)


def _external(section: ModelSection, folder: Path) -> ExternalModel | None:
    if section.factory is None:
        ARCHITECTURES[section.architecture]
        return None
    require_one_of("model: input", section.input, INPUTS)
    weights = None if section.weights is None else folder / section.weights
    return ExternalModel(section.factory, weights, section.input == "waveform", folder=folder)


def _model(section: ModelSection, data: DataSpec, external: ExternalModel | None, seed: int) -> ModelSpec:
    rate = ARCHITECTURES[section.architecture].learning_rate if section.learning_rate is None else section.learning_rate
    training = TrainingConfig(
        epochs=section.epochs,
        batch_size=section.batch_size,
        learning_rate=rate,
        largest_shift=AUDIO_SHIFT if data.modality == "audio" else 0.0,
        seed=seed,
    )
    return ModelSpec(data, section.architecture, (section.bands, section.frames), training, external)


def require_one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse a value that is none of the known ones.

    Raises
    ------
    UserError
        Naming them.
    """
    if value not in known:
        raise UserError(f"{name} is {value!r}{nearest(value, dict.fromkeys(known))}; choose among {', '.join(known)}")
