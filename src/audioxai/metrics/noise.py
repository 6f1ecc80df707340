"""Noise that is added to inputs, of a strength relative to each sample."""

import math
from dataclasses import dataclass
from typing import Protocol, cast

from torch import Tensor

from audioxai.metrics.batch import Batch
from audioxai.metrics.patterns import Patterns
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError


class Noise(Protocol):
    """Strength and distribution of the noise."""

    def draws(self, streams: Streams, features: int) -> Tensor:
        """Noise of unit strength, ``(streams, features)``."""
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
    batch : Batch
        Holds the inputs.
    noise : Noise
        Its strength and distribution.
    purpose : tuple
        What the noise is for, seed included.
    draws : int
        How many noisy versions of each input there are.
    first : int
        Number of the first of them, which is draw 0 here.
    antithetic : bool
        Whether draws come in pairs, the noise of the second being that of the first with its sign turned.
    """

    def __init__(
        self,
        batch: Batch,
        noise: Noise,
        purpose: tuple[object, ...],
        draws: int,
        first: int = 0,
        *,
        antithetic: bool = False,
    ) -> None:
        self._inputs, self._noise = batch.inputs, noise
        inputs, shape = batch.inputs, batch.inputs.shape[2:]

        def draw(streams: Streams) -> Tensor:
            return noise.draws(streams, shape.numel()).reshape(-1, 1, *shape).to(inputs.dtype)

        self._antithetic = antithetic
        numbers = (draws // 2, draw, first // 2) if antithetic else (draws, draw, first)
        self._patterns = Patterns(batch, purpose, *numbers)
        self._strength = noise.strength(inputs).reshape(-1, *[1] * (inputs.ndim - 1))

    @property
    def have_noise(self) -> Tensor:
        """Which samples have noise of a strength above 0, bool ``(batch,)``: a silent one has not."""
        return self._strength.flatten() > 0.0

    def __call__(self, samples: Tensor, draws: Tensor) -> Tensor:
        """Noisy inputs ``(pairs, 1, …)``; ``samples`` and ``draws`` are ``(pairs,)``, draws ascending."""
        if self._antithetic:
            signs = (1 - 2 * (draws % 2)).reshape(-1, *[1] * (self._inputs.ndim - 1))
            unit = signs * self._patterns(samples, draws // 2)
        else:
            unit = self._patterns(samples, draws)
        return self._noise.within(self._inputs[samples] + self._strength[samples] * unit)


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

    def draws(self, streams: Streams, features: int) -> Tensor:
        """Standard normal."""
        return streams.normal(features)

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

    def draws(self, streams: Streams, features: int) -> Tensor:
        """Uniform in [−1, 1)."""
        return 2.0 * streams.uniform(features) - 1.0

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
