"""What a study is: models, samples, methods and metrics, declared before anything runs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from audioxai.datasets.ground_truth import CueDesign, NoiseBand, Tone
from audioxai.domains import Domain, Rfft, Stft
from audioxai.experiment.materials import MATERIALS
from audioxai.experiment.models import ModelSpec
from audioxai.metrics import METRICS
from audioxai.registry import MethodEntry, MetricEntry
from audioxai.results import Remote
from audioxai.utils.errors import UserError
from audioxai.utils.files import require_folder
from audioxai.utils.hardware import select_device
from audioxai.utils.names import nearest
from audioxai.xai_methods import METHODS

if TYPE_CHECKING:
    from audioxai.report.document import Document
    from audioxai.results import ResultSet

Features = Literal["model", "mask", "rfft", "stft"]
"""In which features methods explain: those that the model sees, masks of the recording, or bins of its spectrum."""
# Domains in which every model of recordings can be seen, through their synthesis.
VIEWS: Mapping[Features, type[Rfft] | type[Stft]] = {"rfft": Rfft, "stft": Stft}

MOST_THREADS = 1024
MOST_WORKERS = 1024
# In place of an address: a Dask cluster on this machine.
LOCAL = "local"
# Beyond, one of clip and noise is below the rounding of the other.
LARGEST_SNR_DB = 120.0
CUE_LEVEL_DB = -24.0
CUE_DURATION_S = 0.12
CUE_MARGIN_S = 0.05
# All below 4 kHz, so that they suit clips at 8 kHz, and far enough apart for 32 mel bands.
CUES = (Tone(500.0), Tone(1250.0), Tone(2500.0), NoiseBand(3000.0, 3500.0))


@dataclass(frozen=True)
class Cell:
    """One model and the samples that are explained with it.

    Attributes
    ----------
    model : ModelSpec
        The model.
    sample_seed : int
        Position of the training seed among the study's: models of different seeds explain different samples, models of
        one seed the same samples.
    samples : int
        Number of samples.
    material : str
        What the samples are: ``clips`` for samples of the data set as they are, else a kind of ground truth.
    gradients : tuple of int
        Gradients that a method may spend on a sample; empty for every method's default.
    passes : tuple of int
        The same of methods that ask for scores alone.
    features : {"model", "mask", "rfft", "stft"}
        In which features methods explain: those that the model's body sees; masks of the recording, which are the
        same for every model of recordings, where methods are judged by sounds alone; or bins of the recording's
        spectrum, complex, which both methods and metrics change.
    without : tuple of str
        Classes whose samples are not explained.
    methods, metrics : tuple of str
        Names of the study's methods and metrics that are used here; empty for all of them.
    """

    model: ModelSpec
    sample_seed: int
    samples: int
    material: str = "clips"
    gradients: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    features: Features = "model"
    without: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Short name for logs and progress."""
        return self.model.label if self.material == "clips" else f"{self.model.label} {self.material}"

    @property
    def domain(self) -> Domain:
        """In which domain samples are explained that are not explained as waveforms or in masks."""
        own: Any = self.model.domain
        return VIEWS[self.features](own.sample_rate_hz, own.duration_s) if self.features in VIEWS else own

    @property
    def budgets(self) -> tuple[int, ...]:
        """Everything that a method may spend on a sample, in gradients or passes."""
        return (*self.gradients, *self.passes)


