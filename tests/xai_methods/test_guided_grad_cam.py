"""Guided Grad-CAM against a slow twin, at every resolution that is offered, and models it cannot serve."""

import copy
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from helpers.explainer_cases import MODELS, case
from helpers.tiny_models import FunctionalRelu, ReusedRelu, draw, gradient_at, layers_of, nothing_touched, seeded
from torch import Tensor, nn

from audioxai.domains import Pixels, Waveform
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods.guided_grad_cam import GuidedGradCam, last_convolution


class GuidedReluFunction(torch.autograd.Function):
    """ReLU that lets a gradient back only where it and the input are positive."""

    @staticmethod
    def forward(context: Any, inputs: Tensor) -> Tensor:
        context.save_for_backward(inputs)
        return inputs.clamp_min(0)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (inputs,) = context.saved_tensors
        return gradient * (gradient > 0) * (inputs > 0)


class GuidedRelu(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return GuidedReluFunction.apply(inputs)


def guided(model: nn.Module) -> nn.Module:
    """Copy of the model with every ReLU replaced by a guided one."""
    if isinstance(model, nn.ReLU):
        return GuidedRelu()
    replaced = copy.deepcopy(model)
    for name, child in replaced.named_children():
        setattr(replaced, name, guided(child))
    return replaced


def stretched(heat: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation between cell centres along one axis after the other; the border cells reach to the edge."""
    for axis, length in enumerate(size):
        had = heat.shape[axis]
        places = (np.arange(length) + 0.5) * had / length - 0.5
        lines = np.moveaxis(heat, axis, 0).reshape(had, -1).T
        stretched_lines = np.stack([np.interp(places, np.arange(had), line) for line in lines], axis=1)
        others = tuple(np.delete(heat.shape, axis))
        heat = np.moveaxis(stretched_lines.reshape(length, *others), 0, axis)
    return heat


def slowly(model: nn.Module, layer: nn.Module, sample: Tensor, target: int) -> np.ndarray:
    """Selvaraju et al. 2017, by the letter, for one sample."""
    kept: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, output: kept.append(output))
    score = model(sample[None].clone().requires_grad_(True))[0, target]
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    heat = np.zeros(kept[0].shape[2:])
    for channel in range(kept[0].shape[1]):
        heat += gradient[0, channel].mean().item() * kept[0][0, channel].detach().numpy()
    leaf = sample[None].clone().requires_grad_(True)
    guided(model)(leaf)[0, target].backward()
    return gradient_at(leaf)[0].numpy() * stretched(np.maximum(heat, 0.0), tuple(sample.shape[1:]))


def assert_is_the_twin(model: nn.Module, layer: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Compare with the slow twin; at least one sample has to have something to compare."""
    attributions = GuidedGradCam()(model, inputs, targets)
    assert attributions.shape == inputs.shape
    expected = np.stack([slowly(model, layer, *pair) for pair in zip(inputs, targets.tolist(), strict=True)])
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(attributions.numpy(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    return attributions


@pytest.mark.parametrize("kind", MODELS)
def test_is_the_slow_twin(kind: str) -> None:
    model, inputs, targets = case(kind)
    assert_is_the_twin(model, model[4 if kind == "image" else 3], inputs, targets)


@pytest.mark.parametrize("size", [28, 32, 64, 128])
@pytest.mark.parametrize(("architecture", "body_layer"), [("small_cnn", 13), ("alexnet", 11)])
def test_says_where_at_every_offered_resolution(architecture: str, body_layer: int, size: int) -> None:
    model = build(architecture, Pixels(size, size), 4, seed=1).double().eval()
    layer = layers_of(model.body)[body_layer]
    inputs = draw(2, 1, size, size).sigmoid()
    assert isinstance(layer, nn.Conv2d)
    assert last_convolution(model.body, inputs) is layer
    attributions = assert_is_the_twin(model.body, layer, inputs, torch.tensor([0, 3]))
    assert float((attributions != 0).double().mean()) > 0.05


@pytest.mark.parametrize("samples", [512, 8_000])
def test_serves_audionet(samples: int) -> None:
    model = build("audionet", Waveform(samples, 1.0), 4, seed=1).double().eval()
    inputs = 0.5 * draw(3, 1, samples)
    attributions = assert_is_the_twin(model.body, layers_of(model.body)[15], inputs, torch.tensor([0, 1, 3]))
    assert float((attributions != 0).double().mean()) > 0.05


@pytest.mark.parametrize("kind", MODELS)
def test_is_captums_between_cell_centres(kind: str) -> None:
    model, inputs, targets = case(kind)
    layer = last_convolution(model, inputs)
    mode = "bilinear" if kind == "image" else "linear"
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        expected = captum.attr.GuidedGradCam(model, layer).attribute(
            inputs.clone().requires_grad_(True), target=targets, interpolate_mode=mode
        )
    attributions = GuidedGradCam()(model, inputs, targets)
    torch.testing.assert_close(attributions, expected.detach(), rtol=0, atol=1e-14)


def test_a_reused_relu_is_no_obstacle() -> None:
    model = seeded(ReusedRelu())
    assert_is_the_twin(model, model.second, draw(4, 1, 6, 5), torch.tensor([0, 1, 2, 0]))


def narrowing() -> nn.Sequential:
    """Three convolutions; the last one sees a single row, the one before a 2 × 3 map."""
    layers = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(3, 3, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(9, 3),
    )
    return seeded(layers, seed=2)


def test_a_map_that_is_a_single_row_is_passed_over() -> None:
    model, inputs = narrowing(), draw(4, 1, 4, 6)
    assert last_convolution(model, inputs) is model[3]
    assert_is_the_twin(model, model[3], inputs, torch.tensor([0, 1, 2, 0]))


class LastIsDefinedFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.second(self.relu(self.first(inputs))).mean((2, 3)))


def test_the_last_convolution_is_the_last_that_runs() -> None:
    model, inputs = seeded(LastIsDefinedFirst()), draw(4, 1, 6, 5)
    with nothing_touched(model, inputs):
        assert last_convolution(model, inputs) is model.second
    assert_is_the_twin(model, model.second, inputs, torch.tensor([0, 1, 2, 0]))


def test_a_model_whose_maps_are_all_single_cells_is_refused() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(1, 3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(3, 3)))
    with pytest.raises(UserError, match=r"shrunk inputs of \(4, 4\) to a single row or column; use a higher"):
        GuidedGradCam()(model, draw(2, 1, 4, 4), torch.tensor([0, 1]))


def test_a_model_without_convolution_is_refused() -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)))
    with pytest.raises(UserError, match=r"needs a convolution along the 2 axes of the inputs but .*no Conv2d"):
        GuidedGradCam()(model, draw(2, 1, 4, 4), torch.tensor([0, 1]))


def test_a_functional_relu_is_refused() -> None:
    model, inputs = seeded(FunctionalRelu()), draw(2, 1, 6, 6)
    reason = r"guided Grad-CAM found 2 ReLU.*only 1.*replace functional calls such as torch\.relu"
    with nothing_touched(model, inputs), pytest.raises(UserError, match=reason):
        GuidedGradCam()(model, inputs, torch.tensor([0, 1]))


def test_an_in_place_relu_is_refused_by_name() -> None:
    model, inputs, targets = case("image")
    layers_of(model)[5].inplace = True
    with (
        nothing_touched(model, inputs),
        pytest.raises(UserError, match=r"in-place ReLU '5'; make it nn\.ReLU\(inplace"),
    ):
        GuidedGradCam()(model, inputs, targets)


def test_a_model_without_relu_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 3)).double()
    with pytest.raises(UserError, match=r"guided Grad-CAM needs a model with nn\.ReLU modules"):
        GuidedGradCam()(model, draw(2, 1, 4, 4), torch.tensor([0, 1]))
