"""The document of the controlled contrasts: what remains of sound against images after each control."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from audioxai.report.blocks import Column, Source, grid, listing, method_column, number_column, text_column
from audioxai.report.conditions import by_cell, difference, origin, rows_by_condition, sizes
from audioxai.report.document import Block, Bullets, Cell, Document, Figure, Paragraph, Section, Table
from audioxai.report.estimates import estimate, ordered
from audioxai.report.figures import forest
from audioxai.report.sections import FEW_CLUSTERS, TERMS
from audioxai.report.style import Style, counted, listed, number, percent
from audioxai.report.verdicts import RULES, Tally, Verdict, verdict, with_outcomes
from audioxai.statistics import holm

if TYPE_CHECKING:
    from audioxai.results import ExplainedCell, ResultSet

# A difference whose interval lies within this much of zero is none that matters; every measure is of the order of 1.
NEGLIGIBLE, LARGE = 0.02, 0.1
PREFIX = "contrasts"


@dataclass(frozen=True)
class Condition:
    """A kind of model and samples.

    Attributes
    ----------
    name, label : str
        Its name, and how tables call it.
    content : str
        ``speech`` or ``writing``.
    """

    name: str
    label: str
    content: str


@dataclass(frozen=True)
class Comparison:
    """Two conditions, and what is equal in them; ``paired`` where they explain the same samples."""

    name: str
    label: str
    first: str
    second: str
    paired: bool = False


FOUND = Comparison("found", "Nothing", "speech_sound", "writing_image")
TREATMENT = (
    Comparison("treated_speech", "All but treatment: recordings", "speech_sound", "speech_image", True),
    Comparison("treated_writing", "All but treatment: digits", "writing_sound", "writing_seen", True),
)
AS_SOUNDS = Comparison("as_sounds", "Treatment, as sounds", "speech_sound", "writing_sound")
AS_IMAGES = Comparison("as_images", "Treatment, as images", "speech_image", "writing_image")
SPARSITY = Comparison("sparsity", "Treatment and sparsity", "speech_sparse", "writing_image")
RESOLUTION = {
    "Front end": ("fine", ""),
    "Detail alone": ("fine", "blurred"),
    "Grid alone": ("blurred", ""),
}


def contrasts_document(results: "ResultSet") -> Document:
    """Everything that the contrasts found.

    Raises
    ------
    UserError
        If there are no rows, or a column is missing.
    """
    evidence = Evidence(results)
    sections = [
        Section("answer", "Answer", _answer(evidence)),
        Section("remains", "What remains after each control", _remains(evidence)),
        Section("same-arrays", "The same arrays as sounds and as images", _same_arrays(evidence)),
        Section("resolution", "What resolution changes", _resolution(evidence)),
        Section("conditions", "Conditions", [_conditions_table(evidence), *_scores(evidence)]),
        Section("limits", "How far this goes", [Bullets(tuple(_limits(evidence)))]),
        Section("terms", "Terms", [Bullets(TERMS)]),
    ]
    data = {
        "conditions": evidence.conditions,
        "differences": evidence.differences,
        "controls": evidence.against_controls,
        "resolution": evidence.resolution,
        "verdicts": [vars(one) for one in evidence.verdicts],
    }
    return Document(
        results.study, results.title, results.question, sections, evidence.source.stand_ins, data, origin(results)
    )


@dataclass(frozen=True, eq=False)
class Evidence:
    """Results as frames, by condition."""

    results: "ResultSet"

    @cached_property
    def style(self) -> Style:
        """Names, order and colours."""
        return Style(self.results.methods, self.results.metrics)

    @cached_property
    def source(self) -> Source:
        """What captions end with."""
        return Source(self.results)

    @cached_property
    def cells(self) -> list[tuple[Condition, "ExplainedCell", Mapping[str, Any]]]:
        """Condition, explained samples and model card of every cell."""
        return by_cell(self.results, [Condition(**one) for one in self.results.context.get("conditions", ())])

    @cached_property
    def tidy(self) -> pd.DataFrame:
        """Rows with clusters and their condition; a pair is a sample of one training seed."""
        return rows_by_condition(self.results, [condition.name for condition, *_ in self.cells])

    @cached_property
    def conditions(self) -> pd.DataFrame:
        """One row per condition: accuracy of its models, share of silent features, and sizes."""
        records = []
        for name in dict.fromkeys(condition.name for condition, *_ in self.cells):
            own = [(cell, card) for condition, cell, card in self.cells if condition.name == name]
            label, content = next((one.label, one.content) for one, *_ in self.cells if one.name == name)
            silent = np.concatenate([_silent_shares(cell) for cell, _ in own])
            records.append(
                {
                    "condition": name,
                    "label": label,
                    "content": content,
                    "resolution": own[0][0].resolution,
                    "models": len(own),
                    "accuracy": float(np.mean([card["accuracy"]["test"] for _, card in own])),
                    "lowest": min(card["accuracy"]["test"] for _, card in own),
                    "highest": max(card["accuracy"]["test"] for _, card in own),
                    "tested": own[0][1]["samples"]["test"],
                    "silent": float(silent.mean()),
                    "silent_sd": float(silent.std()),
                    "n": len(silent),
                }
            )
        return pd.DataFrame(records)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """What is compared, from nothing controlled to everything."""
        equal = self._equally_accurate("speech_sound", "writing_image", "accuracy", "Accuracy")
        every = self._equally_accurate("speech_sparse", "writing_image", "everything", "Treatment, sparsity, accuracy")
        return [FOUND, *TREATMENT, AS_SOUNDS, AS_IMAGES, SPARSITY, equal, every]

    def of(self, name: str) -> Comparison:
        """The comparison of that name."""
        return next(one for one in self.comparisons if one.name == name)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """First − second of every comparison, method and metric, with Holm's p within each comparison."""
        tables = [self._difference(one).assign(comparison=one.name, label=one.label) for one in self.comparisons]
        return self._ordered(pd.concat(tables, ignore_index=True), ["comparison"])

    @cached_property
    def resolution(self) -> pd.DataFrame:
        """Change of the scores with a doubled resolution, on recordings and on digits, by what was changed."""
        tables = []
        for change, (first, second) in RESOLUTION.items():
            for content in ("speech", "writing"):
                coarse = f"{content}_{second or 'image'}"
                one = Comparison(change, change, f"{content}_{first}", coarse, paired=True)
                tables.append(self._difference(one).assign(change=change, content=content))
        found = pd.concat(tables, ignore_index=True)
        # Not every method explains at every resolution.
        return found[found["n"] + found["undefined"] > 0].reset_index(drop=True)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One per difference of a method; better and worse are said of the first side: recordings, or sounds."""
        shown = self.differences[~self.differences["method"].map(self.style.is_control)]
        return self.judged(shown)

    def judged(self, table: pd.DataFrame) -> list[Verdict]:
        """Verdicts by Holm's p on the rows that have an estimate."""
        records = table[table["mean"].notna()].to_dict("records")
        return [verdict(record, self.style.direction(record["metric"]), "holm") for record in records]

    @cached_property
    def against_controls(self) -> pd.DataFrame:
        """Method − control on the same samples, of every condition, for metrics that have a direction."""
        tables = []
        directed = self.tidy[self.tidy["metric"].map(lambda name: self.style.direction(name) is not None)]
        for control in self.style.controls(directed["method"]):
            for condition, part in directed.groupby("condition", sort=True):
                for method in self.style.ordered_methods(part["method"]):
                    if not self.style.is_control(method):
                        own = part[part["method"].isin([method, control])]
                        for metric, scores in own.groupby("metric", sort=True):
                            first, second = (scores[scores["method"] == one] for one in (method, control))
                            found = difference(first, second, paired=True)
                            names = {"condition": condition, "method": method, "metric": metric, "control": control}
                            tables.append(names | vars(found.interval()))
        frame = pd.DataFrame(tables)
        return with_outcomes(frame, self.style) if len(frame) else frame

    def _equally_accurate(self, first: str, second: str, name: str, label: str) -> Comparison:
        """The conditions of longer and shorter training whose accuracies are nearest to each other."""
        known = self.conditions.set_index("condition")["accuracy"]
        pairs = [
            (abs(known[one] - known[other]), one, other)
            for one in known.index
            if _trained_alike(one, first)
            for other in known.index
            if _trained_alike(other, second)
        ]
        _, one, other = min(pairs)
        reached = f"{100 * known[one]:.1f} and {100 * known[other]:.1f} %"
        return Comparison(name, f"{label} ({reached})", one, other)

    def _difference(self, one: Comparison) -> pd.DataFrame:
        records = []
        for (method, metric), part in self.tidy.groupby(["method", "metric"], sort=True):
            first, second = (part[part["condition"] == name] for name in (one.first, one.second))
            found = difference(first, second, one.paired)
            records.append({"method": method, "metric": metric, "p": found.p_value, **vars(found.interval())})
        table = pd.DataFrame(records)
        # Controls explain nothing, so they are no part of the family of tests.
        tested = ~table["method"].map(self.style.is_control)
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"])
        table.loc[~tested, "p_holm"] = table.loc[~tested, "p"]
        return self._ordered(table.assign(negligible=table[["low", "high"]].abs().max(axis=1) <= NEGLIGIBLE))

    def _ordered(self, table: pd.DataFrame, keys: Sequence[str] = ()) -> pd.DataFrame:
        found: pd.DataFrame = ordered(table, self.style)
        if not keys:
            return found
        order = [one.name for one in self.comparisons]
        places = found["comparison"].map(order.index)
        return found.loc[places.sort_values(kind="stable").index].reset_index(drop=True)