@dataclass(frozen=True)
class MetricSpec:
    """A metric as a study uses it.

    Attributes
    ----------
    metric : str or MetricEntry
        Registered metric, or an entry of the study's own that nothing else should find.
    name : str
        Name in result rows; the entry's if empty.
    options : mapping
        Fields of the metric by name.
    materials : tuple of str
        Materials that it scores.
    budgets : tuple of int
        Gradients or passes per map at which it scores methods that are run at several; empty for all.
    methods : tuple of str
        Methods that it scores; empty for all.
    label, short : str
        Names in tables; those of the registered metric if empty.
    """

    metric: str | MetricEntry
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    materials: tuple[str, ...] = ("clips",)
    budgets: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    label: str = ""
    short: str = ""

    @property
    def row_name(self) -> str:
        """Name in result rows."""
        return self.name or self.entry.name

    @property
    def entry(self) -> MetricEntry:
        """What is known of the metric."""
        return METRICS[self.metric] if isinstance(self.metric, str) else self.metric

    def facts(self) -> dict[str, Any]:
        """Facts of the entry under this use's own names."""
        own = {"name": self.row_name, "label": self.label, "short": self.short}
        return self.entry.facts() | {key: value for key, value in own.items() if value}


@dataclass(frozen=True)
class Study:
    """A declaration: the question, models, methods and metrics.

    Attributes
    ----------
    name, title, question : str
        Name of its results, heading of its document, and the question.
    cells : tuple of Cell
        Models with their samples.
    methods : tuple of str or MethodEntry
        Registered explanation methods, and entries of the study's own that nothing else should find.
    metrics : tuple of MetricSpec
        Metrics that score them.
    settings : mapping
        Fields that several metrics have, such as ``runs`` and ``draws``; a metric's own options come first.
    seed, method_seed : int
        Seeds of everything random in metrics, and in methods.
    references : int
        Training samples from which baselines are learnt.
    removal_snr_db : float
        Clip over speech-shaped noise where noise replaces removed sound, in dB.
    level_noise : bool
        Whether noise on levels in dB ends at silence, as levels of sounds do. Without, noisy levels lie below it too,
        which methods that fade sounds in refuse.
    profile : str
        Name of this size of the study.
    context : mapping
        Command and options that declared it, to be stored with its results.
    document : callable or None
        Makes the study's document of its results; the general one if None.
    """

    name: str
    title: str
    question: str
    cells: tuple[Cell, ...]
    methods: tuple[str | MethodEntry, ...]
    metrics: tuple[MetricSpec, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    method_seed: int = 0
    references: int = 512
    removal_snr_db: float = 10.0
    level_noise: bool = False
    profile: str = "quick"
    context: Mapping[str, Any] = field(default_factory=dict)
    document: "Callable[[ResultSet], Document] | None" = None

    def __post_init__(self) -> None:
        # Both are parts of file names, in which the last hyphen stands between them.
        for what, value, allowed in (("name", self.name, r"[\w-]+"), ("profile", self.profile, r"\w+")):
            if not re.fullmatch(allowed, value, re.ASCII):
                hyphen = " and -" if what == "name" else ""
                raise UserError(f"{what} of the study is {value!r}; use letters, digits, _{hyphen} alone")
        if not self.cells:
            raise UserError(f"study {self.name} has no model and samples; give at least one of each")
        if len(set(self.cells)) != len(self.cells):
            raise UserError(f"study {self.name} has the same model and samples twice; give each once")
        if self.references < 1:
            raise UserError(f"references is {self.references}; it has to be at least 1")
        if not abs(self.removal_snr_db) <= LARGEST_SNR_DB:
            raise UserError(
                f"removal_snr_db is {self.removal_snr_db}; give {-LARGEST_SNR_DB:g} to {LARGEST_SNR_DB:g} dB"
            )
        if not self.methods:
            raise UserError(f"study {self.name} has no method; choose among {', '.join(METHODS)}")
        if not self.metrics:
            raise UserError(f"study {self.name} has no metric; choose among {', '.join(METRICS)}")
        # Unknown names are refused by the registries.
        methods, metrics = [method_entry(one).name for one in self.methods], [spec.row_name for spec in self.metrics]
        for spec in self.metrics:
            unknown = sorted(set(spec.methods) - set(methods))
            if unknown:
                raise UserError(f"metric {spec.row_name} is to score {unknown[0]!r}, which is no method of the study")
        for what, used in (("methods", methods), ("metrics", metrics)):
            if len(set(used)) != len(used):
                raise UserError(f"{what} are {', '.join(used)}; give each once")
        for cell in self.cells:
            if cell.material not in MATERIALS:
                raise UserError(
                    f"kind of material is {cell.material!r}{nearest(cell.material, MATERIALS)}; choose among "
                    f"{', '.join(MATERIALS)}"
                )
            if cell.material == "cues" and cell.model.data.cues is None:
                raise UserError(f"{cell.model.data.name} has no planted cues; give the model's data a cue design")
            if cell.samples < 1:
                raise UserError(f"samples is {cell.samples}; it has to be at least 1")
            for what, chosen, known in (("method", cell.methods, methods), ("metric", cell.metrics, metrics)):
                for name in chosen:
                    if name not in known:
                        raise UserError(f"{what} of {cell.label} is {name!r}; the study has {', '.join(known)}")
            for what in ("gradients", "passes"):
                spent = getattr(cell, what)
                if len(set(spent)) != len(spent) or min(spent, default=1) < 1:
                    raise UserError(f"{what} is {list(spent)}; give positive numbers, each once")
            if cell.features not in get_args(Features):
                raise UserError(f"features is {cell.features!r}; choose {' or '.join(get_args(Features))}")
            if cell.features == "mask" and (cell.material != "clips" or cell.model.data.modality != "audio"):
                raise UserError(f"{cell.label} cannot be explained in masks; give clips of sound, or features model")
            if cell.features in VIEWS and cell.model.data.modality != "audio":
                raise UserError(f"{cell.label} has images, which have no {cell.features}; give features model")


def method_entry(method: str | MethodEntry) -> MethodEntry:
    """What is known of a method that a study names, or brings.

    Raises
    ------
    UserError
        If no method of that name is registered.
    """
    return METHODS[method] if isinstance(method, str) else method


@dataclass(frozen=True)
class RunOptions:
    """Where and on what a study is computed; none of it decides a number.

    Attributes
    ----------
    results, checkpoints : Path
        Folders of results and of trained models.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    threads : int or None
        CPU threads of a process; PyTorch's own choice if None, or with workers an equal share for each.
    workers : int
        Processes on this machine; 1 for this one.
    dask : str or None
        Address of a Dask scheduler, or ``local`` for a cluster of ``workers`` processes on this machine.
    slurm : str or None
        Settings of Slurm's jobs, such as ``partition=gpu,gpus=1,time=120``; empty for the cluster's defaults.
    remotes : tuple of Remote
        Object stores that the folders of results and checkpoints stand for.
    """

    results: Path = Path("results")
    checkpoints: Path = Path("checkpoints")
    device: str = "auto"
    threads: int | None = None
    workers: int = 1
    dask: str | None = None
    slurm: str | None = None
    remotes: tuple[Remote, ...] = ()

    def __post_init__(self) -> None:
        select_device(self.device)
        require_folder("results", self.results)
        require_folder("checkpoints", self.checkpoints)
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"threads is {self.threads}; give 1 to {MOST_THREADS}")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise UserError(f"workers is {self.workers}; give 1 to {MOST_WORKERS} processes")
        if self.dask is not None and self.slurm is not None:
            raise UserError("dask and slurm are both given; choose one of them")
        if self.workers > 1 and (self.slurm is not None or self.dask not in (None, LOCAL)):
            raise UserError(f"workers is {self.workers} but the cluster decides how many there are; leave workers out")


def cue_design(duration_s: float) -> CueDesign:
    """Four cues, quiet and short, anywhere in clips of this length."""
    latest_s = duration_s - CUE_DURATION_S - CUE_MARGIN_S
    return CueDesign(CUES, CUE_LEVEL_DB, CUE_DURATION_S, earliest_s=CUE_MARGIN_S, latest_s=latest_s)
