"""The picture of a clip: the recording's spectrogram, and maps that lie over it on the same axes.

The frequency axis is that of the maps' own bands where these are evenly spaced by mel or ERB rate, else by mel, so that
octaves that carry speech are not squeezed into the lowest tenth of the picture.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audioxai.domains import Stft, audible, erb_rate, erb_rate_to_hz, hz_to_mel, in_columns, matching_stft, mel_to_hz
from audioxai.report.overlays import Floats

if TYPE_CHECKING:
    from audioxai.explanation import Explanation

PICTURE_ROWS = 192
MOST_PICTURE_COLUMNS = 640
RANGE_DB = 70.0
# Share of what speaks for a class that is said to lie between two times, or two frequencies.
MOST = 0.8
_STEP_DB = 5.0
# Of the first and the last band's distance from where even spacing would have them, in distances between bands.
_EVEN = 0.02

Numbers = NDArray[np.float64]
Scale = tuple[Callable[[Numbers], Numbers], Callable[[Numbers], Numbers]]
MEL: Scale = (hz_to_mel, mel_to_hz)
ERB: Scale = (erb_rate, erb_rate_to_hz)


@dataclass(frozen=True, eq=False)
class Canvas:
    """The axes that a clip's spectrogram and maps share: all of its time, and 0 Hz to half the sample rate.

    Attributes
    ----------
    stft : Stft
        Transform of the clip.
    scale : tuple of callables
        From hertz to places on the frequency axis, and back.
    """

    stft: Stft
    scale: Scale

    @classmethod
    def of(cls, explanation: "Explanation") -> "Canvas":
        """Axes for the map of an explanation."""
        domain = audible(explanation.domain)
        rows_hz = _rows_hz(explanation)
        return cls(matching_stft(domain), ERB if _is_even(ERB[0](rows_hz)) else MEL)

    @property
    def top(self) -> float:
        """Half the sample rate on the scale."""
        return float(self.scale[0](np.array(self.stft.sample_rate_hz / 2.0)))

    @cached_property
    def rows_hz(self) -> Numbers:
        """Frequency of every row of the picture, ``(PICTURE_ROWS,)``."""
        return self.scale[1]((np.arange(PICTURE_ROWS) + 0.5) / PICTURE_ROWS * self.top)

    @property
    def columns(self) -> int:
        """Columns of the picture: one per frame as far as a screen can show them."""
        return min(MOST_PICTURE_COLUMNS, self.stft.shape[1])

    def rows_of_bins(self) -> list[int]:
        """Bin of the transform that each row of the picture shows."""
        width_hz = self.stft.sample_rate_hz / self.stft.window_length
        return [int(bin_) for bin_ in np.rint(self.rows_hz / width_hz).clip(0, self.stft.shape[0] - 1)]

    def levels(self, waveform: Tensor) -> tuple[Floats, tuple[float, float]]:
        """Spectrogram ``(rows, columns)`` in dB re. full scale, and the levels drawn lightest and darkest."""
        power = self.stft.analysis(waveform)[0, 0].abs().double().square().numpy()
        pooled = _pooled(power, self.columns)
        bins_hz = np.array(self.stft.axes()[0].coordinates)
        rows = np.stack([np.interp(self.rows_hz, bins_hz, column) for column in pooled.T], axis=1)
        levels_db = 10.0 * np.log10(np.maximum(rows, 1e-20))
        high = _STEP_DB * math.ceil(float(levels_db.max()) / _STEP_DB)
        return levels_db, (high - RANGE_DB, high)

    def map_of(self, explanation: "Explanation") -> "PlacedMap":
        """Attributions of an explanation where they lie on these axes."""
        values = columns_of(explanation)
        times, step_s = _times_s(explanation)
        left, right = (times - step_s / 2.0) / self.stft.duration_s, (times + step_s / 2.0) / self.stft.duration_s
        places = self.scale[0](_rows_hz(explanation)) / self.top
        if len(places) == 1:
            return PlacedMap(values, (float(left[0]), 0.0, float(right[-1]), 1.0))
        if not _is_even(places):
            values, places = _on_rows(values, places, PICTURE_ROWS), (np.arange(PICTURE_ROWS) + 0.5) / PICTURE_ROWS
        half = (places[-1] - places[0]) / (len(places) - 1) / 2.0
        low, high = float(places[0] - half), float(places[-1] + half)
        return PlacedMap(_narrowed(values), (float(left[0]), 1.0 - high, float(right[-1]), 1.0 - low))


@dataclass(frozen=True, eq=False)
class PlacedMap:
    """Attributions ``(rows, columns)``, lowest band first, and [left, top, right, bottom] as shares of the picture."""

    values: Floats
    extent: tuple[float, float, float, float]


def columns_of(explanation: "Explanation") -> Floats:
    """Attributions as ``(rows, columns)``, those of single samples as means under the transform's windows."""
    domain = audible(explanation.domain)
    values: Floats = in_columns(explanation.attributions.double(), domain, matching_stft(domain))[0, 0].numpy()
    return values


