"""Noise that is added to inputs, of a strength relative to each sample."""

import math
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from audioxai.metrics.patterns import Patterns
from audioxai.utils.errors import UserError


class Noise(Protocol):
    """Strength and distribution of the noise."""

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Noise of unit strength and the given shape."""
        ...

    def strength(self, inputs: Tensor) -> Tensor:
        """Strength for each sample, ``(batch,)``, in the inputs' unit."""
        ...

    def level(self, inputs: Tensor) -> Tensor:
        """Inputs relative to silence, or to black, shaped like the inputs."""
        ...

    def within(self, noisy: Tensor) -> Tensor:
        """Noisy inputs, shaped as they are, as far as there are such inputs."""
        ...


class NoisyInputs:
    """Inputs plus noise; the noise of a sample is a function of its values and of ``purpose``.

    Parameters
    ----------
    inputs : Tensor
        ``(batch, 1, …)``.
    noise : Noise
        Its strength and distribution.
    purpose : tuple
        What the noise is for, seed included.
    """

    def __init__(self, inputs: Tensor, noise: Noise, purpose: tuple[object, ...]) -> None:
        shape = (1, *inputs.shape[2:])
        self._inputs, self._noise = inputs, noise
        self._patterns = Patterns(inputs, purpose, lambda random: noise.draws(shape, random).to(inputs.dtype))
        self._strength = noise.strength(inputs).reshape(-1, *[1] * (inputs.ndim - 1))

    @property
    def have_noise(self) -> Tensor:
        """Which samples have noise of a strength above 0, bool ``(batch,)``: a silent one has not."""
        return self._strength.flatten() > 0.0

    def __call__(self, samples: Tensor, draws: Tensor) -> Tensor:
        """Noisy inputs ``(pairs, 1, …)``; ``samples`` and ``draws`` are ``(pairs,)``, draws ascending."""
        return self._noise.within(self._inputs[samples] + self._strength[samples] * self._patterns(samples, draws))


@dataclass(frozen=True)
class SignalNoise:
    """Normal noise at a signal-to-noise ratio, the signal being the input minus silence.

    Attributes
    ----------
    snr_db : float
        10·log10 of mean (x − silence)² over the noise variance.
    silence_value : float
        The domain's silence, in the inputs' unit.
    """

    snr_db: float = 20.0
    silence_value: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.snr_db) and math.isfinite(self.silence_value)):
            raise UserError(f"snr_db is {self.snr_db} and silence_value {self.silence_value}; give finite numbers")

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Standard normal."""
        return torch.randn(shape, generator=random, dtype=torch.float32)

    def strength(self, inputs: Tensor) -> Tensor:
        """Standard deviation for each sample."""
        power = self.level(inputs).flatten(1).square().mean(1)
        return cast(Tensor, (power * 10.0 ** (-self.snr_db / 10.0)).sqrt())

    def level(self, inputs: Tensor) -> Tensor:
        """Above silence."""
        return inputs - self.silence_value

    def within(self, noisy: Tensor) -> Tensor:
        """As they are."""
        return noisy


@dataclass(frozen=True)
class LevelNoise(SignalNoise):
    """The same on levels in dB that end at silence: noise leaves none below it, where no sound is.

    Attributes
    ----------
    snr_db, silence_value
        As of :class:`SignalNoise`; silence is the smallest level.
    """

    def within(self, noisy: Tensor) -> Tensor:
        """At least silence."""
        return noisy.clamp_min(self.silence_value)


@dataclass(frozen=True)
class RangeNoise:
    """Uniform noise in ± a fraction of the sample's own range.

    Attributes
    ----------
    fraction : float
        Of maximum − minimum. On MNIST 0.05 is a signal-to-noise ratio of about 21 dB.
    """

    fraction: float = 0.05

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fraction) and self.fraction > 0.0):
            raise UserError(f"fraction is {self.fraction}; give a finite fraction above 0 of the range")

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Uniform in [−1, 1)."""
        return 2.0 * torch.rand(shape, generator=random, dtype=torch.float32) - 1.0

    def strength(self, inputs: Tensor) -> Tensor:
        """Half-width for each sample."""
        flat = inputs.flatten(1)
        return self.fraction * (flat.amax(1) - flat.amin(1))

    def level(self, inputs: Tensor) -> Tensor:
        """Above 0, which is black."""
        return inputs

    def within(self, noisy: Tensor) -> Tensor:
        """As they are."""
        return noisy
