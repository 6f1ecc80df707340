"""The document of the thesis' faults: what each of its methods scores as one fault after the other is removed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from audioxai.report.blocks import Column, Record, Source, interval_cell, listing, number_column, text_column
from audioxai.report.canvas import add_title, new_figure, settings
from audioxai.report.conditions import by_cell, difference, mean_of, origin, rows_by_condition, sizes
from audioxai.report.document import Block, Bullets, Cell, Document, Figure, Paragraph, Section, Table
from audioxai.report.sections import FEW_CLUSTERS, TERMS
from audioxai.report.style import Style, counted, interval_text, listed, number, percent
from audioxai.report.verdicts import RULES, Verdict, outcome, verdict
from audioxai.statistics import holm

if TYPE_CHECKING:
    from audioxai.results import ResultSet

PREFIX = "thesis_faults"
ONE_BATCH, PRECISE, PUBLISHED_COLOUR = "#0072B2", "#000000", "#D55E00"
# What the thesis calls its methods that have a baseline, in the order of a step's.
BASELINED = {
    "zero": "IG, zero",
    "noise": "IG, noisy silence",
    "quiet": "IG, low-energy mask",
    "median": "IG, median",
    "deep_lift": "DeepLift",
}
# Its means over one batch of 32 clips of AudioMNIST at 128 × 128; the median's twice, in two folders.
PUBLISHED: dict[str, tuple[float, ...]] = {
    "zero": (-0.455,),
    "noise": (-0.448,),
    "quiet": (-0.503,),
    "median": (-0.503, 0.352),
    "saliency": (0.18,),
    "input_x_gradient": (-0.478,),
    "guided_grad_cam": (0.404,),
    "deep_lift": (-0.475,),
}


@dataclass(frozen=True)
class Step:
    """One fault less than the step before.

    Attributes
    ----------
    name, label : str
        Its name, and what is right from here on.
    condition : str
        Which model and samples.
    metric : str
        Row name of its metric.
    baselined : tuple of str
        Methods that stand for those of the thesis that have a baseline, in the order of ``BASELINED``.
    every_seed : bool
        Whether models of every training seed are in it, not that of the first alone.
    precise : bool
        Whether it repeats a step with as many runs and clips as it takes to tell the steps apart.
    """

    name: str
    label: str
    condition: str
    metric: str
    baselined: tuple[str, ...]
    every_seed: bool = False
    precise: bool = False


def thesis_faults_document(results: "ResultSet") -> Document:
    """Everything that the study found.

    Raises
    ------
    UserError
        If there are no rows, or a column is missing.
    """
    evidence = Evidence(results)
    sections = [
        Section("answer", "Answer", _answer(evidence)),
        Section("steps", "One fault less in every row", [_steps_table(evidence), _figure(evidence)]),
        Section("worth", "What each fault was worth", [_precise_table(evidence), _worth_table(evidence)]),
        Section("models", "Models", [_models_table(evidence)]),
        Section("limits", "How far this goes", [Bullets(tuple(_limits(evidence)))]),
        Section("terms", "Terms", [Bullets(TERMS)]),
    ]
    data = {
        "steps": evidence.scores,
        "worth": evidence.worth,
        "published": {name: list(values) for name, values in PUBLISHED.items()},
        "verdicts": [vars(one) for one in evidence.verdicts],
    }
    return Document(
        results.study, results.title, results.question, sections, evidence.source.stand_ins, data, origin(results)
    )


@dataclass(frozen=True, eq=False)
class Evidence:
    """Results as frames, step by step."""

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
    def steps(self) -> list[Step]:
        """Steps in their order."""
        stated = self.results.context.get("steps", ())
        return [Step(**{**one, "baselined": tuple(one["baselined"])}) for one in stated]

    @property
    def as_measured(self) -> list[Step]:
        """Steps with the runs and clips of the thesis, until these are put right too."""
        return [step for step in self.steps if not step.precise]

    @property
    def precise(self) -> list[Step]:
        """The same faults, told apart with more runs and clips."""
        return [step for step in self.steps if step.precise]

    @cached_property
    def conditions(self) -> list[str]:
        """Condition of every cell."""
        return [str(name) for name in self.results.context.get("conditions", ())]

    @cached_property
    def tidy(self) -> pd.DataFrame:
        """Rows with clusters and their condition."""
        return rows_by_condition(self.results, self.conditions)

    @cached_property
    def columns(self) -> list[str]:
        """Columns of the tables: the thesis' baselines, then its other methods, then controls."""
        baselined = {name for step in self.steps for name in step.baselined}
        others = [name for name in self.style.ordered_methods(self.tidy["method"]) if name not in baselined]
        return [*BASELINED, *others]

    def heading(self, column: str) -> str:
        """What a column is called."""
        return BASELINED.get(column) or self.style.method(column)

    def is_control(self, column: str) -> bool:
        """Whether a column is that of a control."""
        return self.style.is_control(column)

    def rows(self, step: Step, column: str) -> pd.DataFrame:
        """Rows of one step and column."""
        method = dict(zip(BASELINED, step.baselined, strict=True)).get(column, column)
        tidy = self.tidy
        own = tidy[(tidy["condition"] == step.condition) & (tidy["metric"] == step.metric) & (tidy["method"] == method)]
        return own if step.every_seed else own[own["training_seed"] == tidy["training_seed"].min()]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Mean score of every step and column."""
        return pd.DataFrame(
            [
                {"step": step.name, "column": column, "metric": step.metric}
                | vars(mean_of(self.rows(step, column)).interval())
                for step in self.steps
                for column in self.columns
            ]
        )

    @cached_property
    def worth(self) -> pd.DataFrame:
        """Change from each precise step to the next, with Holm's p over all of them."""
        records = []
        for before, step in zip(self.precise, self.precise[1:], strict=False):
            for column in self.columns:
                now, then = self.rows(step, column), self.rows(before, column)
                found = difference(now, then, paired=set(now["pair"]) == set(then["pair"]))
                records.append(
                    {"step": step.name, "column": column, "metric": step.metric, "p": found.p_value}
                    | vars(found.interval())
                )
        table = pd.DataFrame(records)
        tested = ~table["column"].map(self.is_control)
        table["p_holm"] = table["p"]
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"])
        return table

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Whether each fault's removal raised or lowered each method's score."""
        shown = self.worth[~self.worth["column"].map(self.is_control) & self.worth["mean"].notna()]
        return [verdict(record, None, "holm") for record in shown.to_dict("records")]

    def score(self, step: Step, column: str) -> Record:
        """Mean with its interval."""
        table = self.scores
        (found,) = table[(table["step"] == step.name) & (table["column"] == column)].to_dict("records")
        return found


# --- Sections --------------------------------------------------------------------------------------------------------


def _answer(evidence: Evidence) -> list[Block]:
    first, last = evidence.precise[0], evidence.as_measured[-1]
    with_published = [
        f"{words} (published {_published(column)})"
        for column, words in _named_scores(evidence, first)
        if column in PUBLISHED
    ]
    items = [
        f"**The thesis' setting**, with as many runs and clips as it takes to say so: {listed(with_published)}.",
        *_decisive(evidence),
        f"**Without the faults** ({last.label[0].lower()}{last.label[1:]}): "
        f"{listed([words for _, words in _named_scores(evidence, last)])}. {_against_controls(evidence, last)}",
    ]
    return [Bullets(tuple(items)), Paragraph(_conclusion(evidence))]


def _named_scores(evidence: Evidence, step: Step) -> list[tuple[str, str]]:
    """Every column with its heading and its score."""
    found = [(column, evidence.score(step, column)) for column in evidence.columns]
    return [
        (column, f"{evidence.heading(column)} {interval_text(one['mean'], one['low'], one['high'])}")
        for column, one in found
    ]


def _decisive(evidence: Evidence) -> Iterator[str]:
    """A line per fault: what changed decidedly when it was removed."""
    for step in evidence.precise[1:]:
        own = [one for one in evidence.verdicts if one.subject["step"] == step.name]
        changed = [f"{evidence.heading(str(one.subject['column']))} {one.text}" for one in own if one.decided]
        words = listed(changed) if changed else "no method's score changed decidedly"
        yield f"**{step.label}**: {words}."


def _against_controls(evidence: Evidence, step: Step) -> str:
    """Which methods beat, on the same samples, every control of a step."""
    controls = [name for name in evidence.columns if evidence.is_control(name)]
    winners = []
    for column in evidence.columns:
        if evidence.is_control(column):
            continue
        own = evidence.rows(step, column)
        found = [difference(own, evidence.rows(step, control), paired=True).interval() for control in controls]
        if found and all(outcome(one.low, one.high, True) == "better" for one in found):
            winners.append(evidence.heading(column))
    names = listed([evidence.heading(name) for name in controls])
    if not controls:
        return "No control was run."
    return f"Better than {names} on the same clips: {listed(winners) or 'none'}."


def _conclusion(evidence: Evidence) -> str:
    """At which step each method with a baseline came above zero, and which correction moved most methods."""
    turned: dict[str, list[str]] = {}
    for column in BASELINED:
        scores = [(step.label, evidence.score(step, column)) for step in evidence.precise]
        first = next((label for label, found in scores if _sign(found["low"], found["high"]) > 0), "")
        turned.setdefault(first, []).append(evidence.heading(column))
    words = [
        f"{listed(names)}: at “{label}”" if label else f"{listed(names)}: at none" for label, names in turned.items()
    ]
    decided = [str(one.subject["step"]) for one in evidence.verdicts if one.decided]
    text = f"The first step at which the interval lies above zero is, for {'; for '.join(words)}."
    if not decided:
        return f"{text} No single correction changed a method's score decidedly."
    most = max(dict.fromkeys(decided), key=decided.count)
    label = next(step.label for step in evidence.steps if step.name == most)
    methods = sum(not evidence.is_control(column) for column in evidence.columns)
    return f"{text} The correction that changed most is “{label}”: {decided.count(most)} of {methods} methods."


def _sign(low: float, high: float) -> int:
    return 1 if low > 0 else -1 if high < 0 else 0


def _published(column: str) -> str:
    return " and ".join(number(value) for value in PUBLISHED[column]) if column in PUBLISHED else "–"


def _steps_table(evidence: Evidence) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            Cell("Published (AudioMNIST, AlexNet, 128 × 128)"),
            *(Cell(_published(column), PUBLISHED.get(column, (math.nan,))[0]) for column in evidence.columns),
        )
    ]
    rows += _rows(evidence, evidence.as_measured)
    text = (
        "Faithfulness correlation, mean [95 % interval over clusters]. Every row keeps what the rows above it put "
        "right. Rows 0 to 7 by Quantus's own definition."
    )
    caption = evidence.source.caption(text, counted=sizes(_of(evidence, evidence.as_measured)))
    columns = ("Step", *map(evidence.heading, evidence.columns))
    note = "every row keeps what the rows above it put right"
    return Table(
        f"{PREFIX}_steps", "One fault less in every row", caption, columns, tuple(rows), 1, evidence.scores, note
    )


def _rows(evidence: Evidence, steps: Sequence[Step]) -> list[tuple[Cell, ...]]:
    return [
        (
            Cell(f"{place}. {step.label}", float(place)),
            *(interval_cell(evidence.score(step, column)) for column in evidence.columns),
        )
        for place, step in enumerate(steps)
    ]


def _of(evidence: Evidence, steps: Sequence[Step]) -> pd.DataFrame:
    return evidence.scores[evidence.scores["step"].isin([step.name for step in steps])]


def _precise_table(evidence: Evidence) -> Table:
    own = _of(evidence, evidence.precise)
    text = (
        "The same faults with 100 runs and more clips in every row: faithfulness correlation by Quantus's own "
        "definition, mean [95 % interval over clusters]."
    )
    columns = ("Step", *map(evidence.heading, evidence.columns))
    rows = tuple(_rows(evidence, evidence.precise))
    caption = evidence.source.caption(text, counted=sizes(own))
    note = "the same faults, with 100 runs and more clips in every row"
    return Table(f"{PREFIX}_precise", "With more runs and clips", caption, columns, rows, 1, own, note)


def _worth_table(evidence: Evidence) -> Table:
    found = {(row["step"], row["column"]): row for row in evidence.worth.to_dict("records")}
    rows = tuple(
        (Cell(step.label), *(verdict(found[step.name, column], None, "holm").cell for column in evidence.columns))
        for step in evidence.precise[1:]
    )
    text = (
        "Change of faithfulness correlation when the fault is removed, with more runs and clips [95 % interval]: on "
        "the same clips where both rows have the same, else of independent groups; "
        f"{RULES['holm']} over the whole table."
    )
    columns = ("Put right", *map(evidence.heading, evidence.columns))
    caption = evidence.source.caption(text, counted=sizes(evidence.worth))
    return Table(f"{PREFIX}_worth", "What each fault was worth", caption, columns, rows, 1, evidence.worth)


def _models_table(evidence: Evidence) -> Table:
    names = {
        "folders": "folders told apart, random split",
        "random": "digits, random split",
        "apart": "digits, speakers apart",
        "fixed": "digits, speakers apart, one reference",
    }
    frame = pd.DataFrame(
        [
            {
                "model": names.get(name, name),
                "seed": card["seed"],
                "classes": len(card["class_names"]),
                "train": card["samples"]["train"],
                "tested": card["samples"]["test"],
                "accuracy": card["accuracy"]["test"],
            }
            for name, _, card in by_cell(evidence.results, evidence.conditions)
        ]
    ).drop_duplicates()
    columns = [
        number_column("Seed", "seed"),
        number_column("Classes", "classes"),
        number_column("Training clips", "train"),
        number_column("Test clips", "tested"),
        Column("Test accuracy", lambda row: Cell(percent(row["accuracy"]), row["accuracy"])),
    ]
    caption = evidence.source.caption("Models whose predictions are explained.")
    return listing(f"{PREFIX}_models", "Models", caption, frame, [text_column("Model", "model")], columns)


def _figure(evidence: Evidence) -> Figure:
    text = (
        "Faithfulness correlation of every method as one fault after the other is removed, from the top down, with "
        "95 % intervals, filled where they exclude zero. Circles: one batch, with ten runs until the row that puts "
        "that right; diamonds: the same faults with more runs and clips; crosses: the published means."
    )
    caption = evidence.source.caption(text, counted=sizes(evidence.scores))
    return Figure(f"{PREFIX}_steps_figure", "One fault less in every row", caption, partial(_drawn, evidence))


def _drawn(evidence: Evidence, width_inches: float) -> MatplotlibFigure:
    """A panel per column; steps down the page."""
    with settings():
        columns = evidence.columns
        across = math.ceil(len(columns) / 2)
        figure = new_figure(1.0 + 2 * (0.45 + 0.24 * len(evidence.as_measured)), width_inches)
        grid = figure.subplots(2, across, sharex=True, sharey=True, squeeze=False)
        for axes, column in zip(grid.flat, columns, strict=False):
            _panel(axes, evidence, column)
        for axes in grid.flat[len(columns) :]:
            axes.set_visible(False)
        handles = [
            Line2D([], [], color=ONE_BATCH, marker="o", markersize=3.5, linewidth=1, label="one batch, ten runs"),
            Line2D([], [], color=PRECISE, marker="D", markersize=3.5, linewidth=1, label="more runs and clips"),
            Line2D([], [], color=PUBLISHED_COLOUR, marker="x", linestyle="", label="published"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        add_title(figure, "Faithfulness correlation as one fault after the other is removed")
        return figure


def _panel(axes: Axes, evidence: Evidence, column: str) -> None:
    axes.axvline(0, color="#888888", linewidth=0.8)
    for steps, colour, marker, shift in (
        (evidence.as_measured, ONE_BATCH, "o", -0.14),
        (evidence.precise, PRECISE, "D", 0.2),
    ):
        for place, step in enumerate(steps):
            found = evidence.score(step, column)
            face = colour if _sign(found["low"], found["high"]) else "white"
            height = place + shift
            axes.plot([found["low"], found["high"]], [height, height], color=colour, linewidth=1)
            axes.plot(found["mean"], height, marker, color=colour, markersize=3, mfc=face, mew=0.8)
    for value in PUBLISHED.get(column, ()):
        axes.plot(value, 0, "x", color=PUBLISHED_COLOUR, markersize=5)
    axes.set_title(evidence.heading(column))
    labels = [fill(f"{place}. {step.label}", 34) for place, step in enumerate(evidence.as_measured)]
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0, labelsize=5.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _limits(evidence: Evidence) -> Iterator[str]:
    recordings = sorted({cell.dataset.removesuffix("_folders") for cell in evidence.results.cells})
    if recordings != ["audio_mnist"]:
        yield (
            f"The thesis used AudioMNIST, which is not here: {listed(recordings)} stands in for it. What is "
            "compared with the published numbers is the setting, not the recordings."
        )
    yield (
        "What is not known of the thesis' code was chosen here: its noise has a standard deviation of 1 dB, quiet "
        "features are those below the quartile of their band, recordings are trimmed and padded as this project does "
        "it, and its model was trained by this project's recipe."
    )
    yield (
        "The order in which faults are removed decides how a change is divided among them; another order would divide "
        "the same total otherwise."
    )
    yield (
        "Quantus draws its subsets from one stream of random numbers for the whole batch, so removal to silence also "
        "draws other subsets than removal to the minimum does: a change of that row within its interval is no effect."
    )
    fewest = int(evidence.scores.loc[evidence.scores["n"] > 0, "clusters"].min())
    if fewest < FEW_CLUSTERS:
        yield f"Some means rest on {counted(fewest, 'cluster')} only; their intervals deserve caution."
    undefined = int(evidence.scores["undefined"].sum())
    if undefined:
        yield f"Undefined scores (NaN): {undefined}, left out and counted."
