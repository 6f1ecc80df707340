"""Figures of Objective 1, each as PNG (200 dpi) and PDF for a page 6.3 inches wide.

Conventions
-----------
Figures are drawn on the Agg and PDF canvases without pyplot, carry no date and are the same bytes for the same rows.
Methods keep their Okabe–Ito colour and marker everywhere; nothing is told by colour alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from audioxai.report.answer import matched
from audioxai.report.canvas import WIDTH_INCHES, new_figure, save, settings
from audioxai.report.sources import dataset_name
from audioxai.report.style import (
    METHODS,
    METRICS,
    MODALITIES,
    Directions,
    arrow,
    in_order,
    method_style,
    metric_style,
    number,
)
from audioxai.report.tables import cell_means, modality_differences, prepared
from audioxai.utils.errors import UserError

UNCOLOURED = "#eeeeee"
FREQUENCY_TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
CLIP_PERCENTILE = 99.5
ATTRIBUTION_COLOURS = "RdBu_r"
# No darker than mid-grey, so that both ends of the attribution colours stand out from it.
BACKGROUND_COLOURS = LinearSegmentedColormap.from_list("background", ["white", "#8c8c8c"])
PAIR_MARKERS = ("o", "s", "^", "D", "v", "P")
PAIR_COLOURS = ("#56B4E9", "#0072B2", "#000000", "#E69F00", "#D55E00", "#009E73")

Axis = tuple[str, str, Sequence[float]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One sample's input with every method's attributions, for one figure.

    Attributes
    ----------
    title : str
        Title of the figure and, made plain, its file name; names stand-in data where they are shown.
    inputs : ndarray, shape (rows, columns)
        The input, in ``value_unit``.
    attributions : mapping of str to ndarray, each (rows, columns)
        Method → signed attributions.
    row_axis, column_axis : tuple of (name, unit, coordinates)
        Meaning of rows and columns; one coordinate an index, not necessarily evenly spaced. Rows in ``Hz`` are drawn
        upwards, all others downwards.
    value_unit : str
        Unit of ``inputs``.
    notes : mapping of str to str
        Method → what stands under its name.
    """

    title: str
    inputs: Floats
    attributions: Mapping[str, Floats]
    row_axis: Axis
    column_axis: Axis
    value_unit: str
    notes: Mapping[str, str] = field(default_factory=dict)


def write_all(rows: pd.DataFrame, overlays: Sequence[Overlay], directions: Directions, destination: Path) -> list[Path]:
    """Every figure of Objective 1 as PNG and PDF.

    Parameters
    ----------
    rows : DataFrame
        Result rows; see :mod:`audioxai.report.tables`.
    overlays : sequence of Overlay
        Samples to show.
    directions : mapping
        Metric → whether higher is better, None where neither end is.
    destination : Path
        Folder, made where it is missing.

    Returns
    -------
    list of Path
        Files written, in a fixed order. What the rows cannot show (one modality, one resolution) is left out.

    Raises
    ------
    UserError
        As :func:`audioxai.report.tables.gather`, if two overlays share a title, or if a file cannot be written.
    """
    tidy = prepared(rows)
    cells = cell_means(tidy)
    differences = modality_differences(tidy, directions)
    names = {modality: dataset_name(rows, modality) for modality in in_order(cells["modality"], MODALITIES)}
    drawn: dict[str, Callable[[], Figure]] = {
        f"heatmap_{modality}": partial(heat_map, cells[cells["modality"] == modality], directions, name)
        for modality, name in names.items()
    }
    if cells.groupby("modality")["resolution"].nunique().max() > 1:
        drawn["resolution_curves"] = partial(resolution_curves, cells, directions, names)
    if not differences.empty:
        drawn["audio_minus_image"] = partial(difference_forest, differences, directions, names)
    written = [path for name, draw in drawn.items() for path in save(draw, destination / name)]
    return written + write_overlays(overlays, destination)


