"""What holds for every registered explainer."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from helpers.explainer_cases import BASELINE, MODELS, REAL, case, registered
from helpers.tiny_models import (
    Counting,
    Function,
    Linear,
    draw,
    nothing_touched,
    tiny_cnn,
    with_hooks_and_marks,
)
from torch import nn

from audioxai.core import Explainer, configuration_of
from audioxai.utils import hardware
from audioxai.utils.errors import UserError
from audioxai.xai_methods import EXPLAINERS, explainer

EVERY = pytest.mark.parametrize("name", EXPLAINERS)
EVERY_REAL = pytest.mark.parametrize("name", REAL)
EVERY_KIND = pytest.mark.parametrize("kind", MODELS)


@EVERY
def test_is_a_frozen_dataclass_whose_fields_are_its_configuration(name: str) -> None:
    method = registered(name)
    assert isinstance(method, Explainer)
    assert type(method).__dataclass_params__.frozen
    assert method == registered(name)
    configuration = configuration_of(method)
    assert json.loads(json.dumps(configuration)) == configuration
    assert set(configuration) == {"name"} | {field.name for field in dataclasses.fields(method)}


@EVERY
def test_is_found_by_its_name(name: str) -> None:
    assert explainer(name, BASELINE) == registered(name)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"method is 'lime'; choose among saliency, .*occlusion"):
        explainer("lime", BASELINE)


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_finite_attributions_shaped_like_the_inputs(name: str, kind: str, dtype: torch.dtype) -> None:
    model, inputs, targets = case(kind, dtype)
    attributions = registered(name)(model, inputs, targets)
    assert (attributions.shape, attributions.dtype) == (inputs.shape, dtype)
    assert bool(torch.isfinite(attributions).all())
    assert not attributions.requires_grad
    assert attributions.grad_fn is None
    assert not attributions.is_inference()
    assert bool((attributions.flatten(1) != 0).any(1).all())


@EVERY_REAL
@EVERY_KIND
def test_depends_on_input_target_and_model(name: str, kind: str) -> None:
    model, inputs, targets = case(kind)
    method = registered(name)
    attributions = method(model, inputs, targets)
    other_inputs = method(model, inputs + 0.5 * draw(*inputs.shape, seed=9), targets)
    other_targets = method(model, inputs, (targets + 1) % 3)
    other_model = method(MODELS[kind][0](seed=8), inputs, targets)
    for other in (other_inputs, other_targets, other_model):
        assert bool(((attributions - other).flatten(1).norm(dim=1) > 1e-3 * attributions.flatten(1).norm(dim=1)).all())


@EVERY
@EVERY_KIND
def test_is_deterministic(name: str, kind: str) -> None:
    model, inputs, targets = case(kind)
    first = registered(name)(model, inputs, targets)
    torch.manual_seed(123)
    assert torch.equal(first, registered(name)(model, inputs, targets))


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_same_for_any_batch_order_and_call_size(
    name: str, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = case(kind, dtype)
    method = registered(name)
    together = method(model, inputs, targets)
    tolerance = (1e-5 if dtype == torch.float32 else 1e-12) * float(together.abs().max())
    order = torch.tensor([3, 0, 4, 2, 1])
    alone = torch.cat([method(model, inputs[row : row + 1], targets[row : row + 1]) for row in range(5)])
    torch.testing.assert_close(alone, together, rtol=0, atol=tolerance)
    torch.testing.assert_close(method(model, inputs[order], targets[order]), together[order], rtol=0, atol=tolerance)
    for inputs_a_call in (1, 3):
        monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
        torch.testing.assert_close(method(model, inputs, targets), together, rtol=0, atol=tolerance)


@EVERY
@EVERY_KIND
def test_leaves_everything_as_it_was(name: str, kind: str) -> None:
    model, inputs, targets = case(kind)
    with_hooks_and_marks(model)
    inputs.requires_grad_(True)
    with nothing_touched(model, inputs, targets):
        attributions = registered(name)(model, inputs, targets)
    kept = inputs.detach().clone()
    attributions.fill_(7.0)
    assert torch.equal(inputs.detach(), kept)


class Tripwire(nn.Module):
    """Passes its inputs on until it has been called a given number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[None] = []
        self.calls: list[None] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls.append(None)
        if not self.left:
            raise ZeroDivisionError
        self.left.pop()
        return inputs


