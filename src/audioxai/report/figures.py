"""Figures of scores: heat maps, curves over the resolution, forests of differences, and cost against score.

Conventions
-----------
Every function takes the width in inches last and returns the figure. Methods keep their colour and marker everywhere;
nothing depends on colour alone. Controls stand apart and are never ranked: what ignores the model is stable for free.
"""

import math
from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from audioxai.report.canvas import add_title, new_figure, settings
from audioxai.report.style import MARKERS, Style, number

UNCOLOURED = "#eeeeee"
MOST_COLUMNS = 7
SERIES_COLOURS = ("#56B4E9", "#0072B2", "#000000", "#E69F00", "#D55E00", "#009E73")


def heat_map(cells: pd.DataFrame, style: Style, panel: str, title: str, width_inches: float) -> Figure:
    """Means of every method by every metric, coloured by the rank in their column; a panel per value of ``panel``.

    ``cells`` has the columns of an estimate with ``method``, ``metric`` and ``panel``. Panels are broken where they
    have more metrics than a page is wide.
    """
    with settings():
        methods, metrics = style.ordered_methods(cells["method"]), style.ordered_metrics(cells["metric"])
        parts = [metrics[start : start + MOST_COLUMNS] for start in range(0, len(metrics), MOST_COLUMNS)]
        panels = [(value, part) for value in dict.fromkeys(cells[panel]) for part in parts]
        figure = new_figure(0.75 + len(panels) * (0.55 + 0.26 * len(methods)), width_inches)
        grid = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        count = sum(not style.is_control(method) for method in methods) or 1
        for axes, (value, part) in zip(grid, panels, strict=True):
            image = heat_panel(axes, cells[cells[panel] == value], methods, part, style, rank_colours(count))
            axes.set_title(str(value), loc="left")
        bar = figure.colorbar(image, ax=list(grid), location="bottom", aspect=45, shrink=0.55, pad=0.015)
        bar.set_ticks([1, count] if count > 1 else [1])
        bar.minorticks_off()
        bar.ax.tick_params(length=0)
        bar.set_label("rank of the mean within its column, 1 = best; grey: not ranked")
        add_title(figure, title)
        return figure


