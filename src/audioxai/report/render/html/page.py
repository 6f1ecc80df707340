"""The page: documents, gallery and cards rendered into one file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audioxai.report.cards import data_card, model_card
from audioxai.report.document import Document
from audioxai.report.gallery import GalleryClip, gallery_clips
from audioxai.report.generic import shown_cells, shown_methods
from audioxai.report.render.html.gallery import packed
from audioxai.report.render.html.shell import assembled, json_in_html
from audioxai.report.style import Style
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

if TYPE_CHECKING:
    from audioxai.results import ResultSet

TITLE = "Audio XAI: explanations, measured"
LARGEST_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Unanswered:
    """A study that has not been run: its title and question, and what to run."""

    title: str
    question: str
    remedy: str


def write_report(
    found: Sequence[tuple["ResultSet", Document]],
    path: Path,
    clips: int = 3,
    unanswered: Sequence[Unanswered] = (),
    title: str = TITLE,
) -> Path:
    """Write the documents of several studies with a gallery and the cards of their models and data.

    Parameters
    ----------
    found : sequence of (ResultSet, Document)
        Results with what was made of them.
    path : Path
        The HTML file.
    clips : int
        Samples of each cell that are shown in the gallery; 0 leaves it out.
    unanswered : sequence of Unanswered
        What has not been run yet.
    title : str
        Heading of the page.

    Raises
    ------
    UserError
        As :func:`write_page`.
    """
    shown: list[GalleryClip] = []
    for results, document in found if clips else ():
        style = Style(results.methods, results.metrics)
        methods = document.shown or shown_methods(results)
        opening = document.shown[:2] or [name for name in methods if not style.is_control(name)][:2]
        name = document.title.partition(":")[0]
        shown += gallery_clips(shown_cells(results.cells), style, name, clips, methods, opening)
    # It opens with something to hear.
    shown.sort(key=lambda clip: clip.sounds is None)
    trained = [own for own, _ in found if own.models]
    cards = [model_card(trained), data_card(trained)] if trained else []
    return write_page(path, title, [document for _, document in found], shown, cards, unanswered)


def write_page(
    path: Path,
    title: str,
    documents: Sequence[Document],
    clips: Sequence[GalleryClip] = (),
    cards: Sequence[Document] = (),
    unanswered: Sequence[Unanswered] = (),
) -> Path:
    """Write documents, a gallery of clips, cards and what is not answered yet as one page; return its place.

    Raises
    ------
    UserError
        If it would exceed 10 MiB, or a clip cannot be shown.
    """
    content = render(title, documents, clips, cards, unanswered).encode()
    if len(content) > LARGEST_BYTES:
        raise UserError(
            f"the report would have {len(content) / 2**20:.1f} MiB but is to be passed around with at most "
            f"{LARGEST_BYTES / 2**20:.0f} MiB; show fewer clips or methods"
        )
    return write_bytes(path, content)


def render(
    title: str,
    documents: Sequence[Document],
    clips: Sequence[GalleryClip] = (),
    cards: Sequence[Document] = (),
    unanswered: Sequence[Unanswered] = (),
) -> str:
    """The whole page; the same arguments give the same text."""
    return assembled(
        "report.html",
        ["gallery.js"],
        title=title,
        documents=documents,
        cards=cards,
        unanswered=unanswered,
        stand_ins={name: real for document in documents for name, real in document.stand_ins.items()},
        gallery=json_in_html(packed(clips)) if clips else None,
    )
