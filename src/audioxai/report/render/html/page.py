"""The page: documents, gallery and cards rendered into one file that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from audioxai.report.canvas import rendered
from audioxai.report.cards import data_card, model_card
from audioxai.report.document import Document, Figure
from audioxai.report.gallery import GalleryClip, gallery_clips
from audioxai.report.generic import shown_cells, shown_methods
from audioxai.report.render.html.gallery import packed
from audioxai.report.render.html.prose import html_of, inline_html_of
from audioxai.report.style import Style
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

if TYPE_CHECKING:
    from audioxai.results import ResultSet

TITLE = "Audio XAI: explanations, measured"
LARGEST_BYTES = 10 * 2**20
_SCRIPTS = ("theme.js", "tables.js", "player.js", "gallery.js")


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
    style, script = _asset("report.css"), "\n".join(_asset(name) for name in _SCRIPTS)
    stand_ins = {name: real for document in documents for name, real in document.stand_ins.items()}
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            documents=documents,
            cards=cards,
            unanswered=unanswered,
            stand_ins=stand_ins,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            gallery=_json(packed(clips)) if clips else None,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "markdown": html_of,
        "inline_markdown": inline_html_of,
        "image": _image,
        "kind": lambda block: type(block).__name__,
        "split_interval": _split_interval,
        "facts": _facts,
    }
    return environment


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content security policy: this page's own style and script and nothing from anywhere."""
    allowed = {"default-src": "'none'", "img-src": "data:", "style-src": _hash(style), "script-src": _hash(script)}
    return "; ".join(f"{kind} {source}" for kind, source in {**allowed, "base-uri": "'none'"}.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(content: Mapping[str, Any]) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _image(figure: Figure) -> Markup:
    """Attributes of the figure as lossless WebP, less than half of a PNG, in an address of its own."""
    content = BytesIO()
    with Image.open(BytesIO(rendered(figure)["png"])) as image:
        image.convert("RGB").save(content, "WEBP", lossless=True, quality=60, method=4)
        width, height = image.size
    address = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
    return Markup('src="{}" width="{}" height="{}"').format(address, width, height)


def _split_interval(text: str) -> tuple[str, str]:
    """``0.43`` and ``[0.12, 0.50]``, to be set in two lines; the rest is empty where there is no interval."""
    mean, bracket, rest = text.partition(" [")
    return (mean, f"[{rest}") if bracket and mean else (text, "")


def _facts(context: Mapping[str, object]) -> dict[str, str]:
    """What made the numbers, short facts first; settings as JSON."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for key, value in sorted(context.items())
    }
    return dict(sorted(texts.items(), key=lambda item: len(item[1])))
