"""Which method of Objective 1 comes first, how surely, and what the metrics' own noise is."""

from collections.abc import Collection
from functools import partial
from typing import Any

import pandas as pd

from audioxai.report.answer import counted_span
from audioxai.report.style import METRICS, in_order, method_style, metric_style, number
from audioxai.report.tables import paired_scores, prepared
from audioxai.report.thesis.findings import Findings
from audioxai.report.thesis.pages import FigurePage, Page, Source, TablePage
from audioxai.report.thesis.pairwise import PAIRED, noise_table, pairwise_matrices, pairwise_table
from audioxai.report.thesis.ranks import (
    NEMENYI,
    RESAMPLED,
    Contest,
    critical_difference_diagrams,
    pairs_counted,
    rank_intervals,
    ranks_page,
)

Key = tuple[str, int, str]
"""Modality, resolution, metric."""


def rank_pages(findings: Findings, source: Source) -> list[Page]:
    """Critical differences, pairs, ranks under resampling and noise, as far as they can be decided."""
    contests = {key: contest for key, contest in contests_of(findings).items() if contest.decidable}
    if not contests:
        return []
    return [*_figures(contests, source), *_tables(contests, source)]


def contests_of(findings: Findings) -> dict[Key, Contest]:
    """Every modality × resolution × metric that has a better end, with its repeats where there are any."""
    repeated = _repeats(findings)
    found = dict(paired_scores(prepared(findings.rows), findings.directions))
    metrics = in_order({metric for _, _, metric in found}, METRICS)
    return {
        (modality, resolution, metric): Contest(
            title=f"{modality.capitalize()} {resolution}: {metric_style(metric).name}",
            scores=found[modality, resolution, metric],
            higher_is_better=bool(findings.directions[metric]),
            repeats=repeated.get((modality, resolution, metric)),
        )
        for modality, resolution, metric in sorted(found, key=lambda key: (metrics.index(key[2]), *key[:2]))
    }


def _repeats(findings: Findings) -> dict[tuple[Any, ...], pd.DataFrame]:
    seeds = sorted(findings.repeats["seed"].unique())
    if len(seeds) < 2:
        return {}
    by_seed = {
        seed: dict(paired_scores(prepared(findings.repeats[findings.repeats["seed"] == seed]), findings.directions))
        for seed in seeds
    }
    keys = set.intersection(*(set(tables) for tables in by_seed.values()))
    return {
        key: pd.concat({seed: tables[key] for seed, tables in by_seed.items()}, names=["seed"]) for key in sorted(keys)
    }


def _figures(contests: dict[Key, Contest], source: Source) -> list[Page]:
    middle = _at_middle_resolution(contests)
    metric = middle[0][2]
    sides = list(dict.fromkeys(modality for modality, _, _ in middle))
    first = [contests[key] for key in middle if key[2] == metric]
    leading = [contests[key] for key in sorted(contests) if key[2] == metric]
    columns = max(sum(key[0] == side and key[2] == metric for key in contests) for side in sides)
    by_side = {side: [contests[key] for key in middle if key[0] == side] for side in sides}
    told = {
        **{
            f"o1_critical_difference_{side}": (NEMENYI, own, partial(critical_difference_diagrams, own))
            for side, own in by_side.items()
        },
        "o1_pairwise": (PAIRED, first, partial(pairwise_matrices, pairwise_table(first), len(first))),
        "o1_rank_stability": (RESAMPLED, leading, partial(rank_intervals, leading, columns)),
    }
    return [
        FigurePage(name, source.caption(text, pairs_counted(own)), draw) for name, (text, own, draw) in told.items()
    ]


def _at_middle_resolution(contests: dict[Key, Contest]) -> list[Key]:
    resolutions = {
        modality: sorted({resolution for side, resolution, _ in contests if side == modality})
        for modality, _, _ in contests
    }
    return [key for key in contests if key[1] == resolutions[key[0]][len(resolutions[key[0]]) // 2]]


def _tables(contests: dict[Key, Contest], source: Source) -> list[Page]:
    """Ranks and noise; of the leading metric where they are read, of all in the CSV."""
    metric = next(iter(contests))[2]
    shown = [contest for key, contest in contests.items() if key[2] == metric]
    made: list[Page] = [ranks_page("o1_ranks", source, list(contests.values()), shown)]
    noise = noise_table(list(contests.values()))
    if len(noise):
        told = (
            "What the metric's own random draws do: mean score, its standard deviation over metric seeds, that of one "
            "sample's score, and the smallest difference of means that is more than noise at 5 %."
        )
        counted = f"n = {counted_span(noise['n'])} samples, {counted_span(noise['repeats'])} metric seeds"
        titles = {contest.title for contest in shown}
        made.append(_noise_page(source.caption(told, counted), noise, titles))
    return made


def _noise_page(caption: str, noise: pd.DataFrame, shown: Collection[str]) -> TablePage:
    columns = ("mean", "of_mean", "of_sample", "smallest_difference")
    lines = [
        [str(row["contest"]), method_style(str(row["method"])).name, *(number(row[column]) for column in columns)]
        for row in noise[noise["contest"].isin(shown)].to_dict("records")
    ]
    header = ["Contest", "Method", "Mean", "SD of the mean", "SD of a score", "Smallest difference"]
    return TablePage("o1_metric_noise", caption, header, lines, noise, left_columns=2)
