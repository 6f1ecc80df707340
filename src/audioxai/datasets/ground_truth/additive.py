"""Models whose attributions are known in closed form.

Idea
----
Where every cell adds its own share to a logit, whatever the others hold, that share is the only complete attribution
that ignores no cell and favours none: integrated gradients along any path and Shapley values agree on it. Band energy
is the step beyond: samples interact, but the integral along the straight line can still be solved.

Conventions
-----------
Inputs are ``(batch, 1, *shape)``, weights ``(classes, …)``. ``exact_attributions`` are for the logit of ``targets``
and complete: they add up to the logit at ``inputs`` minus that at ``baseline``, which is shaped like ``inputs`` or
broadcasts to them.
"""

from itertools import pairwise
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.utils.errors import UserError


@runtime_checkable
class SolvedModel(Protocol):
    """A model with its own answer."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        ...

    def exact_attributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``."""
        ...


class LinearModel(nn.Module):
    """Logit of class c = Σ weights[c] ⊙ x + bias[c].

    Parameters
    ----------
    weights : Tensor
        ``(classes, *shape)``.
    bias : Tensor
        ``(classes,)``.

    Raises
    ------
    UserError
        If weights and bias are not for the same number of classes.
    """

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        _require_bias(weights, bias)
        self.weights = nn.Parameter(weights.clone())
        self.bias = nn.Parameter(bias.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs ``(batch, 1, *shape)`` → logits ``(batch, classes)``."""
        return inputs.flatten(1) @ self.weights.flatten(1).T + self.bias

    def exact_attributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """``weights ⊙ (x − baseline)``, for any path."""
        return self.weights.detach()[targets][:, None] * (inputs - baseline)


class AdditiveModel(nn.Module):
    """Logit of class c = Σᵢ weights[c, i] · softplus((xᵢ − threshold[c, i]) / unit) + bias[c]: one curve a cell.

    Parameters
    ----------
    weights, thresholds : Tensor
        ``(classes, *shape)``; thresholds in the unit of the inputs.
    bias : Tensor
        ``(classes,)``.
    unit : float
        Width of the curve's bend in the unit of the inputs, such as 10 dB.

    Raises
    ------
    UserError
        If weights, thresholds and bias do not fit each other or ``unit`` is not positive.
    """

    def __init__(self, weights: Tensor, thresholds: Tensor, bias: Tensor, unit: float = 1.0) -> None:
        super().__init__()
        _require_bias(weights, bias)
        if weights.shape != thresholds.shape:
            raise UserError(
                f"weights have shape {tuple(weights.shape)} and thresholds {tuple(thresholds.shape)}; give one a cell"
            )
        if not unit > 0.0:
            raise UserError(f"unit is {unit}; give a positive width in the unit of the inputs")
        self.weights = nn.Parameter(weights.clone())
        self.thresholds = nn.Parameter(thresholds.clone())
        self.bias = nn.Parameter(bias.clone())
        self.unit = unit

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs ``(batch, 1, *shape)`` → logits ``(batch, classes)``."""
        curves = functional.softplus((inputs - self.thresholds) / self.unit)
        return (self.weights * curves).flatten(2).sum(2) + self.bias

    def exact_attributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """``weights ⊙ (curve(x) − curve(baseline))``, for any path."""
        weights, thresholds = (values.detach()[targets][:, None] for values in (self.weights, self.thresholds))
        at_input, at_baseline = (
            functional.softplus((values - thresholds) / self.unit) for values in (inputs, baseline)
        )
        return weights * (at_input - at_baseline)


class BandEnergyModel(nn.Module):
    """Logit of class c = Σ_b weights[c, b] · E_b + bias[c], E_b the energy of the waveform between two edges.

    Bands are exact: bins of the discrete Fourier transform of the whole waveform, ``edges_hz[b] ≤ f < edges_hz[b+1]``.

    Parameters
    ----------
    weights : Tensor
        ``(classes, bands)``.
    bias : Tensor
        ``(classes,)``.
    edges_hz : tuple of float
        Ascending, one more than there are bands.
    sample_rate_hz : int
        Sample rate of the waveforms ``(batch, 1, time)``.

    Raises
    ------
    UserError
        If weights and bias do not fit each other or the edges do not ascend or are not one more than the bands.
    """

    def __init__(self, weights: Tensor, bias: Tensor, edges_hz: tuple[float, ...], sample_rate_hz: int) -> None:
        super().__init__()
        _require_bias(weights, bias)
        ascending = all(low < high for low, high in pairwise(edges_hz))
        if weights.ndim != 2 or len(edges_hz) != weights.shape[1] + 1 or not ascending:
            raise UserError(
                f"edges_hz are {edges_hz} for weights of shape {tuple(weights.shape)}; give weights (classes, bands) "
                "and ascending edges, one more than bands"
            )
        self.weights = nn.Parameter(weights.clone())
        self.bias = nn.Parameter(bias.clone())
        self.edges_hz = edges_hz
        self.sample_rate_hz = sample_rate_hz

    def forward(self, inputs: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` → logits ``(batch, classes)``."""
        return self.bands(inputs).square().sum(2) @ self.weights.T + self.bias

    def bands(self, waveforms: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` cut into their bands, ``(batch, bands, time)``; orthogonal to each other."""
        samples = waveforms.shape[-1]
        spectrum = torch.fft.rfft(waveforms)
        bins_hz = torch.arange(spectrum.shape[-1], dtype=torch.float64, device=waveforms.device)
        bins_hz *= self.sample_rate_hz / samples
        inside = torch.stack([(bins_hz >= low) & (bins_hz < high) for low, high in pairwise(self.edges_hz)])
        return cast(Tensor, torch.fft.irfft(spectrum * inside, n=samples))

    def exact_attributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """Of every sample, ``(x − baseline) ⊙ Σ_b weights_b (x_b + baseline_b)``: the straight line's integral.

        The gradient of the quadratic logit is 2 Σ_b weights_b x_b, linear along the line, so its mean is that in the
        middle.
        """
        both = self.bands((inputs + baseline).expand_as(inputs))
        mean_gradient = (self.weights.detach()[targets][:, :, None] * both).sum(1, keepdim=True)
        return (inputs - baseline) * mean_gradient

    def exact_band_attributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """Of every band, ``weights_b (E_b(x) − E_b(baseline))``, ``(batch, bands)``."""
        gained = self.bands(inputs).square().sum(2) - self.bands(baseline.expand_as(inputs)).square().sum(2)
        return self.weights.detach()[targets] * gained


def _require_bias(weights: Tensor, bias: Tensor) -> None:
    if bias.shape != (len(weights),):
        raise UserError(
            f"weights have shape {tuple(weights.shape)} and bias {tuple(bias.shape)}; give one bias a class"
        )
