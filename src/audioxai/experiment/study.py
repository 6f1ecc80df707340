"""What a study is: models, samples, methods and metrics, declared before anything runs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioxai.datasets.ground_truth import CueDesign, NoiseBand, Tone
from audioxai.experiment.materials import MATERIALS
from audioxai.experiment.models import ModelSpec
from audioxai.metrics import METRICS
from audioxai.registry import MetricEntry
from audioxai.utils.errors import UserError
from audioxai.utils.files import require_folder
from audioxai.utils.hardware import select_device
from audioxai.utils.names import nearest
from audioxai.xai_methods import METHODS

if TYPE_CHECKING:
    from audioxai.report.document import Document
    from audioxai.results import ResultSet

MOST_THREADS = 1024
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
    """

    model: ModelSpec
    sample_seed: int
    samples: int
    material: str = "clips"
    gradients: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Short name for logs and progress."""
        return self.model.label if self.material == "clips" else f"{self.model.label} {self.material}"


@dataclass(frozen=True)
class MetricSpec:
    """A metric as a study uses it.

    Attributes
    ----------
    metric : str
        Registered metric.
    name : str
        Name in result rows; the registered one if empty.
    options : mapping
        Fields of the metric by name.
    materials : tuple of str
        Materials that it scores.
    label, short : str
        Names in tables; those of the registered metric if empty.
    """

    metric: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    materials: tuple[str, ...] = ("clips",)
    label: str = ""
    short: str = ""

    @property
    def row_name(self) -> str:
        """Name in result rows."""
        return self.name or self.metric

    @property
    def entry(self) -> MetricEntry:
        """What the registry knows of the metric."""
        return METRICS[self.metric]

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
    methods : tuple of str
        Registered explanation methods.
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
    methods: tuple[str, ...]
    metrics: tuple[MetricSpec, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    method_seed: int = 0
    references: int = 512
    removal_snr_db: float = 10.0
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
        for kind, names, registry in (
            ("method", self.methods, METHODS),
            ("metric", [spec.metric for spec in self.metrics], METRICS),
        ):
            if not names:
                raise UserError(f"study {self.name} has no {kind}; choose among {', '.join(registry)}")
            for name in names:
                registry[name]
        for what, used in (("methods", self.methods), ("metrics", [spec.row_name for spec in self.metrics])):
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
            if len(set(cell.gradients)) != len(cell.gradients) or min(cell.gradients, default=1) < 1:
                raise UserError(f"gradients is {list(cell.gradients)}; give positive numbers, each once")


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
        CPU threads; PyTorch's own choice if None.
    part : str or None
        Share of the models for this process, such as ``3/12``.
    """

    results: Path = Path("results")
    checkpoints: Path = Path("checkpoints")
    device: str = "auto"
    threads: int | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        select_device(self.device)
        require_folder("results", self.results)
        require_folder("checkpoints", self.checkpoints)
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"threads is {self.threads}; give 1 to {MOST_THREADS}")


def cue_design(duration_s: float) -> CueDesign:
    """Four cues, quiet and short, anywhere in clips of this length."""
    latest_s = duration_s - CUE_DURATION_S - CUE_MARGIN_S
    return CueDesign(CUES, CUE_LEVEL_DB, CUE_DURATION_S, earliest_s=CUE_MARGIN_S, latest_s=latest_s)
