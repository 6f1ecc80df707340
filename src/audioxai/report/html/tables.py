"""Tables whose rows can be sorted: what is shown in a cell, and the number that it is sorted by."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audioxai.report.style import METHODS, METRICS, Directions, arrow, estimate, in_order, method_style, metric_style

Record = Mapping[str, Any]
Strong = Callable[[Record], bool]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text : str
        What is shown.
    value : float or None
        What it is sorted by; None sorts by the text, and NaN last.
    strong : bool
        Whether it stands out.
    """

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; every row has a cell for each heading, the first ``names`` of which name things."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1


@dataclass(frozen=True)
class Key:
    """A column that tells rows apart: its field in the records, its heading, and how a value is shown and sorted."""

    field: str
    heading: str
    cell: Callable[[Any], Cell]


def text_key(name: str, heading: str) -> Key:
    """Column of words."""
    return Key(name, heading, lambda value: Cell(str(value)))


def number_key(name: str, heading: str) -> Key:
    """Column of whole numbers."""
    return Key(name, heading, lambda value: Cell(str(value), float(value)))


def method_key(name: str = "method", heading: str = "Method") -> Key:
    """Column of methods, sorted as everywhere in the report."""
    return Key(name, heading, _method_cell)


def metric_key(directions: Directions) -> Key:
    """Column of metrics with their directions, sorted as everywhere in the report."""
    return Key(
        "metric",
        "Metric",
        lambda metric: Cell(metric_style(metric).name + arrow(metric, directions), _position(metric, METRICS)),
    )


def by_metric(
    title: str,
    note: str,
    records: Sequence[Record],
    keys: Sequence[Key],
    directions: Directions,
    strong: Strong | None = None,
) -> Table:
    """``mean [low, high]`` of every metric, one row for each combination of the keys, in the records' order."""
    metrics = in_order([record["metric"] for record in records], METRICS)
    rows: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in records:
        rows.setdefault(tuple(record[key.field] for key in keys), {})[record["metric"]] = record
    return Table(
        title,
        f"{note} {_sizes(records)}".strip(),
        (*(key.heading for key in keys), *(metric_style(one).name + arrow(one, directions) for one in metrics)),
        tuple(
            (
                *(key.cell(value) for key, value in zip(keys, values, strict=True)),
                *(_estimate_cell(found.get(metric), strong) for metric in metrics),
            )
            for values, found in rows.items()
        ),
        names=len(keys),
    )


def by_record(title: str, note: str, records: Iterable[Record], keys: Sequence[Key], columns: Sequence[Key]) -> Table:
    """One row a record: the keys, then the columns, each of which is given the value of its field."""
    return Table(
        title,
        note,
        tuple(key.heading for key in (*keys, *columns)),
        tuple(tuple(key.cell(record[key.field]) for key in (*keys, *columns)) for record in records),
        names=len(keys),
    )


def estimate_cell(record: Record, strong: bool = False) -> Cell:
    """``mean [low, high]``, sorted by the mean."""
    mean, low, high = (_float(record[name]) for name in ("mean", "low", "high"))
    return Cell(estimate(mean, low, high), mean, strong)


def float_cell(shown: Callable[[float], str]) -> Callable[[Any], Cell]:
    """How to show a number that may be missing."""
    return lambda value: Cell(shown(_float(value)), _float(value))


def excludes_zero(record: Record) -> bool:
    """Whether the interval lies on one side of zero."""
    return _float(record["low"]) > 0 or _float(record["high"]) < 0


def _estimate_cell(record: Record | None, strong: Strong | None) -> Cell:
    if record is None:
        return Cell("", math.nan)
    cell = estimate_cell(record, strong is not None and strong(record))
    undefined = record.get("undefined", 0)
    return Cell(f"{cell.text} ({undefined} undef.)", cell.value, cell.strong) if undefined else cell


def _sizes(records: Sequence[Record]) -> str:
    told = []
    for name, shown in (("n", "n"), ("clusters", "clusters")):
        values = [record[name] for record in records if name in record]
        if values:
            smallest, largest = min(values), max(values)
            told.append(f"{shown} = {smallest}" if smallest == largest else f"{shown} = {smallest}–{largest}")
    return f"{', '.join(told)}." if told else ""


def _method_cell(method: str) -> Cell:
    return Cell(method_style(method).name, _position(method, METHODS))


def _position(name: str, known: Mapping[str, Any]) -> float:
    return float(list(known).index(name)) if name in known else float(len(known))


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
