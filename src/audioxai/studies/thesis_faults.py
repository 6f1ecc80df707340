"""The thesis, one fault removed at a time: from its own setting to this project's.

Nothing here is for use elsewhere. The labels, baselines and metrics of the thesis are no entries of a registry: they
belong to this study's declaration, and no other study can name them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from audioxai import datasets
from audioxai.baselines import Baseline, Constant
from audioxai.compat.quantus.faithfulness import FaithfulnessCorrelation
from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.derived import Wrapped
from audioxai.datasets.recordings import Recordings
from audioxai.datasets.records import Listing, Recording
from audioxai.datasets.splits import Split, stratified_parts
from audioxai.domains import PeakLogMel
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Study
from audioxai.metrics.registry import entry_of
from audioxai.registry import MethodEntry
from audioxai.report.thesis_faults import Step, thesis_faults_document
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
from audioxai.utils.seeding import generator
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.quadrature import Midpoint

NAME = "thesis_faults"
QUESTION = "What was each fault of the thesis worth, and what do its methods score without them?"
DOCUMENT = thesis_faults_document
# One batch of the thesis, and its number of folders.
BATCH = 32
FOLDERS = 9
# Of the thesis' runs, and of Quantus's default; Quantus removes 224 features.
FEW_RUNS, RUNS = 10, 100
FLOOR_DB, ZERO_DB = -80.0, 0.0
# The thesis does not say how strong its noise was.
NOISE_STD_DB = 1.0
QUIET_QUANTILE = 0.25


# --- The thesis' reading of the recordings ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ThesisReading(Wrapped, Recordings):
    """Recordings in AudioMNIST's layout, divided at random clip by clip, as the thesis read them.

    Attributes
    ----------
    of : str
        Registered data set.
    folders_as_digits : bool
        Whether the first nine folders, which are speakers, are the classes. Only this study reads them so.
    """

    of: str
    folders_as_digits: bool

    @property
    def name(self) -> str:  # type: ignore[override]
        """The data set's, with what is told apart where that is not what is said."""
        return f"{self.inner.name}_folders" if self.folders_as_digits else self.inner.name

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """At random, clip by clip, whoever speaks."""
        return ("random",)

    def audio_format(self, root: Path | None = None) -> AudioFormat | None:
        """That of the data set."""
        return self.inner.audio_format(root)

    def list_recordings(self, root: Path) -> Listing:
        """Recordings of the data set, labelled by their digit or by their folder.

        Raises
        ------
        UserError
            If there are fewer than two folders.
        """
        inner: Any = self.inner
        listing: Listing = inner.list_recordings(root)
        if not self.folders_as_digits:
            return listing
        folders = sorted({str(one.group) for one in listing.recordings})[:FOLDERS]
        if len(folders) < 2:
            raise UserError(f"{root} holds {len(folders)} speaker; the thesis tells nine apart, so give more")
        kept = [one for one in listing.recordings if one.group in folders]
        labelled = tuple(replace(one, label=folders.index(str(one.group))) for one in kept)
        return replace(listing, recordings=labelled, class_names=tuple(f"folder {name}" for name in folders))

    def splits_of(self, listing: Listing) -> Mapping[str, Split]:  # noqa: ARG002
        """The one split."""
        return {"random": Split(_clip_by_clip)}

    def format_of(self, listing: Listing) -> AudioFormat:  # noqa: ARG002
        """That of the data set."""
        found = self.inner.audio_format(self.root)
        assert found is not None
        return found

    def key_of(self, listing: Listing, recording: Recording) -> str:
        """The id with the label, which is not the data set's own."""
        return f"{recording.id}\0{listing.class_names[recording.label]}"


def _clip_by_clip(listing: Listing) -> list[str]:
    alone = tuple(replace(one, group=None) for one in listing.recordings)
    return stratified_parts(replace(listing, recordings=alone, group_name=None))


