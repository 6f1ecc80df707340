"""What decides Objective 1, and its profiles."""

from dataclasses import dataclass, replace

from audioxai.metrics import METRICS, THESIS_METRICS
from audioxai.models import ARCHITECTURES
from audioxai.studies.parts import numbers_of
from audioxai.utils import configuration
from audioxai.utils.configuration import option, require_known
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import select_device
from audioxai.xai_methods import EXPLAINERS


@dataclass(frozen=True)
class Objective1Config:
    """Everything that decides the numbers of Objective 1; each field is an option of its scripts."""

    profile: str = option("quick", "profile that sets all other options: quick, standard or full")
    images: str = option("auto", "image dataset: mnist, digits_8x8, or auto for the first one found")
    audio: str = option(
        "auto", "audio dataset: audio_mnist, audio_mnist_az, fsdd, spoken_digits, or auto for the first one found"
    )
    audio_split: str | None = option(None, "split of the audio dataset; its default split if not given")
    architecture: str = option("small_cnn", "architecture of both modalities: small_cnn or alexnet")
    image_resolutions: tuple[int, ...] = option((28, 64, 128), "rows and columns of the images")
    audio_resolutions: tuple[int, ...] = option((32, 64, 128), "mel bands and frames of the spectrograms")
    image_epochs: tuple[int, ...] = option((8, 6, 5), "training epochs at each image resolution")
    audio_epochs: tuple[int, ...] = option((15, 12, 8), "training epochs at each audio resolution")
    image_limit: int | None = option(4000, "most images of each part of the split that are used; null for all")
    audio_limit: int | None = option(2500, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    samples_per_seed: int = option(24, "test samples explained for each model")
    methods: tuple[str, ...] = option(tuple(EXPLAINERS), "explanation methods")
    metrics: tuple[str, ...] = option(THESIS_METRICS, "metrics; those of localisation need clips with masks")
    faithfulness_runs: int = option(100, "random subsets removed from each sample")
    sensitivity_draws: int = option(5, "noisy copies of each sample that are explained again")
    alternatives: int = option(3, "other classes explained by the random-logit metric")
    metric_seed: int = option(0, "seed of everything random in the metrics")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int | None = option(None, "CPU threads; PyTorch's own choice if not given")
    part: str | None = option(
        None, "share of the models for this process, such as 3/12; a last run without it compares"
    )
    results: str = option("results", "folder of the results store")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")

    def __post_init__(self) -> None:
        require_known("method", self.methods, EXPLAINERS)
        require_known("metric", self.metrics, METRICS)
        two_dimensional = {name: value for name, value in ARCHITECTURES.items() if value.dimensions == 2}
        require_known("architecture", (self.architecture,), two_dimensional)
        for modality in ("image", "audio"):
            resolutions, epochs = getattr(self, f"{modality}_resolutions"), getattr(self, f"{modality}_epochs")
            if len(resolutions) != len(epochs):
                raise UserError(
                    f"{modality}_resolutions has {len(resolutions)} entries and {modality}_epochs has {len(epochs)}; "
                    "give one number of epochs for each resolution"
                )
            if len(set(resolutions)) != len(resolutions) or not resolutions or min(resolutions) < 1:
                raise UserError(f"{modality}_resolutions is {list(resolutions)}; give different positive numbers")
        if not self.training_seeds or len(set(self.training_seeds)) != len(self.training_seeds):
            raise UserError(f"training_seeds is {list(self.training_seeds)}; give at least one, each once")
        if self.samples_per_seed < 1:
            raise UserError(f"samples_per_seed is {self.samples_per_seed}; it has to be at least 1")
        if self.threads is not None and self.threads < 1:
            raise UserError(f"threads is {self.threads}; it has to be at least 1")
        if self.part is not None:
            numbers_of(self.part)
        select_device(self.device)


# Options that say where and on what to compute.
NO_NUMBERS = ("device", "threads", "part", "results", "checkpoints")

# Times on two cores; quick also fits the ten minutes of `make demo`.
PROFILES: dict[str, Objective1Config] = {
    "quick": Objective1Config(),
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


def whole(config: Objective1Config) -> Objective1Config:
    """The configuration of the whole study."""
    return replace(config, part=None)


def options_of(config: Objective1Config) -> str:
    """Command-line options that give this configuration, without those that do not decide numbers."""
    return configuration.options_of(config, PROFILES, NO_NUMBERS)
