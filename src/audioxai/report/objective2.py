"""The summary of Objective 2 on disk: the answer to research question 2, then the tables it rests on.

``objective2.md`` is for reading, ``objective2.json`` holds the same statements and numbers for programs. The same rows
give the same bytes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.report.answer import bullets, counted_span
from audioxai.report.objective2_answer import QUESTION, answer, caveats
from audioxai.report.objective2_tables import CLIPS, CONTROLS, DIRECTIONS, GAP, REFERENCE, TRUTHS, Evidence, gather
from audioxai.report.objective2_targets import Target, p_value, targets
from audioxai.report.sources import stand_in_notice, stand_ins
from audioxai.report.style import METHODS, METRICS, arrow, estimate, in_order, method_style, metric_style, number
from audioxai.report.tables import markdown, method_by_metric, model_accuracies, records
from audioxai.utils.files import write_bytes

REMOVALS = ("removal_silence", "removal_noise", "removal_worst")
PROOF_NAMES = {
    "samples": "Clips",
    "with_cue": "With the cue",
    "without_cue": "Without it",
    "follows_swap": "Follows another's",
    "chance": "Chance",
}


def write_summary(
    rows: pd.DataFrame,
    proofs: Sequence[Mapping[str, Any]],
    cards: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
    destination: Path,
    evidence: Evidence | None = None,
) -> tuple[Path, Path]:
    """Write ``objective2.md`` and ``objective2.json``.

    Parameters
    ----------
    rows : DataFrame
        Result rows; see :mod:`audioxai.report.objective2_tables`.
    proofs : sequence of mappings
        One a model of planted cues: ``dataset``, ``model``, ``training_seed`` and the fields of
        :class:`~audioxai.datasets.ground_truth.reliance.CueReliance`.
    cards : sequence of mappings
        Model cards of the explained models.
    context : mapping
        Where the numbers come from: ``command``, ``profile``, ``commit`` and whatever else has to be told.
    destination : Path
        Folder, made where it is missing.
    evidence : Evidence or None
        What :func:`gather` makes of the rows, where it is there already.

    Returns
    -------
    tuple of Path
        The Markdown and the JSON file.

    Raises
    ------
    UserError
        As :func:`audioxai.report.objective2_tables.gather`, or if the files cannot be written.
    """
    evidence = gather(rows) if evidence is None else evidence
    reached, limits = targets(rows, evidence), caveats(rows, evidence)
    answered = answer(rows, evidence, reached)
    models, reliance = model_accuracies(cards), _proof_table(proofs)
    parts = [
        "# Objective 2: Integrated Gradients made for sound",
        *stand_in_notice(_recordings(rows)),
        "## Answer to research question 2",
        f"*{QUESTION}*",
        *answered,
        "## Targets",
        _target_table(reached),
        "## How far this goes",
        bullets(limits),
        "## Tables",
        *_tables(evidence, models, reliance),
        "## Where the numbers come from",
        bullets([*(f"{_titled(key)}: `{context[key]}`" for key in sorted(context)), f"Result rows: {len(rows)}"]),
    ]
    content = {
        "question": QUESTION,
        "stand_in": stand_ins(_recordings(rows)),
        "answer": answered,
        "best": evidence.best,
        "main_budget": evidence.main_budget,
        "targets": [target.record() for target in reached],
        "caveats": limits,
        "context": {key: context[key] for key in sorted(context)},
        "directions": DIRECTIONS,
        **{name: records(getattr(evidence, name)) for name in ("means", "gains", "leads", "gaps")},
        "cue_proofs": records(reliance),
        "models": records(models),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"
    return (
        write_bytes(destination / "objective2.md", ("\n\n".join(parts) + "\n").encode()),
        write_bytes(destination / "objective2.json", text.encode()),
    )


def _recordings(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose dataset is that of the recordings, also where ground truth was made of them."""
    return rows.assign(dataset=rows["dataset"].astype(str).str.replace(f"_({'|'.join(TRUTHS)})$", "", regex=True))


def _tables(evidence: Evidence, models: pd.DataFrame, reliance: pd.DataFrame) -> Iterator[str]:
    yield from _means_of(evidence, CLIPS, REMOVALS, "### Under the two removals")
    yield from _gain_tables(evidence)
    yield from _lead_tables(evidence)
    judged = [metric for metric in in_order(evidence.means["metric"], METRICS) if metric in METRICS]
    others = [m for m in judged if m not in REMOVALS and not m.startswith(("relevance", "pointing"))]
    yield from _means_of(evidence, CLIPS, others, "### Faithfulness correlation, sparseness and complexity")
    yield from _gap_tables(evidence)
    for material, name in TRUTHS.items():
        note = " (the mass is Focus)" if material == "sequences" else ""
        located = ("relevance_rank", "relevance_mass", "pointing_game")
        yield from _means_of(evidence, material, located, f"### Ground truth: {name}{note}")
    if len(reliance):
        yield "### Do the models go by the planted cue?"
        yield "*Share of test clips predicted as the class of the cue.*"
        yield _proofs_markdown(reliance)
    if len(models):
        yield "### Models"
        yield _models_markdown(models)


