"""What every explainer does around its own mathematics: checks, batches of the best size, a model left as it was."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from audioxai.core import all_finite, target_scores, unchanged
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices

Result = TypeVar("Result")
Computation = Callable[[nn.Module, Tensor, Tensor], Result]
Attribution = Computation[Tensor]


def prepared(model: nn.Module, inputs: Tensor, targets: Tensor, compute: Computation[Result]) -> Result:
    """What ``compute(model, inputs, targets)`` returns for its own copies and a frozen model in evaluation mode.

    Parameters
    ----------
    model : nn.Module
        Left as it was: modes, hooks, ``requires_grad``.
    inputs, targets : Tensor
        ``(batch, 1, …)`` and ``(batch,)``.
    compute : callable
        Is run with gradients enabled, whatever the caller's mode.

    Raises
    ------
    UserError
        If inputs are not finite or not of floating point, or targets do not match them.
    """
    _check(inputs, targets)
    # A caller in inference mode gets attributions too; that mode's tensors have no gradient, their copies do.
    with torch.inference_mode(mode=False), unchanged(model), torch.enable_grad():
        return compute(model, inputs.detach().clone(), targets.clone())


def explained(
    model: nn.Module, inputs: Tensor, targets: Tensor, attribute: Attribution, passes_at_once: int = 1
) -> Tensor:
    """Attributions from ``attribute(model, inputs, targets)``, called on as many inputs at a time as suit the device.

    Parameters
    ----------
    model, inputs, targets
        As :func:`prepared` takes them.
    attribute : callable
        Gets detached inputs with ``requires_grad`` set and returns attributions of the same shape.
    passes_at_once : int
        Model passes an input takes within one call (an input and its reference, say).

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
        require_finite(part)
        return part

    return prepared(model, inputs, targets, in_calls)


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

    Captum says neither that a model has no gradient nor that a target does not exist in words a user can act on.

    Raises
    ------
    UserError
        As :func:`audioxai.core.target_scores` and :func:`input_gradient` do.
    """
    twice = inputs[:1].expand(2, *inputs.shape[1:])
    scores = target_scores(model, twice, torch.stack([targets.min(), targets.max()]))
    input_gradient(scores, inputs, retain_graph=True)
    return scores


def _check(inputs: Tensor, targets: Tensor) -> None:
    if not (inputs.is_floating_point() or inputs.is_complex()) or inputs.ndim < 3 or len(inputs) == 0:
        raise UserError(
            f"inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; give floating point (batch, channel, …) with "
            "at least one sample"
        )
    if targets.shape != (len(inputs),) or targets.dtype != torch.int64:
        raise UserError(
            f"targets are {targets.dtype} of shape {tuple(targets.shape)} for {len(inputs)} inputs; give one int64 "
            "class index a sample"
        )
    if not all_finite(inputs):
        broken = int(torch.nonzero(~torch.isfinite(inputs).flatten(1).all(1))[0, 0])
        raise UserError(f"sample {broken} of the inputs contains NaN or infinity; leave it out or repair it")
