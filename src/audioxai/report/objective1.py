"""Objective 1's document: explanations of audio spectrograms compared with images, and what resolution changes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from audioxai.report.advice import advice_items, advise
from audioxai.report.blocks import grid, method_column, number_column
from audioxai.report.document import Block, Bullets, Cell, Document, Figure, Paragraph, Section, Table
from audioxai.report.estimates import contrast, estimate, ordered, slopes
from audioxai.report.figures import forest
from audioxai.report.sections import (
    View,
    best_section,
    controls_section,
    cost_section,
    kept,
    limits_section,
    model_accuracies,
    models_section,
    outcome_table,
    ranks_section,
    resolution_section,
    samples_section,
    scores_section,
    terms_section,
)
from audioxai.report.style import RANDOM, Style, counted, listed, number
from audioxai.report.verdicts import RULES, Tally, Verdict, tally, verdicts, with_outcomes
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from audioxai.results import ExplainedCell, ResultSet

QUESTION = (
    "How do the explanation methods do on audio spectrograms compared with images, and how does resolution change that?"
)
MODALITIES = ("audio", "image")
PLURAL = {"audio": "audio", "image": "images"}
CELL = ["modality", "resolution", "method", "metric"]
# Resolutions of the two modalities are matched where they differ by less than a fifth: 28 and 32, never 28 and 64.
MATCHED_RATIO = 1.2
DIFFERENCE = "audio − image"
OPENING = ("integrated_gradients", "occlusion")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the document says, as tidy frames.

    Attributes
    ----------
    cells : DataFrame
        Mean score per modality, resolution, method and metric.
    differences : DataFrame
        Audio − image at matched resolutions; ``better`` names the modality that an interval without zero favours.
    trends : DataFrame
        Slope per doubling of the resolution; ``scope`` is a modality or the difference of the two.
    contrasts : DataFrame
        Method − random control on the same pairs; ``verdict`` is better, worse or undecided.
    leaders : DataFrame
        Best method of every modality, resolution and metric, its paired lead over the second and whether that separates
        them.
    models : DataFrame
        Accuracies of the explained models.
    """

    cells: pd.DataFrame
    differences: pd.DataFrame
    trends: pd.DataFrame
    contrasts: pd.DataFrame
    leaders: pd.DataFrame
    models: pd.DataFrame


def evidence_of(view: View) -> Evidence:
    """All frames of Objective 1.

    Raises
    ------
    UserError
        If there are no rows, a column is missing, or one modality mixes data sets or models.
    """
    _refuse_mixtures(view.tidy)
    contrasts = view.contrasts.get(RANDOM, pd.DataFrame())
    if len(contrasts):
        contrasts = contrasts.rename(columns={"first": "method", "outcome": "verdict"}).drop(columns="second")
    return Evidence(
        cells=view.cells,
        differences=_differences(view.tidy, view.style),
        trends=_trends(view.tidy, view.style),
        contrasts=contrasts,
        leaders=view.leaders,
        models=model_accuracies(view.results.models),
    )


def view_of(results: "ResultSet") -> View:
    """Result rows by modality and resolution."""
    return View(results, ("modality", "resolution"), "o1")


def objective1_document(results: "ResultSet") -> Document:
    """Everything that Objective 1 found.

    Raises
    ------
    UserError
        As :func:`evidence_of`.
    """
    view = view_of(results)
    evidence = evidence_of(view)
    differences = verdicts(_of_methods(evidence.differences, view.style), view.style)
    trends = verdicts(_of_methods(evidence.trends, view.style), view.style)
    judged = sum(len(_of_methods(table, view.style)) for table in (evidence.differences, evidence.contrasts))
    sections = kept(
        _answer(view, evidence, differences, trends),
        _modalities_section(view, evidence, differences),
        best_section(view, None),
        resolution_section(view, evidence.trends, ["scope"], "resolution (rows)"),
        controls_section(view),
        scores_section(view),
        ranks_section(view, "{modality} {resolution}: {metric}"),
        cost_section(view),
        samples_section(view, shown_cells(results.cells), list(results.methods)),
        models_section(view),
        limits_section(
            view,
            judged + len(trends),
            [
                "*No more than chance could bring* means: that many intervals or more would exclude zero with a "
                "probability above 5 % if there were no effect and the cells were independent.",
                "A difference between audio and images is one between two data sets, each with models of its own; it "
                "cannot be put down to the modality alone.",
            ],
        ),
        terms_section(),
    )
    metrics = {metric: view.style.direction(metric) for metric in view.style.ordered_metrics(view.tidy["metric"])}
    return Document(
        results.study,
        results.title,
        results.question or QUESTION,
        sections,
        view.source.stand_ins,
        {"directions": metrics, **vars(evidence)},
        results.context,
        tuple(sorted(results.methods, key=lambda name: name not in OPENING)),
    )


