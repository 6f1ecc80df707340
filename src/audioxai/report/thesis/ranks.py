"""Who comes first, and how surely: critical-difference diagrams and ranks under resampling, many panels a figure.

The statistics are those of :mod:`audioxai.utils.statistics`; here they are drawn. A method is told by its name, its
marker and its colour; bars are black, so that all of it is there in grey.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from audioxai.report.answer import counted_span
from audioxai.report.canvas import new_figure, settings
from audioxai.report.style import METHODS, in_order, method_style
from audioxai.report.thesis.pages import DOUBLE_INCHES, Source, TablePage
from audioxai.utils.statistics import (
    CriticalDifference,
    MetricNoise,
    critical_difference,
    metric_noise,
    rank_stability,
)

LINE_INCHES = 0.15
BAR_LINES = 0.55
RESAMPLING_SEED = 0
NOISE_LEVELS = ("pair", "cluster", "seed")


NEMENYI = (
    "Mean ranks over clusters, 1 = best; bars join methods that Nemenyi's test does not tell apart at 5 % (CD: the "
    "critical difference)."
)
RESAMPLED = "Rank of every method by its mean, with the middle 95 % of its ranks in 2,000 resamples of the clusters."


@dataclass(frozen=True, eq=False)
class Contest:
    """Methods scored on the same pairs.

    Attributes
    ----------
    title : str
        Of its panel.
    scores : DataFrame
        Pairs down, methods across, index levels ``pair`` and ``cluster``; NaN where undefined.
    higher_is_better : bool
        Which end of the scores gets rank 1.
    repeats : DataFrame or None
        The scores under several metric seeds, index levels ``seed``, ``pair`` and ``cluster``; None where there is one.
    """

    title: str
    scores: pd.DataFrame
    higher_is_better: bool
    repeats: pd.DataFrame | None = None

    @property
    def defined(self) -> pd.DataFrame:
        """Scores of the methods that have any: one without would leave no pair to compare the others on."""
        return self.scores.loc[:, self.scores.notna().any()]

    @property
    def decidable(self) -> bool:
        """Whether two methods and two clusters are left to rank."""
        complete = self.defined.dropna()
        return self.defined.shape[1] >= 2 and complete.index.get_level_values("cluster").nunique() >= 2

    def ranked(self) -> CriticalDifference:
        """Mean ranks and Nemenyi's test."""
        clusters = self.defined.index.get_level_values("cluster")
        return critical_difference(self.defined, clusters, higher_is_better=self.higher_is_better)

    def stability(self) -> pd.DataFrame:
        """Ranks under resampling, best first; see :func:`audioxai.utils.statistics.rank_stability`."""
        clusters = self.defined.index.get_level_values("cluster")
        return rank_stability(
            self.defined, clusters, higher_is_better=self.higher_is_better, seed=RESAMPLING_SEED
        ).rename_axis("method")

    def noise(self, first: str, second: str | None = None) -> MetricNoise:
        """What the metric's own draws do to the mean of a method, or of ``first − second``.

        Raises
        ------
        ValueError
            If there are no repeats.
        """
        if self.repeats is None:
            raise ValueError(f"{self.title} was scored under one metric seed")
        scores = self.repeats[first] if second is None else self.repeats[first] - self.repeats[second]
        pairs, clusters, seeds = (self.repeats.index.get_level_values(name) for name in NOISE_LEVELS)
        return metric_noise(scores, pairs, clusters, seeds)


def rank_table(contests: Sequence[Contest]) -> pd.DataFrame:
    """One row a contest × method, best first: the columns of both statistics, for the contests that can be decided."""
    tables = []
    for contest in contests:
        if contest.decidable:
            found, table = contest.ranked(), contest.stability().reset_index()
            table["mean_rank"] = table["method"].map(found.mean_ranks)
            table["critical_difference"] = found.critical_difference
            table["friedman_p"] = found.friedman_p
            table["clusters"] = found.clusters
            table.insert(0, "contest", contest.title)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def pairs_counted(contests: Sequence[Contest]) -> str:
    """``n = 32 samples a panel, 12 clusters``."""
    pairs = counted_span(len(contest.defined.dropna()) for contest in contests)
    clusters = counted_span(contest.ranked().clusters for contest in contests)
    return f"n = {pairs} samples a panel, {clusters} clusters"


def ranks_page(name: str, source: Source, contests: Sequence[Contest], shown: Sequence[Contest]) -> TablePage:
    """The contests' :func:`rank_table` as a page that shows some and holds all."""
    ranks, titles = rank_table(contests), {contest.title for contest in shown}
    told = (
        "Ranks of the methods: mean rank over clusters, rank of the mean with the middle 95 % of its ranks in 2,000 "
        "resamples of the clusters, share of the resamples where it leads, share of its comparisons that keep their "
        "sign."
    )
    caption = source.caption(told, pairs_counted(shown))
    lines = [
        [
            str(row["contest"]),
            method_style(str(row["method"])).name,
            f"{row['mean_rank']:.2f}",
            f"{row['rank']:g} [{row['rank_low']:g}, {row['rank_high']:g}]",
            f"{100 * row['first']:.0f} %",
            f"{100 * row['kept']:.0f} %",
        ]
        for row in ranks[ranks["contest"].isin(titles)].to_dict("records")
    ]
    header = ["Contest", "Method", "Mean rank", "Rank of the mean", "Leads", "Order kept"]
    return TablePage(name, caption, header, lines, ranks, left_columns=2)


