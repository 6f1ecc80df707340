"""The document of Objective 2: how Integrated Gradients can be improved for audio, from a result set alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from audioxai.report.blocks import (
    Column,
    Source,
    grid,
    interval_column,
    listing,
    method_column,
    number_column,
    text_column,
)
from audioxai.report.document import Block, Bullets, Document, Paragraph, Section, Table
from audioxai.report.objective2_answer import advice, answer, limits, reasons, terms
from audioxai.report.objective2_estimates import (
    ALL,
    CLIPS,
    GAP,
    LEADING,
    PLAIN,
    REFERENCE,
    REMOVALS,
    TRUTHS,
    Evidence,
    by_budget,
    gather,
)
from audioxai.report.objective2_figures import figures, shown_methods, strongest_of
from audioxai.report.objective2_measures import measures_every, measures_figure, measures_table
from audioxai.report.objective2_targets import targets
from audioxai.report.overlays import overlay_figures
from audioxai.report.ranks import Contest, contests, rank_blocks
from audioxai.report.sections import View, kept, model_accuracies, models_section
from audioxai.report.style import listed, p_value, percent, span
from audioxai.report.verdicts import RULES, verdict

if TYPE_CHECKING:
    from audioxai.results import ResultSet

QUESTION = "How can Integrated Gradients be improved for audio?"
PREFIX = "o2"
CLIPS_SHOWN = 3
# More methods than these make no readable diagram.
MOST_RANKED = 15
MEANS = "Mean [95 % interval]; undef. counts scores that do not exist and are left out."
EFFECTS = (
    f"under the worse removal, on the same clips [95 % interval], {RULES['holm']}. d_z is the mean over the standard "
    "deviation of the clusters' mean differences; P(better) is the share of pairs in which the first is better, ties "
    "half; a cluster is a group, or a clip where a data set has one group."
)

Make = Callable[[str, str, str, pd.DataFrame, dict[str, Column]], Table]


def objective2_document(results: "ResultSet") -> Document:
    """Everything that Objective 2 found.

    Raises
    ------
    UserError
        If there are no rows, or only ground truth was scored.
    """
    evidence, source = gather(results), Source(results)
    reached, drawn = targets(evidence), figures(results, evidence, source)
    reliance, view = _reliance(results), View(results, ("dataset", "model"), PREFIX)
    whole, why = list[Block](), reasons(evidence)

    def shown(*names: str) -> list[Block]:
        return [drawn[name] for name in names if name in drawn]

    def scores(tables: Iterator[tuple[Table, bool]]) -> list[Block]:
        """Tables to be read here; those of every model and budget go to a section of their own."""
        found = list(tables)
        whole.extend(table for table, every in found if every)
        return [table for table, every in found if not every]

    sections: dict[tuple[str, str], Sequence[Block]] = {
        ("answer", "Answer"): [*answer(evidence, reached), *measures_table(evidence, source)],
        ("why", "Why"): why,
        ("targets", "Targets"): [_target_table(pd.DataFrame([one.record() for one in reached]), reached, source)],
        ("limits", "How far this goes"): [Bullets(tuple(limits(evidence)))],
        ("terms", "Terms"): [Bullets(tuple(terms(evidence)))],
        ("removal", "Under the two removals"): [
            *shown("curves_plain_and_silence", "curves_two_removals"),
            *scores(_means(evidence, source, "removal", "Scores under the two removals", REMOVALS)),
        ],
        ("gains", "Against silence IG, peers and controls"): [
            *shown("difference_from_silence"),
            *scores(_differences(evidence, source, "gains", "first")),
            *scores(_differences(evidence, source, "leads", "second")),
            *rank_blocks(*_contests(evidence), evidence.style, source, PREFIX),
        ],
        ("metrics", "By every metric"): [
            *measures_figure(evidence, source),
            *shown("method_by_metric"),
            *scores(_other_means(evidence, source)),
        ],
        ("cost", "Completeness and cost"): [
            *shown("score_against_gradients", "cost"),
            *scores(_gaps(evidence, source)),
            *_control_costs(evidence),
        ],
        ("ground_truth", "Where it is known which bins are relevant"): [
            *shown("ground_truth"),
            *(
                block
                for kind in evidence.materials
                for block in scores(_means(evidence, source, kind, _truth(kind), evidence.style.metrics, kind))
            ),
            *_reliance_table(reliance, source),
        ],
        ("maps", "Attribution maps"): _overlays(results, evidence, source),
    }
    whole.extend(measures_every(evidence, source))
    ending = models_section(view), Section("every", "Every model and budget", whole) if whole else None
    return Document(
        name=results.study,
        title=results.title,
        question=results.question or QUESTION,
        sections=kept(*(Section(*head, blocks) if blocks else None for head, blocks in sections.items()), *ending),
        stand_ins=source.stand_ins,
        data={
            "best": evidence.best,
            "main_budget": evidence.main_budget,
            "advice": asdict(advice(evidence)),
            "why": [text for block in why for text in ([block.text] if isinstance(block, Paragraph) else block.items)],
            "targets": [target.record() for target in reached],
            "directions": {name: entry.higher_is_better for name, entry in results.metrics.items()},
            **{name: getattr(evidence, name) for name in ("means", "gains", "leads", "measures", "gaps")},
            "cue_proofs": reliance,
            "models": model_accuracies(results.models),
        },
        context={**results.context, "result_rows": len(results.rows)},
        shown=tuple(dict.fromkeys([PLAIN, evidence.best or REFERENCE, *shown_methods(evidence)])),
    )


def _short_and_whole(
    evidence: Evidence, source: Source, name: str, title: str, text: str, table: pd.DataFrame, made: Make
) -> Iterator[tuple[Table, bool]]:
    """The table over all models at the main budget; where there is more, another one of every model and budget."""
    if table.empty:
        return
    keys = {"method": method_column(evidence.style)}
    here = table[table["scope"] == table["scope"].iloc[-1]]
    main = evidence.main_budget if (here["gradients"] == evidence.main_budget).any() else here["gradients"].max()
    here = here[here["gradients"] == main]
    every = {"scope": text_column("Models", "scope"), "gradients": number_column("Gradients", "gradients"), **keys}
    parts = [(name, title, here, keys), (f"{name}_every", f"{title}, every model and budget", table, every)]
    for named, titled, frame, columns in parts[: 1 + (len(here) < len(table))]:
        scopes, budgets = sorted(set(frame["scope"])), [str(budget) for budget in sorted(set(frame["gradients"]))]
        where = scopes[0] if len(scopes) == 1 and scopes[0] != ALL else "all data sets and architectures"
        counted = "" if "clusters" in frame else f"n = {span(frame['n'])} scores per cell"
        caption = source.caption(f"{text} On {where}, {listed(budgets)} gradients per map.", frame, counted)
        yield made(f"{PREFIX}_{named}", titled, caption, frame, columns), frame is table


def _means(
    evidence: Evidence, source: Source, name: str, title: str, metrics: Iterable[str], kind: str = CLIPS
) -> Iterator[tuple[Table, bool]]:
    """Mean and interval of every method by ``metrics``, on one kind of material."""
    table = evidence.means
    own = table[(table["material"] == kind) & table["metric"].isin(list(metrics))]

    def made(name: str, title: str, caption: str, frame: pd.DataFrame, keys: dict[str, Column]) -> Table:
        return grid(name, title, caption, frame, keys, evidence.style)

    yield from _short_and_whole(evidence, source, name, title, MEANS, own, made)


def _other_means(evidence: Evidence, source: Source) -> Iterator[tuple[Table, bool]]:
    known = evidence.style.ordered_metrics(evidence.clips["metric"])
    others = [metric for metric in known if metric not in (*REMOVALS, GAP)]
    return _means(evidence, source, "other_metrics", "Scores by the other metrics", others)


def _differences(evidence: Evidence, source: Source, name: str, method: str) -> Iterator[tuple[Table, bool]]:
    """Every method minus silence IG (``gains``), or the best audio IG minus its peers and the controls (``leads``)."""
    style, best = evidence.style, evidence.style.method(evidence.best or "")
    differences = {"gains": f"Method − {style.method(REFERENCE)}", "leads": f"{best} − method"}[name]

    def made(name: str, title: str, caption: str, frame: pd.DataFrame, keys: dict[str, Column]) -> Table:
        own = [*list(keys.values())[:-1], method_column(style, name=method)]
        return listing(name, title, caption, frame, own, columns)

    columns = [
        Column("Difference", lambda row: verdict(row, True, "holm").cell),
        number_column("p", "p", _p),
        number_column("p (Holm)", "p_holm", _p),
        number_column("Signed-rank p (Holm)", "signed_rank_p_holm", _p),
        number_column("p over clips (Holm)", "p_clips_holm", _p),
        interval_column("d_z", prefix="d_z"),
        interval_column("P(better)", prefix="superiority"),
    ]
    text = f"{differences}, {EFFECTS}"
    yield from _short_and_whole(evidence, source, name, differences, text, getattr(evidence, name), made)


def _gaps(evidence: Evidence, source: Source) -> Iterator[tuple[Table, bool]]:
    columns = [number_column("Median gap ↓", "median", percent), number_column("95th percentile ↓", "p95", percent)]

    def made(name: str, title: str, caption: str, frame: pd.DataFrame, keys: dict[str, Column]) -> Table:
        return listing(name, title, caption, frame, list(keys.values()), [*columns, number_column("Clips", "n")])

    text = "Completeness gap |ΣA − ΔF| / |ΔF| of the recordings."
    return _short_and_whole(evidence, source, "completeness", "Completeness gap", text, evidence.gaps, made)


def _target_table(frame: pd.DataFrame, reached: Sequence[Any], source: Source) -> Table:
    columns = ("Target", "Asked for", "Found", "Outcome")
    caption = source.caption("What the study set out to reach; bold where it is met.")
    return Table(f"{PREFIX}_targets", "Targets", caption, columns, tuple(one.cells for one in reached), frame=frame)


def _contests(evidence: Evidence) -> tuple[list[Contest], list[Contest]]:
    """Methods under the worse removal at the main budget: those that are drawn, over all models; and every scope's."""
    rows = evidence.clips[evidence.clips["metric"] == LEADING]
    rows = dict(by_budget(rows, evidence.style)).get(evidence.main_budget, rows)
    overall = rows.assign(scope=evidence.overall())
    fixed = [evidence.best, PLAIN, REFERENCE, *evidence.of_role("control"), *evidence.of_role("peer")]
    chosen = list(dict.fromkeys([*fixed, *strongest_of(evidence, "ours", "method")]))[:MOST_RANKED]
    drawn, every, single = (
        list(contests(part, ["scope"], "{scope}: {metric}", evidence.style).values())
        for part in (overall[overall["method"].isin(chosen)], overall, rows)
    )
    return drawn, [*every, *(single if len(single) > 1 else [])]


