"""How alike two sets of numbers are, for a whole batch at once: Pearson, Spearman, SSIM; and how unequal one is: Gini.

Each function works in float64 on tensors ``(batch, …)`` and returns ``(batch,)``, NaN where it is undefined.
"""

import torch
from torch import Tensor
from torch.nn import functional

from audio_xai.utils.errors import UserError


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
    values = values.contiguous()
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values, right=False)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to + 1).double() / 2.0


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Spearman rank correlation of the rows of two ``(batch, n)`` tensors; NaN where either row does not vary."""
    return pearson(ranks(first), ranks(second))


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
    dimensions = first.ndim - 2
    pool = functional.avg_pool1d if dimensions == 1 else functional.avg_pool2d
    a, b = first.double(), second.double()
    sample_correction = window**dimensions / (window**dimensions - 1)
    mean_a, mean_b = pool(a, window, 1), pool(b, window, 1)
    variance_a = sample_correction * (pool(a * a, window, 1) - mean_a**2)
    variance_b = sample_correction * (pool(b * b, window, 1) - mean_b**2)
    covariance = sample_correction * (pool(a * b, window, 1) - mean_a * mean_b)
    both = torch.cat([a.flatten(1), b.flatten(1)], dim=1)
    data_range = (both.amax(1) - both.amin(1)).reshape(-1, *[1] * (dimensions + 1))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    similarity = (luminance * structure).flatten(1).mean(1)
    return torch.where(data_range.flatten() > 0, similarity, torch.nan)


def gini(values: Tensor) -> Tensor:
    """Gini index of rows of non-negative numbers ``(batch, n)``: 0 all equal, 1 − 1/n all in one; NaN where all are 0.

    Hurley & Rickard 2009, Eq. 14: Σ (2i − n − 1) v_i / (n Σ v) for ascending v.
    """
    ordered = values.double().sort(dim=1).values
    n = ordered.shape[1]
    weights = 2.0 * torch.arange(1, n + 1, dtype=torch.float64, device=values.device) - n - 1
    return (ordered @ weights) / (n * ordered.sum(1))


def _epsilon(values: Tensor) -> float:
    return torch.finfo(values.dtype).eps