def _means_of(evidence: Evidence, material: str, metrics: Sequence[str], title: str) -> Iterator[str]:
    """Method × metric tables of every scope and budget; controls in each, for every method has to beat them."""
    table = evidence.means
    own = table[(table["material"] == material) & table["metric"].isin(metrics)]
    if own.empty:
        return
    header = {
        metric: metric_style(metric).name + arrow(metric, DIRECTIONS) for metric in in_order(own["metric"], metrics)
    }
    yield title
    for (scope, budget), group in own.groupby(["scope", "gradients"], sort=False):
        sizes = f"n = {counted_span(group['n'])}, clusters = {counted_span(group['clusters'])}"
        named = evidence.described(str(scope))
        yield f"*{named}, {budget} gradients: mean [95 % interval]; {sizes}.*"
        yield method_by_metric(group, header)


def _gain_tables(evidence: Evidence) -> Iterator[str]:
    table = evidence.gains
    if table.empty:
        return
    yield f"### Differences from {method_style(REFERENCE).name} under the worse removal"
    for (scope, budget), group in table.groupby(["scope", "gradients"], sort=False):
        sizes = f"n = {counted_span(group['n'])}, clusters = {counted_span(group['clusters'])}"
        named = evidence.described(str(scope))
        yield f"*{named}, {budget} gradients: difference [95 % interval], bold where Holm p < 0.05; {sizes}.*"
        yield _compared_markdown(group, "first")


def _lead_tables(evidence: Evidence) -> Iterator[str]:
    if evidence.leads.empty or evidence.best is None:
        return
    yield f"### {method_style(evidence.best).name} minus its peers and the controls"
    for scope, group in evidence.leads.groupby("scope", sort=False):
        named = evidence.described(str(scope))
        yield (
            f"*{named}, {evidence.main_budget} gradients, under the worse removal: difference [95 % interval], bold "
            "where Holm p < 0.05.*"
        )
        yield _compared_markdown(group, "second")


def _compared_markdown(table: pd.DataFrame, column: str) -> str:
    lines = []
    for row in table.to_dict("records"):
        text = estimate(row["mean"], row["low"], row["high"])
        lines.append(
            [
                method_style(row[column]).name,
                f"**{text}**" if row["p_holm"] < 0.05 else text,
                *(p_value(row[name]).removeprefix("p ").removeprefix("= ") for name in ("p", "p_holm")),
                p_value(row["signed_rank_p_holm"]).removeprefix("p ").removeprefix("= "),
                p_value(row["p_clips_holm"]).removeprefix("p ").removeprefix("= "),
                estimate(row["d_z"], row["d_z_low"], row["d_z_high"]),
                number(row["superiority"]),
            ]
        )
    header = ["Method", "Difference", "p", "p (Holm)", "Signed-rank p (Holm)", "p over clips (Holm)", "d_z"]
    return markdown([*header, "P(better)"], lines)


def _gap_tables(evidence: Evidence) -> Iterator[str]:
    table = evidence.gaps
    if table.empty:
        return
    yield "### Completeness and cost"
    for scope, group in table.groupby("scope", sort=False):
        budgets = sorted(group["gradients"].unique())
        named = evidence.described(str(scope))
        yield f"*{named}: median (95th percentile) of |ΣA − ΔF| / |ΔF| in %, by what was spent on a map.*"
        entries = {(row["method"], row["gradients"]): row for row in group.to_dict("records")}
        lines = [
            [method_style(method).name, *(_percents(entries.get((method, budget))) for budget in budgets)]
            for method in in_order(group["method"], METHODS)
        ]
        yield markdown(["Method", *(f"{budget} gradients" for budget in budgets)], lines)
    costs = evidence.means[evidence.means["method"].isin(CONTROLS)].groupby("method")["cost"].max()
    told = [f"{method_style(name).name} {costs[name]}" for name in in_order(costs.index, METHODS)]
    if told:
        yield f"Controls cost the same at every budget, in gradients a map: {', '.join(told)}. They claim no {GAP}."


def _percents(row: Mapping[Any, Any] | None) -> str:
    return "" if row is None else f"{100 * row['median']:.2g} ({100 * row['p95']:.2g})"


def _target_table(reached: Sequence[Target]) -> str:
    lines = [[target.name, target.wanted, target.found, f"**{target.verdict}**"] for target in reached]
    return markdown(["Target", "Wanted", "Found", "Verdict"], lines)


def _proof_table(proofs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame([dict(proof) for proof in proofs])
    keys = [name for name in ("dataset", "model", "training_seed") if name in table]
    return table.sort_values(keys, ignore_index=True) if keys else table


def _proofs_markdown(table: pd.DataFrame) -> str:
    lines = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row]
        for row in table.itertuples(index=False)
    ]
    return markdown([PROOF_NAMES.get(name, _titled(name)) for name in table.columns], lines)


def _models_markdown(models: pd.DataFrame) -> str:
    lines = [
        [str(value) if not isinstance(value, float) else f"{100 * value:.2f} %" for value in row]
        for row in models.itertuples(index=False)
    ]
    return markdown([_titled(name) for name in models.columns], lines)


def _titled(key: str) -> str:
    return key.replace("_", " ").capitalize()
