"""How alike two sets of numbers are, for a whole batch at once: Pearson, Spearman, SSIM; and how unequal one is: Gini.

Each function works in float64 on tensors ``(batch, …)`` and returns ``(batch,)``, NaN where it is undefined.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audio_xai.utils.errors import UserError

# Cells of maps that structural similarity compares at once: what it computes from them then stays in the cache.
CELLS_AT_ONCE = 2**16


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation of the rows of two ``(batch, n)`` tensors; NaN where either row does not vary."""
    tolerance = 16 * max(_epsilon(first), _epsilon(second))
    a, b = first.double(), second.double()
    centred_a, centred_b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    norm_a, norm_b = centred_a.norm(dim=1), centred_b.norm(dim=1)
    correlation = (centred_a * centred_b).sum(1) / (norm_a * norm_b)
    varies = (norm_a > tolerance * a.norm(dim=1)) & (norm_b > tolerance * b.norm(dim=1))
    return torch.where(varies, correlation.clamp(-1.0, 1.0), torch.nan)


def ranks(values: Tensor) -> Tensor:
    """Ranks from 1 within each row of ``(batch, n)``, ties sharing the mean of their places."""
    return _twice_ranks(values).double().div_(2.0)


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Spearman rank correlation of the rows of two ``(batch, n)`` tensors; NaN where either row does not vary."""
    return RankCorrelation(first)(torch.arange(len(first), device=first.device), second)


class RankCorrelation:
    """Spearman rank correlation with rows ``(batch, n)`` that are compared often and so ranked once."""

    def __init__(self, rows: Tensor) -> None:
        centred = _centred_ranks(rows)
        self._units = centred / centred.norm(dim=1, keepdim=True)

    def __call__(self, places: Tensor, others: Tensor) -> Tensor:
        """Correlation ``(k,)`` of the rows at ``places`` with ``others`` ``(k, n)``; NaN where either does not vary."""
        centred = _centred_ranks(others)
        correlation = (self._units[places] * centred).sum(1) / centred.norm(dim=1)
        return cast(Tensor, correlation.clamp(-1.0, 1.0))


def _centred_ranks(rows: Tensor) -> Tensor:
    """Twice the ranks, from −n + 1 to n − 1: exact, and 0 throughout where a row does not vary."""
    return (_twice_ranks(rows) - (rows.shape[1] + 1)).double()


def _twice_ranks(values: Tensor) -> Tensor:
    """First plus last place from 1 of all that equal a value, so whole numbers; ``(batch, n)``, int32."""
    ordered, order = _sorted_with_order(values)
    differs = ordered[:, 1:] != ordered[:, :-1]
    first = _last_true(functional.pad(differs, (1, 0), value=True))
    from_the_end = _last_true(functional.pad(differs, (0, 1), value=True).flip(1)).flip(1)
    return torch.empty_like(first).scatter_(1, order, first.sub_(from_the_end).add_(ordered.shape[1] + 1))


def _last_true(marks: Tensor) -> Tensor:
    """Place from 1 of the last True so far, for every column of rows that begin with one; int32."""
    places = torch.arange(1, marks.shape[1] + 1, dtype=torch.int32, device=marks.device)
    return (marks * places).cummax(1).values


def ssim(first: Tensor, second: Tensor, window: int = 7) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) of maps ``(batch, 1, rows, columns)`` or ``(batch, 1, n)``.

    Uniform window, sample covariance, data range = joint maximum − minimum of the pair; border windows left out. NaN
    where both maps are one and the same constant.

    Raises
    ------
    UserError
        If a side of the maps is shorter than the window.
    """
    if min(first.shape[2:]) < window:
        raise UserError(f"maps of {tuple(first.shape[2:])} are smaller than the SSIM window of {window}")
    at_once = max(1, CELLS_AT_ONCE // first[0].numel())
    parts = zip(torch.split(first, at_once), torch.split(second, at_once), strict=True)
    return torch.cat([_ssim(a.double(), b.double(), window) for a, b in parts])


def _ssim(a: Tensor, b: Tensor, window: int) -> Tensor:
    """Of so few maps that what is computed on the way stays in the cache."""
    apart = (-1, *[1] * (a.ndim - 1))
    low = torch.minimum(a.flatten(1).amin(1), b.flatten(1).amin(1)).reshape(apart)
    data_range = torch.maximum(a.flatten(1).amax(1), b.flatten(1).amax(1)).reshape(apart) - low
    size = window ** (a.ndim - 2)
    sums = _window_sums(torch.stack([a, b, a * a + b * b, a * b]), window).mul_(1.0 / size)
    mean_a, mean_b, mean_squares, mean_product = sums
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    product, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    sample_correction = size / (size - 1)
    covariance, variances = sample_correction * (mean_product - product), sample_correction * (mean_squares - squares)
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return torch.where(data_range.flatten() > 0, similarity.flatten(1).mean(1), torch.nan)


def _window_sums(maps: Tensor, window: int) -> Tensor:
    """Sums ``(…, rows − window + 1, columns − window + 1)`` over windows, along every axis from the fourth on."""
    for axis in range(3, maps.ndim):
        maps = _run_sums(maps, axis, window)
    return maps


def _run_sums(maps: Tensor, axis: int, width: int) -> Tensor:
    """Sums over runs of cells along an axis, each of two halves: few additions, and no differences of running totals.

    Such differences would leave the rounding of the whole axis in every window.
    """
    if width == 1:
        return maps
    half, count = _run_sums(maps, axis, width // 2), maps.shape[axis] - width + 1
    total = half.narrow(axis, 0, count) + half.narrow(axis, width // 2, count)
    return total.add_(maps.narrow(axis, width - 1, count)) if width % 2 else total


def gini(values: Tensor) -> Tensor:
    """Gini index of rows of non-negative numbers ``(batch, n)``: 0 all equal, 1 − 1/n all in one; NaN where all are 0.

    Hurley & Rickard 2009, Eq. 14: Σ (2i − n − 1) v_i / (n Σ v) for ascending v.
    """
    ordered = ascending(values.double())
    n = ordered.shape[1]
    weights = 2.0 * torch.arange(1, n + 1, dtype=torch.float64, device=values.device) - n - 1
    return (ordered @ weights) / (n * ordered.sum(1))


def ascending(values: Tensor) -> Tensor:
    """Rows in ascending order."""
    if values.device.type != "cpu":
        return values.sort(dim=1).values
    # NumPy sorts with vector instructions: rows of 16,384 in a seventeenth of the time that PyTorch takes.
    return torch.from_numpy(np.sort(values.numpy(), axis=1))


def _sorted_with_order(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in ascending order, as numbers that are equal where the values are, and the column that each came from."""
    if values.device.type != "cpu":
        return torch.sort(values, dim=1)
    if values.dtype != torch.float32:
        order = torch.from_numpy(np.argsort(values.numpy(), axis=1))
        return values.gather(1, order), order
    # With the column in the lower half, one sort of integers brings both the values and where they came from.
    packed = ascending((ordinals(values) << 32) | torch.arange(values.shape[1]))
    return packed >> 32, packed & 0xFFFFFFFF


def ordinals(values: Tensor) -> Tensor:
    """Whole numbers of 32 bits, as int64, that are in order where these float32 are, and equal where they are equal."""
    # A float's bits as an integer, those of negative ones turned round, order as the float does; adding 0 makes −0 a 0.
    bits = (values + 0.0).view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()


def _epsilon(values: Tensor) -> float:
    return torch.finfo(values.dtype).eps
