"""The contract of explanation methods as a function that tests one: :func:`check_method`."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.core import Explainer, configuration_of
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

# A method may take a few passes more than it states, to find out what the model is.
CHECKING_PASSES = 4


class ContractError(AssertionError):
    """A method that breaks its contract; the message names the part of the contract and what happened."""


def check_method(
    explainer: Explainer,
    model: nn.Module | None = None,
    inputs: Tensor | None = None,
    targets: Tensor | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    complete: bool = False,
    tolerance: float = 0.1,
) -> None:
    """Test that an explanation method keeps its contract; a few dozen calls on a small model.

    Attributions are finite, detached and of the inputs' shape and precision; the same for any batch, order, size of a
    model call, gradient mode and global random state; model (training mode, hooks, attributes, parameters), inputs,
    targets and global random states are untouched even if the model fails; passes are as stated; inputs that are not
    finite and targets that are not classes are refused with :class:`UserError`; the configuration is plain data.

    Parameters
    ----------
    explainer : Explainer
        The method.
    model : nn.Module or None
        Takes ``inputs``, returns logits; a small CNN if None. It has to be deterministic in evaluation mode.
    inputs : Tensor or None
        ``(batch, 1, …)``, at least 3 different samples; images ``(5, 1, 12, 10)`` in float64 if None.
    targets : Tensor or None
        Class indices ``(batch,)``; 0, 1, 2, 0, … if None.
    shape : tuple of int or None
        Shape of one sample's attributions where it is not that of the inputs.
    complete : bool
        Whether the attributions should add up to the change of the score that ``explainer.attribute`` returns.
    tolerance : float
        Largest completeness gap, relative to the batch's largest change of the score.

    Raises
    ------
    ContractError
        Naming the part of the contract that is broken.

    Examples
    --------
    >>> from audioxai.xai_methods.gradients import Saliency
    >>> check_method(Saliency())
    """
    if model is None:
        model = small_cnn()
    if inputs is None:
        inputs = torch.randn(5, 1, 12, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    if targets is None:
        targets = torch.arange(len(inputs)) % 3
    _check_protocol(explainer)
    expected = _attributions(explainer, model, inputs, targets)
    _check_output(expected, inputs, (len(inputs), *(shape or tuple(inputs.shape[1:]))))
    check_untouched(explainer, model, inputs, targets)
    _check_determinism(explainer, model, inputs, targets, expected)
    _check_independence(explainer, model, inputs, targets, expected)
    _check_passes(explainer, model, inputs, targets)
    _check_refusals(explainer, model, inputs, targets)
    if complete:
        check_completeness(explainer, model, inputs, targets, tolerance)


def small_cnn(classes: int = 3) -> nn.Module:
    """Small CNN in float64 and evaluation mode for inputs ``(batch, 1, rows, columns)`` from 4 × 4 on."""
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, classes),
    )
    return drawn(layers.double().eval())


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with every parameter and running statistic drawn from ``seed``."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if not value.is_floating_point():
                continue
            fan_in = max(1, value[0].numel()) if value.ndim > 1 else 4
            value.copy_(torch.randn(value.shape, generator=source, dtype=torch.float64) * (2.0 / fan_in) ** 0.5)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return model


# --- Parts of the contract -------------------------------------------------------------------------------------------


def _check_protocol(explainer: Explainer) -> None:
    _require(isinstance(explainer, Explainer), "protocol", "it needs a __call__ and a method passes(inputs)")
    try:
        configuration = configuration_of(explainer)
        stored = json.loads(json.dumps(configuration))
    except (UserError, TypeError, ValueError) as error:
        raise ContractError(f"configuration: it cannot be stored as JSON ({error})") from error
    _require(isinstance(stored, dict) and "name" in stored, "configuration", "it is not a dictionary with a name")
    _require(stored == configuration, "configuration", f"{configuration} is {stored} after storing it as JSON")
    _require(copy.deepcopy(explainer) == explainer, "configuration", "a copy with the same fields is not equal")


def _check_output(attributions: Tensor, inputs: Tensor, shape: tuple[int, ...]) -> None:
    _require(tuple(attributions.shape) == shape, "shape", f"it is {tuple(attributions.shape)} instead of {shape}")
    dtype = inputs.real.dtype if inputs.is_complex() else inputs.dtype
    _require(attributions.dtype == dtype, "dtype", f"it is {attributions.dtype} for inputs of {inputs.dtype}")
    _require(bool(attributions.isfinite().all()), "finite", "there is NaN or infinity in the attributions")
    detached = not attributions.requires_grad and attributions.grad_fn is None and not attributions.is_inference()
    _require(detached, "detached", "the attributions carry a gradient graph or are inference tensors")
    own = attributions.untyped_storage().data_ptr() != inputs.untyped_storage().data_ptr()
    _require(own, "own memory", "the attributions share memory with the inputs")


def _check_determinism(
    explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor, expected: Tensor
) -> None:
    modes: dict[str, AbstractContextManager[Any]] = {
        "no_grad": torch.no_grad(),
        "inference_mode": torch.inference_mode(),
        "another global seed": nullcontext(),
    }
    for what, mode in modes.items():
        with _kept_random_state(), mode:
            torch.manual_seed(123)
            np.random.seed(123)  # noqa: NPY002 (the global state is what is tested)
            random.seed(123)
            again = explainer(model, inputs.clone(), targets.clone())
        _require(torch.equal(again, expected), "determinism", f"attributions differ under {what}")
    _require(
        torch.equal(copy.deepcopy(explainer)(model, inputs, targets), expected),
        "determinism",
        "an equal explainer gives other attributions",
    )
    training = copy.deepcopy(model).train()
    differs = "a model in training mode is not explained as in evaluation mode"
    _require(torch.equal(explainer(training, inputs, targets), expected), "evaluation mode", differs)


def _check_independence(
    explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor, expected: Tensor
) -> None:
    tolerance = (1e-10 if expected.dtype == torch.float64 else 1e-4) * max(float(expected.abs().max()), 1e-30)

    def require_same(what: str, found: Tensor, wanted: Tensor) -> None:
        difference = float((found - wanted).abs().max())
        _require(difference <= tolerance, "independence", f"attributions differ by {difference:.3g} {what}")

    alone = torch.cat([explainer(model, inputs[[row]], targets[[row]]) for row in range(len(inputs))])
    require_same("if every sample is explained alone", alone, expected)
    order = torch.arange(len(inputs)).flip(0)
    require_same("in another order", explainer(model, inputs[order], targets[order]), expected[order])
    for size in (1, 3):
        features = size * inputs[0].numel()
        with mock.patch.multiple(hardware, CELLS_PER_CALL_CPU=features, CELLS_PER_CALL_CUDA=features):
            require_same(f"in model calls of {size}", explainer(model, inputs, targets), expected)


def check_untouched(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """Test that model, inputs, targets and global random states are untouched, wherever the model fails.

    Raises
    ------
    ContractError
        Naming what was changed.
    """
    used = _in_use(copy.deepcopy(model))
    given = inputs.clone().requires_grad_(True)
    with untouched(used, given, targets):
        attributions = explainer(used, given, targets)
    kept = given.detach().clone()
    with torch.no_grad():
        attributions.fill_(7.0)
    _require(torch.equal(given.detach(), kept), "own memory", "writing to the attributions changes the inputs")
    watched, watch = _watched(model)
    explainer(watched, inputs, targets)
    for call in sorted({0, 1, 2, watch.calls // 2, watch.calls - 1} & set(range(watch.calls))):
        broken = _in_use(_watched(model, fail_at=call)[0])
        with untouched(broken, given, targets):
            try:
                explainer(broken, given, targets)
            except _ModelFailureError:
                continue
        raise ContractError("errors: an exception inside of the model does not reach the caller")


def _check_passes(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    for count in (1, len(inputs)):
        watched, watch = _watched(model)
        explainer(watched, inputs[:count], targets[:count])
        stated = explainer.passes(inputs[:count])
        _require(isinstance(stated, int), "passes", f"passes(inputs) returns {type(stated).__name__}, not int")
        _require(
            stated <= watch.inputs <= stated + CHECKING_PASSES,
            "passes",
            f"{watch.inputs} inputs reach the model for {count} samples but passes(inputs) is {stated}",
        )


def _check_refusals(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    for value in (torch.nan, torch.inf):
        broken = inputs.clone()
        broken[-1].view(-1)[0] = value
        _require_refusal(explainer, model, broken, targets, f"inputs with {value}")
    _require_refusal(explainer, model, inputs[:0], targets[:0], "an empty batch")
    _require_refusal(explainer, model, inputs, targets[:-1], "fewer targets than inputs")
    _require_refusal(explainer, model, inputs, targets.double(), "targets of floating point")
    if explainer.passes(inputs) == 0:
        # The number of classes is known to the model alone.
        return
    with torch.no_grad():
        classes = model(inputs[:1]).shape[1]
    for wrong in (-1, classes):
        _require_refusal(explainer, model, inputs, torch.full_like(targets, wrong), f"target {wrong} of {classes}")


def _require_refusal(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor, what: str) -> None:
    with untouched(model, inputs, targets):
        try:
            explainer(model, inputs, targets)
        except UserError:
            return
        except Exception as error:
            raise ContractError(f"refusal: {what} raise {type(error).__name__} instead of UserError") from error
    raise ContractError(f"refusal: {what} are explained instead of refused with UserError")


def check_completeness(
    explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor, tolerance: float = 0.1
) -> None:
    """Test that attributions add up to the change of the score that ``explainer.attribute`` returns.

    Raises
    ------
    ContractError
        If they miss it by more than ``tolerance`` times the batch's largest change, or there is no ``attribute``.
    """
    attribute: Callable[..., Any] | None = getattr(explainer, "attribute", None)
    if attribute is None:
        raise ContractError("completeness: it has no method attribute(model, inputs, targets) that returns the change")
    integral = attribute(model, inputs, targets)
    gap = (integral.attributions.flatten(1).sum(1) - integral.change).abs().max()
    change = integral.change.abs().max()
    _require(
        bool(gap <= tolerance * change),
        "completeness",
        f"attributions miss a change of the score of at most {float(change):.4g} by up to {float(gap):.4g}",
    )


def _require(holds: bool, part: str, what: str) -> None:
    if not holds:
        raise ContractError(f"{part}: {what}")


def _attributions(explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    attributions = explainer(model, inputs, targets)
    if not isinstance(attributions, Tensor):
        raise ContractError(f"output: it is {type(attributions).__name__}, not a tensor")
    return attributions.clone() if attributions is inputs else attributions


# --- Models that watch and fail --------------------------------------------------------------------------------------


class _ModelFailureError(Exception):
    """What a model raises that is made to fail."""


class _Watch:
    """Hooks that count a model's calls and inputs and, at a stated call, fail."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls = 0
        self.inputs = 0
        self.fail_at = fail_at

    def before(self, *_: object) -> None:
        if self.calls == self.fail_at:
            raise _ModelFailureError
        self.calls += 1

    def after(self, _: nn.Module, arguments: tuple[Any, ...], __: Tensor) -> None:
        # Here the inputs are as other hooks have made them.
        self.inputs += len(arguments[0])

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Watch":
        return self


