"""What decides Objective 2, and its profiles."""

from dataclasses import dataclass

from audioxai.models import ARCHITECTURES
from audioxai.studies.objective2.materials import MATERIALS
from audioxai.studies.parts import numbers_of
from audioxai.utils import configuration
from audioxai.utils.configuration import option, require_known
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import select_device
from audioxai.xai_methods.adaptations import ADAPTATIONS, FEWEST_GRADIENTS

# All whose maps have the cells of a domain; bands in frames of 10 ms are cells of none.
COMPARED = tuple(name for name in ADAPTATIONS if name != "bandwise")


@dataclass(frozen=True)
class Objective2Config:
    """Everything that decides the numbers of Objective 2; each field is an option of its scripts."""

    profile: str = option("quick", "profile that sets all other options: quick, standard or full")
    datasets: tuple[str, ...] = option(
        ("auto",), "audio datasets: audio_mnist, audio_mnist_az, fsdd, spoken_digits, or auto for the first one found"
    )
    split: str | None = option("speaker_disjoint", "split of the datasets; each one's default split if null")
    architectures: tuple[str, ...] = option(("small_cnn",), "architectures on spectrograms: small_cnn, alexnet")
    resolution: int = option(64, "mel bands and frames of the spectrograms")
    epochs: int = option(12, "training epochs")
    limit: int | None = option(2500, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(20, "test clips explained for each model")
    ground_truth_per_seed: int = option(12, "test clips of each kind of ground truth explained for each model")
    ground_truth: tuple[str, ...] = option(
        ("cues", "mixtures", "sequences"), "clips of which it is known where relevance belongs"
    )
    adaptations: tuple[str, ...] = option(COMPARED, "adaptations, peers and controls")
    gradients: tuple[int, ...] = option((16, 32), "gradients that each adaptation may spend on a clip")
    ground_truth_gradients: int = option(32, "gradients on clips of ground truth")
    references: int = option(512, "training clips from which baselines learn what is usual")
    removal_snr_db: float = option(10.0, "clip over speech-shaped noise where noise stands for removed, in dB")
    curve_steps: int = option(10, "steps of the insertion and deletion curves")
    faithfulness_runs: int = option(100, "random subsets removed from each clip")
    faithfulness_patches: tuple[int, ...] = option((1, 8, 16), "sides in cells of what those subsets are made of")
    metric_seed: int = option(0, "seed of everything random in adaptations and metrics")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int | None = option(None, "CPU threads; PyTorch's own choice if not given")
    part: str | None = option(None, "share of the models for this process, such as 3/12; a last run without it answers")
    results: str = option("results", "folder of the results store")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")

    def __post_init__(self) -> None:
        require_known("adaptation", self.adaptations, COMPARED)
        two_dimensional = [name for name, value in ARCHITECTURES.items() if value.dimensions == 2]
        require_known("architecture", self.architectures, two_dimensional)
        if self.ground_truth:
            require_known("kind of ground truth", self.ground_truth, [name for name in MATERIALS if name != "clips"])
        for name in ("datasets", "training_seeds", "gradients", "faithfulness_patches"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise UserError(f"{name} is {list(values)}; give at least one, each once")
        for name in ("clips_per_seed", "ground_truth_per_seed", "references", "epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it has to be at least 1")
        if min(*self.gradients, self.ground_truth_gradients) < FEWEST_GRADIENTS:
            raise UserError(
                f"gradients is {list(self.gradients)} and ground_truth_gradients {self.ground_truth_gradients}; "
                f"an adaptation needs at least {FEWEST_GRADIENTS}"
            )
        if self.threads is not None and self.threads < 1:
            raise UserError(f"threads is {self.threads}; it has to be at least 1")
        if self.part is not None:
            numbers_of(self.part)
        select_device(self.device)


# Options that say where and on what to compute.
NO_NUMBERS = ("device", "threads", "part", "results", "checkpoints")

PROFILES: dict[str, Objective2Config] = {
    "quick": Objective2Config(),
    "standard": Objective2Config(
        profile="standard",
        datasets=("audio_mnist_az", "fsdd"),
        # FSDD's own split has all six speakers in its test part; held out by speaker, it would have one.
        split=None,
        architectures=("small_cnn", "alexnet"),
        epochs=25,
        limit=None,
        training_seeds=(0, 1, 2),
        clips_per_seed=100,
        ground_truth_per_seed=60,
        gradients=(16, 32, 64),
    ),
    "full": Objective2Config(
        profile="full",
        datasets=("audio_mnist", "audio_mnist_az", "fsdd"),
        split=None,
        architectures=("small_cnn", "alexnet"),
        epochs=40,
        limit=None,
        training_seeds=(0, 1, 2, 3, 4),
        # As many as FSDD's test part has.
        clips_per_seed=300,
        ground_truth_per_seed=300,
        gradients=(16, 32, 64, 128),
        curve_steps=32,
    ),
}


def options_of(config: Objective2Config) -> str:
    """Command-line options that give this configuration, without those that do not decide numbers."""
    return configuration.options_of(config, PROFILES, NO_NUMBERS)
