"""The document of any study: what to use and what to avoid, why, and then the numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from audioxai.report.advice import Advice, advice_items, advise
from audioxai.report.blocks import method_column
from audioxai.report.document import Bullets, Cell, Document, Paragraph, Section, Table
from audioxai.report.estimates import contrast
from audioxai.report.sections import (
    View,
    best_section,
    controls_section,
    cost_section,
    kept,
    limits_section,
    models_section,
    ranks_section,
    resolution_section,
    samples_section,
    scores_section,
    terms_section,
    trends,
)
from audioxai.report.style import RANDOM, counted, listed, number
from audioxai.report.verdicts import tally, verdict, verdicts

if TYPE_CHECKING:
    from audioxai.results import ExplainedCell, ResultSet

KEYS = ("material", "dataset", "model", "resolution")


def study_document(results: "ResultSet") -> Document:
    """Everything that a study found: any data sets, models, methods and metrics.

    Raises
    ------
    UserError
        If there are no rows, or a column is missing.
    """
    view = view_of(results)
    keys = view.keys
    advice = advise(view.tidy, keys, view.style)
    others = [key for key in keys if key != "resolution"]
    slopes = trends(view, others) if "resolution" in keys else pd.DataFrame()
    tables = {f"minus_{name}": table for name, table in view.contrasts.items()}
    judged = sum(len(table) for table in (*tables.values(), slopes))
    sections = kept(
        _answer(view, advice),
        best_section(view, advice),
        controls_section(view),
        resolution_section(view, slopes, others, "resolution (rows)"),
        scores_section(view),
        ranks_section(view, ", ".join(f"{{{key}}}" for key in keys) + ": {metric}"),
        cost_section(view),
        samples_section(view, shown_cells(results.cells), shown_methods(results, advice)),
        models_section(view),
        limits_section(view, judged),
        terms_section(),
    )
    data = {
        "directions": {name: view.style.direction(name) for name in view.style.ordered_metrics(view.tidy["metric"])},
        "advice": None if advice is None else vars(advice) | {"standings": [vars(one) for one in advice.standings]},
        "cells": view.cells,
        "leaders": view.leaders,
        "trends": slopes,
        **tables,
        "models": list(results.models),
    }
    return Document(
        results.study, results.title, results.question, sections, view.source.stand_ins, data, results.context
    )


def shown_cells(cells: Sequence["ExplainedCell"]) -> list["ExplainedCell"]:
    """The cells whose samples are shown: of every data set and model the lowest seed's, at the middle resolution."""
    kinds: dict[tuple[str, str], list[ExplainedCell]] = {}
    for cell in cells:
        if cell.material == "clips":
            kinds.setdefault((cell.dataset, cell.model), []).append(cell)
    chosen = []
    for own in kinds.values():
        lowest = min(cell.training_seed for cell in own)
        sizes = sorted((cell for cell in own if cell.training_seed == lowest), key=lambda cell: cell.resolution)
        chosen.append(sizes[len(sizes) // 2])
    return chosen


def shown_methods(results: "ResultSet", advice: Advice | None = None, most: int = 11) -> list[str]:
    """Methods whose maps are shown: all, or the best, the last and the controls where there are more than ``most``."""
    view = view_of(results)
    methods = view.style.ordered_methods(results.rows["method"].unique())
    if len(methods) <= most:
        return methods
    advice = advise(view.tidy, view.keys, view.style) if advice is None else advice
    controls, standing = (
        view.style.controls(methods),
        [] if advice is None else [one.method for one in advice.standings],
    )
    room = most - len(controls)
    return [*(standing or methods)[: room - 2], *standing[-2:], *controls]


def view_of(results: "ResultSet") -> View:
    """Result rows by what tells their settings apart."""
    keys = tuple(key for key in KEYS if key == "dataset" or len(set(results.rows[key])) > 1)
    return View(results, keys, results.study)


def _answer(view: View, advice: Advice | None) -> Section:
    items = [] if advice is None else advice_items(advice, view.style)
    items += _mind(view, advice)
    blocks = [
        Bullets(tuple(items)) if items else Paragraph("The rows hold nothing to advise from yet."),
        Paragraph(_what_was_compared(view)),
        _at_a_glance(view, advice),
    ]
    return Section("answer", "Answer", blocks)


def _mind(view: View, advice: Advice | None) -> list[str]:
    """By which other metrics the advised method loses to a control in most settings."""
    if advice is None or not advice.use:
        return []
    method, found = advice.use[0], []
    for control, table in view.contrasts.items():
        own = verdicts(table[(table["first"] == method) & (table["metric"] != advice.metric)], view.style)
        lost = [
            view.style.in_sentence(metric)
            for metric in view.style.ordered_metrics(str(one.subject["metric"]) for one in own)
            if tally(one for one in own if one.subject["metric"] == metric).majority == "worse"
        ]
        if lost:
            found.append(f"below {view.style.method(control)} by {listed(lost)}")
    if not found:
        return []
    return [
        f"**Mind** that {view.style.method(method)} is {'; '.join(found)}. A control ignores the model, so measures of "
        "stability or concentration can favour it."
    ]


def _what_was_compared(view: View) -> str:
    tidy = view.tidy
    names = list(tidy["method"].unique())
    controls = view.style.controls(names)
    parts = [
        f"{view.source.dataset(str(dataset))}: {counted(part['sample'].nunique(), 'sample')}"
        + (f" of {counted(part['group'].nunique(), 'group')}" if part["group"].nunique() else "")
        + f", {counted(part['model'].nunique(), 'model')} ({listed(sorted(map(str, part['model'].unique())))})"
        + f", {counted(part['training_seed'].nunique(), 'training seed')}"
        + f", resolution {listed([str(size) for size in sorted(part['resolution'].unique())])}"
        for dataset, part in tidy.groupby("dataset")
    ]
    words = f", with {listed([view.style.method(name) for name in controls])}" if controls else ""
    return f"{'. '.join(parts)}. Explained by {counted(len(names) - len(controls), 'method')}{words}."


def _at_a_glance(view: View, advice: Advice | None) -> Table:
    """Mean of every method by every metric over all settings, best first, for terminals too."""
    style, control = view.style, RANDOM
    tidy = view.tidy
    means = tidy.groupby(["method", "metric"])["score"].mean()
    metrics = style.ordered_metrics(tidy["metric"])
    order = [one.method for one in advice.standings] if advice else []
    methods = sorted(
        style.ordered_methods(tidy["method"]), key=lambda name: order.index(name) if name in order else len(order)
    )
    marks: dict[tuple[str, str], str] = {}
    if control in set(tidy["method"]):
        for row in contrast(tidy.assign(dataset=tidy["dataset"]), ["metric"], control).to_dict("records"):
            marks[row["first"], row["metric"]] = verdict(row, style.direction(row["metric"])).marker
    rows = tuple(
        (
            method_column(style).cell({"method": method}),
            *(
                Cell(number(mean) + marks.get((method, metric), ""), mean)
                for metric in metrics
                for mean in [float(means.get((method, metric), float("nan")))]
            ),
        )
        for method in methods
    )
    note = "↑ higher is better   ↓ lower is better"
    if marks:
        note += f"   * 95 % interval of the difference from {style.method(control)} excludes zero"
    text = f"Mean over all samples and settings, methods that stand best first. {note.replace('   ', '; ')}."
    headings = ("Method", *(style.heading(metric, short=True) for metric in metrics))
    return Table(
        f"{view.prefix}_at_a_glance", "Means at a glance", view.source.caption(text), headings, rows, terminal=note
    )
