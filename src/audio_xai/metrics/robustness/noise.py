"""Noise that disturbs inputs, relative to each sample."""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor


class Noise(Protocol):
    """How strongly inputs are disturbed, and by which distribution."""

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Disturbance of unit strength of the given shape."""
        ...

    def strength(self, inputs: Tensor) -> Tensor:
        """Strength for each sample, ``(batch,)``, in the inputs' unit."""
        ...

    def level(self, inputs: Tensor) -> Tensor:
        """Inputs as measured from what counts as nothing, shaped like them."""
        ...


@dataclass(frozen=True)
class SignalNoise:
    """Normal noise at a signal-to-noise ratio, the signal being how far the input is from silence.

    Attributes
    ----------
    snr_db : float
        10·log10 of mean (x − silence)² over the noise variance.
    silence_value : float
        The domain's silence, in the inputs' unit.
    """

    snr_db: float = 20.0
    silence_value: float = 0.0

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Standard normal."""
        return torch.randn(shape, generator=random)

    def strength(self, inputs: Tensor) -> Tensor:
        """Standard deviation for each sample."""
        power = self.level(inputs).flatten(1).square().mean(1)
        return cast(Tensor, (power * 10.0 ** (-self.snr_db / 10.0)).sqrt())

    def level(self, inputs: Tensor) -> Tensor:
        """Above silence."""
        return inputs - self.silence_value


@dataclass(frozen=True)
class RangeNoise:
    """Uniform noise in ± a fraction of the sample's own range.

    Attributes
    ----------
    fraction : float
        Of maximum − minimum. On MNIST 0.05 is a signal-to-noise ratio of about 21 dB.
    """

    fraction: float = 0.05

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Uniform in [−1, 1)."""
        return 2.0 * torch.rand(shape, generator=random) - 1.0

    def strength(self, inputs: Tensor) -> Tensor:
        """Half-width for each sample."""
        flat = inputs.flatten(1)
        return self.fraction * (flat.amax(1) - flat.amin(1))

    def level(self, inputs: Tensor) -> Tensor:
        """Above 0, which is black."""
        return inputs
