"""Axioms as the installed Quantus checks them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import Gradient, case
from helpers.quantus_runs import QUIET, call_quantus
from helpers.tiny_models import Counting, Linear, draw, nothing_touched
from torch import Tensor, nn

from audioxai.baselines import Constant
from audioxai.compat.quantus.axiomatic import Completeness, InputInvariance, NonSensitivity
from audioxai.metrics import axiomatic
from audioxai.utils.errors import UserError

KINDS = pytest.mark.parametrize("kind", ["image", "waveform"])
BASELINES = pytest.mark.parametrize("baseline", ["black", "white", "mean", "uniform", 0.25])
SHAPES = {"image": (1, 6, 8), "waveform": (1, 40)}


@dataclass(frozen=True)
class GradientTimesInput:
    """Depends on the input's own level, so a shift changes it."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return inputs * Gradient()(model, inputs, targets)

    def passes(self, inputs: Tensor) -> int:
        return len(inputs)


def whole_numbers(kind: str) -> tuple[Any, ...]:
    """A linear model and inputs of whole numbers, so that no sum is ever rounded; exact attributions from black."""
    shape = SHAPES[kind]
    model = Linear(3, *shape).float()
    with torch.no_grad():
        model.weights.mul_(4).round_()
        model.bias.zero_()
    inputs = (4 * draw(5, *shape, seed=5)).round().float()
    targets = torch.arange(5) % 3
    black = inputs.flatten(1).amin(1).reshape(-1, *[1] * len(shape))
    return model.eval(), inputs, targets, model.weights.detach()[targets] * (inputs - black)


@KINDS
@pytest.mark.parametrize("baseline", ["black", "white", "uniform", 0.0, 1.0])
@pytest.mark.parametrize("settings", [{"normalise": False}, {"normalise": True}, {"abs": True, "normalise": False}])
def test_completeness_is_quantus(kind: str, baseline: str | float, settings: dict[str, bool]) -> None:
    given = whole_numbers(kind)
    given[3][[1, 3]] += 1.0
    both: dict[str, Any] = {"perturb_baseline": baseline} | settings
    expected = call_quantus(quantus.Completeness(**both, **QUIET), *given, seed=3)
    scores = Completeness(**both, seed=3)(*given)
    assert scores.tolist() == np.array(expected, dtype=float).tolist()
    if baseline == "black" and settings == {"normalise": False}:
        assert scores.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]


@KINDS
def test_normalised_attributions_are_incomplete_there_and_rounded_ones_too_but_hardly_here(kind: str) -> None:
    model, inputs, targets, exact = whole_numbers(kind)
    with torch.no_grad():
        model.weights.div_(3.0)
    black = inputs.flatten(1).amin(1).reshape(-1, *[1] * (inputs.ndim - 1))
    exact = model.weights.detach()[targets] * (inputs - black)
    assert sum(call_quantus(quantus.Completeness(normalise=False, **QUIET), model, inputs, targets, exact)) < 5
    assert sum(call_quantus(quantus.Completeness(**QUIET), model, inputs, targets, exact)) == 0
    exact = model.weights.detach()[targets] * (inputs - 0.25)
    gap = axiomatic.Completeness(Constant(0.25))(model, inputs, targets, exact)
    assert float(gap.max()) < 1e-5


@KINDS
@BASELINES
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("settings", [{}, {"normalise": False}, {"abs": False}, {"eps": 0.02}])
def test_non_sensitivity_is_quantus(kind: str, baseline: str | float, settings: dict[str, Any], softmax: bool) -> None:
    model, inputs, targets, _ = case(kind, torch.float32)
    inputs[inputs.abs() < 0.5] = inputs.amin()  # cells that black does not change
    attributions = Gradient()(model, inputs, targets) * (draw(*inputs.shape, seed=9) > 0).float()
    given, both = (model, inputs, targets, attributions), {"perturb_baseline": baseline} | settings
    expected = call_quantus(quantus.NonSensitivity(**both, **QUIET), *given, seed=3, softmax=softmax)
    scores = NonSensitivity(**both, softmax=softmax, seed=3)(*given)
    np.testing.assert_array_equal(scores.numpy(), np.array(expected, dtype=float))
    assert len(set(expected)) > 1


