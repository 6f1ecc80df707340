"""The document of the study of ranks: whether the order of the methods holds over data sets and models.

Conventions
-----------
A *setting* is one data set with one model. Ranks are those of the means under the worse removal, 1 for the best; their
uncertainty is that of 2,000 resamples of the clusters (speakers). *Ahead* and *behind* are said of paired differences
whose p lies below 5 % after Holm's correction over all leads of the study.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from audioxai.report.blocks import Column, Source, grid, listing, method_column, number_column, text_column
from audioxai.report.canvas import new_figure, settings
from audioxai.report.document import Bullets, Cell, Document, Figure, Section, Table
from audioxai.report.estimates import contrast, estimate, ordered, prepared
from audioxai.report.ranks import Contest, contests
from audioxai.report.sections import View, kept, models_section
from audioxai.report.style import LOUDNESS, Style, counted, listed, number, p_value, span
from audioxai.report.verdicts import RULES, Verdict, verdict
from audioxai.statistics import holm

if TYPE_CHECKING:
    from audioxai.results import ResultSet

PREFIX = "ranks"
LEADING = "removal_worst"
OURS, REFERENCE = "ordered", "silence"
KEYS = ["dataset", "model"]
MARKERS = ("o", "s", "^", "D", "v", "P")
FACES = ("white", "#9a9a9a", "black")
FONT_POINTS = 9.5


def rank_document(results: "ResultSet") -> Document:
    """Everything that the study of ranks found.

    Raises
    ------
    UserError
        If there are no rows.
    """
    view, style, source = (
        View(results, ("dataset", "model"), PREFIX),
        Style(results.methods, results.metrics),
        Source(results),
    )
    tidy = prepared(results.rows)
    judged = tidy[tidy["metric"] == LEADING]
    ranked = ranks(judged, style)
    found = leads(judged, style)
    means = ordered(estimate(tidy, [*KEYS, "method", "metric"], "clusters"), style, KEYS)
    chosen_on = set(results.context.get("configuration", {}).get("chosen_on", ()))
    agreed = concordance(ranked)
    return Document(
        name=results.study,
        title=results.title,
        question=results.question,
        sections=kept(
            Section(
                "answer",
                "Answer",
                [
                    Bullets(tuple(answer(ranked, found, agreed, chosen_on, style))),
                    *_leads_table(found, chosen_on, style, source),
                ],
            ),
            Section("ranks", "Ranks", [_figure(ranked, chosen_on, style, source), _rank_table(ranked, style, source)]),
            Section("scores", "Scores", [_means_table(means, style, source)]),
            Section("limits", "How far this goes", [Bullets(tuple(limits(judged, chosen_on)))]),
            models_section(view),
        ),
        stand_ins=source.stand_ins,
        data={
            "ranks": ranked,
            "leads": found,
            "means": means,
            "concordance": pd.DataFrame([agreed]),
            "chosen_on": sorted(chosen_on),
            "directions": {name: entry.higher_is_better for name, entry in results.metrics.items()},
        },
        context={**results.context, "result_rows": len(results.rows)},
        shown=tuple(name for name in (REFERENCE, OURS) if name in results.methods),
    )


def ranks(judged: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Rank of every method in every setting, with the columns of ``rank_stability``."""
    found = contests(judged, KEYS, "{dataset}, {model}", style)
    tables = [_stability(contest, key) for key, contest in found.items()]
    return pd.concat(tables, ignore_index=True)


