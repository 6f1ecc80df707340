"""The thesis' figures and tables: gathered from the store, handed to the report room, what is missing named."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from audioxai.models import checkpoints
from audioxai.report.figures import Overlay
from audioxai.report.objective2_tables import gather
from audioxai.report.thesis import objective1 as objective1_pages
from audioxai.report.thesis import objective2 as objective2_pages
from audioxai.report.thesis.findings import AdaptationFindings, Findings
from audioxai.report.thesis.pages import Page, write_pages
from audioxai.studies.galleries import objective1_gallery, objective2_gallery
from audioxai.studies.objective1 import config as objective1_config
from audioxai.studies.objective1.comparison import directions_of, load_rows, shown_cells
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective1.plan import paths
from audioxai.studies.objective1.scores import all_cells
from audioxai.studies.objective2 import config as objective2_config
from audioxai.studies.objective2.adapted import SHOWN
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.plan import cells
from audioxai.studies.stored import (
    ANY_PROFILE,
    LARGEST_FIRST,
    Folders,
    objective1_config_in,
    objective1_repeats,
    objective2_config_in,
    objective2_curves,
    objective2_rows,
)
from audioxai.utils.configuration import option
from audioxai.utils.errors import UserError

ALONE = "integrated_gradients"
OBJECTIVE2_SCRIPTS = ("audio_adapted_ig", "evaluate_adaptations")
COMMAND = "python scripts/generate_thesis_figures.py"


@dataclass(frozen=True)
class ThesisConfig:
    """Which results are shown, and where the pages go."""

    profile: str = option(
        ANY_PROFILE, "profile whose results are shown: quick, standard, full, or auto for the largest"
    )
    clips: int = option(2, "samples of each kind that are shown with their maps")
    results: str = option("results", "folder of the results store")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")
    output: str | None = option(None, "folder of the pages; visualizations/thesis in the store if not given")

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise UserError(f"clips is {self.clips}; it has to be at least 1")

    @property
    def folders(self) -> Folders:
        """Where results lie."""
        return Folders(Path(self.results), Path(self.checkpoints), self.profile)

    @property
    def destination(self) -> Path:
        """Where the pages go."""
        return Path(self.results) / "visualizations" / "thesis" if self.output is None else Path(self.output)


PROFILES = {name: ThesisConfig(profile=name) for name in (ANY_PROFILE, *reversed(LARGEST_FIRST))}


@dataclass(frozen=True)
class Made:
    """Files written, and a line on everything that the store did not hold."""

    written: list[Path]
    left_out: list[str]


def make_pages(config: ThesisConfig) -> Made:
    """Write every page that the store can fill.

    Raises
    ------
    UserError
        If it can fill none.
    """
    made: list[Page] = []
    left_out: list[str] = []
    parts: dict[str, Callable[[ThesisConfig], tuple[list[Page], list[str]]]] = {
        "Objective 1": objective1,
        "Objective 2": objective2,
    }
    for name, part in parts.items():
        try:
            pages, missing = part(config)
        except UserError as error:
            left_out.append(f"{name} is left out: {error}")
        else:
            made += pages
            left_out += missing
    if not made:
        raise UserError("; ".join(left_out))
    return Made(write_pages(made, config.destination), left_out)


def objective1(config: ThesisConfig) -> tuple[list[Page], list[str]]:
    """Pages on Objective 1 and what they lack."""
    study = objective1_config_in(config.folders)
    findings = objective1_findings(study, config.clips)
    missing = []
    if findings.repeats["seed"].nunique() < 2:
        missing.append(
            "Objective 1's metric noise is left out: the scores are of one metric seed; run python "
            f"experiments/objective1/compute_metrics.py {objective1_config.options_of(replace(study, metric_seed=1))}, "
            "then once more with the seed of before"
        )
    return objective1_pages.pages(findings), missing


def objective1_findings(study: Objective1Config, clips: int) -> Findings:
    """What the store holds of Objective 1.

    Raises
    ------
    UserError
        If explanations or scores are missing.
    """
    options = objective1_config.options_of(study)
    return Findings(
        rows=load_rows(study),
        repeats=objective1_repeats(study),
        directions=directions_of(study),
        cards=[asdict(checkpoints.read_card(paths(study, cell).weights)) for cell in all_cells(study)],
        overlays=_objective1_overlays(study, clips),
        command=f"python scripts/run_demo.py {options}; {COMMAND} --profile {study.profile}",
    )


def objective2(config: ThesisConfig) -> tuple[list[Page], list[str]]:
    """Pages on Objective 2 and what they lack."""
    return objective2_pages.pages(objective2_findings(objective2_config_in(config.folders), config.clips)), []


def objective2_findings(study: Objective2Config, clips: int) -> AdaptationFindings:
    """What the store holds of Objective 2.

    Raises
    ------
    UserError
        If explanations or scores are missing.
    """
    rows = objective2_rows(study)
    evidence = gather(rows)
    options = objective2_config.options_of(study)
    made_by = "; ".join(f"python experiments/objective2/{name}.py {options}" for name in OBJECTIVE2_SCRIPTS)
    return AdaptationFindings(
        rows=rows,
        curves=objective2_curves(study, evidence.main_budget),
        overlays=_objective2_overlays(study, clips, evidence.best),
        command=f"{made_by}; {COMMAND} --profile {study.profile}",
    )


def _objective1_overlays(study: Objective1Config, clips: int) -> dict[str, Overlay]:
    """Pages' names → overlays of the first samples of each modality, for audio also one map alone."""
    named: dict[str, Overlay] = {}
    for cell in shown_cells(study):
        gallery = objective1_gallery(study, cell)
        for position, sample in enumerate(gallery.of_different_titles(clips), start=1):
            named[f"o1_overlay_{cell.modality}_{position}"] = gallery.overlay(sample)
            if cell.modality == "audio" and ALONE in gallery.maps:
                named[f"o1_overlay_{cell.modality}_{position}_column"] = gallery.overlay(sample, (ALONE,))
    return named


def _objective2_overlays(study: Objective2Config, clips: int, best: str | None) -> dict[str, Overlay]:
    """Pages' names → overlays of the first model's first clips, with the best adaptation among the methods shown."""
    gallery = objective2_gallery(study, next(cell for cell in cells(study) if cell.material == "clips"))
    methods = [method for method in gallery.maps if method in SHOWN or method == best]
    return {
        f"o2_overlay_{position}": gallery.overlay(sample, methods)
        for position, sample in enumerate(gallery.of_different_titles(clips), start=1)
    }
