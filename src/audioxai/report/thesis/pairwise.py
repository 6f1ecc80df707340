"""Every method against every other: paired differences with Holm's correction, the metric's noise marked."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from audioxai.report.canvas import new_figure, settings
from audioxai.report.style import METHODS, in_order, method_style, number
from audioxai.report.thesis.pages import DOUBLE_INCHES
from audioxai.report.thesis.ranks import Contest
from audioxai.utils.statistics import compare_all, comparison_matrix

LEVEL = 0.05
PAIRED = (
    "Mean paired difference, row − column; * p < 0.05 (Student's t over clusters' means, Holm over the pairs of a "
    "panel); ≈ not more than the metric's own random draws make."
)
DIFFERENCE_COLOURS = "PuOr_r"


def pairwise_table(contests: Sequence[Contest]) -> pd.DataFrame:
    """One row a contest × pair of methods.

    Columns ``contest``, those of :func:`audioxai.utils.statistics.compare_all`, and ``smallest_difference``: means
    nearer than this are within the metric's own noise; NaN where that is not known.
    """
    tables = [_pairs(contest) for contest in contests if contest.decidable]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def noise_table(contests: Sequence[Contest]) -> pd.DataFrame:
    """One row a contest × method that was scored under several metric seeds, with the fields of ``MetricNoise``."""
    return pd.DataFrame(
        [
            {"contest": contest.title, "method": method, **asdict(contest.noise(str(method)))}
            for contest in contests
            if contest.repeats is not None
            for method in in_order(contest.repeats.columns, METHODS)
        ]
    )


def pairwise_matrices(table: pd.DataFrame, columns: int = 2) -> Figure:
    """Mean of row − column; ``*`` where Holm's p is below 0.05, ``≈`` where the metric's own noise could make it."""
    with settings():
        titles = list(dict.fromkeys(table["contest"]))
        methods = {*table["first"], *table["second"]}
        lines = math.ceil(len(titles) / columns)
        figure = new_figure(0.6 + lines * (1.3 + 0.17 * len(methods)), DOUBLE_INCHES)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        largest = float(table["mean"].abs().max()) or 1.0
        for axes, title in zip(grid.flat, titles, strict=False):
            image = _matrix(axes, table[table["contest"] == title], largest)
            axes.set_title(title)
        for axes in grid.flat[len(titles) :]:
            axes.set_visible(False)
        bar = figure.colorbar(image, ax=list(grid.flat), location="bottom", aspect=45, shrink=0.5, pad=0.01)
        bar.set_label("mean difference, row − column")
        return figure


def _pairs(contest: Contest) -> pd.DataFrame:
    scores = contest.defined[in_order(contest.defined.columns, METHODS)]
    table = compare_all(scores, scores.index.get_level_values("cluster"))
    table.insert(0, "contest", contest.title)
    pairs = zip(table["first"], table["second"], strict=True)
    table["smallest_difference"] = [
        float("nan") if contest.repeats is None else contest.noise(first, second).smallest_difference
        for first, second in pairs
    ]
    return table


def _matrix(axes: Axes, comparisons: pd.DataFrame, largest: float) -> AxesImage:
    means, p_values = comparison_matrix(comparisons, "mean"), comparison_matrix(comparisons, "p_holm")
    methods = [str(method) for method in means.index]
    names = [method_style(method).name for method in methods]
    noises = {
        frozenset((row["first"], row["second"])): row["smallest_difference"] for row in comparisons.to_dict("records")
    }
    values = means.to_numpy(dtype=np.float64).copy()
    np.fill_diagonal(values, np.nan)
    image = axes.imshow(values, cmap=DIFFERENCE_COLOURS, vmin=-largest, vmax=largest, aspect="auto")
    axes.set_facecolor("#eeeeee")
    for (row, column), value in np.ndenumerate(values):
        if not math.isnan(value):
            noise = noises[frozenset((methods[row], methods[column]))]
            mark = _mark(value, float(p_values.to_numpy()[row, column]), noise)
            colour = "white" if _is_dark(*image.to_rgba(value)[:3]) else "black"
            axes.text(column, row, _short(value) + mark, ha="center", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _is_dark(red: float, green: float, blue: float) -> bool:
    """Whether white is read more easily on it than black (luma of ITU-R BT.709)."""
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5


def _mark(value: float, p_value: float, noise: float) -> str:
    if abs(value) <= noise:  # never, where it is not known
        return "≈"
    return "*" if p_value < LEVEL else ""


def _short(value: float) -> str:
    """Two decimals without the leading zero: ``−.12``, ``1.05``."""
    return number(round(value, 2))[:-1].replace("0.", ".", 1) if abs(value) < 10 else number(value)
