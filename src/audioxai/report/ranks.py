"""Who comes first, and how surely: critical differences, ranks under resampling, pairs of methods and metric noise.

The statistics are those of :mod:`audioxai.statistics`; here they become figures and tables. A method is known by
its name, marker and colour; bars are black, so that all of it is there in grey.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from audioxai.report.blocks import Column, Source, listing, method_column, number_column, text_column
from audioxai.report.canvas import new_figure, settings
from audioxai.report.document import Block, Cell, Figure, Paragraph
from audioxai.report.estimates import directed, groups, paired_scores
from audioxai.report.style import Style, listed, number, span
from audioxai.report.verdicts import LEVEL
from audioxai.statistics import (
    CriticalDifference,
    MetricNoise,
    compare_all,
    comparison_matrix,
    critical_difference,
    metric_noise,
    rank_stability,
)

LINE_INCHES = 0.15
BAR_LINES = 0.55
RESAMPLING_SEED = 0
# Friedman's and Nemenyi's limits are no guide below.
FEWEST_CLUSTERS = 6
DIFFERENCE_COLOURS = "PuOr_r"
NEMENYI = (
    "Mean ranks over clusters, 1 = best (the axis on top); bars join methods that Nemenyi's test does not tell apart "
    "at 5 % (CD: the critical difference)."
)
RESAMPLED = "Rank of every method by its mean, with the middle 95 % of its ranks in 2,000 resamples of the clusters."
PAIRED = (
    "Mean paired difference, row − column; * p < 0.05 (Student's t over clusters' means, Holm over the pairs of a "
    "panel); ≈ not more than the metric's own random draws make."
)


@dataclass(frozen=True, eq=False)
class Contest:
    """Methods scored by one metric on the same pairs.

    Attributes
    ----------
    title : str
        Of its panel.
    scores : DataFrame
        Pairs down, methods across, index levels ``pair``, ``cluster`` and ``dataset``; NaN where undefined.
    higher_is_better : bool
        Which end of the scores gets rank 1.
    repeats : DataFrame or None
        The scores under several metric seeds, with the index level ``seed`` in front; None where there is one.
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
    def clusters(self) -> int:
        """Clusters of the pairs on which all methods have a score."""
        return int(self.defined.dropna().index.get_level_values("cluster").nunique())

    @property
    def decidable(self) -> bool:
        """Whether two methods and enough clusters are left to rank."""
        return self.defined.shape[1] >= 2 and self.clusters >= FEWEST_CLUSTERS

    def ranked(self) -> CriticalDifference:
        """Mean ranks and Nemenyi's test."""
        clusters = self.defined.index.get_level_values("cluster")
        return critical_difference(self.defined, clusters, higher_is_better=self.higher_is_better)

    def stability(self) -> pd.DataFrame:
        """Ranks under resampling, best first; see :func:`audioxai.statistics.rank_stability`."""
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
        pairs, clusters, seeds = (self.repeats.index.get_level_values(name) for name in ("pair", "cluster", "seed"))
        return metric_noise(scores, pairs, clusters, seeds)


def contests(tidy: pd.DataFrame, keys: Sequence[str], title: str, style: Style) -> dict[tuple[object, ...], Contest]:
    """Contest of every combination of ``keys`` and metric that has a direction, by ``(*keys, metric)``.

    ``title`` is formatted with the keys and ``metric``. Rows of several metric seeds give repeats; the lowest seed's
    scores are ranked.
    """
    found = {}
    for key, part in groups(directed(tidy, style), [*keys, "metric"]):
        named = dict(zip((*keys, "metric"), key, strict=True))
        seeds = sorted(part["seed"].unique()) if "seed" in part else [0]
        by_seed = {seed: paired_scores(part[part["seed"] == seed]) for seed in seeds} if len(seeds) > 1 else {}
        found[key] = Contest(
            title.format(**{**named, "metric": style.metric(named["metric"])}),
            by_seed[seeds[0]] if by_seed else paired_scores(part),
            bool(style.direction(named["metric"])),
            pd.concat(by_seed, names=["seed"]) if by_seed else None,
        )
    metrics = style.ordered_metrics({str(key[-1]) for key in found})
    return dict(sorted(found.items(), key=lambda item: (metrics.index(str(item[0][-1])), *map(str, item[0][:-1]))))


