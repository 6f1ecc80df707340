"""Tables of Objective 1 for a thesis: means, differences, trends and models."""

import pandas as pd

from audioxai.report.answer import matched
from audioxai.report.sources import present_modalities
from audioxai.report.style import METRICS, arrow, in_order, metric_style
from audioxai.report.tables import Evidence
from audioxai.report.thesis.findings import INTERVALS, Findings, counted, grid_page
from audioxai.report.thesis.pages import Page, Source, TablePage


def table_pages(findings: Findings, evidence: Evidence, source: Source) -> list[Page]:
    """Means, differences, trends and models, as far as there are any."""
    names = {
        metric: metric_style(metric).short + arrow(metric, findings.directions)
        for metric in in_order(evidence.cells["metric"], METRICS)
    }
    made: list[Page] = []
    for modality in present_modalities(findings.rows):
        own = evidence.cells[evidence.cells["modality"] == modality]
        told = f"Mean scores on {modality} with 95 % intervals. {INTERVALS}"
        made.append(grid_page(f"o1_means_{modality}", source.caption(told, counted(own)), own, "resolution", names))
    if len(evidence.differences):
        own = evidence.differences.assign(
            resolution=[
                matched(int(audio), int(image))
                for audio, image in evidence.differences[["audio_resolution", "image_resolution"]].to_numpy()
            ]
        )
        caption = source.caption(f"Difference of means, audio − image, at like resolutions. {INTERVALS}", counted(own))
        made.append(grid_page("o1_differences", caption, own, "resolution", names))
    if len(evidence.trends):
        told = f"Change of the scores when the resolution doubles. {INTERVALS}"
        caption = source.caption(told, counted(evidence.trends))
        made.append(grid_page("o1_trends", caption, evidence.trends, "scope", names))
    if len(evidence.models):
        made.append(_models(evidence.models, source))
    return made


def _models(models: pd.DataFrame, source: Source) -> TablePage:
    parts = ("train", "validation", "test")
    lines = [
        [
            *(str(row[column]) for column in ("dataset", "architecture", "resolution", "seed")),
            *("n/a" if pd.isna(row[part]) else f"{100 * row[part]:.2f} %" for part in parts),
        ]
        for row in models.to_dict("records")
    ]
    header = ["Dataset", "Architecture", "Resolution", "Seed", *(part.capitalize() for part in parts)]
    caption = source.caption("Accuracy of the explained models.", f"n = {len(models)} models")
    return TablePage("o1_models", caption, header, lines, models, left_columns=2, wide=False)
