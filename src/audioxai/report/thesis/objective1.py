"""The thesis' pages on Objective 1: figures and tables of what its result rows say."""

from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from audioxai.report.answer import LEADING_METRIC
from audioxai.report.figures import difference_forest, heat_map, resolution_curves
from audioxai.report.sources import data_note, dataset_name, present_modalities
from audioxai.report.style import arrow, metric_style
from audioxai.report.tables import Evidence, gather
from audioxai.report.thesis.cost import cost_against_score
from audioxai.report.thesis.findings import INTERVALS, Findings, counted, overlay_pages
from audioxai.report.thesis.objective1_ranks import rank_pages
from audioxai.report.thesis.objective1_tables import table_pages
from audioxai.report.thesis.pages import DOUBLE_INCHES, FigurePage, Page, Source, resized


def pages(findings: Findings) -> list[Page]:
    """All pages that the rows can fill.

    Raises
    ------
    UserError
        As :func:`audioxai.report.tables.gather`.
    """
    evidence = gather(findings.rows, findings.cards, findings.directions)
    source = source_of(findings)
    return [
        *_score_pages(findings, evidence, source),
        *_cost_pages(findings, evidence, source),
        *overlay_pages(findings.overlays, source),
        *table_pages(findings, evidence, source),
        *rank_pages(findings, source),
    ]


def source_of(findings: Findings) -> Source:
    """What the captions end with."""
    seeds = tuple(sorted(int(seed) for seed in findings.rows["training_seed"].unique()))
    return Source(data_note(findings.rows).split("; training seed")[0], seeds, findings.command)


def _score_pages(findings: Findings, evidence: Evidence, source: Source) -> list[Page]:
    cells, directions = evidence.cells, findings.directions
    names = {modality: dataset_name(findings.rows, modality) for modality in present_modalities(findings.rows)}
    made: list[Page] = []
    for modality, name in names.items():
        own = cells[cells["modality"] == modality]
        told = (
            f"Scores of every method by every metric on {modality}: mean ± half-width of the 95 % interval, darker for "
            f"a better rank within a column. {INTERVALS}"
        )
        draw = partial(heat_map, own, directions, name)
        made.append(FigurePage(f"o1_scores_{modality}", source.caption(told, counted(own)), _double(draw)))
    if cells.groupby("modality")["resolution"].nunique().max() > 1:
        told = f"Mean scores against the resolution of the input. {INTERVALS}"
        draw = partial(resolution_curves, cells, directions, names)
        made.append(FigurePage("o1_resolution", source.caption(told, counted(cells)), _double(draw)))
    if len(evidence.differences):
        told = f"Difference of mean scores, audio − image, at like resolutions. {INTERVALS}"
        draw = partial(difference_forest, evidence.differences, directions, names)
        caption = source.caption(told, counted(evidence.differences))
        made.append(FigurePage("o1_audio_minus_image", caption, _double(draw)))
    return made


def _double(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    return lambda: resized(draw(), DOUBLE_INCHES)


def _cost_pages(findings: Findings, evidence: Evidence, source: Source) -> list[Page]:
    metric = (
        LEADING_METRIC if LEADING_METRIC in set(evidence.cells["metric"]) else str(evidence.cells["metric"].iloc[0])
    )
    keys = ["modality", "resolution", "method"]
    passes = findings.rows.groupby(keys)["map_passes"].first()
    scores = evidence.cells[evidence.cells["metric"] == metric]
    panels = []
    for modality in present_modalities(findings.rows):
        own = scores[scores["modality"] == modality]
        resolutions = sorted(own["resolution"].unique())
        panels.append(own[own["resolution"] == resolutions[len(resolutions) // 2]])
    table = pd.concat(panels, ignore_index=True)
    table["passes"] = [int(passes[tuple(row[key] for key in keys)]) for row in table.to_dict("records")]
    table["panel"] = table["modality"].str.capitalize() + " " + table["resolution"].astype(str)
    told = f"{metric_style(metric).name} against what one map costs in passes through the model. {INTERVALS}"
    label = metric_style(metric).name + arrow(metric, findings.directions)
    draw = partial(cost_against_score, table, list(dict.fromkeys(table["panel"])), label)
    return [FigurePage("o1_cost", source.caption(told, counted(table)), draw)]
