"""From attributions to a mask in the spectrogram domain from which there is an exact way back to sound.

Idea
----
What counts for the class (the positive part) is scaled so that a stated quantile of it means *wholly kept*, and
carried over to the cells of a complex spectrogram: mel bands by the transpose of their filters, normalised so that the
shares of every bin add up to 1, frames by linear interpolation in time, samples by their mean under every window.
All of these are weighted means, so the mask stays in [0, 1] and attributions that are alike everywhere keep everything.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audio_xai.domains import Domain, ErbBands, LogMel, Stft, Waveform, erb_rate, mel_filters
from audio_xai.utils.errors import UserError

Audible = Waveform | Stft | ErbBands | LogMel


@dataclass(frozen=True)
class SoftMask:
    """How attributions become a mask.

    Attributes
    ----------
    domain : Domain
        Where the attributions live: waveform, STFT, ERB bands or log-mel.
    quantile : float
        In (0, 1]: the positive attributions of a sample from this quantile of theirs on are wholly kept, those below
        in proportion; 1 divides by the largest.
    smoothing_cells : int
        Width of a moving average over bins and frames of the mask, odd; 1 smooths nothing.

    Raises
    ------
    UserError
        If the domain is none of sound or a number is out of its range.
    """

    domain: Domain
    quantile: float = 0.99
    smoothing_cells: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Audible):
            raise UserError(f"domain {self.domain.name} cannot be listened to; choose one of sound")
        if not 0.0 < self.quantile <= 1.0:
            raise UserError(f"quantile is {self.quantile}; give one above 0 and at most 1")
        if self.smoothing_cells < 1 or self.smoothing_cells % 2 == 0:
            raise UserError(f"smoothing_cells is {self.smoothing_cells}; give an odd number of cells, 1 for none")

    @property
    def stft(self) -> Stft:
        """Domain of the mask: that of the attributions itself, else one with the window of their log-mel."""
        if isinstance(self.domain, Stft):
            return self.domain
        rate_hz, duration_s = self._sound_domain.sample_rate_hz, self._sound_domain.duration_s
        if isinstance(self.domain, LogMel):
            return Stft(rate_hz, duration_s, window_s=self.domain.window_s)
        return Stft(rate_hz, duration_s)

    def __call__(self, attributions: Tensor) -> Tensor:
        """Attributions ``(batch, 1, *domain.shape)`` → mask in [0, 1], ``(batch, 1, *stft.shape)``.

        Where no attribution of a sample is positive, its mask is zero everywhere.

        Raises
        ------
        UserError
            If the attributions have another shape or are complex, NaN or infinite.
        """
        _require_attributions(attributions, self.domain)
        # The net contribution of a window's samples counts: single ones alternate in sign.
        columns = self._in_frames(attributions.detach())
        scaled = torch.stack([_share_of_quantile(one, self.quantile) for one in columns])
        shares = torch.from_numpy(_bin_shares(self._sound_domain, self.stft)).to(scaled)
        spread = shares @ self._at_frames(scaled)
        return self._smoothed(spread).clamp(0.0, 1.0)

    @property
    def _sound_domain(self) -> Audible:
        return cast(Audible, self.domain)

    def _in_frames(self, attributions: Tensor) -> Tensor:
        """Attributions with frames as columns; those of samples become their mean under every window."""
        if isinstance(self.domain, Stft | LogMel):
            return attributions
        rows = attributions if isinstance(self.domain, ErbBands) else attributions[:, :, None]
        return _window_means(rows, self.stft)

    def _at_frames(self, columns: Tensor) -> Tensor:
        """Values at the times of the mask's frames."""
        if not isinstance(self.domain, LogMel):
            return columns
        weights = torch.from_numpy(_frame_shares(self.domain, self.stft)).to(columns)
        return columns @ weights

    def _smoothed(self, mask: Tensor) -> Tensor:
        width = self.smoothing_cells
        if width == 1:
            return mask
        return functional.avg_pool2d(mask, width, stride=1, padding=width // 2, count_include_pad=False)


def _require_attributions(attributions: Tensor, domain: Domain) -> None:
    if attributions.ndim < 2 or tuple(attributions.shape[1:]) != (1, *domain.shape):
        raise UserError(
            f"attributions have shape {tuple(attributions.shape)} but those of domain {domain.name} are "
            f"{('batch', 1, *domain.shape)}; give them in their own domain".replace("'", "")
        )
    if not attributions.is_floating_point():
        raise UserError(f"attributions are {attributions.dtype}; give real numbers, one a cell")
    damaged = int((~attributions.isfinite()).flatten(1).any(1).sum())
    if damaged:
        raise UserError(
            f"attributions of {damaged} of {len(attributions)} samples are NaN or infinite; explain them again"
        )


def _share_of_quantile(attributions: Tensor, quantile: float) -> Tensor:
    """One sample's positive part over that quantile of its positive values, at most 1; zeros if there is none."""
    positive = attributions[attributions > 0.0]
    if not len(positive):
        return torch.zeros_like(attributions)
    # In float64, where even the smallest float32 has a reciprocal.
    wholly_kept = torch.quantile(positive.double(), quantile)
    return (attributions.double() / wholly_kept).clamp(0.0, 1.0).to(attributions.dtype)


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
def _frame_shares(domain: LogMel, stft: Stft) -> NDArray[np.float64]:
    """Linear interpolation from the columns of one to the frames of the other, ``(columns, frames)``."""
    known_s, wanted_s = (axes[-1].coordinates for axes in (domain.axes(), stft.axes()))
    return np.stack([np.interp(wanted_s, known_s, column) for column in np.eye(len(known_s))])


@lru_cache(maxsize=8)
def _bin_shares(domain: Audible, stft: Stft) -> NDArray[np.float64]:
    """Share of every row of the domain in every bin, ``(bins, rows)``; those of a bin add up to 1."""
    bins = stft.shape[0]
    if isinstance(domain, Stft):
        return np.eye(bins)
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


def _erb_weights(bins_hz: NDArray[np.float64], centres_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of every ERB band at every bin, ``(bins, bands)``."""
    bins, centres = erb_rate(bins_hz), erb_rate(centres_hz)
    distance = np.abs(bins[:, None] - centres) / (centres[1] - centres[0])
    return np.asarray(np.cos(np.pi / 2.0 * np.minimum(distance, 1.0)) ** 2)
