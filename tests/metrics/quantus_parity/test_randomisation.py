"""Randomisation as the installed Quantus computes it."""

from typing import Any

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import Gradient, case
from helpers.quantus_runs import QUIET, call_quantus
from helpers.tiny_models import Counting, layers_of, nothing_touched, with_hooks_and_marks
from torch import nn

from audioxai.compat.quantus.randomisation import MPRT, EfficientMPRT, RandomLogit, SmoothMPRT
from audioxai.metrics.randomisation import cascade
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

KINDS = pytest.mark.parametrize("kind", ["image", "waveform"])
SEEDS = pytest.mark.parametrize("seed", [0, 42])
EVERY = {
    "random logit": RandomLogit(Gradient(), num_classes=3),
    "MPRT": MPRT(Gradient()),
    "smooth MPRT": SmoothMPRT(Gradient(), nr_samples=3),
    "efficient MPRT": EfficientMPRT(Gradient()),
}


def reference(metric: Any, given: tuple[Any, ...], seed: int, **call: Any) -> np.ndarray:
    """Quantus's scores, PyTorch's global generator, which it seeds, put back."""
    with torch.random.fork_rng(devices=[]):
        return np.asarray(call_quantus(metric, *given, seed=seed, explainer=Gradient(), **call))


@KINDS
@SEEDS
@pytest.mark.parametrize("settings", [{}, {"normalise": False}, {"abs": True}])
def test_random_logit_is_quantus(kind: str, seed: int, settings: dict[str, bool]) -> None:
    given = case(kind, torch.float32)
    given[3][0] *= 3.0  # so that the batch's maximum is one sample's
    expected = reference(quantus.RandomLogit(num_classes=3, seed=seed, **settings, **QUIET), given, seed)
    assert len(set(expected)) == 5
    scores = RandomLogit(Gradient(), num_classes=3, seed=seed, **settings)(*given)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-5)


@KINDS
@SEEDS
def test_mprt_is_quantus(kind: str, seed: int) -> None:
    given = case(kind, torch.float32)
    expected = reference(quantus.MPRT(seed=seed, return_average_correlation=True, **QUIET), given, seed)
    assert len(set(expected)) == 5
    np.testing.assert_allclose(MPRT(Gradient(), seed)(*given).numpy(), expected, rtol=0, atol=1e-5)


@KINDS
@SEEDS
@pytest.mark.parametrize(("nr_samples", "noise_magnitude"), [(1, 0.1), (6, 0.1), (3, 0.5)])
def test_smooth_mprt_is_quantus(kind: str, seed: int, nr_samples: int, noise_magnitude: float) -> None:
    given = case(kind, torch.float32)
    settings: dict[str, Any] = {"nr_samples": nr_samples, "noise_magnitude": noise_magnitude, "seed": seed}
    theirs = quantus.SmoothMPRT(return_average_correlation=True, **settings, **QUIET)
    # It divides the array that it is given in place, hence the helper's copy; and explains by its own gradient.
    expected = reference(theirs, given, seed, explain_func_kwargs={"method": "Gradient"})
    assert len(set(expected)) == 5
    np.testing.assert_allclose(SmoothMPRT(Gradient(), **settings)(*given).numpy(), expected, rtol=0, atol=1e-5)


@KINDS
@SEEDS
def test_efficient_mprt_is_quantus(kind: str, seed: int) -> None:
    given = case(kind, torch.float32)
    expected = reference(quantus.EfficientMPRT(seed=seed, **QUIET), given, seed)
    assert len(set(expected)) > 3
    np.testing.assert_allclose(EfficientMPRT(Gradient(), seed=seed)(*given).numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
@KINDS
@pytest.mark.parametrize("inputs_a_call", [1, 3, 1000])
def test_is_the_same_for_calls_of_any_size(
    name: str, kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = case(kind)
    expected = EVERY[name](*given)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * given[1][0].numel())
    torch.testing.assert_close(EVERY[name](*given), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_takes_the_passes_it_says_and_leaves_everything_as_it_was(name: str) -> None:
    inner, inputs, targets, attributions = case("image")
    model, metric = Counting(inner), EVERY[name]
    with_hooks_and_marks(inner)
    with nothing_touched(inner, inputs, targets, attributions):
        metric(model, inputs, targets, attributions)
    assert model.counter.count == metric.passes(model, inputs)


def test_what_is_corrected_layers_of_one_shape_are_drawn_alike_there() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 6), nn.Linear(6, 6))
    seen: list[torch.Tensor] = []

    class Watching(Gradient):
        def __call__(self, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            seen[:] = [layers_of(model)[layer].weight.detach().clone() for layer in (1, 2)]
            return super().__call__(model, inputs, targets)

    inputs, targets = torch.rand(2, 1, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
    MPRT(Watching())(model, inputs, targets, inputs)
    assert torch.equal(*seen)
    *_, last = cascade(model, 0)
    assert not torch.equal(layers_of(last)[1].weight, layers_of(last)[2].weight)


def test_what_is_corrected_the_model_as_it_is_counts_as_randomised_there() -> None:
    model, inputs, targets, attributions = case("image", torch.float32)
    theirs = quantus.MPRT(**QUIET)
    by_layer = call_of_layers(theirs, (model, inputs, targets, attributions))
    assert by_layer.pop("original") == pytest.approx([1.0] * 5)
    averages = reference(
        quantus.MPRT(return_average_correlation=True, **QUIET), (model, inputs, targets, attributions), 0
    )
    without = np.mean(list(by_layer.values()), axis=0)
    np.testing.assert_allclose(averages, (4 * without + 1.0) / 5, rtol=0, atol=1e-6)


def call_of_layers(metric: Any, given: tuple[Any, ...]) -> dict[str, list[float]]:
    with torch.random.fork_rng(devices=[]):
        return dict(call_quantus(metric, *given, explainer=Gradient()))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UserError, match=r"num_classes is 1; random logit \(Quantus\) needs at least 2"):
        RandomLogit(Gradient(), num_classes=1)
    model, inputs = nn.Sequential(nn.Flatten(), nn.ReLU()), torch.ones(2, 1, 8, 8)
    for metric in (MPRT(Gradient()), SmoothMPRT(Gradient(), 2), EfficientMPRT(Gradient())):
        with pytest.raises(UserError, match="no layer with reset_parameters"):
            metric(model, inputs, torch.tensor([0, 1]), inputs)