def _trained_alike(name: str, like: str) -> bool:
    """Whether a condition is ``like`` or a shorter training of it."""
    return name == like or (name.startswith(f"{like}_") and name.removeprefix(f"{like}_").isdecimal())


def _silent_shares(cell: "ExplainedCell") -> np.ndarray:
    """Share of the features of every explained sample that are silent or black."""
    inputs = cell.inputs()["inputs"]
    return (inputs <= cell.domain.silence_value).flatten(1).double().mean(1).numpy()


# --- Sections --------------------------------------------------------------------------------------------------------


def _answer(evidence: Evidence) -> list[Block]:
    found = {name: _of(evidence, name) for name in ("found", "as_sounds", "as_images", "sparsity", "accuracy")}
    everything = _of(evidence, "everything")
    treated = [one for name in ("treated_speech", "treated_writing") for one in _of(evidence, name)]
    items = [
        f"**Nothing controlled** (as in Objective 1): {_counts(found['found'], 'recordings')}.",
        f"**Treatment alone** (units, baseline, noise, removal; same arrays, same weights): {_treatment(evidence)}.",
        f"**Treatment made equal**: {_counts(found['as_images'], 'recordings')} where both are treated as images, and "
        f"{_counts(found['as_sounds'], 'recordings', short=True)} where both are treated as sounds.",
        f"**Sparsity made equal**: {_counts(found['sparsity'], 'recordings')}.",
        f"**Accuracy made equal**: {_counts(found['accuracy'], 'recordings')}.",
        f"**All of it made equal**: {_counts(everything, 'recordings')}.",
        f"**Resolution**: {_resolution_in_short(evidence)}",
    ]
    return [Bullets(tuple(items)), Paragraph(_conclusion(evidence, treated))]


