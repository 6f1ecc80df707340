"""YAML for settings: one plain reading of every value, and nothing that can grow or hide.

Refused, with the line: keys that are given twice, aliases, tags, deep nesting, thousands of values, numbers that no
computer holds, and large files. Numbers are decimal and truth values are ``true`` and ``false`` alone; whatever else
YAML 1.1 turns into numbers, dates or truth values is text.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest

Section = TypeVar("Section")

LARGEST_BYTES = 100_000
DEEPEST = 20
MOST_VALUES = 2_000
LARGEST_NUMBER = 2**63 - 1


class _Loader(yaml.SafeLoader):
    """Plain values, no aliases, no repeated keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own attribute)
    depth = 0
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("an alias (*name), which settings do not need", event.start_mark)
        if event.tag is not None:
            raise _Refused("a tag (!name), which settings do not need", event.start_mark)
        self.values += 1
        if self.values > MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES:,} keys and values", event.start_mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused("a key that is no word", key_node.start_mark)
            if key_node.value in seen:
                raise _Refused(f"the key {key_node.value!r} twice", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """A number of at most 64 bits."""
        if len(node.value) > 20 or abs(int(node.value)) > LARGEST_NUMBER:
            raise _Refused(f"a whole number of more than 64 bits ({node.value[:30]})", node.start_mark)
        return int(node.value)

    def number(self, node: yaml.ScalarNode) -> float:
        """A finite number."""
        if not math.isfinite(float(node.value)):
            raise _Refused(f"a number that is too large ({node.value[:30]})", node.start_mark)
        return float(node.value)


class _Refused(yaml.YAMLError):
    """Something that settings must not hold."""

    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(f"line {mark.line + 1} holds {what}")


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", "n~"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), [*_first, ""])
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


def plain_value(text: str) -> Any:
    """The value that a line of settings gives, such as ``[1, 2]``.

    Raises
    ------
    yaml.YAMLError
        If it is not valid YAML or holds something that settings must not hold.

    Examples
    --------
    >>> plain_value("[1, 0.5, 032, yes]")
    [1, 0.5, '032', 'yes']
    """
    return yaml.load(text, Loader=_Loader)


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
        settings = plain_value(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"settings {path} are not UTF-8 ({error.reason}); save them as UTF-8") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"settings {path} are not plain YAML ({' '.join(str(error).split())}); correct them") from error
    if not isinstance(settings, dict) or not settings:
        raise UserError(f"settings {path} hold no options; write lines of the form 'name: value'")
    return settings


def parsed(kind: type[Section], settings: Mapping[str, Any], where: str) -> Section:
    """A dataclass filled with settings, every key and type checked.

    Raises
    ------
    UserError
        Naming the key, its value and the remedy.
    """
    values = typed(kind, settings, where)
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name not in settings and one.default is MISSING and one.default_factory is MISSING:
            raise UserError(f"{where}: the key {one.name} is missing; add it")
    return kind(**values)


def typed(kind: type[Any], settings: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Settings with the types of a dataclass' fields; raises as :func:`parsed` does for keys and values.

    Examples
    --------
    >>> from audioxai.experiment import RunOptions
    >>> typed(RunOptions, {"threads": 2}, "options")
    {'threads': 2}
    """
    hints = get_type_hints(kind)
    known = {one.name: hints[one.name] for one in fields(kind)}
    for key in settings:
        if key not in known:
            name = str(key)[:80]
            raise UserError(f"{where}: there is no key {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return {key: valued(known[key], value, f"{where}: {key}") for key, value in settings.items()}


def valued(hint: Any, value: Any, where: str) -> Any:
    """A value of the type that ``hint`` asks for; a whole number is a number as well.

    Raises
    ------
    UserError
        Naming it.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return None if value is None else valued(next(one for one in arguments if one is not NoneType), value, where)
    if value is None:
        raise UserError(f"{where} is null; give it a value or leave it out")
    if is_dataclass(hint):
        shorthand = getattr(hint, "SHORTHAND", None)
        content = {shorthand: value} if isinstance(value, str) and shorthand is not None else value
        if not isinstance(content, dict):
            raise UserError(f"{where} is {value!r}; write its keys below it")
        return parsed(hint, content, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where} is {value!r}; give a list, written [a, b]")
        return tuple(valued(arguments[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = dict if origin is not None and issubclass(origin, Mapping) else hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        names = {int: "a whole number", float: "a number", str: "text", dict: "keys with values"}
        raise UserError(f"{where} is {value!r}; give {names.get(expected, 'true or false')}")
    return value
