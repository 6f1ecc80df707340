"""Sections that the documents of all studies share: scores, controls, resolution, ranks, cost, samples and limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from audioxai.report.advice import Advice, leading_metric
from audioxai.report.blocks import (
    Column,
    Source,
    grid,
    interval_column,
    listing,
    method_column,
    metric_column,
    number_column,
    text_column,
)
from audioxai.report.document import Block, Bullets, Cell, Figure, Paragraph, Section, Table
from audioxai.report.estimates import (
    clustered_by_samples,
    contrast,
    directed,
    estimate,
    leaders,
    ordered,
    prepared,
    trend,
)
from audioxai.report.figures import cost_against_score, curves, forest, heat_map
from audioxai.report.overlays import overlay_figures
from audioxai.report.ranks import contests, rank_blocks
from audioxai.report.style import Style, capitalised, counted, listed, number, percent
from audioxai.report.verdicts import RULES, Verdict, named, tally, verdicts, with_outcomes

if TYPE_CHECKING:
    from audioxai.results import ExplainedCell, ResultSet

INTERVALS = (
    "Mean [95 % interval]: Student's t over clusters (speakers or other groups where they are known, else samples), "
    "scores count alike."
)
FEW_CLUSTERS = 20
OVERLAYS = 2
TERMS = (
    "**Score, n**: what a metric gives for one sample; n counts the scores of a cell. *undef.* counts scores that are "
    "not defined (NaN) and left out.",
    "**Cluster**: what was drawn independently: a group of samples that belong together (a speaker, a source "
    "recording), or a sample where no group is known. Intervals say what other clusters could change.",
    "**Control**: attributions that know nothing of the model: random ones, or the loudness of every bin (energy). "
    "What does not beat them explains nothing, whatever its score.",
    "**Setting**: one data set with one model at one resolution.",
    "**↑ and ↓**: higher or lower is better; without an arrow neither end is.",
    "**ΔF, gap**: change of the explained logit from the baseline to the input, and how far the attributions' sum is "
    "from it, |ΣA − ΔF| / |ΔF|.",
)


@dataclass(frozen=True, eq=False)
class View:
    """A result set as its document looks at it.

    Attributes
    ----------
    results : ResultSet
        What was measured.
    keys : tuple of str
        Columns that tell settings apart, such as modality and resolution.
    prefix : str
        Beginning of the names of tables and figures.
    """

    results: "ResultSet"
    keys: tuple[str, ...]
    prefix: str

    @cached_property
    def style(self) -> Style:
        """Names, order and colours."""
        return Style(self.results.methods, self.results.metrics)

    @cached_property
    def source(self) -> Source:
        """What captions end with."""
        return Source(self.results)

    @cached_property
    def tidy(self) -> pd.DataFrame:
        """Rows with clusters and pairs, of the first metric seed."""
        rows = self.results.rows
        return prepared(rows if rows.empty else rows[rows["seed"] == rows["seed"].min()])

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Means of every setting, method and metric."""
        return self._ordered(estimate(self.tidy, [*self.keys, "method", "metric"]))

    @cached_property
    def leaders(self) -> pd.DataFrame:
        """Best method of every setting and metric."""
        found: pd.DataFrame = leaders(self.tidy, self.keys, self.style)
        return found if found.empty else ordered(found, self.style, self.keys)

    @cached_property
    def contrasts(self) -> dict[str, pd.DataFrame]:
        """Control → method − control on the same pairs, with outcomes, for the metrics that have a direction."""
        rows, keys = directed(self.tidy, self.style), [*self.keys, "metric"]
        tables = {name: contrast(rows, keys, name) for name in self.style.controls(rows["method"])}
        return {name: with_outcomes(self._ordered(table), self.style) for name, table in tables.items() if len(table)}

    def label(self, record: Mapping[Any, Any]) -> str:
        """``Audio 64``: what a panel is titled."""
        parts = [self.source.dataset(str(record[key])) if key == "dataset" else str(record[key]) for key in self.keys]
        return capitalised(" ".join(parts) if len(parts) < 3 else ", ".join(parts))

    def labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        """A frame with the column ``setting``."""
        return table.assign(setting=[self.label(record) for record in table.to_dict("records")])

    def columns(self, *keys: str) -> dict[str, Column]:
        """Key columns of a table, then the method's."""
        found = {
            key: number_column(capitalised(key), key) if key == "resolution" else text_column(capitalised(key), key)
            for key in keys
        }
        return found | {"method": method_column(self.style)}

    def _ordered(self, table: pd.DataFrame) -> pd.DataFrame:
        return ordered(table, self.style, self.keys)


