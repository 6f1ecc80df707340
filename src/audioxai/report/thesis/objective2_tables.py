"""Tables of Objective 2 for a thesis: scores, differences from silence IG, ground truth, completeness and cost."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from audioxai.report.answer import counted_span
from audioxai.report.objective2_figures import LOCATED
from audioxai.report.objective2_tables import CLIPS, DIRECTIONS, TRUTHS, Evidence
from audioxai.report.style import METHODS, METRICS, arrow, estimate, in_order, method_style, metric_style, number
from audioxai.report.thesis.findings import grid_page, interval_entry
from audioxai.report.thesis.pages import Page, Source, TablePage

SHOWN_METRICS = (
    "removal_silence",
    "removal_noise",
    "removal_worst",
    "faithfulness_correlation_8",
    "sparseness",
)


def table_pages(evidence: Evidence, source: Source) -> list[Page]:
    """Scores, differences, ground truth and completeness, as far as there are any."""
    made: list[Page] = [_scores(evidence, source)]
    if len(evidence.gains):
        made.append(_gains(evidence, source))
    if set(evidence.means["material"]) - {CLIPS}:
        made.append(_ground_truth(evidence, source))
    if len(evidence.gaps):
        made.append(_gaps(evidence, source))
    return made


def counted_clips(evidence: Evidence) -> str:
    """``n = 100 a model, 12 clusters``."""
    own = evidence.means[(evidence.means["material"] == CLIPS) & evidence.means["scope"].isin(evidence.scopes())]
    return f"n = {counted_span(own['n'])} clips a model, {counted_span(own['clusters'])} clusters"


def _scores(evidence: Evidence, source: Source) -> TablePage:
    table = evidence.means[evidence.means["material"] == CLIPS]
    here = table[(table["gradients"] == evidence.main_budget) & (table["scope"] == evidence.overall())]
    names = _named([metric for metric in in_order(here["metric"], METRICS) if metric in SHOWN_METRICS])
    caption = source.caption("Mean scores of every method with 95 % intervals over speakers.", counted_clips(evidence))
    page = grid_page("o2_scores", caption, here, "scope", names)
    return TablePage(page.name, page.caption, page.header, page.lines, table, page.left_columns)


def _ground_truth(evidence: Evidence, source: Source) -> TablePage:
    """Methods down; the metric that suits each kind of ground truth across, all of them in the CSV."""
    table = evidence.means[evidence.means["material"] != CLIPS]
    kinds = [kind for kind in LOCATED if kind in set(table["material"])]
    columns = {kind: evidence.by_method(kind, evidence.overall(kind), LOCATED[kind]) for kind in kinds}
    shown = pd.concat(list(columns.values()))
    entries = {(row["material"], row["method"]): row for row in shown.to_dict("records")}
    lines = [
        [method_style(method).name, *(interval_entry(entries.get((kind, method))) for kind in kinds)]
        for method in in_order(shown["method"], METHODS)
    ]
    header = ["Method", *(f"{TRUTHS[kind].capitalize()}: {metric_style(LOCATED[kind]).short} ↑" for kind in kinds)]
    told = "Relevance where it is known to belong, with 95 % intervals over speakers; chance is the random control."
    counted = f"n = {counted_span(shown['n'])} clips a kind, {counted_span(shown['clusters'])} clusters"
    return TablePage("o2_localisation", source.caption(told, counted), header, lines, table)


def _named(metrics: list[str]) -> dict[str, str]:
    return {metric: metric_style(metric).short + arrow(metric, DIRECTIONS) for metric in metrics}


def _gains(evidence: Evidence, source: Source) -> TablePage:
    here = evidence.gains[
        (evidence.gains["scope"] == evidence.overall()) & (evidence.gains["gradients"] == evidence.main_budget)
    ]
    lines = [
        [
            method_style(str(row["first"])).name,
            estimate(row["mean"], row["low"], row["high"]),
            _probability(float(row["p_holm"])),
            estimate(row["d_z"], row["d_z_low"], row["d_z_high"]),
            estimate(row["superiority"], row["superiority_low"], row["superiority_high"]),
        ]
        for row in here.to_dict("records")
    ]
    told = (
        "Paired difference from silence IG under the worse removal, its 95 % interval over speakers, p after Holm's "
        "correction, Cohen's d of the speakers' means, and superiority: the share of a speaker's pairs where the "
        "method is better, ties half, averaged over speakers."
    )
    caption = source.caption(told, f"n = {counted_span(here['n'])} pairs, {counted_span(here['clusters'])} clusters")
    header = ["Method", "Difference", "p (Holm)", "Cohen's d", "Superiority"]
    return TablePage("o2_gains", caption, header, lines, evidence.gains)


def _gaps(evidence: Evidence, source: Source) -> TablePage:
    here = evidence.gaps[evidence.gaps["scope"] == evidence.overall()]
    budgets = sorted(int(budget) for budget in here["gradients"].unique())
    entries = {(row["method"], int(row["gradients"])): row for row in here.to_dict("records")}
    lines = [
        [method_style(method).name, *(_percents(entries, method, budget) for budget in budgets)]
        for method in in_order(here["method"], METHODS)
    ]
    told = "Completeness gap |ΣA − ΔF| / |ΔF| in per cent: median (95th percentile) by the gradients spent on a map."
    caption = source.caption(told, f"n = {counted_span(here['n'])} clips")
    header = ["Method", *(f"{budget} gradients" for budget in budgets)]
    return TablePage("o2_completeness", caption, header, lines, evidence.gaps, wide=False)


def _percents(entries: Mapping[tuple[Any, int], Mapping[Any, Any]], method: str, budget: int) -> str:
    row = entries.get((method, budget))
    return "" if row is None else f"{number(100 * row['median'])} ({number(100 * row['p95'])})"


def _probability(value: float) -> str:
    return "n/a" if pd.isna(value) else "< 0.001" if value < 0.001 else number(value)