def critical_difference_diagrams(contests: Sequence[Contest]) -> Figure:
    """One diagram a contest: mean ranks over clusters, bars over methods that Nemenyi's test does not tell apart."""
    with settings():
        found = [contest.ranked() for contest in contests]
        heights = [0.5 + LINE_INCHES * _depth(one) for one in found]
        figure = new_figure(sum(heights), DOUBLE_INCHES)
        grid = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, one, contest in zip(grid, found, contests, strict=True):
            _diagram(axes, one)
            axes.set_title(contest.title, loc="left")
        return figure


def rank_intervals(contests: Sequence[Contest], columns: int) -> Figure:
    """Rank of every method by its mean with the middle 95 % of its ranks when clusters are drawn anew."""
    with settings():
        methods = in_order({name for contest in contests for name in contest.defined.columns}, METHODS)
        lines = math.ceil(len(contests) / columns)
        figure = new_figure(0.2 + lines * (0.55 + 0.16 * len(methods)), DOUBLE_INCHES)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, contest in zip(grid.flat, contests, strict=False):
            _intervals(axes, contest.stability(), methods)
            axes.set_title(contest.title)
        for axes in grid.flat[len(contests) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("rank of the mean (1 = best)")
        return figure


def groups_alike(found: CriticalDifference) -> list[tuple[int, int]]:
    """Longest runs (first, last) of the ranked methods whose mean ranks lie within one critical difference."""
    ranks = found.mean_ranks.to_numpy(dtype=np.float64)
    runs: list[tuple[int, int]] = []
    for first in range(ranks.size):
        last = int(np.flatnonzero(ranks - ranks[first] < found.critical_difference)[-1])
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _first_name(found: CriticalDifference) -> float:
    """Where names start below the axis, in lines."""
    return 1.0 + BAR_LINES * len(groups_alike(found))


def _depth(found: CriticalDifference) -> float:
    return _first_name(found) + math.ceil(len(found.mean_ranks) / 2) + 1


def _diagram(axes: Axes, found: CriticalDifference) -> None:
    """Ranks along the top, best to the left; heights below the axis in lines of text."""
    ranks = found.mean_ranks
    count = len(ranks)
    axes.set_xlim(0.8, count + 0.2)
    axes.set_ylim(_depth(found) - 1.3, -1)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.xaxis.set_major_locator(MaxNLocator(min(count, 8), integer=True, steps=[1, 2, 5, 10]))
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.spines["top"].set_position(("data", 0))
    axes.tick_params(axis="x", pad=1)
    for place, (method, rank) in enumerate(ranks.items()):
        _name(axes, str(method), float(rank), place, count, _first_name(found))
    for line, (first, last) in enumerate(groups_alike(found)):
        ends = [ranks.iloc[first] - 0.04, ranks.iloc[last] + 0.04]
        axes.plot(ends, [0.7 + BAR_LINES * line] * 2, color="black", linewidth=2.2, solid_capstyle="butt")
    axes.set_title(f"CD = {found.critical_difference:.2f}, {found.clusters} clusters", loc="right", fontsize=7)


def _name(axes: Axes, method: str, rank: float, place: int, count: int, first_name: float) -> None:
    """A line from the rank down to the method's name, the better half to the left and the worse to the right."""
    left = place < math.ceil(count / 2)
    line = place if left else count - 1 - place
    height, edge = first_name + line, 0.8 if left else count + 0.2
    style = method_style(method)
    axes.plot([rank, rank, edge], [0, height, height], color="#777777", linewidth=0.6, zorder=1)
    axes.plot(rank, 0, marker=style.marker, color=style.colour, markersize=4.5, clip_on=False, zorder=3)
    text = f"{style.name} {rank:.2f} " if left else f" {rank:.2f} {style.name}"
    axes.text(edge, height, text, ha="right" if left else "left", va="center", fontsize=7)


def _intervals(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    for method, row in table.iterrows():
        height, style = methods.index(str(method)), method_style(str(method))
        axes.plot([row["rank_low"], row["rank_high"]], [height, height], color=style.colour, linewidth=1.2)
        axes.plot(row["rank"], height, marker=style.marker, color=style.colour, markersize=4)
    axes.set_yticks(range(len(methods)), [method_style(method).name for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(0.6, len(methods) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(min(len(methods), 8), integer=True))
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
