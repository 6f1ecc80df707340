"""Command lines of studies: every script and every ``audioxai`` command is a list of stages over one plan."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from audioxai.experiment import Plan, Study, results_of, run
from audioxai.experiment.declared import read_study
from audioxai.experiment.estimate import estimate, summary
from audioxai.report.document import Document
from audioxai.studies.options import NO_NUMBERS, RunConfig, run_options
from audioxai.utils.configuration import parse, save_yaml
from audioxai.utils.errors import UserError

Stage = Callable[[Plan], None]
DRY_RUN = "--dry-run"


@dataclass(frozen=True)
class DeclaredStudy:
    """A module of this package that declares a study: ``PROFILES`` of its options, and ``declare(options)``."""

    module: ModuleType

    @property
    def profiles(self) -> Mapping[str, Any]:
        """Complete options by name, the default one first."""
        profiles: Mapping[str, Any] = self.module.PROFILES
        return profiles

    @property
    def options_type(self) -> type[Any]:
        """Dataclass of its options."""
        return type(next(iter(self.profiles.values())))

    def plan(self, options: Any) -> Plan:
        """The plan of these options."""
        study: Study = self.module.declare(options)
        return Plan(study, run_options(options))

    @cached_property
    def title(self) -> str:
        """First line of the module's docstring."""
        return (self.module.__doc__ or self.module.__name__).strip().splitlines()[0].rstrip(".")


def declared_studies() -> dict[str, DeclaredStudy]:
    """Every study that a module of this package declares, by name."""
    package = importlib.import_module("audioxai.studies")
    modules = [
        importlib.import_module(f"audioxai.studies.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    ]
    return {module.NAME: DeclaredStudy(module) for module in modules if hasattr(module, "declare")}


def declared(name: str) -> DeclaredStudy:
    """The declared study of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    known = declared_studies()
    if name not in known:
        raise UserError(f"there is no study {name!r}; choose among {', '.join(known)}, or name a YAML file")
    return known[name]


def main(
    name: str,
    stages: Sequence[Stage],
    description: str,
    command: str,
    argv: Sequence[str] | None = None,
) -> None:
    """Parse the options of a declared study and run stages one after the other; ``--dry-run`` prints what it takes.

    The options are noted in the results folder once the first stage has been: what fails at once leaves those of an
    earlier run.
    """
    study, (dry, given) = declared(name), _dry(argv)
    examples = (
        command,
        f"{command} --profile standard",
        f"{command} --profile standard --print-config > my_options.yaml",
        f"{command} --config my_options.yaml",
        f"{command} {DRY_RUN}",
    )
    options = parse(study.options_type, study.profiles, description, examples, given, command)
    plan = study.plan(options)
    first, *others = [budget] if dry else stages
    first(plan)
    if not dry:
        note_options(plan, options)
    for stage in others:
        stage(plan)


def run_file(path: Path, argv: Sequence[str], stages: Sequence[Stage]) -> None:
    """Run stages of the study that a YAML file declares; the command line may say where to compute it."""
    dry, given = _dry(argv)
    study, stated = read_study(path)
    config = RunConfig(
        **{name: getattr(stated, name) for name in NO_NUMBERS if name not in ("results", "checkpoints")},
        results=str(stated.results),
        checkpoints=str(stated.checkpoints),
    )
    command = f"audioxai run {path}"
    examples = (command, f"{command} --workers 4", f"{command} {DRY_RUN}")
    options = parse(RunConfig, {"file": config}, f"Run the study that {path} declares.", examples, given, command)
    plan = Plan(study, run_options(options))
    for stage in [budget] if dry else stages:
        stage(plan)


def _dry(argv: Sequence[str] | None) -> tuple[bool, list[str]]:
    """Whether only to say what a study takes, and the other arguments; those of this process if None."""
    given = sys.argv[1:] if argv is None else argv
    return DRY_RUN in given, [argument for argument in given if argument != DRY_RUN]


def note_options(plan: Plan, options: Any) -> None:
    """Write the options of the whole study as YAML into the results folder."""
    save_yaml(plan.options.results / "configs" / f"{plan.study.name}-{plan.study.profile}.yaml", vars(options))


def explaining(modality: str | None = None) -> Stage:
    """Stage that trains the models that are missing and explains, of one modality or of all."""

    def explain(plan: Plan) -> None:
        cells = [cell for cell in plan.cells if modality in (None, cell.model.data.modality)]
        tasks = run(plan, "train", "explain", cells=cells)
        made = sum(task.kind == "explain" for task in tasks)
        what = "attributions" if modality is None else f"{modality} attributions"
        print(f"{made} sets of {what} in {plan.options.results / 'attributions'}")

    return explain


def score(plan: Plan) -> None:
    """Stage that scores every attribution map."""
    made = run(plan, "score")
    print(f"{len(made)} shards of scores in {plan.options.results / 'metrics' / plan.study.name}")


def everything(plan: Plan) -> None:
    """Stage that trains, explains and scores, model by model."""
    run(plan)


def compare(plan: Plan) -> None:
    """Stage that writes and prints the study's document."""
    answered(plan)


def answered(plan: Plan) -> Document:
    """The document of a whole study, written and printed."""
    from audioxai.report.render.json import write_json
    from audioxai.report.render.markdown import write_figures, write_markdown
    from audioxai.report.render.terminal import print_document

    document: Document = document_of(plan.study)(results_of(plan))
    root = plan.options.results
    figures = root / "visualizations" / document.name
    # First, so that finished results in a folder that must not be written are shown as well.
    print_document(document)
    summary = write_markdown(document, root / "summaries", f"../visualizations/{document.name}")
    write_json(document, root / "summaries")
    drawn = write_figures(document, figures)
    publish(plan)
    print(f"\nSummary: {summary}\nFigures: {len(drawn)} files in {figures}")
    return document


def report(plan: Plan) -> None:
    """Stage that writes the HTML report on all that the results folder holds."""
    from audioxai.studies.reports import ReportConfig, print_report

    print_report(ReportConfig(results=str(plan.options.results)))
    publish(plan)


def publish(plan: Plan) -> None:
    """Put summaries, figures, reports, options and logs into the object store, where results lie in one."""
    root = plan.options.results
    written = [root / name for name in ("summaries", "visualizations", "configs", "logs", "report.html")]
    for remote in plan.options.remotes:
        if remote.folder == root:
            remote.publish_all(*written)


def budget(plan: Plan) -> None:
    """Print what a study would take, and run nothing but a short trial of each model."""
    planned = plan.cost()
    table = planned.pivot_table(index="method", columns="metric", values="passes", aggfunc="sum", sort=False)
    print("Model passes of every method under every metric, all models and samples together:\n")
    print(table.fillna(0).map("{:,.0f}".format).to_string())
    print(f"\nall    {planned['passes'].sum():>15,}")
    print(f"done   {planned.loc[planned['done'], 'passes'].sum():>15,}")
    print(f"due    {planned.loc[~planned['done'], 'passes'].sum():>15,}")
    print("\nPasses that do not depend on the method are sent once for all methods, so fewer reach the models.\n")
    print("\n".join(summary(estimate(plan), plan.options.workers)))


def document_of(study: Study) -> Callable[..., Any]:
    """What makes a study's document of its results."""
    from audioxai.report.generic import study_document

    return study.document or study_document
