"""Attack: how far maps move under changes of the recording that nobody hears and that keep the predicted class.

Every model is explained in masks of the recording, so that maps of different models and methods have the same features.
"""

from dataclasses import dataclass

from audioxai import datasets
from audioxai.experiment import MetricSpec, Study
from audioxai.models import ARCHITECTURES
from audioxai.studies.cells import mask_cells, require_gradients
from audioxai.studies.options import RunConfig, context_of, require_distinct, require_positive, run_options
from audioxai.utils.configuration import option, require_known
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import can_be_in_masks

NAME = "attack"
QUESTION = "How far can a change that nobody hears move a map while the model predicts the same class?"
COMPARED = (
    "saliency",
    "input_x_gradient",
    "smooth_grad",
    "silence",
    "ordered",
    "ordered_contrastive",
    "contrastive_loudness",
    "occlusion",
    "energy",
    "random",
)
METRICS = ("attack_movement", "attack_overlap", "inaudible_movement")


@dataclass(frozen=True)
class AttackConfig(RunConfig):
    """Everything that decides the numbers of the study; each field is an option."""

    profile: str = option("quick", "profile that sets all other options: quick, standard or full")
    datasets: tuple[str, ...] = option(("fsdd",), "audio data sets")
    architectures: tuple[str, ...] = option(("small_cnn",), "architectures on spectrograms or waveforms")
    resolution: int = option(64, "mel bands and frames of the spectrograms that models see")
    epochs: int = option(12, "training epochs")
    limit: int | None = option(None, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(12, "test clips explained for each model")
    methods: tuple[str, ...] = option(COMPARED, "explanation methods")
    gradients: int = option(16, "gradients that a method may spend on a clip; three passes where it takes none")
    references: int = option(256, "training clips from which noise is learnt")
    population: int = option(8, "changes of a clip that are tried in a generation")
    generations: int = option(5, "generations of the search")
    margin_db: float = option(10.0, "how far below the masking threshold changes stay, in dB")

    def __post_init__(self) -> None:
        suited = [name for name, entry in METHODS.items() if can_be_in_masks(entry) or entry.takes("waveform")]
        require_known("method", self.methods, suited)
        require_known("data set", self.datasets, datasets.names_of("audio"))
        require_known("architecture", self.architectures, tuple(ARCHITECTURES))
        require_distinct(self, "training_seeds", "datasets", "architectures")
        require_positive(self, "clips_per_seed", "references", "epochs", "resolution", "population", "generations")
        require_gradients(self.gradients)
        if not self.margin_db >= 0.0:
            raise UserError(f"margin_db is {self.margin_db}; give at least 0 dB")
        run_options(self)


PROFILES: dict[str, AttackConfig] = {
    "quick": AttackConfig(),
    "standard": AttackConfig(
        profile="standard", architectures=("small_cnn", "tiny_ast", "tiny_wav2vec2"), clips_per_seed=24
    ),
    "full": AttackConfig(
        profile="full",
        datasets=("audio_mnist_az", "fsdd"),
        architectures=("small_cnn", "tiny_ast", "tiny_wav2vec2"),
        epochs=25,
        training_seeds=(0, 1, 2),
        clips_per_seed=60,
        generations=20,
    ),
}


def declare(config: AttackConfig) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    return Study(
        name=NAME,
        title="Maps under an inaudible attack",
        question=QUESTION,
        cells=mask_cells(config),
        methods=config.methods,
        metrics=tuple(MetricSpec(name) for name in METRICS),
        settings={name: getattr(config, name) for name in ("population", "generations", "margin_db")},
        references=config.references,
        profile=config.profile,
        context=context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
    )
