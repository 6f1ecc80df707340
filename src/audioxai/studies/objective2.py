"""Objective 2: how Integrated Gradients can be improved for sound.

Adapted attributions with their completeness and cost; their scores under two removals, on ground truth and against
peers and controls, at equal numbers of gradients.
"""

from dataclasses import dataclass, replace

from audioxai import datasets
from audioxai.experiment import Cell, MetricSpec, Study
from audioxai.experiment.materials import MATERIALS
from audioxai.experiment.study import cue_design
from audioxai.report.objective2 import objective2_document
from audioxai.studies.cells import audio_model
from audioxai.studies.options import (
    RunConfig,
    context_of,
    require_distinct,
    require_positive,
    run_options,
    spectrogram_architectures,
)
from audioxai.utils.configuration import option, require_known
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.audio_integrated_gradients import FEWEST_GRADIENTS

NAME = "objective2"
REMEDY = "python experiments/objective2/audio_adapted_ig.py, then evaluate_adaptations.py in the same folder"
# Few enough for a page: what the thesis did, its repair, both meanings of "absent", the best, a peer, a control.
SHOWN = ("plain", "ordered", "silence", "expected", "two_missingness", "idgi", "energy")
# What they are told from: other methods of the thesis, the chance level of ground truth, another baseline, a path of a
# peer, a map without gradients.
FIRST = (
    *SHOWN,
    *("saliency", "guided_grad_cam"),
    *("noisy_silence", "two_missingness_smoothed", "guided", "occlusion", "random"),
)
QUESTION = "How can Integrated Gradients be improved for audio?"
DOCUMENT = objective2_document
COMMAND = "experiments/objective2/evaluate_adaptations.py"
# Methods of Objective 1 that are Integrated Gradients under another name, or close to it, and are judged there.
_OF_OBJECTIVE_1 = ("input_x_gradient", "integrated_gradients", "deep_lift")
_ROLES = ("method", "ours", "peer", "control")
# They are made to say where a sound is and are judged in the study of localisation.
_OF_LOCALISATION = ("contrastive_loudness", "peaks")
# All whose maps have features of a domain that this study's models see; bands in frames of 10 ms have those of none.
# Methods that count passes ask for scores alone, by the hundred, of models whose gradient is not there.
COMPARED = tuple(
    name
    for role in _ROLES
    for name, entry in METHODS.items()
    if entry.role == role
    and name not in (*_OF_OBJECTIVE_1, *_OF_LOCALISATION, "bandwise")
    and "passes" not in entry.parameters
    and any(map(entry.takes, ("log_mel", "waveform")))
)
GROUND_TRUTH = tuple(name for name in MATERIALS if name not in ("clips", "labelled"))
REMOVALS = ("removal_silence", "removal_noise", "removal_worst")
LOCALISATION = ("relevance_rank", "relevance_mass", "pointing_game")
# They explain every clip again, many times.
AGAIN = ("average_sensitivity", "random_logit", "mprt")
MAIN_BUDGET = 32


@dataclass(frozen=True)
class Objective2Config(RunConfig):
    """Everything that decides the numbers of Objective 2; each field is an option of its scripts."""

    profile: str = option("quick", "profile that sets all other options: first, quick, standard or full")
    datasets: tuple[str, ...] = option(
        ("auto",), "audio data sets: audio_mnist, audio_mnist_az, fsdd, spoken_digits, or auto for the first one found"
    )
    further_datasets: tuple[str, ...] = option((), "further audio data sets, left out where they are not there")
    split: str | None = option("speaker_disjoint", "split of the data sets; each one's default split if null")
    architectures: tuple[str, ...] = option(("small_cnn",), "architectures on spectrograms: small_cnn, alexnet")
    resolution: int = option(64, "mel bands and frames of the spectrograms")
    epochs: int = option(12, "training epochs")
    limit: int | None = option(2500, "most clips of each part of the split that are used; null for all")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(20, "test clips explained for each model")
    ground_truth_per_seed: int = option(12, "test clips of each kind of ground truth explained for each model")
    ground_truth: tuple[str, ...] = option(GROUND_TRUTH, "clips whose relevant features are known")
    adaptations: tuple[str, ...] = option(COMPARED, "adaptations, peers and controls")
    gradients: tuple[int, ...] = option((16, 32), "gradients that each adaptation may spend on a clip")
    ground_truth_gradients: int = option(32, "gradients on clips of ground truth")
    references: int = option(512, "training clips from which baselines are learnt")
    removal_snr_db: float = option(10.0, "clip over speech-shaped noise where noise replaces removed bins, in dB")
    curve_steps: int = option(10, "steps of the insertion and deletion curves")
    faithfulness_runs: int = option(100, "random subsets removed from each clip")
    faithfulness_patches: tuple[int, ...] = option((1, 8, 16), "sides of the squares that those subsets are made of")
    sensitivity_draws: int = option(5, "noisy copies of each clip that are explained again")
    alternatives: int = option(3, "other classes explained by the random-logit metric")
    again_gradients: tuple[int, ...] = option(
        (), "gradients at which sensitivity and randomisation are measured; if empty 32, or the most that are spent"
    )
    again_adaptations: tuple[str, ...] = option(
        (), "adaptations, peers and controls whose sensitivity and randomisation are measured; all if empty"
    )
    metric_seed: int = option(0, "seed of everything random in adaptations and metrics")

    def __post_init__(self) -> None:
        require_known("adaptation", self.adaptations, COMPARED)
        require_known("architecture", self.architectures, spectrogram_architectures())
        if self.further_datasets:
            require_known("data set", self.further_datasets, datasets.names_of("audio"))
        if self.ground_truth:
            require_known("kind of ground truth", self.ground_truth, GROUND_TRUTH)
        require_distinct(self, "datasets", "training_seeds", "gradients", "faithfulness_patches")
        require_positive(self, "clips_per_seed", "ground_truth_per_seed", "references", "epochs", "resolution")
        require_positive(self, "sensitivity_draws", "alternatives")
        if self.again_adaptations:
            require_known("adaptation", self.again_adaptations, self.adaptations)
        if min(*self.gradients, self.ground_truth_gradients) < FEWEST_GRADIENTS:
            raise UserError(
                f"gradients is {list(self.gradients)} and ground_truth_gradients {self.ground_truth_gradients}; "
                f"an adaptation needs at least {FEWEST_GRADIENTS}"
            )
        unspent = sorted(set(self.again_gradients) - set(self.gradients))
        if unspent:
            raise UserError(
                f"again_gradients is {list(self.again_gradients)} but gradients is {list(self.gradients)}; add "
                f"{', '.join(map(str, unspent))} to gradients or leave it out"
            )
        run_options(self)


