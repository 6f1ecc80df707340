"""The blurred input as baseline: details are absent."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Blur:
    """The input blurred along every axis by a Gaussian with a standard deviation of ``sigma_cells`` features."""

    sigma_cells: float

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    @property
    def name(self) -> str:
        """``blur`` and its width."""
        return f"blur {self.sigma_cells:g}"

    def __call__(self, inputs: Tensor) -> Tensor:
        """Blurred inputs."""
        return blurred(inputs, inputs.new_full((len(inputs),), self.sigma_cells))


def blurred(inputs: Tensor, sigma_cells: Tensor) -> Tensor:
    """Inputs ``(batch, channels, …)``, each blurred along its axes by a Gaussian; widths ``(batch,)`` in features.

    Borders are continued by reflection, so that the mean and constant inputs do not change. The Gaussian is
    exp(−σ²ω²/2) in the frequency domain, which is exact at every width: blurs by σ and by τ compose to one by
    √(σ² + τ²).
    """
    if inputs.is_complex():
        return torch.complex(blurred(inputs.real, sigma_cells), blurred(inputs.imag, sigma_cells))
    axes = tuple(range(2, inputs.ndim))
    mirrored = inputs.detach()
    for axis in axes:
        mirrored = torch.cat([mirrored, mirrored.flip(axis)], axis)
    spectrum = torch.fft.rfftn(mirrored, dim=axes) * _decay(inputs, sigma_cells)
    smooth = torch.fft.irfftn(spectrum, s=mirrored.shape[2:], dim=axes)
    return cast(Tensor, smooth[(..., *(slice(size) for size in inputs.shape[2:]))]).contiguous()


def _decay(inputs: Tensor, sigma_cells: Tensor) -> Tensor:
    """Gain exp(−σ²ω²/2) at every frequency of the mirrored inputs, ``(batch, 1, …)``."""
    squares = inputs.new_zeros(())
    for axis in range(2, inputs.ndim):
        frequencies = torch.fft.rfftfreq if axis == inputs.ndim - 1 else torch.fft.fftfreq
        omega = 2.0 * torch.pi * frequencies(2 * inputs.shape[axis], dtype=inputs.dtype, device=inputs.device)
        squares = squares[..., None] + omega.square()
    return torch.exp(-0.5 * sigma_cells.square().reshape(-1, *[1] * (inputs.ndim - 1)) * squares)