def _watched(model: nn.Module, fail_at: int | None = None) -> tuple[nn.Module, _Watch]:
    """A copy of the model with a watch on it."""
    watched, watch = copy.deepcopy(model), _Watch(fail_at)
    watched.register_forward_pre_hook(watch.before)
    watched.register_forward_hook(watch.after)
    return watched, watch


def _in_use(model: nn.Module) -> nn.Module:
    """The model as somebody else uses it: own hooks, one parameter frozen, one layer in another mode, an attribute."""
    layers = [module for module in model.modules() if not isinstance(module, nn.ReLU)]
    layers[-1].register_forward_hook(_do_nothing)
    layers[-1].register_forward_pre_hook(_do_nothing)
    model.train()
    layers[-1].eval()
    for parameter in list(model.parameters())[:1]:
        parameter.requires_grad_(False)
    layers[-1].note = "mine"  # type: ignore[assignment]
    return model


def _do_nothing(*_: object) -> None:
    """A hook without effect."""


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that a method could leave changed, as plain comparable values."""
    state: dict[str, Any] = {}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute in ("_parameters", "_buffers", "_modules"):
                state[f"{name}.{attribute}"] = list(value)
            elif isinstance(value, dict):
                state[f"{name}.{attribute}"] = [(key, id(entry)) for key, entry in value.items()]
            else:
                state[f"{name}.{attribute}"] = copy.copy(value) if isinstance(value, int | float | str) else id(value)
    for name, parameter in model.named_parameters():
        state[f"parameter {name}"] = (id(parameter), parameter.requires_grad, parameter.grad, parameter.tolist())
    for name, buffer in model.named_buffers():
        state[f"buffer {name}"] = (id(buffer), buffer.tolist())
    return state


@contextmanager
def untouched(model: nn.Module, *tensors: Tensor) -> Iterator[None]:
    """Context that tests that the model, the given tensors and the global random states are as before.

    Raises
    ------
    ContractError
        Naming what was changed.
    """
    before, states = state_of(model), _random_states()
    copies = [(tensor.clone(), tensor.requires_grad, tensor.grad, tensor._version) for tensor in tensors]
    try:
        yield
    finally:
        after = state_of(model)
        changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        _require(not changed, "model untouched", f"changed: {', '.join(changed)}")
        _require(_random_states() == states, "random state untouched", "a global random state was advanced or seeded")
        for tensor, (values, wanted, gradient, version) in zip(tensors, copies, strict=True):
            same = torch.equal(tensor.detach().nan_to_num(), values.detach().nan_to_num())
            same &= (tensor.requires_grad, tensor.grad, tensor._version) == (wanted, gradient, version)
            _require(same, "inputs untouched", "inputs or targets, or their requires_grad or grad, were changed")


def _random_states() -> tuple[object, ...]:
    generator = np.random.get_state(legacy=False)  # noqa: NPY002 (the global state is what is tested)
    return torch.get_rng_state().tolist(), str(generator), random.getstate()


@contextmanager
def _kept_random_state() -> Iterator[None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
