"""What every explainer does around its own mathematics: checks, calls of a suitable size, a model left as it was."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from audioxai.core import (
    HALF_PRECISION,
    Targets,
    activation_of,
    all_finite,
    logits_of,
    output_of,
    require_precision,
    target_scores,
    unchanged,
)
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices

IN_PLACE_KINDS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU)

Result = TypeVar("Result")
Computation = Callable[[nn.Module, Tensor, Tensor], Result]
Attribution = Computation[Tensor]


def prepared(model: nn.Module, inputs: Tensor, targets: Targets, compute: Computation[Result]) -> Result:
    """What ``compute(model, inputs, targets)`` returns for its own copies and a frozen model in evaluation mode.

    Parameters
    ----------
    model : nn.Module
        Left as it was: modes, hooks, ``requires_grad``.
    inputs : Tensor
        ``(batch, 1, …)``.
    targets : Tensor, int or None
        Class indices ``(batch,)``, one index for all samples, or None for the predicted classes.
    compute : callable
        Runs with gradients enabled, whatever the caller's mode.

    Raises
    ------
    UserError
        If inputs are not finite or not of floating point, or targets do not match them.
    """
    check_inputs(inputs, targets)
    require_precision(model)
    # A caller in inference mode gets attributions too; that mode's tensors have no gradient, their copies do.
    with torch.inference_mode(mode=False), unchanged(model), torch.enable_grad():
        own = inputs.detach().clone()
        return compute(model, own, _classes(model, own, targets))


def _classes(model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
    """Class indices ``(batch,)``."""
    if isinstance(targets, Tensor):
        return targets.clone()
    if targets is not None:
        return torch.full((len(inputs),), targets, dtype=torch.int64, device=inputs.device)
    first = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    with torch.no_grad():
        parts = slices(len(inputs), inputs_per_call(inputs[0].numel(), inputs.device))
        return torch.cat([logits_of(model, inputs[rows], first[rows]).argmax(1) for rows in parts])


class LogitsOf(nn.Module):
    """A model that is given copies of its inputs and returns logits alone, for code that calls the model itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.activation = activation_of(model)
        self.training = False

    def forward(self, inputs: Tensor) -> Tensor:
        """``(batch, 1, …)`` → logits ``(batch, classes)``."""
        return output_of(self.model, inputs)


