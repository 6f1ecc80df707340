"""Whether two definitions of faithfulness correlation order the methods differently, within and across resolutions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, ttest_1samp

from audioxai.report.sources import data_note, stand_in_notice
from audioxai.report.style import METHODS, estimate, in_order, method_style, number
from audioxai.report.tables import cell_means, markdown, prepared, records
from audioxai.utils.files import write_bytes

CONFIDENCE = 0.95
NAMES = {"faithfulness_fraction": "10 % of the input", "faithfulness_fixed": "224 cells"}


@dataclass(frozen=True)
class Setting:
    """One way to score one modality's explanations."""

    modality: str
    definition: str
    resolution: int

    def label(self) -> str:
        """For tables."""
        return f"{NAMES.get(self.definition, self.definition)} at {self.resolution}"


@dataclass(frozen=True)
class Verdict:
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
        Pairs (a, b) where a leads b under the first setting and b leads a under the second, both leads
        significant at 5 % for all leads together.
    """

    modality: str
    first: Setting
    second: Setting
    tau: float
    same_best: bool
    reversed_pairs: list[tuple[str, str]]


def write_summary(
    rows: pd.DataFrame, definitions: Sequence[str], context: Mapping[str, Any], destination: Path
) -> tuple[Path, Path]:
    """Write ``subset_size.md`` and ``subset_size.json`` and return their places."""
    tidy = prepared(rows)
    cells = cell_means(tidy)
    verdicts = compare(tidy, definitions)
    content = {
        "context": dict(context),
        "cells": records(cells),
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    text = "\n\n".join(_paragraphs(rows, cells, verdicts, definitions, context)) + "\n"
    return (
        write_bytes(destination / "subset_size.md", text.encode()),
        write_bytes(
            destination / "subset_size.json", (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
        ),
    )


def compare(tidy: pd.DataFrame, definitions: Sequence[str]) -> list[Verdict]:
    """Verdicts between the definitions at every resolution, then between resolutions under every definition."""
    pairs = [pair for modality in sorted(set(tidy["modality"])) for pair in _comparisons(tidy, modality, definitions)]
    methods = sorted(set(tidy["method"]))
    settings = {setting for pair in pairs for setting in pair}
    # All leads of all settings hold together (Bonferroni), so that no reversal is an accident of looking often.
    tests = len(settings) * len(methods) * (len(methods) - 1) // 2
    leads = {setting: _leads(tidy, setting, (1 - CONFIDENCE) / tests) for setting in settings}
    return [_verdict(tidy, first, second, leads) for first, second in pairs]


def _comparisons(tidy: pd.DataFrame, modality: str, definitions: Sequence[str]) -> Iterator[tuple[Setting, Setting]]:
    resolutions = sorted({int(value) for value in tidy.loc[tidy["modality"] == modality, "resolution"]})
    for resolution in resolutions:
        yield from combinations([Setting(modality, name, resolution) for name in definitions], 2)
    for name in definitions:
        yield from combinations([Setting(modality, name, resolution) for resolution in resolutions], 2)


def _scores(tidy: pd.DataFrame, setting: Setting) -> tuple[pd.DataFrame, pd.Series]:
    """Scores, one row a pair (a sample under one training seed) and one column a method, and every pair's cluster."""
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


def _verdict(
    tidy: pd.DataFrame,
    first: Setting,
    second: Setting,
    leads: Mapping[Setting, Mapping[tuple[str, str], int]],
) -> Verdict:
    means = [_scores(tidy, setting)[0].mean() for setting in (first, second)]
    reversed_pairs = [
        pair if sign > 0 else (pair[1], pair[0])
        for pair, sign in leads[first].items()
        if sign * leads[second][pair] < 0
    ]
    return Verdict(
        modality=first.modality,
        first=first,
        second=second,
        tau=float(kendalltau(means[0], means[1]).statistic),
        same_best=bool(means[0].idxmax() == means[1].idxmax()),
        reversed_pairs=reversed_pairs,
    )


def _paragraphs(
    rows: pd.DataFrame,
    cells: pd.DataFrame,
    verdicts: Sequence[Verdict],
    definitions: Sequence[str],
    context: Mapping[str, Any],
) -> Iterator[str]:
    yield "# Faithfulness correlation: a fixed number of cells or a fraction of the input"
    yield from stand_in_notice(rows)
    yield _answer(verdicts)
    yield f"*Data: {data_note(rows)}. Command: `{context['command']}`.*"
    for modality in sorted(set(cells["modality"])):
        yield f"## {modality.capitalize()}: mean [95 % interval], rank in brackets"
        yield _mean_table(cells[cells["modality"] == modality], definitions)
    yield "## Orders compared"
    yield (
        "τ is Kendall's between the two orders of the methods' means. A pair is reversed where both leads are "
        "significant at 5 % for all leads together (t-test over the means of speakers, or of images; Bonferroni)."
    )
    yield markdown(["Modality", "First", "Second", "τ", "Same best", "Reversed pairs"], map(_verdict_line, verdicts))


def _answer(verdicts: Sequence[Verdict]) -> str:
    within = [verdict for verdict in verdicts if verdict.first.resolution == verdict.second.resolution]
    across = [verdict for verdict in verdicts if verdict.first.resolution != verdict.second.resolution]
    told = [
        f"At the same resolution the two definitions reverse {_pairs(within)} of methods in {len(within)} comparisons."
    ]
    for definition in dict.fromkeys(verdict.first.definition for verdict in across):
        own = [verdict for verdict in across if verdict.first.definition == definition]
        told.append(
            f"From one resolution to another, {NAMES.get(definition, definition)} reverses {_pairs(own)} in "
            f"{len(own)} comparisons, with a mean τ of {number(sum(v.tau for v in own) / len(own))}."
        )
    return " ".join(told)


def _pairs(verdicts: Sequence[Verdict]) -> str:
    count = sum(len(verdict.reversed_pairs) for verdict in verdicts)
    return f"{count} pair{'s' if count != 1 else ''}"


def _mean_table(cells: pd.DataFrame, definitions: Sequence[str]) -> str:
    columns = [
        (definition, int(resolution))
        for definition in definitions
        for resolution in sorted(set(cells["resolution"].astype(int)))
    ]
    found = {(row["metric"], int(row["resolution"]), row["method"]): row for row in cells.to_dict("records")}
    ranks = cells["mean"].groupby([cells["metric"], cells["resolution"]]).rank(ascending=False)
    rank_of = {
        (row["metric"], int(row["resolution"]), row["method"]): int(ranks.iloc[place])
        for place, row in enumerate(cells.to_dict("records"))
    }
    lines = []
    for method in in_order(cells["method"], METHODS):
        entries = [found[(*column, method)] for column in columns]
        lines.append(
            [method_style(method).name]
            + [
                f"{estimate(row['mean'], row['low'], row['high'])} ({rank_of[(*column, method)]})"
                for column, row in zip(columns, entries, strict=True)
            ]
        )
    header = [f"{NAMES.get(definition, definition)}, {resolution}" for definition, resolution in columns]
    return markdown(["Method", *header], lines)


def _verdict_line(verdict: Verdict) -> list[str]:
    reversed_names = [
        f"{method_style(first).name} > {method_style(second).name}" for first, second in verdict.reversed_pairs
    ]
    return [
        verdict.modality,
        verdict.first.label(),
        verdict.second.label(),
        number(verdict.tau),
        "yes" if verdict.same_best else "no",
        "; ".join(reversed_names) or "none",
    ]