@pytest.mark.parametrize("step", [2, 7])
def test_the_reference_raises_for_steps_of_several_features(step: int) -> None:
    metric = quantus.NonSensitivity(features_in_step=step, **QUIET)
    with pytest.raises((ValueError, AssertionError)):
        call_quantus(metric, *case("image", torch.float32))


def test_the_number_of_cells_that_are_wrong_grows_with_the_input_there_and_their_share_is_bounded_here() -> None:
    model, inputs, targets, attributions = case("image", torch.float32)
    metric = NonSensitivity(eps=0.02)
    counts = metric(model, inputs, targets, attributions)
    assert float(counts.max()) > 1.0
    share = axiomatic.NonSensitivity(Constant(0.25), 16)(model, inputs, targets, attributions)
    assert bool(((share >= 0) & (share <= 1)).all())


@KINDS
@pytest.mark.parametrize("explainer", [Gradient(), GradientTimesInput()], ids=["gradient", "product"])
@pytest.mark.parametrize(
    "settings", [{}, {"input_shift": 1e-4}, {"input_shift": 0.5}, {"abs": True}, {"normalise": True}]
)
def test_input_invariance_is_quantus(kind: str, explainer: Any, settings: dict[str, Any]) -> None:
    model, inputs, targets, _ = case(kind, torch.float32)
    attributions = explainer(model, inputs, targets)
    expected = call_quantus(
        quantus.InputInvariance(**settings, **QUIET), model, inputs, targets, attributions, explainer=explainer
    )
    scores = InputInvariance(explainer, **settings)(model, inputs, targets, attributions)
    assert scores.tolist() == np.array(expected, dtype=float).tolist()


class Unpadded(nn.Module):
    """A model whose first layer does not pad, so that its bias makes up for a shift exactly, and which stays linear."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.head = Linear(3, 2, 10, 8)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.first(inputs))


def test_where_nothing_pads_the_gradient_is_invariant_and_its_product_is_not() -> None:
    _, inputs, targets, _ = case("image", torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Unpadded().float().eval()
    for explainer, score in ((Gradient(), 1.0), (GradientTimesInput(), 0.0)):
        attributions = explainer(model, inputs, targets)
        given = (model, inputs, targets, attributions)
        expected = call_quantus(quantus.InputInvariance(**QUIET), *given, explainer=explainer)
        assert InputInvariance(explainer)(*given).tolist() == np.array(expected, dtype=float).tolist() == [score] * 5


def test_padding_lets_the_gradient_fail_there_but_not_here() -> None:
    model, inputs, targets, attributions = case("image", torch.float32)
    given, explainer = (model, inputs, targets, attributions), Gradient()
    expected = call_quantus(quantus.InputInvariance(input_shift=4.0, **QUIET), *given, explainer=explainer)
    assert InputInvariance(explainer, input_shift=4.0)(*given).tolist() == np.array(expected, dtype=float).tolist()
    assert 0.0 in expected
    assert float(axiomatic.InputInvariance(explainer, 4.0)(*given).max()) < 1e-4


def test_a_first_layer_without_bias_is_refused() -> None:
    given = whole_numbers("image")
    with pytest.raises(UserError, match="Quantus's input invariance needs a convolution with bias"):
        InputInvariance(Gradient())(Counting(given[0]), *given[1:])


@pytest.mark.parametrize("metric", [Completeness, NonSensitivity])
def test_an_unknown_baseline_is_refused(metric: type) -> None:
    with pytest.raises(UserError, match="perturb_baseline is 'noise'; choose among black, white, mean, uniform"):
        metric(perturb_baseline="noise")


@KINDS
@pytest.mark.parametrize("metric", [Completeness(), NonSensitivity(), InputInvariance(Gradient())])
def test_leaves_everything_as_it_was(metric: Any, kind: str) -> None:
    given = case(kind, torch.float32)
    with nothing_touched(*given):
        metric(*given)


@KINDS
@pytest.mark.parametrize("metric", [Completeness(), NonSensitivity()])
def test_takes_the_passes_it_says(metric: Any, kind: str) -> None:
    inner, *rest = case(kind, torch.float32)
    model = Counting(inner)
    metric(model, *rest)
    assert model.counter.count == metric.passes(model, rest[0]) > 0


def test_input_invariance_explains_every_sample_once_more() -> None:
    model, inputs, _, _ = case("image", torch.float32)
    assert InputInvariance(Gradient()).passes(model, inputs) == 5