def rank_blocks(
    shown: Sequence[Contest], every: Sequence[Contest], style: Style, source: Source, name: str
) -> list[Block]:
    """Critical differences, ranks under resampling and pairs of ``shown`` contests; tables that hold ``every`` one.

    Contests with too few clusters are named and left out.
    """
    decidable, blocks = [contest for contest in shown if contest.decidable], list[Block]()
    left_out = [contest for contest in shown if not contest.decidable]
    if left_out:
        blocks.append(Paragraph(_left_out(left_out)))
    if not decidable:
        return blocks
    counted = _pairs_counted(decidable)
    figures = {
        "critical_difference": (
            "Critical differences",
            NEMENYI,
            partial(critical_difference_diagrams, decidable, style),
        ),
        "rank_stability": ("Ranks under resampling", RESAMPLED, partial(rank_intervals, decidable, style)),
        "pairwise": ("Pairs of methods", PAIRED, partial(pairwise_matrices, pairwise_table(decidable, style), style)),
    }
    blocks += [
        Figure(f"{name}_{kind}", title, source.caption(text, counted=counted), draw)
        for kind, (title, text, draw) in figures.items()
    ]
    blocks.append(_rank_listing(decidable, [one for one in every if one.decidable], style, source, f"{name}_ranks"))
    noise = noise_table(every, style)
    if len(noise):
        blocks.append(_noise_listing(noise, style, source, f"{name}_metric_noise"))
    return blocks


def rank_table(found: Sequence[Contest]) -> pd.DataFrame:
    """One row per contest and method, best first: the columns of both statistics, for contests that can be decided."""
    tables = []
    for contest in found:
        if contest.decidable:
            ranked, table = contest.ranked(), contest.stability().reset_index()
            table["mean_rank"] = table["method"].map(ranked.mean_ranks)
            table["critical_difference"] = ranked.critical_difference
            table["friedman_p"] = ranked.friedman_p
            table["clusters"] = ranked.clusters
            table.insert(0, "contest", contest.title)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def pairwise_table(found: Sequence[Contest], style: Style) -> pd.DataFrame:
    """One row per contest and pair of methods.

    Columns ``contest``, those of :func:`audioxai.statistics.compare_all`, and ``smallest_difference``: means
    nearer than this are within the metric's own noise; NaN where that is not known.
    """
    tables = [_pairs(contest, style) for contest in found if contest.decidable]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def noise_table(found: Sequence[Contest], style: Style) -> pd.DataFrame:
    """One row per contest and method that was scored under several metric seeds, with the fields of ``MetricNoise``."""
    return pd.DataFrame(
        [
            {"contest": contest.title, "method": method, **asdict(contest.noise(method))}
            for contest in found
            if contest.repeats is not None
            for method in style.ordered_methods(contest.repeats.columns)
        ]
    )