def _of(evidence: Evidence, comparison: str) -> list[Verdict]:
    return [one for one in evidence.verdicts if one.subject["comparison"] == comparison]


def _matters(one: Verdict) -> bool:
    """Whether a difference is decided and not negligible."""
    return one.decided and not one.subject["negligible"]


def _outcomes(found: Sequence[Verdict]) -> Tally:
    """How often better, worse, negligible and undecided."""
    names = ["negligible" if one.subject["negligible"] else str(one.outcome) for one in found]
    return Tally({name: names.count(name) for name in dict.fromkeys(names)})


def _counts(found: Sequence[Verdict], favoured: str, short: bool = False) -> str:
    counts = _outcomes(found)
    differ = counts["better"] + counts["worse"]
    if short:
        return f"{differ} of {counts.count} differ"
    return (
        f"{differ} of {counted(counts.count, 'comparison')} of method × measure differ, {counts['better']} in favour "
        f"of {favoured} and {counts['worse']} against them"
    )


def _treatment(evidence: Evidence) -> str:
    """What the treatment alone changes, by measure."""
    both = [one for name in ("treated_speech", "treated_writing") for one in _of(evidence, name)]
    decided = [one for one in both if _matters(one)]
    by_metric: dict[str, list[str]] = {}
    for one in decided:
        by_metric.setdefault(str(one.subject["metric"]), []).append(str(one.subject["method"]))
    words = [
        f"{evidence.style.in_sentence(metric)} of "
        f"{_methods(evidence, by_metric[metric], {str(one.subject['method']) for one in both})}"
        for metric in evidence.style.ordered_metrics(by_metric)
    ]
    small = sum(bool(one.subject["negligible"]) for one in both)
    text = f"{len(decided)} of {len(both)} differ"
    text += f": {'; '.join(words)}" if words else ""
    return f"{text}. {small} of {len(both)} lie within ±{NEGLIGIBLE:g} of zero with their whole interval"


