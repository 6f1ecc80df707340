"""DeepLift against the rescale rule by hand, its completeness, and models it cannot serve."""

import pytest
import torch
from captum.attr import DeepLift as CaptumDeepLift
from helpers.explainer_cases import BASELINE, MODELS, case
from helpers.tiny_models import FunctionalRelu, ReusedRelu, draw, layers_of, nothing_touched, seeded
from torch import nn

from audioxai.baselines import Constant
from audioxai.domains import Pixels
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods.deep_lift import DeepLift


def test_is_the_rescale_rule() -> None:
    layers = [nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 3)]
    model = seeded(nn.Sequential(*layers))
    inputs, targets = draw(5, 1, 3, 4), torch.tensor([0, 1, 2, 0, 1])
    attributions = DeepLift(BASELINE)(model, inputs, targets)
    for row, target in enumerate(targets.tolist()):
        # Back from the logit: a linear layer multiplies by its weights, a ReLU by Δoutput / Δinput.
        values, absent = inputs[row].flatten(), torch.full((12,), BASELINE.value, dtype=torch.float64)
        slopes = []
        for layer in (model[1], model[3]):
            after, absent_after = layer(values), layer(absent)
            slopes.append(((after.clamp_min(0) - absent_after.clamp_min(0)) / (after - absent_after)).detach())
            values, absent = after.clamp_min(0), absent_after.clamp_min(0)
        multipliers = layers_of(model)[5].weight[target]
        multipliers = (multipliers * slopes[1]) @ model[3].weight
        multipliers = (multipliers * slopes[0]) @ model[1].weight
        expected = (multipliers * (inputs[row].flatten() - BASELINE.value)).detach()
        torch.testing.assert_close(attributions[row].flatten(), expected, rtol=1e-9, atol=1e-12)


