"""What all parts of the package share: explainers, metrics, their configuration, and the score that is explained.

Conventions
-----------
``inputs`` are what the model takes: waveforms ``(batch, 1, time)``, spectrograms in dB or images
``(batch, 1, rows, columns)``. ``targets`` are class indices ``(batch,)``. ``attributions`` are shaped like ``inputs``.
One *pass* is one input propagated through the model once, forward and, where a gradient is taken, backward.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.utils.errors import UserError


@runtime_checkable
class Explainer(Protocol):
    """Explanation method: a frozen dataclass whose fields, seed included, are its whole configuration.

    It never holds the model. :func:`audioxai.testing.check_method` tests the contract.
    """

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``; the model is as before when this returns or raises."""
        ...

    def passes(self, inputs: Tensor) -> int:
        """Model passes of one call with these ``inputs``, without the few that check the model."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Metric: a frozen dataclass that scores every sample by itself; averages and intervals come later.

    An undefined score (of a constant attribution map, for example) is NaN for that sample only.
    """

    score_range: ClassVar[tuple[float, float]]
    source: ClassVar[str]

    @property
    def higher_is_better(self) -> bool | None:
        """Direction; None where neither end is better."""
        ...

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)``, the same for any batch size and sample order."""
        ...

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Model passes of one call with this ``model`` and these ``inputs``."""
        ...


def configuration_of(thing: Any) -> Any:
    """Configuration of an explainer, metric, domain … as plain data, which is stored with results and identifies them.

    A frozen dataclass becomes a dictionary of its fields and the name of its class, or its own field ``name``.

    Raises
    ------
    UserError
        If it holds a function, which says nothing about itself but an address in memory.

    Examples
    --------
    >>> from audioxai.baselines import Constant
    >>> configuration_of(Constant(0.5))
    {'name': 'Constant', 'value': 0.5}
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        return {
            "name": type(thing).__name__,
            **{field.name: configuration_of(getattr(thing, field.name)) for field in fields(thing)},
        }
    if isinstance(thing, list | tuple):
        return [configuration_of(item) for item in thing]
    if callable(thing) and not isinstance(thing, type):
        raise UserError(
            f"{getattr(thing, '__qualname__', type(thing).__name__)} has no configuration by which its results "
            "could be known; make it a frozen dataclass, or wrap it in FromFunction with a name and a revision"
        )
    return thing


def all_finite(values: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    # One pass over the numbers: both extremes are NaN or infinite if any number is.
    numbers = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return values.numel() == 0 or bool(torch.stack(torch.aminmax(numbers.detach())).isfinite().all())


def logits_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of ``inputs``; targets ``(batch,)`` are checked to be classes of the model.

    Raises
    ------
    UserError
        If the model's output is not ``(batch, classes)`` or not finite, or targets are not one class per sample.
    """
    if targets.shape != (len(inputs),):
        raise UserError(
            f"targets have shape {tuple(targets.shape)} for {len(inputs)} inputs; give one class per sample"
        )
    return checked_logits(model(inputs), inputs, targets)


def checked_logits(logits: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """The ``logits`` of ``inputs``, checked as :func:`logits_of` does."""
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
    return logits


def target_scores(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target class, ``(batch,)``; raises as :func:`logits_of` does."""
    return logits_of(model, inputs, targets).gather(1, targets[:, None])[:, 0]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Context in evaluation mode that restores every module's mode; enough for a pass that takes no gradient."""
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
    """Context in evaluation mode with frozen parameters that restores modes, hooks, attributes and ``requires_grad``.

    It restores them if the body raises, too, so that an explainer that fails leaves no hook behind.
    """
    attributes = {module: dict(vars(module)) for module in model.modules()}
    hooks = {module: {name: dict(vars(module)[name]) for name in HOOK_TABLES} for module in attributes}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if any(module.training for module in attributes):
        model.eval()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield model
    finally:
        for module, before in attributes.items():
            for added in vars(module).keys() - before.keys():
                del vars(module)[added]
            vars(module).update(before)
            for name, table in hooks[module].items():
                _restored(vars(module)[name], table)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in trainable:
            parameter.requires_grad_(True)


# The tables in which PyTorch keeps a module's hooks and what it knows of them.
HOOK_TABLES = tuple(name for name, table in vars(nn.Module()).items() if "_hooks" in name and isinstance(table, dict))


def _restored(live: dict[int, Any], before: Mapping[int, Any]) -> None:
    if live or before:
        live.clear()
        live.update(before)