def heat_panel(
    axes: Axes,
    cells: pd.DataFrame,
    methods: Sequence[str],
    metrics: Sequence[str],
    style: Style,
    colours: ListedColormap,
) -> AxesImage:
    """Means with half-widths, coloured by their rank within their column; ``colours`` has one per rank.

    Controls are not ranked and stand below a line; columns of metrics without direction are not ranked either.
    """
    entries = {(row["method"], row["metric"]): row for row in cells.to_dict("records")}
    ranked = [method for method in methods if not style.is_control(method)]
    ranks = np.full((len(methods), len(metrics)), np.nan)
    for column, metric in enumerate(metrics):
        higher_is_better = style.direction(metric)
        if higher_is_better is not None:
            means = pd.Series([entries.get((method, metric), {}).get("mean", np.nan) for method in ranked], dtype=float)
            found = means.rank(ascending=not higher_is_better, method="min")
            ranks[[methods.index(method) for method in ranked], column] = found
    axes.set_facecolor(UNCOLOURED)
    image = axes.imshow(ranks, cmap=colours, norm=BoundaryNorm(np.arange(0.5, colours.N + 1), colours.N), aspect="auto")
    for (line, column), rank in np.ndenumerate(ranks):
        row = entries.get((methods[line], metrics[column]))
        dark = not np.isnan(rank) and rank <= 0.45 * colours.N
        text = "–" if row is None else _mean_and_half_width(row["mean"], row["low"], row["high"])
        axes.text(column, line, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
    letters = max(12, 80 // max(5, len(metrics)))
    headings = [
        fill(style.metric(metric), letters, break_long_words=False) + _arrow(metric, style) for metric in metrics
    ]
    axes.set_xticks(range(len(metrics)), headings)
    axes.set_yticks(range(len(methods)), [style.method(method) for method in methods])
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(0.5, len(metrics) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(methods) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    if 0 < len(ranked) < len(methods):
        axes.axhline(len(ranked) - 0.5, color="black", linewidth=0.8)
    return image


def rank_colours(count: int) -> ListedColormap:
    """Dark blue for the best to nearly white for the last: in grey, darker is better too."""
    return ListedColormap(mpl.colormaps["Blues"](np.linspace(0.85, 0.05, count)))


def curves(cells: pd.DataFrame, style: Style, panel: str, x_label: str, width_inches: float) -> Figure:
    """Mean with its interval against a number that doubles, column ``x``: metrics down, values of ``panel`` across."""
    with settings():
        metrics, methods = style.ordered_metrics(cells["metric"]), style.ordered_methods(cells["method"])
        panels = list(dict.fromkeys(cells[panel]))
        figure = new_figure(0.75 + 1.35 * len(metrics), width_inches)
        grid = figure.subplots(len(metrics), len(panels), sharex="col", sharey="row", squeeze=False)
        for line, metric in zip(grid, metrics, strict=True):
            for place, (axes, value) in enumerate(zip(line, panels, strict=True)):
                own = cells[(cells["metric"] == metric) & (cells[panel] == value)]
                curve_panel(axes, own, methods, style, "--" if place % 2 else "-")
            line[0].set_ylabel(two_lines(style.metric(metric)) + _arrow(metric, style))
        for axes, value in zip(grid[0], panels, strict=True):
            axes.set_title(str(value))
        for axes in grid[-1]:
            axes.set_xlabel(x_label)
        figure.align_ylabels(list(grid[:, 0]))
        legend(figure, methods, style)
        return figure


def curve_panel(
    axes: Axes, cells: pd.DataFrame, methods: Sequence[str], style: Style, line_style: Literal["-", "--"] = "-"
) -> None:
    """One line with its ribbon per method, over a column ``x`` of numbers that double."""
    for method in methods:
        own = cells[cells["method"] == method].sort_values("x")
        colour = style.colour(method)
        axes.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            own["x"], own["mean"], line_style, color=colour, marker=style.marker(method), markersize=4, linewidth=1
        )
    axes.set_xscale("log", base=2)
    places = sorted(cells["x"].unique())
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.06)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def forest(
    table: pd.DataFrame,
    style: Style,
    series: str,
    right: str,
    title: str,
    width_inches: float,
    series_label: Callable[[str], str] = str,
    row: str = "first",
) -> Figure:
    """Differences with their intervals, a panel per metric, rows of methods; filled markers where the rule decides.

    Parameters
    ----------
    table : DataFrame
        Columns ``row``, ``series``, ``metric``, ``mean``, ``low``, ``high`` and ``outcome``.
    style : Style
        Names, order and directions.
    series : str
        Column whose values share a row and differ by colour and marker.
    right : str
        What is better, or higher, towards the right. Axes of metrics where lower is better run the other way, so that
        right is always better for it.
    title : str
        Above everything.
    width_inches : float
        Width of the figure.
    series_label : callable
        Makes the legend's text of a value of ``series``.
    row : str
        Column of the methods.
    """
    with settings():
        metrics, methods = style.ordered_metrics(table["metric"]), style.ordered_methods(table[row])
        values = list(dict.fromkeys(table[series]))
        columns = min(3, len(metrics))
        lines = math.ceil(len(metrics) / columns)
        step = max(0.2, 0.09 * len(values))
        figure = new_figure(0.9 + lines * (0.5 + step * len(methods)), width_inches)
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, metric in zip(grid.flat, metrics, strict=False):
            own = table[table["metric"] == metric].assign(row=table[row], series=table[series])
            _forest_panel(axes, own, methods, values, style)
            name, direction = style.metric(metric), style.direction(metric)
            axes.set_title(name if len(name) <= 25 else two_lines(name))
            axes.set_xlabel(f"{right} {'higher' if direction is None else 'better'} →")
            if direction is False:
                axes.invert_xaxis()
        for axes in grid.flat[len(metrics) :]:
            axes.set_visible(False)
        handles = [
            *(_series_handle(place, series_label(value)) for place, value in enumerate(values)),
            Line2D([], [], color="#444444", marker="o", markersize=4, linestyle="", label="interval excludes 0"),
            Line2D([], [], color="#444444", marker="o", markersize=4, linestyle="", mfc="white", label="includes 0"),
        ]
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, min(len(handles), int(width_inches / max(1.35, 0.3 + 0.055 * longest))))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, columnspacing=1.2)
        add_title(figure, title)
        return figure


