"""Robustness as the installed Quantus computes it."""

from typing import Any

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import Gradient, case
from helpers.quantus_runs import QUIET, call_quantus
from helpers.tiny_models import Counting, Function, draw, layers_of, nothing_touched, with_hooks_and_marks

from audioxai.compat.quantus.robustness import (
    AvgSensitivity,
    LocalLipschitzEstimate,
    MaxSensitivity,
    RelativeInputStability,
)
from audioxai.metrics.noise import SignalNoise
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.utils import hardware

KINDS = pytest.mark.parametrize("kind", ["image", "waveform"])
PAIRS: dict[str, tuple[Any, Any]] = {
    "average sensitivity": (AvgSensitivity, quantus.AvgSensitivity),
    "maximum sensitivity": (MaxSensitivity, quantus.MaxSensitivity),
    "local Lipschitz estimate": (LocalLipschitzEstimate, quantus.LocalLipschitzEstimate),
    "relative input stability": (RelativeInputStability, quantus.RelativeInputStability),
}
EVERY = pytest.mark.parametrize("name", PAIRS)


@EVERY
@KINDS
@pytest.mark.parametrize("settings", [{}, {"normalise": True, "abs": True}, {"normalise": False}])
@pytest.mark.parametrize("seed", [0, 7])
def test_is_quantus(name: str, kind: str, settings: dict[str, bool], seed: int) -> None:
    ours, theirs = PAIRS[name]
    given = case(kind, torch.float32)
    given[3][0] *= 3.0  # so that the batch's maximum is one sample's
    expected = call_quantus(theirs(nr_samples=6, **settings, **QUIET), *given, seed=seed, explainer=Gradient())
    assert len(set(np.asarray(expected).tolist())) == 5
    scores = ours(Gradient(), nr_samples=6, seed=seed, **settings)(*given)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lower_bound", [0.02, 1.0])
def test_has_quantus_bounds(lower_bound: float) -> None:
    given = case("image", torch.float32)
    for name in ("average sensitivity", "maximum sensitivity"):
        ours, theirs = PAIRS[name]
        settings: dict[str, Any] = {"nr_samples": 4, "lower_bound": lower_bound}
        expected = call_quantus(theirs(**settings, **QUIET), *given, explainer=Gradient())
        np.testing.assert_allclose(ours(Gradient(), **settings)(*given).numpy(), expected, rtol=1e-5)


def test_has_quantus_deviation() -> None:
    given = case("waveform", torch.float32)
    settings: dict[str, Any] = {"nr_samples": 4, "perturb_mean": 0.1, "perturb_std": 0.5}
    expected = call_quantus(quantus.LocalLipschitzEstimate(**settings, **QUIET), *given, explainer=Gradient())
    scores = LocalLipschitzEstimate(Gradient(), **settings)(*given)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5)


def test_a_changed_prediction_and_cells_of_nothing_are_as_in_quantus() -> None:
    model, inputs, targets, attributions = case("image", torch.float32)
    attributions[2, 0, 3:6] = 0.0
    inputs[3, 0, 1] = 0.0
    with torch.no_grad():  # sample 0 at the border between its two likeliest classes
        high = model(inputs).topk(2).values[0]
        layers_of(model)[-1].bias[model(inputs)[0].argmax()] -= high[0] - high[1] - 1e-4
    given = (model, inputs, targets, attributions)
    settings: dict[str, Any] = {"nr_samples": 30, "eps_min": 1e-3}
    expected = call_quantus(quantus.RelativeInputStability(**settings, **QUIET), *given, explainer=Gradient())
    assert 0 < np.isnan(expected).sum() < 5
    scores = RelativeInputStability(Gradient(), **settings)(*given)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5)


@EVERY
@KINDS
@pytest.mark.parametrize("inputs_a_call", [1, 3, 5, 7, 1000])
def test_calls_of_any_size_see_the_noise_of_their_draw(
    name: str, kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = case(kind)
    metric = PAIRS[name][0](Gradient(), nr_samples=4)
    expected = metric(*given)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * given[1][0].numel())
    torch.testing.assert_close(metric(*given), expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@EVERY
def test_takes_the_passes_it_says_and_leaves_everything_as_it_was(name: str) -> None:
    inner, inputs, targets, attributions = case("image")
    model, metric = Counting(inner), PAIRS[name][0](Gradient(), nr_samples=3)
    with_hooks_and_marks(inner)
    with nothing_touched(inner, inputs, targets, attributions):
        metric(model, inputs, targets, attributions)
    assert model.counter.count == metric.passes(model, inputs)


def test_what_is_corrected_noise_has_an_absolute_size_there() -> None:
    # F = Σ x² / 2 has the gradient x, so the change is ‖ε‖ / ‖x‖.
    model = Function(lambda inputs: inputs.flatten(1).square().sum(1, keepdim=True) / 2)
    inputs, targets = draw(3, 1, 40, 40, dtype=torch.float32), torch.zeros(3, dtype=torch.int64)
    theirs = quantus.AvgSensitivity(nr_samples=5, **QUIET)
    ours = AverageSensitivity(Gradient(), SignalNoise(20.0), 5)
    for loudness in (0.01, 1.0, 100.0):
        given = (model, loudness * inputs, targets, loudness * inputs)
        np.testing.assert_allclose(ours(*given).numpy(), 0.1, rtol=0.05)
        expected = 0.2 / 3**0.5 / loudness  # standard deviation of the uniform noise
        np.testing.assert_allclose(call_quantus(theirs, *given, explainer=Gradient()), expected, rtol=0.1)
