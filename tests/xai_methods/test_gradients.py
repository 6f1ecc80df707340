"""Saliency and input × gradient against autograd by hand, finite differences and Captum."""

import captum.attr
import pytest
import torch
from helpers.explainer_cases import MODELS, case

from audioxai.xai_methods.gradients import InputXGradient, Saliency

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)


def gradient_by_hand(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Gradient of one logit at one input after the other."""
    gradients = []
    for sample, target in zip(inputs, targets.tolist(), strict=True):
        leaf = sample[None].clone().requires_grad_(True)
        model(leaf)[0, target].backward()
        gradients.append(leaf.grad[0])
    return torch.stack(gradients)


@EVERY_KIND
def test_saliency_is_the_absolute_gradient(kind: str) -> None:
    model, inputs, targets = case(kind)
    attributions = Saliency()(model, inputs, targets)
    expected = gradient_by_hand(model, inputs, targets).abs()
    torch.testing.assert_close(attributions, expected, rtol=1e-12, atol=1e-14)
    captums = captum.attr.Saliency(model).attribute(inputs.clone().requires_grad_(True), target=targets)
    torch.testing.assert_close(attributions, captums.detach(), rtol=1e-12, atol=1e-14)


@EVERY_KIND
def test_input_x_gradient_is_that(kind: str) -> None:
    model, inputs, targets = case(kind)
    attributions = InputXGradient()(model, inputs, targets)
    expected = inputs * gradient_by_hand(model, inputs, targets)
    torch.testing.assert_close(attributions, expected, rtol=1e-12, atol=1e-14)
    captums = captum.attr.InputXGradient(model).attribute(inputs.clone().requires_grad_(True), target=targets)
    torch.testing.assert_close(attributions, captums.detach(), rtol=1e-12, atol=1e-14)


def test_saliency_is_what_a_small_step_changes() -> None:
    model, inputs, targets = case("waveform", batch=1)
    attributions = Saliency()(model, inputs, targets)[0, 0]
    step = 1e-6
    for cell in range(0, inputs.shape[-1], 3):
        ahead, behind = inputs.clone(), inputs.clone()
        ahead[0, 0, cell] += step
        behind[0, 0, cell] -= step
        slope = (model(ahead) - model(behind))[0, targets[0]].item() / (2 * step)
        assert abs(abs(slope) - float(attributions[cell])) < 1e-7
