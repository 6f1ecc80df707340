"""What holds for every registered method, in every domain whose inputs it takes."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import Function, Linear, draw, layers_of, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import Constant
from audioxai.core import Explainer
from audioxai.domains import DOMAINS, Domain, LogMel, Mask, Pixels, Waveform
from audioxai.registry import UnknownNameError
from audioxai.testing.methods import ContractError, check_completeness, check_method, small_cnn
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import in_masks, methods_in_masks
from audioxai.xai_methods.ordered_passes import FEWEST_MASKS
from audioxai.xai_methods.path_integral import Integrating
from audioxai.xai_methods.pullback import Bandwise, PullBack

TARGETS = torch.arange(4) % 3
# Domain, model, training inputs and explained inputs.
CASES: dict[str, tuple[Domain, nn.Module, Tensor, Tensor]] = {
    "log_mel": (
        LogMel(8_000, 0.25, bands=16, frames=12),
        tiny_cnn(),
        (-45.0 + 15.0 * draw(40, 1, 16, 12, seed=1)).clamp(-80.0, 0.0),
        (-40.0 + 15.0 * draw(4, 1, 16, 12, seed=2)).clamp(-80.0, 0.0),
    ),
    "waveform": (
        Waveform(4_000, 0.1),
        tiny_waveform_cnn(),
        0.1 * draw(40, 1, 400, seed=3),
        0.1 * draw(4, 1, 400, seed=4),
    ),
    "pixels": (
        Pixels(12, 10),
        tiny_cnn(),
        0.5 + 0.2 * draw(40, 1, 12, 10, seed=5),
        0.5 + 0.2 * draw(4, 1, 12, 10, seed=6),
    ),
    "mask": (
        Mask(4_000, 0.1, 6, 7, window_s=0.016),
        tiny_waveform_cnn(),
        0.1 * draw(40, 1, 400, seed=3),
        0.1 * draw(4, 1, 400, seed=4),
    ),
}
# Grad-CAM needs a model with maps of two axes, which one of waveforms has not; DeepLIFT checks the model clip by clip.
IN_MASKS = set(methods_in_masks()) - {"guided_grad_cam", "deep_lift"}
PAIRS = [
    (kind, name)
    for name, entry in METHODS.items()
    for kind in CASES
    if (name in IN_MASKS if kind == "mask" else entry.takes(kind))
]
EVERY = pytest.mark.parametrize(("kind", "name"), PAIRS)
# A baseline that is neither zero nor any input, so that a method that forgets it is found out.
BASELINE = Constant(0.25)
WITH_MODEL = [(kind, name) for kind, name in PAIRS if METHODS[name].role != "control" or name == "grad_x_level"]
# One gradient adds up to a change by chance only, and guided IG need not on kinks.
HARDLY_COMPLETE = {"grad_x_level", "guided"}
# They ask for scores alone.
OF_SCORES = {"occlusion", "rise", "kernel_shap", "ordered_passes"}


def made(kind: str, name: str, gradients: int = 16, seed: int = 0) -> Explainer:
    domain, _, training, _ = CASES[kind]
    if name == "ordered_passes":
        gradients = max(gradients, FEWEST_MASKS)
    if isinstance(domain, Mask):
        return in_masks(name, domain, gradients=gradients, seed=seed, references=training)
    context = {
        "domain": domain,
        "baseline": BASELINE,
        "training_inputs": training,
        "gradients": gradients,
        "passes": gradients,
        "seed": seed,
    }
    return METHODS.bind(name, context)


@EVERY
def test_keeps_the_contract(kind: str, name: str) -> None:
    _, model, _, inputs = CASES[kind]
    explainer = made(kind, name)
    shape = (1, *CASES[kind][0].shape) if kind == "mask" else None
    if isinstance(explainer, PullBack):
        shape = (1, *explainer.domain.shape)
    if isinstance(explainer, Bandwise):
        shape = (1, explainer.domain.bands, -(-400 // explainer.frame_length))
    check_method(explainer, model, inputs, TARGETS, shape=shape)


@pytest.mark.parametrize("name", [name for kind, name in PAIRS if kind == "pixels"])
def test_keeps_the_contract_in_single_precision(name: str) -> None:
    model, inputs = tiny_cnn(dtype=torch.float32), CASES["pixels"][3].float()
    check_method(made("pixels", name), model, inputs, TARGETS)


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if METHODS[pair[1]].complete])
def test_is_complete_where_that_is_claimed(kind: str, name: str) -> None:
    _, model, _, inputs = CASES[kind]
    explainer = made(kind, name, gradients=192)
    assert isinstance(explainer, Integrating)
    if name not in HARDLY_COMPLETE:
        check_completeness(explainer, model, inputs, TARGETS, tolerance=0.15)


@EVERY
def test_only_complete_methods_say_what_they_add_up_to(kind: str, name: str) -> None:
    assert isinstance(made(kind, name), Integrating) == METHODS[name].complete


@EVERY
@pytest.mark.parametrize("gradients", [16, 50])
def test_spends_the_gradients_that_it_is_given(kind: str, name: str, gradients: int) -> None:
    _, _, _, inputs = CASES[kind]
    explainer = made(kind, name, gradients)
    if METHODS[name].parameters.keys() & {"gradients", "passes"}:
        assert explainer.passes(inputs) == 4 * (max(gradients, FEWEST_MASKS) if name == "ordered_passes" else gradients)
    else:
        assert explainer.passes(inputs) == made(kind, name, 16).passes(inputs)
    if isinstance(explainer, Integrating) and name != "deep_lift":
        spent = explainer.attribute(CASES[kind][1], inputs[:1], TARGETS[:1]).gradients
        expected = gradients if "gradients" in METHODS[name].parameters else int(name not in OF_SCORES)
        assert spent.tolist() == [expected - name.endswith("contrastive")]


@EVERY
def test_the_seed_decides_what_is_random(kind: str, name: str) -> None:
    _, model, _, inputs = CASES[kind]
    one, other = (made(kind, name, seed=seed)(model, inputs, TARGETS) for seed in (0, 1))
    assert torch.equal(one, other) != ("seed" in METHODS[name].parameters)


@pytest.mark.parametrize(("kind", "name"), WITH_MODEL)
def test_depends_on_input_target_and_model(kind: str, name: str) -> None:
    _, model, _, inputs = CASES[kind]
    explainer = made(kind, name)
    attributions = explainer(model, inputs, TARGETS)
    low, high = float(inputs.min()), float(inputs.max())
    moved = (inputs + 0.05 * (high - low) * draw(*inputs.shape, seed=9)).clamp(low, high)
    another = (tiny_waveform_cnn if kind in ("waveform", "mask") else tiny_cnn)(seed=8)
    others = (
        explainer(model, moved, TARGETS),
        explainer(model, inputs, (TARGETS + 1) % 3),
        explainer(another, inputs, TARGETS),
    )
    # Where a Grad-CAM map is 0 everywhere, it may stay so.
    sizes = attributions.flatten(1).norm(dim=1)
    assert int((sizes > 0).sum()) >= 3
    for other in others:
        # RISE's map is even where the probability hardly depends on a mask.
        least = 1e-6 if name == "rise" else 1e-3
        assert bool(((attributions - other).flatten(1).norm(dim=1) > least * sizes)[sizes > 0].all())


@pytest.mark.parametrize(("kind", "name"), WITH_MODEL)
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_inputs_that_are_no_floating_point_numbers_are_refused(kind: str, name: str, dtype: torch.dtype) -> None:
    _, model, _, inputs = CASES[kind]
    with pytest.raises(UserError, match=f"inputs are {dtype}.*give floating point"):
        made(kind, name)(model, inputs.to(dtype), TARGETS)


def test_the_broken_sample_is_named() -> None:
    _, model, _, inputs = CASES["pixels"]
    broken = inputs.clone()
    broken[3, 0, 2, 2] = torch.nan
    with pytest.raises(UserError, match=r"^sample 3 of the inputs contains NaN"):
        made("pixels", "saliency")(model, broken, TARGETS)


class Cut(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.detach()


@pytest.mark.parametrize("name", [name for kind, name in WITH_MODEL if kind == "pixels"])
def test_models_that_cannot_be_explained_are_refused(name: str) -> None:
    _, model, _, inputs = CASES["pixels"]
    explainer = made("pixels", name)
    with pytest.raises(UserError, match=r"logits of shape \(batch, classes\)"):
        explainer(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).double(), inputs, TARGETS)
    broken = small_cnn()
    layers_of(broken)[-1].weight.data[0, 0] = torch.nan
    with pytest.raises(UserError, match="NaN or infinite logits"):
        explainer(broken, inputs, TARGETS)
    cut = nn.Sequential(*layers_of(model)[:5], Cut(), *layers_of(model)[5:])
    if name in OF_SCORES:
        torch.testing.assert_close(explainer(cut, inputs, TARGETS), explainer(model, inputs, TARGETS))
    else:
        with pytest.raises(UserError, match=r"no gradient at its input.*without.*detach"):
            explainer(cut, inputs, TARGETS)
    elsewhere = torch.ones(3, dtype=torch.float64, requires_grad=True)
    if name in ("saliency", "silence", "ordered"):
        with pytest.raises(UserError, match="does not depend on its input"):
            explainer(Function(lambda values: elsewhere.expand(len(values), 3)), inputs, TARGETS)


# A linear model has one gradient everywhere, so the attributions are known: F(x) − F(x₀) = Σ w ⊙ (x − x₀).
CLOSED_FORMS = {
    "saliency": lambda weights, _: weights.abs(),
    "input_x_gradient": lambda weights, inputs: weights * inputs,
    "integrated_gradients": lambda weights, inputs: weights * (inputs - BASELINE.value),
    "plain": lambda weights, inputs: weights * inputs,
    "silence": lambda weights, inputs: weights * inputs,
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("shape", [(1, 9), (1, 5, 7), (2, 5, 7)])
def test_closed_form_of_a_linear_model(name: str, shape: tuple[int, ...]) -> None:
    model, inputs, targets = Linear(3, *shape), draw(4, *shape, seed=5), torch.tensor([2, 0, 1, 2])
    expected = CLOSED_FORMS[name](model.weights.detach()[targets], inputs)
    attributions = made("waveform", name)(model, inputs, targets)
    np.testing.assert_allclose(attributions.numpy(), expected.numpy(), rtol=1e-12, atol=1e-13)


def test_the_random_control_depends_on_neither_sample_nor_model() -> None:
    _, model, _, inputs = CASES["pixels"]
    method = made("pixels", "random")
    attributions = method(model, inputs, TARGETS)
    assert bool((attributions == attributions[:1]).all())
    assert torch.equal(attributions, method(tiny_cnn(seed=5), inputs * 0, (TARGETS + 1) % 3))
    large = method(model, torch.zeros(1, 1, 100, 100, dtype=torch.float64), TARGETS[:1])
    assert abs(float(large.mean())) < 0.04
    assert abs(float(large.std()) - 1.0) < 0.03


def test_roles_are_those_that_the_comparison_rests_on() -> None:
    names = {role: {name for name, entry in METHODS.items() if entry.role == role} for role in ("peer", "control")}
    with_gradients = {"guided", "idgi", "blur", "smooth_grad", "expected", "lrp"}
    assert names["peer"] == with_gradients | {"occlusion", "rise", "kernel_shap", "freqrise"}
    assert names["control"] == {"grad_x_level", "energy", "edges", "random"}
    ours = {name for name, entry in METHODS.items() if entry.role == "ours"}
    assert len(ours) == 27
    assert not ours & {"plain", "silence", "integrated_gradients"}
    assert all(METHODS[name].complete for name in ours - OF_SCORES - {"contrastive_loudness", "peaks"})


def test_facts_are_plain_and_complete() -> None:
    for entry in METHODS.values():
        assert json.loads(json.dumps(entry.facts()))["label"]
        assert entry.family
        assert entry.revision >= 1
        assert set(entry.domains) <= set(DOMAINS)
    assert len({entry.label for entry in METHODS.values()}) == len(METHODS)
    # It is RISE in bins of the recording alone, see test_perturbation.
    assert {name for _, name in PAIRS} == set(METHODS) - {"freqrise"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: METHODS["lime"], "there is no method 'lime'"),
        (lambda: made("log_mel", "pullback"), "takes waveform inputs but the model's domain is log_mel"),
        (lambda: made("waveform", "audible"), "takes log_mel inputs but the model's domain is waveform"),
        (lambda: made("pixels", "crossfade"), "takes log_mel or waveform inputs but the model's domain is pixels"),
        (lambda: METHODS.bind("silence", {}), "silence needs domain"),
        (lambda: made("log_mel", "two_missingness", 4), "gradients is 4"),
        (lambda: made("log_mel", "dual", 7), "gradients is 7"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_an_unknown_name_is_a_key_error_too() -> None:
    with pytest.raises(UnknownNameError, match="silence"):
        METHODS["silense"]
    assert METHODS.get("silense") is None


# --- The contract suite finds what is broken -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Gradient:
    """A method that keeps the contract; the broken ones below change one thing each."""

    factor: float = 1.0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.factor * made("pixels", "input_x_gradient")(model, inputs, targets)

    def passes(self, inputs: Tensor) -> int:
        return len(inputs)


class WrongShape(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model, inputs, targets)[..., :-1]


class OtherPrecision(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model, inputs, targets).float()


class NotFinite(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model, inputs, targets) / 0.0


class Attached(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model, inputs, targets).requires_grad_(True)


class Returned(Gradient):
    def __call__(self, model, inputs, targets):
        super().__call__(model, inputs, targets)
        return inputs.detach()


class OverTheBatch(Gradient):
    def __call__(self, model, inputs, targets):
        attributions = super().__call__(model, inputs, targets)
        return attributions / attributions.abs().max()


class ByCallSize(Gradient):
    def __call__(self, model, inputs, targets):
        from audioxai.utils import hardware

        return super().__call__(model, inputs, targets) / hardware.CELLS_PER_CALL_CPU


class Undetermined(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model, inputs, targets) + torch.rand_like(inputs)


class Advancing(Gradient):
    def __call__(self, model, inputs, targets):
        torch.rand(1)
        return super().__call__(model, inputs, targets)


class LeavesEvaluationMode(Gradient):
    def __call__(self, model, inputs, targets):
        return super().__call__(model.eval(), inputs, targets)


class LeavesAHook(Gradient):
    def __call__(self, model, inputs, targets):
        model.register_forward_hook(lambda *_: None)
        return super().__call__(model, inputs, targets)


class LeavesAHookIfTheModelFails(Gradient):
    def __call__(self, model, inputs, targets):
        hook = model.register_forward_hook(lambda *_: None)
        attributions = super().__call__(model, inputs, targets)
        hook.remove()
        return attributions


class InTrainingMode(Gradient):
    def __call__(self, model, inputs, targets):
        own = inputs.detach().clone().requires_grad_(True)
        super().__call__(model, inputs, targets)
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            own = inputs.detach().clone().requires_grad_(True)
            scores = model(own).gather(1, targets.clone()[:, None])
            return own.detach() * torch.autograd.grad(scores.sum(), own)[0]

    def passes(self, inputs):
        return 2 * len(inputs)


class WritesToInputs(Gradient):
    def __call__(self, model, inputs, targets):
        attributions = super().__call__(model, inputs, targets)
        inputs.detach().mul_(1.0)
        return attributions


class Miscounted(Gradient):
    def passes(self, inputs):
        return 3 * len(inputs)


class Swallowing(Gradient):
    def __call__(self, model, inputs, targets):
        try:
            return super().__call__(model, inputs, targets)
        except UserError:
            return torch.zeros_like(inputs)


class AnotherError(Gradient):
    def __call__(self, model, inputs, targets):
        try:
            return super().__call__(model, inputs, targets)
        except UserError as error:
            raise IndexError from error


@dataclasses.dataclass(frozen=True)
class HoldsAFunction(Gradient):
    function: object = torch.relu


class Incomplete(Gradient):
    def attribute(self, model, inputs, targets, internal_batch_size=None):  # noqa: ARG002
        explainer: Any = made("pixels", "integrated_gradients")
        integral = explainer.attribute(model, inputs, targets)
        return dataclasses.replace(integral, attributions=2.0 * integral.attributions)


def test_a_method_that_keeps_the_contract_passes() -> None:
    check_method(Gradient())


@pytest.mark.parametrize(
    ("broken", "part"),
    [
        (WrongShape(), "shape"),
        (OtherPrecision(), "dtype"),
        (NotFinite(), "finite"),
        (Attached(), "detached"),
        (Returned(), "own memory"),
        (OverTheBatch(), "independence"),
        (ByCallSize(), "independence"),
        (Undetermined(), "random state untouched"),
        (Advancing(), "random state untouched"),
        (LeavesEvaluationMode(), "model untouched"),
        (LeavesAHook(), "model untouched"),
        (LeavesAHookIfTheModelFails(), "model untouched"),
        (InTrainingMode(), "evaluation mode|model untouched"),
        (WritesToInputs(), "inputs untouched"),
        (Miscounted(), "passes"),
        (Swallowing(), "refusal"),
        (AnotherError(), "refusal"),
        (HoldsAFunction(), "configuration"),
        (torch.mul, "protocol"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_broken_method_is_found(broken: Explainer, part: str) -> None:
    with pytest.raises(ContractError, match=f"^({part})"):
        check_method(broken)


@pytest.mark.parametrize("broken", [Incomplete(), Gradient()])
def test_a_method_that_is_not_complete_is_found(broken: Explainer) -> None:
    with pytest.raises(ContractError, match=r"^completeness"):
        check_method(broken, complete=True)