# --- The thesis' baselines -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MedianOfBatch:
    """Median of the batch at hand per feature: a sample's baseline depends on its neighbours."""

    name: ClassVar[str] = "median of the batch"

    def __call__(self, inputs: Tensor) -> Tensor:
        """The same for every input of the batch."""
        return inputs.detach().median(0, keepdim=True).values.expand_as(inputs).clone()


@dataclass(frozen=True)
class QuietMadeLoud:
    """The input with its quiet features, below a quantile of their band in the batch at hand, set to 0 dB."""

    name: ClassVar[str] = "quiet features at 0 dB"

    def __call__(self, inputs: Tensor) -> Tensor:
        """0 dB where the level is at most the quantile, else the level."""
        return torch.where(inputs.detach() <= _quiet_limits(inputs), ZERO_DB, inputs.detach())


@dataclass(frozen=True)
class CutToQuiet:
    """The input with its loud features cut down to a quantile of their band in the batch at hand.

    What the thesis meant by low energy, learnt from the batch; :class:`~audioxai.baselines.LowEnergy` learns it from
    the training set.
    """

    name: ClassVar[str] = "low energy of the batch"

    def __call__(self, inputs: Tensor) -> Tensor:
        """The smaller one of level and quantile."""
        return torch.minimum(inputs.detach(), _quiet_limits(inputs).expand_as(inputs))


def _quiet_limits(levels: Tensor) -> Tensor:
    """Quantile of every band over batch and frames, ``(1, 1, bands, 1)``."""
    bands = levels.detach().double().transpose(0, 2).flatten(1)
    return bands.quantile(QUIET_QUANTILE, dim=1).to(levels)[None, None, :, None]


@dataclass(frozen=True)
class NoiseAround:
    """Gaussian noise around one level, clipped to the range of levels, the same for every input.

    Attributes
    ----------
    value_db : float
        0 in the thesis: *noisy silence* was noise around the loudest level.
    """

    value_db: float

    name: ClassVar[str] = "noise around a level"

    def __call__(self, inputs: Tensor) -> Tensor:
        """One draw for all inputs."""
        random = generator("noise around a level", self.value_db)
        noise = torch.randn(inputs.shape[1:], generator=random, dtype=torch.float64)
        levels = (self.value_db + NOISE_STD_DB * noise).clamp_min(FLOOR_DB)
        return levels.to(inputs).expand_as(inputs).clone()


def _integrated(baseline: Baseline, gradients: int = 32) -> PathIntegral:
    return PathIntegral(Straight(baseline), Midpoint(gradients))


def _of_the_thesis(name: str, label: str, baseline: Baseline) -> MethodEntry:
    return MethodEntry(
        name=name, make=partial(_integrated, baseline), label=label, family="IG as in the thesis", complete=True
    )


DEEP_LIFT = METHODS["deep_lift"]
OWN_METHODS = (
    _of_the_thesis("thesis_zero", "IG from 0 dB", Constant(ZERO_DB)),
    _of_the_thesis("thesis_noise", "IG from noise around 0 dB", NoiseAround(ZERO_DB)),
    _of_the_thesis("thesis_quiet", "IG from quiet features at 0 dB", QuietMadeLoud()),
    _of_the_thesis("thesis_median", "IG from the batch's median", MedianOfBatch()),
    replace(
        DEEP_LIFT, name="thesis_deep_lift", label="DeepLift from 0 dB", make=partial(DEEP_LIFT.make, Constant(ZERO_DB))
    ),
    _of_the_thesis("silent_noise", "IG from noise around silence", NoiseAround(FLOOR_DB)),
    _of_the_thesis("silent_quiet", "IG from low energy of the batch", CutToQuiet()),
)
OTHERS = ("saliency", "input_x_gradient", "guided_grad_cam")
CONTROLS = ("energy", "random")
# What stands for the thesis' methods that have a baseline, in the order of the document's columns.
FAULTY = ("thesis_zero", "thesis_noise", "thesis_quiet", "thesis_median", "thesis_deep_lift")
SILENT = ("silence", "silent_noise", "silent_quiet", "thesis_median", "deep_lift")
LEARNT = ("silence", "noisy_silence", "low_energy_mask", "median", "deep_lift")