def write_overlays(overlays: Sequence[Overlay], destination: Path) -> list[Path]:
    """Every sample's attributions as PNG and PDF, ``overlay_<title>``.

    Raises
    ------
    UserError
        If two overlays share a title, or a file cannot be written.
    """
    named: dict[str, Overlay] = {}
    for overlay in overlays:
        if named.setdefault(f"overlay_{_plain(overlay.title)}", overlay) is not overlay:
            raise UserError(f"two overlays are titled {overlay.title!r}; give every overlay a title of its own")
    return [
        path
        for name, overlay in named.items()
        for path in save(partial(attribution_overlay, overlay), destination / name)
    ]


def heat_map(cells: pd.DataFrame, directions: Directions, dataset: str) -> Figure:
    """Method × metric table of one modality, a panel a resolution, coloured by the rank of the mean in its column."""
    with settings():
        resolutions = sorted(cells["resolution"].unique())
        metrics, methods = in_order(cells["metric"], METRICS), in_order(cells["method"], METHODS)
        figure = new_figure(0.75 + len(resolutions) * (0.3 + 0.29 * len(methods)))
        panels = figure.subplots(len(resolutions), 1, squeeze=False)[:, 0]
        colours = rank_colours(len(methods))
        for axes, resolution in zip(panels, resolutions, strict=True):
            image = heat_panel(axes, cells[cells["resolution"] == resolution], methods, metrics, directions, colours)
            axes.set_title(f"{str(cells['modality'].iloc[0]).capitalize()}, {resolution} × {resolution}", loc="left")
        for axes in panels[:-1]:
            axes.set_xticklabels([])
        bar = figure.colorbar(image, ax=list(panels), location="bottom", aspect=45, shrink=0.55, pad=0.015)
        bar.set_ticks(list(range(1, len(methods) + 1)))
        bar.ax.tick_params(length=0)
        bar.set_label("rank of the mean within its column, 1 = best; columns without a better end stay grey")
        add_title(figure, f"{dataset}: mean ± half-width of the 95 % interval")
        return figure


def resolution_curves(cells: pd.DataFrame, directions: Directions, datasets: Mapping[str, str]) -> Figure:
    """Mean against resolution, metrics down and modalities across; ribbons are 95 % intervals."""
    with settings():
        metrics, methods = in_order(cells["metric"], METRICS), in_order(cells["method"], METHODS)
        modalities = in_order(cells["modality"], MODALITIES)
        figure = new_figure(0.75 + 1.35 * len(metrics))
        grid = figure.subplots(len(metrics), len(modalities), sharex="col", sharey="row", squeeze=False)
        for line, metric in zip(grid, metrics, strict=True):
            for axes, modality in zip(line, modalities, strict=True):
                own = cells[(cells["metric"] == metric) & (cells["modality"] == modality)]
                curve_panel(axes, own, methods, "-" if modality == "audio" else "--")
            line[0].set_ylabel(two_lines(metric_style(metric).name) + arrow(metric, directions))
        for axes, modality in zip(grid[0], modalities, strict=True):
            axes.set_title(f"{modality.capitalize()}: {datasets[modality]}")
        for axes in grid[-1]:
            axes.set_xlabel("resolution (rows)")
        figure.align_ylabels(list(grid[:, 0]))
        handles = [method_handle(method) for method in methods]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        return figure


