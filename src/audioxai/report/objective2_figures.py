"""Figures of Objective 2, as PNG and PDF in the manner of :mod:`audioxai.report.figures`.

Families of methods share a colour and differ by their markers. What the rows or curves cannot show is left out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from audioxai.report.canvas import new_figure, save, settings
from audioxai.report.figures import (
    add_title,
    curve_panel,
    heat_panel,
    method_handle,
    rank_colours,
    two_lines,
)
from audioxai.report.objective2_curves import REMOVALS, Curves, curve_figure
from audioxai.report.objective2_tables import (
    CLIPS,
    DIRECTIONS,
    LEADING,
    REFERENCE,
    TRUTHS,
    Evidence,
    gather,
    prepared,
)
from audioxai.report.style import CONTROL, METHODS, arrow, in_order, method_style, metric_style
from audioxai.utils.errors import UserError

HEAT_METRICS = (
    "removal_silence",
    "removal_noise",
    LEADING,
    "faithfulness_correlation_8",
    "faithfulness_correlation_16",
)
LOCATED = {"mixtures": "relevance_rank", "cues": "relevance_mass", "sequences": "relevance_mass"}
LINES = (REFERENCE, "expected", "expected_noise", "idgi", "guided")
LEVEL_LINES: dict[str, Literal["--", ":", "-."]] = {"energy": "--", "grad_x_level": ":", CONTROL: "-."}
SCOPE_MARKERS = ("o", "s", "^", "D", "v", "P")
LEVEL = 0.05

CurvesOf = Mapping[tuple[str, str], Mapping[str, Curves]]


def write_figures(
    rows: pd.DataFrame, curves: CurvesOf, destination: Path, evidence: Evidence | None = None
) -> list[Path]:
    """Every figure of Objective 2 as PNG and PDF.

    Parameters
    ----------
    rows : DataFrame
        Result rows; see :mod:`audioxai.report.objective2_tables`.
    curves : mapping
        (dataset, architecture) of rows → method → curves at the main budget; may be empty.
    destination : Path
        Folder, made where it is missing.
    evidence : Evidence or None
        What :func:`gather` makes of the rows, where it is there already.

    Returns
    -------
    list of Path
        Files written, in a fixed order.

    Raises
    ------
    UserError
        As :func:`audioxai.report.objective2_tables.gather`, if there are curves without rows, or if a file cannot be
        written.
    """
    drawn = figures_of(rows, gather(rows) if evidence is None else evidence, curves)
    return [path for name, draw in drawn.items() for path in save(draw, destination / name)]


def figures_of(rows: pd.DataFrame, evidence: Evidence, curves: CurvesOf) -> dict[str, Callable[[], Figure]]:
    """Name → how to draw it, for every figure of :func:`write_figures`; ``evidence`` is that of the rows."""
    clips = evidence.means[evidence.means["material"] == CLIPS]
    drawn: dict[str, Callable[[], Figure]] = {}
    ordered = _by_scope(rows, curves)
    if ordered:
        turned, judged = ("plain", REFERENCE, CONTROL), (evidence.best or REFERENCE, REFERENCE, "energy", CONTROL)
        drawn["curves_plain_and_silence"] = partial(
            curve_figure,
            ordered,
            turned,
            ("silence",),
            "Where the path starts: at 0 dB, the loudest sound, or in silence",
        )
        drawn["curves_two_removals"] = partial(
            curve_figure,
            ordered,
            tuple(dict.fromkeys(judged)),
            REMOVALS,
            "Cells replaced by silence and by speech-shaped noise",
        )
    drawn["method_by_metric"] = partial(method_by_metric_figure, evidence)
    if len(set(clips["gradients"])) > 1 and (clips["metric"] == LEADING).any():
        drawn["score_against_gradients"] = partial(budget_figure, evidence)
    if set(evidence.means["material"]) & set(LOCATED):
        drawn["ground_truth"] = partial(ground_truth_figure, evidence)
    if len(evidence.gains):
        drawn["difference_from_silence"] = partial(gain_figure, evidence)
    return drawn


def method_by_metric_figure(evidence: Evidence) -> Figure:
    """Method × metric, the mean with the half-width of its interval, coloured by rank within each column."""
    with settings():
        scope = evidence.overall()
        own = pd.concat([evidence.by_method(CLIPS, scope, metric) for metric in in_order(DIRECTIONS, HEAT_METRICS)])
        own = own[own["metric"].isin(HEAT_METRICS)] if own["metric"].isin(HEAT_METRICS).any() else own
        metrics, methods = in_order(own["metric"], HEAT_METRICS), in_order(own["method"], METHODS)
        figure = new_figure(1.4 + 0.2 * len(methods))
        axes = figure.subplots()
        image = heat_panel(axes, own, methods, metrics, DIRECTIONS, rank_colours(len(methods)))
        axes.set_xticks(
            range(len(metrics)),
            [fill(metric_style(metric).name, 16) + arrow(metric, DIRECTIONS) for metric in metrics],
        )
        bar = figure.colorbar(image, ax=axes, location="bottom", aspect=45, shrink=0.55, pad=0.015)
        bar.set_ticks([1, len(methods)])
        bar.minorticks_off()
        bar.ax.tick_params(length=0)
        bar.set_label("rank of the mean within its column, 1 = best")
        add_title(
            figure,
            f"{evidence.described(scope)}, {evidence.main_budget} gradients: mean ± half-width of the 95 % interval",
        )
        return figure


def budget_figure(evidence: Evidence) -> Figure:
    """Score under the worse removal against gradients, a panel a dataset × architecture; controls as lines across."""
    with settings():
        scopes = evidence.scopes()
        columns = min(2, len(scopes))
        figure = new_figure(1.1 + 1.9 * math.ceil(len(scopes) / columns))
        grid = figure.subplots(math.ceil(len(scopes) / columns), columns, sharex=True, sharey=True, squeeze=False)
        methods = [name for name in dict.fromkeys([evidence.best, *LINES]) if name]
        budgets = sorted(set(evidence.means.loc[evidence.means["material"] == CLIPS, "gradients"]))
        for axes, scope in zip(grid.flat, scopes, strict=False):
            _budget_panel(axes, evidence, scope, methods)
            axes.set_xticks(budgets, [str(budget) for budget in budgets])
        for axes in grid.flat[len(scopes) :]:
            axes.set_visible(False)
        for line in grid:
            line[0].set_ylabel("insertion − deletion,\nworse removal ↑")
        for axes in grid.flat[max(0, len(scopes) - columns) : len(scopes)]:
            axes.set_xlabel("gradients a map")
            axes.tick_params(labelbottom=True)
        present = set(evidence.means["method"])
        handles = [method_handle(method) for method in methods if method in present]
        handles += [
            Line2D([], [], color=method_style(name).colour, linestyle=style, linewidth=1, label=method_style(name).name)
            for name, style in LEVEL_LINES.items()
            if name in present
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        add_title(figure, "What more gradients bring; intervals (95 %) of the first two methods")
        return figure


def ground_truth_figure(evidence: Evidence) -> Figure:
    """Relevance where it belongs, a panel a kind of ground truth; the dashed line is the random control."""
    with settings():
        materials = [material for material in LOCATED if material in set(evidence.means["material"])]
        tables = {name: evidence.by_method(name, evidence.overall(name), LOCATED[name]) for name in materials}
        methods = [m for m in in_order({m for t in tables.values() for m in t["method"]}, METHODS) if m != CONTROL]
        figure = new_figure(1.1 + 0.165 * len(methods))
        panels = figure.subplots(1, len(materials), sharey=True, squeeze=False)[0]
        for axes, material in zip(panels, materials, strict=True):
            _dots(axes, tables[material], methods)
            axes.set_title(two_lines(TRUTHS[material].capitalize()))
            axes.set_xlabel(two_lines(metric_style(LOCATED[material]).name) + " ↑")
            _name_methods(axes, methods)
            axes.set_xlim(-0.03, 1.03)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        chance = Line2D([], [], color="black", linestyle="--", linewidth=0.9, label="chance (random control)")
        figure.legend(handles=[chance], loc="outside lower center", frameon=False)
        add_title(figure, f"{evidence.described(evidence.overall(materials[0]))}: mean with its 95 % interval")
        return figure


def gain_figure(evidence: Evidence) -> Figure:
    """Difference from silence IG under the worse removal: pooled with intervals, every scope beside it."""
    with settings():
        scope, scopes = evidence.overall(), evidence.scopes()
        own = evidence.gains[evidence.gains["gradients"] == evidence.main_budget]
        methods = in_order(own["first"], METHODS)
        figure = new_figure(1.3 + 0.175 * len(methods))
        axes = figure.subplots()
        axes.axvline(0, color="#888888", linewidth=0.8)
        pooled = own[own["scope"] == scope].rename(columns={"first": "method"})
        _dots(axes, pooled, methods, decided=set(pooled.loc[pooled["p_holm"] < LEVEL, "method"]))
        if len(scopes) > 1:
            _scope_marks(axes, own, methods, scopes)
        _name_methods(axes, methods)
        axes.set_xlabel(
            f"insertion − deletion under the worse removal, minus {method_style(REFERENCE).name}'s; better →"
        )
        figure.legend(handles=_gain_handles(scopes), loc="outside lower center", ncols=2, frameon=False)
        add_title(
            figure,
            f"Difference from {method_style(REFERENCE).name} at {evidence.main_budget} gradients, 95 % interval",
            evidence.described(scope),
        )
        return figure


def _by_scope(rows: pd.DataFrame, curves: CurvesOf) -> dict[str, Mapping[str, Curves]]:
    """Curves by the names that the tables use, stand-ins named as such."""
    known = prepared(rows).drop_duplicates(["dataset", "model"])
    names = dict(zip(zip(known["dataset"], known["model"], strict=True), known["scope"], strict=True))
    unknown = sorted(set(curves) - set(names))
    if unknown:
        raise UserError(f"there are curves of {', '.join(unknown[0])} but no result rows; give both of the same study")
    return {names[key]: curves[key] for key in sorted(curves)}


def _budget_panel(axes: Axes, evidence: Evidence, scope: str, methods: Sequence[str]) -> None:
    table = evidence.means
    own = table[(table["material"] == CLIPS) & (table["scope"] == scope) & (table["metric"] == LEADING)]
    drawn = [method for method in methods if method in set(own["method"])]
    lines = own[own["method"].isin(drawn)].rename(columns={"gradients": "resolution"})
    # More ribbons than two cannot be told apart; all intervals are in the tables.
    lines = lines.assign(**{end: lines[end].where(lines["method"].isin(drawn[:2])) for end in ("low", "high")})
    curve_panel(axes, lines, drawn, "-")
    for method, style in LEVEL_LINES.items():
        level = own.loc[own["method"] == method, "mean"]
        if len(level):
            axes.axhline(float(level.iloc[0]), color=method_style(method).colour, linestyle=style, linewidth=1)
    axes.set_title(scope)


def _dots(axes: Axes, table: pd.DataFrame, methods: Sequence[str], decided: set[str] | None = None) -> None:
    """A marker with its interval a method, hollow where it is not among those decided; chance as a dashed line."""
    for row in table.to_dict("records"):
        method, style = row["method"], method_style(row["method"])
        if method not in methods:
            axes.axvline(row["mean"], color="black", linestyle="--", linewidth=0.9)
            continue
        height = methods.index(method)
        fill = style.colour if decided is None or method in decided else "white"
        axes.plot([row["low"], row["high"]], [height, height], color=style.colour, linewidth=1.2)
        axes.plot(row["mean"], height, color=style.colour, marker=style.marker, markersize=4.5, mfc=fill, mew=0.9)


def _scope_marks(axes: Axes, own: pd.DataFrame, methods: Sequence[str], scopes: Sequence[str]) -> None:
    for position, scope in enumerate(scopes):
        part = own[own["scope"] == scope]
        heights = np.array([methods.index(method) for method in part["first"]]) + 0.3
        marker = SCOPE_MARKERS[position % len(SCOPE_MARKERS)]
        axes.plot(part["mean"], heights, marker, color="#555555", markersize=2.2, mfc="white", mew=0.5)


def _name_methods(axes: Axes, methods: Sequence[str]) -> None:
    for height in range(len(methods)):
        axes.axhline(height, color="#ececec", linewidth=0.5, zorder=0)
    axes.set_yticks(range(len(methods)), [method_style(method).name for method in methods])
    axes.set_ylim(len(methods) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _gain_handles(scopes: Sequence[str]) -> list[Line2D]:
    marks = [
        Line2D([], [], color="#444444", marker="o", markersize=4.5, label=f"Holm p < {LEVEL}"),
        Line2D([], [], color="#444444", marker="o", markersize=4.5, mfc="white", label="undecided"),
    ]
    if len(scopes) < 2:
        return marks
    return marks + [
        Line2D(
            [],
            [],
            color="#555555",
            linestyle="",
            marker=SCOPE_MARKERS[position % len(SCOPE_MARKERS)],
            markersize=3,
            mfc="white",
            mew=0.5,
            label=scope,
        )
        for position, scope in enumerate(scopes)
    ]