PROFILES: dict[str, Objective2Config] = {
    "quick": Objective2Config(),
    # On a model that Objective 1's first profile trains too.
    "first": Objective2Config(
        profile="first",
        split=None,
        limit=1500,
        sensitivity_draws=2,
        alternatives=1,
        again_adaptations=("plain", "silence", "ordered", "saliency", "guided_grad_cam", "energy", "random"),
        ground_truth=("mixtures", "sequences"),
        ground_truth_per_seed=10,
        adaptations=FIRST,
        gradients=(32,),
        faithfulness_patches=(1, 8),
        references=256,
    ),
    "standard": Objective2Config(
        profile="standard",
        datasets=("audio_mnist_az", "fsdd"),
        further_datasets=("speech_commands",),
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
        further_datasets=("speech_commands",),
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
        sensitivity_draws=50,
        alternatives=9,
    ),
}


def declare(config: Objective2Config) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If a data set is not there.
    """
    there = (name for name in config.further_datasets if datasets.find_root(name) is not None)
    names = dict.fromkeys(datasets.resolve(name, "audio") for name in (*config.datasets, *there))
    return Study(
        name=NAME,
        title="Objective 2: Integrated Gradients made for sound",
        question=QUESTION,
        cells=tuple(
            cell
            for name in names
            for architecture in config.architectures
            for position, seed in enumerate(config.training_seeds)
            for cell in _cells(config, name, architecture, position, seed)
        ),
        methods=config.adaptations,
        metrics=_metrics(config),
        settings=_settings(config),
        seed=config.metric_seed,
        method_seed=config.metric_seed,
        references=config.references,
        removal_snr_db=config.removal_snr_db,
        level_noise=True,
        profile=config.profile,
        context=context_of(config, PROFILES, COMMAND),
        document=DOCUMENT,
    )


def _settings(config: Objective2Config) -> dict[str, int]:
    return {
        "runs": config.faithfulness_runs,
        "steps": config.curve_steps,
        "draws": config.sensitivity_draws,
        "alternatives": config.alternatives,
    }


def _metrics(config: Objective2Config) -> tuple[MetricSpec, ...]:
    by_patch = tuple(
        MetricSpec(
            "faithfulness_correlation",
            name=f"faithfulness_correlation_{patch}",
            options={"patch": patch},
            label=f"Faithfulness correlation, {_patches(patch)}",
            short=f"Faith. {patch}",
        )
        for patch in config.faithfulness_patches
    )
    return (
        *(MetricSpec(name) for name in REMOVALS),
        *by_patch,
        MetricSpec("sparseness"),
        MetricSpec("complexity"),
        *(MetricSpec(name, budgets=_again(config), methods=config.again_adaptations) for name in AGAIN),
        *(MetricSpec(name, materials=config.ground_truth) for name in LOCALISATION if config.ground_truth),
        MetricSpec("completeness_gap", materials=("clips", *config.ground_truth)),
    )


def _again(config: Objective2Config) -> tuple[int, ...]:
    """Budgets at which sensitivity and randomisation are measured."""
    most = (MAIN_BUDGET,) if MAIN_BUDGET in config.gradients else (max(config.gradients),)
    return config.again_gradients or most


def _patches(patch: int) -> str:
    return "single bins" if patch == 1 else f"{patch} × {patch} patches"


def _cells(config: Objective2Config, dataset: str, architecture: str, position: int, seed: int) -> list[Cell]:
    model = audio_model(config, dataset, architecture, seed, config.split)
    assert model.audio_format is not None
    background = datasets.DATASETS[dataset].background
    cues = cue_design(model.audio_format.duration_s)
    cued = replace(model, data=replace(model.data, cues=cues))
    clips = Cell(model, position, config.clips_per_seed, "clips", config.gradients, without=background)
    return [
        clips,
        *(
            replace(
                clips,
                model=cued if material == "cues" else model,
                samples=config.ground_truth_per_seed,
                material=material,
                gradients=(config.ground_truth_gradients,),
            )
            for material in config.ground_truth
        ),
    ]
