"""Figures of Objective 2: curves, score against gradients, gains over silence IG, ground truth, method by metric, cost.

What the rows or curves cannot show is left out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from audioxai.report.blocks import Source
from audioxai.report.canvas import SETTINGS, add_title, new_figure, settings
from audioxai.report.document import Figure
from audioxai.report.figures import cost_against_score, curve_panel, heat_map, legend, method_handle, two_lines
from audioxai.report.objective2_estimates import (
    ALL,
    CHANCE,
    CLIPS,
    GAP,
    LEADING,
    LOCATED,
    PLAIN,
    REFERENCE,
    TRUTHS,
    Evidence,
)
from audioxai.report.style import Style, capitalised
from audioxai.report.verdicts import LEVEL
from audioxai.statistics import cluster_mean
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from audioxai.results import ResultSet

PREFIX = "o2"
REMOVED_BY = ("silence", "noise")
DIRECTIONS = ("insertion", "deletion")
LINES = 6
LEVEL_LINES: tuple[Literal["--", ":", "-."], ...] = ("--", ":", "-.")
SCOPE_MARKERS = ("o", "s", "^", "D", "v", "P")

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """One method's curves on the clips of one data set × architecture.

    Attributes
    ----------
    scores : ndarray, shape (clips, 2, 2, points)
        Probability of the explained class, in [0, 1]: removals (silence, noise) × (insertion, deletion).
    fractions : ndarray, shape (points,)
        Fraction of the time–frequency bins that came, or went, in [0, 1].
    groups : sequence of str or None
        Group of every clip; with a single one, or none, clips are the clusters.

    Raises
    ------
    UserError
        If these do not fit each other.
    """

    scores: Floats
    fractions: Floats
    groups: Sequence[str | None]

    def __post_init__(self) -> None:
        due = (len(self.groups), len(REMOVED_BY), len(DIRECTIONS), len(self.fractions))
        if self.scores.shape != due:
            raise UserError(f"curves have shape {self.scores.shape} where groups and fractions ask for {due}")

    def ribbon(self, removal: int, direction: int) -> Floats:
        """Mean, low and high ends of the 95 % interval, shape (3, points)."""
        several = len(set(self.groups)) > 1 and None not in self.groups
        clusters = np.array(self.groups) if several else np.arange(len(self.groups))
        found = [cluster_mean(values, clusters).interval() for values in self.scores[:, removal, direction, :].T]
        return np.array([[point.mean, point.low, point.high] for point in found]).T


CurvesOf = Mapping[str, Mapping[str, Curves]]


def figures(results: "ResultSet", evidence: Evidence, source: Source) -> dict[str, Figure]:
    """Figures that the results can fill, by name."""
    style, best, overall, budget = evidence.style, evidence.best or REFERENCE, evidence.overall(), evidence.main_budget
    strongest = [name for name in strongest_of(evidence, "control") if name != CHANCE][:1]
    turned, judged = (PLAIN, REFERENCE, CHANCE), tuple(dict.fromkeys([best, REFERENCE, *strongest, CHANCE]))
    curves = curves_of(results, evidence, {*turned, *judged})
    own = evidence.means[(evidence.means["material"] == CLIPS) & (evidence.means["metric"] != GAP)]
    here = own[(own["scope"] == overall) & (own["gradients"] == budget)]
    leading, gains = own[own["metric"] == LEADING], evidence.gains_at(overall)
    bars = f"bars are 95 % intervals over {evidence.group_name}s"
    found: dict[str, Figure] = {}

    def add(name: str, title: str, text: str, frame: pd.DataFrame, draw: Callable[[float], MatplotlibFigure]) -> None:
        if len(frame):
            found[name] = Figure(f"{PREFIX}_{name}", title, source.caption(text, frame), draw)

    for name, title, text, methods, removals in (
        (
            "curves_plain_and_silence",
            "Where the path starts: at 0 dB, the loudest level, or in silence",
            "under silence, for Integrated Gradients from 0 dB and from silence, and for random attributions",
            turned,
            REMOVED_BY[:1],
        ),
        (
            "curves_two_removals",
            "Bins replaced by silence and by speech-shaped noise",
            f"under both removals, for the best audio IG, silence IG and controls, at {budget} gradients per map",
            judged,
            REMOVED_BY,
        ),
    ):
        told = f"Insertion and deletion {text}: probability of the explained class as the most relevant time–frequency "
        told += f"bins come, or go, first; ribbons are 95 % intervals over {evidence.group_name}s."
        shown = here[(here["metric"] == LEADING) & here["method"].isin({m for own in curves.values() for m in own})]
        add(name, title, told, shown, partial(curve_figure, curves, methods, removals, style))
    add(
        "difference_from_silence",
        f"Difference from {style.method(REFERENCE)}",
        f"Paired difference from {style.method(REFERENCE)} under the worse removal at {budget} gradients per map; "
        f"{bars}, filled where p < {LEVEL} after Holm's correction; small grey marks are single models.",
        gains,
        partial(gain_figure, evidence),
    )
    add(
        "method_by_metric",
        "Every method by every metric",
        f"Mean ± half-width of the 95 % interval at {budget} gradients per map; darker is a better rank within the "
        "column, controls are not ranked, – was not measured.",
        here,
        partial(
            heat_map, here.assign(scope=evidence.described(overall)), style, "scope", f"{budget} gradients per map"
        ),
    )
    lines = list(dict.fromkeys([best, REFERENCE, *strongest_of(evidence, "ours", "peer")]))[:LINES]
    add(
        "score_against_gradients",
        "What more gradients bring",
        "Insertion − deletion under the worse removal against the gradients spent on a map, of the best audio IG, "
        "silence IG (both with 95 % intervals) and the next best methods; controls are lines across.",
        # With one number of gradients there is nothing to be seen.
        leading[(leading["scope"] != ALL) & (len(evidence.budgets) > 1)],
        partial(budget_figure, evidence, lines),
    )
    costs = leading[(leading["scope"] == overall) & leading["method"].isin({*judged, *lines, *shown_methods(evidence)})]
    costs = costs.assign(panel=evidence.described(overall), passes=costs["cost"])
    add(
        "cost",
        "What a map costs",
        "Score under the worse removal against model passes per map, at every number of gradients, of silence IG, the "
        f"best methods and controls; {bars}.",
        costs,
        partial(cost_against_score, costs, style, "insertion − deletion,\nworse removal ↑"),
    )
    add(
        "ground_truth",
        "Relevance where it is known to belong",
        "Share of relevance in the bins that are known to matter; the dashed line is chance: random attributions; "
        f"{bars}, cut at 0 and 1.",
        evidence.means[evidence.means["material"].isin(evidence.materials)],
        partial(ground_truth_figure, evidence),
    )
    return found


def strongest_of(evidence: Evidence, *roles: str) -> list[str]:
    """Methods of these roles, best first under the worse removal over all models at the main budget."""
    own = evidence.by_method(CLIPS, evidence.overall(), LEADING)
    own = own[own["method"].isin(evidence.of_role(*roles)) & own["mean"].notna()]
    return list(own.sort_values("mean", ascending=False, kind="stable")["method"])


def shown_methods(evidence: Evidence) -> list[str]:
    """Few enough for one page: IG from 0 dB and from silence, the two best audio IGs, two peers and a control."""
    chosen = [PLAIN, REFERENCE, *strongest_of(evidence, "ours")[:2], *strongest_of(evidence, "peer")[:2]]
    chosen += [name for name in strongest_of(evidence, "control") if name != CHANCE][:1]
    return [name for name in evidence.style.ordered_methods(chosen) if name in set(evidence.clips["method"])]


def curves_of(results: "ResultSet", evidence: Evidence, methods: set[str]) -> CurvesOf:
    """Scope → method → curves of all training seeds at the main budget, of methods whose scores are there."""
    parts: dict[str, dict[str, list[Curves]]] = {}
    clips = evidence.clips[evidence.clips["metric"] == LEADING]
    for cell in results.cells:
        if cell.material != CLIPS:
            continue
        own = clips[
            (clips["dataset"] == cell.dataset)
            & (clips["model"] == cell.model)
            & (clips["training_seed"] == cell.training_seed)
        ]
        for method in sorted(methods & set(own["method"])):
            scored = set(own.loc[own["method"] == method, "gradients"])
            if evidence.main_budget not in scored and len(cell.budgets[method]) > 1:
                continue
            found = cell.curves(method, evidence.main_budget if len(cell.budgets[method]) > 1 else None)
            if found is not None:
                values, fractions = (tensor.double().numpy() for tensor in found)
                curves = Curves(values, fractions, cell.groups)
                parts.setdefault(str(own["scope"].iloc[0]), {}).setdefault(method, []).append(curves)
    return {
        scope: {
            method: Curves(
                np.concatenate([one.scores for one in found]),
                found[0].fractions,
                [group for one in found for group in one.groups],
            )
            for method, found in parts[scope].items()
        }
        for scope in sorted(parts)
    }


def curve_figure(
    curves: CurvesOf, methods: Sequence[str], removals: Sequence[str], style: Style, width_inches: float
) -> MatplotlibFigure:
    """Scopes down; insertion and deletion under each removal across; one line with its ribbon per method."""
    with settings():
        columns = [(removal, direction) for removal in removals for direction in DIRECTIONS]
        figure = new_figure(0.7 + (1.6 if len(columns) < 3 else 1.35) * len(curves), width_inches)
        grid = figure.subplots(len(curves), len(columns), sharex=True, sharey=True, squeeze=False)
        for line, (scope, own) in zip(grid, curves.items(), strict=True):
            for axes, (removal, direction) in zip(line, columns, strict=True):
                _curves_panel(axes, own, methods, REMOVED_BY.index(removal), DIRECTIONS.index(direction), style)
            line[0].set_ylabel(scope.replace(" (STAND-IN", "\n(STAND-IN").replace(", ", "\n"))
        for axes, (removal, direction) in zip(grid[0], columns, strict=True):
            axes.set_title(f"{direction.capitalize()}\n{'into' if direction == 'insertion' else 'leaving'} {removal}")
        for axes, (_, direction) in zip(grid[-1], columns, strict=True):
            axes.set_xlabel("fraction of bins " + ("put in" if direction == "insertion" else "taken out"))
        figure.supylabel("probability of the explained class", fontsize=SETTINGS["axes.labelsize"])
        legend(figure, [method for method in methods if any(method in own for own in curves.values())], style)
        return figure


def budget_figure(evidence: Evidence, methods: Sequence[str], width_inches: float) -> MatplotlibFigure:
    """Score under the worse removal against gradients, a panel per data set × architecture; controls as lines."""
    with settings():
        style, scopes = evidence.style, evidence.scopes()
        columns = min(2, len(scopes))
        lines = math.ceil(len(scopes) / columns)
        figure = new_figure(1.0 + 1.9 * lines, width_inches)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        levels = dict(zip(evidence.of_role("control"), LEVEL_LINES * 9, strict=False))
        for axes, scope in zip(grid.flat, scopes, strict=False):
            own = evidence.means[(evidence.means["material"] == CLIPS) & (evidence.means["metric"] == LEADING)]
            own = own[own["scope"] == scope].assign(x=lambda table: table["gradients"])
            drawn = [method for method in methods if (own["method"] == method).any()]
            # More ribbons than two cannot be told apart; all intervals are in the tables.
            ends = {end: own[end].where(own["method"].isin(drawn[:2])) for end in ("low", "high")}
            curve_panel(axes, own.assign(**ends), drawn, style)
            for method, line in levels.items():
                for level in own.loc[own["method"] == method, "mean"].head(1):
                    axes.axhline(level, color=style.colour(method), linestyle=line, linewidth=1)
            axes.set_title(scope)
            axes.set_xlabel("gradients per map")
            axes.tick_params(labelbottom=True)
        for axes in grid.flat[len(scopes) :]:
            axes.set_visible(False)
        for line in grid:
            line[0].set_ylabel("insertion − deletion,\nworse removal ↑")
        handles = [method_handle(method, style) for method in methods]
        handles += [
            Line2D([], [], color=style.colour(method), linestyle=line, linewidth=1, label=style.method(method))
            for method, line in levels.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return figure


def ground_truth_figure(evidence: Evidence, width_inches: float) -> MatplotlibFigure:
    """Relevance where it belongs, a panel per kind of ground truth; the dashed line is random attributions."""
    with settings():
        style, materials = evidence.style, evidence.materials
        tables = {name: evidence.by_method(name, evidence.overall(name), LOCATED[name]) for name in materials}
        methods = style.ordered_methods({method for table in tables.values() for method in table["method"]} - {CHANCE})
        figure = new_figure(0.9 + 0.165 * len(methods), width_inches)
        panels = figure.subplots(1, len(materials), sharey=True, squeeze=False)[0]
        for axes, material in zip(panels, materials, strict=True):
            _dots(axes, tables[material], methods, style)
            axes.set_title(two_lines(capitalised(TRUTHS[material])))
            axes.set_xlabel(two_lines(style.metric(LOCATED[material])) + " ↑")
            _name_methods(axes, methods, style)
            axes.set_xlim(-0.03, 1.03)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        chance = Line2D([], [], color="black", linestyle="--", linewidth=0.9, label="chance (random attributions)")
        figure.legend(handles=[chance], loc="outside lower center", frameon=False)
        add_title(figure, evidence.described(evidence.overall(materials[0])))
        return figure


def gain_figure(evidence: Evidence, width_inches: float) -> MatplotlibFigure:
    """Difference from silence IG under the worse removal: over all models with intervals, and every scope as a mark."""
    with settings():
        style, scope, scopes = evidence.style, evidence.overall(), evidence.scopes()
        pooled = evidence.gains_at(scope).rename(columns={"first": "method"})
        methods = style.ordered_methods(pooled["method"])
        figure = new_figure(1.1 + 0.175 * len(methods), width_inches)
        axes = figure.subplots()
        axes.axvline(0, color="#888888", linewidth=0.8)
        _dots(axes, pooled, methods, style, decided=set(pooled.loc[pooled["p_holm"] < LEVEL, "method"]))
        handles = [
            Line2D([], [], color="#444444", marker="o", markersize=4.5, label=f"Holm p < {LEVEL}"),
            Line2D([], [], color="#444444", marker="o", markersize=4.5, mfc="white", label="undecided"),
        ]
        for place, name in enumerate(scopes if len(scopes) > 1 else []):
            own = evidence.gains_at(name)
            heights = np.array([methods.index(method) for method in own["first"]]) + 0.3
            marker = SCOPE_MARKERS[place % len(SCOPE_MARKERS)]
            handles += axes.plot(
                own["mean"], heights, marker, color="#555555", markersize=2.2, mfc="white", mew=0.5, label=name
            )
        _name_methods(axes, methods, style)
        axes.set_xlabel(f"insertion − deletion under the worse removal, minus {style.method(REFERENCE)}'s; better →")
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        add_title(figure, evidence.described(scope) + f", {evidence.main_budget} gradients per map")
        return figure


def _curves_panel(
    axes: Axes, own: Mapping[str, Curves], methods: Sequence[str], removal: int, direction: int, style: Style
) -> None:
    for method in methods:
        if method in own:
            colour, fractions = style.colour(method), own[method].fractions
            mean, low, high = own[method].ribbon(removal, direction)
            axes.fill_between(fractions, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(fractions, mean, color=colour, marker=style.marker(method), markersize=3, linewidth=1)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _dots(
    axes: Axes, table: pd.DataFrame, methods: Sequence[str], style: Style, decided: set[str] | None = None
) -> None:
    """A marker with its interval per method, hollow where it is not among those decided; chance as a dashed line."""
    for row in table.to_dict("records"):
        method = row["method"]
        if method not in methods:
            axes.axvline(row["mean"], color="black", linestyle="--", linewidth=0.9)
            continue
        height, colour = methods.index(method), style.colour(method)
        fill = colour if decided is None or method in decided else "white"
        axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1.2)
        axes.plot(row["mean"], height, color=colour, marker=style.marker(method), markersize=4.5, mfc=fill, mew=0.9)


def _name_methods(axes: Axes, methods: Sequence[str], style: Style) -> None:
    for height in range(len(methods)):
        axes.axhline(height, color="#ececec", linewidth=0.5, zorder=0)
    axes.set_yticks(range(len(methods)), [style.method(method) for method in methods])
    axes.set_ylim(len(methods) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