def middle_settings(view: View, cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of the middle resolution of everything that the other keys tell apart."""
    others = [key for key in view.keys if key != "resolution"]
    if "resolution" not in view.keys:
        return cells
    parts = [part for _, part in cells.groupby(others, sort=True)] if others else [cells]
    chosen: list[pd.DataFrame] = []
    for part in parts:
        resolutions = sorted(part["resolution"].unique())
        chosen.append(part[part["resolution"] == resolutions[len(resolutions) // 2]])
    return pd.concat(chosen)


def scores_section(view: View) -> Section:
    """Means of every method by every metric: table and heat maps."""
    cells, style = view.labelled(view.cells), view.style
    blocks: list[Block] = []
    first = view.keys[0]
    for value, own in cells.groupby(first, sort=True):
        name = f"{view.prefix}_scores_{_plain(str(value))}"
        text = (
            f"Scores of every method by every metric on {value}: mean ± half-width of the 95 % interval, a deeper blue "
            f"for a better rank within a column. Controls, below the line, are not ranked: what ignores the model is "
            f"stable for free. {absent(view, own)}"
        ).strip()
        title = f"{capitalised(str(value))}: mean ± half-width of the 95 % interval"
        draw = partial(heat_map, own, style, "setting", title)
        blocks.append(Figure(name, f"Scores on {value}", view.source.caption(text, own), draw))
    text = f"{INTERVALS} {absent(view, cells)}".strip()
    caption = view.source.caption(text, cells)
    blocks.append(grid(f"{view.prefix}_means", "Mean scores", caption, view.cells, view.columns(*view.keys), style))
    return Section("scores", "Scores", blocks)


def absent(view: View, cells: pd.DataFrame) -> str:
    """Which metrics of the study have no defined score here, as a sentence; empty if all have."""
    defined = set(cells.loc[cells["n"] > 0, "metric"])
    names = [view.style.metric(name) for name in view.style.metrics if name not in defined]
    return f"Not measured here: {listed(names)}." if names else ""


def controls_section(view: View) -> Section | None:
    """Methods against every control that was run: what came out, with the differences; None without a control."""
    blocks: list[Block] = []
    for control, table in view.contrasts.items():
        name, label = f"{view.prefix}_minus_{control}", view.style.method(control)
        shown = table[~table["first"].map(view.style.is_control)]
        found = verdicts(shown, view.style)
        counts = tally(found)
        blocks.append(
            Paragraph(
                f"On the same samples the methods beat **{label}** in {counts['better']} of "
                f"{counted(counts.count, 'cell')}, fall short of it in {counts['worse']} and cannot be told from it in "
                f"{counts['undecided']}."
            )
        )
        text = f"Methods against {label}; {RULES['interval'].removeprefix('bold: ')} where better or worse is said."
        blocks.append(outcome_table(view, f"{name}_outcomes", f"Against {label}", text, found))
        caption = view.source.caption(
            f"Method − {label} on the same samples [95 % interval]; {RULES['interval']}.", table
        )
        columns = {**view.columns(*view.keys), "method": method_column(view.style, name="first")}
        keys = {("first" if key == "method" else key): column for key, column in columns.items()}
        blocks.append(grid(name, f"Difference from {label}", caption, table, keys, view.style, "interval"))
        blocks.append(_forest(view, f"{name}_forest", control, shown))
    return Section("controls", "Against the controls", blocks) if blocks else None


def outcome_table(
    view: View,
    name: str,
    title: str,
    caption: str,
    found: Sequence[Verdict],
    key: str | None = None,
    headings: tuple[str, str] = ("Better", "Worse"),
) -> Table:
    """Which methods came out better and worse by which metric, a row per metric and value of ``key``.

    ``key`` is a field of the verdicts' subjects, the first key of the view if None.
    """
    side = view.keys[0] if key is None else key
    several = "resolution" if "resolution" in view.keys else view.keys[-1]
    rows = []
    for metric in view.style.ordered_metrics(str(one.subject["metric"]) for one in found):
        of_metric = [one for one in found if one.subject["metric"] == metric]
        for value in dict.fromkeys(str(one.subject.get(side, "")) for one in of_metric):
            own = [one for one in of_metric if str(one.subject.get(side, "")) == value]
            counts = tally(own)
            up, down = ("better", "worse") if view.style.direction(metric) is not None else ("higher", "lower")
            texts = [named(own, outcome, view.style, several) or "–" for outcome in (up, down)]
            if up == "higher":
                texts = [
                    text if text == "–" else f"{way} for {text}" for text, way in zip(texts, (up, down), strict=True)
                ]
            rows.append(
                (
                    metric_column(view.style).cell({"metric": metric}),
                    Cell(value),
                    *map(Cell, texts),
                    Cell(f"{counts['undecided']} of {counts.count}", float(counts["undecided"])),
                )
            )
    columns = ("Metric", capitalised(side), *headings, "Undecided")
    return Table(name, title, view.source.caption(caption), columns, tuple(rows), 2)


def best_section(view: View, advice: Advice | None) -> Section | None:
    """Who leads: standings by the leading metric, and best and second of every setting and metric."""
    blocks: list[Block] = []
    if advice is not None:
        blocks.append(standings_table(view, advice))
    table = view.leaders
    if len(table):
        decided = int(table["separated"].sum())
        blocks.append(
            Paragraph(
                "On the same samples, the best and the second method can be told apart in "
                f"{decided} of {counted(len(table), 'cell')} of setting × metric."
            )
        )
        text = "Best and second method by their means, controls left out, with the lead on the same samples"
        blocks.append(
            listing(
                f"{view.prefix}_leaders",
                "Best methods",
                view.source.caption(
                    f"{text} [95 % interval]; {RULES['interval']}. The best was picked from these numbers.", table
                ),
                table,
                [*list(view.columns(*view.keys).values())[:-1], metric_column(view.style)],
                [
                    Column("Best", partial(_with_score, view.style, "method", "score")),
                    Column("Second", partial(_with_score, view.style, "second", "second_score")),
                    interval_column("Lead", lambda row: bool(row["separated"])),
                ],
            )
        )
    return Section("best", "Which method does best", blocks) if blocks else None


def standings_table(view: View, advice: Advice) -> Table:
    """How every method stands by the leading metric."""
    metric = view.style.metric(advice.metric)
    controls = listed([view.style.method(name) for name in advice.controls]) or "none was run"
    text = (
        f"By {metric}, over the settings. Among the best: it leads, or its paired difference from the leader has an "
        f"interval with zero in it. Controls: {controls}."
    )
    frame = pd.DataFrame([vars(one) for one in advice.standings])
    columns = [
        Column("Advice", lambda row: Cell(_advised(str(row["method"]), advice), strong=row["method"] in advice.use)),
        *(number_column(heading, name) for name, heading in _STANDING.items()),
        Column("Means", lambda row: Cell(f"{number(row['lowest'])} to {number(row['highest'])}", row["highest"])),
        number_column("Mean rank", "mean_rank", "{:.2f}".format),
    ]
    name = f"{view.prefix}_standings"
    return listing(
        name, "Standing of the methods", view.source.caption(text), frame, [method_column(view.style)], columns
    )


def resolution_section(view: View, table: pd.DataFrame, keys: Sequence[str], x_label: str) -> Section | None:
    """Change of the scores per doubling of the resolution: outcomes, slopes and curves; None with one resolution.

    ``table`` is a trend with the columns ``keys``.
    """
    if table.empty:
        return None
    shown = table[~table["method"].map(view.style.is_control)]
    side = keys[0]
    text = f"Change of the score when the resolution doubles: named where {RULES['interval'].removeprefix('bold: ')}."
    outcomes = outcome_table(
        view,
        f"{view.prefix}_trend_outcomes",
        "What resolution changes",
        text,
        verdicts(shown, view.style),
        side,
        ("Improves for", "Worsens for"),
    )
    caption = view.source.caption(f"Change per doubling of the resolution [95 % interval]; {RULES['interval']}.", table)
    columns = view.columns(*keys)
    blocks: list[Block] = [outcomes]
    blocks.append(grid(f"{view.prefix}_trends", "Change per doubling", caption, table, columns, view.style, "interval"))
    others = [key for key in view.keys if key != "resolution"]
    cells = view.cells.assign(x=view.cells["resolution"].astype(float))
    cells["panel"] = [capitalised(", ".join(str(record[key]) for key in others)) for record in cells.to_dict("records")]
    text = "Mean scores against the resolution, which doubles along the axis, with their 95 % intervals."
    draw = partial(curves, cells, view.style, "panel", x_label)
    blocks.append(
        Figure(f"{view.prefix}_resolution", "Scores against resolution", view.source.caption(text, cells), draw)
    )
    return Section("resolution", "What resolution changes", blocks)


def trends(view: View, keys: Sequence[str]) -> pd.DataFrame:
    """Trend of every method and metric within ``keys``."""
    return ordered(trend(view.tidy, [*keys, "method", "metric"]), view.style, keys)


def ranks_section(view: View, title: str) -> Section | None:
    """Ranks, pairs and noise of the leading metric at the middle resolutions; tables hold every contest."""
    metric = leading_metric(list(view.tidy["metric"].unique()), view.style)
    rows = view.results.rows
    repeated = prepared(rows) if len(set(rows["seed"])) > 1 else view.tidy
    every = contests(repeated, view.keys, title, view.style)
    middle = middle_settings(view, view.cells)
    settings = {tuple(row[key] for key in view.keys) for row in middle.to_dict("records")}
    shown = [contest for key, contest in every.items() if key[:-1] in settings and key[-1] == metric]
    blocks = rank_blocks(shown, list(every.values()), view.style, view.source, view.prefix)
    return Section("ranks", "How sure the ranks are", blocks) if blocks else None


def cost_section(view: View) -> Section | None:
    """The leading metric against what a map costs, at the middle resolutions."""
    metric = leading_metric(list(view.tidy["metric"].unique()), view.style)
    if metric is None:
        return None
    passes = view.tidy.groupby([*view.keys, "method"])["map_passes"].first()
    table = view.labelled(middle_settings(view, view.cells[view.cells["metric"] == metric]))
    table["passes"] = [
        int(passes[(*(row[key] for key in view.keys), row["method"])]) for row in table.to_dict("records")
    ]
    table["panel"] = table["setting"]
    text = (
        f"{view.style.metric(metric)} against what one map costs in passes through the model, with 95 % intervals; the "
        "axis is linear from 0 to 1 pass and doubles from there on."
    )
    draw = partial(cost_against_score, table, view.style, view.style.heading(metric))
    figure = Figure(f"{view.prefix}_cost", "Cost against score", view.source.caption(text, table), draw)
    return Section("cost", "What a map costs", [figure])


def samples_section(view: View, chosen: Sequence["ExplainedCell"], methods: Sequence[str]) -> Section | None:
    """Attributions of the first samples of the chosen cells."""
    blocks: list[Block] = []
    for cell in chosen:
        own = [method for method in methods if method in cell.budgets]
        name = f"{view.prefix}_overlay_{_plain(cell.modality if len(chosen) < 3 else f'{cell.dataset} {cell.model}')}"
        blocks += overlay_figures(cell, OVERLAYS, own, view.style, view.source, name)
    return Section("samples", "Samples with their attributions", blocks) if blocks else None


def models_section(view: View) -> Section | None:
    """Accuracies of the explained models."""
    table = model_accuracies(view.results.models)
    if table.empty:
        return None
    keys = [
        text_column("Dataset", "dataset"),
        text_column("Architecture", "architecture"),
        number_column("Resolution", "resolution"),
        number_column("Seed", "seed"),
    ]
    parts = [number_column(part.capitalize(), part, percent) for part in ("train", "validation", "test")]
    caption = view.source.caption("Accuracy of the explained models.", counted=f"n = {counted(len(table), 'model')}")
    return Section("models", "Models", [listing(f"{view.prefix}_models", "Models", caption, table, keys, parts)])


def model_accuracies(cards: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per model card: data set, architecture, resolution, seed and the accuracies of its parts."""
    names = ("dataset", "architecture", "resolution", "seed")
    records = [
        {name: card[name] for name in names}
        | {part: card["accuracy"].get(part) for part in ("train", "validation", "test")}
        for card in cards
    ]
    return pd.DataFrame(records).sort_values(list(names), ignore_index=True) if records else pd.DataFrame()


def limits_section(view: View, judged: int, more: Sequence[str] = ()) -> Section:
    """What the numbers do not say; ``judged`` counts the differences that are looked at one by one."""
    return Section("limits", "How far this goes", [Bullets((*_limits(view, judged), *more))])


def terms_section() -> Section:
    """What the words of tables and figures mean."""
    return Section("terms", "Terms", [Bullets(TERMS)])


def kept(*sections: Section | None) -> list[Section]:
    """Those sections that there are."""
    return [section for section in sections if section is not None]


_STANDING = {
    "settings": "Settings",
    "best": "Among the best",
    "beats": "Beats every control",
    "worse": "Below a control",
}


def _limits(view: View, judged: int) -> Iterator[str]:
    cells = view.cells[view.cells["clusters"] > 0]
    yield (
        "Means weigh every score alike; intervals are Student's t over clusters (95 %), so they tell what other "
        "clusters could change. They hold for the models that were trained: what other training seeds would change is "
        "not in them."
    )
    if judged:
        yield (
            f"{judged} differences, trends and contrasts are looked at one by one, **without correction for "
            f"multiplicity**: about 5 % of them, {round(0.05 * judged)}, would exclude zero even if there were no "
            "effect anywhere. One cell by itself is a hint; the same sign over methods and settings is more."
        )
    yield "The best method of a cell was picked from the numbers it is judged by, so its lead is on the high side."
    for dataset in clustered_by_samples(view.tidy):
        yield (
            f"All samples of {dataset} are of one group, such as one speaker: its intervals rest on samples and speak "
            "of that group alone."
        )
    fewest = int(cells["clusters"].min()) if len(cells) else 0
    if fewest < FEW_CLUSTERS:
        yield (
            f"Some means rest on {counted(fewest, 'cluster')} only. Their intervals are the wider for it (none with "
            "one cluster), and where so few differ in a skewed way they still cover less than 95 %; they deserve "
            "caution."
        )
    undefined = int(view.cells["undefined"].sum())
    if undefined:
        yield f"Undefined scores (NaN): {undefined}, left out of the means and counted in the tables."
    if absent(view, view.cells):
        yield absent(view, view.cells)
    if len(set(view.results.rows["seed"])) < 2:
        yield "The metrics' own noise is not measured: all scores are of one metric seed."
    if view.results.missing:
        yield f"{counted(view.results.missing, 'part')} of the study are not there yet; the numbers will change."


def _forest(view: View, name: str, control: str, shown: pd.DataFrame) -> Figure:
    label = view.style.method(control)
    text = (
        f"Difference from {label} on the same samples with its 95 % interval, filled where it excludes zero; axes of "
        "metrics where lower is better run the other way, so right is always better than the control."
    )
    table = view.labelled(shown)
    draw: Callable[[float], Any] = partial(
        forest, table, view.style, "setting", "method", f"Difference of means, method − {label}"
    )
    return Figure(name, f"Difference from {label}", view.source.caption(text, shown), draw)


def _with_score(style: Style, method: str, score: str, row: Mapping[Any, Any]) -> Cell:
    return Cell(f"{style.method(row[method])} {number(row[score])}")


def _advised(method: str, advice: Advice) -> str:
    return "use" if method in advice.use else "avoid" if method in advice.avoid else "–"


def _plain(text: str) -> str:
    return "_".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split()) or "unnamed"