def _methods(evidence: Evidence, names: Sequence[str], every: set[str]) -> str:
    if set(names) == every:
        return "every method"
    return listed([evidence.style.method(name) for name in evidence.style.ordered_methods(names)])


def _conclusion(evidence: Evidence, treated: Sequence[Verdict]) -> str:
    """A paragraph that an examiner can check against the tables, made of verdicts alone."""
    start, end = (_of(evidence, name) for name in ("found", "everything"))
    touched = {(one.subject["method"], one.subject["metric"]) for one in treated if _matters(one)}
    shares = [
        f"{evidence.style.in_sentence(metric)} {_size_and_signs(start, metric)} → {_size_and_signs(end, metric)}"
        for metric in evidence.style.ordered_metrics(str(one.subject["metric"]) for one in end)
    ]
    same = _same_sign(start, end)
    exact = max((one["difference"] for one in _agreement(evidence)), default=math.nan)
    large = [str(one.subject["method"]) for one in treated if _matters(one) and abs(one.mean) > LARGE]
    by = listed([evidence.style.method(name) for name in evidence.style.ordered_methods(large)]) or "none"
    return (
        f"Two classifiers that see the same numbers (largest difference {exact:.1g} of a range of 1) under the same "
        f"weights are explained alike whether the project calls the numbers sounds or images, apart from "
        f"{counted(len(touched), 'combination')} of method and measure; the methods with differences above {LARGE:g} "
        f"are {by}. With nothing controlled, {sum(map(_matters, start))} of {len(start)} comparisons differ; with "
        f"treatment, sparsity and accuracy made equal, {sum(map(_matters, end))} of {len(end)} do, {same} of them in "
        f"the same direction. The mean size of the differences over the methods (how many are better and worse on "
        f"recordings) went, by measure: {'; '.join(shares)}. What remains cannot be the treatment, the share of "
        f"silence or the accuracy: it is what recordings and drawings show, and what their models make of it. It is a "
        f"difference between these two data sets and no property of sound as such."
    )


def _size_and_signs(found: Sequence[Verdict], metric: str) -> str:
    """Mean absolute difference over the methods, with the numbers of methods that are better and worse."""
    own = [one for one in found if one.subject["metric"] == metric]
    counts = _outcomes(own)
    return f"{number(float(np.mean([abs(one.mean) for one in own])))} ({counts['better']} and {counts['worse']})"


