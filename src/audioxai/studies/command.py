"""Command lines of studies: every script and every ``audioxai`` command is a list of stages over one plan."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from audioxai.experiment import Plan, Study, results_of, run
from audioxai.experiment.declared import read_study
from audioxai.experiment.plan import Kind
from audioxai.report.document import Document
from audioxai.studies.options import run_options
from audioxai.utils.commands import OneLineParser
from audioxai.utils.configuration import parse, save_yaml
from audioxai.utils.errors import UserError

Stage = Callable[[Plan], None]


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
    note: bool = True,
) -> None:
    """Parse the options of a declared study and run stages one after the other.

    The options are noted in the results folder once the first stage has been: what fails at once leaves those of an
    earlier run.
    """
    study = declared(name)
    examples = (
        command,
        f"{command} --profile standard",
        f"{command} --profile standard --print-config > my_options.yaml",
        f"{command} --config my_options.yaml",
    )
    options = parse(study.options_type, study.profiles, description, examples, argv, command)
    plan = study.plan(options)
    first, *others = stages
    first(plan)
    if note:
        note_options(plan, options)
    for stage in others:
        stage(plan)


def run_file(path: Path, argv: Sequence[str], stages: Sequence[Stage]) -> None:
    """Run stages of the study that a YAML file declares; ``--part i/n`` is its only option."""
    parser = OneLineParser(prog=f"audioxai run {path}", description=f"Run the study that {path} declares.")
    parser.add_argument("--part", help="share of the models for this process, such as 3/12")
    parsed = parser.parse_args(list(argv))
    study, options = read_study(path)
    plan = Plan(study, replace(options, part=parsed.part))
    for stage in stages:
        stage(plan)


def note_options(plan: Plan, options: Any) -> None:
    """Write the options of the whole study as YAML into the results folder."""
    content = {name: value for name, value in vars(options).items() if name != "part"}
    save_yaml(plan.options.results / "configs" / f"{plan.study.name}-{plan.study.profile}.yaml", content)


def explaining(modality: str | None = None) -> Stage:
    """Stage that trains the models that are missing and explains, of one modality or of all."""

    def explain(plan: Plan) -> None:
        cells = [cell for cell in plan.cells if modality in (None, cell.model.data.modality)]
        tasks = run(plan, "train", "explain", cells=cells)
        made = sum(task.kind == "explain" for task in tasks)
        what = "attributions" if modality is None else f"{modality} attributions"
        print(f"{made} sets of {what} in {plan.options.results / 'attributions'}")
        _state_of_parts(plan, "explain")

    return explain


def score(plan: Plan) -> None:
    """Stage that scores every attribution map."""
    made = run(plan, "score")
    print(f"{len(made)} shards of scores in {plan.options.results / 'metrics' / plan.study.name}")
    _state_of_parts(plan, "score")


def everything(plan: Plan) -> None:
    """Stage that trains, explains and scores, model by model."""
    run(plan)
    _state_of_parts(plan, "score")


def compare(plan: Plan) -> None:
    """Stage that writes and prints the study's document; of a part there is none."""
    if plan.options.part is not None:
        print(f"No comparison of part {plan.options.part}: it is that of the whole study, so leave part out")
        return
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
    print(f"\nSummary: {summary}\nFigures: {len(drawn)} files in {figures}")
    return document


def report(plan: Plan) -> None:
    """Stage that writes the HTML report on all that the results folder holds; of a part there is none."""
    from audioxai.studies.reports import ReportConfig, print_report

    if plan.options.part is None:
        print_report(ReportConfig(results=str(plan.options.results)))


def budget(plan: Plan) -> None:
    """Print what scoring would cost, and run nothing."""
    planned = plan.cost()
    table = planned.pivot_table(index="method", columns="metric", values="passes", aggfunc="sum", sort=False)
    print("Model passes of every method under every metric, all models and samples together:\n")
    print(table.fillna(0).map("{:,.0f}".format).to_string())
    print(f"\nall    {planned['passes'].sum():>15,}")
    print(f"done   {planned.loc[planned['done'], 'passes'].sum():>15,}")
    print(f"due    {planned.loc[~planned['done'], 'passes'].sum():>15,}")
    print("\nPasses that do not depend on the method are sent once for all methods, so fewer reach the models.")


def document_of(study: Study) -> Callable[..., Any]:
    """What makes a study's document of its results."""
    from audioxai.report.generic import study_document

    return study.document or study_document


def _state_of_parts(plan: Plan, kind: Kind) -> None:
    """How much of the other parts is left."""
    if plan.options.part is None:
        return
    whole = plan.whole()
    left = sum(not whole.place(task.cell).is_done(task) for task in whole.tasks(kind))
    verb = {"explain": "explained", "score": "scored"}[kind]
    others = f"{left} tasks of other parts are not" if left else "so are all others: now run it without --part"
    print(f"Part {plan.options.part} is {verb}, {others}")