def span_of_relevance(explanation: "Explanation") -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Shortest spans of time (s, in the clip) and frequency (Hz) that each hold most of what speaks for the class.

    None where nothing speaks for it.
    """
    positive = np.maximum(columns_of(explanation), 0.0)
    if not positive.any():
        return None
    times, step_s = _times_s(explanation)
    first, last = shortest_span(positive.sum(0))
    end_s = audible(explanation.domain).duration_s
    seconds = (max(0.0, times[first] - step_s / 2.0), min(end_s, times[last] + step_s / 2.0))
    rows_hz = _rows_hz(explanation)
    lowest, highest = shortest_span(positive.sum(1))
    edges = np.concatenate([[0.0], (rows_hz[1:] + rows_hz[:-1]) / 2.0, [rows_hz[-1]]])
    return seconds, (float(edges[lowest]), float(edges[highest + 1]))


def shortest_span(weights: Floats, share: float = MOST) -> tuple[int, int]:
    """First and last index of the shortest run, the earliest of several, with a share of the sum of weights ≥ 0.

    Examples
    --------
    >>> shortest_span(np.array([1.0, 0.0, 3.0, 3.0, 1.0]), 0.5)
    (2, 3)
    """
    sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
    ends = np.searchsorted(sums, sums[:-1] + share * sums[-1] * (1.0 - 1e-12), side="left")
    lengths = np.where(ends < len(sums), ends - np.arange(len(weights)), len(sums) + 1)
    first = int(lengths.argmin())
    return first, int(ends[first]) - 1


def _rows_hz(explanation: "Explanation") -> Numbers:
    axes = explanation.domain.axes()
    return np.array(axes[0].coordinates) if len(axes) == 2 else np.zeros(1)


def _times_s(explanation: "Explanation") -> tuple[Numbers, float]:
    """Centres of the columns in the clip, and the distance between them."""
    domain = explanation.domain
    own = domain.axes()[-1].coordinates
    stft = matching_stft(domain)
    columns = columns_of(explanation).shape[1]
    times = np.array(own if len(own) == columns else stft.axes()[-1].coordinates)
    return times, float(times[-1] - times[0]) / max(1, len(times) - 1)


def _is_even(places: Sequence[float] | Numbers) -> bool:
    """Whether places are evenly spaced; one place alone is not."""
    values = np.asarray(places)
    if len(values) < 2:
        return False
    steps = np.diff(values)
    return bool(np.abs(steps - steps.mean()).max() <= _EVEN * abs(steps.mean()))


def _pooled(power: Floats, columns: int) -> Floats:
    """Mean of neighbouring frames, ``(bins, columns)``."""
    edges = np.linspace(0, power.shape[1], columns + 1).round().astype(int)
    sums = np.add.reduceat(power, edges[:-1], axis=1)
    return np.asarray(sums / np.diff(edges))


def _narrowed(values: Floats) -> Floats:
    return values if values.shape[1] <= MOST_PICTURE_COLUMNS else _pooled(values, MOST_PICTURE_COLUMNS)


def _on_rows(values: Floats, places: Numbers, rows: int) -> Floats:
    """Values of rows at uneven places in [0, 1] as means over so many even rows, by how far they overlap."""
    edges = np.concatenate([[0.0], (places[1:] + places[:-1]) / 2.0, [1.0]])
    even = np.linspace(0.0, 1.0, rows + 1)
    overlap = np.minimum(even[1:, None], edges[None, 1:]) - np.maximum(even[:-1, None], edges[None, :-1])
    weights = np.maximum(overlap, 0.0)
    mean: Floats = weights @ values / weights.sum(1, keepdims=True)
    return mean
