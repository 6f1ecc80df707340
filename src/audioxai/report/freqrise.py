"""The document of FreqRISE's protocol: deletion of frequencies, with the published numbers beside.

Conventions
-----------
A *setting* is one data set, model and kind of bins. Means are over clips, intervals Student's t over speakers; a
difference is of two methods on the same clips.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from audioxai.report.blocks import Source, interval_cell, method_column
from audioxai.report.document import Bullets, Cell, Document, Section, Table
from audioxai.report.estimates import contrast, estimate, ordered, prepared
from audioxai.report.sections import View, kept, models_section
from audioxai.report.style import LOUDNESS, RANDOM, Style, listed, number
from audioxai.report.verdicts import verdict

if TYPE_CHECKING:
    from audioxai.results import ResultSet

PREFIX = "freqrise"
METRIC = "positive_deletion"
KEYS = ["dataset", "model", "domain"]
BINS = {"rfft": "whole clip", "stft": "short time"}
# Area under the deletion curve in result files of a re-run of the authors' code: AudioMNIST's split 0, 1,000 clips, the
# transform of the whole clip, LRP by ε and z⁺, FreqRISE with 10,000 masks, `energy` is the amplitude.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "digit": {
        "input_x_gradient": 0.260,
        "lrp": 0.195,
        "integrated_gradients": 0.214,
        "freqrise": 0.161,
        "energy": 0.175,
        "random": 0.506,
    },
    "speaker's gender": {
        "input_x_gradient": 0.449,
        "lrp": 0.441,
        "integrated_gradients": 0.444,
        "freqrise": 0.418,
        "energy": 0.461,
        "random": 0.842,
    },
}
PUBLISHED_PROBABILITY = {"digit": 0.966, "speaker's gender": 0.973}
GRADIENT_METHODS = ("integrated_gradients", "lrp")


def freqrise_document(results: "ResultSet") -> Document:
    """Everything that the study found.

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
    means = ordered(estimate(tidy, [*KEYS, "method"]), style, KEYS)
    from_control = {name: contrast(tidy, KEYS, name) for name in (LOUDNESS, RANDOM) if name in set(tidy["method"])}
    return Document(
        name=results.study,
        title=results.title,
        question=results.question,
        sections=kept(
            Section("answer", "Answer", [Bullets(tuple(_answer(means, from_control, style)))]),
            Section("scores", "Scores", [_scores(means, from_control.get(LOUDNESS), style, source)]),
            Section("limits", "How far this goes", [Bullets(_limits(tidy))]),
            models_section(view),
        ),
        stand_ins=source.stand_ins,
        data={"means": means, **{f"minus_{name}": table for name, table in from_control.items()}},
        context={**results.context, "result_rows": len(results.rows)},
    )


def _answer(means: pd.DataFrame, from_control: Mapping[str, pd.DataFrame], style: Style) -> list[str]:
    """What beats the amplitude, and whether amplitude beats the methods that it beat in print."""
    lines = []
    for key, own in means.groupby(KEYS, sort=True):
        best = min(own.to_dict("records"), key=lambda row: float(row["mean"]))
        table = _of(from_control.get(LOUDNESS), key)
        told = [f"lowest area {number(best['mean'])} by {style.method(str(best['method']))}"]
        for outcome, words in (("better", "lower than the amplitude's"), ("worse", "higher than the amplitude's")):
            names = [
                style.method(str(row["first"]))
                for row in table.to_dict("records")
                if row["first"] != RANDOM and verdict(row, False).outcome == outcome
            ]
            told.append(f"{words}: {listed(names) or 'none'}")
        lines.append(f"**{key[0]}, {BINS[str(key[2])]}**: {'; '.join(told)}.")
    published = PUBLISHED["digit"]
    beaten = [style.method(name) for name in GRADIENT_METHODS if published[name] > published["energy"]]
    lines.append(
        f"**In print** (AudioMNIST, digits, whole clip) the amplitude alone scored "
        f"{number(published['energy'])}, below {listed(beaten)}."
    )
    return lines


def _scores(means: pd.DataFrame, from_loudness: pd.DataFrame | None, style: Style, source: Source) -> Table:
    places = {(*(row[key] for key in KEYS), row["method"]): row for row in means.to_dict("records")}
    settings = [tuple(key) for key in means[KEYS].drop_duplicates().itertuples(index=False)]
    differing = {
        (*(row[key] for key in KEYS), row["first"])
        for row in ([] if from_loudness is None else from_loudness.to_dict("records"))
        if verdict(row, False).outcome in ("better", "worse")
    }
    rows = tuple(
        (
            method_column(style).cell({"method": method}),
            *(
                _mean_cell(places.get((*setting, method)), strong=(*setting, method) in differing)
                for setting in settings
            ),
            *(Cell(number(own[method]), own[method]) if method in own else Cell("") for own in PUBLISHED.values()),
        )
        for method in style.ordered_methods(means["method"])
    )
    headings = (
        "Method",
        *(f"{dataset}, {model}: {BINS[domain]}" for dataset, model, domain in settings),
        *(f"published, {label}" for label in PUBLISHED),
    )
    untouched = listed([f"{number(0.95 * p)} ({label})" for label, p in PUBLISHED_PROBABILITY.items()])
    text = (
        "Area under the probability of the true class while 0 to 95 % of the bins are set to 0, the most positive "
        "relevance first; lower is better [95 % interval]. Bold where the difference from the amplitude on the same "
        "clips excludes zero. Published: AudioMNIST, split 0, 1,000 clips, 10,000 masks, without intervals; with no "
        f"effect of deletion it would be {untouched}."
    )
    note = "lower is better"
    caption = source.caption(text, means)
    return Table(f"{PREFIX}_scores", "Deletion of frequencies", caption, headings, rows, 1, means, terminal=note)


def _mean_cell(record: Mapping[Any, Any] | None, *, strong: bool) -> Cell:
    return interval_cell({str(name): value for name, value in record.items()} if record else None, strong=strong)


def _of(table: pd.DataFrame | None, key: Any) -> pd.DataFrame:
    """Rows of one setting."""
    if table is None or table.empty:
        return pd.DataFrame()
    return table[(table[KEYS] == list(key)).all(axis=1)]


def _limits(tidy: pd.DataFrame) -> tuple[str, ...]:
    seeds = tidy["training_seed"].nunique()
    speakers = tidy.groupby("dataset")["cluster"].nunique()
    return (
        "A clip with bins at 0 is a sound that no training clip resembles: a low area may show a model that is lost, "
        "not bins that it needs.",
        "Explained and scored is the true class, also where the model predicts another, as in print.",
        "The short-time variant has one grid for all methods, Hann windows of 32 ms at a hop of 8 ms; the published "
        "one has another grid for each method and is not shown.",
        "The published model of gender was trained and tested on 24 speakers, half of them women; `--label gender` "
        "takes the folds of digits, in which most speakers are men.",
        f"{seeds} training seed{'s' if seeds > 1 else ''}; "
        + listed([f"{count} speakers or clips of {name}" for name, count in speakers.items()])
        + ". What other models would give is not known.",
    )