@EVERY_REAL
def test_leaves_everything_as_it_was_wherever_the_model_fails(name: str) -> None:
    tripwire = Tripwire()
    model = with_hooks_and_marks(nn.Sequential(*tiny_cnn(), tripwire).double())
    _, inputs, targets = case("image")
    tripwire.left.extend([None] * 1000)
    registered(name)(model, inputs, targets)
    calls = len(tripwire.calls)
    assert calls >= 1
    for call in {0, 1, 2, calls // 2, calls - 1} & set(range(calls)):
        tripwire.left[:] = [None] * call
        with nothing_touched(model, inputs, targets), pytest.raises(ZeroDivisionError):
            registered(name)(model, inputs, targets)


@EVERY
def test_a_gradient_hook_that_fails_leaves_everything_as_it_was(name: str) -> None:
    model, inputs, targets = case("image")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    model[0].register_full_backward_hook(fail)
    with_hooks_and_marks(model)
    if name in ("random", "occlusion"):
        registered(name)(model, inputs, targets)
        return
    with nothing_touched(model, inputs, targets), pytest.raises(ZeroDivisionError):
        registered(name)(model, inputs, targets)


@EVERY
@EVERY_KIND
def test_is_the_same_whatever_the_caller_does_with_gradients(name: str, kind: str) -> None:
    model, inputs, targets = case(kind)
    expected = registered(name)(model, inputs, targets)
    with torch.no_grad():
        assert torch.equal(registered(name)(model, inputs, targets), expected)
    with torch.inference_mode():
        within = registered(name)(model, inputs.clone(), targets.clone())
    assert torch.equal(within, expected)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert torch.equal(registered(name)(model, inputs.requires_grad_(True), targets), expected)


@EVERY
@EVERY_KIND
def test_a_model_in_training_mode_is_explained_in_evaluation_mode(name: str, kind: str) -> None:
    model, inputs, targets = case(kind)
    expected = registered(name)(model, inputs, targets)
    assert torch.equal(registered(name)(model.train(), inputs, targets), expected)
    assert all(module.training for module in model.modules())


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("batch", [1, 7])
def test_takes_the_passes_it_says(name: str, kind: str, batch: int) -> None:
    inner, inputs, targets = case(kind, batch=batch)
    model = Counting(inner)
    registered(name)(model, inputs, targets)
    said, taken = registered(name).passes(inputs), model.counter.count
    assert said <= taken <= said + 4
    assert (said == 0) == (name == "random")


@EVERY_REAL
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite_are_refused_by_number(name: str, value: float) -> None:
    model, inputs, targets = case("image")
    inputs[3, 0, 2, 2] = value
    with nothing_touched(model, inputs), pytest.raises(UserError, match=r"^sample 3 of the inputs contains NaN"):
        registered(name)(model, inputs, targets)


@EVERY_REAL
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_inputs_that_are_no_floating_point_numbers_are_refused(name: str, dtype: torch.dtype) -> None:
    model, inputs, targets = case("image")
    with pytest.raises(UserError, match=f"inputs are {dtype}.*give floating point"):
        registered(name)(model, inputs.to(dtype), targets)


@EVERY_REAL
@pytest.mark.parametrize("shape", [(0, 1, 12, 10), (5, 12), (5,)])
def test_inputs_without_samples_or_channels_are_refused(name: str, shape: tuple[int, ...]) -> None:
    targets = torch.zeros(shape[0], dtype=torch.int64)
    with pytest.raises(UserError, match=r"give floating point \(batch, channel"):
        registered(name)(tiny_cnn(), torch.zeros(shape, dtype=torch.float64), targets)


@EVERY_REAL
@pytest.mark.parametrize(
    "targets",
    [torch.zeros(4, dtype=torch.int64), torch.zeros(5, 1, dtype=torch.int64), torch.tensor(1), torch.zeros(5), None],
    ids=["too few", "two axes", "no axis", "floats", "int32"],
)
def test_targets_that_are_not_one_index_a_sample_are_refused(name: str, targets: torch.Tensor | None) -> None:
    model, inputs, _ = case("image")
    given = torch.zeros(5, dtype=torch.int32) if targets is None else targets
    with pytest.raises(UserError, match="give one int64 class index a sample"):
        registered(name)(model, inputs, given)


@EVERY_REAL
@pytest.mark.parametrize("target", [-1, 3])
@pytest.mark.parametrize("row", [0, 4])
def test_targets_that_are_no_class_are_refused(name: str, target: int, row: int) -> None:
    model, inputs, targets = case("image")
    targets[row] = target
    with nothing_touched(model, inputs), pytest.raises(UserError, match=r"the model has 3 classes"):
        registered(name)(model, inputs, targets)


@EVERY_REAL
def test_a_model_that_returns_no_logits_is_refused(name: str) -> None:
    _, inputs, targets = case("image")
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).double()
    with pytest.raises(UserError, match=r"logits of shape \(batch, classes\)"):
        registered(name)(model, inputs, targets)


