"""The comparison of audio and images as plain text for a terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import pandas as pd

from audioxai.report.sources import dataset_name, present_modalities
from audioxai.report.style import METRICS, Directions, arrow, in_order, method_style, metric_style, number
from audioxai.report.tables import cell_means, matched_resolutions, modality_differences, prepared

NAME_WIDTH = 21


def print_table(
    rows: pd.DataFrame, directions: Directions, context: Mapping[str, Any], stream: TextIO | None = None
) -> None:
    """Print :func:`comparison_text` to ``stream``, standard output where none is given."""
    print(comparison_text(rows, directions, context), file=stream or sys.stdout)


def comparison_text(rows: pd.DataFrame, directions: Directions, context: Mapping[str, Any]) -> str:
    """Mean scores on audio and on images side by side, at most 110 columns wide for the five standard metrics.

    One block a pair of matched resolutions: methods down, metrics across, with ``*`` where the 95 % interval of
    audio − image excludes zero.

    Raises
    ------
    UserError
        As :func:`audioxai.report.tables.gather`.
    """
    tidy = prepared(rows)
    cells = cell_means(tidy)
    differences = modality_differences(tidy, directions)
    metrics = in_order(cells["metric"], METRICS)
    blocks = [
        _block(cells, differences, metrics, directions, audio, image) for audio, image in matched_resolutions(tidy)
    ] or ["No resolution was measured on both audio and images, so there is nothing to compare."]
    note = "↑ higher is better   ↓ lower is better   * 95 % interval of audio − image excludes zero"
    return "\n\n".join([_heading(rows, context), *blocks, note])


def _heading(rows: pd.DataFrame, context: Mapping[str, Any]) -> str:
    data = [f"{modality}: {dataset_name(rows, modality)}" for modality in present_modalities(rows)]
    profile = [f"profile: {context['profile']}"] if "profile" in context else []
    return "\n".join(["Objective 1: mean score of every explanation method", *data, *profile])


def _block(
    cells: pd.DataFrame,
    differences: pd.DataFrame,
    metrics: Sequence[str],
    directions: Directions,
    audio: int,
    image: int,
) -> str:
    means = cells.set_index(["modality", "resolution", "method", "metric"])["mean"].to_dict()
    here = differences[(differences["audio_resolution"] == audio) & (differences["image_resolution"] == image)]
    marked = {(row["method"], row["metric"]): row["low"] > 0 or row["high"] < 0 for row in here.to_dict("records")}
    names = [metric_style(metric).short + arrow(metric, directions) for metric in metrics]
    lines = [
        f"Resolution {audio}" if audio == image else f"Resolution {audio} (audio), {image} (image)",
        "Method".ljust(NAME_WIDTH) + "".join(f"{name:>16} " for name in names),
        " " * NAME_WIDTH + f"{'audio':>8}{'image':>8} " * len(metrics),
    ]
    for method in dict.fromkeys(here["method"]):
        line = method_style(method).name.ljust(NAME_WIDTH)
        for metric in metrics:
            on_audio = means.get(("audio", audio, method, metric))
            on_image = means.get(("image", image, method, metric))
            line += f"{_cell(on_audio):>8}{_cell(on_image):>8}" + ("*" if marked.get((method, metric)) else " ")
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: float | None) -> str:
    return "" if value is None else number(value)
