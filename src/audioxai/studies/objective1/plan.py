"""The plan: which models are explained, by which methods, on which samples, and where each result lies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audioxai import datasets
from audioxai.baselines import Baseline, Black, Silence
from audioxai.core import Explainer, Metric, configuration_of
from audioxai.datasets.sources import known_split
from audioxai.domains import Domain
from audioxai.metrics import Setting, metric
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.robustness import RangeNoise, SignalNoise
from audioxai.models import checkpoints
from audioxai.models.training import TrainingConfig
from audioxai.studies.models import AUDIO_SHIFT, LEARNING_RATES, Wanted, domain_for, weights_path
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.parts import dealt
from audioxai.utils.seeding import derived_seed
from audioxai.utils.store import Store
from audioxai.xai_methods import explainer

STUDY = "objective1"
Modality = Literal["audio", "image"]
CLASS_COUNT = 10


@dataclass(frozen=True)
class Cell:
    """One model and the samples explained with it.

    Attributes
    ----------
    wanted : Wanted
        The model.
    sample_seed : int
        Position of the training seed among the study's: models of different seeds explain different samples, models of
        one seed the same samples at every resolution.
    samples : int
        How many.
    """

    wanted: Wanted
    sample_seed: int
    samples: int

    @property
    def modality(self) -> str:
        """``audio`` or ``image``."""
        return self.wanted.modality

    @property
    def domain(self) -> Domain:
        """Where its explanations live."""
        return domain_for(self.wanted.dataset, self.wanted.architecture, self.wanted.resolution)

    @property
    def baseline(self) -> Baseline:
        """What stands for absence: silence for sound, black for images."""
        return Silence(self.domain) if self.modality == "audio" else Black()

    def label(self) -> str:
        """Short name for logs and progress."""
        return f"{self.wanted.dataset} {self.wanted.resolution} seed {self.wanted.training.seed}"


@dataclass(frozen=True)
class Paths:
    """Where one cell's results lie; each name holds a hash of all that decides the content."""

    store: Store
    cell: Cell
    weights: Path

    @property
    def folder(self) -> str:
        """Folder of the cell's shards."""
        card = checkpoints.read_card(self.weights)
        deciding = derived_seed(card.weights_sha256, card.data_fingerprint, self.cell.sample_seed, self.cell.samples)
        return f"{self.weights.stem.rsplit('-', 1)[0]}-{deciding % 16**8:08x}"

    @property
    def trained(self) -> bool:
        """Whether the cell's model is there."""
        return checkpoints.exists(self.weights)

    def explained_by(self, methods: tuple[str, ...]) -> bool:
        """Whether the cell's inputs and the attributions of all these methods are there."""
        return self.trained and all(
            path.exists() for path in (self.inputs(), *(self.attributions(method) for method in methods))
        )

    def inputs(self) -> Path:
        """Explained inputs with their labels and predictions."""
        return self.store.tensors_path(self.folder, "inputs")

    def attributions(self, method: str) -> Path:
        """Attributions of one method."""
        return self.store.tensors_path(self.folder, f"{method}-{_hash(explainer(method, self.cell.baseline))}")

    def scores(self, method: str, scorer: Metric, metric_name: str) -> Path:
        """Scores of one method under one metric."""
        deciding = derived_seed(configuration_of(explainer(method, self.cell.baseline)), configuration_of(scorer))
        return self.store.rows_path(self.folder, f"{method}-{metric_name}-{deciding % 16**8:08x}")


def cells(config: Objective1Config, modality: Modality) -> list[Cell]:
    """Every model of one modality with the samples it explains, in the order in which they are worked on."""
    name = datasets.resolve(config.images if modality == "image" else config.audio, modality)
    own_split = config.audio_split if modality == "audio" else None
    split = known_split(datasets.DATASETS[name], own_split)
    resolutions = config.image_resolutions if modality == "image" else config.audio_resolutions
    epochs = config.image_epochs if modality == "image" else config.audio_epochs
    return [
        Cell(
            Wanted(
                dataset=name,
                split=split,
                limit=config.image_limit if modality == "image" else config.audio_limit,
                architecture=config.architecture,
                resolution=resolution,
                training=TrainingConfig(
                    epochs=count,
                    learning_rate=LEARNING_RATES[config.architecture],
                    largest_shift=AUDIO_SHIFT if modality == "audio" else 0.0,
                    seed=seed,
                ),
            ),
            sample_seed=position,
            samples=config.samples_per_seed,
        )
        for position, seed in enumerate(config.training_seeds)
        for resolution, count in zip(resolutions, epochs, strict=True)
    ]


def own_cells(config: Objective1Config, modality: Modality) -> list[Cell]:
    """Cells of one modality in the part of both that this configuration is for; all without one.

    Raises
    ------
    UserError
        If there are more parts than models, so that this one has nothing to do.
    """
    planned = cells(config, modality)
    if config.part is None:
        return planned
    own = dealt(cells(config, "image") + cells(config, "audio"), config.part)
    return [cell for cell in planned if cell in own]


def paths(config: Objective1Config, cell: Cell) -> Paths:
    """Places of a cell's results."""
    weights = weights_path(cell.wanted, Path(config.checkpoints))
    return Paths(Store(Path(config.results), STUDY), cell, weights)


def scorer(config: Objective1Config, cell: Cell, method: str, metric_name: str) -> PassMetric:
    """Metric as this study uses it on one method: noise by signal-to-noise ratio for sound, by range for images."""
    noise = SignalNoise(silence_value=cell.domain.silence_value) if cell.modality == "audio" else RangeNoise()
    return metric(
        metric_name,
        Setting(
            explainer=explainer(method, cell.baseline),
            baseline=cell.baseline,
            noise=noise,
            class_count=CLASS_COUNT,
            faithfulness_runs=config.faithfulness_runs,
            sensitivity_draws=config.sensitivity_draws,
            alternatives=config.alternatives,
            seed=config.metric_seed,
        ),
    )


def higher_is_better(config: Objective1Config, cell: Cell) -> dict[str, bool]:
    """Direction of every metric of the study."""
    return {name: scorer(config, cell, config.methods[0], name).higher_is_better for name in config.metrics}


def _hash(thing: Explainer | Metric) -> str:
    return f"{derived_seed(configuration_of(thing)) % 16**8:08x}"
