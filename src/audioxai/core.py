"""The nouns every room shares: explainers, metrics, explanations and the score that is explained.

Conventions
-----------
``inputs`` are what the model takes: waveforms ``(batch, 1, time)``, spectrograms in dB or images
``(batch, 1, rows, columns)``. ``targets`` are class indices ``(batch,)``. ``attributions`` are shaped like ``inputs``.
One *pass* is one input sent through the model once, its backward pass included where a gradient is taken.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.utils.errors import UserError


@runtime_checkable
class Explainer(Protocol):
    """A frozen dataclass whose fields, seed included, are its whole configuration. It never holds the model."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``; the model is as before when this returns or raises."""
        ...

    def passes(self, inputs: Tensor) -> int:
        """Model passes that one call with these ``inputs`` takes, without the few that check what the model is."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A frozen dataclass that scores every sample by itself; averages and intervals come later.

    An undefined score (a constant attribution, say) is NaN for that sample only.
    """

    higher_is_better: ClassVar[bool]
    score_range: ClassVar[tuple[float, float]]
    source: ClassVar[str]

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)``, the same for any batch size and sample order."""
        ...

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Model passes that one call with this ``model`` and these ``inputs`` takes."""
        ...


@dataclass(frozen=True, eq=False)
class Explanation:
    """Attributions together with what they explain.

    Attributes
    ----------
    sample_ids : tuple of str
        One identifier a sample.
    inputs, attributions : Tensor
        ``(batch, 1, …)``, in the unit of the domain the explanation lives in.
    targets, labels, predictions : Tensor
        Class indices ``(batch,)``: the explained, the true and the predicted class.
    """

    sample_ids: tuple[str, ...]
    inputs: Tensor
    attributions: Tensor
    targets: Tensor
    labels: Tensor
    predictions: Tensor


def configuration_of(thing: Any) -> Any:
    """Nested plain dictionary of a frozen dataclass, each level naming its class: what is stored beside results."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {
            "name": type(thing).__name__,
            **{field.name: configuration_of(getattr(thing, field.name)) for field in fields(thing)},
        }
    if isinstance(thing, list | tuple):
        return [configuration_of(item) for item in thing]
    return thing


def all_finite(values: Tensor) -> bool:
    """Whether no number of a tensor is NaN or infinite; read once, for both extremes carry what is not finite."""
    numbers = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return values.numel() == 0 or bool(torch.stack(torch.aminmax(numbers.detach())).isfinite().all())


def logits_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of the inputs, after checking that targets ``(batch,)`` are classes among them.

    Raises
    ------
    UserError
        If the model's output is not ``(batch, classes)``, is not finite, or targets are not one class of it a sample.
    """
    if targets.shape != (len(inputs),):
        raise UserError(f"targets have shape {tuple(targets.shape)} for {len(inputs)} inputs; give one class a sample")
    logits = model(inputs)
    if logits.ndim != 2 or logits.shape[0] != inputs.shape[0]:
        raise UserError(
            f"the model returned shape {tuple(logits.shape)} for {inputs.shape[0]} inputs; "
            "it has to return logits of shape (batch, classes)"
        )
    if not all_finite(logits):
        raise UserError("the model returned NaN or infinite logits; check its weights and the inputs' unit")
    if bool(((targets < 0) | (targets >= logits.shape[1])).any()):
        raise UserError(
            f"targets lie in {int(targets.min())}…{int(targets.max())} but the model has {logits.shape[1]} classes; "
            f"give targets in 0…{logits.shape[1] - 1}"
        )
    return cast(Tensor, logits)


def target_scores(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target class, ``(batch,)``; raises as :func:`logits_of` does."""
    return logits_of(model, inputs, targets).gather(1, targets[:, None])[:, 0]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode inside, every module's own mode outside; enough around a pass that takes no gradient."""
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield model
    finally:
        for module in training:
            module.training = True


@contextmanager
def unchanged(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode with frozen parameters inside; modes, hooks, attributes, ``requires_grad`` as before outside.

    Holds even where the body raises, so that an explainer that fails leaves no hook behind.
    """
    attributes = {module: dict(vars(module)) for module in model.modules()}
    hooks = {module: {name: dict(vars(module)[name]) for name in HOOK_TABLES} for module in attributes}
    wanted_gradients = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if any(module.training for module in attributes):
        model.eval()
    for parameter in wanted_gradients:
        parameter.requires_grad_(False)
    try:
        yield model
    finally:
        for module, before in attributes.items():
            for left_behind in vars(module).keys() - before.keys():
                del vars(module)[left_behind]
            vars(module).update(before)
            for name, table in hooks[module].items():
                _restored(vars(module)[name], table)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in wanted_gradients:
            parameter.requires_grad_(True)


# The tables in which PyTorch keeps a module's hooks and what it knows of them.
HOOK_TABLES = tuple(name for name, table in vars(nn.Module()).items() if "_hooks" in name and isinstance(table, dict))


def _restored(live: dict[int, Any], before: Mapping[int, Any]) -> None:
    if live or before:
        live.clear()
        live.update(before)
