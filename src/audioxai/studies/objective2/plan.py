"""The plan: which models explain which clips by which adaptations, by what they are judged, and where results lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from audioxai import datasets
from audioxai.core import Explainer, configuration_of
from audioxai.datasets.sources import known_split
from audioxai.domains import Domain, LogMel, Stft, Waveform
from audioxai.domains.stft_cells import stft_beside
from audioxai.models import checkpoints
from audioxai.models.training import TrainingConfig
from audioxai.studies.models import AUDIO_SHIFT, LEARNING_RATES, Wanted, audio_format_for, domain_for, weights_path
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.materials import cue_design
from audioxai.utils.seeding import derived_seed
from audioxai.utils.store import Store
from audioxai.xai_methods.adaptations import ONLY_FOR, Setting, adaptation
from audioxai.xai_methods.pullback import PullBack

STUDY = "objective2"


@dataclass(frozen=True)
class Cell:
    """One model and the clips explained with it.

    Attributes
    ----------
    wanted : Wanted
        The model.
    material : str
        Kind of the clips.
    sample_seed : int
        Position of the training seed among the study's: models of different seeds explain different clips.
    count : int
        How many clips.
    gradients : tuple of int
        What adaptations may spend on a clip.
    """

    wanted: Wanted
    material: str
    sample_seed: int
    count: int
    gradients: tuple[int, ...]

    @property
    def domain(self) -> LogMel:
        """What the model's body sees, and where most explanations live."""
        domain = domain_for(self.wanted.dataset, self.wanted.architecture, self.wanted.resolution)
        assert isinstance(domain, LogMel)
        return domain

    @property
    def recorded(self) -> Waveform:
        """What the model as a whole takes."""
        return Waveform(self.domain.sample_rate_hz, self.domain.duration_s)

    @property
    def stft(self) -> Stft:
        """In which sounds are removed from clips."""
        return stft_beside(self.domain)

    def label(self) -> str:
        """Short name for logs and progress."""
        return f"{self.wanted.dataset} {self.material} {self.wanted.architecture} seed {self.wanted.training.seed}"


@dataclass(frozen=True)
class Method:
    """One adaptation with what it may spend; for one that always costs the same, the least that is asked for."""

    name: str
    gradients: int

    @property
    def of_waveforms(self) -> bool:
        """Whether it explains the whole model from the waveform on, not its body."""
        return ONLY_FOR.get(self.name) is Waveform


@dataclass(frozen=True)
class Place:
    """Where one cell's results lie; each name holds a hash of all that decides the content."""

    store: Store
    cell: Cell
    weights: Path
    references: int
    seed: int

    @property
    def trained(self) -> bool:
        """Whether the cell's model is there."""
        return checkpoints.exists(self.weights)

    @property
    def folder(self) -> str:
        """Folder of the cell's shards."""
        card, cell = checkpoints.read_card(self.weights), self.cell
        deciding = derived_seed(
            card.weights_sha256, card.data_fingerprint, cell.material, cell.sample_seed, cell.count, self.references
        )
        return f"{cell.material}-{self.weights.stem.rsplit('-', 1)[0]}-{deciding % 16**8:08x}"

    def inputs(self) -> Path:
        """Explained clips with labels, targets and predictions."""
        return self.store.tensors_path(self.folder, "inputs")

    def attributions(self, method: Method) -> Path:
        """Attributions of one method."""
        return self.store.tensors_path(self.folder, self._name(method))

    def curves(self, method: Method, scorers: object) -> Path:
        """Insertion and deletion curves of one method."""
        return self.store.tensors_path(self.folder, f"curves-{self.scores(method, scorers).stem}")

    def scores(self, method: Method, scorers: object) -> Path:
        """Scores of one method by these scorers."""
        deciding = derived_seed(self._configuration(method), configuration_of(scorers))
        return self.store.rows_path(self.folder, f"{self._name(method)}-{deciding % 16**8:08x}")

    def is_explained(self, method: Method) -> bool:
        """Whether the method's attributions are there."""
        return self.attributions(method).exists()

    def is_scored(self, method: Method) -> bool:
        """Whether the method's scores by any scorers are there; which ones takes the training clips to say."""
        folder = self.store.rows_path(self.folder, "any").parent
        return next(folder.glob(f"{self._name(method)}-*.parquet"), None) is not None

    def _name(self, method: Method) -> str:
        deciding = derived_seed(self._configuration(method))
        return f"{method.name}-{method.gradients}-{deciding % 16**8:08x}"

    def _configuration(self, method: Method) -> object:
        return configuration_of(blank_explainer(self.cell, method, self.seed))


