"""Ranks over data sets and models: whether the order of the explanation methods holds.

Every model is explained in masks of the recording, which are the same features for all of them, by the methods that can
be used there, at equal costs: one gradient costs about as much as three passes.
"""

from dataclasses import dataclass

from audioxai import datasets
from audioxai.experiment import MetricSpec, Study
from audioxai.models import ARCHITECTURES
from audioxai.report.rank_study import rank_document
from audioxai.studies.cells import mask_cells, require_gradients
from audioxai.studies.options import RunConfig, context_of, require_distinct, require_positive, run_options
from audioxai.utils.configuration import option, require_known
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import can_be_in_masks

NAME = "ranks"
QUESTION = "Does the ranking of the explanation methods hold over data sets and models?"
DOCUMENT = rank_document
COMMAND = f"-m audioxai.cli run {NAME}"
# In masks plain and integrated gradients are silence IG, and input × gradient is one gradient.
COMPARED = (
    "saliency",
    "input_x_gradient",
    "smooth_grad",
    "silence",
    "mask_noise",
    "mask_silence_and_noise",
    "ordered",
    "pullback",
    "idgi",
    "occlusion",
    "rise",
    "kernel_shap",
    "ordered_passes",
    "energy",
    "random",
)
REMOVALS = ("removal_silence", "removal_noise", "removal_worst")
# The judge's noise is another draw than any method's.
JUDGE_SEED = 1_000


@dataclass(frozen=True)
class RanksConfig(RunConfig):
    """Everything that decides the numbers of the study; each field is an option."""

    profile: str = option("quick", "profile that sets all other options: quick, standard or full")
    datasets: tuple[str, ...] = option(("audio_mnist_az", "fsdd", "speech_commands"), "audio data sets")
    architectures: tuple[str, ...] = option(
        ("small_cnn", "tiny_ast", "tiny_wav2vec2"), "architectures on spectrograms or waveforms"
    )
    chosen_on: tuple[str, ...] = option(
        ("audio_mnist_az", "fsdd"), "data sets on whose validation clips the settings of our methods were chosen"
    )
    resolution: int = option(64, "mel bands and frames of the spectrograms that models see")
    epochs: int = option(12, "training epochs")
    limit: int | None = option(None, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(12, "test clips explained for each model")
    methods: tuple[str, ...] = option(COMPARED, "explanation methods")
    gradients: int = option(32, "gradients that a method may spend on a clip; three passes where it takes none")
    references: int = option(256, "training clips from which noise is learnt")
    removal_snr_db: float = option(10.0, "clip over speech-shaped noise where noise replaces removed bins, in dB")
    curve_steps: int = option(10, "steps of the insertion and deletion curves")

    def __post_init__(self) -> None:
        suited = [name for name, entry in METHODS.items() if can_be_in_masks(entry) or entry.takes("waveform")]
        require_known("method", self.methods, suited)
        require_known("data set", self.datasets, datasets.names_of("audio"))
        require_known("architecture", self.architectures, tuple(ARCHITECTURES))
        require_distinct(self, "training_seeds")
        require_positive(self, "clips_per_seed", "references", "epochs", "resolution", "curve_steps")
        require_gradients(self.gradients)
        run_options(self)


PROFILES: dict[str, RanksConfig] = {
    "quick": RanksConfig(),
    "standard": RanksConfig(
        profile="standard",
        architectures=("small_cnn", "alexnet", "audionet", "tiny_ast", "tiny_wav2vec2"),
        epochs=25,
        training_seeds=(0, 1, 2),
        clips_per_seed=40,
    ),
    "full": RanksConfig(
        profile="full",
        architectures=("small_cnn", "alexnet", "audionet", "tiny_ast", "tiny_wav2vec2"),
        epochs=40,
        training_seeds=(0, 1, 2, 3, 4),
        clips_per_seed=100,
        curve_steps=32,
    ),
}


def declare(config: RanksConfig) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    return Study(
        name=NAME,
        title="Ranks of explanation methods over data sets and models",
        question=QUESTION,
        cells=mask_cells(config),
        methods=config.methods,
        metrics=tuple(MetricSpec(name) for name in REMOVALS),
        settings={"steps": config.curve_steps},
        seed=JUDGE_SEED,
        references=config.references,
        removal_snr_db=config.removal_snr_db,
        profile=config.profile,
        context=context_of(config, PROFILES, COMMAND),
        document=DOCUMENT,
    )
