"""Captum's attribution classes and plain functions as explainers."""

import json
import random
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from helpers.explainer_cases import BASELINE, case
from torch import Tensor, nn

from audioxai.core import configuration_of
from audioxai.registry import MethodEntry, Registry
from audioxai.testing.methods import check_method, untouched
from audioxai.utils.errors import UserError
from audioxai.xai_methods import FromCaptum, FromFunction
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.occlusion import Occlusion

# Twelve features of ten pixels each.
FEATURES = torch.arange(120).reshape(1, 1, 12, 10) // 10


def squared_gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    scores = model(inputs).gather(1, targets[:, None])
    return torch.autograd.grad(scores.sum(), inputs)[0] ** 2


@pytest.mark.parametrize(
    "explainer",
    [
        FromCaptum(captum.attr.GradientShap, name="gradient_shap", revision=1, baselines=BASELINE, n_samples=4),
        FromCaptum(captum.attr.FeatureAblation, name="feature_ablation", revision=1, feature_mask=FEATURES),
        FromCaptum(captum.attr.KernelShap, name="kernel_shap", revision=1, feature_mask=FEATURES, n_samples=16),
        FromCaptum(captum.attr.Saliency, name="captum_saliency", revision=1, abs=False, batched=True),
        FromCaptum(
            captum.attr.GuidedGradCam, name="captum_guided_grad_cam", revision=1, layer="4", passes_per_sample=2
        ),
        FromFunction(squared_gradient, name="squared_gradient", revision=1),
        FromFunction(squared_gradient, name="squared_gradient", revision=1, batched=True, passes_per_sample=1),
    ],
    ids=lambda explainer: explainer.name,
)
def test_keeps_the_contract(explainer: FromCaptum | FromFunction) -> None:
    check_method(explainer)


def test_gives_captums_attributions() -> None:
    model, inputs, targets = case("image")
    ours = Occlusion(BASELINE, patches_per_side=2)(model, inputs, targets)
    occlusion = FromCaptum(
        captum.attr.Occlusion,
        name="captum_occlusion",
        revision=1,
        sliding_window_shapes=(1, 6, 5),
        strides=(1, 6, 5),
        baselines=BASELINE,
        batched=True,
    )
    torch.testing.assert_close(occlusion(model, inputs, targets), ours, rtol=0, atol=1e-6)
    gradients = FromCaptum(
        captum.attr.IntegratedGradients,
        name="captum_ig",
        revision=1,
        baselines=BASELINE,
        n_steps=8,
        method="riemann_middle",
    )
    ours = IntegratedGradients(BASELINE, 8)(model, inputs, targets)
    torch.testing.assert_close(gradients(model, inputs, targets), ours, rtol=1e-10, atol=1e-12)
    assert gradients.passes(inputs) == 5 * 8


def test_options_go_to_the_constructor_too() -> None:
    model, inputs, targets = case("image")
    local = FromCaptum(
        captum.attr.IntegratedGradients,
        name="local",
        revision=1,
        multiply_by_inputs=False,
        n_steps=8,
        baselines=BASELINE,
    )
    globally = FromCaptum(captum.attr.IntegratedGradients, name="global", revision=1, n_steps=8, baselines=BASELINE)
    expected = globally(model, inputs, targets)
    torch.testing.assert_close(local(model, inputs, targets) * (inputs - BASELINE.value), expected)


def test_what_is_drawn_at_random_follows_the_seed_alone() -> None:
    model, inputs, targets = case("image")

    def shap(seed: int) -> FromCaptum:
        return FromCaptum(
            captum.attr.GradientShap, name="shap", revision=1, seed=seed, baselines=BASELINE, n_samples=3, stdevs=0.1
        )

    one = shap(0)(model, inputs, targets)
    for source in (torch.manual_seed, np.random.seed, random.seed):
        source(5)
    with untouched(model, inputs, targets):
        again = shap(0)(model, inputs, targets)
    assert torch.equal(one, again)
    assert not torch.equal(one, shap(1)(model, inputs, targets))
    assert not torch.equal(one[0] / inputs[0], one[1] / inputs[1])


