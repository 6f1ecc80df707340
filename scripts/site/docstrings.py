"""Docstrings as Markdown: their cross-references and introductions of code blocks are written in another markup."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([^`]+)`")
LITERAL = re.compile(r"::$", re.MULTILINE)


def markdown(docstring: str) -> str:
    """A docstring whose roles are plain code and whose literal blocks begin after a colon."""
    return LITERAL.sub(":", ROLE.sub(r"`\1`", docstring))


class MarkdownDocstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
