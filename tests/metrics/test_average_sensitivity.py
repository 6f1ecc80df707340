"""Average sensitivity against closed forms; how strong the noise is."""

import math

import pytest
import torch
from helpers.metric_cases import MODELS, Gradient, Recorded, batch_of, case
from helpers.tiny_models import Function, Linear, draw, tiny_cnn

from audioxai.domains import LogMel
from audioxai.metrics.noise import LevelNoise, NoisyInputs, RangeNoise, SignalNoise
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.gradients import Saliency

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)


@pytest.mark.parametrize("noise", [SignalNoise(10.0), RangeNoise(0.5)])
@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9)])
def test_the_gradient_of_a_linear_model_does_not_change_at_all(noise, shape: tuple[int, ...]) -> None:
    model, inputs, targets = Linear(3, *shape), draw(4, *shape, seed=5), torch.tensor([2, 0, 1, 2])
    attributions = Saliency()(model, inputs, targets)
    assert AverageSensitivity(Saliency(), noise)(model, inputs, targets, attributions).tolist() == [0.0] * 4


@pytest.mark.parametrize("snr_db", [0.0, 20.0, 40.0])
def test_the_gradient_of_a_square_changes_as_much_as_its_input(snr_db: float) -> None:
    # F = Σ x² / 2 has the gradient x, so the change is ‖ε‖ / ‖x‖ = 10^(−snr / 20), up to the length of a drawn ε.
    model = Function(lambda inputs: inputs.flatten(1).square().sum(1, keepdim=True) / 2)
    inputs, targets = draw(3, 1, 50, 50), torch.zeros(3, dtype=torch.int64)
    scores = AverageSensitivity(Gradient(), SignalNoise(snr_db), draws=20)(model, inputs, targets, inputs)
    torch.testing.assert_close(scores, torch.full((3,), 10 ** (-snr_db / 20)).double(), rtol=0.01, atol=0)


@EVERY_KIND
def test_knows_no_scale_of_the_attributions(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    expected = AverageSensitivity(Gradient(), RangeNoise())(model, inputs, targets, attributions)
    for factor in (1e-6, 1e6):
        scores = AverageSensitivity(Gradient(factor), RangeNoise())(model, inputs, targets, factor * attributions)
        torch.testing.assert_close(scores, expected, rtol=1e-10, atol=0)


def test_a_known_change_of_a_known_attribution() -> None:
    model, inputs, targets, _ = case("image")
    given, again = torch.full_like(inputs, 2.0), Recorded(torch.full((1, 12, 10), 5.0, dtype=torch.float64))
    scores = AverageSensitivity(again, RangeNoise(), draws=7)(model, inputs, targets, given)
    torch.testing.assert_close(scores, torch.full((5,), 1.5).double(), rtol=1e-12, atol=0)
    zeros = AverageSensitivity(again, RangeNoise())(model, inputs, targets, torch.zeros_like(inputs))
    assert bool(torch.isnan(zeros).all())


@pytest.mark.parametrize("snr_db", [-3.0, 10.0, 20.0])
@pytest.mark.parametrize("silence_value", [0.0, -80.0])
def test_signal_noise_has_the_ratio_it_says(snr_db: float, silence_value: float) -> None:
    noise = SignalNoise(snr_db, silence_value)
    inputs = silence_value + torch.tensor([0.01, 1.0, 30.0])[:, None, None, None] * draw(3, 1, 40, 40, seed=1)
    draws = noise.draws(Streams(("test",), range(50), inputs.device), 1_600)
    for sample, strength in zip(inputs, noise.strength(inputs), strict=True):
        signal = ((sample - silence_value) ** 2).mean()
        measured_db = 10 * math.log10(float(signal / (strength * draws.double()).var()))
        assert abs(measured_db - snr_db) < 0.1
    assert abs(float(draws.mean())) < 0.02
    assert float(noise.strength(torch.full((1, 1, 4, 4), silence_value))) == 0.0


def test_range_noise_stays_within_its_fraction() -> None:
    noise = RangeNoise(0.05)
    inputs = torch.stack([torch.linspace(0, 1, 100), torch.linspace(-3, 7, 100)])[:, None].double()
    torch.testing.assert_close(
        noise.strength(inputs), torch.tensor([0.05, 0.5], dtype=torch.float64), rtol=1e-12, atol=0
    )
    draws = noise.draws(Streams(("test",), range(200), inputs.device), 100)
    assert -1.0 <= float(draws.min()) < -0.999
    assert 0.999 < float(draws.max()) <= 1.0
    assert abs(float(draws.mean())) < 0.02
    assert abs(float(draws.var()) - 1 / 3) < 0.01


def test_no_draws_are_refused() -> None:
    with pytest.raises(UserError, match="draws is 0"):
        AverageSensitivity(Gradient(), RangeNoise(), draws=0)


def test_noise_on_levels_ends_at_silence() -> None:
    """The same noise elsewhere, and fade-ins, which refuse levels below their floor, are measured too."""
    domain = LogMel(8_000, 0.25, bands=16, frames=12)
    inputs = (-60.0 + 20.0 * draw(3, 1, *domain.shape, seed=1, dtype=torch.float32)).clamp(-80.0, 0.0)
    samples, draws = torch.arange(3), torch.zeros(3, dtype=torch.int64)
    free, ended = (
        NoisyInputs(batch_of(inputs), made(10.0, -80.0), ("noise",), 1)(samples, draws)
        for made in (SignalNoise, LevelNoise)
    )
    assert bool((free < -80.0).any())
    torch.testing.assert_close(ended, free.clamp_min(-80.0), rtol=0, atol=0)
    model, targets, fade_in = tiny_cnn().float(), torch.arange(3), METHODS["amplitude"].make(domain, gradients=8)
    attributions = fade_in(model, inputs, targets)
    with pytest.raises(UserError, match="floor is -80 dB"):
        AverageSensitivity(fade_in, SignalNoise(10.0, -80.0), draws=1)(model, inputs, targets, attributions)
    scores = AverageSensitivity(fade_in, LevelNoise(10.0, -80.0), draws=1)(model, inputs, targets, attributions)
    noisy = NoisyInputs(batch_of(inputs), LevelNoise(10.0, -80.0), ("sensitivity noise", 0), 1)(samples, draws)
    again = fade_in(model, noisy, targets)
    expected = (again - attributions).flatten(1).norm(dim=1) / attributions.flatten(1).norm(dim=1)
    torch.testing.assert_close(scores.float(), expected.float(), rtol=1e-5, atol=1e-6)
