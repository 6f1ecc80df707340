"""Paths: where they begin and end, what they are equal to, and that every one of them is complete."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import torch
from helpers.tiny_models import Function, Linear, draw, gradient_at, tiny_cnn, tiny_waveform_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioxai.baselines import BandNoise, Blur, Constant, References, Silence, SpeechShapedNoise, blurred
from audioxai.domains import LogMel
from audioxai.utils.errors import UserError
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import (
    Amplified,
    FadeIn,
    FromBlur,
    FromDrawn,
    LevelCrossfade,
    NoisyInput,
    Path,
    Straight,
    WaveformCrossfade,
)
from audioxai.xai_methods.quadrature import Left, Midpoint

DOMAIN = LogMel(8_000, 0.25, bands=16, frames=12)
TRAINING = (-45.0 + 15.0 * draw(21, 1, 16, 12, seed=1)).clamp(-80.0, 0.0)
LEVELS = (-40.0 + 15.0 * draw(5, 1, 16, 12, seed=2)).clamp(-80.0, 0.0)
WAVEFORMS = 0.1 * draw(6, 1, 40, seed=3)
BAND_NOISE, NOISE = BandNoise.of(TRAINING, -80.0), SpeechShapedNoise.of(WAVEFORMS)
SILENCE = Silence(DOMAIN)
TARGETS = torch.arange(5) % 3

# Path, inputs, and what the second draw of it begins with and ends with.
CASES: dict[str, tuple[Path, Tensor, Tensor, Tensor]] = {
    "straight": (Straight(Constant(0.25)), LEVELS, torch.full_like(LEVELS, 0.25), LEVELS),
    "references": (
        FromDrawn(References.of(TRAINING, 8)),
        LEVELS,
        References.of(TRAINING, 8).drawn(LEVELS, 1),
        LEVELS,
    ),
    "noise": (FromDrawn(BAND_NOISE), LEVELS, BAND_NOISE.drawn(LEVELS, 1), LEVELS),
    "fade-in": (FadeIn(-80.0), LEVELS, SILENCE(LEVELS), LEVELS),
    "amplified": (Amplified(60.0), WAVEFORMS[:5], torch.zeros_like(WAVEFORMS[:5]), WAVEFORMS[:5]),
    "level crossfade": (LevelCrossfade(BAND_NOISE), LEVELS, BAND_NOISE.drawn(LEVELS, 1), LEVELS),
    "waveform crossfade": (WaveformCrossfade(NOISE), WAVEFORMS[:5], NOISE.drawn(WAVEFORMS[:5], 1), WAVEFORMS[:5]),
    "sharpening": (FromBlur(3.0), LEVELS, Blur(3.0)(LEVELS), LEVELS),
}
EVERY = pytest.mark.parametrize(("path", "inputs", "start", "end"), CASES.values(), ids=CASES)


def model_for(inputs: Tensor) -> nn.Module:
    return tiny_cnn() if inputs.ndim == 4 else tiny_waveform_cnn()


def change(model: nn.Module, start: Tensor, end: Tensor) -> Tensor:
    return (model(end) - model(start)).gather(1, TARGETS[:, None])[:, 0].detach()


@EVERY
def test_begins_at_the_baseline_and_ends_at_the_input(path: Path, inputs: Tensor, start: Tensor, end: Tensor) -> None:
    rows = torch.arange(5)
    curve = path.curve(inputs, 1)
    for place, expected in ((0.0, start), (1.0, end)):
        point = curve.at(rows, torch.full((5,), place, dtype=torch.float64))
        torch.testing.assert_close(point, expected, rtol=1e-12, atol=1e-9)


@EVERY
def test_stretches_are_differences_and_add_up_to_the_whole_way(
    path: Path, inputs: Tensor, start: Tensor, end: Tensor
) -> None:
    rows, curve = torch.tensor([3, 0, 3]), path.curve(inputs, 1)
    edges = torch.linspace(0.0, 1.0, 8, dtype=torch.float64)
    parts = [curve.step(rows, a.expand(3), b.expand(3)) for a, b in pairwise(edges)]
    for (left, right), part in zip(pairwise(edges), parts, strict=True):
        expected = curve.at(rows, right.expand(3)) - curve.at(rows, left.expand(3))
        torch.testing.assert_close(part, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(torch.stack(parts).sum(0), (end - start)[rows], rtol=1e-9, atol=1e-9)


@EVERY
def test_is_complete(path: Path, inputs: Tensor, start: Tensor, end: Tensor) -> None:
    model = model_for(inputs)
    gaps = []
    for steps in (16, 512):
        integral = PathIntegral(path, Midpoint(steps)).attribute(model, inputs, TARGETS)
        gaps.append(float((integral.attributions.flatten(1).sum(1) - integral.change).abs().max()))
    scale = float(integral.change.abs().max())
    assert gaps[1] < 6e-3 * scale
    assert gaps[1] < gaps[0]


@EVERY
@pytest.mark.parametrize("steps", [1, 4])
def test_explains_a_linear_model_exactly_whatever_the_nodes(
    path: Path, inputs: Tensor, start: Tensor, end: Tensor, steps: int
) -> None:
    model = Linear(3, *inputs.shape[1:])
    attributions = PathIntegral(path, Left(steps), draws=2)(model, inputs, TARGETS)
    starts = [path.curve(inputs, number).at(torch.arange(5), torch.zeros(5).double()) for number in range(2)]
    expected = model.weights[TARGETS] * (inputs - (starts[0] + starts[1]) / 2.0)
    torch.testing.assert_close(attributions, expected.detach(), rtol=1e-9, atol=1e-9)


@EVERY
def test_a_sample_goes_its_own_way_whatever_the_batch(path: Path, inputs: Tensor, start: Tensor, end: Tensor) -> None:
    places = torch.full((5,), 0.3, dtype=torch.float64)
    together = path.curve(inputs, 1).at(torch.arange(5), places)
    order = torch.tensor([4, 1, 0])
    torch.testing.assert_close(path.curve(inputs[order], 1).at(torch.arange(3), places[:3]), together[order])


@EVERY
def test_a_float32_input_is_explained_in_float32(path: Path, inputs: Tensor, start: Tensor, end: Tensor) -> None:
    point = path.curve(inputs.float(), 0).at(torch.arange(5), torch.full((5,), 0.5, dtype=torch.float64))
    assert point.dtype == torch.float32


@settings(deadline=None, max_examples=25)
@given(place=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_a_fade_in_is_the_analysis_of_the_waveform_at_lower_gains(place: float, seed: int) -> None:
    waveforms = 0.1 * draw(2, 1, 2_000, seed=seed)
    levels = DOMAIN.analysis(waveforms)
    depth_db = levels.flatten(1).amax(1) + 80.0
    gains = 10.0 ** (-(1.0 - place) * depth_db / 20.0)
    point = FadeIn(-80.0).curve(levels, 0).at(torch.arange(2), torch.full((2,), place, dtype=torch.float64))
    torch.testing.assert_close(point, DOMAIN.analysis(gains[:, None, None] * waveforms), rtol=0, atol=1e-8)


def test_a_fade_in_weighs_a_node_by_the_integral_of_its_interval_in_closed_form() -> None:
    levels, depth_db = torch.tensor([[[-3.0, -31.0, -79.0, -80.0]]], dtype=torch.float64), 77.0
    curve, row = FadeIn(-80.0).curve(levels, 0), torch.tensor([0])
    for left, right in ((0.0, 0.25), (0.25, 0.6), (0.6, 1.0)):
        weights = curve.step(row, *(levels.new_tensor([place]) for place in (left, right))).flatten()
        gains = [10.0 ** (-depth_db * (1.0 - place) / 20.0) for place in (left, right)]
        for level, weight in zip(levels.flatten().tolist(), weights.tolist(), strict=True):
            emerges = max(10.0 ** ((-80.0 - level) / 20.0), gains[0])
            expected = 0.0
            if emerges < gains[1]:
                expected = scipy.integrate.quad(lambda a: 20.0 / math.log(10.0) / a, emerges, gains[1])[0]
            assert weight == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_a_fade_in_of_a_quadratic_is_its_closed_form() -> None:
    squares = Function(lambda x: x.flatten(1).square().sum(1, keepdim=True))
    attributions = PathIntegral(FadeIn(-80.0), Midpoint(4_096))(squares, LEVELS, torch.zeros(5, dtype=torch.int64))
    # Every cell adds its own share, so every path gives L² − L_f².
    torch.testing.assert_close(attributions, LEVELS**2 - 80.0**2, rtol=2e-3, atol=0.5)


def test_silence_fades_in_to_nothing_and_levels_below_the_floor_are_refused() -> None:
    silence = SILENCE(LEVELS)
    assert not PathIntegral(FadeIn(-80.0), Midpoint(4))(tiny_cnn(), silence, TARGETS).any()
    with pytest.raises(UserError, match="inputs go down to -80 dB but the floor is -60 dB"):
        FadeIn(-60.0).curve(silence, 0)


def test_amplifying_is_the_straight_line_from_zero_with_other_nodes() -> None:
    model, inputs = tiny_waveform_cnn(), WAVEFORMS[:5]
    even_in_db = PathIntegral(Amplified(60.0), Midpoint(2_048)).attribute(model, inputs, TARGETS)
    even_in_gain = PathIntegral(Straight(Constant(0.0)), Midpoint(2_048)).attribute(model, inputs, TARGETS)
    scale = float(even_in_gain.attributions.abs().max())
    torch.testing.assert_close(even_in_db.attributions, even_in_gain.attributions, rtol=0, atol=2e-3 * scale)
    # Only a model that is as curved in dB as a front end makes it gains by nodes even in dB.
    assert (
        float(Amplified(80.0).curve(inputs, 0).at(torch.tensor([0]), torch.tensor([0.5]).double()).abs().max()) < 0.01
    )


@pytest.mark.parametrize("place", [0.2, 0.7])
def test_a_crossfade_mixes_amplitudes_not_powers(place: float) -> None:
    angle = place * math.pi / 2.0
    places = torch.full((5,), place, dtype=torch.float64)
    noise = NOISE.drawn(WAVEFORMS[:5], 2)
    mixture = WaveformCrossfade(NOISE).curve(WAVEFORMS[:5], 2).at(torch.arange(5), places)
    torch.testing.assert_close(mixture, math.sin(angle) * WAVEFORMS[:5] + math.cos(angle) * noise)
    levels = LevelCrossfade(BAND_NOISE).curve(LEVELS, 2).at(torch.arange(5), places).numpy()
    amplitudes = BAND_NOISE.amplitudes(LEVELS, 2).numpy()
    expected = np.abs(math.sin(angle) * 10.0 ** (LEVELS.numpy() / 20.0) + math.cos(angle) * amplitudes)
    np.testing.assert_allclose(levels, np.maximum(20.0 * np.log10(expected), -80.0), rtol=0, atol=1e-9)


def test_crossfaded_levels_have_the_mean_power_of_independent_sounds() -> None:
    # Cross terms cancel on average: E|tZ + √(1−t²)N|² = t²|Z|² + (1−t²)E|N|².
    one = LEVELS[:1]
    place, draws = 0.5, 400
    half = torch.tensor([place]).double()
    powers = [
        10.0 ** (LevelCrossfade(BAND_NOISE).curve(one, number).at(torch.tensor([0]), half) / 10.0)
        for number in range(draws)
    ]
    noise = BAND_NOISE.spectrum.expanded_like(one)
    noise = noise * (10.0 ** (one / 10.0)).sum() / noise.sum()
    expected = 0.5 * 10.0 ** (one / 10.0) + 0.5 * noise
    ratio = torch.stack(powers).mean(0) / expected
    assert float((ratio - 1.0).abs().mean()) < 0.08
    assert abs(float(ratio.mean()) - 1.0) < 0.02


def test_sharpening_is_the_inputs_blurred_less_and_less() -> None:
    places = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
    points = FromBlur(4.0).curve(LEVELS, 0).at(torch.arange(5), places)
    torch.testing.assert_close(points, blurred(LEVELS, 4.0 * (1.0 - places)))


def test_smooth_integrals_are_those_of_shaken_inputs() -> None:
    model, path = tiny_cnn(), NoisyInput(Straight(SILENCE), 4.0, seed=5)
    attributions = PathIntegral(path, Midpoint(6), draws=3)(model, LEVELS, TARGETS)
    expected = torch.zeros_like(LEVELS)
    for number in range(3):
        moved = path.curve(LEVELS, number).at(torch.arange(5), torch.ones(5).double())
        noise = moved - LEVELS
        assert abs(float(noise.std()) / 4.0 - 1.0) < 0.1
        for step in range(6):
            place = (step + (number + 0.5) / 3) / 6
            point = (-80.0 + place * (moved + 80.0)).requires_grad_(True)
            model(point).gather(1, TARGETS[:, None]).sum().backward()
            expected += gradient_at(point) * (moved + 80.0) / 18.0
    torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-12)


def test_expected_gradients_are_the_mean_over_references_at_stratified_places() -> None:
    model, references = tiny_cnn(), References.of(TRAINING, 8)
    attributions = PathIntegral(FromDrawn(references), Midpoint(1), draws=8)(model, LEVELS, TARGETS)
    expected = torch.zeros_like(LEVELS)
    for number in range(8):
        start = references.drawn(LEVELS, number)
        point = (start + (number + 0.5) / 8 * (LEVELS - start)).requires_grad_(True)
        model(point).gather(1, TARGETS[:, None]).sum().backward()
        expected += gradient_at(point) * (LEVELS - start) / 8.0
    torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Amplified(0.0), "depth_db is 0.0"),
        (lambda: FromBlur(-1.0), "sigma_cells is -1.0"),
        (lambda: NoisyInput(Straight(SILENCE), 0.0), "noise_std is 0.0"),
    ],
)
def test_impossible_paths_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_baseline_of_another_shape_is_refused_naming_both() -> None:
    class Cut:
        name = "cut"

        def __call__(self, inputs: Tensor) -> Tensor:
            return inputs[..., :-1]

    with pytest.raises(UserError, match=r"baseline has shape \(5, 1, 16, 11\) but the inputs have \(5, 1, 16, 12\)"):
        PathIntegral(Straight(Cut()))(tiny_cnn(), LEVELS, TARGETS)