def _same_sign(first: Sequence[Verdict], second: Sequence[Verdict]) -> int:
    """How many of the second that matter have the sign that they have in the first, where they matter too."""
    known = {(one.subject["method"], one.subject["metric"]): one.mean for one in first if _matters(one)}
    pairs = [(one, known.get((one.subject["method"], one.subject["metric"]), 0.0)) for one in second if _matters(one)]
    return sum(one.mean * before > 0 for one, before in pairs)


def _remains(evidence: Evidence) -> list[Block]:
    """The table of what remains, one row per control; then every difference, a table per measure, and a figure."""
    style, metrics = evidence.style, evidence.style.ordered_metrics(evidence.differences["metric"])
    rows = []
    for one in evidence.comparisons:
        own = _of(evidence, one.name)
        counts = _outcomes(own)
        cells = []
        for metric in metrics:
            of_metric = [each for each in own if each.subject["metric"] == metric]
            size = float(np.mean([abs(each.mean) for each in of_metric])) if of_metric else math.nan
            cells.append(Cell(f"{number(size)} ({sum(map(_matters, of_metric))})", size))
        names = ("better", "worse", "negligible", "undecided")
        rows.append((Cell(one.label), Cell(" / ".join(str(counts[name]) for name in names)), *cells))
    text = (
        "What differs after each control: recordings − digits, or, where all but the treatment is equal, as sounds − "
        "as images; control maps left out. Better and worse: p < 0.05 after Holm's correction within a row, said of "
        f"the first side. Negligible: the whole interval lies within ±{NEGLIGIBLE:g}. By measure: mean absolute "
        "difference over the methods, and how many of them are better or worse."
    )
    headings = ("Made equal", "Better / worse / negligible / undecided")
    columns = (*headings, *(style.metric(metric, short=True) for metric in metrics))
    note = "by measure: mean absolute difference over the methods (how many are better or worse)"
    caption = evidence.source.caption(text, counted=sizes(evidence.differences))
    blocks: list[Block] = [
        Table(f"{PREFIX}_remains", "What remains of sound against images", caption, columns, tuple(rows), terminal=note)
    ]
    for metric in metrics:
        blocks.append(_by_comparison(evidence, metric))
    shown = evidence.differences[
        evidence.differences["comparison"].isin(["found", "treated_speech", "as_images", "everything"])
        & ~evidence.differences["method"].map(style.is_control)
    ]
    drawn = (
        "First − second side with its 95 % interval, filled where it excludes zero; axes of measures "
        "where lower is better run the other way, so right is always better for recordings, or for the treatment as "
        "sounds."
    )
    draw = partial(
        forest,
        with_outcomes(shown, style),
        style,
        "label",
        "sound",
        "What remains of sound − image",
        series_label=lambda label: label.split(" (")[0],
        row="method",
    )
    caption = evidence.source.caption(drawn, counted=sizes(shown))
    blocks.append(Figure(f"{PREFIX}_remains_forest", "What remains of sound − image", caption, draw))
    return blocks


def _by_comparison(evidence: Evidence, metric: str) -> Table:
    """Differences of one measure: methods down, comparisons across."""
    style = evidence.style
    table = evidence.differences[evidence.differences["metric"] == metric]
    found = {(row["method"], row["comparison"]): row for row in table.to_dict("records")}
    rows = tuple(
        (
            method_column(style).cell({"method": method}),
            *(verdict(found[method, one.name], style.direction(metric), "holm").cell for one in evidence.comparisons),
        )
        for method in style.ordered_methods(table["method"])
    )
    text = f"{style.heading(metric)}: first − second side [95 % interval]; {RULES['holm']}, within each column."
    columns = ("Method", *(one.label for one in evidence.comparisons))
    caption = evidence.source.caption(text, counted=sizes(table))
    return Table(f"{PREFIX}_{metric}", style.metric(metric), caption, columns, rows, frame=table)