def cells(config: Objective2Config) -> list[Cell]:
    """Every model with every kind of clips, in the order in which they are worked on."""
    return [
        cell
        for dataset in _resolved(config.datasets)
        for architecture in config.architectures
        for position, seed in enumerate(config.training_seeds)
        for cell in _cells_of(config, dataset, architecture, position, seed)
    ]


def place_of(config: Objective2Config, cell: Cell) -> Place:
    """Place of a cell's results."""
    weights = weights_path(cell.wanted, Path(config.checkpoints))
    return Place(Store(Path(config.results), STUDY), cell, weights, config.references, config.metric_seed)


def methods_of(config: Objective2Config, cell: Cell) -> list[Method]:
    """Adaptations with every number of gradients, those that always cost the same once.

    Masks of ground truth are those of spectrograms, so explanations of waveforms are left out there.
    """
    return [
        method
        for name in config.adaptations
        for method in _different(cell, name, config.metric_seed)
        if cell.material == "clips" or not method.of_waveforms
    ]


def seen_by(cell: Cell, method: Method) -> LogMel | Waveform:
    """In which domain a method takes the clips."""
    return cell.recorded if method.of_waveforms else cell.domain


def told_in(cell: Cell, method: Method) -> Domain:
    """In which domain a method's attributions live."""
    explainer = blank_explainer(cell, method, 0)
    return explainer.domain if isinstance(explainer, PullBack) else cell.domain


def explainer_of(cell: Cell, method: Method, training_inputs: Tensor, seed: int) -> Explainer:
    """The method with baselines learnt from training inputs ``(clips, 1, *shape)`` in the domain that it takes."""
    return adaptation(method.name, Setting(seen_by(cell, method), training_inputs, method.gradients, seed))


def blank_explainer(cell: Cell, method: Method, seed: int) -> Explainer:
    """What a method is, apart from what it learns from data."""
    return adaptation(method.name, _blank_setting(seen_by(cell, method), method.gradients, seed))


@lru_cache(maxsize=64)
def _blank_setting(domain: LogMel | Waveform, gradients: int, seed: int) -> Setting:
    """Setting with one featureless training input."""
    middle = sum(domain.value_range) / 2.0 + 0.1
    return Setting(domain, torch.full((1, 1, *domain.shape), middle), gradients, seed)


def _different(cell: Cell, name: str, seed: int) -> list[Method]:
    methods = [Method(name, gradients) for gradients in cell.gradients]
    made = {blank_explainer(cell, method, seed) for method in methods}
    return methods if len(made) > 1 else methods[:1]


def _resolved(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(datasets.resolve(name, "audio") for name in names))


def _cells_of(config: Objective2Config, dataset: str, architecture: str, position: int, seed: int) -> list[Cell]:
    audio_format = audio_format_for(dataset, architecture)
    assert audio_format is not None
    wanted = Wanted(
        dataset=dataset,
        split=known_split(datasets.DATASETS[dataset], config.split),
        limit=config.limit,
        architecture=architecture,
        resolution=config.resolution,
        training=TrainingConfig(
            epochs=config.epochs,
            learning_rate=LEARNING_RATES[architecture],
            largest_shift=AUDIO_SHIFT,
            seed=seed,
        ),
    )
    cued = Wanted(**vars(wanted) | {"cues": cue_design(audio_format.duration_s)})
    of_truth = [
        Cell(
            cued if material == "cues" else wanted,
            material,
            position,
            config.ground_truth_per_seed,
            (config.ground_truth_gradients,),
        )
        for material in config.ground_truth
    ]
    return [Cell(wanted, "clips", position, config.clips_per_seed, config.gradients), *of_truth]
