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
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable
from weakref import WeakSet

import torch
import torch.fx
from torch import Tensor, nn

from audioxai.utils.errors import UserError

HALF_PRECISION = (torch.float16, torch.bfloat16)
# Sums of softmax probabilities differ from 1 by less.
SUM_TOLERANCE = 1e-4
# What autograd records of whole parts of compiled models and of TorchScript, which hide their operations.
COMPILED, SCRIPT = "CompiledFunction", "torch::jit"
SCRIPTED_RESHAPING = tuple(
    f"aten::{name}" for name in ("view", "reshape", "squeeze", "unsqueeze", "select", "slice", "flatten", "contiguous")
)
# What autograd records of operations that give a tensor another shape or pick from it, but leave its numbers alone.
RESHAPING = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Squeeze",
    "Unsqueeze",
    "Select",
    "Slice",
    "Gather",
    "Alias",
    "Clone",
)

Activation = Literal["softmax", "sigmoid"]
"""What makes logits probabilities: a softmax over classes that exclude each other, or one sigmoid per label."""

Targets = Tensor | int | None
"""Explained classes: indices ``(batch,)``, one index for all samples, or None for the predicted classes."""


@runtime_checkable
class Explainer(Protocol):
    """Explanation method: a frozen dataclass whose fields, seed included, are its whole configuration.

    It never holds the model. :func:`audioxai.testing.check_method` tests the contract. Where ``of_input_gradients`` is
    true, the attribution of a feature is a function of its value and of the score's gradient by it alone, so that many
    models can be explained as one (:mod:`audioxai.metrics.stacked`).
    """

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``; the model is as before when this returns or raises."""
        ...

    def passes(self, inputs: Tensor) -> int:
        """Model passes of one call with these ``inputs``, without the few that check the model."""
        ...


def attributions_shape(explainer: Any, inputs: Tensor) -> tuple[int, ...]:
    """Shape of an explainer's attributions: that of the inputs, or ``(batch, 1, *shape)`` of its own ``domain``."""
    domain = getattr(explainer, "domain", None)
    return tuple(inputs.shape) if domain is None else (len(inputs), 1, *domain.shape)


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
    return checked_logits(output_of(model, inputs), inputs, targets)


def output_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """Logits of a model that may return them as ``logits`` of a mapping or an object, and may change its inputs.

    Raises
    ------
    UserError
        If there is no tensor of logits in the output, or it holds probabilities.
    """
    # Models that normalise in place get a copy of their own; autograd allows that, because a copy is no leaf.
    output = logits_in(model(inputs.clone()))
    _require_no_probabilities(model, inputs, output)
    return output


def logits_in(output: Any) -> Tensor:
    """The tensor of logits that a model returned, by itself or as ``logits`` of a mapping or an object.

    Raises
    ------
    UserError
        If there is none.
    """
    if isinstance(output, Tensor):
        return output
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    raise UserError(
        f"the model returned {type(output).__name__}; it has to return logits of shape (batch, classes), or a "
        "mapping or object with them as logits, so wrap it in a module that does"
    )


# Models whose last operation was looked at and is no sigmoid: looked at once, not in every call.
_RETURN_LOGITS: "WeakSet[nn.Module]" = WeakSet()


def _require_no_probabilities(model: nn.Module, inputs: Tensor, output: Tensor) -> None:
    """Refuse outputs of a softmax or a sigmoid.

    Numbers in [0, 1] may be logits too, so the last operation decides; without a gradient, or where a compiled program
    hides it, it is that of one more pass.
    """
    if output.ndim != 2 or output.numel() == 0 or output.is_complex() or model in _RETURN_LOGITS:
        return
    low, high = torch.aminmax(output.detach())
    if not (bool(low >= 0.0) and bool(high <= 1.0)):
        return
    values, kind = output.detach().double(), None
    # Ones among zeros are votes, which no softmax gives.
    votes = bool(((values == 0.0) | (values == 1.0)).all())
    if output.shape[1] > 1 and not votes and bool(((values.sum(1) - 1.0).abs() <= SUM_TOLERANCE).all()):
        kind = "softmax"
    else:
        if output.grad_fn is None or last_operation(output).startswith(COMPILED):
            eager = torch.compiler.set_stance("force_eager")
            with torch.inference_mode(mode=False), unchanged(model), torch.enable_grad(), eager:
                output = logits_in(model(inputs.detach().clone().requires_grad_(True).clone()))
        last = last_operation(output)
        kind = (
            "sigmoid" if (_last_of_script(model) if last.startswith(SCRIPT) else last).startswith("Sigmoid") else None
        )
        if kind is None:
            _RETURN_LOGITS.add(model)
    if kind is not None:
        raise UserError(
            f"the model returns probabilities of a {kind} but logits are explained and scored; give the model without "
            f"its {kind}, load_model(..., outputs={kind!r}), or LogitsOfProbabilities(model, {kind!r}) of "
            "audioxai.models"
        )


def _last_of_script(model: nn.Module) -> str:
    """Name of the last operation of the TorchScript in a model, apart from those that only give another shape."""
    scripts = (module for module in model.modules() if isinstance(module, torch.jit.ScriptModule))
    script: Any = next(scripts, None)
    if script is None:
        return ""
    graph = script.inlined_graph  # kept as long as its nodes are looked at
    node = next(graph.outputs()).node()
    while node.kind() in SCRIPTED_RESHAPING:
        node = next(node.inputs()).node()
    return str(node.kind().removeprefix("aten::").capitalize())


