"""Integrated Gradients against a slow midpoint sum, closed forms and Captum."""

from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from helpers.explainer_cases import BASELINE, MODELS, case
from helpers.tiny_models import Function, draw, gradient_at

from audioxai.baselines import Black, Silence
from audioxai.domains import LogMel
from audioxai.utils import hardware
from audioxai.utils.errors import UserError
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.quadrature import GaussLegendre, Left, Midpoint, Right, Rule

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)


def slowly(model: torch.nn.Module, sample: torch.Tensor, target: int, baseline: float, steps: int) -> np.ndarray:
    """One gradient after the other, at the middle of each of ``steps`` equal parts of the way."""
    total = np.zeros(sample.shape)
    for step in range(steps):
        point = (baseline + (step + 0.5) / steps * (sample - baseline))[None].clone().requires_grad_(True)
        model(point)[0, target].backward()
        total += gradient_at(point)[0].numpy() / steps
    return (sample.numpy() - baseline) * total


@EVERY_KIND
@pytest.mark.parametrize("steps", [2, 5, 32])
def test_is_the_slow_midpoint_sum(kind: str, steps: int) -> None:
    model, inputs, targets = case(kind)
    attributions = IntegratedGradients(BASELINE, steps)(model, inputs, targets)
    for row, target in enumerate(targets.tolist()):
        expected = slowly(model, inputs[row], target, BASELINE.value, steps)
        np.testing.assert_allclose(attributions[row].numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


CAPTUMS: dict[str, Callable[[int], Rule]] = {
    "riemann_middle": Midpoint,
    "riemann_left": Left,
    "riemann_right": Right,
    "gausslegendre": GaussLegendre,
}


@EVERY_KIND
@pytest.mark.parametrize("method", CAPTUMS)
# Captum keeps the weight of a node in single precision, which is exact where it is a power of two.
@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [(torch.float64, 16, 1e-10), (torch.float64, 20, 2e-7), (torch.float32, 16, 1e-5), (torch.float32, 50, 1e-5)],
)
def test_is_captums_for_the_same_nodes(
    kind: str, method: str, dtype: torch.dtype, steps: int, tolerance: float
) -> None:
    model, inputs, targets = case(kind, dtype)
    attributions = PathIntegral(Straight(BASELINE), CAPTUMS[method](steps))(model, inputs, targets)
    expected = captum.attr.IntegratedGradients(model).attribute(
        inputs, baselines=BASELINE.value, target=targets, n_steps=steps, method=method
    )
    tolerance = max(tolerance, 2e-7) if method == "gausslegendre" else tolerance
    torch.testing.assert_close(attributions, expected.detach(), rtol=0, atol=tolerance * float(expected.abs().max()))


@EVERY_KIND
def test_the_default_is_captums_midpoint_rule(kind: str) -> None:
    model, inputs, targets = case(kind)
    attributions = IntegratedGradients(BASELINE, 32)(model, inputs, targets)
    expected = captum.attr.IntegratedGradients(model).attribute(
        inputs, baselines=BASELINE.value, target=targets, n_steps=32, method="riemann_middle"
    )
    torch.testing.assert_close(attributions, expected.detach(), rtol=1e-11, atol=1e-13)


@EVERY_KIND
def test_every_input_goes_through_the_model_once_a_step_in_calls_of_the_best_size(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = case(kind)
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 7 * inputs[0].numel())
    method = IntegratedGradients(BASELINE, 6)
    method(model, inputs, targets)
    assert sizes == [7, 7, 7, 7, 2]
    assert sum(sizes) == method.passes(inputs)


def test_a_quadratic_is_integrated_exactly_and_a_cubic_to_second_order() -> None:
    inputs, target = draw(2, 1, 6), torch.tensor([0, 0])
    square = Function(lambda x: x.flatten(1).square().sum(1, keepdim=True))
    cube = Function(lambda x: (x.flatten(1) ** 3).sum(1, keepdim=True))
    expected = inputs**2 - BASELINE.value**2
    attributions = IntegratedGradients(BASELINE, 4)(square, inputs, target)
    torch.testing.assert_close(attributions, expected, rtol=1e-12, atol=1e-13)
    # The midpoint rule's own error: for f = x³ it misses (x − x₀)³ / (4 n²).
    for steps in (4, 8):
        missing = (inputs - BASELINE.value) ** 3 / (4 * steps**2)
        attributions = IntegratedGradients(BASELINE, steps)(cube, inputs, target)
        torch.testing.assert_close(inputs**3 - BASELINE.value**3 - attributions, missing, rtol=1e-9, atol=1e-13)


@EVERY_KIND
def test_sums_to_the_change_of_the_score(kind: str) -> None:
    model, inputs, targets = case(kind)
    change = (model(inputs) - model(torch.full_like(inputs, BASELINE.value))).gather(1, targets[:, None])[:, 0].detach()
    gaps = []
    for steps in (8, 512):
        total = IntegratedGradients(BASELINE, steps)(model, inputs, targets).flatten(1).sum(1)
        gaps.append(float((total - change).abs().max() / change.abs().max()))
    assert gaps[1] < 2e-3
    assert gaps[1] < gaps[0]


def test_the_path_begins_at_silence_for_sound_and_black_for_images() -> None:
    model, inputs, targets = case("image")
    silence = Silence(LogMel(8_000, 1.0, 32, 32))
    decibels = -40.0 + inputs
    assert not IntegratedGradients(silence)(model, silence(decibels), targets).any()
    assert not IntegratedGradients(Black())(model, torch.zeros_like(inputs), targets).any()
    expected = slowly(model, decibels[0], int(targets[0]), -80.0, 32)
    attributions = IntegratedGradients(silence)(model, decibels, targets)
    np.testing.assert_allclose(attributions[0].numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_too_few_steps_are_refused(steps: int) -> None:
    with pytest.raises(UserError, match=f"steps is {steps}"):
        IntegratedGradients(Black(), steps)
