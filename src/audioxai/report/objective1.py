"""The summary of Objective 1 on disk: the answer to research question 1, then the tables it rests on.

``objective1.md`` is for reading, ``objective1.json`` holds the same statements and numbers for programs. The same rows
give the same bytes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.report.answer import QUESTION, answer, bullets, caveats, counted_span, matched
from audioxai.report.sources import data_note, dataset_name, present_modalities, stand_in_notice, stand_ins
from audioxai.report.style import (
    CONTROL,
    METRICS,
    Directions,
    arrow,
    estimate,
    in_order,
    method_style,
    metric_style,
    number,
)
from audioxai.report.tables import Evidence, gather, markdown, method_by_metric, records
from audioxai.utils.files import write_bytes

Caption = Callable[[str], str]


def write_summary(
    rows: pd.DataFrame,
    cards: Sequence[Mapping[str, Any]],
    directions: Directions,
    context: Mapping[str, Any],
    destination: Path,
) -> tuple[Path, Path]:
    """Write ``objective1.md`` and ``objective1.json``.

    Parameters
    ----------
    rows : DataFrame
        Result rows; see :mod:`audioxai.report.tables`.
    cards : sequence of mappings
        Model cards of the explained models.
    directions : mapping
        Metric → whether higher is better, None where neither end is.
    context : mapping
        Where the numbers come from: ``command``, ``profile``, ``commit`` and whatever else has to be told.
    destination : Path
        Folder, made where it is missing.

    Returns
    -------
    tuple of Path
        The Markdown and the JSON file.

    Raises
    ------
    UserError
        As :func:`audioxai.report.tables.gather`, or if the files cannot be written.
    """
    evidence = gather(rows, cards, directions)
    text = summary_markdown(rows, evidence, directions, context)
    content = summary_json(rows, evidence, directions, context)
    return (
        write_bytes(destination / "objective1.md", text.encode()),
        write_bytes(destination / "objective1.json", content.encode()),
    )


def summary_markdown(rows: pd.DataFrame, evidence: Evidence, directions: Directions, context: Mapping[str, Any]) -> str:
    """The whole of ``objective1.md``."""
    parts = [
        "# Objective 1: explanations of audio spectrograms and of images",
        *stand_in_notice(rows),
        "## Answer to research question 1",
        f"*{QUESTION}*",
        *answer(rows, evidence, directions),
        "## How far this goes",
        bullets(caveats(evidence)),
        "## Tables",
        *_tables(evidence, directions, _caption(rows, context)),
        "## Where the numbers come from",
        bullets(_provenance(rows, context)),
    ]
    return "\n\n".join(parts) + "\n"


def summary_json(rows: pd.DataFrame, evidence: Evidence, directions: Directions, context: Mapping[str, Any]) -> str:
    """The whole of ``objective1.json``; NaN is null and the keys keep their order."""
    content = {
        "question": QUESTION,
        "stand_in": stand_ins(rows),
        "answer": answer(rows, evidence, directions),
        "caveats": caveats(evidence),
        "context": {key: context[key] for key in sorted(context)},
        "directions": {metric: directions.get(metric) for metric in in_order(evidence.cells["metric"], METRICS)},
        **{name: records(table) for name, table in vars(evidence).items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _tables(evidence: Evidence, directions: Directions, caption: Caption) -> Iterator[str]:
    header = {
        metric: metric_style(metric).name + arrow(metric, directions)
        for metric in in_order(evidence.cells["metric"], METRICS)
    }
    if not evidence.models.empty:
        yield from ("### Models", caption("Accuracy of the explained models."), _model_table(evidence.models))
    yield "### Means"
    yield from _grids(evidence.cells, ["modality", "resolution"], _cell_title, header, caption)
    if not evidence.differences.empty:
        yield "### Differences audio − image"
        keys = ["audio_resolution", "image_resolution"]
        yield from _grids(evidence.differences, keys, _difference_title, header, caption)
    if not evidence.trends.empty:
        yield "### Trends over resolution"
        yield from _grids(evidence.trends, ["scope"], _trend_title, header, caption)
    if not evidence.leaders.empty:
        title = "Best and second method with the lead on the same samples [95 % interval], bold where it excludes zero."
        yield from ("### Best methods", caption(title), _leader_table(evidence.leaders, directions))
    if not evidence.contrasts.empty:
        oriented = {metric: name for metric, name in header.items() if directions.get(metric) is not None}
        yield "### Differences from the control"
        yield from _grids(evidence.contrasts, ["modality", "resolution"], _contrast_title, oriented, caption)


def _grids(
    table: pd.DataFrame,
    keys: list[str],
    title: Callable[..., str],
    header: Mapping[str, str],
    caption: Caption,
) -> Iterator[str]:
    """Caption and method × metric table of every group, in the order in which the groups appear."""
    for key, group in table.groupby(keys, sort=False):
        sizes = f"n = {counted_span(group['n'])}, clusters = {counted_span(group['clusters'])}"
        yield caption(f"{title(*key)}; {sizes}.")
        yield method_by_metric(group, header, bold_without_zero=title is not _cell_title)


def _cell_title(modality: str, resolution: int) -> str:
    return f"{modality.capitalize()} at {resolution}: mean [95 % interval]"


def _difference_title(audio: int, image: int) -> str:
    return f"Audio − image at {matched(audio, image)}: difference [95 % interval], bold where it excludes zero"


def _trend_title(scope: str) -> str:
    return f"{scope.capitalize()}: change per doubling [95 % interval], bold where it excludes zero"


def _contrast_title(modality: str, resolution: int) -> str:
    return (
        f"{modality.capitalize()} at {resolution}: method − {method_style(CONTROL).name} on the same samples "
        "[95 % interval], bold where it excludes zero"
    )


def _caption(rows: pd.DataFrame, context: Mapping[str, Any]) -> Caption:
    """Captions that all end with the data they rest on and the profile that was run."""
    ending = f"Data: {data_note(rows)}" + (f"; profile {context['profile']}." if "profile" in context else ".")
    return lambda title: f"*{title} {ending}*"


def _model_table(models: pd.DataFrame) -> str:
    lines = [
        [
            *(str(row[column]) for column in ("dataset", "architecture", "resolution", "seed")),
            *(_percent(row[part]) for part in ("train", "validation", "test")),
        ]
        for row in models.to_dict("records")
    ]
    return markdown(["Dataset", "Architecture", "Resolution", "Seed", "Train", "Validation", "Test"], lines)


def _percent(share: float | None) -> str:
    return "n/a" if share is None or pd.isna(share) else f"{100 * share:.2f} %"


def _leader_table(leaders: pd.DataFrame, directions: Directions) -> str:
    lines = []
    for row in leaders.to_dict("records"):
        lead = estimate(row["mean"], row["low"], row["high"])
        lines.append(
            [
                f"{row['modality']}, {row['resolution']}",
                metric_style(row["metric"]).name + arrow(row["metric"], directions),
                f"{method_style(row['method']).name} {number(row['score'])}",
                f"{method_style(row['second']).name} {number(row['second_score'])}",
                f"**{lead}**" if row["separated"] else lead,
            ]
        )
    return markdown(["Cell", "Metric", "Best", "Second", "Lead"], lines)


def _provenance(rows: pd.DataFrame, context: Mapping[str, Any]) -> list[str]:
    told = [f"{key.replace('_', ' ').capitalize()}: `{context[key]}`" for key in sorted(context)]
    data = [f"{modality.capitalize()}: {dataset_name(rows, modality)}" for modality in present_modalities(rows)]
    return [*told, *data, f"Result rows: {len(rows)}"]