def last_operation(output: Tensor) -> str:
    """Name of the node by which autograd knows how the numbers of ``output`` came about; empty without a graph."""
    node = output.grad_fn
    while node is not None and node.name().startswith(RESHAPING) and len(node.next_functions) > 0:
        node = node.next_functions[0][0]
    return "" if node is None else node.name()


def activation_of(model: nn.Module) -> Activation:
    """What makes the logits of a model probabilities.

    A module whose labels do not exclude each other says so by its attribute ``activation = "sigmoid"``; wrappers hand
    it on. All others are of a softmax. One logit is a sigmoid's either way, see :func:`with_rival`.

    Examples
    --------
    >>> model = nn.Linear(4, 3)
    >>> activation_of(model)
    'softmax'
    >>> model.activation = "sigmoid"
    >>> activation_of(model)
    'sigmoid'
    """
    return "sigmoid" if getattr(model, "activation", None) == "sigmoid" else "softmax"


def probabilities_of(logits: Tensor, activation: Activation) -> Tensor:
    """Probabilities of logits ``(batch, classes)``, same shape; of one logit by a sigmoid, whatever the activation."""
    return logits.sigmoid() if activation == "sigmoid" or logits.shape[1] == 1 else logits.softmax(1)


def with_rival(logits: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of at least two classes: a 0 is put next to one logit, which makes it a sigmoid's."""
    return torch.cat([logits, torch.zeros_like(logits)], 1) if logits.shape[1] == 1 else logits


def require_precision(model: nn.Module) -> None:
    """Refuse models in half precision.

    Raises
    ------
    UserError
        If a parameter is float16 or bfloat16.
    """
    if any(parameter.dtype in HALF_PRECISION for parameter in model.parameters()):
        raise UserError(
            "the model's parameters are in half precision, in which sums of gradients are wrong; give model.float()"
        )


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
    training = _training_modules(model)
    _evaluation_mode(model, training)
    try:
        yield model
    finally:
        for module in training:
            module.training = True


@contextmanager
def unchanged(model: nn.Module) -> Iterator[nn.Module]:
    """Context in evaluation mode with frozen parameters that restores modes, hooks, attributes and ``requires_grad``.

    It restores them if the body raises, too, so that an explainer that fails leaves no hook behind. Tensors that the
    model holds since a call in inference mode are replaced by copies, which can be used with autograd.
    """
    attributes = {module: dict(vars(module)) for module in model.modules()}
    tables = {
        # TorchScript keeps its tables elsewhere and shows them through wrappers.
        module: {
            name: dict(before[name])
            for name in (*HOOK_TABLES, "_buffers", "_parameters")
            if isinstance(before.get(name), dict)
        }
        for module, before in attributes.items()
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        _evaluation_mode(model, _training_modules(model))
        for parameter in trainable:
            parameter.requires_grad_(False)
        for module in attributes:
            _without_inference_tensors(module)
        yield model
    finally:
        for module, before in attributes.items():
            for added in vars(module).keys() - before.keys():
                del vars(module)[added]
            vars(module).update(before)
            for name, table in tables[module].items():
                _restored(vars(module)[name], table)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in trainable:
            parameter.requires_grad_(True)


def _training_modules(model: nn.Module) -> list[nn.Module]:
    # Frozen TorchScript has no mode any more.
    return [module for module in model.modules() if getattr(module, "training", False)]


def _evaluation_mode(model: nn.Module, training: list[nn.Module]) -> None:
    """Evaluation mode; exported programs keep the mode that they were exported in.

    Raises
    ------
    UserError
        If a program was exported in training mode.
    """
    for module in model.modules():
        graph = getattr(module, "graph", None)
        if isinstance(module, torch.fx.GraphModule) and any(map(_is_training_operation, graph.nodes if graph else ())):
            raise UserError("the model was exported in training mode; export model.eval()")
    if not training:
        return
    try:
        model.eval()
    except NotImplementedError:
        for module in training:
            module.training = False


def _is_training_operation(node: torch.fx.Node) -> bool:
    """Whether a node of an exported graph drops out, or normalises by the batch."""
    name = str(node.target)
    if "dropout" in name:
        return any(argument is True for argument in (*node.args, *node.kwargs.values()))
    return "batch_norm" in name and len(node.args) > 5 and node.args[5] is True


def _without_inference_tensors(module: nn.Module) -> None:
    for table in (vars(module), vars(module).get("_buffers", {}), vars(module).get("_parameters", {})):
        for name, value in list(table.items()):
            if isinstance(value, Tensor) and value.is_inference():
                own = value.detach().clone()
                table[name] = nn.Parameter(own, requires_grad=False) if isinstance(value, nn.Parameter) else own


# The tables in which PyTorch keeps a module's hooks and what it knows of them.
HOOK_TABLES = tuple(name for name, table in vars(nn.Module()).items() if "_hooks" in name and isinstance(table, dict))


def _restored(live: dict[int, Any], before: Mapping[int, Any]) -> None:
    if live or before:
        live.clear()
        live.update(before)
