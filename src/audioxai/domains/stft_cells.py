"""Values of any audio domain mapped to the time–frequency bins of a complex spectrogram, which can be inverted.

Idea
----
A time–frequency bin gets a weighted mean of the domain's values. Mel and ERB bands are weighted by their filters at the
bin's frequency, normalised to sum 1 over bands; columns are interpolated linearly in time; samples are weighted by the
window of each frame, as their sound is. Constant values stay constant, the range of values stays the same, and a map
keeps its order where bands do not overlap.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audioxai.domains.erb import ErbBands, erb_rate
from audioxai.domains.log_mel import LogMel, mel_filters
from audioxai.domains.mask import Mask, interpolation
from audioxai.domains.protocol import Domain
from audioxai.domains.stft import Stft
from audioxai.domains.waveform import Waveform
from audioxai.utils.errors import UserError

Audible = Waveform | Stft | ErbBands | LogMel | Mask
# Domains with columns of their own, which are interpolated in time.
IN_COLUMNS = (Stft, LogMel, Mask)


def audible(domain: Domain) -> Audible:
    """The domain, checked to be one of sound.

    Raises
    ------
    UserError
        If it is another.
    """
    if not isinstance(domain, Audible):
        raise UserError(
            f"domain {domain.name} cannot be listened to; choose waveform, stft, erb_bands, log_mel or mask"
        )
    return domain


def matching_stft(domain: Domain) -> Stft:
    """Spectrogram that values of a domain are mapped to: itself, that of a mask or a log-mel's window, or the default.

    Raises
    ------
    UserError
        If the domain is not one of sound.
    """
    sound = audible(domain)
    if isinstance(sound, Stft):
        return sound
    if isinstance(sound, Mask):
        return sound.stft
    if isinstance(sound, LogMel):
        return Stft(sound.sample_rate_hz, sound.duration_s, window_s=sound.window_s)
    return Stft(sound.sample_rate_hz, sound.duration_s)


def in_stft_cells(values: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """Real values ``(batch, 1, *domain.shape)`` → ``(batch, 1, *stft.shape)``."""
    return spread_over_stft(in_columns(values, domain, stft), domain, stft)


def in_columns(values: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """Values as ``(batch, 1, rows, columns)``; those of samples become their mean under the window of every frame."""
    if isinstance(domain, IN_COLUMNS):
        return values
    return _window_means(values if isinstance(domain, ErbBands) else values[:, :, None], stft)


def spread_over_stft(columns: Tensor, domain: Audible, stft: Stft) -> Tensor:
    """What :func:`in_columns` returns, ``(batch, 1, rows, columns)`` → ``(batch, 1, *stft.shape)``."""
    across = torch.from_numpy(_bin_shares(domain, stft)).to(columns) @ columns
    if domain == stft or not isinstance(domain, IN_COLUMNS):
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
    """Weight of every row of the domain in every bin, ``(bins, rows)``, with sum 1 per bin."""
    bins = stft.shape[0]
    if isinstance(domain, Stft | Mask):
        return np.eye(bins) if domain == stft else _interpolation(domain, stft, 0).T
    if isinstance(domain, Waveform):
        return np.ones((bins, 1))
    bins_hz, rows_hz = (np.array(axes[0].coordinates) for axes in (stft.axes(), domain.axes()))
    if isinstance(domain, LogMel):
        weights = mel_filters(domain.sample_rate_hz, stft.window_length, domain.bands).T
    else:
        weights = _erb_weights(bins_hz, rows_hz)
    # Below the first band and above the last one there is no filter: those bins get the nearest band's values.
    unfiltered = weights.sum(axis=1) == 0.0
    nearest = np.abs(bins_hz[unfiltered, None] - rows_hz).argmin(axis=1)
    weights[unfiltered, nearest] = 1.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@lru_cache(maxsize=8)
def _interpolation(domain: Audible, stft: Stft, axis: int) -> NDArray[np.float64]:
    """Linear interpolation from the coordinates of one to those of the other, ``(given, target)``."""
    known, target = (axes[axis].coordinates for axes in (domain.axes(), stft.axes()))
    return interpolation(known, target)


def _erb_weights(bins_hz: NDArray[np.float64], centres_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of every ERB band at every bin, ``(bins, bands)``."""
    bins, centres = erb_rate(bins_hz), erb_rate(centres_hz)
    distance = np.abs(bins[:, None] - centres) / (centres[1] - centres[0])
    return np.asarray(np.cos(np.pi / 2.0 * np.minimum(distance, 1.0)) ** 2)