def test_closed_form_without_a_bend() -> None:
    # All ReLUs stay open between baseline and input, so the model is linear on the way.
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    layers_of(model)[1].bias.data.fill_(100.0)
    inputs, targets = draw(3, 1, 6), torch.tensor([2, 1, 0])
    first, last = layers_of(model)[1], layers_of(model)[3]
    expected = (last.weight[targets] @ first.weight).detach() * (inputs[:, 0] - BASELINE.value)
    attributions = DeepLift(BASELINE)(model, inputs, targets)[:, 0]
    torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_sums_to_the_change_of_the_score(kind: str) -> None:
    model, inputs, targets = case(kind)
    change = (model(inputs) - model(torch.full_like(inputs, BASELINE.value))).gather(1, targets[:, None])[:, 0].detach()
    total = DeepLift(BASELINE)(model, inputs, targets).flatten(1).sum(1)
    torch.testing.assert_close(total, change, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("resolution", [28, 32, 64, 128])
@pytest.mark.parametrize("architecture", ["small_cnn", "alexnet"])
def test_is_complete_on_the_architectures_offered(architecture: str, resolution: int) -> None:
    model = build(architecture, Pixels(resolution, resolution), class_count=10, seed=0).body.double().eval()
    inputs, targets = draw(2, 1, resolution, resolution), torch.tensor([3, 7])
    change = (model(inputs) - model(torch.full_like(inputs, BASELINE.value))).gather(1, targets[:, None])[:, 0].detach()
    total = DeepLift(BASELINE)(model, inputs, targets).flatten(1).sum(1)
    torch.testing.assert_close(total, change, rtol=1e-6, atol=1e-9)


class Copy(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.clone()


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks and attributes on non-linear:UserWarning")
@pytest.mark.parametrize("resolution", [28, 64])
def test_agrees_with_captum_where_captum_sees_the_pooling(resolution: int) -> None:
    model = build("small_cnn", Pixels(resolution, resolution), class_count=10, seed=0).body.double().eval()
    # Captum drops the rule of a pooling directly behind a ReLU; a copy between them keeps it.
    layers = [
        part for layer in layers_of(model) for part in ((layer, Copy()) if isinstance(layer, nn.ReLU) else (layer,))
    ]
    inputs, targets = draw(3, 1, resolution, resolution), torch.tensor([3, 7, 0])
    reference = CaptumDeepLift(nn.Sequential(*layers))
    baseline = torch.full_like(inputs, BASELINE.value)
    expected = reference.attribute(inputs.clone().requires_grad_(), baselines=baseline, target=targets)
    attributions = DeepLift(BASELINE)(model, inputs, targets)
    torch.testing.assert_close(attributions, expected.detach(), rtol=1e-6, atol=1e-9)


def test_overlapping_pools_add_up_by_hand() -> None:
    # Windows (x0, x1) and (x1, x2): the cell in the middle wins both and gets both differences.
    model = nn.Sequential(nn.MaxPool1d(2, stride=1), nn.Flatten()).double()
    inputs = torch.tensor([[[0.2, 0.9, 0.4]]], dtype=torch.float64)
    weighted = nn.Sequential(model, nn.Linear(2, 2, bias=False)).double()
    weighted[1].weight.data = torch.tensor([[2.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    attributions = DeepLift(Constant(0.0))(weighted, inputs, torch.tensor([0]))
    torch.testing.assert_close(attributions, torch.tensor([[[0.0, 4.5, 0.0]]], dtype=torch.float64))


def test_a_functional_pooling_is_refused_by_its_gap() -> None:
    class Pooled(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return nn.functional.max_pool1d(inputs.square(), 2).flatten(1)

    model = Pooled()
    with nothing_touched(model), pytest.raises(UserError, match=r"DeepLift accounts for .* without a rule"):
        DeepLift(Constant(1.0))(model, draw(2, 1, 6) + 2.0, torch.tensor([0, 1]))


def test_nothing_is_attributed_to_the_baseline_itself() -> None:
    model, inputs, targets = case("image")
    assert not DeepLift(BASELINE)(model, torch.full_like(inputs, BASELINE.value), targets).any()


def test_a_functional_relu_is_refused() -> None:
    model = seeded(FunctionalRelu())
    inputs = draw(2, 1, 6, 6)
    with nothing_touched(model, inputs), pytest.raises(UserError, match=r"DeepLift found 2 ReLU.*only 1 nn\.ReLU"):
        DeepLift(BASELINE)(model, inputs, torch.tensor([0, 1]))


def test_a_reused_relu_is_no_obstacle() -> None:
    model = seeded(ReusedRelu())
    inputs, targets = draw(2, 1, 6, 6), torch.tensor([0, 1])
    change = (model(inputs) - model(torch.full_like(inputs, BASELINE.value))).gather(1, targets[:, None])[:, 0].detach()
    total = DeepLift(BASELINE)(model, inputs, targets).flatten(1).sum(1)
    torch.testing.assert_close(total, change, rtol=1e-8, atol=1e-9)


def test_an_in_place_relu_is_refused_by_name() -> None:
    model, inputs, targets = case("image")
    layers_of(model)[2].inplace = True
    with (
        nothing_touched(model, inputs),
        pytest.raises(UserError, match=r"in-place ReLU '2'; make it nn\.ReLU\(inplace"),
    ):
        DeepLift(BASELINE)(model, inputs, targets)


def test_smooth_modules_are_rescaled_too() -> None:
    model = seeded(
        nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 3))
    )
    inputs, targets = draw(3, 1, 6), torch.tensor([2, 1, 0])
    change = (model(inputs) - model(torch.full_like(inputs, BASELINE.value))).gather(1, targets[:, None])[:, 0].detach()
    total = DeepLift(BASELINE)(model, inputs, targets).flatten(1).sum(1)
    torch.testing.assert_close(total, change, rtol=1e-8, atol=1e-9)


def test_a_model_whose_relu_has_attributes_of_its_own_keeps_them() -> None:
    model, inputs, targets = case("image")
    expected = DeepLift(BASELINE)(model, inputs, targets)
    layers_of(model)[2].input = "the model's own"
    with nothing_touched(model):
        attributions = DeepLift(BASELINE)(model, inputs, targets)
    torch.testing.assert_close(attributions, expected, rtol=0, atol=0)
