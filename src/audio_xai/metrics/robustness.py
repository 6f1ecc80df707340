"""Robustness: how much an explanation changes when its input hardly does."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from audio_xai.core import Explainer
from audio_xai.metrics.engine import check_attributions, explained_again, own_offsets, shifted_patterns
from audio_xai.utils.errors import UserError
from audio_xai.utils.seeding import generator


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
class AverageSensitivity:
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

    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Yeh et al. 2019"

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; average sensitivity needs at least 1")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)`` ≥ 0."""
        check_attributions(inputs, attributions, "average sensitivity")
        random = generator("sensitivity noise", self.seed, tuple(inputs.shape[1:]))
        draws = self.noise.draws((self.draws, *inputs.shape[1:]), random).to(inputs)
        offsets = own_offsets(inputs, "sensitivity noise", self.seed)
        strength = self.noise.strength(inputs).reshape(-1, *[1] * (inputs.ndim - 1))

        def disturb(samples: Tensor, runs: Tensor) -> Tensor:
            return inputs[samples] + strength[samples] * shifted_patterns(draws, samples, runs, offsets)

        changes = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
        for samples, again in explained_again(self.explainer, model, inputs, targets, disturb, self.draws):
            change = (again.double() - attributions[samples].double()).flatten(1).norm(dim=1)
            changes.index_add_(0, samples, change)
        size = attributions.double().flatten(1).norm(dim=1)
        return torch.where(size > 0, changes / self.draws / size, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``draws`` explanations a sample."""
        return self.draws * self.explainer.passes(inputs)
