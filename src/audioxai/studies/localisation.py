"""Localisation: whether maps point at the digit that is asked for in a mixture of two, and at a planted cue.

Loudness is the control that has to be beaten: it says which cells of a mixture are loud, not whose they are.
"""

from dataclasses import dataclass, replace

from audioxai import datasets
from audioxai.experiment import Cell, MetricSpec, Study
from audioxai.experiment.study import cue_design
from audioxai.studies.cells import audio_model, require_gradients
from audioxai.studies.options import (
    RunConfig,
    context_of,
    require_distinct,
    require_positive,
    run_options,
    spectrogram_architectures,
)
from audioxai.utils.configuration import option, require_known
from audioxai.xai_methods import METHODS

NAME = "localisation"
QUESTION = "Which maps point at one of two digits at once, and at a planted cue, better than loudness does?"
COMPARED = (
    "saliency",
    "silence",
    "two_missingness",
    "ordered",
    "ordered_contrastive",
    "contrastive_loudness",
    "peaks",
    "idgi",
    "occlusion",
    "energy",
    "random",
)
MATERIALS = ("mixtures", "cues")
METRICS = ("relevance_rank", "relevance_mass", "pointing_game")


@dataclass(frozen=True)
class LocalisationConfig(RunConfig):
    """Everything that decides the numbers of the study; each field is an option."""

    profile: str = option("quick", "profile that sets all other options: quick, standard or full")
    datasets: tuple[str, ...] = option(("audio_mnist_az", "fsdd"), "audio data sets")
    architectures: tuple[str, ...] = option(("small_cnn",), "architectures on spectrograms: small_cnn, alexnet")
    materials: tuple[str, ...] = option(MATERIALS, "what is explained: mixtures of two clips, clips with planted cues")
    resolution: int = option(64, "mel bands and frames of the spectrograms that models see")
    epochs: int = option(12, "training epochs")
    limit: int | None = option(None, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(20, "test clips of each kind explained for each model")
    methods: tuple[str, ...] = option(COMPARED, "explanation methods")
    gradients: int = option(32, "gradients that a method may spend on a clip")
    references: int = option(256, "training clips from which noise is learnt")

    def __post_init__(self) -> None:
        suited = [
            name for name, entry in METHODS.items() if entry.takes("log_mel") and "passes" not in entry.parameters
        ]
        require_known("method", self.methods, suited)
        require_known("data set", self.datasets, datasets.names_of("audio"))
        require_known("architecture", self.architectures, spectrogram_architectures())
        require_known("material", self.materials, MATERIALS)
        require_distinct(self, "training_seeds", "datasets", "materials")
        require_positive(self, "clips_per_seed", "references", "epochs", "resolution")
        require_gradients(self.gradients)
        run_options(self)


PROFILES: dict[str, LocalisationConfig] = {
    "quick": LocalisationConfig(),
    "standard": LocalisationConfig(profile="standard", training_seeds=(0, 1, 2), clips_per_seed=40),
    "full": LocalisationConfig(
        profile="full",
        architectures=("small_cnn", "alexnet"),
        epochs=40,
        training_seeds=(0, 1, 2, 3, 4),
        clips_per_seed=100,
    ),
}


def declare(config: LocalisationConfig) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    return Study(
        name=NAME,
        title="Localisation in mixtures and of planted cues",
        question=QUESTION,
        cells=tuple(
            _cell(config, datasets.resolve(name, "audio"), architecture, material, position, seed)
            for name in config.datasets
            for architecture in config.architectures
            for material in config.materials
            for position, seed in enumerate(config.training_seeds)
        ),
        methods=config.methods,
        metrics=tuple(MetricSpec(name, materials=MATERIALS) for name in METRICS),
        references=config.references,
        profile=config.profile,
        context=context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
    )


def _cell(config: LocalisationConfig, dataset: str, architecture: str, material: str, position: int, seed: int) -> Cell:
    model = audio_model(config, dataset, architecture, seed)
    assert model.audio_format is not None
    if material == "cues":
        model = replace(model, data=replace(model.data, cues=cue_design(model.audio_format.duration_s)))
    return Cell(
        model,
        position,
        config.clips_per_seed,
        material,
        (config.gradients,),
        without=datasets.DATASETS[dataset].background,
    )