def difference_forest(differences: pd.DataFrame, directions: Directions, datasets: Mapping[str, str]) -> Figure:
    """Audio − image for every method, a panel a metric; filled markers where the interval excludes zero."""
    with settings():
        metrics, methods = in_order(differences["metric"], METRICS), in_order(differences["method"], METHODS)
        pairs = differences[["audio_resolution", "image_resolution"]].drop_duplicates().to_numpy().tolist()
        columns = min(3, len(metrics))
        lines = math.ceil(len(metrics) / columns)
        figure = new_figure(0.9 + lines * (0.5 + 0.28 * len(methods)))
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, metric in zip(grid.flat, metrics, strict=False):
            _forest_panel(axes, differences[differences["metric"] == metric], methods, pairs)
            name = metric_style(metric).name
            axes.set_title(name if len(name) <= 25 else two_lines(name))
            axes.set_xlabel(_better_side(directions.get(metric)))
        for axes in grid.flat[len(metrics) :]:
            axes.set_visible(False)
        handles = [
            *(_pair_handle(position, f"resolution {matched(*pair)}") for position, pair in enumerate(pairs)),
            Line2D([], [], color="#444444", marker="o", markersize=4, linestyle="", label="interval excludes 0"),
            Line2D([], [], color="#444444", marker="o", markersize=4, linestyle="", mfc="white", label="includes 0"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, columnspacing=1.2)
        add_title(figure, "Difference of means, audio − image, with its 95 % interval", *_named(datasets))
        return figure


def attribution_overlay(overlay: Overlay, width_inches: float = WIDTH_INCHES) -> Figure:
    """The input, then every method's attributions over the input in grey, on a page or column of this width.

    Attributions are divided by the 99.5th percentile of their absolute values, each map by its own, so panels compare
    where methods look and not how strongly.
    """
    with settings():
        methods = in_order(overlay.attributions, METHODS)
        columns = min(4, len(methods) + 1)
        lines = math.ceil((len(methods) + 1) / columns)
        panel_inches = 1.45 if _is_image(overlay) else 1.3
        figure = new_figure(0.95 + lines * (0.28 + 0.12 * bool(overlay.notes) + panel_inches), width_inches)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        shown = _show_input(panels[0], overlay, "gray" if _is_image(overlay) else "magma")
        panels[0].set_title("Input")
        for axes, method in zip(panels[1:], methods, strict=False):
            _show_attributions(axes, overlay, overlay.attributions[method])
            axes.set_title("\n".join([method_style(method).name, *_note(overlay, method)]))
        for axes in panels[len(methods) + 1 :]:
            axes.set_visible(False)
        _label_axes(grid, overlay, len(methods) + 1)
        middle = max(1, columns // 2)
        left, right = list(grid[:, :middle].flat), list(grid[:, middle:].flat)
        _colour_bar(figure, shown, left, f"input ({overlay.value_unit})")
        if right:
            scale = ScalarMappable(Normalize(-1, 1), ATTRIBUTION_COLOURS)
            bar = _colour_bar(figure, scale, right, "attribution ÷ 99.5th percentile of its size", extend="both")
            bar.set_ticks([-1, -0.5, 0, 0.5, 1])
        add_title(figure, overlay.title)
        return figure


def _note(overlay: Overlay, method: str) -> list[str]:
    return [overlay.notes[method]] if method in overlay.notes else []


def add_title(figure: Figure, *lines: str) -> None:
    """Title above everything, broken where it would be wider than the figure."""
    letters = round(84 * figure.get_size_inches()[0] / WIDTH_INCHES)
    figure.suptitle("\n".join(fill(line, letters) for line in lines))


def _named(datasets: Mapping[str, str]) -> list[str]:
    return [f"{modality}: {name}" for modality, name in datasets.items()]


def _plain(title: str) -> str:
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title.lower()).split()
    return "_".join(words) or "untitled"


def rank_colours(count: int) -> ListedColormap:
    """Dark blue for the best to nearly white for the last: in grey, darker is better too."""
    return ListedColormap(mpl.colormaps["Blues"](np.linspace(0.85, 0.05, count)))


def heat_panel(
    axes: Axes,
    cells: pd.DataFrame,
    methods: Sequence[str],
    metrics: Sequence[str],
    directions: Directions,
    colours: ListedColormap,
) -> AxesImage:
    """Means with half-widths, coloured by the rank within their column; ``colours`` has one a rank."""
    entries = {(row["method"], row["metric"]): row for row in cells.to_dict("records")}
    ranks = np.full((len(methods), len(metrics)), np.nan)
    for column, metric in enumerate(metrics):
        higher_is_better = directions.get(metric)
        if higher_is_better is not None:
            means = pd.Series(
                [entries.get((method, metric), {}).get("mean", np.nan) for method in methods], dtype=float
            )
            ranks[:, column] = means.rank(ascending=not higher_is_better, method="min")
    axes.set_facecolor(UNCOLOURED)
    norm = BoundaryNorm(np.arange(0.5, len(methods) + 1), len(methods))
    image = axes.imshow(ranks, cmap=colours, norm=norm, aspect="auto")
    for (line, column), rank in np.ndenumerate(ranks):
        row = entries.get((methods[line], metrics[column]))
        dark = not np.isnan(rank) and rank <= 0.45 * len(methods)
        text = "" if row is None else _mean_and_half_width(row["mean"], row["low"], row["high"])
        axes.text(column, line, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(
        range(len(metrics)), [two_lines(metric_style(metric).name) + arrow(metric, directions) for metric in metrics]
    )
    axes.set_yticks(range(len(methods)), [method_style(method).name for method in methods])
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(0.5, len(metrics) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(methods) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    return image


def _mean_and_half_width(mean: float, low: float, high: float) -> str:
    half = (high - low) / 2
    return number(mean) if math.isnan(half) else f"{number(mean)} ± {number(half)}"


def two_lines(name: str) -> str:
    """``name`` broken at the blank nearest to its middle."""
    blanks = [place for place, letter in enumerate(name) if letter == " "]
    if not blanks:
        return name
    place = min(blanks, key=lambda blank: abs(blank - len(name) / 2))
    return f"{name[:place]}\n{name[place + 1 :]}"


def curve_panel(axes: Axes, cells: pd.DataFrame, methods: Sequence[str], line_style: Literal["-", "--"]) -> None:
    """One line with its ribbon a method, over a column ``resolution`` of numbers that double."""
    for method in methods:
        own = cells[cells["method"] == method].sort_values("resolution")
        style = method_style(method)
        axes.fill_between(own["resolution"], own["low"], own["high"], color=style.colour, alpha=0.15, linewidth=0)
        axes.plot(
            own["resolution"],
            own["mean"],
            line_style,
            color=style.colour,
            marker=style.marker,
            markersize=4,
            linewidth=1,
        )
    axes.set_xscale("log", base=2)
    resolutions = sorted(cells["resolution"].unique())
    axes.set_xticks(resolutions, [str(resolution) for resolution in resolutions])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.06)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def method_handle(method: str) -> Line2D:
    """How a legend shows a method."""
    style = method_style(method)
    return Line2D(
        [],
        [],
        color=style.colour,
        marker=style.marker,
        markersize=4,
        linewidth=1,
        label=style.name,
    )


def _pair_handle(position: int, label: str) -> Line2D:
    colour, marker = PAIR_COLOURS[position % 6], PAIR_MARKERS[position % 6]
    return Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1, label=label)


def _forest_panel(
    axes: Axes, differences: pd.DataFrame, methods: Sequence[str], pairs: Sequence[Sequence[int]]
) -> None:
    axes.axvline(0, color="#888888", linewidth=0.8)
    for row in differences.to_dict("records"):
        position = pairs.index([row["audio_resolution"], row["image_resolution"]])
        height = methods.index(row["method"]) + (position - (len(pairs) - 1) / 2) * 0.75 / len(pairs)
        colour, marker = PAIR_COLOURS[position % 6], PAIR_MARKERS[position % 6]
        decided = row["low"] > 0 or row["high"] < 0
        axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1)
        axes.plot(
            row["mean"],
            height,
            color=colour,
            marker=marker,
            markersize=3.5,
            mfc=colour if decided else "white",
            mew=0.8,
        )
    for height in np.arange(0.5, len(methods) - 1):
        axes.axhline(height, color="#e4e4e4", linewidth=0.5)
    axes.set_yticks(range(len(methods)), [method_style(method).name for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _better_side(higher_is_better: bool | None) -> str:
    return {
        True: "audio better →",
        False: "← audio better",
        None: "audio higher →",
    }[higher_is_better]


def _is_image(overlay: Overlay) -> bool:
    return overlay.row_axis[1] != "Hz"


def _origin(overlay: Overlay) -> Literal["upper", "lower"]:
    return "upper" if _is_image(overlay) else "lower"


def _aspect(overlay: Overlay) -> Literal["equal", "auto"]:
    return "equal" if _is_image(overlay) else "auto"


def _show_input(axes: Axes, overlay: Overlay, colours: str | LinearSegmentedColormap) -> AxesImage:
    return axes.imshow(
        overlay.inputs, cmap=colours, origin=_origin(overlay), aspect=_aspect(overlay), interpolation="nearest"
    )


def _show_attributions(axes: Axes, overlay: Overlay, attributions: Floats) -> None:
    """Attributions in red and blue, transparent towards zero, over the input in grey."""
    _show_input(axes, overlay, BACKGROUND_COLOURS)
    sizes = np.abs(attributions)
    scale = float(np.percentile(sizes, CLIP_PERCENTILE)) or float(sizes.max()) or 1.0
    shares = np.clip(attributions / scale, -1, 1)
    axes.imshow(
        shares,
        cmap=ATTRIBUTION_COLOURS,
        vmin=-1,
        vmax=1,
        alpha=np.sqrt(np.abs(shares)),
        origin=_origin(overlay),
        aspect=_aspect(overlay),
        interpolation="nearest",
    )


def _colour_bar(
    figure: Figure,
    shown: ScalarMappable,
    panels: Sequence[Axes],
    label: str,
    extend: Literal["neither", "both"] = "neither",
) -> Colorbar:
    """Bar below half of the figure, its label broken where it would be wider than that."""
    told = fill(label, round(7 * figure.get_size_inches()[0]))
    return figure.colorbar(
        shown, ax=list(panels), location="bottom", aspect=28, pad=0.02, shrink=0.9, label=told, extend=extend
    )


def _label_axes(grid: NDArray[Any], overlay: Overlay, used: int) -> None:
    (row_name, row_unit, rows), (column_name, column_unit, columns) = overlay.row_axis, overlay.column_axis
    axes = grid[0, 0]
    if _is_image(overlay):
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        wanted = [hertz for hertz in FREQUENCY_TICKS_HZ if rows[0] <= hertz <= rows[-1]]
        _place_ticks(axes.yaxis, wanted, rows, least_distance=0.08)
        seconds = MaxNLocator(3).tick_values(columns[0], columns[-1])
        _place_ticks(axes.xaxis, [s for s in seconds if columns[0] <= s <= columns[-1]], columns, least_distance=0.0)
    for line in grid:
        line[0].set_ylabel(f"{row_name} ({row_unit})")
    for column in range(grid.shape[1]):
        lowest = max(line for line in range(grid.shape[0]) if line * grid.shape[1] + column < used)
        grid[lowest, column].set_xlabel(f"{column_name} ({column_unit})")
        grid[lowest, column].tick_params(labelbottom=True)


def _place_ticks(axis: Any, wanted: Sequence[float], coordinates: Sequence[float], least_distance: float) -> None:
    """Ticks at the fractional indices of ``wanted`` coordinates, those too near to the last one left out."""
    places: list[float] = []
    labels = []
    for value in wanted:
        place = float(np.interp(value, coordinates, np.arange(len(coordinates))))
        if not places or place - places[-1] >= least_distance * len(coordinates):
            places.append(place)
            labels.append(f"{value:g}")
    axis.set_major_locator(FixedLocator(places))
    axis.set_ticklabels(labels)
