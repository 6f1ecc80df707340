"""Pictures, axes and sounds as text that the scripts of a page read back.

Conventions
-----------
Levels and maps are packed as bytes, row by row, and sounds as 16-bit FLAC, all in base64. Ticks are fractions of an
axis, from its first cell's outer edge to its last one's.
"""

import base64
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import soundfile
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from audioxai.report.overlays import ATTRIBUTION_COLOURS, BACKGROUND_COLOURS, FREQUENCY_TICKS_HZ, Axis, Floats
from audioxai.utils.errors import UserError

# On a dark page both ends have to be light to stand out: the background is no lighter than mid-grey there.
DARK_LEVELS = LinearSegmentedColormap.from_list("dark levels", ["#14171a", "#8c8c8c"])
DARK_MAP = LinearSegmentedColormap.from_list("dark map", ["#5fb0f0", "#2f6ea8", "#2a2d30", "#b8432c", "#ff8a6a"])
_PCM_16 = 2**15
_SMALLEST_FILES = 1.0
_LEAST_TICK_DISTANCE = 0.07
_TIME_TICKS = 7
_LONG_S = 120.0


def packed_palettes() -> dict[str, str]:
    """Colours of levels and maps on a light page and on a dark one, 256 of three bytes each."""
    return {
        "levels": _palette(BACKGROUND_COLOURS),
        "darkLevels": _palette(DARK_LEVELS),
        "map": _palette(mpl.colormaps[ATTRIBUTION_COLOURS]),
        "darkMap": _palette(DARK_MAP),
    }


def packed_levels(values: Floats, value_range: tuple[float, float]) -> str:
    """Values as bytes: the range's lower end 0, its upper end 255."""
    low, high = value_range
    shares = np.clip((values - low) / (high - low), 0.0, 1.0)
    return in_base64(np.rint(255.0 * shares).astype(np.uint8).tobytes())


def packed_map(shares: Floats) -> str:
    """Values in [−1, 1] as signed bytes, ±127 at the ends."""
    return in_base64(np.rint(127.0 * shares).astype(np.int8).tobytes())


def packed_axis(axis: Axis) -> dict[str, Any]:
    """Name, unit, first coordinate, mean step, and round ticks as (fraction, label)."""
    name, unit, coordinates = axis
    step = (coordinates[-1] - coordinates[0]) / max(1, len(coordinates) - 1)
    ticks = [[place, _tick_label(value, unit)] for value, place in _ticks(axis)]
    return {"name": name, "unit": unit, "first": coordinates[0], "step": step, "ticks": ticks}


def packed_time_axis(start_s: float, end_s: float) -> dict[str, Any]:
    """All of the time between two ends, in seconds, or in minutes where it is long; else as :func:`packed_axis`."""
    long = end_s >= _LONG_S
    locator = MaxNLocator(_TIME_TICKS, steps=[1, 3, 6, 10] if long else [1, 2, 5, 10])
    ticks = [
        [(value - start_s) / (end_s - start_s), f"{int(value // 60)}:{value % 60:02g}" if long else f"{value:g}"]
        for value in np.round(locator.tick_values(start_s, end_s), 9).tolist()
        if start_s <= value <= end_s
    ]
    return {"name": "time", "unit": "min:s" if long else "s", "ticks": ticks}


def packed_sound(waveform: Floats, sample_rate_hz: int, title: str) -> str:
    """A waveform ``(time,)`` within full scale as 16-bit FLAC.

    Raises
    ------
    UserError
        If it exceeds full scale or is not finite.
    """
    peak = float(np.abs(waveform).max())
    if not peak <= 1.0:
        raise UserError(f"a sound of {title} peaks at {peak:.3g} times full scale; show sounds within it")
    steps = np.rint(waveform * _PCM_16).clip(-_PCM_16, _PCM_16 - 1).astype(np.int16)
    content = BytesIO()
    soundfile.write(content, steps, sample_rate_hz, format="flac", subtype="PCM_16", compression_level=_SMALLEST_FILES)
    return in_base64(content.getvalue())


def in_base64(content: bytes) -> str:
    """Bytes as ASCII."""
    return base64.b64encode(content).decode("ascii")


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


def _palette(colours: Colormap) -> str:
    """256 colours of three bytes, base64."""
    values = np.asarray(colours(np.linspace(0.0, 1.0, 256)))[:, :3]
    return in_base64(np.rint(255.0 * values).astype(np.uint8).tobytes())
