"""What a map costs against what it scores."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from audioxai.report.canvas import new_figure, settings
from audioxai.report.style import METHODS, in_order, method_style
from audioxai.report.thesis.pages import DOUBLE_INCHES


def cost_against_score(table: pd.DataFrame, panels: Sequence[str], score_label: str) -> Figure:
    """Mean score with its 95 % interval against the model passes of one map, a panel each.

    Parameters
    ----------
    table : DataFrame
        Columns ``panel``, ``method``, ``passes``, ``mean``, ``low``, ``high``.
    panels : sequence of str
        Values of ``panel``, which are also the titles, from left to right.
    score_label : str
        What the scores are.
    """
    with settings():
        methods = in_order(table["method"], METHODS)
        legend_lines = -(-len(methods) // 4)
        figure = new_figure(2.5 + 0.17 * legend_lines, DOUBLE_INCHES)
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            _panel(axes, table[table["panel"] == panel])
            axes.set_title(panel)
        grid[0].set_ylabel(score_label)
        figure.legend(
            handles=[_handle(method) for method in methods], loc="outside lower center", ncols=4, frameon=False
        )
        return figure


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    for row in table.to_dict("records"):
        style = method_style(str(row["method"]))
        axes.plot([row["passes"]] * 2, [row["low"], row["high"]], color=style.colour, linewidth=0.9)
        axes.plot(row["passes"], row["mean"], marker=style.marker, color=style.colour, markersize=5)
    # Linear up to one pass, since controls take none.
    axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.7)
    largest = int(table["passes"].max())
    ticks = [0, *(2**power for power in range(max(1, largest.bit_length() + 1)))]
    axes.xaxis.set_major_locator(FixedLocator(ticks[:1] + ticks[1 :: 1 + len(ticks) // 9]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.3, largest * 1.4 + 0.3)
    axes.axhline(0, color="#bbbbbb", linewidth=0.6, zorder=0)
    axes.set_xlabel("model passes of one map")
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _handle(method: str) -> Line2D:
    style = method_style(method)
    return Line2D([], [], color=style.colour, marker=style.marker, markersize=4.5, linestyle="", label=style.name)
