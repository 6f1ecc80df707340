"""Whether two definitions of faithfulness correlation order the methods differently, within and across resolutions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, ttest_1samp

from audioxai.report.blocks import Source, method_column
from audioxai.report.document import Cell, Document, Paragraph, Section, Table
from audioxai.report.estimates import estimate, ordered, prepared
from audioxai.report.sections import INTERVALS
from audioxai.report.style import Style, interval_text, number

if TYPE_CHECKING:
    from audioxai.results import ResultSet

CONFIDENCE = 0.95
NAME, TITLE = "subset_size", "Faithfulness correlation: a fixed number of features or a fraction of the input"
QUESTION = "Does the order of the methods depend on how many features are removed, and on the resolution with them?"


@dataclass(frozen=True)
class Setting:
    """One way to score one modality's explanations."""

    modality: str
    definition: str
    resolution: int


@dataclass(frozen=True)
class Comparison:
    """How two settings order the methods.

    Attributes
    ----------
    modality, first, second
        What is compared.
    tau : float
        Kendall's τ between the two orders of mean scores.
    same_best : bool
        Whether the same method leads.
    reversed_pairs : list
        Pairs (a, b) where a leads b under the first setting and b leads a under the second, both leads significant at
        5 % for all leads together.
    """

    modality: str
    first: Setting
    second: Setting
    tau: float
    same_best: bool
    reversed_pairs: list[tuple[str, str]]


def subset_size_document(results: "ResultSet") -> Document:
    """How far the definitions agree; the metrics of the results are the definitions.

    Raises
    ------
    UserError
        If there are no rows, or a column is missing.
    """
    style, source = Style(results.methods, results.metrics), Source(results)
    tidy = prepared(results.rows)
    definitions = style.ordered_metrics(tidy["metric"])
    cells = ordered(estimate(tidy, ["modality", "resolution", "method", "metric"]), style, ["modality", "resolution"])
    found = compare(tidy, definitions)
    means = [
        _means(own, definitions, style, source, str(modality)) for modality, own in cells.groupby("modality", sort=True)
    ]
    sections = [
        Section("answer", "Answer", [Paragraph(_answer(found, style))]),
        Section("scores", "Scores", means),
        Section("orders", "Orders compared", [_orders(found, style, source)]),
    ]
    data = {"cells": cells, "verdicts": [asdict(one) for one in found]}
    return Document(NAME, TITLE, results.question or QUESTION, sections, source.stand_ins, data, results.context)


def compare(tidy: pd.DataFrame, definitions: Sequence[str]) -> list[Comparison]:
    """Comparisons of the definitions at every resolution, then of resolutions under every definition."""
    pairs = [pair for modality in sorted(set(tidy["modality"])) for pair in _pairs(tidy, modality, definitions)]
    methods = sorted(set(tidy["method"]))
    settings = {setting for pair in pairs for setting in pair}
    # All leads of all settings hold together (Bonferroni), so that no reversal is an accident of looking often.
    tests = len(settings) * len(methods) * (len(methods) - 1) // 2
    leads = {setting: _leads(tidy, setting, (1 - CONFIDENCE) / tests) for setting in settings}
    return [_compared(tidy, first, second, leads) for first, second in pairs]


def _pairs(tidy: pd.DataFrame, modality: str, definitions: Sequence[str]) -> Iterator[tuple[Setting, Setting]]:
    resolutions = sorted({int(value) for value in tidy.loc[tidy["modality"] == modality, "resolution"]})
    for resolution in resolutions:
        yield from combinations([Setting(modality, name, resolution) for name in definitions], 2)
    for name in definitions:
        yield from combinations([Setting(modality, name, resolution) for resolution in resolutions], 2)


def _scores(tidy: pd.DataFrame, setting: Setting) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """Scores, one row per pair (a sample under one training seed) and column per method, and every pair's cluster."""
    chosen = tidy[
        (tidy["modality"] == setting.modality)
        & (tidy["metric"] == setting.definition)
        & (tidy["resolution"] == setting.resolution)
    ]
    scores = chosen.pivot_table(index="pair", columns="method", values="score")
    return scores, chosen.groupby("pair")["cluster"].first().loc[scores.index]


