"""What every page is put into: one layout, one style sheet, one script, and a policy that allows these alone."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from io import BytesIO
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from audioxai.report.canvas import rendered
from audioxai.report.document import Figure
from audioxai.report.render.html.prose import html_of, inline_html_of

_INTERVAL = re.compile(r"(.+?) (\[[^\]]+, [^\]]+\].*)", re.DOTALL)
SCRIPTS = ("theme.js", "tables.js", "player.js", "pictures.js", "transport.js")


def assembled(
    template: str,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    allowed: Mapping[str, str] | None = None,
    **content: Any,
) -> str:
    """A whole page; the same arguments give the same text.

    Parameters
    ----------
    template : str
        Name of a template that extends ``base.html``.
    scripts : sequence of str
        Its own scripts, after those that all pages share.
    styles : sequence of str
        Its own style sheets, after the one that all pages share.
    allowed : mapping, optional
        What its policy allows beyond its style and script: kind → sources.
    **content
        What it shows; escaped.
    """
    style, script = ("\n".join(map(asset, names)) for names in (("report.css", *styles), (*SCRIPTS, *scripts)))
    return (
        _environment()
        .get_template(template)
        .render(style=Markup(style), script=Markup(script), policy=_policy(style, script, allowed or {}), **content)
    )


def asset(name: str) -> str:
    """A template, style sheet or script of this folder."""
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def json_in_html(content: Mapping[str, Any]) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def hash_of(text: str) -> str:
    """How a policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(style: str, script: str, more: Mapping[str, str]) -> str:
    """Content security policy: this page's own style and script, and from elsewhere nothing but ``more``."""
    allowed = {"default-src": "'none'", "img-src": "data:", "style-src": hash_of(style), "script-src": hash_of(script)}
    return "; ".join(f"{kind} {source}" for kind, source in {**allowed, **more, "base-uri": "'none'"}.items())


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
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
    found = _INTERVAL.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def _facts(context: Mapping[str, object]) -> dict[str, str]:
    """What made the numbers, short facts first; settings as JSON."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for key, value in sorted(context.items())
    }
    return dict(sorted(texts.items(), key=lambda item: len(item[1])))
