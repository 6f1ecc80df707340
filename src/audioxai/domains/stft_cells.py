"""Values of any domain of sound carried over to the cells of a complex spectrogram, from which there is a way back.

Idea
----
A cell of the spectrogram gets the weighted mean of the domain's values that hear it. Mel and ERB bands count by their
filters at the cell's frequency, normalised so that the shares of every bin add up to 1; columns are interpolated
linearly in time; samples count by the window of every frame, the same way their sound enters it. Values that are alike
everywhere stay alike, their range stays the range, and a map keeps its order where bands do not overlap.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audioxai.domains.erb import ErbBands, erb_rate
from audioxai.domains.log_mel import LogMel, mel_filters
from audioxai.domains.protocol import Domain
from audioxai.domains.stft import Stft
from audioxai.domains.waveform import Waveform
from audioxai.utils.errors import UserError

Audible = Waveform | Stft | ErbBands | LogMel


def audible(domain: Domain) -> Audible:
    """Return the domain, known to be one of sound.

    Raises
    ------
    UserError
        If it is not.
    """
    if not isinstance(domain, Audible):
        raise UserError(f"domain {domain.name} cannot be listened to; choose one of sound")
    return domain


def stft_beside(domain: Domain) -> Stft:
    """Spectrogram to carry a domain's values to: itself, else one with the window of the log-mel, else the default.

    Raises
    ------
    UserError
        If the domain is none of sound.
    """
    sound = audible(domain)
    if isinstance(sound, Stft):
        return sound
    if isinstance(sound, LogMel):
        return Stft(sound.sample_rate_hz, sound.duration_s, window_s=sound.window_s)
    return Stft(sound.sample_rate_hz, sound.duration_s)


def in_stft_cells(values: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """Real values ``(batch, 1, *domain.shape)`` → ``(batch, 1, *stft.shape)``."""
    return spread_over_stft(in_columns(values, domain, stft), domain, stft)


def in_columns(values: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """Values as ``(batch, 1, rows, columns)``; those of samples become their mean under the window of every frame."""
    if isinstance(domain, Stft | LogMel):
        return values
    return _window_means(values if isinstance(domain, ErbBands) else values[:, :, None], stft)


def spread_over_stft(columns: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """What :func:`in_columns` returned, or a function of it, ``(batch, 1, rows, columns)`` → ``(batch, 1, *shape)``."""
    across = torch.from_numpy(_bin_shares(domain, stft)).to(columns) @ columns
    if domain == stft or not isinstance(domain, Stft | LogMel):
        return across
    return across @ torch.from_numpy(_interpolation(domain, stft, -1)).to(columns)


def _window_means(rows: Tensor, stft: Stft) -> Tensor:
    """Samples ``(batch, 1, rows, time)`` → their mean under the window of every frame, ``(batch, 1, rows, frames)``."""
    frames, half = stft.shape[1], stft.window_length // 2
    after = (frames - 1) * stft.hop_length + half - stft.samples
    window = torch.hann_window(stft.window_length, dtype=rows.dtype, device=rows.device)

    def weighted_sums(values: Tensor) -> Tensor:
        windows: Tensor = functional.pad(values, (half, after)).unfold(-1, stft.window_length, stft.hop_length)
        return windows @ window

    return weighted_sums(rows) / weighted_sums(torch.ones_like(rows[:1, :, :1]))


@lru_cache(maxsize=8)
def _bin_shares(domain: Audible, stft: Stft) -> NDArray[np.float64]:
    """Share of every row of the domain in every bin, ``(bins, rows)``; those of a bin add up to 1."""
    bins = stft.shape[0]
    if isinstance(domain, Stft):
        return np.eye(bins) if domain == stft else _interpolation(domain, stft, 0).T
    if isinstance(domain, Waveform):
        return np.ones((bins, 1))
    bins_hz, rows_hz = (np.array(axes[0].coordinates) for axes in (stft.axes(), domain.axes()))
    if isinstance(domain, LogMel):
        weights = mel_filters(domain.sample_rate_hz, stft.window_length, domain.bands).T
    else:
        weights = _erb_weights(bins_hz, rows_hz)
    # Below the first band and above the last one there is no filter: those bins go with the band beside them.
    unheard = weights.sum(axis=1) == 0.0
    nearest = np.abs(bins_hz[unheard, None] - rows_hz).argmin(axis=1)
    weights[unheard, nearest] = 1.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@lru_cache(maxsize=8)
def _interpolation(domain: LogMel | Stft, stft: Stft, axis: int) -> NDArray[np.float64]:
    """Linear interpolation from the coordinates of one to those of the other, ``(known, wanted)``."""
    known, wanted = (axes[axis].coordinates for axes in (domain.axes(), stft.axes()))
    return np.stack([np.interp(wanted, known, unit) for unit in np.eye(len(known))])


def _erb_weights(bins_hz: NDArray[np.float64], centres_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of every ERB band at every bin, ``(bins, bands)``."""
    bins, centres = erb_rate(bins_hz), erb_rate(centres_hz)
    distance = np.abs(bins[:, None] - centres) / (centres[1] - centres[0])
    return np.asarray(np.cos(np.pi / 2.0 * np.minimum(distance, 1.0)) ** 2)
