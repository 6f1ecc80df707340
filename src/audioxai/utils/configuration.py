"""Configurations from profiles, YAML files and command lines, refusing what they do not know."""

import argparse
import difflib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, field, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from audioxai.utils.commands import OneLineParser
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text

# Parsers and YAML are loaded where they are used: declarations of options need neither.
if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Config = TypeVar("Config")
PRINT_CONFIG = "--print-config"
PLAIN = "plain"


def option(default: Any, text: str) -> Any:
    """Field of a configuration with its default and its help."""
    return field(default=default, metadata={"help": text})


def require_known(what: str, names: tuple[str, ...], known: Collection[str]) -> None:
    """Refuse an option that names nothing, something unknown or the same twice.

    Raises
    ------
    UserError
        Naming it and what is known.
    """
    if not names:
        raise UserError(f"no {what} is chosen; choose among {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"{what} is {name!r}; choose among {', '.join(known)}")
    if len(set(names)) != len(names):
        raise UserError(f"{what}s are {', '.join(names)}; give each once")


def options_of(config: Any, profiles: Mapping[str, Any], apart_from: Collection[str] = ()) -> str:
    """Command-line options that give this configuration.

    Parameters
    ----------
    config : dataclass instance
        With a field ``profile``.
    profiles : mapping
        Complete configurations by name.
    apart_from : collection of str
        Options to leave out, such as those that decide no number.
    """
    profile = profiles[config.profile]
    changed = [f"--profile {config.profile}"]
    for one in fields(config):
        value = getattr(config, one.name)
        if one.name not in ("profile", *apart_from) and value != getattr(profile, one.name):
            text = json.dumps(list(value) if isinstance(value, tuple) else value)
            changed.append(f"--{one.name} {shlex.quote(text.strip(chr(34)))}")
    return " ".join(changed)


def parse(
    config_type: type[Config],
    profiles: Mapping[str, Config],
    description: str,
    examples: Sequence[str],
    argv: Sequence[str] | None = None,
    command: str | None = None,
) -> Config:
    """Configuration from ``--profile``, then ``--config FILE``, then single options, later ones winning.

    The file's options give way to single ones wherever ``--config`` stands. ``--print-config`` prints the configuration
    as YAML and exits; ``--print_config`` is the same.

    Parameters
    ----------
    config_type : type
        Frozen dataclass with a field ``profile``; each field's metadata holds its ``help``.
    profiles : mapping
        Complete configurations by name; the first is the default.
    description, examples
        For ``--help``.
    argv : sequence of str or None
        Arguments; None takes the process's.
    command : str, optional
        What is typed before the options, for ``--help``; the name of the process if not given.

    Raises
    ------
    UserError
        For an unknown profile, option or key, or a value of the wrong type.
    """
    from jsonargparse import ArgumentError

    files, options = _files_first(argv)
    in_files = _settings_in(files, config_type)
    profile = _profile_named(options, in_files, profiles)
    parser = parser_of(config_type, SimpleNamespace(**(vars(profile) | in_files)), description, examples, command)
    names = [one.name for one in fields(config_type)]  # type: ignore[arg-type]
    try:
        parsed = parser.parse_args([*map(_known_spelling, options)])
    except ArgumentError as error:
        raise UserError(_one_sentence(str(error), names)) from error
    values = {name: _as_tuple(parsed[name]) for name in names}
    hints = get_type_hints(config_type)
    for name, value in values.items():
        if value is None and type(None) not in get_args(hints[name]):
            raise UserError(f"{name} is null; give it a value or leave it out")
    return config_type(**values)


def parser_of(
    config_type: type[Any],
    defaults: Any,
    description: str = "",
    examples: Sequence[str] = (),
    command: str | None = None,
) -> "ArgumentParser":
    """Parser with one option for each field of a configuration, ``defaults`` having an attribute for each.

    The other parameters are those of :func:`parse`.
    """
    from jsonargparse import ArgumentParser, set_loader
    from yaml import YAMLError

    from audioxai.utils.strict_yaml import plain_value

    set_loader(PLAIN, plain_value, (YAMLError, ValueError))
    parser = ArgumentParser(
        parser_mode=PLAIN,
        prog=command,
        exit_on_error=False,
        description=description,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=_Formatter,
        allow_abbrev=False,  # or `--profil standard` would set the name of the profile and nothing else
    )
    parser.add_argument("--config", action="config", help="YAML file of these options, by their names")
    # Taken out of the arguments before they come here, and no part of a printed configuration.
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
    hints = get_type_hints(config_type)
    for one in own_first(config_type):
        parser.add_argument(
            f"--{one.name}",
            type=hints[one.name],
            default=getattr(defaults, one.name),
            help=one.metadata["help"],
        )
    return parser


def own_first(config_type: type[Any]) -> "list[Field[Any]]":
    """Fields of a configuration, those that it inherits last."""
    inherited = {one.name for base in config_type.__mro__[1:] if is_dataclass(base) for one in fields(base)}
    return sorted(fields(config_type), key=lambda one: one.name in inherited)


def _known_spelling(argument: str) -> str:
    """``--print_config`` for ``--print-config``, which jsonargparse does not know; all else as it is."""
    named, *value = argument.split("=", 1)
    return "=".join(["--print_config", *value]) if named == PRINT_CONFIG else argument


def save_yaml(path: Path, content: Any) -> None:
    """Write plain data as YAML, keys in their own order, in one step."""
    import yaml

    write_text(path, yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True))


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Examples as they are written, and every default."""


def _files_first(argv: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Configuration files, and the arguments without them."""
    early = OneLineParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", action="append", default=[])
    known, options = early.parse_known_args(argv)
    return known.config, options


def _settings_in(files: Sequence[str], config_type: type[Any]) -> dict[str, Any]:
    """Options of configuration files, those of later files winning, every key and type checked."""
    if not files:
        return {}
    from audioxai.utils.strict_yaml import read_yaml, typed

    found = [typed(config_type, read_yaml(Path(file)), str(file)) for file in files]
    return {name: value for one in found for name, value in one.items()}


def _profile_named(options: Sequence[str], in_files: Mapping[str, Any], profiles: Mapping[str, Config]) -> Config:
    """Profile that the command line or a file names, before anything else is read, since it sets all other defaults."""
    early = OneLineParser(add_help=False, allow_abbrev=False)
    early.add_argument("--profile", default=None)
    known, _ = early.parse_known_args(options)
    name = known.profile if known.profile is not None else in_files.get("profile", next(iter(profiles)))
    if name not in profiles:
        raise UserError(f"profile is {name!r}; choose one of {', '.join(profiles)}")
    return profiles[name]


def _one_sentence(message: str, names: Sequence[str]) -> str:
    """The parser's message in one line, with the option that was probably meant."""
    message = " ".join(message.split()).replace("a <class 'tuple'>", "a list, written [a, b]")
    message = re.sub(r"a <class '(\w+)'>", r"type \1", message)
    wrong = re.search(r"Option '([^']+)'|unrecognized arguments: --([^\s=]+)", message)
    if wrong is None:
        return f"{message.rstrip('.')}; see --help"
    key = wrong.group(1) or wrong.group(2)
    close = difflib.get_close_matches(key, names, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"choose among {', '.join(names)}"
    return f"there is no option or configuration key {key!r}; {remedy}"


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