def cost_against_score(table: pd.DataFrame, style: Style, score_label: str, width_inches: float) -> Figure:
    """Mean score with its interval against the model passes of one map, a panel per value of the column ``panel``.

    ``table`` has the columns of an estimate with ``panel``, ``method`` and ``passes``. The axis is linear up to one
    pass, since controls take none, and doubles from there on.
    """
    with settings():
        methods, panels = style.ordered_methods(table["method"]), list(dict.fromkeys(table["panel"]))
        columns = min(3, len(panels))
        lines = math.ceil(len(panels) / columns)
        figure = new_figure(2.2 * lines + 0.4 + 0.17 * math.ceil(len(methods) / 4), width_inches)
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _cost_panel(axes, table[table["panel"] == panel], style)
            axes.set_title(str(panel))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for line in grid:
            line[0].set_ylabel(score_label)
        legend(figure, methods, style, line_style="")
        return figure


def legend(figure: Figure, methods: Sequence[str], style: Style, line_style: Literal["-", ""] = "-") -> None:
    """Names of the methods below the figure."""
    longest = max(len(style.method(method)) for method in methods)
    columns = max(1, min(4, int(figure.get_size_inches()[0] / (0.5 + 0.06 * longest))))
    handles = [method_handle(method, style, line_style) for method in methods]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def method_handle(method: str, style: Style, line_style: Literal["-", ""] = "-") -> Line2D:
    """How a legend shows a method."""
    return Line2D(
        [],
        [],
        color=style.colour(method),
        marker=style.marker(method),
        markersize=4,
        linewidth=1,
        linestyle=line_style,
        label=style.method(method),
    )


def two_lines(name: str) -> str:
    """``name`` broken at the blank nearest to its middle."""
    blanks = [place for place, letter in enumerate(name) if letter == " "]
    if not blanks:
        return name
    place = min(blanks, key=lambda blank: abs(blank - len(name) / 2))
    return f"{name[:place]}\n{name[place + 1 :]}"


def _arrow(metric: str, style: Style) -> str:
    return {True: " ↑", False: " ↓", None: ""}[style.direction(metric)]


def _mean_and_half_width(mean: float, low: float, high: float) -> str:
    half = (high - low) / 2
    return number(mean) if math.isnan(half) else f"{number(mean)} ± {number(half)}"


def _series_handle(place: int, label: str) -> Line2D:
    colour, marker = SERIES_COLOURS[place % len(SERIES_COLOURS)], MARKERS[place % len(MARKERS)]
    return Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1, label=label)


def _forest_panel(
    axes: Axes, table: pd.DataFrame, methods: Sequence[str], values: Sequence[object], style: Style
) -> None:
    axes.axvline(0, color="#888888", linewidth=0.8)
    for row in table.to_dict("records"):
        place = values.index(row["series"])
        height = methods.index(row["row"]) + (place - (len(values) - 1) / 2) * 0.75 / len(values)
        colour, marker = SERIES_COLOURS[place % len(SERIES_COLOURS)], MARKERS[place % len(MARKERS)]
        face = "white" if row["outcome"] == "undecided" else colour
        axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1)
        axes.plot(row["mean"], height, color=colour, marker=marker, markersize=3.5, mfc=face, mew=0.8)
    for height in np.arange(0.5, len(methods) - 1):
        axes.axhline(height, color="#e4e4e4", linewidth=0.5)
    axes.set_yticks(range(len(methods)), [style.method(method) for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _cost_panel(axes: Axes, table: pd.DataFrame, style: Style) -> None:
    for row in table.to_dict("records"):
        colour = style.colour(row["method"])
        axes.plot([row["passes"]] * 2, [row["low"], row["high"]], color=colour, linewidth=0.9)
        axes.plot(row["passes"], row["mean"], marker=style.marker(row["method"]), color=colour, markersize=5)
    axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.7)
    largest = int(table["passes"].max())
    ticks = [0, *(2**power for power in range(max(1, largest.bit_length() + 1)))]
    axes.xaxis.set_major_locator(FixedLocator(ticks[:1] + ticks[1 :: 1 + len(ticks) // 9]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.3, largest * 1.4 + 0.3)
    axes.axhline(0, color="#bbbbbb", linewidth=0.6, zorder=0)
    axes.set_xlabel("model passes per map")
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
