"""How clips with their maps and sounds are packed into the page.

Conventions
-----------
Levels and maps are packed as bytes, row by row, and sounds as 16-bit FLAC, all in base64. Ticks are fractions of an
axis, from its first cell's outer edge to its last one's.
"""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import soundfile
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from audioxai.report.gallery import Floats, GalleryClip, Sounds
from audioxai.report.overlays import ATTRIBUTION_COLOURS, BACKGROUND_COLOURS, FREQUENCY_TICKS_HZ, Axis, shares_of
from audioxai.utils.errors import UserError

DARK_COLOURS = LinearSegmentedColormap.from_list("dark background", ["#14171a", "#8c8c8c"])
_PCM_16 = 2**15
_SMALLEST_FILES = 1.0
_LEAST_TICK_DISTANCE = 0.07


def packed(clips: Sequence[GalleryClip]) -> dict[str, Any]:
    """Everything that the gallery's script is given, ready for JSON.

    Raises
    ------
    UserError
        If a map does not have its clip's shape, or a sound exceeds full scale or is not finite.
    """
    return {
        "palettes": {
            "levels": _palette(BACKGROUND_COLOURS),
            "darkLevels": _palette(DARK_COLOURS),
            "map": _palette(mpl.colormaps[ATTRIBUTION_COLOURS]),
        },
        "clips": [_packed_clip(clip) for clip in clips],
    }


def _packed_clip(clip: GalleryClip) -> dict[str, Any]:
    overlay = clip.overlay
    low, high = clip.value_range
    shares = np.clip((overlay.inputs - low) / (high - low), 0.0, 1.0)
    methods = list(clip.labels)
    return {
        "title": overlay.title,
        "group": clip.group,
        "shape": list(overlay.inputs.shape),
        "levels": _base64(np.rint(255.0 * shares).astype(np.uint8).tobytes()),
        "valueUnit": overlay.value_unit,
        "valueRange": [low, high],
        "rows": _packed_axis(overlay.row_axis),
        "columns": _packed_axis(overlay.column_axis),
        "upwards": overlay.row_axis[1] == "Hz",
        "original": None if clip.sounds is None else _sound(clip.sounds.original, clip.sounds, overlay.title),
        "methods": [_packed_method(method, clip) for method in methods],
        "opening": [methods.index(method) for method in clip.opening if method in methods][:2] or [0],
    }


def _packed_method(method: str, clip: GalleryClip) -> dict[str, Any]:
    overlay = clip.overlay
    attributions = overlay.attributions[method]
    if attributions.shape != overlay.inputs.shape:
        raise UserError(
            f"the map of {method} has shape {attributions.shape} but {overlay.title} has {overlay.inputs.shape}; "
            "show maps that have a clip's bins"
        )
    shares = shares_of(attributions)
    return {
        "name": clip.labels[method],
        "note": overlay.notes.get(method, ""),
        "map": _base64(np.rint(127.0 * shares).astype(np.int8).tobytes()),
        **_packed_parts(method, clip),
    }


def _packed_parts(method: str, clip: GalleryClip) -> dict[str, Any]:
    if clip.sounds is None or method not in clip.sounds.parts:
        return {"kept": None, "removed": None, "soundNote": ""}
    parts = clip.sounds.parts[method]
    kept, removed = (_sound(one, clip.sounds, clip.overlay.title) for one in (parts.kept, parts.removed))
    return {"kept": kept, "removed": removed, "soundNote": parts.note}


def _packed_axis(axis: Axis) -> dict[str, Any]:
    name, unit, coordinates = axis
    step = (coordinates[-1] - coordinates[0]) / max(1, len(coordinates) - 1)
    ticks = [[place, _tick_label(value, unit)] for value, place in _ticks(axis)]
    return {"name": name, "unit": unit, "first": coordinates[0], "step": step, "ticks": ticks}


def _ticks(axis: Axis) -> list[tuple[float, float]]:
    """(coordinate, place) of round coordinates, those too near to the last one left out."""
    _, unit, coordinates = axis
    count = len(coordinates)
    wanted = FREQUENCY_TICKS_HZ if unit == "Hz" else MaxNLocator(5).tick_values(coordinates[0], coordinates[-1])
    found: list[tuple[float, float]] = []
    for value in wanted:
        place = (float(np.interp(value, coordinates, np.arange(count))) + 0.5) / count
        inside = coordinates[0] <= value <= coordinates[-1]
        if inside and (not found or place - found[-1][1] >= _LEAST_TICK_DISTANCE):
            found.append((float(value), place))
    return found


def _tick_label(value: float, unit: str) -> str:
    return f"{value / 1000:g}k" if unit == "Hz" and value >= 1000 else f"{value:g}"


def _sound(waveform: Floats, sounds: Sounds, title: str) -> str:
    peak = float(np.abs(waveform).max())
    if not peak <= 1.0:
        raise UserError(f"a sound of {title} peaks at {peak:.3g} times full scale; show sounds within it")
    steps = np.rint(waveform * _PCM_16).clip(-_PCM_16, _PCM_16 - 1).astype(np.int16)
    content = BytesIO()
    soundfile.write(
        content, steps, sounds.sample_rate_hz, format="flac", subtype="PCM_16", compression_level=_SMALLEST_FILES
    )
    return _base64(content.getvalue())


def _palette(colours: Colormap) -> str:
    """256 colours of three bytes, base64."""
    values = np.asarray(colours(np.linspace(0.0, 1.0, 256)))[:, :3]
    return _base64(np.rint(255.0 * values).astype(np.uint8).tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