# --- The thesis' metric ----------------------------------------------------------------------------------------------


def _as_in_quantus(name: str, label: str, runs: int, removed: str | float) -> MetricSpec:
    make = partial(FaithfulnessCorrelation, nr_runs=runs, perturb_baseline=removed)
    return MetricSpec(entry_of(name, FaithfulnessCorrelation, make, label=label, short=label))


OWN_METRICS = (
    _as_in_quantus("quantus_minimum", f"as in Quantus, {FEW_RUNS} runs, removed to the minimum", FEW_RUNS, "black"),
    _as_in_quantus("quantus_silence", f"as in Quantus, {FEW_RUNS} runs, removed to silence", FEW_RUNS, FLOOR_DB),
    _as_in_quantus("quantus_runs", f"as in Quantus, {RUNS} runs, removed to silence", RUNS, FLOOR_DB),
    MetricSpec("faithfulness_correlation", options={"runs": RUNS}),
    _as_in_quantus("precise_minimum", f"as in Quantus, {RUNS} runs, removed to the minimum", RUNS, "black"),
    _as_in_quantus("precise_silence", f"as in Quantus, {RUNS} runs, removed to silence, more clips", RUNS, FLOOR_DB),
)

STEPS = (
    Step("thesis", "The thesis' own setting", "folders", "quantus_minimum", FAULTY),
    Step("labels", "Digits are told apart, not speakers", "random", "quantus_minimum", FAULTY),
    Step("split", "No test speaker was heard in training", "apart", "quantus_minimum", FAULTY),
    Step("levels", "One reference for all levels, padding is silent", "fixed", "quantus_minimum", FAULTY),
    Step("silence", "Baselines are made of silence, not of 0 dB", "fixed", "quantus_minimum", SILENT),
    Step("statistics", "Statistics are the training set's, not the batch's", "fixed", "quantus_minimum", LEARNT),
    Step("removal", "Removed features become silence, not the minimum", "fixed", "quantus_silence", LEARNT),
    Step("runs", f"{RUNS} runs, not {FEW_RUNS}", "fixed", "quantus_runs", LEARNT),
    Step("subsets", "A tenth of the input is removed, whatever its batch", "fixed", "faithfulness_correlation", LEARNT),
)
# The same faults with more runs and clips: one batch and ten runs hide what the others are worth.
PRECISE = tuple(
    replace(step, name=f"precise_{step.name}", metric=step.metric.replace("quantus", "precise"), precise=True)
    for step in STEPS
    if step.metric in ("quantus_minimum", "quantus_silence")
)
LAST = Step("samples", "More models and samples", "fixed", "faithfulness_correlation", LEARNT, every_seed=True)


@dataclass(frozen=True)
class ThesisFaultsConfig(RunConfig):
    """Options of the study."""

    profile: str = option("quick", "profile that sets all other options: quick or standard")
    audio: str = option("auto", "data set in AudioMNIST's layout: audio_mnist, audio_mnist_az, or auto for the first")
    architecture: str = option("small_cnn", "architecture of all models: alexnet, as in the thesis, or small_cnn")
    resolution: int = option(64, "mel bands and frames; 128 in the thesis")
    limit: int | None = option(1000, "most clips of each part of the splits; null for all")
    epochs: int = option(15, "training epochs")
    training_seeds: tuple[int, ...] = option((0, 1, 2), "models of the last step; the others take the first alone")
    samples_per_seed: int = option(BATCH, "clips explained for each model, as one batch")
    precise_samples: int = option(76, "clips explained for each model where faults are told apart")
    gradients: int = option(16, "gradients that Integrated Gradients takes per clip")

    def __post_init__(self) -> None:
        require_known("architecture", (self.architecture,), spectrogram_architectures())
        require_positive(self, "resolution", "epochs", "samples_per_seed", "precise_samples", "gradients")
        require_distinct(self, "training_seeds")
        run_options(self)