def attribute_in_calls(
    model: nn.Module, inputs: Tensor, targets: Targets, attribute: Attribution, passes_at_once: int = 1
) -> Tensor:
    """Attributions from ``attribute(model, inputs, targets)``, called on as many inputs at a time as suit the device.

    Parameters
    ----------
    model, inputs, targets
        As :func:`prepared` takes them.
    attribute : callable
        Gets detached inputs with ``requires_grad`` set and returns attributions of the same shape.
    passes_at_once : int
        Model passes that an input takes within one call (2 for an input and its reference).

    Raises
    ------
    UserError
        As :func:`prepared`, or if the method returns attributions of another shape or that are not finite.
    """

    def in_calls(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        size = max(1, inputs_per_call(inputs[0].numel(), inputs.device) // passes_at_once)
        return torch.cat([one_call(model, inputs[rows], targets[rows]) for rows in slices(len(inputs), size)])

    def one_call(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        part = attribute(model, inputs.detach().requires_grad_(True), targets).detach()
        if part.shape != inputs.shape:
            raise UserError(
                f"the method returned attributions of shape {tuple(part.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}; it cannot serve this model at this resolution"
            )
        if part.is_complex():
            raise UserError("the method returned complex attributions; it takes real inputs, so choose another domain")
        require_finite(part)
        return part

    return prepared(model, inputs, targets, in_calls)


def require_real(method: str, inputs: Tensor) -> None:
    """Refuse complex inputs.

    Raises
    ------
    UserError
        Naming the method.
    """
    if inputs.is_complex():
        raise UserError(f"{method} takes real inputs but these are {inputs.dtype}; choose another domain or method")


def require_finite(attributions: Tensor) -> None:
    """Refuse attributions that are not numbers.

    Raises
    ------
    UserError
        If one is NaN or infinite.
    """
    if not all_finite(attributions):
        raise UserError("the attributions contain NaN or infinity; check the model's weights and the inputs")


def input_gradient(scores: Tensor, inputs: Tensor, *, retain_graph: bool = False) -> Tensor:
    """Gradient of each sample's score with respect to its own input, shaped like ``inputs``.

    Raises
    ------
    UserError
        If the scores do not depend differentiably on the inputs.
    """
    if scores.grad_fn is None:
        raise UserError(
            "the model's output has no gradient at its input; give a model made of differentiable operations, "
            "without no_grad, detach or argmax inside"
        )
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, allow_unused=True, retain_graph=retain_graph)
    if gradient is None:
        raise UserError("the model's output does not depend on its input; give the model that takes these inputs")
    return gradient


def probe(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Scores of the first input for the smallest and the largest target, after checking that they have a gradient.

    Captum's own messages on a missing gradient or class do not say what to change.

    Raises
    ------
    UserError
        As :func:`audioxai.core.target_scores` and :func:`input_gradient` do.
    """
    scores = _of_first(model, inputs, torch.stack([targets.min(), targets.max()]))
    input_gradient(scores, inputs, retain_graph=True)
    return scores


def _of_first(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Scores of the first input for these targets, as many copies of it as there are."""
    return target_scores(model, inputs[:1].expand(len(targets), *inputs.shape[1:]), targets)


def check_inputs(inputs: Tensor, targets: Targets) -> None:
    """Refuse inputs that are not finite floating point ``(batch, channel, …)``, and targets that are not theirs.

    Raises
    ------
    UserError
        Naming shapes, dtypes or the broken sample.
    """
    if not (inputs.is_floating_point() or inputs.is_complex()) or inputs.ndim < 3 or len(inputs) == 0:
        raise UserError(
            f"inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; give floating point (batch, channel, …) with "
            "at least one sample"
        )
    if inputs.dtype in HALF_PRECISION:
        raise UserError(f"inputs are {inputs.dtype}, in which sums of gradients are wrong; give inputs.float()")
    if not isinstance(targets, Tensor):
        if targets is not None and (isinstance(targets, bool) or not isinstance(targets, int)):
            raise UserError(f"targets are {targets!r}; give class indices (batch,), one class index, or None")
    elif targets.shape != (len(inputs),) or targets.dtype != torch.int64:
        raise UserError(
            f"targets are {targets.dtype} of shape {tuple(targets.shape)} for {len(inputs)} inputs; give one int64 "
            "class index per sample"
        )
    if not all_finite(inputs):
        broken = int(torch.nonzero(~torch.isfinite(inputs).flatten(1).all(1))[0, 0])
        raise UserError(f"sample {broken} of the inputs contains NaN or infinity; leave it out or repair it")


def require_relu_modules(method: str, model: nn.Module, inputs: Tensor, targets: Tensor) -> int:
    """Check that every ReLU of ``model`` is a module and not in place, and return how many are called.

    Guided backpropagation and DeepLift replace the gradient of ``nn.ReLU`` modules. A ReLU that is called as a function
    has no module, and both would return something else without notice; so the graph that autograd recorded is compared
    with the modules that were called. Both methods read their modules once per batch, so the graph of two inputs has to
    be as large as that of one.

    Raises
    ------
    UserError
        Saying which ReLU ``method`` cannot handle and what to change.
    """
    for name, module in model.named_modules():
        if isinstance(module, IN_PLACE_KINDS) and module.inplace:
            kind = type(module).__name__
            raise UserError(f"{method} cannot follow the in-place {kind} {name!r}; make it nn.{kind}(inplace=False)")
    modules = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    outputs: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda *call: outputs.append(call[2])) for module in modules]
    try:
        scores = probe(model, inputs, targets)
    finally:
        for hook in hooks:
            hook.remove()
    if len(graph_behind(scores)) != len(graph_behind(_of_first(model, inputs, targets[:1]))):
        raise UserError(
            f"{method} needs layers that see all inputs of a batch at once but the model takes them one by one; use "
            "another method"
        )
    recorded = _relu_operations(scores)
    # Modules of branches that the logits do not use are not in the graph.
    followed = sum(output.grad_fn in recorded for output in outputs)
    if len(recorded) != followed:
        raise UserError(
            f"{method} found {len(recorded)} ReLU operations but only {followed} nn.ReLU modules; replace functional "
            "calls such as torch.relu, clamp(min=0) and relu6 by nn.ReLU modules"
        )
    return followed


def _relu_operations(scores: Tensor) -> set[Any]:
    """Nodes of the graph behind ``scores`` that rectify: ReLU, and clamping from 0."""
    return {node for node in graph_behind(scores) if _rectifies(node)}


def _rectifies(node: Any) -> bool:
    smallest = next((getattr(node, name) for name in ("_saved_min", "_saved_min_val") if hasattr(node, name)), None)
    return node.name().startswith("ReluBackward") or (
        node.name().startswith(("Clamp", "Hardtanh")) and isinstance(smallest, int | float) and smallest == 0
    )


def graph_behind(scores: Tensor) -> set[Any]:
    """All nodes by which autograd knows how ``scores`` came about; empty without a gradient."""
    seen: set[Any] = set()
    pending: list[Any] = [scores.grad_fn]
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen.add(node)
            pending.extend(parent for parent, _ in node.next_functions)
    return seen
