"""Objective 2 by the mission's four measures: faithfulness, sensitivity, sparseness and randomisation, side by side.

Randomisation has two: random logit and parameter randomisation (MPRT). Differences from plain IG and from silence IG
are paired by clip, training seed and architecture; Holm's correction is over all of them within one data set ×
architecture, or over all models together.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd

from audioxai.report.blocks import Column, Record, Source, interval_cell, listing, method_column, text_column
from audioxai.report.document import Cell, Figure, Paragraph, Table
from audioxai.report.figures import forest
from audioxai.report.objective2_estimates import CLIPS, PLAIN, REFERENCE, SMOOTHED, Evidence
from audioxai.report.objective2_targets import interval
from audioxai.report.style import listed, number, p_value
from audioxai.report.verdicts import Outcome, Verdict, verdict, with_outcomes

PREFIX = "o2"
# Reference → its letter in the table.
LETTERS = {PLAIN: "P", REFERENCE: "S"}
SIGNS = {"better": "+", "worse": "−"}
LEGEND = (
    "↑ higher is better   ↓ lower is better   P+ better than plain IG, P− worse, S+ better than silence IG, S− worse "
    "(p < 0.05 after Holm's correction)"
)


def judged(evidence: Evidence, scope: str, method: str, reference: str = REFERENCE) -> list[Verdict]:
    """Verdict on a method against a reference by every measure in the mission's order, of one scope; by Holm's p."""
    table = evidence.measures
    if table.empty:
        return []
    own = table[(table["scope"] == scope) & (table["first"] == method) & (table["second"] == reference)]
    found = sorted(own.to_dict("records"), key=lambda row: evidence.mission.index(str(row["metric"])))
    return [verdict(row, evidence.style.direction(str(row["metric"])), "holm") for row in found]


def named(found: Sequence[Verdict], outcome: Outcome) -> list[str]:
    """Measures with an outcome."""
    return [str(one.subject["metric"]) for one in found if one.outcome == outcome]


def gains_and_costs(evidence: Evidence) -> list[str]:
    """Where the best audio IG pays and where it costs, one sentence each; nothing where that was not measured."""
    best, name = evidence.best or "", evidence.style.method
    found = judged(evidence, evidence.overall(), best)
    if not found:
        return []
    pays, costs = (named(found, outcome) for outcome in ("better", "worse"))
    paid = f"it pays in {_measures(evidence, pays)}" if pays else "it pays in none"
    cost = f"it costs in {_measures(evidence, costs)}" if costs else "it costs in none"
    told = "; ".join(_told(evidence, one) for one in found)
    head = f"**By the mission's own measures {paid} and {cost}**, {name(best)} against silence IG: {told}."
    return [head, *_sensitivity(evidence, found), *_smoothing(evidence)]


def measures_text(evidence: Evidence) -> list[Paragraph]:
    """The same against plain IG, and what the controls get."""
    best, scope, style = evidence.best or "", evidence.overall(), evidence.style
    found = judged(evidence, scope, best, PLAIN)
    if not found:
        return []
    told = "; ".join(_told(evidence, one) for one in found)
    text = f"**By the mission's own measures**, {style.method(best)} minus plain IG, the thesis': {told}."
    controls = [name for name in evidence.of_role("control") if evidence.mean(CLIPS, scope, name, evidence.mission[0])]
    free = [f"{style.method(name)} has {_scores(evidence, name)}" for name in controls]
    still = (
        f"**What explains nothing**: {'; '.join(free)}. A map that does not ask the model stands still for free: low "
        "sensitivity counts beside faithfulness and randomisation alone."
    )
    return [Paragraph(text), *([Paragraph(still)] if free else [])]


def measures_table(evidence: Evidence, source: Source) -> list[Table]:
    """Methods down, the mission's measures across, over all models."""
    if evidence.measures.empty:
        return []
    scope = evidence.overall()
    text = (
        "Mean [95 % interval] by the mission's four measures, randomisation by other classes (random logit) and by "
        "random weights (MPRT). P+: better than plain IG, P−: worse, S+: better "
        "than silence IG, S−: worse, on the same clips, p < 0.05 after Holm's correction over all differences of the "
        "table; no letter: not told apart."
    )
    return [_side_by_side(evidence, source, f"{PREFIX}_measures", "The mission's four measures", text, [scope], LEGEND)]


def measures_every(evidence: Evidence, source: Source) -> Iterator[Table]:
    """The same of every data set × architecture, and every difference with its p values."""
    if evidence.measures.empty:
        return
    if len(evidence.scopes()) > 1:
        title, text = "The mission's four measures, every model", "As in the table over all models"
        yield _side_by_side(evidence, source, f"{PREFIX}_measures_every", title, f"{text}.", evidence.scopes())
    style, frame = evidence.style, evidence.measures
    keys = [
        text_column("Models", "scope"),
        Column("Measure", lambda row: Cell(style.heading(str(row["metric"])))),
        method_column(style, name="first"),
        Column("Minus", lambda row: Cell(style.method(str(row["second"])))),
    ]
    columns = [
        Column("Difference", lambda row: verdict(row, style.direction(str(row["metric"])), "holm").cell),
        *(Column(head, partial(_p, name)) for head, name in (("p", "p"), ("p (Holm)", "p_holm"))),
    ]
    caption = source.caption("Differences by the mission's measures [95 % interval]; bold: Holm's p < 0.05.", frame)
    yield listing(f"{PREFIX}_measure_tests", "Differences by the mission's measures", caption, frame, keys, columns)