def _leads(tidy: pd.DataFrame, setting: Setting, level: float) -> dict[tuple[str, str], int]:
    """Sign of the paired difference first − second of every pair of methods; 0 where it may be chance.

    A t-test over the clusters' mean differences, since a bootstrap's far tails need more clusters than there are
    speakers.
    """
    scores, clusters = _scores(tidy, setting)
    found = {}
    for first, second in combinations(sorted(map(str, scores.columns)), 2):
        differences = (scores[first] - scores[second]).groupby(clusters).mean().dropna()
        sure = len(differences) > 1 and float(ttest_1samp(differences, 0.0).pvalue) < level
        found[first, second] = int(np.sign(differences.mean())) * sure
    return found


def _compared(
    tidy: pd.DataFrame,
    first: Setting,
    second: Setting,
    leads: Mapping[Setting, Mapping[tuple[str, str], int]],
) -> Comparison:
    means = [_scores(tidy, setting)[0].mean() for setting in (first, second)]
    reversed_pairs = [
        pair if sign > 0 else (pair[1], pair[0])
        for pair, sign in leads[first].items()
        if sign * leads[second][pair] < 0
    ]
    return Comparison(
        modality=first.modality,
        first=first,
        second=second,
        tau=float(kendalltau(means[0], means[1]).statistic),
        same_best=bool(means[0].idxmax() == means[1].idxmax()),
        reversed_pairs=reversed_pairs,
    )


def _answer(found: Sequence[Comparison], style: Style) -> str:
    within = [one for one in found if one.first.resolution == one.second.resolution]
    across = [one for one in found if one.first.resolution != one.second.resolution]
    words = [
        f"At the same resolution the definitions reverse {_reversals(within)} of methods in {len(within)} comparisons."
    ]
    for definition in dict.fromkeys(one.first.definition for one in across):
        own = [one for one in across if one.first.definition == definition]
        words.append(
            f"From one resolution to another, {style.metric(definition)} reverses {_reversals(own)} in "
            f"{len(own)} comparisons, with a mean τ of {number(sum(one.tau for one in own) / len(own))}."
        )
    return " ".join(words)


def _reversals(found: Sequence[Comparison]) -> str:
    count = sum(len(one.reversed_pairs) for one in found)
    return f"{count} pair{'s' if count != 1 else ''}"


def _means(cells: pd.DataFrame, definitions: Sequence[str], style: Style, source: Source, modality: str) -> Table:
    columns = [(name, size) for name in definitions for size in sorted(set(cells["resolution"].astype(int)))]
    ranks = cells["mean"].groupby([cells["metric"], cells["resolution"]]).rank(ascending=False)
    entries = {
        (row["metric"], int(row["resolution"]), row["method"]): (row, rank)
        for row, rank in zip(cells.to_dict("records"), ranks, strict=True)
    }
    rows = []
    for method in style.ordered_methods(cells["method"]):
        found = [entries[(*column, method)] for column in columns]
        texts = [f"{interval_text(row['mean'], row['low'], row['high'])} ({rank:.0f})" for row, rank in found]
        means = [Cell(text, row["mean"]) for text, (row, _) in zip(texts, found, strict=True)]
        rows.append((method_column(style).cell({"method": method}), *means))
    headings = ("Method", *(f"{style.metric(name)}: {size}" for name, size in columns))
    caption = source.caption(f"{INTERVALS} Rank in brackets.", cells)
    return Table(f"{NAME}_{modality}", modality.capitalize(), caption, headings, tuple(rows), frame=cells, terminal="")


def _orders(found: Sequence[Comparison], style: Style, source: Source) -> Table:
    text = (
        "τ is Kendall's between the two orders of the methods' means. A pair is reversed where both leads are "
        "significant at 5 % for all leads together (t-test over the means of clusters; Bonferroni)."
    )
    rows = []
    for one in found:
        pairs = [f"{style.method(first)} > {style.method(second)}" for first, second in one.reversed_pairs]
        settings = [f"{style.metric(own.definition)} at {own.resolution}" for own in (one.first, one.second)]
        best = "yes" if one.same_best else "no"
        rows.append(tuple(map(Cell, (one.modality, *settings, number(one.tau), best, "; ".join(pairs) or "none"))))
    columns = ("Modality", "First", "Second", "τ", "Same best", "Reversed pairs")
    caption = source.caption(text)
    return Table(f"{NAME}_orders", "Orders compared", caption, columns, tuple(rows), key_columns=3)