def leads(judged: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Ordered IG minus silence IG, the best peer of the setting and loudness; Holm over all of them.

    The best peer is the method of the literature with the highest mean in that setting, silence IG left aside.
    """
    tables = []
    for key, part in judged.groupby(KEYS, sort=True):
        peer = _best_peer(part, style)
        rivals = {"silence": REFERENCE, "peer": peer, "loudness": LOUDNESS}
        for rival, name in rivals.items():
            if name is None or {name, OURS} - set(part["method"]):
                continue
            own = contrast(part[part["method"].isin([name, OURS])], ["metric"], name, weigh="clusters")
            placed = {str(column): str(value) for column, value in zip(KEYS, key, strict=True)}
            tables.append(own.assign(**placed, rival=rival))
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables, ignore_index=True)
    return table.assign(p_holm=holm(table["p"]))


def concordance(ranked: pd.DataFrame) -> dict[str, float]:
    """How alike settings rank the methods: Kendall's W, and the mean Spearman correlation of two settings.

    Of all settings, of those of one model on different data sets, and of those of one data set with different models.
    """
    table = ranked.pivot_table("rank", "method", KEYS).dropna()
    correlations = table.corr(method="spearman").to_numpy()
    pairs = [
        (first, second, float(correlations[place, place + 1 + further]))
        for place, first in enumerate(table.columns)
        for further, second in enumerate(table.columns[place + 1 :])
    ]
    kinds = {
        "all": [value for _, _, value in pairs],
        "data_sets": [value for first, second, value in pairs if first[1] == second[1]],
        "models": [value for first, second, value in pairs if first[0] == second[0]],
    }
    mean = {name: float(np.mean(values)) if values else math.nan for name, values in kinds.items()}
    count = len(table.columns)
    # W and the mean rank correlation are the same number on two scales.
    return mean | {"kendall_w": (1.0 + (count - 1) * mean["all"]) / count if count > 1 else math.nan}


def answer(
    ranked: pd.DataFrame, found: pd.DataFrame, agreed: Mapping[str, float], chosen_on: set[str], style: Style
) -> list[str]:
    """Whether ranks hold, who leads, and what is said by the data sets that took no part in the choice of settings."""
    lines = [_held(ranked, agreed), *_firsts(ranked, style)]
    unseen = sorted(set(ranked["dataset"]) - chosen_on)
    for words, own in (
        ("over all settings", found),
        (f"on {listed(unseen)}, which took no part in choosing its settings", _on(found, unseen)),
    ):
        if len(own):
            lines.append(f"**{style.method(OURS)} {words}**: {'; '.join(_tallied(own, style))}.")
    return lines


def limits(judged: pd.DataFrame, chosen_on: set[str]) -> list[str]:
    """What the numbers do not say."""
    sizes = judged.groupby(KEYS).agg(clusters=("cluster", "nunique"), seeds=("training_seed", "nunique"))
    lines = [
        "Means weigh every speaker alike; intervals are Student's t over speakers, ranks' are the middle 95 % of 2,000 "
        "resamples of the speakers. They hold for the models that were trained.",
        "The best peer of a setting is picked from the numbers that it is judged by, so the lead over it is on the low "
        "side.",
        "Explained is the class that a model predicts, right or wrong. Classes of background noise are left out: "
        "silence cannot be told from their absence.",
        f"Settings of our methods were chosen on validation clips of {listed(sorted(chosen_on)) or 'none'}, with "
        "other models than these.",
    ]
    if int(sizes["clusters"].min()) < 10:
        fewest = sizes.index[int(sizes["clusters"].to_numpy().argmin())]
        lines.append(
            f"{fewest[0]} has {counted(int(sizes['clusters'].min()), 'speaker')} only: little can be decided there."
        )
    if int(sizes["seeds"].min()) < 2:
        lines.append("One training seed: what another training would give is not known.")
    return lines


def rank_figure(ranked: pd.DataFrame, chosen_on: set[str], style: Style, width_inches: float) -> MatplotlibFigure:
    """Rank of every method, a panel per model; data sets by marker and grey, with the middle 95 % of their ranks."""
    with settings():
        methods = list(ranked.groupby("method")["rank"].mean().sort_values(kind="stable").index)
        models, names = list(dict.fromkeys(ranked["model"])), list(dict.fromkeys(ranked["dataset"]))
        figure = new_figure(1.0 + 0.34 * len(methods), width_inches)
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            for place, name in enumerate(names):
                own = ranked[(ranked["model"] == model) & (ranked["dataset"] == name)]
                heights = np.array([methods.index(method) for method in own["method"]]) + _offset(place, len(names))
                axes.hlines(heights, own["rank_low"], own["rank_high"], color="#555555", linewidth=1.1, zorder=2)
                axes.plot(own["rank"], heights, **_marker(place), zorder=3)
            for height in range(len(methods)):
                axes.axhspan(height - 0.5, height + 0.5, color="#f0f0f0" if height % 2 else "white", zorder=0)
            axes.set_title(model, fontsize=FONT_POINTS)
            axes.set_yticks(range(len(methods)), [style.method(name) for name in methods], fontsize=FONT_POINTS)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            axes.set_xlim(0.2, len(methods) + 0.8)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=3))
            axes.tick_params(axis="x", labelsize=FONT_POINTS)
            axes.set_xlabel("rank (1 = best)", fontsize=FONT_POINTS)
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right", "left"]].set_visible(False)
        handles = [
            Line2D([], [], label=name + ("" if name in chosen_on else " (no part in the choice)"), **_marker(place))
            for place, name in enumerate(names)
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False, fontsize=FONT_POINTS
        )
        return figure


def _stability(contest: Contest, key: Sequence[Any]) -> pd.DataFrame:
    return contest.stability().reset_index().assign(**dict(zip(KEYS, key[:-1], strict=True)), clusters=contest.clusters)


def _best_peer(part: pd.DataFrame, style: Style) -> str | None:
    entries = style.methods
    own = part[[entries[name].role in ("peer", "method") and name != REFERENCE for name in part["method"]]]
    means = own.groupby("method")["score"].mean().dropna()
    return None if means.empty else str(means.idxmax())


def _on(found: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return found[found["dataset"].isin(list(names))] if len(found) else found


def _held(ranked: pd.DataFrame, agreed: Mapping[str, float]) -> str:
    count = len(ranked[KEYS].drop_duplicates())
    if count < 2:
        return "**One setting**: whether ranks hold elsewhere was not measured."
    parts = [
        f"{number(agreed[name])} between {words}"
        for name, words in (("data_sets", "two data sets with one model"), ("models", "two models on one data set"))
        if not math.isnan(agreed[name])
    ]
    return (
        f"**Ranks over {counted(count, 'setting')}** of data set × model: Kendall's W = {number(agreed['kendall_w'])} "
        f"(0: unrelated, 1: the same); mean Spearman correlation of the ranks {' and '.join(parts)}."
    )


def _firsts(ranked: pd.DataFrame, style: Style) -> list[str]:
    first = ranked[ranked["rank"] == 1].groupby("method").size().sort_values(ascending=False, kind="stable")
    own = ranked[ranked["method"] == OURS]
    if own.empty:
        return []
    led = listed([f"{style.method(str(name))} ({count})" for name, count in first.items()])
    worst = max(own.to_dict("records"), key=lambda row: float(row["rank"]))
    return [
        f"**First in how many settings**: {led}. {style.method(OURS)} has rank {own['rank'].min():g} to "
        f"{own['rank'].max():g}, {number(own['rank'].mean())} in the mean; the last of these on {worst['dataset']}, "
        f"{worst['model']}."
    ]


def _tallied(own: pd.DataFrame, style: Style) -> list[str]:
    """``ahead of silence IG in 8 of 9, behind in none, by +0.10 to +0.31``, one per rival."""
    names = {"silence": style.method(REFERENCE), "peer": "the best peer", "loudness": style.method(LOUDNESS)}
    told = []
    for rival, name in names.items():
        part = own[own["rival"] == rival]
        if part.empty:
            continue
        outcomes = [_verdict(row).outcome for row in part.to_dict("records")]
        ahead, behind = outcomes.count("better"), outcomes.count("worse")
        told.append(
            f"ahead of {name} in {ahead} of {len(part)}, behind in {behind or 'none'}, mean difference "
            f"{number(part['mean'].min())} to {number(part['mean'].max())}"
        )
    return told


def _verdict(row: Mapping[Any, Any]) -> Verdict:
    return verdict(row, True, "holm")


def _leads_table(found: pd.DataFrame, chosen_on: set[str], style: Style, source: Source) -> list[Table]:
    if found.empty:
        return []
    caption = source.caption(
        f"{style.method(OURS)} minus others under the worse removal, on the same clips [95 % interval]; "
        f"{RULES['holm']} over the whole table.",
        found,
    )
    keys = [
        Column("Data set", lambda row: Cell(f"{row['dataset']}{'' if row['dataset'] in chosen_on else ' (unseen)'}")),
        text_column("Model", "model"),
        Column("Minus", lambda row: Cell(style.method(str(row["second"])))),
    ]
    columns = [
        Column("Lead", lambda row: _verdict(row).cell),
        Column("p (Holm)", lambda row: Cell(p_value(float(row["p_holm"])).removeprefix("p ").removeprefix("= "))),
        number_column("Speakers", "clusters"),
    ]
    title = f"Leads of {style.method(OURS)}"
    table = listing(f"{PREFIX}_leads", title, caption, found, keys, columns)
    return [Table(**(vars(table) | {"terminal": "(unseen): took no part in choosing settings"}))]


def _figure(ranked: pd.DataFrame, chosen_on: set[str], style: Style, source: Source) -> Figure:
    text = (
        "Rank of every method by its mean under the worse removal, a panel per model, with the middle 95 % of its "
        "ranks in 2,000 resamples of the speakers; methods by their mean rank."
    )
    counts = f"n = {span(ranked['clusters'])} speakers per setting"
    draw = partial(rank_figure, ranked, chosen_on, style)
    return Figure(f"{PREFIX}_by_setting", "Ranks by data set and model", source.caption(text, counted=counts), draw)


def _rank_table(ranked: pd.DataFrame, style: Style, source: Source) -> Table:
    settings_of = [(str(row.dataset), str(row.model)) for row in ranked[KEYS].drop_duplicates().itertuples()]
    places = {(row["dataset"], row["model"], row["method"]): row for row in ranked.to_dict("records")}
    means = ranked.groupby("method")["rank"].mean().sort_values(kind="stable")
    rows = tuple(
        (
            method_column(style).cell({"method": method}),
            Cell(number(mean), float(mean)),
            *(_rank_cell(places.get((*setting, str(method)))) for setting in settings_of),
        )
        for method, mean in means.items()
    )
    headings = ("Method", "Mean rank", *(f"{dataset}: {model}" for dataset, model in settings_of))
    text = "Rank of the mean under the worse removal [middle 95 % of the ranks in 2,000 resamples of the speakers]."
    return Table(f"{PREFIX}_table", "Ranks", source.caption(text), headings, rows, 1, ranked)


def _rank_cell(row: Mapping[Any, Any] | None) -> Cell:
    if row is None:
        return Cell("–")
    text = f"{row['rank']:g}"
    ends = "" if math.isnan(row["rank_low"]) else f" [{row['rank_low']:g}, {row['rank_high']:g}]"
    return Cell(text + ends, float(row["rank"]))


def _means_table(means: pd.DataFrame, style: Style, source: Source) -> Table:
    keys = {"dataset": text_column("Data set", "dataset"), "model": text_column("Model", "model")}
    caption = source.caption("Insertion − deletion of sounds: mean [95 % interval].", means)
    return grid(f"{PREFIX}_means", "Scores", caption, means, {**keys, "method": method_column(style)}, style)


def _offset(place: int, count: int) -> float:
    return (place - (count - 1) / 2) * 0.27


def _marker(place: int) -> dict[str, Any]:
    return {
        "marker": MARKERS[place % len(MARKERS)],
        "markerfacecolor": FACES[place % len(FACES)],
        "markeredgecolor": "black",
        "markersize": 5.5,
        "linestyle": "",
    }