@EVERY_REAL
def test_a_model_with_broken_weights_is_refused(name: str) -> None:
    model, inputs, targets = case("image")
    model[-1].weight.data[0, 0] = torch.nan
    with pytest.raises(UserError, match="NaN or infinite logits"):
        registered(name)(model, inputs, targets)


class Cut(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.detach()


@EVERY_REAL
def test_a_model_without_gradient_is_refused_where_one_is_needed(name: str) -> None:
    model, inputs, targets = case("image")
    broken = nn.Sequential(*model[:5], Cut(), *model[5:])
    if name == "occlusion":
        torch.testing.assert_close(registered(name)(broken, inputs, targets), registered(name)(model, inputs, targets))
        return
    with nothing_touched(broken, inputs), pytest.raises(UserError, match=r"no gradient at its input.*without.*detach"):
        registered(name)(broken, inputs, targets)


@pytest.mark.parametrize("name", ["saliency", "input_x_gradient", "integrated_gradients"])
def test_a_model_that_does_not_look_at_its_input_is_refused(name: str) -> None:
    elsewhere = torch.ones(3, dtype=torch.float64, requires_grad=True)
    model = Function(lambda inputs: elsewhere.expand(len(inputs), 3))
    with pytest.raises(UserError, match="does not depend on its input"):
        registered(name)(model, draw(2, 1, 4, 4), torch.tensor([0, 1]))


# A linear model has one gradient everywhere, so the methods' answers are known: F(x) − F(x₀) = Σ w ⊙ (x − x₀).
CLOSED_FORMS = {
    "saliency": lambda weights, _: weights.abs(),
    "input_x_gradient": lambda weights, inputs: weights * inputs,
    "integrated_gradients": lambda weights, inputs: weights * (inputs - BASELINE.value),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("shape", [(1, 9), (1, 5, 7), (2, 5, 7)])
def test_closed_form_of_a_linear_model(name: str, shape: tuple[int, ...]) -> None:
    model, inputs, targets = Linear(3, *shape), draw(4, *shape, seed=5), torch.tensor([2, 0, 1, 2])
    expected = CLOSED_FORMS[name](model.weights.detach()[targets], inputs)
    attributions = registered(name)(model, inputs, targets)
    np.testing.assert_allclose(attributions.numpy(), expected.numpy(), rtol=1e-12, atol=1e-13)


def test_random_control_knows_neither_sample_nor_model() -> None:
    model, inputs, targets = case("image")
    method = registered("random")
    attributions = method(model, inputs, targets)
    assert bool((attributions == attributions[:1]).all())
    assert torch.equal(attributions, method(tiny_cnn(seed=5), inputs * 0, (targets + 1) % 3))
    assert not torch.equal(attributions, dataclasses.replace(method, seed=1)(model, inputs, targets))
    large = method(model, torch.zeros(1, 1, 100, 100, dtype=torch.float64), targets[:1])
    assert abs(float(large.mean())) < 0.04
    assert abs(float(large.std()) - 1.0) < 0.03
    assert method(model, inputs.float(), targets).dtype == torch.float32
