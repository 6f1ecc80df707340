"""The nouns: what a configuration is, what a target score is, and a model that is left as it was."""

import json
from dataclasses import dataclass

import pytest
import torch
from helpers.tiny_models import (
    Function,
    Linear,
    draw,
    nothing_touched,
    seeded,
    state_of,
    tiny_cnn,
    with_hooks_and_marks,
)
from torch import Tensor, nn

from audioxai.baselines import Baseline, Black, Constant, Silence
from audioxai.core import configuration_of, target_scores, unchanged
from audioxai.domains import LogMel, Pixels, Waveform
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Inner:
    value: float
    names: tuple[str, ...] = ("a", "b")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    several: tuple[Inner, ...]
    nothing: None = None
    count: int = 3


def test_configuration_names_every_level() -> None:
    configuration = configuration_of(Outer(Inner(0.5), (Inner(1.0, ()), Inner(2.0, ("c",)))))
    assert configuration == {
        "name": "Outer",
        "inner": {"name": "Inner", "value": 0.5, "names": ["a", "b"]},
        "several": [{"name": "Inner", "value": 1.0, "names": []}, {"name": "Inner", "value": 2.0, "names": ["c"]}],
        "nothing": None,
        "count": 3,
    }
    assert json.loads(json.dumps(configuration)) == configuration


def test_configuration_of_a_class_is_the_class() -> None:
    assert configuration_of(Inner) is Inner


def test_target_scores_are_the_targets_logits() -> None:
    model, inputs, targets = Linear(4, 1, 5), draw(3, 1, 5), torch.tensor([3, 0, 2])
    expected = [model(inputs[row : row + 1])[0, target].item() for row, target in enumerate(targets.tolist())]
    torch.testing.assert_close(target_scores(model, inputs, targets).tolist(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "output",
    [torch.zeros(3), torch.zeros(3, 4, 1), torch.zeros(2, 4), torch.zeros(1, 4), torch.zeros(())],
    ids=lambda output: str(tuple(output.shape)),
)
def test_logits_of_another_shape_are_refused(output: Tensor) -> None:
    with pytest.raises(UserError, match=r"logits of shape \(batch, classes\)"):
        target_scores(Function(lambda _: output), torch.zeros(3, 1, 5), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    logits = torch.zeros(3, 4)
    logits[1, 3] = value
    with pytest.raises(UserError, match="NaN or infinite logits"):
        target_scores(Function(lambda _: logits), torch.zeros(3, 1, 5), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("target", [-1, 4, 100])
def test_targets_that_are_no_class_are_refused(target: int) -> None:
    targets = torch.tensor([0, target, 3])
    with pytest.raises(UserError, match=r"the model has 4 classes; give targets in 0…3"):
        target_scores(Linear(4, 1, 5), draw(3, 1, 5), targets)


def rummage(model: nn.Module, *, then_fail: bool = False) -> None:
    """Do to a model what explanation libraries do, and possibly fail at it."""
    for module in model.modules():
        module.train()
        module.register_forward_hook(lambda *_: None)
        module.register_forward_pre_hook(lambda *_: None)
        module.register_full_backward_hook(lambda *_: None)
        module.register_full_backward_pre_hook(lambda *_: None)
        module.register_forward_hook(lambda *_, **__: None, with_kwargs=True, always_call=True)
        module.register_forward_pre_hook(lambda *_, **__: None, with_kwargs=True)
        module.left_behind = torch.zeros(2)
        if hasattr(module, "note"):
            vars(module)["note"] = "overwritten"
    for parameter in model.parameters():
        parameter.requires_grad_(not parameter.requires_grad)
    if then_fail:
        raise ZeroDivisionError


def test_inside_the_model_is_evaluated_with_frozen_parameters() -> None:
    model = with_hooks_and_marks(tiny_cnn())
    with unchanged(model) as same:
        assert same is model
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_model_is_as_before_after_the_body() -> None:
    model = with_hooks_and_marks(tiny_cnn())
    with nothing_touched(model), unchanged(model):
        rummage(model)
    assert model[0].note == "mine"
    assert {module.training for module in model.modules()} == {True, False}


def test_a_model_is_as_before_when_the_body_raises() -> None:
    model = with_hooks_and_marks(tiny_cnn())
    with nothing_touched(model), pytest.raises(ZeroDivisionError), unchanged(model):
        rummage(model, then_fail=True)


def test_hooks_that_were_there_still_fire_inside_and_after() -> None:
    model, calls = tiny_cnn(), []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model[2].register_full_backward_hook(lambda *_: calls.append(2))
    inputs = draw(1, 1, 8, 8).requires_grad_(True)
    with unchanged(model):
        rummage(model)
        model.eval()
        model(inputs).sum().backward()
    model(inputs).sum().backward()
    assert calls == [1, 2, 1, 2]


def test_an_attribute_that_the_body_deletes_comes_back() -> None:
    model = tiny_cnn()
    vars(model[2])["input"] = "the model's own"
    before = state_of(model)
    with unchanged(model):
        del model[2].input
    assert state_of(model) == before


def test_a_module_used_in_two_places_is_restored() -> None:
    shared = nn.Linear(4, 4)
    model = seeded(nn.Sequential(shared, nn.ReLU(), shared))
    with nothing_touched(model), unchanged(model):
        rummage(model)


BASELINES = [
    (Silence(LogMel(8_000, 1.0, 32, 32)), "silence", -80.0),
    (Silence(Waveform(8_000, 1.0)), "silence", 0.0),
    (Silence(Pixels(3, 4)), "silence", 0.0),
    (Black(), "black", 0.0),
    (Constant(0.25), "constant 0.25", 0.25),
]


@pytest.mark.parametrize(("baseline", "name", "value"), BASELINES)
def test_baselines_hold_one_value_and_share_no_memory(baseline: Baseline, name: str, value: float) -> None:
    inputs = (draw(2, 1, 3, 4, dtype=torch.float32) + value / 2.0).requires_grad_(True)
    absent = baseline(inputs)
    assert isinstance(baseline, Baseline)
    assert baseline.name == name
    assert (absent.shape, absent.dtype, absent.requires_grad) == (inputs.shape, inputs.dtype, False)
    assert bool((absent == value).all())
    kept = inputs.detach().clone()
    absent.fill_(9.0)
    assert torch.equal(inputs.detach(), kept)
    json.dumps(configuration_of(baseline))
