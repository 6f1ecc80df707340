"""What every explainer does around its own mathematics: checks, batches of the best size, a model left as it was."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from audio_xai.core import target_scores, unchanged
from audio_xai.utils.errors import UserError
from audio_xai.utils.hardware import inputs_per_call, slices

Attribution = Callable[[nn.Module, Tensor, Tensor], Tensor]


def explained(
    model: nn.Module, inputs: Tensor, targets: Tensor, attribute: Attribution, passes_at_once: int = 1
) -> Tensor:
    """Attributions from ``attribute(model, inputs, targets)``, called on as many inputs at a time as suit the device.

    Parameters
    ----------
    model : nn.Module
        Left as it was: modes, hooks, ``requires_grad``.
    inputs, targets : Tensor
        ``(batch, 1, …)`` and ``(batch,)``.
    attribute : callable
        Gets detached inputs with ``requires_grad`` set and returns attributions of the same shape.
    passes_at_once : int
        Model passes an input takes within one call (path steps stacked into one batch, say).

    Raises
    ------
    UserError
        If inputs are not finite or not of floating point, targets do not match them, or the method returns
        attributions of another shape or that are not finite.
    """
    _check(inputs, targets)
    size = max(1, inputs_per_call(inputs[0].numel(), inputs.device) // passes_at_once)
    parts = []
    # A caller in inference mode gets attributions too; that mode's tensors have no gradient, their copies do.
    with torch.inference_mode(mode=False), unchanged(model), torch.enable_grad():
        targets = targets.clone()
        for rows in slices(len(inputs), size):
            chunk = inputs[rows].detach().clone().requires_grad_(True)
            part = attribute(model, chunk, targets[rows]).detach()
            if part.shape != chunk.shape:
                raise UserError(
                    f"the method returned attributions of shape {tuple(part.shape)} for inputs of shape "
                    f"{tuple(chunk.shape)}; it cannot serve this model at this resolution"
                )
            if not bool(torch.isfinite(part).all()):
                raise UserError("the attributions contain NaN or infinity; check the model's weights and the inputs")
            parts.append(part)
    return torch.cat(parts)


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
        As :func:`audio_xai.core.target_scores` and :func:`input_gradient` do.
    """
    twice = inputs[:1].expand(2, *inputs.shape[1:])
    scores = target_scores(model, twice, torch.stack([targets.min(), targets.max()]))
    input_gradient(scores, inputs, retain_graph=True)
    return scores


def _check(inputs: Tensor, targets: Tensor) -> None:
    if not inputs.is_floating_point() or inputs.ndim < 3 or len(inputs) == 0:
        raise UserError(
            f"inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; give floating point (batch, channel, …) with "
            "at least one sample"
        )
    if targets.shape != (len(inputs),) or targets.dtype != torch.int64:
        raise UserError(
            f"targets are {targets.dtype} of shape {tuple(targets.shape)} for {len(inputs)} inputs; give one int64 "
            "class index a sample"
        )
    broken = [row for row, sample in enumerate(inputs) if not bool(torch.isfinite(sample).all())]
    if broken:
        raise UserError(f"sample {broken[0]} of the inputs contains NaN or infinity; leave it out or repair it")