def measures_figure(evidence: Evidence, source: Source) -> list[Figure]:
    """Differences from plain IG and from silence IG by every measure."""
    scope, table = evidence.overall(), evidence.measures
    if table.empty:
        return []
    own = with_outcomes(table[(table["scope"] == scope) & table["second"].isin(list(LETTERS))], evidence.style)
    text = (
        "Paired difference by the mission's measures, from plain IG and from silence IG, with 95 % intervals; right is "
        "better in every panel."
    )
    draw = partial(
        forest,
        own,
        evidence.style,
        "second",
        "method",
        f"Method − reference, {evidence.described(scope)}",
        series_label=lambda name: f"minus {evidence.style.method(name)}",
    )
    caption = source.caption(text, own)
    return [Figure(f"{PREFIX}_measures_forest", "Differences by the mission's measures", caption, draw)]


def _side_by_side(
    evidence: Evidence,
    source: Source,
    name: str,
    title: str,
    text: str,
    scopes: Sequence[str],
    terminal: str | None = None,
) -> Table:
    style, metrics = evidence.style, evidence.mission
    several = len(scopes) > 1
    rows, records = [], []
    for scope in scopes:
        for method in evidence.side_by_side:
            own = {metric: evidence.mean(CLIPS, scope, method, metric) for metric in metrics}
            if not any(own.values()):
                continue
            marks = {metric: _marks(evidence, scope, method, metric) for metric in metrics}
            key = method_column(style).cell({"method": method})
            cells = [_marked(own[metric], marks[metric]) for metric in metrics]
            rows.append((*([Cell(scope)] if several else []), key, *cells))
            records += [{"marks": marks[metric], **own[metric]} for metric in metrics if own[metric]]
    frame = pd.DataFrame(records)
    headings = (*(["Models"] if several else []), "Method", *(style.heading(metric, short=True) for metric in metrics))
    where = "" if several else f" {evidence.described(scopes[0])}, {evidence.main_budget} gradients per map."
    caption = source.caption(text + where, frame)
    return Table(name, title, caption, headings, tuple(rows), 1 + several, frame, terminal)


def _marks(evidence: Evidence, scope: str, method: str, metric: str) -> str:
    """``P+ S−`` and the like."""
    found = (
        (letter, one.outcome)
        for reference, letter in LETTERS.items()
        for one in judged(evidence, scope, method, reference)
        if one.subject["metric"] == metric and one.decided
    )
    return " ".join(letter + SIGNS[outcome] for letter, outcome in found)


def _marked(record: Record, marks: str) -> Cell:
    if not record:
        return Cell("–")
    plain = interval_cell(record)
    return Cell(f"{plain.text} {marks}".strip(), plain.value, "S+" in marks)


def _measures(evidence: Evidence, metrics: Sequence[str]) -> str:
    return listed([_measure(evidence, metric) for metric in metrics])


def _measure(evidence: Evidence, metric: str) -> str:
    """Label inside a sentence, without what it is measured by."""
    return evidence.style.in_sentence(metric).split(",")[0]


def _told(evidence: Evidence, one: Verdict) -> str:
    tested = f"Holm {p_value(float(one.subject['p_holm']))}"
    verb = "not told apart" if not one.decided else one.outcome
    return f"{_measure(evidence, str(one.subject['metric']))} {one.text} ({tested}): {verb}"


def _sensitivity(evidence: Evidence, found: Sequence[Verdict]) -> list[str]:
    """Said where a map that follows its own order is the more sensitive for it."""
    if "average_sensitivity" not in named(found, "worse"):
        return []
    best, scope = evidence.best or "", evidence.overall()
    own, silence = (evidence.mean(CLIPS, scope, name, "average_sensitivity") for name in (best, REFERENCE))
    return [
        f"**{evidence.style.method(best)} moves more under noise than silence IG**: its map changes by "
        f"{interval(own).removeprefix('+')} of its size where that of silence IG changes by "
        f"{interval(silence).removeprefix('+')}. Explain several noisy copies before single bins are believed."
    ]


def _smoothing(evidence: Evidence) -> list[str]:
    """What is left where silence IG is smoothed as well."""
    best, name = evidence.best or "", evidence.style.method
    found = judged(evidence, evidence.overall(), best, SMOOTHED)
    if not found or best == SMOOTHED:
        return []
    told = "; ".join(_told(evidence, one) for one in found)
    moved = next((one for one in found if one.subject["metric"] == "average_sensitivity"), None)
    steady = {
        "worse": "following the map's own order makes it **more** sensitive: what steadies it is smoothing",
        "better": "it is steadier than smoothing alone makes silence IG",
    }
    said = steady.get(moved.outcome, "its steadiness is not told apart from that of smoothing") if moved else ""
    head = f"**Against {name(SMOOTHED)}**" + (f", {said}" if said else "")
    return [f"{head}: {name(best)} minus it, {told}."]


def _scores(evidence: Evidence, method: str) -> str:
    """A method's means by every measure."""
    found = [(metric, evidence.mean(CLIPS, evidence.overall(), method, metric)) for metric in evidence.mission]
    told = [f"{_measure(evidence, metric)} {number(record['mean'])}" for metric, record in found if record]
    return listed(told)


def _p(name: str, row: Record) -> Cell:
    value = float(row[name])
    return Cell(p_value(value).removeprefix("p ").removeprefix("= "), value)