def _same_arrays(evidence: Evidence) -> list[Block]:
    """How identical the arrays of both treatments are, and whether the models say the same."""
    rows = tuple(
        (
            Cell(one["label"]),
            Cell(str(one["samples"]), float(one["samples"])),
            Cell(f"{one['difference']:.1e}", one["difference"]),
            Cell(f"{one['same']} of {one['samples']}", float(one["same"])),
        )
        for one in _agreement(evidence)
    )
    text = (
        "Arrays as the body sees them, scaled to a range of 1: largest difference between both treatments over all "
        "features of all explained samples, and samples of which both models, which have the same weights, predict the "
        "same class."
    )
    return [
        Table(
            f"{PREFIX}_arrays",
            "The same arrays",
            evidence.source.caption(text),
            ("Arrays", "Samples", "Largest difference", "Same class predicted"),
            rows,
            terminal="arrays in a range of 1",
        )
    ]


def _agreement(evidence: Evidence) -> list[dict[str, Any]]:
    """Agreement of the arrays and predictions of both treatments, over all seeds."""
    records = []
    for one in TREATMENT:
        sides = [
            [cell for condition, cell, _ in evidence.cells if condition.name == name]
            for name in (one.first, one.second)
        ]
        difference, same, samples = 0.0, 0, 0
        for first, second in zip(*sides, strict=True):
            arrays = [_scaled(cell) for cell in (first, second)]
            classes = [cell.inputs()["predictions"] for cell in (first, second)]
            difference = max(difference, float((arrays[0] - arrays[1]).abs().max()))
            same += int((classes[0] == classes[1]).sum())
            samples += len(classes[0])
        label = {"treated_speech": "recordings", "treated_writing": "digits written as sounds"}[one.name]
        records.append({"label": label, "difference": difference, "same": same, "samples": samples})
    return records


def _scaled(cell: "ExplainedCell") -> Any:
    low, high = cell.domain.value_range
    return (cell.inputs()["inputs"].double() - low) / (high - low)


def _resolution(evidence: Evidence) -> list[Block]:
    """Tables of the three changes on recordings and on digits."""
    style = evidence.style
    table = evidence.resolution.assign(
        content=evidence.resolution["content"].map({"speech": "recordings", "writing": "digits"})
    )
    text = (
        "Change of the score as the resolution doubles [95 % interval], all arrays treated as images, on the same "
        "samples; every model trained on what it explains. *Front end*: fewer bands and frames, or pixels, against "
        "more. *Detail alone*: the same grid, with and without the detail of the finer half. *Grid alone*: the same "
        f"detail on the finer grid against the coarser one. Front end = detail + grid. {RULES['holm']}."
    )
    keys = {
        "change": text_column("Changed", "change"),
        "content": text_column("On", "content"),
        "method": method_column(style),
    }
    caption = evidence.source.caption(text, counted=sizes(table))
    return [grid(f"{PREFIX}_resolution", "Resolution", caption, table, keys, style, "holm")]


def _resolution_in_short(evidence: Evidence) -> str:
    parts = []
    shown = evidence.resolution[~evidence.resolution["method"].map(evidence.style.is_control)]
    for change in RESOLUTION:
        words = []
        for content, name in (("speech", "recordings"), ("writing", "digits")):
            own = evidence.judged(shown[(shown["change"] == change) & (shown["content"] == content)])
            counts = _outcomes(own)
            words.append(f"{counts['better']} better and {counts['worse']} worse of {counts.count} on {name}")
        parts.append(f"{change.lower()}: {listed(words)}")
    return f"as it doubles, {'; '.join(parts)}."


