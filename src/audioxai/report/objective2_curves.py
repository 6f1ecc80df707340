"""Insertion and deletion curves of Objective 2: what a model still says as sound comes and goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioxai.report.canvas import SETTINGS, new_figure, settings
from audioxai.report.figures import add_title, method_handle
from audioxai.report.style import method_style
from audioxai.utils.errors import UserError
from audioxai.utils.statistics import cluster_mean

REMOVALS = ("silence", "noise")
DIRECTIONS = ("insertion", "deletion")

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """One method's curves on the clips of one dataset × architecture.

    Attributes
    ----------
    scores : ndarray, shape (clips, 2, 2, points)
        Probability of the explained class, in [0, 1]: removals (silence, noise) × (insertion, deletion).
    fractions : ndarray, shape (points,)
        Share of the sound's cells that were put in, or taken out, in [0, 1].
    speakers : sequence of str
        Speaker of every clip; a single one has clips as clusters.

    Raises
    ------
    UserError
        If these do not fit each other.
    """

    scores: Floats
    fractions: Floats
    speakers: Sequence[str]

    def __post_init__(self) -> None:
        due = (len(self.speakers), len(REMOVALS), len(DIRECTIONS), len(self.fractions))
        if self.scores.shape != due:
            raise UserError(f"curves have shape {self.scores.shape} where speakers and fractions ask for {due}")

    def ribbon(self, removal: int, direction: int) -> Floats:
        """Mean, low and high ends of the 95 % interval, shape (3, points)."""
        several = len(set(self.speakers)) > 1
        clusters = np.array(self.speakers) if several else np.arange(len(self.speakers))
        found = [cluster_mean(values, clusters).interval() for values in self.scores[:, removal, direction, :].T]
        return np.array([[point.mean, point.low, point.high] for point in found]).T


def curve_figure(
    curves: Mapping[str, Mapping[str, Curves]], methods: Sequence[str], removals: Sequence[str], title: str
) -> Figure:
    """Scopes down; insertion and deletion under each removal across; one line with its ribbon a method.

    Parameters
    ----------
    curves : mapping
        Scope (dataset, architecture) → method → curves.
    methods : sequence of str
        Those to draw; one without curves is left out.
    removals : sequence of str
        Of ``silence`` and ``noise``.
    title : str
        Title of the figure.
    """
    with settings():
        columns = [(removal, direction) for removal in removals for direction in DIRECTIONS]
        figure = new_figure(1.0 + (1.6 if len(columns) < 3 else 1.35) * len(curves))
        grid = figure.subplots(len(curves), len(columns), sharex=True, sharey=True, squeeze=False)
        for line, (scope, own) in zip(grid, curves.items(), strict=True):
            for axes, (removal, direction) in zip(line, columns, strict=True):
                _panel(axes, own, methods, REMOVALS.index(removal), DIRECTIONS.index(direction))
            line[0].set_ylabel(scope.replace(" (STAND-IN", "\n(STAND-IN").replace(", ", "\n"))
        for axes, (removal, direction) in zip(grid[0], columns, strict=True):
            into = "into" if direction == "insertion" else "leaving"
            axes.set_title(f"{direction.capitalize()}\n{into} {removal}")
        for axes, (_, direction) in zip(grid[-1], columns, strict=True):
            axes.set_xlabel("share of cells " + ("put in" if direction == "insertion" else "taken out"))
        figure.supylabel("probability of the explained class", fontsize=SETTINGS["axes.labelsize"])
        drawn = [method for method in methods if any(method in own for own in curves.values())]
        figure.legend(
            handles=[method_handle(method) for method in drawn], loc="outside lower center", ncols=4, frameon=False
        )
        add_title(figure, title, "mean with its 95 % interval; the most relevant cells go first")
        return figure


def _panel(axes: Axes, own: Mapping[str, Curves], methods: Sequence[str], removal: int, direction: int) -> None:
    for method in methods:
        if method not in own:
            continue
        style, fractions = method_style(method), own[method].fractions
        mean, low, high = own[method].ribbon(removal, direction)
        axes.fill_between(fractions, low, high, color=style.colour, alpha=0.15, linewidth=0)
        axes.plot(fractions, mean, color=style.colour, marker=style.marker, markersize=3, linewidth=1)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
