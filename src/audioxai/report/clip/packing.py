"""What the page's script is given of each explained clip: pictures, the sound, and with which share each bin is kept.

The page filters the sound itself, for any share, class and window: the original and one byte per time–frequency bin are
enough, where ready-made sounds of seven shares would be fourteen times the original for every class. What the model
says to those sounds comes from the curves that trust was measured by, and takes no further passes.
"""

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from audioxai.domains import Stft
from audioxai.listening import kept_from_percent
from audioxai.report.clip.pictures import Canvas, PlacedMap
from audioxai.report.clip.words import isolated, probability_text, where
from audioxai.report.overlays import scale_of, shares_of
from audioxai.report.render.html.packing import (
    in_base64,
    packed_axis,
    packed_levels,
    packed_map,
    packed_palettes,
    packed_sound,
    packed_time_axis,
)

if TYPE_CHECKING:
    from audioxai.explanation import Explanation, Timeline

LEAST_PERCENT = 5
USUAL_PERCENT = 20
TIMELINE_CLASSES = 5
MOST_TIMELINE_COLUMNS = 1200


def packed(views: Sequence["Explanation"], timeline: "Timeline | None") -> dict[str, Any]:
    """Everything that the script is given, ready for JSON; one entry for each explained clip of the recording."""
    return {
        "palettes": packed_palettes(),
        "views": [packed_view(view, Canvas.of(view)) for view in views],
        "timeline": None if timeline is None else packed_timeline(views, timeline),
    }


def packed_view(view: "Explanation", canvas: Canvas) -> dict[str, Any]:
    """An explained clip: the clip itself, its maps, and with which share each bin is kept."""
    classes = [view, *view.alternatives]
    placed = [canvas.map_of(one) for one in classes]
    scale = max(scale_of(one.values) for one in placed)
    return {
        **packed_clip(view.waveform, canvas, view.start_s, view.source),
        "classes": [_packed_class(one, at, scale, view.start_s) for one, at in zip(classes, placed, strict=True)],
        "percent": opening_percent(view),
    }


def packed_clip(waveform: Tensor, canvas: Canvas, start_s: float, source: str) -> dict[str, Any]:
    """Picture, axes and sound of a clip ``(1, 1, time)`` that begins at ``start_s`` of its recording."""
    levels, value_range = canvas.levels(waveform)
    rate_hz = canvas.stft.sample_rate_hz
    end_s = start_s + canvas.stft.samples / rate_hz
    return {
        "startS": start_s,
        "shape": list(levels.shape),
        "levels": packed_levels(levels, value_range),
        "valueRange": list(value_range),
        "valueUnit": "dB re. full scale",
        "rows": packed_axis(("frequency", "Hz", canvas.rows_hz.tolist())),
        "columns": packed_time_axis(start_s, end_s),
        "upwards": True,
        "rowBins": canvas.rows_of_bins(),
        "sound": _packed_waveform(waveform, rate_hz, source),
        "rateHz": rate_hz,
        "stft": _packed_stft(canvas.stft),
    }


def _packed_class(one: "Explanation", placed: PlacedMap, scale: float, start_s: float) -> dict[str, Any]:
    return {
        "name": isolated(one.label),
        "probability": probability_text(one.score),
        "where": where(one, start_s),
        "mapShape": list(placed.values.shape),
        "map": packed_map(shares_of(placed.values, scale)),
        "extent": list(placed.extent),
        "keptFrom": packed_bins(kept_from_percent(one.attributions, one.domain)),
        "curves": _packed_curves(one),
    }


def packed_bins(values: "np.ndarray[Any, np.dtype[np.uint8]]") -> str:
    """Bytes ``(bins, frames)``, each as its difference from the one before it in time (modulo 256), deflated.

    Neighbouring frames differ by little, so that this is about half as long as the bytes themselves.
    """
    differences = np.diff(values, axis=1, prepend=np.uint8(0))
    return in_base64(zlib.compress(differences.tobytes(), 9))


def opening_percent(view: "Explanation") -> int:
    """Whole percentage that the slider shows first: the smallest share that keeps the decision, else 20."""
    share = view.trust.kept_share if view.trust is not None else None
    return USUAL_PERCENT if share is None else min(100, max(LEAST_PERCENT, int(np.ceil(100 * share))))


def packed_timeline(views: Sequence["Explanation"], timeline: "Timeline") -> dict[str, Any]:
    """Probabilities over a recording, of the classes that are likeliest anywhere in it, and where each view lies."""
    found = timeline.probabilities.double().numpy()
    explained = list(dict.fromkeys(view.target for view in views))
    likeliest = np.argsort(-found.max(axis=0), kind="stable").tolist()
    shown = list(dict.fromkeys([*explained, *likeliest]))[: max(TIMELINE_CLASSES, len(explained))]
    starts = timeline.starts_s.double().numpy()
    hop_s = float(starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else timeline.window_s
    columns = min(len(starts), MOST_TIMELINE_COLUMNS)
    edges = np.linspace(0, len(starts), columns + 1).round().astype(int)
    pooled = np.maximum.reduceat(found[:, shown], edges[:-1], axis=0).T
    first = float(starts[0]) + (timeline.window_s - hop_s) / 2.0
    model = views[0].model
    return {
        "names": [isolated(model.name_of(index)) for index in shown],
        "shape": list(pooled.shape),
        "levels": packed_levels(pooled, (0.0, 1.0)),
        "upwards": False,
        "extentS": [max(0.0, first), min(timeline.recording_s, first + len(starts) * hop_s)],
        "recordingS": timeline.recording_s,
        "windowS": timeline.window_s,
        "columns": packed_time_axis(0.0, timeline.recording_s),
        "starts": [round(float(start), 6) for start in starts],
        "best": [
            [isolated(model.name_of(int(best))), probability_text(float(row[best]))]
            for row, best in ((row, row.argmax()) for row in found)
        ],
    }


def _packed_waveform(waveform: Tensor, rate_hz: int, source: str) -> str:
    """A clip ``(1, 1, time)``, divided by its peak where it exceeds full scale."""
    samples = waveform[0, 0].detach().double().numpy()
    return packed_sound(samples / max(1.0, float(np.abs(samples).max())), rate_hz, source)


def _packed_stft(stft: Stft) -> dict[str, int]:
    bins, frames = stft.shape
    return {
        "windowLength": stft.window_length,
        "hopLength": stft.hop_length,
        "samples": stft.samples,
        "bins": bins,
        "frames": frames,
    }


def _packed_curves(one: "Explanation") -> dict[str, list[float]] | None:
    traced = None if one.trust is None else one.trust.traced
    if traced is None:
        return None
    return {
        name: values if name == "share" else [round(value, 5) for value in values] for name, values in traced.items()
    }
