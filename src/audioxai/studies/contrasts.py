"""Sound against images with one thing different at a time: treatment, sparsity, accuracy, resolution.

Objective 1 compares two data sets, each with models of its own. Here the same arrays are treated as sounds and as
images under the same weights, and what else differs between the data sets is made equal one by one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from audioxai import datasets
from audioxai.datasets.derived import AsImages, AsSounds, Derived
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Study
from audioxai.metrics import THESIS_METRICS
from audioxai.report.contrasts import Condition, contrasts_document
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

NAME = "contrasts"
QUESTION = (
    "What remains of the difference between explanations of sounds and of images when treatment, sparsity, accuracy "
    "and resolution no longer differ?"
)
DOCUMENT = contrasts_document
METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "plain",
    "guided_grad_cam",
    "deep_lift",
    "occlusion",
    "energy",
    "random",
)
# Occlusion takes most of all passes, and on images Integrated Gradients start from 0 anyway.
AT_EVERY_RESOLUTION = tuple(name for name in METHODS if name not in ("occlusion", "plain"))
# Rows and columns of the images that are written as sounds, and so of all arrays that are compared with them.
SIDE = AsSounds.side
FINE = 2 * SIDE


@dataclass(frozen=True)
class ContrastsConfig(RunConfig):
    """Options of the study."""

    profile: str = option("quick", "profile that sets all other options: quick or standard")
    audio: str = option("auto", "audio data set, or auto for the first one found")
    images: str = option("auto", "image data set of 28 × 28 pixels: mnist, digits_8x8, or auto for the first one found")
    architecture: str = option("small_cnn", "architecture of all models: small_cnn or alexnet")
    limit: int | None = option(1000, "most samples of each part of the splits; null for all")
    audio_epochs: int = option(15, "training epochs of models of recordings")
    image_epochs: int = option(8, "training epochs of models of images")
    short_audio_epochs: tuple[int, ...] = option((6,), "shorter trainings among which equal accuracy is looked for")
    short_image_epochs: tuple[int, ...] = option((2, 4), "the same for images")
    black_share: float = option(0.74, "share of features that is made silent in recordings, as many as images have")
    training_seeds: tuple[int, ...] = option((0, 1), "one model is trained for each")
    samples_per_seed: int = option(40, "test samples explained for each model")
    gradients: int = option(16, "gradients that Integrated Gradients takes per sample")
    faithfulness_runs: int = option(100, "random subsets removed from each sample")
    sensitivity_draws: int = option(3, "noisy copies of each sample that are explained again")
    alternatives: int = option(2, "other classes explained by the random-logit metric")

    def __post_init__(self) -> None:
        require_known("architecture", (self.architecture,), spectrogram_architectures())
        require_positive(self, "audio_epochs", "image_epochs", "samples_per_seed", "gradients")
        require_distinct(self, "training_seeds")
        for name in ("audio", "image"):
            shorter, longest = getattr(self, f"short_{name}_epochs"), getattr(self, f"{name}_epochs")
            if len({*shorter, longest}) != len(shorter) + 1 or min(shorter, default=1) < 1:
                raise UserError(
                    f"short_{name}_epochs is {list(shorter)} and {name}_epochs {longest}; give positive numbers, each "
                    "once"
                )
        run_options(self)


PROFILES = {
    "quick": ContrastsConfig(),
    "standard": ContrastsConfig(
        profile="standard",
        limit=None,
        audio_epochs=25,
        image_epochs=6,
        short_audio_epochs=(6, 12),
        short_image_epochs=(1, 2),
        training_seeds=(0, 1, 2),
        samples_per_seed=70,
        gradients=32,
        sensitivity_draws=10,
        alternatives=3,
    ),
}


def declare(config: ContrastsConfig) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    by_seed = [list(_conditions(config, seed)) for seed in config.training_seeds]
    # Condition by condition, so that data are decoded once for all seeds.
    found = [one for of_condition in zip(*by_seed, strict=True) for one in of_condition]
    return Study(
        name=NAME,
        title="Sound against images, one difference at a time",
        question=QUESTION,
        cells=tuple(
            Cell(
                model,
                config.training_seeds.index(model.training.seed),
                config.samples_per_seed,
                gradients=(config.gradients,),
                methods=METHODS if model.resolution == SIDE else AT_EVERY_RESOLUTION,
            )
            for _, model in found
        ),
        methods=METHODS,
        metrics=tuple(MetricSpec(name) for name in THESIS_METRICS),
        settings={
            "runs": config.faithfulness_runs,
            "draws": config.sensitivity_draws,
            "alternatives": config.alternatives,
        },
        profile=config.profile,
        context={
            **context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
            "conditions": [asdict(condition) for condition, _ in found],
        },
        document=DOCUMENT,
    )


def _conditions(config: ContrastsConfig, seed: int) -> Iterator[tuple[Condition, ModelSpec]]:
    """Every condition with its model of one training seed."""
    audio, images = datasets.resolve(config.audio, "audio"), datasets.resolve(config.images, "image")
    drawn = AsSounds(images)

    def model(source: str | Derived, side: int, epochs: int) -> ModelSpec:
        # Whatever is made of recordings is moved in time during training; digits stay where they were written.
        moved = source == audio or getattr(source, "of", None) == audio
        recipe = training(config.architecture, epochs, seed, "audio" if moved else "image")
        return ModelSpec(DataSpec(source, limit=config.limit), config.architecture, (side, side), recipe)

    speech, writing = model(audio, SIDE, config.audio_epochs), model(drawn, SIDE, config.image_epochs)
    as_images = {
        name: replace(lender, data=DataSpec(AsImages(source, SIDE, SIDE), limit=config.limit), weights_of=lender)
        for name, source, lender in (("speech", audio, speech), ("writing", drawn, writing))
    }
    sparse = AsImages(audio, SIDE, SIDE, black_share=config.black_share)
    yield Condition("speech_sound", "recordings as sounds", "speech"), speech
    yield Condition("speech_image", "recordings as images, same arrays and weights", "speech"), as_images["speech"]
    yield Condition("writing_sound", "digits written as sounds", "writing"), writing
    yield Condition("writing_seen", "these as images, same arrays and weights", "writing"), as_images["writing"]
    yield Condition("writing_image", "digits as images", "writing"), model(images, SIDE, config.image_epochs)
    yield (
        Condition("speech_sparse", f"recordings as images, {100 * config.black_share:g} % silent", "speech"),
        model(sparse, SIDE, config.audio_epochs),
    )
    for epochs in config.short_audio_epochs:
        condition = Condition(f"speech_sound_{epochs}", f"recordings as sounds, {epochs} epochs", "speech")
        yield condition, model(audio, SIDE, epochs)
    for epochs in config.short_image_epochs:
        condition = Condition(f"writing_image_{epochs}", f"digits as images, {epochs} epochs", "writing")
        yield condition, model(images, SIDE, epochs)
    for content, words, source, epochs in (
        ("speech", "recordings as images", audio, config.audio_epochs),
        ("writing", "digits as images", images, config.image_epochs),
    ):
        fine, blurred = AsImages(source, FINE, FINE), AsImages(source, FINE, FINE, through=SIDE)
        yield Condition(f"{content}_fine", f"{words}, {FINE} × {FINE}", content), model(fine, FINE, epochs)
        label = f"{words}, {FINE} × {FINE} with the detail of {SIDE}"
        yield Condition(f"{content}_blurred", label, content), model(blurred, FINE, epochs)
