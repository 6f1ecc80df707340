"""Registries: one entry per method, metric, data set and architecture, which holds every fact about it once.

A registry fills itself. At its first use it imports the modules of the package that it belongs to, and every module
adds its own entries; so a new method, metric, data set or architecture is one new file. A user's module registers in
the same way, from anywhere::

    @METHODS.register("my_method", label="My method", family="gradients")
    @dataclass(frozen=True)
    class MyMethod: ...
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest

Role = Literal["method", "ours", "peer", "control"]
Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of one registered thing.

    Attributes
    ----------
    name : str
        Key in the registry, in result rows and on command lines.
    make : callable
        Returns the thing. Its parameters are bound by name to what a study knows; see :meth:`bind`.
    label : str
        Name in tables and figures.
    family : str
        Group of related entries, in words; entries of a family share a colour.
    source : str
        Paper or origin.
    revision : int
        Raised whenever the numbers that it produces change, so that stored results of an earlier revision are not used.
    """

    name: str
    make: Callable[..., Any]
    label: str
    family: str = ""
    source: str = ""
    revision: int = 1

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Parameters of ``make`` by name."""
        return inspect.signature(self.make).parameters

    @property
    def needs(self) -> frozenset[str]:
        """Names of the parameters that have no default."""
        return frozenset(
            name for name, parameter in self.parameters.items() if parameter.default is inspect.Parameter.empty
        )

    def bind(self, context: Mapping[str, Any], **options: Any) -> Any:
        """The thing, each parameter taken from ``options``, else from ``context``, else from its default.

        Raises
        ------
        UserError
            If an option is no parameter, or a parameter without a default is in neither mapping.
        """
        for option in options:
            if option not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UserError(
                    f"{self.name} has no option {option!r}{nearest(option, self.parameters)}; it has {known}"
                )
        known_values = {name: context[name] for name in self.parameters if name in context} | options
        missing = sorted(self.needs - known_values.keys())
        if missing:
            raise UserError(f"{self.name} needs {', '.join(missing)}; give a value for each")
        return self.make(**known_values)

    def facts(self) -> dict[str, Any]:
        """Every field but ``make`` as plain data, to be stored beside results."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "make"}


@dataclass(frozen=True, kw_only=True)
class MethodEntry(Entry):
    """An explanation method.

    Attributes
    ----------
    role : {"method", "ours", "peer", "control"}
        ``method``: from the literature; ``ours``: made for audio here; ``peer``: what ours is compared with;
        ``control``: explains nothing, every method has to beat it.
    complete : bool
        Whether its attributions are meant to add up to a change of the score, so that a completeness gap is measured.
    domains : tuple of str
        Names of the domains whose inputs it takes; empty for all.
    gradients : bool
        Whether it takes gradients of the model; the others explain any function.
    """

    role: Role = "method"
    complete: bool = False
    domains: tuple[str, ...] = ()
    gradients: bool = True

    def takes(self, domain: str) -> bool:
        """Whether inputs of the domain of this name can be explained."""
        return not self.domains or domain in self.domains

    def bind(self, context: Mapping[str, Any], **options: Any) -> Any:
        """As :meth:`Entry.bind`.

        Raises
        ------
        UserError
            Also if the context's ``domain`` is none whose inputs the method takes.
        """
        domain = {**context, **options}.get("domain")
        if domain is not None and not self.takes(domain.name):
            raise UserError(
                f"{self.name} takes {' or '.join(self.domains)} inputs but the model's domain is {domain.name}"
            )
        return super().bind(context, **options)


@dataclass(frozen=True, kw_only=True)
class MetricEntry(Entry):
    """A metric.

    Attributes
    ----------
    short : str
        Name in narrow columns; the label if empty.
    higher_is_better : bool or None
        Direction; None where neither end is better.
    score_range : tuple of float
        Smallest and largest possible score.
    needs_masks : bool
        Whether it is defined only where it is known in which features relevance belongs.
    needs_change : bool
        Whether it is defined only for methods that state the change of the score that their attributions add up to.
    """

    short: str = ""
    higher_is_better: bool | None = None
    score_range: tuple[float, float] = (float("-inf"), float("inf"))
    needs_masks: bool = False
    needs_change: bool = False


