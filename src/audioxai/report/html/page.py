"""The page: a document rendered into one file that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from audioxai.report.html.document import Document, Picture
from audioxai.report.html.gallery import packed
from audioxai.report.html.prose import html_of, inline_html_of
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

LARGEST_BYTES = 10 * 2**20
_SCRIPTS = ("theme.js", "tables.js", "player.js", "gallery.js")


def write_report(document: Document, path: Path) -> Path:
    """Write the report in one step and return its place.

    Raises
    ------
    UserError
        If it would exceed 10 MiB, or a clip cannot be shown.
    """
    content = render(document).encode()
    if len(content) > LARGEST_BYTES:
        raise UserError(
            f"the report would have {len(content) / 2**20:.1f} MiB but is to be passed around with at most "
            f"{LARGEST_BYTES / 2**20:.0f} MiB; show fewer clips or methods"
        )
    return write_bytes(path, content)


def render(document: Document) -> str:
    """The whole page; the same document gives the same text."""
    style, script = _asset("report.css"), "\n".join(_asset(name) for name in _SCRIPTS)
    return (
        _environment()
        .get_template("report.html")
        .render(
            document=document,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            gallery=_json(packed(document.clips)) if document.clips else None,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"markdown": html_of, "inline_markdown": inline_html_of, "image": _image}
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


def _image(picture: Picture) -> Markup:
    """Attributes of the picture as lossless WebP, less than half of a PNG, in an address of its own."""
    content = BytesIO()
    with Image.open(BytesIO(picture.content)) as image:
        image.convert("RGB").save(content, "WEBP", lossless=True, quality=60, method=4)
        width, height = image.size
    address = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
    return Markup('src="{}" width="{}" height="{}"').format(address, width, height)
