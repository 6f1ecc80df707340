"""Robustness: how much an explanation changes when its input hardly does."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from audio_xai.core import Explainer
from audio_xai.metrics.batch import Batch, PassMetric
from audio_xai.metrics.engine import Scoring
from audio_xai.metrics.patterns import Patterns
from audio_xai.utils.errors import UserError


class Noise(Protocol):
    """How strongly inputs are disturbed, and by which distribution."""

    def draws(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Disturbance of unit strength of the given shape."""
        ...

    def strength(self, inputs: Tensor) -> Tensor:
        """Strength for each sample, ``(batch,)``, in the inputs' unit."""
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
        power = (inputs - self.silence_value).flatten(1).square().mean(1)
        return cast(Tensor, (power * 10.0 ** (-self.snr_db / 10.0)).sqrt())


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


@dataclass(frozen=True)
class AverageSensitivity(PassMetric):
    """Mean relative change ‖a(x + ε) − a(x)‖₂ / ‖a(x)‖₂ of the attributions under noise, the class kept.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    noise : SignalNoise or RangeNoise
        What disturbs the inputs.
    draws : int
        Disturbances a sample.
    seed : int
        Of the noise. Every sample has its own, a function of its values and the seed.

    Notes
    -----
    Yeh et al. 2019 (their maximum sensitivity, averaged), noise relative to the signal. NaN where a(x) is all zero.
    """

    explainer: Explainer
    noise: SignalNoise | RangeNoise
    draws: int = 10
    seed: int = 0

    title: ClassVar[str] = "average sensitivity"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Yeh et al. 2019"

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; average sensitivity needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0."""
        inputs = batch.inputs
        shape = (1, *inputs.shape[2:])
        patterns = Patterns(
            inputs, ("sensitivity noise", self.seed), lambda random: self.noise.draws(shape, random).to(inputs)
        )
        strength = self.noise.strength(inputs).reshape(-1, *[1] * (inputs.ndim - 1))
        changes = torch.zeros(len(batch), dtype=torch.float64, device=inputs.device)

        def disturb(samples: Tensor, runs: Tensor) -> Tensor:
            return inputs[samples] + strength[samples] * patterns(samples, runs)

        def take(samples: Tensor, _: Tensor, again: Tensor) -> None:
            changes.index_add_(0, samples, norm(again - attributions[samples]))

        yield [batch.explanations(self.explainer, disturb, self.draws, take)]
        size = norm(attributions)
        return torch.where(size > 0, changes / self.draws / size, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the engine's)
        """``draws`` explanations a sample."""
        return self.draws * self.explainer.passes(inputs)


def norm(maps: Tensor) -> Tensor:
    """Euclidean norm ``(batch,)`` of every map, summed in float64."""
    return cast(Tensor, torch.linalg.vector_norm(maps.flatten(1), dim=1, dtype=torch.float64))