def _control_costs(evidence: Evidence) -> list[Block]:
    table = evidence.means[evidence.means["method"].isin(evidence.of_role("control"))]
    costs = table.groupby("method")["cost"].max()
    told = [f"{evidence.style.method(name)} {costs[name]}" for name in evidence.style.ordered_methods(costs.index)]
    text = "Controls cost the same at every budget, in model passes per map: {}. They do not claim to add up."
    return [Paragraph(text.format(", ".join(told)))] if told else []


def _overlays(results: "ResultSet", evidence: Evidence, source: Source) -> Sequence[Block]:
    """Maps of a few clips of the first model."""
    cell = next((cell for cell in results.cells if cell.material == CLIPS), None)
    if cell is None:
        return []
    methods = [method for method in shown_methods(evidence) if method in cell.budgets]
    return overlay_figures(cell, CLIPS_SHOWN, methods, evidence.style, source, f"{PREFIX}_overlay")


def _truth(kind: str) -> str:
    return f"Ground truth: {TRUTHS[kind]}" + (" (the mass is Focus)" if kind == "sequences" else "")


def _reliance(results: "ResultSet") -> pd.DataFrame:
    """How much models of planted cues go by them, one row per model card that says so."""
    records = (
        {"dataset": card["dataset"], "model": card["architecture"], "training_seed": card["seed"], **reliance}
        for card in results.models
        for reliance in [card.get("cue_reliance")]
        if reliance
    )
    table = pd.DataFrame(records)
    return table.sort_values(["dataset", "model", "training_seed"], ignore_index=True) if len(table) else table


def _reliance_table(table: pd.DataFrame, source: Source) -> list[Block]:
    shares = {
        "with_cue": "With the cue",
        "without_cue": "Without it",
        "follows_swap": "Follows another's",
        "chance": "Chance",
    }
    columns = [number_column("Clips", "samples"), *(number_column(shares[name], name, percent) for name in shares)]
    keys = [text_column("Data set", "dataset"), text_column("Model", "model"), number_column("Seed", "training_seed")]
    text = "Share of test clips predicted as the class of the planted cue; a model that ignores cues proves nothing."
    title = "Do the models go by the planted cue?"
    return [listing(f"{PREFIX}_cue_reliance", title, source.caption(text), table, keys, columns)] if len(table) else []


def _p(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ")
