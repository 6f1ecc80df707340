"""Markdown that the studies write, as HTML that can do no harm: no raw HTML, no links, no images, no styles."""

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup


def html_of(markdown: str) -> Markup:
    """Block-level HTML of some Markdown; whatever is HTML in it is shown as text."""
    return Markup(_PARSER.render(markdown))


def inline_html_of(markdown: str) -> Markup:
    """The same for one line, without a paragraph around it."""
    return Markup(_PARSER.renderInline(markdown))


def _without_styles(state: StateCore) -> None:
    """Alignment of columns is left to the page, which allows no style attributes."""
    for token in state.tokens:
        token.attrs.pop("style", None)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    parser.core.ruler.push("without_styles", _without_styles)
    return parser


_PARSER = _parser()
