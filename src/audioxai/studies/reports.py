"""The HTML report and the thesis' figures: documents of everything that a results folder holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioxai.report.document import Document
from audioxai.report.generic import study_document
from audioxai.results import ANY_PROFILE, Results, ResultSet
from audioxai.studies.command import declared_studies
from audioxai.studies.options import fetched, local_folder
from audioxai.utils.configuration import option, parse
from audioxai.utils.errors import UserError
from audioxai.utils.files import require_file, require_folder

PROFILES_KNOWN = (ANY_PROFILE, "first", "quick", "standard", "full")


@dataclass(frozen=True)
class ReportConfig:
    """Which results are shown, and where the report goes."""

    profile: str = option(ANY_PROFILE, "profile whose results are shown, or auto for the largest of each study")
    clips: int = option(3, "clips of each data set that can be looked at and heard")
    results: str = option("results", "folder of the results store")
    output: str | None = option(None, "the HTML file; report.html in the results folder if not given")

    def __post_init__(self) -> None:
        _require_clips(self.clips)
        require_file("output", self.destination)

    @property
    def destination(self) -> Path:
        """The HTML file."""
        return local_folder(self.results) / "report.html" if self.output is None else Path(self.output)


@dataclass(frozen=True)
class ThesisConfig:
    """Which results are shown, and where the pages go."""

    profile: str = option(ANY_PROFILE, "profile whose results are shown, or auto for the largest of each study")
    results: str = option("results", "folder of the results store")
    output: str | None = option(None, "folder of the pages; visualizations/thesis in the results folder if not given")

    def __post_init__(self) -> None:
        require_folder("output", self.destination)

    @property
    def destination(self) -> Path:
        """Where the pages go."""
        return local_folder(self.results) / "visualizations" / "thesis" if self.output is None else Path(self.output)


def documents_in(
    folder: Path, profile: str = ANY_PROFILE, made: Sequence[Document] = ()
) -> list[tuple[ResultSet, Document]]:
    """Results and document of every study that a results folder holds completely, the declared studies first.

    Documents that were ``made`` already are taken as they are.

    Raises
    ------
    UserError
        If there is none.
    """
    results, known = Results.open(folder), declared_studies()
    names = list(dict.fromkeys(name for name, own in results.studies if profile in (ANY_PROFILE, own)))
    found = [results[name, profile] for name in sorted(names, key=lambda name: (name not in known, name))]
    complete = [one for one in found if not one.missing and len(one.rows)]
    if not complete:
        named = "" if profile == ANY_PROFILE else f" of profile {profile}"
        raise UserError(f"{folder} holds no finished study{named}; run python scripts/run_demo.py or audioxai run")
    known_documents = {document.name: document for document in made}
    return [(one, known_documents.get(one.study) or document_of_results(one)) for one in complete]


def document_of_results(results: ResultSet) -> Document:
    """The document of stored results: that of the declared study, or the one that any study has."""
    module = declared_studies()[results.study].module if results.study in declared_studies() else None
    document: Document = getattr(module, "DOCUMENT", study_document)(results)
    return document


def remedy(study: str) -> str:
    """Commands that fill a results folder with a declared study."""
    return str(getattr(declared_studies()[study].module, "REMEDY", f"audioxai run {study}"))


def report(config: ReportConfig, made: Sequence[Document] = ()) -> Path:
    """Write the HTML report and, into ``summaries`` beside it, both cards; return the report's place.

    Documents that were ``made`` already are taken as they are.

    Raises
    ------
    UserError
        If the folder holds no finished study, or the report would be too large.
    """
    from audioxai.report.cards import data_card, model_card
    from audioxai.report.render.html.page import Unanswered, write_report
    from audioxai.report.render.markdown import write_markdown

    found = documents_in(fetched(config.results), config.profile, made)
    results = [one for one, _ in found]
    for card in (model_card(results), data_card(results)):
        write_markdown(card, config.destination.parent / "summaries")
    answered = {one.study for one in results}
    unanswered = [
        Unanswered(study.title, study.module.QUESTION, remedy(name))
        for name, study in declared_studies().items()
        if name not in answered and hasattr(study.module, "REMEDY")
    ]
    return write_report(found, config.destination, config.clips, unanswered)


def print_report(config: ReportConfig, made: Sequence[Document] = ()) -> None:
    """Write the HTML report and print where it is."""
    path = report(config, made)
    size_mib = path.stat().st_size / 2**20
    print(f"Report ({size_mib:.1f} MiB; open it in a browser, no network needed): {path.resolve()}")


def main(argv: Sequence[str], command: str, description: str, examples: Sequence[str]) -> None:
    """Parse the options, write the report and print where it is."""
    print_report(parse(ReportConfig, _profiles(ReportConfig), description, examples, argv, command))


def thesis(argv: Sequence[str], command: str, description: str) -> None:
    """Parse the options and write every figure and table for a thesis."""
    from audioxai.report.render.latex import write_thesis

    examples = (command, f"{command} --profile standard", f"{command} --results /big/disk/results --output figures")
    config = parse(ThesisConfig, _profiles(ThesisConfig), description, examples, argv, command)
    found = documents_in(fetched(config.results), config.profile)
    written = write_thesis([document for _, document in found], config.destination)
    print(f"{len(written)} files in {config.destination}; thesis.tex holds every figure and table")


def _profiles(kind: type[Any]) -> dict[str, Any]:
    return {name: kind(profile=name) for name in PROFILES_KNOWN}


def _require_clips(clips: int) -> None:
    if clips < 1:
        raise UserError(f"clips is {clips}; it has to be at least 1")
