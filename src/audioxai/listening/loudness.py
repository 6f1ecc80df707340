"""Loudness: ITU-R BS.1770-4 for one channel, at any sample rate.

Idea
----
Two filters (K-weighting: a shelf for the head, a high-pass for the ear's low sensitivity to low frequencies), then the
mean square over blocks of 400 ms that overlap by three quarters; blocks below −70 LKFS and then those 10 LU below the
mean of the rest are left out (gating).

Conventions
-----------
Waveforms ``(batch, 1, time)``, full scale 1; loudness in LKFS: a full-scale sine of 997 Hz has −3.01.
The recommendation gives its filters for 48 kHz only; for another rate the analogue prototypes are recovered and
discretised again by the bilinear transform, exact at each filter's own corner frequency.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.utils.errors import UserError

BLOCK_S = 0.4
STEP_S = 0.1
ABSOLUTE_GATE_LKFS = -70.0
RELATIVE_GATE_LU = -10.0
_OFFSET_LKFS = -0.691
_TABLE_RATE_HZ = 48_000
# Numerator and denominator of tables 1 and 2 of the recommendation.
_SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))

Polynomial = tuple[float, float, float]


def loudness_lkfs(waveforms: Tensor, sample_rate_hz: int) -> Tensor:
    """Integrated loudness in LKFS, ``(batch,)``, float64; −∞ where no block is above −70 LKFS.

    Clips shorter than one block of 400 ms are not gated; their loudness is that of their mean square.

    Raises
    ------
    UserError
        If waveforms are not ``(batch, 1, time)`` or the rate is too low for the filters.
    """
    if waveforms.ndim != 3 or waveforms.shape[1] != 1 or waveforms.shape[2] < 1:
        raise UserError(f"waveforms have shape {tuple(waveforms.shape)}; loudness is of (batch, 1, time)")
    recorded = waveforms.detach().cpu().double().numpy()[:, 0]
    from scipy import signal  # takes as long to import as a clip takes to explain

    squares = np.square(signal.sosfilt(k_weighting(sample_rate_hz), recorded))
    means = [_gated_mean(one, sample_rate_hz) for one in squares]
    return torch.tensor([_lkfs(mean) for mean in means], dtype=torch.float64)


def k_weighting(sample_rate_hz: int) -> NDArray[np.float64]:
    """The two filters as second-order sections ``(2, 6)`` for :func:`scipy.signal.sosfilt`.

    Raises
    ------
    UserError
        If half the rate is not above the shelf's corner, 1.7 kHz.
    """
    return np.array([_at_rate(*stage, sample_rate_hz) for stage in (_SHELF, _HIGH_PASS)])


def _at_rate(numerator: Polynomial, denominator: Polynomial, sample_rate_hz: int) -> NDArray[np.float64]:
    """One section ``(6,)`` of the same analogue filter at another rate."""
    _, bend, rest = denominator
    table_corner = math.sqrt((1.0 + bend + rest) / (1.0 - bend + rest))
    corner_hz = math.atan(table_corner) * _TABLE_RATE_HZ / math.pi
    if not corner_hz < sample_rate_hz / 2.0:
        raise UserError(
            f"the sample rate is {sample_rate_hz} Hz; loudness needs more than {2 * corner_hz:.0f} Hz for its filters"
        )
    stretch = table_corner / math.tan(math.pi * corner_hz / sample_rate_hz)
    from scipy import signal

    digital = signal.bilinear(_analogue(numerator), _analogue(denominator), fs=0.5 * stretch)
    return np.concatenate(digital)


def _analogue(digital: Polynomial) -> Polynomial:
    """Polynomial in s of one in 1/z, for s = (z − 1) / (z + 1), up to a factor that all have in common."""
    first, second, third = digital
    return (first - second + third, 2.0 * (first - third), first + second + third)


def _gated_mean(squares: NDArray[np.float64], sample_rate_hz: int) -> float:
    """Mean square of the blocks that pass both gates, 0 if none does."""
    block, step = round(BLOCK_S * sample_rate_hz), round(STEP_S * sample_rate_hz)
    if len(squares) < block:
        return float(squares.mean())
    blocks = np.lib.stride_tricks.sliding_window_view(squares, block)[::step].mean(axis=1)
    audible = blocks[blocks > _mean_square(ABSOLUTE_GATE_LKFS)]
    if not len(audible):
        return 0.0
    return float(audible[audible > audible.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)].mean())


def _lkfs(mean_square: float) -> float:
    return _OFFSET_LKFS + 10.0 * math.log10(mean_square) if mean_square > 0.0 else -math.inf


def _mean_square(lkfs: float) -> float:
    return float(10.0 ** ((lkfs - _OFFSET_LKFS) / 10.0))
