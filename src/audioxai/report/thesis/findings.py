"""What the store holds of the studies, as the thesis' pages take it, and sentences that several captions share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from audioxai.report.answer import counted_span
from audioxai.report.figures import Overlay, attribution_overlay
from audioxai.report.objective2_figures import CurvesOf
from audioxai.report.style import METHODS, Directions, estimate, in_order, method_style
from audioxai.report.thesis.pages import DOUBLE_INCHES, SINGLE_INCHES, FigurePage, Page, Source, TablePage

INTERVALS = "Intervals are 95 % intervals over speakers (images for images; Student's t, scores count alike)."
SCALED = (
    "Attributions (red for, blue against the class) are each divided by the 99.5th percentile of their sizes. "
    "ΔF is the change of the explained logit from the baseline to the input; the gap is |ΣA − ΔF| / |ΔF|, given for "
    "methods that claim to be complete."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the store holds of Objective 1.

    Attributes
    ----------
    rows : DataFrame
        Result rows of one configuration.
    repeats : DataFrame
        The same under all metric seeds that are there, that of ``rows`` among them.
    directions : mapping
        Metric → whether higher is better, None where neither end is.
    cards : sequence of mappings
        Model cards of the explained models.
    overlays : mapping of str to Overlay
        Name of a page → what it shows.
    command : str
        What made the rows and then the pages.
    """

    rows: pd.DataFrame
    repeats: pd.DataFrame
    directions: Directions
    cards: Sequence[Mapping[str, Any]]
    overlays: Mapping[str, Overlay]
    command: str


@dataclass(frozen=True, eq=False)
class AdaptationFindings:
    """What the store holds of Objective 2.

    Attributes
    ----------
    rows : DataFrame
        Result rows of one configuration.
    curves : mapping
        (dataset, architecture) → method → insertion and deletion curves at the main budget.
    overlays : mapping of str to Overlay
        Name of a page → what it shows.
    command : str
        What made the rows and then the pages.
    """

    rows: pd.DataFrame
    curves: CurvesOf
    overlays: Mapping[str, Overlay]
    command: str


def counted(table: pd.DataFrame) -> str:
    """``n = 24 a cell, 12 clusters`` for a table of means."""
    return f"n = {counted_span(table['n'])} a cell, {counted_span(table['clusters'])} clusters"


def grid_page(name: str, caption: str, table: pd.DataFrame, key: str, metrics: Mapping[str, str]) -> TablePage:
    """``mean [low, high]``, ``key`` and methods down, metrics across."""
    entries = {(row[key], row["method"], row["metric"]): row for row in table.to_dict("records")}
    lines = [
        [
            str(value),
            method_style(method).name,
            *(interval_entry(entries.get((value, method, metric))) for metric in metrics),
        ]
        for value in dict.fromkeys(table[key])
        for method in in_order(table.loc[table[key] == value, "method"], METHODS)
    ]
    return TablePage(name, caption, [key.capitalize(), "Method", *metrics.values()], lines, table, left_columns=2)


def interval_entry(row: Mapping[Any, Any] | None) -> str:
    """``mean [low, high]`` of a record; nothing where there is none."""
    return "" if row is None else estimate(row["mean"], row["low"], row["high"])


def overlay_pages(overlays: Mapping[str, Overlay], source: Source) -> list[Page]:
    """A page an overlay: two columns wide, one where a single map is shown."""
    return [
        FigurePage(
            name,
            source.caption(f"{overlay.title.rstrip('.')}. {SCALED}", "n = 1 sample"),
            _drawing(overlay),
            wide=len(overlay.attributions) > 1,
        )
        for name, overlay in overlays.items()
    ]


def _drawing(overlay: Overlay) -> Any:
    width = DOUBLE_INCHES if len(overlay.attributions) > 1 else SINGLE_INCHES
    return partial(attribution_overlay, overlay, width)