def _conditions_table(evidence: Evidence) -> Table:
    table = evidence.conditions
    text = (
        "Conditions: test accuracy (mean and range over training seeds), share of features that are silent or black "
        "(mean ± standard deviation over the explained samples)."
    )
    columns = [
        number_column("Resolution", "resolution"),
        Column("Accuracy", lambda row: Cell(_accuracy(row), row["accuracy"])),
        number_column("Test part", "tested"),
        Column(
            "Silent", lambda row: Cell(f"{100 * row['silent']:.1f} ± {100 * row['silent_sd']:.1f} %", row["silent"])
        ),
        number_column("Explained", "n"),
    ]
    caption = evidence.source.caption(text)
    return listing(f"{PREFIX}_conditions", "Conditions", caption, table, [text_column("Condition", "label")], columns)


def _accuracy(row: Mapping[Any, Any]) -> str:
    ends = "" if row["models"] < 2 else f" ({percent(row['lowest'])} to {percent(row['highest'])})"
    return percent(row["accuracy"]) + ends


def _scores(evidence: Evidence) -> list[Block]:
    """Means of every condition, and how many methods beat the controls there."""
    labels = dict(zip(evidence.conditions["condition"], evidence.conditions["label"], strict=True))
    cells = ordered(estimate(evidence.tidy, ["condition", "method", "metric"]), evidence.style)
    order = list(labels)
    cells = cells.loc[cells["condition"].map(order.index).sort_values(kind="stable").index].reset_index(drop=True)
    named = cells.assign(condition=cells["condition"].map(labels))
    keys = {"condition": text_column("Condition", "condition"), "method": method_column(evidence.style)}
    text = "Mean [95 % interval]: Student's t over clusters, scores count alike."
    blocks: list[Block] = [
        grid(f"{PREFIX}_means", "Mean scores", evidence.source.caption(text, cells), named, keys, evidence.style)
    ]
    table = evidence.against_controls
    if table.empty:
        return blocks
    rows = []
    for condition, own in table.groupby("condition", sort=False):
        for control, part in own.groupby("control", sort=False):
            counts = part["outcome"].value_counts()
            rows.append(
                (
                    Cell(labels[str(condition)]),
                    Cell(evidence.style.method(str(control))),
                    *(Cell(str(counts.get(name, 0)), float(counts.get(name, 0))) for name in _OUTCOMES),
                )
            )
    text = (
        "Methods against the controls on the same samples, over methods × measures that have a direction; better or "
        "worse is said where the 95 % interval of the paired difference excludes zero. Random maps do not move with "
        "the input, so that no method can beat them by average sensitivity."
    )
    columns = ("Condition", "Control", *(name.capitalize() for name in _OUTCOMES))
    caption = evidence.source.caption(text, table)
    return [*blocks, Table(f"{PREFIX}_controls", "Against the controls", caption, columns, tuple(rows), 2)]


_OUTCOMES = ("better", "worse", "undecided")


def _limits(evidence: Evidence) -> Iterator[str]:
    yield (
        "Intervals are Student's t over clusters (speakers of recordings, images of digits) and hold for the models "
        "that were trained; differences of the same samples are paired, the others are of independent groups."
    )
    yield (
        "Random subsets and noise are drawn from each sample's values, which differ between units, so that the two "
        "treatments draw others: differences of a few hundredths in faithfulness can be that."
    )
    yield (
        "Holm's correction covers the methods × measures of one comparison, not all comparisons together. An undecided "
        "difference is not shown to be none; those whose whole interval is small are counted as negligible."
    )
    yield (
        "Digits written as sounds are thicker than the digits: a sine reaches the bands beside its own. Both "
        "treatments see the same arrays, so this does not touch their comparison; it does touch *both as sounds*."
    )
    yield (
        "Silence by threshold is a crude way to equal sparsity: the quietest features of each recording are made "
        "silent before the model is trained, which also removes what they said."
    )
    fewest = int(evidence.differences["clusters"].min())
    if fewest < FEW_CLUSTERS:
        yield f"Some differences rest on {counted(fewest, 'cluster')} only; their intervals deserve caution."
    undefined = int(evidence.differences["undefined"].sum())
    if undefined:
        yield f"Undefined scores (NaN): {undefined}, left out and counted."
