"""Objective 1: post-hoc explanations on audio spectrograms and on images, and what resolution changes."""

from dataclasses import dataclass

from audioxai import datasets
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Study
from audioxai.metrics import METRICS, THESIS_METRICS
from audioxai.report.objective1 import objective1_document
from audioxai.studies.options import (
    RunConfig,
    context_of,
    require_distinct,
    require_positive,
    run_options,
    spectrogram_architectures,
    training,
)
from audioxai.utils.configuration import option, require_known
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS

NAME = "objective1"
REMEDY = "python scripts/run_demo.py"
QUESTION = (
    "How do the explanation methods do on audio spectrograms compared with images, and how does resolution change that?"
)
DOCUMENT = objective1_document
COMMAND = "experiments/objective1/comparison_analysis.py"
MODALITIES: tuple[datasets.Modality, ...] = ("image", "audio")
THESIS_METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "guided_grad_cam",
    "deep_lift",
    "occlusion",
    "random",
)


@dataclass(frozen=True)
class Objective1Config(RunConfig):
    """Everything that decides the numbers of Objective 1; each field is an option of its scripts."""

    profile: str = option("quick", "profile that sets all other options: first, quick, standard or full")
    images: str = option("auto", "image data set: mnist, digits_8x8, or auto for the first one found")
    audio: str = option(
        "auto", "audio data set: audio_mnist, audio_mnist_az, fsdd, spoken_digits, or auto for the first one found"
    )
    audio_split: str | None = option(None, "split of the audio data set; its default split if not given")
    architecture: str = option("small_cnn", "architecture of both modalities: small_cnn or alexnet")
    image_resolutions: tuple[int, ...] = option((28, 64, 128), "rows and columns of the images")
    audio_resolutions: tuple[int, ...] = option((32, 64, 128), "mel bands and frames of the spectrograms")
    image_epochs: tuple[int, ...] = option((8, 6, 5), "training epochs at each image resolution")
    audio_epochs: tuple[int, ...] = option((15, 12, 8), "training epochs at each audio resolution")
    image_limit: int | None = option(4000, "most images of each part of the split that are used; null for all")
    audio_limit: int | None = option(2500, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    samples_per_seed: int = option(24, "test samples explained for each model")
    methods: tuple[str, ...] = option(THESIS_METHODS, "explanation methods")
    metrics: tuple[str, ...] = option(THESIS_METRICS, "metrics; those that need masks are left to Objective 2")
    faithfulness_runs: int = option(100, "random subsets removed from each sample")
    sensitivity_draws: int = option(5, "noisy copies of each sample that are explained again")
    alternatives: int = option(3, "other classes explained by the random-logit metric")
    metric_seed: int = option(0, "seed of everything random in the metrics")

    def __post_init__(self) -> None:
        require_known("method", self.methods, METHODS)
        require_known("metric", self.metrics, [name for name, entry in METRICS.items() if not entry.needs_masks])
        require_known("architecture", (self.architecture,), spectrogram_architectures())
        require_distinct(self, "training_seeds", "image_resolutions", "audio_resolutions")
        require_positive(self, "samples_per_seed")
        for modality in MODALITIES:
            resolutions, epochs = getattr(self, f"{modality}_resolutions"), getattr(self, f"{modality}_epochs")
            if len(resolutions) != len(epochs):
                raise UserError(
                    f"{modality}_resolutions has {len(resolutions)} entries and {modality}_epochs has {len(epochs)}; "
                    "give one number of epochs for each resolution"
                )
            if min(resolutions) < 1:
                raise UserError(f"{modality}_resolutions is {list(resolutions)}; give positive numbers")
        run_options(self)


# The first one fits, with that of Objective 2, the ten minutes of `make demo`.
PROFILES: dict[str, Objective1Config] = {
    "quick": Objective1Config(),
    "first": Objective1Config(
        profile="first",
        image_resolutions=(28, 64),
        image_epochs=(4, 3),
        audio_resolutions=(32, 64),
        audio_epochs=(12, 12),
        image_limit=2000,
        audio_limit=1500,
        samples_per_seed=20,
        sensitivity_draws=3,
        alternatives=2,
    ),
    "standard": Objective1Config(
        profile="standard",
        image_epochs=(6, 3, 2),
        audio_epochs=(25, 25, 20),
        image_limit=None,
        audio_limit=None,
        training_seeds=(0, 1, 2),
        samples_per_seed=70,
        sensitivity_draws=10,
    ),
    "full": Objective1Config(
        profile="full",
        image_epochs=(12, 8, 8),
        audio_epochs=(40, 40, 40),
        image_limit=None,
        audio_limit=None,
        training_seeds=(0, 1, 2),
        samples_per_seed=500,
        sensitivity_draws=50,
        alternatives=9,
    ),
}


def declare(config: Objective1Config) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    return Study(
        name=NAME,
        title="Objective 1: explanations of audio spectrograms and of images",
        question=QUESTION,
        cells=tuple(cell for modality in MODALITIES for cell in _cells(config, modality)),
        methods=config.methods,
        metrics=tuple(MetricSpec(name) for name in config.metrics),
        settings=_settings(config),
        seed=config.metric_seed,
        profile=config.profile,
        context=context_of(config, PROFILES, COMMAND),
        document=DOCUMENT,
    )


def _settings(config: Objective1Config) -> dict[str, int]:
    return {
        "runs": config.faithfulness_runs,
        "draws": config.sensitivity_draws,
        "alternatives": config.alternatives,
    }


def _cells(config: Objective1Config, modality: datasets.Modality) -> list[Cell]:
    of_images = modality == "image"
    data = DataSpec(
        source=datasets.resolve(config.images if of_images else config.audio, modality),
        split=None if of_images else config.audio_split,
        limit=config.image_limit if of_images else config.audio_limit,
    )
    resolutions = config.image_resolutions if of_images else config.audio_resolutions
    epochs = config.image_epochs if of_images else config.audio_epochs
    return [
        Cell(
            ModelSpec(
                data=data,
                architecture=config.architecture,
                grid=(resolution, resolution),
                training=training(config.architecture, count, seed, modality),
            ),
            sample_seed=position,
            samples=config.samples_per_seed,
        )
        for position, seed in enumerate(config.training_seeds)
        for resolution, count in zip(resolutions, epochs, strict=True)
    ]