PROFILES = {
    "quick": ThesisFaultsConfig(),
    "standard": ThesisFaultsConfig(
        profile="standard", architecture="alexnet", resolution=128, limit=None, epochs=25, gradients=32
    ),
}


def declare(config: ThesisFaultsConfig) -> Study:
    """The study that a configuration describes.

    Raises
    ------
    UserError
        If there is no data set in AudioMNIST's layout.
    """
    models = list(_conditions(config))
    steps = [*STEPS, *([LAST] if len(config.training_seeds) > 1 else [])]
    found = [(condition, _cell(config, steps, condition, model)) for condition, model in models]
    first = [(condition, model) for condition, model in models if model.training.seed == config.training_seeds[0]]
    found += [(condition, _cell(config, PRECISE, condition, model)) for condition, model in first]
    return Study(
        name=NAME,
        title="The thesis, one fault removed at a time",
        question=QUESTION,
        cells=tuple(cell for _, cell in found),
        methods=(*OWN_METHODS, *LEARNT, *OTHERS, *CONTROLS),
        metrics=OWN_METRICS,
        profile=config.profile,
        context={
            **context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
            "conditions": [condition for condition, _ in found],
            "steps": [asdict(step) for step in (*steps, *PRECISE)],
        },
        document=DOCUMENT,
    )


def _cell(config: ThesisFaultsConfig, steps: Sequence[Step], condition: str, model: ModelSpec) -> Cell:
    """A model with what the steps ask of it."""
    seed = config.training_seeds.index(model.training.seed)
    own = [step for step in steps if step.condition == condition and (seed == 0 or step.every_seed)]
    baselined = dict.fromkeys(name for step in own for name in step.baselined)
    return Cell(
        model,
        seed,
        config.precise_samples if steps is PRECISE else config.samples_per_seed,
        gradients=(config.gradients,),
        methods=(*baselined, *OTHERS, *CONTROLS),
        metrics=tuple(dict.fromkeys(step.metric for step in own)),
    )


def _conditions(config: ThesisFaultsConfig) -> Iterator[tuple[str, ModelSpec]]:
    """Every kind of model by name, each fault that lies in data or model removed in turn."""
    audio = _layout_of_audio_mnist(config.audio)
    shape = (config.resolution, config.resolution)

    def model(data: DataSpec, seed: int, peak: bool) -> ModelSpec:
        recipe = training(config.architecture, config.epochs, seed, "audio")
        spec = ModelSpec(data, config.architecture, shape, recipe)
        plain: Any = spec.domain
        front_end = PeakLogMel(plain.sample_rate_hz, plain.duration_s, *shape, padding_db=0.0)
        return replace(spec, front_end=front_end) if peak else spec

    first, *others = config.training_seeds
    for name, folders in (("folders", True), ("random", False)):
        yield name, model(DataSpec(ThesisReading(audio, folders), limit=config.limit), first, peak=True)
    apart = DataSpec(audio, limit=config.limit)
    yield "apart", model(apart, first, peak=True)
    for seed in (first, *others):
        yield "fixed", model(apart, seed, peak=False)


def _layout_of_audio_mnist(wanted: str) -> str:
    """Data set whose folders are speakers and whose file names hold the digit.

    Raises
    ------
    UserError
        If it is another one.
    """
    name = datasets.resolve(wanted, "audio")
    source: Any = datasets.source_of(name)
    if getattr(source, "folder", None) != "data":
        raise UserError(
            f"data set {name} is not in AudioMNIST's layout, whose folders the thesis took for digits; choose "
            "audio_mnist, audio_mnist_az or spoken_digits"
        )
    return name
