"""Tables of a document from tidy frames, and what every caption ends with."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from audioxai.report.document import Cell, Table
from audioxai.report.style import Style, interval_text, listed, number, span
from audioxai.report.verdicts import Rule, verdict

if TYPE_CHECKING:
    from audioxai.results import ResultSet

Record = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and the cell that it makes of a record."""

    heading: str
    cell: Callable[[Record], Cell]


def text_column(heading: str, name: str) -> Column:
    """Column of words."""
    return Column(heading, lambda record: Cell(str(record[name])))


def number_column(heading: str, name: str, shown: Callable[[float], str] = "{:g}".format) -> Column:
    """Column of numbers that may be missing."""
    return Column(heading, lambda record: number_cell(record[name], shown))


def method_column(style: Style, heading: str = "Method", name: str = "method") -> Column:
    """Column of methods, sorted as everywhere in the report."""
    order = style.ordered_methods(style.methods)
    return Column(heading, lambda record: Cell(style.method(record[name]), _place(record[name], order)))


def metric_column(style: Style, heading: str = "Metric") -> Column:
    """Column of metrics with their directions, sorted as everywhere in the report."""
    order = list(style.metrics)
    return Column(heading, lambda record: Cell(style.heading(record["metric"]), _place(record["metric"], order)))


def interval_column(heading: str, strong: Callable[[Record], bool] = lambda _: False, prefix: str = "") -> Column:
    """Column of ``mean [low, high]``; ``prefix`` stands before the names of the three fields."""
    names = (f"{prefix}_low", f"{prefix}_high") if prefix else ("low", "high")
    return Column(heading, lambda record: interval_cell(record, prefix or "mean", *names, strong=strong(record)))


def number_cell(value: float | None, shown: Callable[[float], str] = number) -> Cell:
    """A number, ``n/a`` where there is none."""
    plain = math.nan if value is None or pd.isna(value) else float(value)
    return Cell("n/a" if math.isnan(plain) else shown(plain), plain)


def interval_cell(
    record: Record | None, mean: str = "mean", low: str = "low", high: str = "high", *, strong: bool = False
) -> Cell:
    """``mean [low, high]`` with the number of undefined scores, sorted by the mean; empty for no record."""
    if record is None:
        return Cell("", math.nan)
    text = interval_text(*(float(record[name]) for name in (mean, low, high)))
    undefined = f" ({record['undefined']} undef.)" if mean == "mean" and record.get("undefined") else ""
    return Cell(text + undefined, float(record[mean]), strong)


def listing(
    name: str,
    title: str,
    caption: str,
    frame: pd.DataFrame,
    keys: Sequence[Column],
    columns: Sequence[Column] = (),
    whole: pd.DataFrame | None = None,
) -> Table:
    """One row per record: the columns that tell rows apart, then the others; ``whole`` is the frame of the CSV."""
    records = frame.to_dict("records")
    every = (*keys, *columns)
    rows = tuple(tuple(column.cell(record) for column in every) for record in records)
    return Table(
        name,
        title,
        caption,
        tuple(column.heading for column in every),
        rows,
        len(keys),
        frame if whole is None else whole,
    )


def grid(
    name: str,
    title: str,
    caption: str,
    frame: pd.DataFrame,
    keys: Mapping[str, Column],
    style: Style,
    rule: Rule | None = None,
) -> Table:
    """``mean [low, high]`` of every metric, one row per combination of the keys, in the frame's order.

    With a rule the entries are differences, and bold where it decides.
    """
    metrics = style.ordered_metrics(frame["metric"])
    found: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in frame.to_dict("records"):
        found.setdefault(tuple(record[key] for key in keys), {})[record["metric"]] = record
    rows = tuple(
        (
            *(column.cell(next(iter(entries.values()))) for column in keys.values()),
            *(_entry(entries.get(metric), style, rule) for metric in metrics),
        )
        for entries in found.values()
    )
    headings = (
        *(column.heading for column in keys.values()),
        *(style.heading(metric, short=True) for metric in metrics),
    )
    return Table(name, title, caption, headings, rows, len(keys), frame)


def sizes(frame: pd.DataFrame) -> str:
    """``n = 24 scores per cell from 12 clusters``."""
    return f"n = {span(frame['n'])} scores per cell from {span(frame['clusters'])} clusters"


@dataclass(frozen=True, eq=False)
class Source:
    """What every caption of one study's document ends with."""

    results: "ResultSet"

    @property
    def stand_ins(self) -> dict[str, str]:
        """Stand-in data set → the real one."""
        rows = self.results.rows
        used = rows.loc[rows["stand_in_for"].notna(), ["dataset", "stand_in_for"]].drop_duplicates()
        return dict(sorted(zip(used["dataset"].astype(str), used["stand_in_for"].astype(str), strict=True)))

    def dataset(self, name: str) -> str:
        """Name of a data set, with ``(STAND-IN for …)`` where it is one."""
        return f"{name} (STAND-IN for {self.stand_ins[name]})" if name in self.stand_ins else name

    @property
    def data(self) -> str:
        """``audio fsdd and image mnist``; a stand-in is never named without what it stands for."""
        used = self.results.rows[["modality", "dataset"]].drop_duplicates().sort_values(["modality", "dataset"])
        return listed([f"{row.modality} {self.dataset(str(row.dataset))}" for row in used.itertuples()])

    def caption(self, text: str, frame: pd.DataFrame | None = None, counted: str = "") -> str:
        """``text``, then the sizes of an estimate's frame (or ``counted``), the data, training seeds and profile."""
        seeds = [str(seed) for seed in sorted(self.results.rows["training_seed"].unique())]
        words = [
            counted or ("" if frame is None or frame.empty or "n" not in frame else sizes(frame)),
            f"data: {self.data}",
            f"training seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}",
            f"profile {self.results.profile}",
        ]
        ending = "; ".join(part for part in words if part)
        return f"{text} {ending[0].upper() if not ending.startswith('n =') else ending[0]}{ending[1:]}."


def _entry(record: Record | None, style: Style, rule: Rule | None) -> Cell:
    if record is None or rule is None:
        return interval_cell(record)
    return verdict(record, style.direction(str(record["metric"])), rule).cell


def _place(name: str, order: Sequence[str]) -> float:
    return float(order.index(name)) if name in order else float(len(order))
