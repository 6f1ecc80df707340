"""Speech Commands: the methods of the thesis on twelve classes of spoken commands."""

from dataclasses import dataclass

from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Study
from audioxai.metrics import THESIS_METRICS
from audioxai.studies.options import RunConfig, context_of, require_positive, run_options, training
from audioxai.utils.configuration import option

NAME = "speech_commands"
METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "guided_grad_cam",
    "deep_lift",
    "occlusion",
    "ordered",
)
CONTROLS = ("energy", "random")


@dataclass(frozen=True)
class SpeechCommandsConfig(RunConfig):
    """Options of the study."""

    profile: str = option("quick", "profile that sets all other options: quick or standard")
    epochs: int = option(20, "training epochs")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    samples_per_seed: int = option(24, "test clips explained for each model")

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "samples_per_seed")
        run_options(self)


PROFILES = {
    "quick": SpeechCommandsConfig(),
    "standard": SpeechCommandsConfig(profile="standard", epochs=40, training_seeds=(0, 1, 2), samples_per_seed=100),
}


def declare(config: SpeechCommandsConfig) -> Study:
    """The study that a configuration describes."""
    return Study(
        name=NAME,
        title="Explanations of spoken commands",
        question="Which explanation method suits a small network that tells twelve spoken commands apart?",
        cells=tuple(
            Cell(
                ModelSpec(
                    DataSpec("speech_commands"),
                    "small_cnn",
                    (64, 64),
                    training("small_cnn", config.epochs, seed, "audio"),
                ),
                position,
                config.samples_per_seed,
            )
            for position, seed in enumerate(config.training_seeds)
        ),
        methods=(*METHODS, *CONTROLS),
        metrics=tuple(MetricSpec(name) for name in THESIS_METRICS),
        settings={"runs": 100, "draws": 5, "alternatives": 3},
        profile=config.profile,
        context=context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
    )
