"""Linear imputation: every absent cell becomes the weighted mean of its neighbours, absent ones included.

Rong et al. 2022: in two dimensions the eight neighbours, direct ones weighing 1/6 and diagonal ones 1/12; in one
dimension the two neighbours. Where the input ends, the weights that are left are scaled up. The equations of all
absent cells are solved together, in float64.
"""

import torch
from torch import Tensor
from torch.nn import functional

RELATIVE_RESIDUAL = 1e-9


def imputed(inputs: Tensor, absent: Tensor) -> Tensor:
    """Inputs whose absent cells are imputed from those that are there.

    Parameters
    ----------
    inputs : Tensor
        ``(n, channels, time)`` or ``(n, channels, rows, columns)``.
    absent : Tensor
        Boolean ``(n, 1, …)``, True where a cell is absent, in no sample everywhere.

    Returns
    -------
    Tensor
        Shaped like the inputs and of their type.
    """
    fill = _between_neighbours if inputs.ndim == 3 else _relaxed
    return torch.where(absent, fill(inputs.double(), absent).to(inputs.dtype), inputs)


def _between_neighbours(waveforms: Tensor, absent: Tensor) -> Tensor:
    """On a line the equations have the straight line between the nearest cells that are there as their solution."""
    length = waveforms.shape[2]
    positions = torch.arange(length, device=waveforms.device).expand_as(absent)
    before = positions.masked_fill(absent, -1).cummax(2).values
    after = positions.masked_fill(absent, length).flip(2).cummin(2).values.flip(2)
    # Before the first cell that is there and after the last one, the nearest is all there is.
    left = torch.where(before < 0, after, before).expand_as(waveforms)
    right = torch.where(after == length, before, after).expand_as(waveforms)
    share = (positions - left) / (right - left).clamp(min=1)
    return torch.lerp(waveforms.gather(2, left), waveforms.gather(2, right), share.double())


def _relaxed(images: Tensor, absent: Tensor) -> Tensor:
    """Solution by conjugate gradients, for all images at once; the system is symmetric and positive definite."""
    hole = absent.double()
    weights = _neighbours(torch.ones_like(hole))
    values = torch.zeros_like(images)
    residual = _neighbours(images * (1.0 - hole)) * hole
    direction, power = residual, _power(residual)
    enough = RELATIVE_RESIDUAL**2 * power
    for _ in range(hole[0].numel()):
        active = power > enough
        if not bool(active.any()):
            break
        changed = (weights * direction - _neighbours(direction)) * hole
        step = torch.where(active, power / (direction * changed).sum((2, 3), keepdim=True), 0.0)
        values = values + step * direction
        residual = residual - step * changed
        power, previous = _power(residual), power
        direction = residual + torch.where(active, power / previous, 0.0) * direction
    return values


def _neighbours(images: Tensor) -> Tensor:
    """Weighted sum over every cell's neighbours, those outside counting 0."""
    padded = functional.pad(images, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + 2.0 * padded[..., 1:-1, :] + padded[..., 2:, :]
    both = rows[..., :-2] + 2.0 * rows[..., 1:-1] + rows[..., 2:]
    return (both - 4.0 * images) / 12.0


def _power(images: Tensor) -> Tensor:
    return images.square().sum((2, 3), keepdim=True)