def critical_difference_diagrams(found: Sequence[Contest], style: Style, width_inches: float) -> MatplotlibFigure:
    """One diagram per contest: mean ranks over clusters, bars over methods that Nemenyi's test does not tell apart."""
    with settings():
        ranked = [contest.ranked() for contest in found]
        heights = [0.62 + LINE_INCHES * _depth(one) for one in ranked]
        figure = new_figure(sum(heights), width_inches)
        grid = figure.subplots(len(ranked), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, one, contest in zip(grid, ranked, found, strict=True):
            _diagram(axes, one, style)
            # Below each other: side by side, long titles would run into the numbers.
            told = f"CD = {one.critical_difference:.2f}, {one.clusters} clusters"
            axes.set_title(f"{contest.title}\n{told}", loc="left")
        return figure


def rank_intervals(found: Sequence[Contest], style: Style, width_inches: float) -> MatplotlibFigure:
    """Rank of every method by its mean with the middle 95 % of its ranks when clusters are drawn anew."""
    with settings():
        methods = style.ordered_methods({name for contest in found for name in contest.defined.columns})
        columns = min(3, len(found))
        lines = math.ceil(len(found) / columns)
        figure = new_figure(0.2 + lines * (0.55 + 0.16 * len(methods)), width_inches)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, contest in zip(grid.flat, found, strict=False):
            _intervals(axes, contest.stability(), methods, style)
            axes.set_title(contest.title)
        for axes in grid.flat[len(found) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("rank of the mean (1 = best)")
        return figure


def pairwise_matrices(table: pd.DataFrame, style: Style, width_inches: float) -> MatplotlibFigure:
    """Mean of row − column; ``*`` where Holm's p is below 0.05, ``≈`` where the metric's own noise could make it."""
    with settings():
        titles = list(dict.fromkeys(table["contest"]))
        methods = {*table["first"], *table["second"]}
        columns = min(2, len(titles))
        lines = math.ceil(len(titles) / columns)
        figure = new_figure(0.6 + lines * (1.3 + 0.17 * len(methods)), width_inches)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        largest = float(table["mean"].abs().max()) or 1.0
        for axes, title in zip(grid.flat, titles, strict=False):
            image = _matrix(axes, table[table["contest"] == title], largest, style)
            axes.set_title(title)
        for axes in grid.flat[len(titles) :]:
            axes.set_visible(False)
        bar = figure.colorbar(image, ax=list(grid.flat), location="bottom", aspect=45, shrink=0.5, pad=0.01)
        bar.set_label("mean difference, row − column")
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


def _left_out(found: Sequence[Contest]) -> str:
    reasons = [f"{one.title} ({span([one.clusters])} clusters)" for one in found]
    return (
        f"No ranks are drawn of {listed(reasons)}: rank tests need at least {FEWEST_CLUSTERS} clusters in which every "
        "method has a score."
    )


def _pairs_counted(found: Sequence[Contest]) -> str:
    pairs = span(len(contest.defined.dropna()) for contest in found)
    return f"n = {pairs} samples per panel from {span(contest.clusters for contest in found)} clusters"


def _rank_listing(shown: Sequence[Contest], every: Sequence[Contest], style: Style, source: Source, name: str) -> Block:
    ranks, titles = rank_table(every), {contest.title for contest in shown}
    text = (
        "Ranks of the methods: mean rank over clusters, rank of the mean with the middle 95 % of its ranks in 2,000 "
        "resamples of the clusters, share of the resamples where it leads, share of its comparisons that keep their "
        "sign."
    )
    columns = (
        number_column("Mean rank", "mean_rank", "{:.2f}".format),
        Column(
            "Rank of the mean",
            lambda row: Cell(f"{row['rank']:g} [{row['rank_low']:g}, {row['rank_high']:g}]", row["rank"]),
        ),
        number_column("Leads", "first", "{:.0%}".format),
        number_column("Order kept", "kept", "{:.0%}".format),
    )
    return listing(
        name,
        "Ranks",
        source.caption(text, counted=_pairs_counted(shown)),
        ranks[ranks["contest"].isin(titles)],
        (text_column("Contest", "contest"), method_column(style)),
        columns,
        ranks,
    )


def _noise_listing(noise: pd.DataFrame, style: Style, source: Source, name: str) -> Block:
    text = (
        "What the metric's own random draws do: mean score, its standard deviation (SD) over metric seeds, that of one "
        "sample's score, and the smallest difference of means that is more than noise at 5 %."
    )
    counted = f"n = {span(noise['n'])} samples, {span(noise['repeats'])} metric seeds"
    columns = {
        "Mean": "mean",
        "SD of the mean": "of_mean",
        "SD of a score": "of_sample",
        "Smallest difference": "smallest_difference",
    }
    return listing(
        name,
        "Noise of the metrics",
        source.caption(text, counted=counted),
        noise,
        (text_column("Contest", "contest"), method_column(style)),
        [number_column(heading, field, number) for heading, field in columns.items()],
    )


def _pairs(contest: Contest, style: Style) -> pd.DataFrame:
    scores = contest.defined[style.ordered_methods(contest.defined.columns)]
    table = compare_all(scores, scores.index.get_level_values("cluster"))
    table.insert(0, "contest", contest.title)
    pairs = zip(table["first"], table["second"], strict=True)
    table["smallest_difference"] = [
        float("nan") if contest.repeats is None else contest.noise(first, second).smallest_difference
        for first, second in pairs
    ]
    return table


def _depth(found: CriticalDifference) -> float:
    return _first_name(found) + math.ceil(len(found.mean_ranks) / 2) + 1


def _first_name(found: CriticalDifference) -> float:
    """Where names start below the axis, in lines."""
    return 1.0 + BAR_LINES * len(groups_alike(found))


def _diagram(axes: Axes, found: CriticalDifference, style: Style) -> None:
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
        _name(axes, str(method), float(rank), place, count, _first_name(found), style)
    for line, (first, last) in enumerate(groups_alike(found)):
        ends = [ranks.iloc[first] - 0.04, ranks.iloc[last] + 0.04]
        axes.plot(ends, [0.7 + BAR_LINES * line] * 2, color="black", linewidth=2.2, solid_capstyle="butt")


def _name(axes: Axes, method: str, rank: float, place: int, count: int, first_name: float, style: Style) -> None:
    """A line from the rank down to the method's name, the better half to the left and the worse to the right."""
    left = place < math.ceil(count / 2)
    line = place if left else count - 1 - place
    height, edge = first_name + line, 0.8 if left else count + 0.2
    axes.plot([rank, rank, edge], [0, height, height], color="#777777", linewidth=0.6, zorder=1)
    colour = style.colour(method)
    axes.plot(rank, 0, marker=style.marker(method), color=colour, markersize=4.5, clip_on=False, zorder=3)
    text = f"{style.method(method)} {rank:.2f} " if left else f" {rank:.2f} {style.method(method)}"
    axes.text(edge, height, text, ha="right" if left else "left", va="center", fontsize=7)


def _intervals(axes: Axes, table: pd.DataFrame, methods: Sequence[str], style: Style) -> None:
    for method, row in table.iterrows():
        height, colour = methods.index(str(method)), style.colour(str(method))
        axes.plot([row["rank_low"], row["rank_high"]], [height, height], color=colour, linewidth=1.2)
        axes.plot(row["rank"], height, marker=style.marker(str(method)), color=colour, markersize=4)
    axes.set_yticks(range(len(methods)), [style.method(method) for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(0.6, len(methods) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(min(len(methods), 8), integer=True))
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _matrix(axes: Axes, comparisons: pd.DataFrame, largest: float, style: Style) -> AxesImage:
    means, p_values = comparison_matrix(comparisons, "mean"), comparison_matrix(comparisons, "p_holm")
    methods = [str(method) for method in means.index]
    names = [style.method(method) for method in methods]
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
