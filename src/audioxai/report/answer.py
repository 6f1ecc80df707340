"""Research question 1 answered in sentences that the intervals carry.

Every sentence is made from the frames of :class:`audioxai.report.tables.Evidence`. *Better*, *worse*, *improves* and
*rises* are said only of estimates whose 95 % interval excludes zero; all others are called undecided. Where no more
intervals exclude zero than chance could bring, no difference is claimed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from scipy.stats import binom

from audioxai.report.sources import dataset_name, present_modalities
from audioxai.report.style import (
    CONTROL,
    METRICS,
    MODALITIES,
    Directions,
    estimate,
    in_order,
    listed,
    method_style,
    metric_style,
    number,
)
from audioxai.report.tables import DIFFERENCE, Evidence

QUESTION = (
    "How do the explanation methods do on audio spectrograms compared with images, and how does resolution change that?"
)
FEW_CLUSTERS = 20
LEADING_METRIC = "faithfulness_correlation"
PLURAL = {"audio": "audio", "image": "images"}

Row = Mapping[Any, Any]


def answer(rows: pd.DataFrame, evidence: Evidence, directions: Directions) -> list[str]:
    """Research question 1 in paragraphs and bullet lists, Markdown: the short answer first."""
    return [
        _in_short(evidence, directions),
        _what_was_compared(rows, evidence),
        *_modalities_compared(evidence, directions),
        *_best_methods(evidence),
        *_resolution_effects(evidence, directions),
        *_against_control(evidence, directions),
    ]


def caveats(evidence: Evidence) -> list[str]:
    """What the numbers do not say, one sentence or two each."""
    judged = (evidence.differences, evidence.trends, evidence.contrasts)
    count = sum(len(_of_methods(table)) for table in judged)
    fewest, undefined = int(evidence.cells["clusters"].min()), int(evidence.cells["undefined"].sum())
    found = [
        "Means weigh every score alike; intervals are Student's t over clusters (95 %): speakers for audio, images for "
        "images, so they tell what other speakers or images could change. They hold for the models that were trained: "
        "what other training seeds would change is not in them.",
        f"{count} differences, trends and contrasts are looked at one by one, **without correction for "
        f"multiplicity**: about 5 % of them, {round(0.05 * count)}, would exclude zero even if there were no effect "
        "anywhere. One cell by itself is a hint; the same sign over methods and resolutions is more.",
        "*No more than chance could bring* means: that many intervals or more would exclude zero with a probability "
        "above 5 % if there were no effect and the cells were independent.",
        "A difference between audio and images is one between two datasets, each with models of its own; it cannot be "
        "put down to the modality alone.",
        "The best method of a cell was picked from the numbers it is judged by, so its lead is on the high side.",
    ]
    if fewest < FEW_CLUSTERS:
        found.append(
            f"Some means rest on {counted(fewest, 'cluster')} only. Their intervals are the wider for it, and where so "
            "few differ in a skewed way they still cover less than 95 %; they deserve caution."
        )
    if undefined:
        found.append(f"Undefined scores (NaN): {undefined}, left out of the means and counted in the tables.")
    return found


def bullets(sentences: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def matched(audio: int, image: int) -> str:
    """``64`` for equal resolutions, ``32/28`` for audio at 32 beside images at 28."""
    return str(audio) if audio == image else f"{audio}/{image}"


def counted_span(values: Iterable[int]) -> str:
    """``10`` where all are equal, else ``8–10``."""
    known = sorted(values)
    low, high = known[0], known[-1]
    return str(low) if low == high else f"{low}–{high}"


def _in_short(evidence: Evidence, directions: Directions) -> str:
    differences = _oriented(_of_methods(evidence.differences), directions)
    trends = _oriented(_of_methods(evidence.trends), directions)
    sentences = [
        *([] if differences.empty else _differences_in_short(differences)),
        *_leaders_in_short(evidence.leaders),
        *([] if trends.empty else _trends_in_short(trends, directions)),
    ]
    return "**In short.** " + (" ".join(sentences) or "The rows hold nothing to compare yet.")


def _differences_in_short(table: pd.DataFrame) -> list[str]:
    image, audio, count = _favouring(table, "image"), _favouring(table, "audio"), len(table)
    if image + audio == 0:
        return [
            f"Audio and images cannot be told apart: in none of {count} comparisons of method × metric × resolution "
            "does the 95 % interval of the difference exclude zero."
        ]
    counts = f"of {count} comparisons of method × metric × resolution, {image} favour images, {audio} favour audio and "
    counts += f"{count - image - audio} are undecided"
    if _within_chance(image + audio, count):
        return [f"Audio and images cannot be told apart: {counts}, no more than chance could bring."]
    return [f"{counts[0].upper()}{counts[1:]}.", _leanings(table)]


def _leanings(table: pd.DataFrame) -> str:
    """By which metrics most comparisons favour one modality, and how many of how many."""
    parts = [
        f"{PLURAL[modality]} by {listed(metrics)}"
        for modality in ("image", "audio")
        for metrics in [
            [
                f"{_in_sentence(metric)} ({ahead} of {len(own)})"
                for metric in in_order(table["metric"], METRICS)
                for own in [table[table["metric"] == metric]]
                for ahead in [_favouring(own, modality)]
                if 2 * ahead > len(own)
            ]
        ]
        if metrics
    ]
    return f"Most favour {', and '.join(parts)}." if parts else "By no metric do most favour the same modality."


def _leaders_in_short(leaders: pd.DataFrame) -> list[str]:
    """Which method comes first by the leading metric, where its interval tells it from the second."""
    chosen = leaders if leaders.empty else leaders[(leaders["metric"] == LEADING_METRIC) & leaders["separated"]]
    where: dict[str, dict[str, list[str]]] = {modality: {} for modality in MODALITIES}
    for row in chosen.to_dict("records"):
        where[row["modality"]].setdefault(method_style(row["method"]).name, []).append(str(row["resolution"]))
    parts = [
        f"on {PLURAL[modality]} {listed([f'{name} (at {listed(sizes)})' for name, sizes in firsts.items()])}"
        for modality, firsts in where.items()
        if firsts
    ]
    return [f"First by {_in_sentence(LEADING_METRIC)}: {'; '.join(parts)}."] if parts else []


def _trends_in_short(table: pd.DataFrame, directions: Directions) -> list[str]:
    changes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for metric in in_order(table["metric"], METRICS):
        sides = _majority_trends(table[table["metric"] == metric], bool(directions[metric]))
        if sides:
            changes.setdefault(sides, []).append(_in_sentence(metric))
    told = [f"{listed(metrics)} {_changing(sides, '' if metrics[1:] else 's')}" for sides, metrics in changes.items()]
    sentences = [
        f"As the resolution rises, for most methods {'; '.join(told)}."
        if told
        else "By no metric do most methods improve or worsen as the resolution rises."
    ]
    between = table[table["scope"] == DIFFERENCE]
    if len(between):
        count = int(_decided(between).sum())
        chance = ", no more than chance could bring" if count and _within_chance(count, len(between)) else ""
        sentences.append(
            "The gap between audio and images changes with resolution in "
            f"{count or 'none'} of {len(between)} combinations of method × metric{chance}."
        )
    return sentences


def _majority_trends(table: pd.DataFrame, higher_is_better: bool) -> tuple[tuple[str, str], ...]:
    """Verb and modality, ``("improve", "audio")`` and the like, where more than half of the methods do."""
    return tuple(
        (verb, modality)
        for modality in MODALITIES
        for own in [table[table["scope"] == modality]]
        for verb, sign in (("improve", 1), ("worsen", -1))
        if 2 * int(_sided(own, sign if higher_is_better else -sign).sum()) > len(own)
    )


def _changing(sides: Iterable[tuple[str, str]], ending: str) -> str:
    """``improves on audio and worsens on images``, or ``worsen on audio and on images``."""
    where: dict[str, list[str]] = {}
    for verb, modality in sides:
        where.setdefault(verb, []).append(f"on {PLURAL[modality]}")
    return listed([f"{verb}{ending} {listed(places)}" for verb, places in where.items()])


def _what_was_compared(rows: pd.DataFrame, evidence: Evidence) -> str:
    described = [_modality_described(rows, evidence, modality) for modality in present_modalities(rows)]
    methods = set(rows["method"]) - {CONTROL}
    control = ", with random attributions as control" if CONTROL in set(rows["method"]) else ""
    return f"{' '.join(described)} Predictions were explained by {counted(len(methods), 'method')}{control}."


def _modality_described(rows: pd.DataFrame, evidence: Evidence, modality: str) -> str:
    part = rows[rows["modality"] == modality]
    speakers = part["speaker"].nunique()
    of_speakers = f" of {counted(speakers, 'speaker')}" if speakers else ""
    resolutions = [str(resolution) for resolution in sorted(part["resolution"].unique())]
    return (
        f"{modality.capitalize()} is {dataset_name(rows, modality)}: "
        f"{counted(part['sample'].nunique(), {'audio': 'recording', 'image': 'image'}[modality])}"
        f"{of_speakers}, model {part['model'].iloc[0]}, "
        f"{counted(part['training_seed'].nunique(), 'training seed')}, resolution {listed(resolutions)}"
        f"{_accuracy(evidence, str(part['dataset'].iloc[0]))}."
    )


def _accuracy(evidence: Evidence, dataset: str) -> str:
    if evidence.models.empty:
        return ""
    own = evidence.models.loc[evidence.models["dataset"] == dataset, "test"].dropna()
    if own.empty:
        return ""
    low, high = f"{100 * own.min():.1f}", f"{100 * own.max():.1f}"
    return f", test accuracy {low} %" if low == high else f", test accuracy {low}–{high} %"


def _modalities_compared(evidence: Evidence, directions: Directions) -> list[str]:
    table = _of_methods(evidence.differences)
    title = "**Audio compared with images.**"
    if table.empty:
        return [f"{title} No resolution was measured on both, so the first half of the question stays open."]
    pairs = zip(table["audio_resolution"], table["image_resolution"], strict=True)
    table = table.assign(resolution=[matched(audio, image) for audio, image in pairs])
    uneven = [name for name in dict.fromkeys(table["resolution"]) if "/" in name]
    meaning = (
        f" ({uneven[0]}: audio at {uneven[0].split('/')[0]}, images at {uneven[0].split('/')[1]})" if uneven else ""
    )
    sentences = [
        _difference_sentence(table[table["metric"] == metric], metric, directions)
        for metric in in_order(table["metric"], METRICS)
    ]
    return [f"{title} By metric, over the matched resolutions{meaning}:", bullets(sentences)]


def _difference_sentence(table: pd.DataFrame, metric: str, directions: Directions) -> str:
    good = directions.get(metric)
    if good is None:
        above, below = "higher on audio for", "lower on audio for"
    else:
        above, below = ("better on audio for", "worse on audio for")[:: 1 if good else -1]
    verdicts = _clauses(table, {above: lambda row: row["low"] > 0, below: lambda row: row["high"] < 0})
    return f"{_heading(metric, directions)}: {verdicts}.{_span_of_decided(table)}"


def _span_of_decided(table: pd.DataFrame) -> str:
    means = table.loc[_decided(table), "mean"]
    if means.empty:
        return ""
    if len(means) == 1:
        return f" That difference, audio − image, is {signed(means.iloc[0])}."
    return f" These differences, audio − image, run from {signed(means.min())} to {signed(means.max())}."


def _best_methods(evidence: Evidence) -> list[str]:
    table = evidence.leaders
    if table.empty:
        return []
    metric = LEADING_METRIC if (table["metric"] == LEADING_METRIC).any() else str(table["metric"].iloc[0])
    chosen = table[table["metric"] == metric]
    sentences = [
        f"On {PLURAL[modality]}: {'; '.join(map(_leader, own.to_dict('records')))}."
        for modality in MODALITIES
        for own in [chosen[chosen["modality"] == modality]]
        if len(own)
    ]
    return [
        "**Which method does best.** On the same samples, the best and the second method can be told apart in "
        f"{int(table['separated'].sum())} of {len(table)} cells of modality × resolution × metric. By "
        f"{_in_sentence(metric)}:",
        bullets(sentences),
    ]


def _leader(row: Row) -> str:
    lead = estimate(row["mean"], row["low"], row["high"])
    second = method_style(row["second"]).name
    relation = f"ahead of {second} by {lead}" if row["separated"] else f"not told apart from {second}, lead {lead}"
    return f"at {row['resolution']} {method_style(row['method']).name} ({number(row['score'])}; {relation})"


def _resolution_effects(evidence: Evidence, directions: Directions) -> list[str]:
    table = _of_methods(evidence.trends)
    title = "**What resolution changes.**"
    if table.empty:
        return [f"{title} The rows hold one resolution only, so the second half of the question stays open."]
    sentences = [
        _trend_sentence(table[table["metric"] == metric], metric, directions)
        for metric in in_order(table["metric"], METRICS)
    ]
    return [f"{title} By metric, with the change of the score per doubling of the resolution:", bullets(sentences)]


def _trend_sentence(table: pd.DataFrame, metric: str, directions: Directions) -> str:
    good = directions.get(metric)
    up, down = ("rises for", "falls for") if good is None else ("improves for", "worsens for")[:: 1 if good else -1]
    clauses = [
        f"on {PLURAL[scope]} " + _trends(own, {f"it {up}": 1, f"it {down}": -1}, "there is no clear trend")
        for scope in MODALITIES
        for own in [table[table["scope"] == scope]]
        if len(own)
    ]
    between = table[table["scope"] == DIFFERENCE]
    if len(between):
        words = {
            "the slope on audio lies above that on images for": 1,
            "the slope on audio lies below that on images for": -1,
        }
        clauses.append(_trends(between, words, "the two slopes cannot be told apart"))
    return f"{_heading(metric, directions)}: {'; '.join(clauses)}."


def _trends(table: pd.DataFrame, phrases: Mapping[str, int], undecided: str) -> str:
    clauses = []
    for phrase, sign in phrases.items():
        found = table[_sided(table, sign)].to_dict("records")
        named = [f"{method_style(row['method']).name} ({signed(row['mean'])})" for row in found]
        if named:
            clauses.append(f"{phrase} {'every method: ' if len(named) == len(table) else ''}{listed(named)}")
    if not clauses:
        return f"{undecided} for any method"
    rest = int((~_decided(table)).sum())
    return ", ".join([*clauses, *([f"{undecided} for the others"] if rest else [])])


def _against_control(evidence: Evidence, directions: Directions) -> list[str]:
    table = evidence.contrasts
    if table.empty:
        return []
    phrases: dict[str, Callable[[Row], bool]] = {
        "better for": lambda row: bool(row["verdict"] == "better"),
        "worse for": lambda row: bool(row["verdict"] == "worse"),
    }
    sentences = []
    for metric in in_order(table["metric"], METRICS):
        clauses = [
            f"on {PLURAL[modality]} {_clauses(own, phrases)}."
            for modality in MODALITIES
            for own in [table[(table["metric"] == metric) & (table["modality"] == modality)]]
            if len(own)
        ]
        clauses[1:] = [clause[0].upper() + clause[1:] for clause in clauses[1:]]
        sentences.append(f"{_heading(metric, directions)}: {' '.join(clauses)}")
    better, worse = (int((table["verdict"] == verdict).sum()) for verdict in ("better", "worse"))
    return [
        f"**Against the control.** {method_style(CONTROL).name} marks what attributions reach that know nothing of "
        f"the model. On the same samples the methods beat it in {better} of {len(table)} cells, fall short of it in "
        f"{worse} and cannot be told from it in {len(table) - better - worse}:",
        bullets(sentences),
    ]


def _clauses(table: pd.DataFrame, phrases: Mapping[str, Callable[[Row], bool]]) -> str:
    """``phrase methods (at their resolutions)`` for the rows that satisfy each test, the rest as undecided."""
    resolutions = [str(resolution) for resolution in dict.fromkeys(table["resolution"])]
    everywhere = f" at {'every resolution' if len(resolutions) > 1 else resolutions[0]}"
    rows, clauses, left = table.to_dict("records"), [], len(table)
    for phrase, holds in phrases.items():
        where: dict[str, list[str]] = {}
        for row in rows:
            if holds(row):
                where.setdefault(row["method"], []).append(str(row["resolution"]))
        left -= sum(map(len, where.values()))
        if sum(map(len, where.values())) == len(table):
            return f"{phrase} every method{everywhere}"
        if where:
            named = [
                method_style(method).name + ("" if at == resolutions else f" (at {listed(at)})")
                for method, at in where.items()
            ]
            clauses.append(f"{phrase} {listed(named)}")
    if not clauses:
        return f"undecided for every method{everywhere}"
    return "; ".join([*clauses, *(["undecided otherwise"] if left else [])])


def _of_methods(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of real methods that have an estimate: the control answers no research question."""
    return table if table.empty else table[(table["method"] != CONTROL) & table["mean"].notna()]