def test_is_known_by_what_was_stated() -> None:
    def made(**changes: object) -> FromCaptum:
        stated: dict[str, Any] = {"name": "ablation", "revision": 1, "feature_mask": FEATURES} | changes
        return FromCaptum(captum.attr.FeatureAblation, **stated)

    configuration = configuration_of(made())
    assert json.loads(json.dumps(configuration)) == configuration
    assert configuration["name"] == "ablation"
    assert made() == made()
    assert hash(made()) == hash(made())
    others = [made(revision=2), made(seed=1), made(feature_mask=FEATURES // 2), made(baselines=BASELINE)]
    assert len({json.dumps(configuration_of(other)) for other in [made(), *others]}) == 5
    function = FromFunction(squared_gradient, name="squared", revision=3)
    assert configuration_of(function) == {
        "name": "squared",
        "revision": 3,
        "seed": 0,
        "passes_per_sample": None,
        "batched": False,
    }
    assert "0x" not in repr(configuration_of(function))


def test_can_be_registered_with_its_baseline_bound_by_name() -> None:
    methods = Registry("method", MethodEntry, "audioxai.xai_methods")
    methods.register("shap", label="GradientSHAP", family="Shapley values", source="Lundberg & Lee 2017")(
        lambda baseline, seed=0: FromCaptum(
            captum.attr.GradientShap, name="shap", revision=1, seed=seed, baselines=baseline, n_samples=3
        )
    )
    model, inputs, targets = case("image")
    assert methods.bind("shap", {"baseline": BASELINE, "seed": 2})(model, inputs, targets).shape == inputs.shape


def _returns_a_list(model: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    return [inputs * model(inputs).sum()]


def _returns_one_number(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return model(inputs).sum()


def _returns_nan(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return inputs * model(inputs).sum() * torch.nan


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FromFunction(squared_gradient), "name '' and revision 0; state a name and a revision"),
        (lambda: FromFunction(squared_gradient, name="squared"), "revision 0; state"),
        (lambda: FromCaptum(captum.attr.Saliency, revision=1), "name ''"),
        (lambda: FromFunction(squared_gradient, name="a", revision=1, passes_per_sample=-1), "passes_per_sample is -1"),
        (lambda: FromCaptum(captum.attr.Saliency, name="a", revision=1, steps=3), "Saliency has no option 'steps'"),
        (lambda: FromCaptum(captum.attr.NoiseTunnel, name="a", revision=1), "NoiseTunnel does not take a model"),
        (lambda: configuration_of(squared_gradient), "squared_gradient has no configuration.*FromFunction"),
        (lambda: configuration_of((BASELINE, lambda x: x)), "has no configuration.*FromFunction"),
    ],
)
def test_what_has_no_name_or_makes_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_returns_a_list, "a returned list; it has to return one tensor"),
        (_returns_one_number, r"a returned attributions of shape \(\) for inputs of shape \(1, 1, 12, 10\)"),
        (_returns_nan, "NaN or infinity"),
    ],
)
def test_what_is_no_attribution_map_is_refused(function: Callable[..., Any], message: str) -> None:
    model, inputs, targets = case("image")
    with untouched(model, inputs, targets), pytest.raises(UserError, match=message):
        FromFunction(function, name="a", revision=1)(model, inputs, targets)


def test_passes_that_cannot_be_counted_have_to_be_stated() -> None:
    _, inputs, _ = case("image")
    grad_cam = FromCaptum(captum.attr.GuidedGradCam, name="grad_cam", revision=1, layer="4")
    with pytest.raises(UserError, match=r"passes of grad_cam cannot be counted .* state passes_per_sample"):
        grad_cam.passes(inputs)
