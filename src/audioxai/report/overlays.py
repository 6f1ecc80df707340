"""Explained samples as figures: the input, then every method's attributions over it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from audioxai.domains import Domain
from audioxai.report.canvas import SINGLE_INCHES, add_title, new_figure, settings
from audioxai.report.document import Figure
from audioxai.report.style import Style, number

if TYPE_CHECKING:
    from audioxai.report.blocks import Source
    from audioxai.results import ExplainedCell

FREQUENCY_TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
CLIP_PERCENTILE = 99.5
ATTRIBUTION_COLOURS = "RdBu_r"
# No darker than mid-grey, so that both ends of the attribution colours stand out from it.
BACKGROUND_COLOURS = LinearSegmentedColormap.from_list("background", ["white", "#8c8c8c"])
SCALED = (
    "Attributions (red for, blue against the class) are each divided by the 99.5th percentile of their sizes, so "
    "panels compare where methods look and not how strongly. ΔF is the change of the explained logit from the baseline "
    "to the input; the gap is |ΣA − ΔF| / |ΔF|, given for methods that claim to be complete."
)

Axis = tuple[str, str, Sequence[float]]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One sample's input with the attributions of several methods.

    Attributes
    ----------
    title : str
        What the sample is; names stand-in data.
    inputs : ndarray, shape (rows, columns)
        The input, in ``value_unit``; one row for a waveform.
    attributions : mapping of str to ndarray, each (rows, columns)
        Method → signed attributions.
    row_axis, column_axis : tuple of (name, unit, coordinates)
        Meaning of rows and columns; one coordinate per index, not necessarily evenly spaced. Rows in ``Hz`` are drawn
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


def titles_of(cell: "ExplainedCell") -> tuple[str, ...]:
    """``fsdd: class 7, speaker theo, predicted 7`` of every sample, stand-ins named as such."""
    inputs, names = cell.inputs(), cell.class_names
    data = cell.dataset + (f" (STAND-IN for {cell.stand_in_for})" if cell.stand_in_for else "")
    rows = zip(inputs["labels"].tolist(), inputs["predictions"].tolist(), cell.groups, strict=True)
    return tuple(
        f"{data}: class {names[label]}"
        + ("" if group is None else f", {cell.group_name or 'group'} {group}")
        + f", predicted {names[prediction]}"
        for label, prediction, group in rows
    )


def of_different_titles(cell: "ExplainedCell", count: int) -> list[int]:
    """The first ``count`` samples that are titled differently."""
    first: dict[str, int] = {}
    for sample, title in enumerate(titles_of(cell)):
        first.setdefault(title, sample)
    return list(first.values())[:count]


def overlay(cell: "ExplainedCell", sample: int, methods: Collection[str]) -> Overlay:
    """One sample of a cell with the attributions of those ``methods`` that live where its input does."""
    maps, notes = {}, {}
    for method in methods:
        found = cell.attributions(method)
        if found.domain != cell.domain:
            continue
        values = found.values[sample, 0]
        maps[method] = values.numpy()
        if found.change is not None:
            notes[method] = _note(float(found.change[sample]), float(values.double().sum()))
    inputs = cell.inputs()["inputs"][sample, 0].numpy()
    return overlay_of(cell.domain, titles_of(cell)[sample], inputs, maps, notes)


def overlay_of(
    domain: Domain,
    title: str,
    inputs: Floats,
    attributions: Mapping[str, Floats],
    notes: Mapping[str, str] | None = None,
) -> Overlay:
    """An input with attributions by method, all shaped as the domain says."""
    axes = [(axis.name, axis.unit, axis.coordinates) for axis in domain.axes()]
    row_axis, column_axis = axes if len(axes) == 2 else (("", "", (0.0,)), axes[0])
    return Overlay(
        title=title,
        inputs=_two_dimensional(inputs),
        attributions={method: _two_dimensional(values) for method, values in attributions.items()},
        row_axis=row_axis,
        column_axis=column_axis,
        value_unit=domain.unit,
        notes=notes or {},
    )


def overlay_figures(
    cell: "ExplainedCell", count: int, methods: Sequence[str], style: Style, source: "Source", name: str
) -> list[Figure]:
    """Figures of the first ``count`` differently titled samples, named ``<name>_1`` and so on."""
    figures = []
    for place, sample in enumerate(of_different_titles(cell, count), start=1):
        title = titles_of(cell)[sample]
        figures.append(
            Figure(
                f"{name}_{place}",
                title,
                source.caption(f"{title}. {SCALED}", counted="n = 1 sample"),
                partial(_drawn, cell, sample, tuple(methods), style),
                wide=len(methods) > 1,
            )
        )
    return figures


def attribution_overlay(shown: Overlay, style: Style, width_inches: float) -> MatplotlibFigure:
    """The input, then every method's attributions over the input in grey.

    Attributions are divided by the 99.5th percentile of their absolute values, each map by its own.
    """
    with settings():
        methods = style.ordered_methods(shown.attributions)
        columns = min(4 if width_inches > SINGLE_INCHES else 2, len(methods) + 1)
        lines = math.ceil((len(methods) + 1) / columns)
        panel_inches = 1.45 if _is_image(shown) else 1.3
        figure = new_figure(0.95 + lines * (0.28 + 0.12 * bool(shown.notes) + panel_inches), width_inches)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        mapped = _show_input(panels[0], shown, "gray" if _is_image(shown) else "magma")
        panels[0].set_title("Input")
        for axes, method in zip(panels[1:], methods, strict=False):
            _show_attributions(axes, shown, shown.attributions[method])
            note = [shown.notes[method]] if method in shown.notes else []
            axes.set_title("\n".join([style.method(method), *note]))
        for axes in panels[len(methods) + 1 :]:
            axes.set_visible(False)
        _label_axes(grid, shown, len(methods) + 1)
        middle = max(1, columns // 2)
        left, right = list(grid[:, :middle].flat), list(grid[:, middle:].flat)
        if mapped is not None:
            _colour_bar(figure, mapped, left, f"input ({shown.value_unit})")
        if right:
            scale = ScalarMappable(Normalize(-1, 1), ATTRIBUTION_COLOURS)
            bar = _colour_bar(figure, scale, right, "attribution ÷ 99.5th percentile of its size", extend="both")
            bar.set_ticks([-1, -0.5, 0, 0.5, 1])
        add_title(figure, shown.title)
        return figure


def shares_of(attributions: Floats, scale: float | None = None) -> Floats:
    """Attributions divided by a scale, their own by default, in [−1, 1]."""
    shares: Floats = np.clip(attributions / (scale_of(attributions) if scale is None else scale), -1, 1)
    return shares


def scale_of(attributions: Floats) -> float:
    """The 99.5th percentile of the sizes of attributions, positive."""
    sizes = np.abs(attributions)
    return float(np.percentile(sizes, CLIP_PERCENTILE)) or float(sizes.max()) or 1.0


def _drawn(
    cell: "ExplainedCell", sample: int, methods: Sequence[str], style: Style, width_inches: float
) -> MatplotlibFigure:
    return attribution_overlay(overlay(cell, sample, methods), style, width_inches)


def _note(change: float, total: float) -> str:
    gap = "undefined" if change == 0 else f"{100 * abs(total - change) / abs(change):.1f} %"
    return f"ΔF = {number(change)}, gap {gap}"


def _two_dimensional(values: Floats) -> Floats:
    return values if values.ndim == 2 else values.reshape(1, -1)


def _is_image(shown: Overlay) -> bool:
    return shown.row_axis[1] == "pixel"


def _is_waveform(shown: Overlay) -> bool:
    return len(shown.inputs) == 1


def _show_input(axes: Axes, shown: Overlay, colours: str | Colormap) -> AxesImage | None:
    """The input as an image, or as a line where it is a waveform."""
    if _is_waveform(shown):
        axes.plot(shown.inputs[0], color="#444444", linewidth=0.4)
        return None
    return axes.imshow(shown.inputs, cmap=colours, **_placed(shown))


def _show_attributions(axes: Axes, shown: Overlay, attributions: Floats) -> None:
    """Attributions in red and blue, transparent towards zero, over the input in grey."""
    _show_input(axes, shown, BACKGROUND_COLOURS)
    shares, extent = shares_of(attributions), None
    if _is_waveform(shown):
        highest = float(np.abs(shown.inputs).max()) or 1.0
        extent = (-0.5, shown.inputs.shape[1] - 0.5, -highest, highest)
    axes.imshow(
        shares,
        cmap=ATTRIBUTION_COLOURS,
        vmin=-1,
        vmax=1,
        alpha=np.sqrt(np.abs(shares)),
        extent=extent,
        **_placed(shown),
    )


def _placed(shown: Overlay) -> Any:
    origin: Literal["upper", "lower"] = "lower" if shown.row_axis[1] == "Hz" else "upper"
    return {"origin": origin, "aspect": "equal" if _is_image(shown) else "auto", "interpolation": "nearest"}


def _colour_bar(
    figure: MatplotlibFigure,
    mapped: ScalarMappable,
    panels: Sequence[Axes],
    label: str,
    extend: Literal["neither", "both"] = "neither",
) -> Colorbar:
    """Bar below half of the figure, its label broken where it would be wider than that."""
    text = fill(label, round(7 * figure.get_size_inches()[0]))
    return figure.colorbar(
        mapped, ax=list(panels), location="bottom", aspect=28, pad=0.02, shrink=0.9, label=text, extend=extend
    )


def _label_axes(grid: NDArray[Any], shown: Overlay, used: int) -> None:
    (row_name, row_unit, rows), (column_name, column_unit, columns) = shown.row_axis, shown.column_axis
    axes = grid[0, 0]
    if _is_image(shown):
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        if row_unit == "Hz":
            wanted = [hertz for hertz in FREQUENCY_TICKS_HZ if rows[0] <= hertz <= rows[-1]]
            _place_ticks(axes.yaxis, wanted, rows, least_distance=0.08)
        seconds = MaxNLocator(3).tick_values(columns[0], columns[-1])
        _place_ticks(axes.xaxis, [s for s in seconds if columns[0] <= s <= columns[-1]], columns, least_distance=0.0)
    for line in grid:
        line[0].set_ylabel(f"{row_name} ({row_unit})" if row_name else shown.value_unit)
    for column in range(grid.shape[1]):
        lowest = max((line for line in range(grid.shape[0]) if line * grid.shape[1] + column < used), default=0)
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
