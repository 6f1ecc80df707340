"""YAML for settings: one plain reading of every value, and nothing that can grow or hide.

Refused, with the line: keys that are given twice, aliases, tags, deep nesting and large files. Numbers are decimal and
truth values are ``true`` and ``false`` alone; whatever else YAML 1.1 turns into numbers, dates or truth values is text.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from audioxai.utils.errors import UserError

LARGEST_BYTES = 1_000_000
DEEPEST = 20


class _Loader(yaml.SafeLoader):
    """Plain values, no aliases, no repeated keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own attribute)
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _Refused("an alias (*name), which settings do not need", self._mark())
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels", self._mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _mark(self) -> Any:
        return self.peek_event().start_mark  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused("a key that is no word", key_node.start_mark)
            if key_node.value in seen:
                raise _Refused(f"the key {key_node.value!r} twice", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _Refused(yaml.YAMLError):
    """Something that settings must not hold."""

    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(f"line {mark.line + 1} holds {what}")


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", "n~"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), [*_first, ""])


def read_yaml(path: Path) -> dict[str, Any]:
    """Settings in a YAML file.

    Raises
    ------
    UserError
        If the file cannot be read, is not valid YAML, is not a mapping, or holds something that settings must not hold.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"settings {path} cannot be read ({error.strerror}); name a YAML file") from error
    if len(content) > LARGEST_BYTES:
        raise UserError(f"settings {path} have {len(content):,} bytes; they have to be below {LARGEST_BYTES:,}")
    try:
        settings = yaml.load(content.decode("utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise UserError(f"settings {path} are not UTF-8 ({error.reason}); save them as UTF-8") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"settings {path} are not plain YAML ({' '.join(str(error).split())}); correct them") from error
    if not isinstance(settings, dict) or not settings:
        raise UserError(f"settings {path} hold no options; write lines of the form 'name: value'")
    return settings