def _oriented(table: pd.DataFrame, directions: Directions) -> pd.DataFrame:
    return table if table.empty else table[[directions.get(metric) is not None for metric in table["metric"]]]


def _sided(table: pd.DataFrame, sign: int) -> "pd.Series[bool]":
    return table["low"] > 0 if sign > 0 else table["high"] < 0


def _decided(table: pd.DataFrame) -> "pd.Series[bool]":
    return _sided(table, 1) | _sided(table, -1)


def _favouring(table: pd.DataFrame, modality: str) -> int:
    return int((table["better"] == modality).sum())


def _within_chance(decided: int, count: int) -> bool:
    """Whether ``decided`` or more of ``count`` independent 95 % intervals would miss zero with more than 5 %."""
    return bool(binom.sf(decided - 1, count, 0.05) > 0.05)


def _heading(metric: str, directions: Directions) -> str:
    meaning = {True: "higher is better", False: "lower is better", None: "neither end is better"}
    return f"**{metric_style(metric).name}** ({meaning[directions.get(metric)]})"


def _in_sentence(metric: str) -> str:
    name = metric_style(metric).name
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def signed(value: float) -> str:
    """``value`` with its sign, plus too."""
    text = number(value)
    return text if text.startswith(("−", "n")) else f"+{text}"


def counted(count: int, noun: str) -> str:
    """``1 speaker`` or ``6 speakers``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