@dataclass(frozen=True, kw_only=True)
class DataEntry(Entry):
    """A data set; ``make`` returns its source.

    Attributes
    ----------
    modality : {"audio", "image"}
        What its samples are.
    stand_in_for : str or None
        The real data set that this one stands in for.
    description, licence : str
        What it holds, and under which terms.
    background : tuple of str
        Classes in which nothing is to be pointed at, such as background noise, which silence cannot be told from.
    """

    modality: Literal["audio", "image"] = "audio"
    stand_in_for: str | None = None
    description: str = ""
    licence: str = ""
    background: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ArchitectureEntry(Entry):
    """A model architecture; ``make(domain, class_count)`` returns a randomly initialised body.

    Attributes
    ----------
    dimensions : int
        1 for waveforms, 2 for spectrograms and images.
    smallest : int
        Least number of features along each dimension.
    learning_rate : float
        Peak learning rate that it is trained with.
    """

    dimensions: int = 2
    smallest: int = 1
    learning_rate: float = 1e-3


AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Registry(Mapping[str, AnyEntry], Generic[AnyEntry]):
    """Entries by name, in the order in which they were added.

    Parameters
    ----------
    kind : str
        What the entries are, in error messages.
    entry_type : type
        Class of the entries.
    package : str
        Package whose modules add entries when they are imported.
    """

    def __init__(self, kind: str, entry_type: type[AnyEntry], package: str) -> None:
        self.kind = kind
        self._entry_type = entry_type
        self._package = package
        self._entries: dict[str, AnyEntry] = {}
        self._filled = False

    def register(self, name: str, **facts: Any) -> Callable[[Made], Made]:
        """Decorator that adds what it decorates under ``name``, with the facts of an entry.

        Raises
        ------
        UserError
            If the name is taken by something else.
        """

        def add(make: Made) -> Made:
            self.add(self._entry_type(name=name, make=make, **facts))
            return make

        return add

    def add(self, entry: AnyEntry) -> AnyEntry:
        """Add an entry.

        Raises
        ------
        UserError
            If its name is taken by something else; the same code, loaded again, replaces itself.
        """
        taken = self._entries.get(entry.name)
        if taken is not None and _place_of(taken.make) != _place_of(entry.make):
            raise UserError(f"there is a {self.kind} {entry.name!r} already; choose another name")
        self._entries[entry.name] = entry
        return entry

    def bind(self, name: str, context: Mapping[str, Any], **options: Any) -> Any:
        """What ``name`` stands for, its parameters bound; raises as ``registry[name]`` and :meth:`Entry.bind` do."""
        return self[name].bind(context, **options)

    def __getitem__(self, name: str) -> AnyEntry:
        self._fill()
        if name not in self._entries:
            raise UnknownNameError(
                f"there is no {self.kind} {name!r}{nearest(name, self._entries)}; choose among "
                f"{', '.join(self._entries)}"
            )
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(self._entries)

    def __len__(self) -> int:
        self._fill()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._entries

    def __repr__(self) -> str:
        return f"<{len(self)} {self.kind}s: {', '.join(self)}>"

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        package = importlib.import_module(self._package)
        for module in pkgutil.walk_packages(package.__path__, f"{self._package}."):
            importlib.import_module(module.name)


class UnknownNameError(UserError, KeyError):
    """A name that is not in a registry; a ``KeyError`` as well, as a mapping's should be."""

    __str__ = UserError.__str__


def _place_of(make: Callable[..., Any]) -> tuple[str, str]:
    return getattr(make, "__module__", ""), getattr(make, "__qualname__", repr(make))
