"""Models of recordings, and cells of them, that several studies declare in the same way."""

from typing import Protocol

from audioxai import datasets
from audioxai.experiment import Cell, DataSpec, ModelSpec
from audioxai.studies.options import training
from audioxai.utils.errors import UserError
from audioxai.xai_methods.audio_integrated_gradients import FEWEST_GRADIENTS

# A gradient costs about as much as three passes without one.
PASSES_PER_GRADIENT = 3


class AudioConfig(Protocol):
    """Options of studies that train models on recordings."""

    @property
    def resolution(self) -> int:
        """Mel bands and frames of spectrograms."""

    @property
    def epochs(self) -> int:
        """Training epochs."""

    @property
    def limit(self) -> int | None:
        """Most clips of each part of the split."""


class MaskConfig(AudioConfig, Protocol):
    """Options of studies that explain models in masks of the recording."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Audio data sets."""

    @property
    def architectures(self) -> tuple[str, ...]:
        """Architectures on spectrograms or waveforms."""

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """One model is trained for each."""

    @property
    def clips_per_seed(self) -> int:
        """Test clips explained for each model."""

    @property
    def gradients(self) -> int:
        """Gradients that a method may spend on a clip."""


def audio_model(config: AudioConfig, dataset: str, architecture: str, seed: int, split: str | None = None) -> ModelSpec:
    """A model of an audio data set, trained as a configuration says."""
    return ModelSpec(
        data=DataSpec(dataset, split, config.limit),
        architecture=architecture,
        grid=(config.resolution, config.resolution),
        training=training(architecture, config.epochs, seed, "audio"),
    )


def mask_cells(config: MaskConfig) -> tuple[Cell, ...]:
    """Clips of every data set, architecture and training seed, explained in masks of the recording.

    Methods without gradients may spend as many passes as the gradients of the others cost.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    return tuple(
        Cell(
            audio_model(config, dataset, architecture, seed),
            position,
            config.clips_per_seed,
            gradients=(config.gradients,),
            passes=(PASSES_PER_GRADIENT * config.gradients,),
            features="mask",
            without=datasets.DATASETS[dataset].background,
        )
        for dataset in (datasets.resolve(name, "audio") for name in config.datasets)
        for architecture in config.architectures
        for position, seed in enumerate(config.training_seeds)
    )


def require_gradients(gradients: int) -> None:
    """Refuse fewer gradients than some methods need.

    Raises
    ------
    UserError
        Naming the option.
    """
    if gradients < FEWEST_GRADIENTS:
        raise UserError(f"gradients is {gradients}; some methods need at least {FEWEST_GRADIENTS}")