def shown_cells(cells: Sequence["ExplainedCell"]) -> list["ExplainedCell"]:
    """The cell of each modality whose samples are shown: the lowest training seed's at the middle resolution."""
    chosen = []
    for modality in MODALITIES:
        own = [cell for cell in cells if cell.modality == modality and cell.material == "clips"]
        lowest = min((cell.training_seed for cell in own), default=0)
        own = sorted((cell for cell in own if cell.training_seed == lowest), key=lambda cell: cell.resolution)
        chosen += own[len(own) // 2 : len(own) // 2 + 1]
    return chosen


def matched_resolutions(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs (audio, image) of resolutions that are alike, each used once, smallest first."""
    audio, image = (
        sorted(set(rows.loc[rows["modality"] == modality, "resolution"].astype(int))) for modality in MODALITIES
    )
    candidates = sorted((abs(math.log2(a / i)), a, i) for a in audio for i in image)
    pairs: list[tuple[int, int]] = []
    for distance, a, i in candidates:
        if distance < math.log2(MATCHED_RATIO) and not any(a == x or i == y for x, y in pairs):
            pairs.append((a, i))
    return sorted(pairs)


def matched(audio: int, image: int) -> str:
    """``64`` for equal resolutions, ``32/28`` for audio at 32 and images at 28."""
    return str(audio) if audio == image else f"{audio}/{image}"


def _refuse_mixtures(tidy: pd.DataFrame) -> None:
    unknown = sorted(set(tidy["modality"]) - set(MODALITIES))
    if unknown:
        raise UserError(f"the result rows hold the modality {unknown[0]!r}; Objective 1 compares audio and image")
    for column in ("dataset", "model"):
        for modality, part in tidy.groupby("modality"):
            found = sorted(map(str, part[column].unique()))
            if len(found) > 1:
                raise UserError(
                    f"the {modality} rows mix the {column}s {found[0]!r} and {found[1]!r}; "
                    f"give the rows of one {column} per modality"
                )


def _differences(tidy: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Audio − image at matched resolutions, the two modalities as independent groups."""
    tables = []
    for audio, image in matched_resolutions(tidy):
        at = {"audio": audio, "image": image}
        part = tidy[tidy["resolution"] == tidy["modality"].map(at)]
        table = contrast(part, ["method", "metric"], "image", by="modality")
        table.insert(0, "audio_resolution", audio)
        table.insert(1, "image_resolution", image)
        tables.append(table.drop(columns=["first", "second"]))
    if not tables:
        return pd.DataFrame()
    table = with_outcomes(ordered(pd.concat(tables, ignore_index=True), style, ["audio_resolution"]), style)
    favours = {"better": "audio", "worse": "image"}
    return table.assign(better=pd.Series([favours.get(one) for one in table.pop("outcome")], dtype=object))


def _trends(tidy: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Slope per doubling of the resolution, of each modality and of the difference of the two."""
    keys = ["modality", "method", "metric"]
    found = slopes(tidy, keys)
    own = estimate(found, keys).rename(columns={"modality": "scope"})
    between = contrast(found, ["method", "metric"], "image", by="modality")
    between = between.assign(scope=DIFFERENCE).drop(columns=["first", "second"])
    return ordered(
        pd.concat([part for part in (own, between) if len(part)] or [own], ignore_index=True), style, ["scope"]
    )


def _answer(view: View, evidence: Evidence, differences: Sequence[Verdict], trends: Sequence[Verdict]) -> Section:
    items: list[str] = []
    for modality in MODALITIES:
        advice = advise(view.tidy[view.tidy["modality"] == modality], view.keys, view.style)
        items += [] if advice is None else advice_items(advice, view.style, f"On {PLURAL[modality]}, ")
    items += [f"**Audio and images**: {' '.join(_differences_in_short(view, differences))}"]
    items += [f"**Resolution**: {' '.join(_trends_in_short(view, trends))}"]
    return Section("answer", "Answer", [Bullets(tuple(items)), Paragraph(_what_was_compared(view, evidence))])


def _differences_in_short(view: View, found: Sequence[Verdict]) -> list[str]:
    found = [one for one in found if view.style.direction(str(one.subject["metric"])) is not None]
    if not found:
        return ["no resolution was measured on both, so that half of the question stays open."]
    counts = tally(found)
    compared = f"{counted(counts.count, 'comparison')} of method × metric × resolution"
    if not counts.decided:
        return [
            f"they cannot be told apart: in none of {compared} does the 95 % interval of the difference exclude zero."
        ]
    words = f"of {compared}, {counts['worse']} favour images, {counts['better']} favour audio and "
    words += f"{counts['undecided']} are undecided"
    if counts.is_chance:
        return [f"they cannot be told apart: {words}, no more than chance could bring."]
    return [f"{words}.", _leanings(view, found)]


def _leanings(view: View, found: Sequence[Verdict]) -> str:
    """By which metrics most comparisons favour one modality, and how many of how many."""
    leaning: dict[str, list[str]] = {"worse": [], "better": []}
    for metric, counts in _by_metric(view, found).items():
        if counts.majority is not None:
            words = f"{view.style.in_sentence(metric)} ({counts[counts.majority]} of {counts.count})"
            leaning[counts.majority].append(words)
    sides = (("images", leaning["worse"]), ("audio", leaning["better"]))
    parts = [f"{side} by {listed(metrics)}" for side, metrics in sides if metrics]
    return f"Most favour {', and '.join(parts)}." if parts else "By no metric do most favour the same modality."


def _trends_in_short(view: View, found: Sequence[Verdict]) -> list[str]:
    found = [one for one in found if view.style.direction(str(one.subject["metric"])) is not None]
    if not found:
        return ["one resolution was measured only, so that half of the question stays open."]
    changes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for metric in view.style.ordered_metrics(str(one.subject["metric"]) for one in found):
        sides = tuple(
            (verb, modality)
            for modality in MODALITIES
            for counts in [tally(one for one in found if _is(one, metric, modality))]
            for outcome, verb in (("better", "improve"), ("worse", "worsen"))
            if counts.majority == outcome
        )
        if sides:
            changes.setdefault(sides, []).append(view.style.in_sentence(metric))
    words = [f"{listed(metrics)} {_changing(sides, '' if metrics[1:] else 's')}" for sides, metrics in changes.items()]
    sentences = [
        f"as it rises, for most methods {'; '.join(words)}."
        if words
        else "by no metric do most methods improve or worsen as it rises."
    ]
    between = tally(one for one in found if one.subject["scope"] == DIFFERENCE)
    if between.count:
        chance = ", no more than chance could bring" if between.decided and between.is_chance else ""
        sentences.append(
            "The gap between audio and images changes with resolution in "
            f"{between.decided or 'none'} of {between.count} combinations of method × metric{chance}."
        )
    return sentences


def _changing(sides: Sequence[tuple[str, str]], ending: str) -> str:
    """``improves on audio and worsens on images``, or ``worsen on audio and on images``."""
    where: dict[str, list[str]] = {}
    for verb, modality in sides:
        where.setdefault(verb, []).append(f"on {PLURAL[modality]}")
    return listed([f"{verb}{ending} {listed(places)}" for verb, places in where.items()])


def _what_was_compared(view: View, evidence: Evidence) -> str:
    tidy = view.tidy
    described = [
        _modality_described(view, evidence, modality) for modality in MODALITIES if modality in set(tidy["modality"])
    ]
    names = list(tidy["method"].unique())
    controls = view.style.controls(names)
    words = f", with {listed([view.style.method(name) for name in controls])}" if controls else ""
    return (
        f"{' '.join(described)} Predictions were explained by {counted(len(names) - len(controls), 'method')}{words}."
    )


def _modality_described(view: View, evidence: Evidence, modality: str) -> str:
    part = view.tidy[view.tidy["modality"] == modality]
    groups = part["group"].nunique()
    names = {cell.group_name for cell in view.results.cells if cell.modality == modality} - {None}
    of_groups = f" of {counted(groups, next(iter(names), None) or 'group')}" if groups else ""
    resolutions = [str(resolution) for resolution in sorted(part["resolution"].unique())]
    dataset = str(part["dataset"].iloc[0])
    return (
        f"{modality.capitalize()} is {view.source.dataset(dataset)}: "
        f"{counted(part['sample'].nunique(), {'audio': 'recording', 'image': 'image'}[modality])}{of_groups}, "
        f"model {part['model'].iloc[0]}, {counted(part['training_seed'].nunique(), 'training seed')}, "
        f"resolution {listed(resolutions)}{_accuracy(evidence, dataset)}."
    )


def _accuracy(evidence: Evidence, dataset: str) -> str:
    if evidence.models.empty:
        return ""
    own = evidence.models.loc[evidence.models["dataset"] == dataset, "test"].dropna()
    if own.empty:
        return ""
    low, high = f"{100 * own.min():.1f}", f"{100 * own.max():.1f}"
    return f", test accuracy {low} %" if low == high else f", test accuracy {low}–{high} %"


def _modalities_section(view: View, evidence: Evidence, found: Sequence[Verdict]) -> Section | None:
    """Audio compared with images: the table for terminals, outcomes, differences and their figure."""
    table = evidence.differences
    if table.empty:
        return None
    pairs = list(zip(table["audio_resolution"], table["image_resolution"], strict=True))
    table = with_outcomes(table.assign(resolution=[matched(*pair) for pair in pairs]), view.style)
    found = [one for one in verdicts(_of_methods(table, view.style), view.style) if not math.isnan(one.mean)]
    uneven = next(
        (f" ({matched(*pair)}: audio at {pair[0]}, images at {pair[1]})" for pair in pairs if pair[0] != pair[1]), ""
    )
    text = (
        f"Audio compared with images by metric, over the matched resolutions{uneven}; better or worse is said where "
        "the 95 % interval of audio − image excludes zero."
    )
    outcomes = outcome_table(
        view,
        "o1_difference_outcomes",
        "Audio compared with images",
        text,
        found,
        "metric",
        ("Better on audio for", "Worse on audio for"),
    )
    caption = view.source.caption(f"Audio − image at like resolutions [95 % interval]; {RULES['interval']}.", table)
    keys = {
        "audio_resolution": number_column("Audio", "audio_resolution"),
        "image_resolution": number_column("Image", "image_resolution"),
        "method": method_column(view.style),
    }
    drawn = (
        "Difference of mean scores, audio − image, at like resolutions, with its 95 % interval, filled where it "
        "excludes zero; axes of metrics where lower is better run the other way, so right is always better for audio."
    )
    draw = partial(
        forest,
        table,
        view.style,
        "resolution",
        "audio",
        "Difference of means, audio − image",
        row="method",
        series_label="resolution {}".format,
    )
    blocks: list[Block] = [
        _without_second_key(outcomes),
        *_side_by_side(view, evidence, table),
        grid("o1_differences", "Audio − image", caption, table, keys, view.style, "interval"),
        Figure("o1_audio_minus_image", "Audio − image", view.source.caption(drawn, table), draw),
    ]
    return Section("audio-and-images", "Audio compared with images", blocks)


def _side_by_side(view: View, evidence: Evidence, table: pd.DataFrame) -> Iterator[Table]:
    """Mean scores on audio and on images, a table per pair of matched resolutions, for terminals too."""
    means = evidence.cells.set_index(CELL)["mean"].to_dict()
    metrics = view.style.ordered_metrics(table["metric"])
    decided = {
        (row["resolution"], row["method"], row["metric"]): row["low"] > 0 or row["high"] < 0
        for row in table.to_dict("records")
    }
    columns = ["Method"]
    for metric in metrics:
        columns += [f"{view.style.heading(metric, short=True)}: {modality}" for modality in MODALITIES]
    for audio, image in matched_resolutions(view.tidy):
        rows = []
        at = matched(audio, image)
        for method in view.style.ordered_methods(table.loc[table["resolution"] == at, "method"]):
            cells = [method_column(view.style).cell({"method": method})]
            for metric in metrics:
                own = [
                    means.get((side, size, method, metric), math.nan)
                    for side, size in (("audio", audio), ("image", image))
                ]
                mark = "*" if decided.get((at, method, metric)) else ""
                texts = ["" if math.isnan(mean) else number(mean) for mean in own]
                cells += [Cell(texts[0], own[0]), Cell(texts[1] + mark, own[1], bool(mark))]
            rows.append(tuple(cells))
        title = f"Resolution {audio}" if audio == image else f"Resolution {audio} (audio), {image} (image)"
        text = f"Mean scores on audio and on images at {at}; * the 95 % interval of audio − image excludes zero."
        yield Table(
            f"o1_side_by_side_{audio}",
            title,
            view.source.caption(text),
            tuple(columns),
            tuple(rows),
            terminal="↑ higher is better   ↓ lower is better   * 95 % interval of audio − image excludes zero",
        )


def _without_second_key(table: Table) -> Table:
    rows = tuple((row[0], *row[2:]) for row in table.rows)
    return Table(table.name, table.title, table.caption, (table.columns[0], *table.columns[2:]), rows)


def _by_metric(view: View, found: Sequence[Verdict]) -> dict[str, Tally]:
    metrics = view.style.ordered_metrics(str(one.subject["metric"]) for one in found)
    return {metric: tally(one for one in found if one.subject["metric"] == metric) for metric in metrics}


def _is(one: Verdict, metric: str, scope: str) -> bool:
    return (one.subject["metric"], one.subject["scope"]) == (metric, scope)


def _of_methods(table: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Rows of methods that have an estimate: controls answer no research question."""
    if table.empty:
        return table
    return table[~table["method"].map(style.is_control) & table["mean"].notna()]
