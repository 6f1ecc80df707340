"""Similarity of two batches of numbers: Pearson, Spearman, SSIM, Euclidean distance; inequality of one: Gini.

Each function works in float64 on tensors ``(batch, …)`` and returns ``(batch,)``, NaN where it is undefined.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call

# Numbers that structural similarity sums over windows per feature of a pair of maps.
SUMS_PER_FEATURE = 4
# Numbers below which a thread takes longer to start than to sort.
SORTED_BY_ONE_THREAD = 2**19


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
    n = ordered.shape[1]
    twice = torch.arange(2, 2 * n + 2, 2, dtype=torch.int32, device=values.device).repeat(len(ordered), 1)
    _share_places(twice, functional.pad(ordered[:, 1:] == ordered[:, :-1], (0, 1)))
    return torch.empty_like(twice).scatter_(1, order, twice)


def _share_places(twice: Tensor, equals_next: Tensor) -> None:
    """Give twice the mean of their places to neighbours that are equal; few are, so only they are visited."""
    pairs = torch.nonzero(equals_next.flatten())[:, 0]
    if len(pairs) == 0:
        return
    apart = torch.diff(pairs) != 1
    begins, ends = functional.pad(apart, (1, 0), value=True), functional.pad(apart, (0, 1), value=True)
    first, last, group = pairs[begins], pairs[ends] + 1, begins.cumsum(0) - 1
    places = twice.view(-1)
    shared = (places[first] + places[last]) // 2
    places[pairs] = shared[group]
    places[last] = shared


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
        raise UserError(
            f"maps of {tuple(first.shape[2:])} are smaller than the SSIM window of {window}; compare larger ones"
        )
    at_once = inputs_per_call(SUMS_PER_FEATURE * first[0].numel(), first.device)
    parts = zip(torch.split(first, at_once), torch.split(second, at_once), strict=True)
    return torch.cat([_ssim(a.contiguous(), b.contiguous(), window) for a, b in parts])


def _ssim(a: Tensor, b: Tensor, window: int) -> Tensor:
    """Of so few maps that what is computed on the way stays in the cache.

    Maps are divided by the data range, which makes the constants numbers. Both factors of the usual fraction are
    multiplied by n² and n (n − 1), n the features of a window, so that sums do for means and covariances. All maps are
    one row of numbers, in which a window of the next line, or map, is only farther on: windows that cross an edge are
    computed, too, and left out of the mean, which is faster than to go through short lines.
    """
    shape, sides = a.shape, a.shape[2:]
    highest = torch.maximum(a.flatten(1).amax(1), b.flatten(1).amax(1))
    lowest = torch.minimum(a.flatten(1).amin(1), b.flatten(1).amin(1))
    data_range = highest.double() - lowest.double()
    n = window ** len(sides)
    rows = torch.empty((4, *shape), dtype=torch.float64, device=a.device)
    for row, maps in zip(rows, (a, b), strict=False):
        torch.div(maps, data_range.reshape(-1, *[1] * (a.ndim - 1)), out=row)
    torch.mul(rows[0], rows[0], out=rows[2]).addcmul_(rows[1], rows[1]).mul_(n)
    torch.mul(rows[0], rows[1], out=rows[3]).mul_(2 * n)
    sums, step = rows.flatten(1), 1
    for side in reversed(sides):
        sums, step = _run_sums(sums, step, window), step * side
    sum_a, sum_b, variances, covariance = sums
    means, mean_squares = (sum_a * sum_b).mul_(2.0), sum_a.square_().addcmul_(sum_b, sum_b)
    c1, c2 = 0.01**2 * n * n, 0.03**2 * n * (n - 1)
    covariance.sub_(means).add_(c2)
    variances.sub_(mean_squares).add_(c2)
    similarity = means.add_(c1).mul_(covariance).div_(mean_squares.add_(c1).mul_(variances))
    inside = similarity.as_strided([*shape[:2], *(side - window + 1 for side in sides)], a.stride())
    return torch.where(data_range > 0, inside.flatten(1).mean(1), torch.nan)


def _run_sums(rows: Tensor, step: int, width: int) -> Tensor:
    """Sums ``(n, length − (width − 1) · step)`` of ``width`` numbers, ``step`` apart, in rows ``(n, length)``.

    Each from two halves: few additions, and no differences of totals, which would leave the rounding of the whole row
    in every sum.
    """
    if width == 1:
        return rows
    half, count = _run_sums(rows, step, width // 2), rows.shape[1] - (width - 1) * step
    total = half.narrow(1, 0, count) + half.narrow(1, width // 2 * step, count)
    return total.add_(rows.narrow(1, (width - 1) * step, count)) if width % 2 else total


def norm(maps: Tensor) -> Tensor:
    """Euclidean norm ``(batch,)`` of every map, summed in float64."""
    return torch.linalg.vector_norm(maps.flatten(1), dim=1, dtype=torch.float64)  # type: ignore[no-any-return]


def distance(maps: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance ``(batch,)`` between maps."""
    return norm(others - maps)


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
    rows = values.numpy().copy()
    threads = torch.get_num_threads()
    if threads == 1 or rows.size < SORTED_BY_ONE_THREAD:
        rows.sort(axis=1)
    else:
        parts = np.array_split(rows, min(threads, len(rows)))
        with ThreadPoolExecutor(len(parts)) as several:
            list(several.map(lambda part: part.sort(axis=1), parts))
    return torch.from_numpy(rows)


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
