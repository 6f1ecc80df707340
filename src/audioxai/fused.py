"""Cheaper passes of the same model: batch norm folded, ReLU after pooling, oneDNN's own layout, CUDA graphs.

Idea
----
In evaluation mode a batch norm is a scale and a shift, which the weights of the layer before it can carry. ReLU and
max-pooling commute, and pooling first leaves a fraction of the features to rectify. On a CPU oneDNN convolves fastest
in a layout of its own, which tensors can keep from layer to layer where no gradient is taken. On a GPU repeated calls
of one shape are launched as a whole (:mod:`audioxai.cuda_graphs`); their gradients are of first order.

:func:`fastest_copies` builds such copies of a model, verifies and times them, and names one for forward and one for
gradient passes; :class:`FusedModel` uses those that were named. A copy is used only while it gives the same logits and
gradients as the model. The model itself is called with hooks, in training mode, under autocast, for gradients of
parameters, and in functions that PyTorch transforms (``torch.func``). Once a model has changed, new copies are made and
verified; only objects of other classes that its modules hold may not be changed in place.
"""

import copy
import io
import operator
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from audioxai.core import HOOK_TABLES, all_finite, logits_in, unchanged
from audioxai.cuda_graphs import Graphed
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import finish, inputs_per_call

Kind = Literal["forward", "gradient"]
"""Passes without and with a gradient at the input."""

Copies = Mapping[Kind, str]
"""The copy that takes the passes of each kind, by name; ``original`` for the model itself."""

NAMES = ORIGINAL, REORDERED, FOLDED, ONEDNN, GRAPHED = "original", "reordered", "folded", "onednn", "graphed"
# Copies to try, the one that is fastest by its operations first.
CANDIDATES: dict[Kind, tuple[str, ...]] = {
    "forward": (GRAPHED, ONEDNN, FOLDED, REORDERED),
    "gradient": (GRAPHED, FOLDED, REORDERED),
}
# Kind of device that a copy is for, where it is not for all.
ONLY_ON = {ONEDNN: "cpu", GRAPHED: "cuda"}
TOLERANCE = 1e-6
# A copy takes fewer operations, so it is given up only where it is clearly slower; noise of the clock decides nothing.
SLOWER = 1.1
FEWEST_ROUNDS, ROUNDS, TRIAL_S = 3, 10, 0.2
VERIFIED_INPUTS = 4
# What every module keeps for PyTorch; its mode and the modules in it say what it does.
OF_PYTORCH = frozenset(vars(nn.Module())) - {"training", "_modules"}
PLAIN = (bool, int, float, str)
# Of each tensor, beyond which it is compared in part: to read all of AlexNet takes longer than some calls of it.
COMPARED_NUMBERS = 2**16

# Copies are made by one thread after the other.
_ONE_THREAD = threading.RLock()

FOLDS: tuple[tuple[Any, Callable[[Any, Any], nn.Module]], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), fuse_conv_bn_eval),
    (nn.Linear, fuse_linear_bn_eval),
)
RECTIFIERS: tuple[Any, ...] = (nn.ReLU, functional.relu, torch.relu)
POOLS: tuple[Any, ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
# What takes tensors in oneDNN's layout as they are.
KEPT: tuple[Any, ...] = (*RECTIFIERS, nn.MaxPool2d, operator.add, torch.add)


class FusedModel(nn.Module):
    """A model whose passes go through faster copies of it, as long as these agree with it.

    Parameters
    ----------
    original : nn.Module
        The model, shared, not copied; its parameters are those of this module.
    copies : mapping
        Which copy takes forward and gradient passes, as :func:`fastest_copies` says.

    Raises
    ------
    UserError
        If a kind of passes or a copy is not known.

    Examples
    --------
    >>> layers = nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    >>> model = nn.Sequential(*layers, nn.Linear(18, 3)).eval().requires_grad_(False)
    >>> inputs = torch.rand(4, 1, 8, 8)
    >>> torch.allclose(FusedModel(model, {"forward": "folded"})(inputs), model(inputs), atol=1e-6)
    True
    """

    _made: "_Made"

    def __init__(self, original: nn.Module, copies: Copies) -> None:
        super().__init__()
        for kind, name in copies.items():
            if kind not in CANDIDATES or name not in (ORIGINAL, *CANDIDATES[kind]):
                raise UserError(
                    f"{kind} passes are to go through copy {name!r}; choose among {', '.join(NAMES)} for passes of "
                    f"kind {' or '.join(CANDIDATES)}"
                )
        self.original = original
        self.copies = dict(copies)
        for name in ("activation", "features_per_input"):
            if hasattr(original, name):
                setattr(self, name, getattr(original, name))
        self.training = original.training
        self._made = _Made()

    def forward(self, inputs: Tensor) -> Any:
        """What the model returns for ``inputs``."""
        return self._model_for(inputs)(inputs)

    def __getstate__(self) -> dict[str, Any]:
        """State that goes through no copies: a copy of this model is made to get other weights."""
        return {**vars(self), "copies": {}, "_made": _Made()}

    def _model_for(self, inputs: Tensor) -> nn.Module:
        """The copy that takes these inputs, or the model where there is none that may stand for it."""
        kind: Kind = "gradient" if torch.is_grad_enabled() and inputs.requires_grad else "forward"
        name = self.copies.get(kind, ORIGINAL)
        transformed = torch.is_autocast_enabled(inputs.device.type) or torch._C._are_functorch_transforms_active()
        if name == ORIGINAL or not suits(name, inputs.device) or transformed or not _only_evaluates(self.original):
            return self.original
        if name == ONEDNN and not all_finite(inputs):
            # oneDNN rectifies what is no number to 0, so that logits would not show it.
            return self.original
        with _ONE_THREAD:
            return self._made.model_for(kind, name, self.original, inputs)


@contextmanager
def original_passes(model: nn.Module) -> Iterator[nn.Module]:
    """Context in which every pass of a model, and of all that it holds, goes through the model itself.

    For methods that hook modules or look at what they recorded: they see one and the same model all the time.
    """
    copies = [(module, module.copies) for module in model.modules() if isinstance(module, FusedModel)]
    try:
        for module, _ in copies:
            module.copies = {}
        yield model
    finally:
        for module, before in copies:
            module.copies = before


def fastest_copies(model: nn.Module, inputs: Tensor, *, same_bits: bool = False) -> dict[Kind, str]:
    """Which copies of a model are to take its passes: those that agree with it and are not slower.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    inputs : Tensor
        A few inputs ``(batch, 1, …)``; calls half as large as suit the device are made of them.
    same_bits : bool
        Leave out copies that round in another way. Where a ReLU, a maximum or the order of two features is on the
        edge, rounding decides which way gradients and ranks go, and scores made of them follow.

    Returns
    -------
    dict
        Name of a copy for ``forward`` and for ``gradient`` passes, ``original`` where none is better.

    Raises
    ------
    UserError
        If there are no inputs.
    """
    if len(inputs) == 0:
        raise UserError(f"inputs are of shape {tuple(inputs.shape)}; give at least one to try copies on")
    with torch.inference_mode(mode=False), unchanged(model):
        few = inputs[:VERIFIED_INPUTS].detach().clone()
        # Half of a call is enough to tell.
        size = -(-inputs_per_call(few[0].numel(), few.device) // 2)
        many = few.repeat(-(-size // len(few)), *[1] * (few.ndim - 1))[:size]
        wanted = (REORDERED,) if same_bits else NAMES[1:]
        copies = {name: _copy_of(model, name) for name in wanted if suits(name, few.device)}

        def serves(name: str, kind: Kind) -> bool:
            made = copies.get(name)
            return made is not None and agrees(model, made, few, kind) and not is_slower(made, model, many, kind)

        return {
            kind: next((name for name in names if serves(name, kind)), ORIGINAL) for kind, names in CANDIDATES.items()
        }


def suits(name: str, device: torch.device) -> bool:
    """Whether a copy is for inputs on this device."""
    return ONLY_ON.get(name, device.type) == device.type


def fused(model: nn.Module, inputs: Tensor) -> FusedModel:
    """The model with the fastest passes for such inputs ``(batch, 1, …)``; see :func:`fastest_copies`."""
    return FusedModel(model, fastest_copies(model, inputs))


def agrees(model: nn.Module, other: nn.Module, inputs: Tensor, kind: Kind) -> bool:
    """Whether two models give the same logits, and the same gradients of the predicted classes' logits.

    Logits may differ by 1e-6 of the largest one. So may the gradient of most of the first inputs, by its norm: where
    two numbers that are pooled, or a number and zero, are apart by their rounding alone, either gradient is right.
    """
    few = inputs[:VERIFIED_INPUTS].detach()
    # Graphs are compared with what they are made of when they are made.
    other = other.model if isinstance(other, Graphed) else other
    try:
        # PyTorch prints why a traced model failed.
        with redirect_stderr(io.StringIO()):
            expected, found = (_logits(each, few) for each in (model, other))
            if expected.shape != found.shape or not _close(expected, found):
                return False
            if kind == "forward":
                return True
            first, second = (_gradient(each, few, expected.argmax(1)).flatten(1) for each in (model, other))
    except Exception:  # noqa: BLE001 (a copy may fail in any way; what is wrong with the model it says when called)
        return False
    differences = torch.linalg.vector_norm(first - second, dim=1)
    return 2 * int((differences <= TOLERANCE * torch.linalg.vector_norm(first, dim=1)).sum()) > len(few)


def is_slower(made: nn.Module, model: nn.Module, inputs: Tensor, kind: Kind) -> bool:
    """Whether calls of a copy take clearly longer; the fastest of several counts, which is disturbed least.

    A copy that is no slower after a call for warming up and another one is tried no further.
    """
    targets = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    spent: dict[nn.Module, list[float]] = {model: [], made: []}
    begun = time.perf_counter()
    while len(spent[made]) < FEWEST_ROUNDS or (len(spent[made]) < ROUNDS and time.perf_counter() - begun < TRIAL_S):
        if len(spent[made]) > 1 and min(spent[made]) <= min(spent[model]):
            return False
        for each, seconds in spent.items():
            finish(inputs.device)
            started = time.perf_counter()
            _gradient(each, inputs, targets) if kind == "gradient" else _logits(each, inputs)
            finish(inputs.device)
            seconds.append(time.perf_counter() - started)
    return min(spent[made]) > SLOWER * min(spent[model])


def _close(expected: Tensor, found: Tensor) -> bool:
    return bool((expected - found).abs().amax() <= TOLERANCE * expected.abs().amax())


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return logits_in(model(inputs.clone()))


def _gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    leaf = inputs.clone().requires_grad_(True)
    with torch.enable_grad():
        # A copy of the leaf, as models may change their inputs.
        scores = logits_in(model(leaf.clone())).gather(1, targets[:, None])
        (gradient,) = torch.autograd.grad(scores.sum(), leaf)
    return gradient


# --- When a copy may stand for the model -----------------------------------------------------------------------------


def _only_evaluates(model: nn.Module) -> bool:
    """Whether nothing but logits and their gradients at the input is asked for: no hook, mode or parameter."""
    hooked = _has_any_global_hook()  # type: ignore[no-untyped-call]
    if hooked or (torch.is_grad_enabled() and any(parameter.requires_grad for parameter in model.parameters())):
        return False
    return not any(
        # TorchScript does not keep its mode among its attributes.
        getattr(module, "training", False) or any(vars(module).get(table) for table in HOOK_TABLES)
        for module in model.modules()
    )


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """What copies were made of: a model's numbers, those of large tensors in part, their versions, and its settings."""

    tensors: list[Tensor]
    versions: list[int]
    settings: list[Any]

    @classmethod
    def of(cls, model: nn.Module) -> "_Snapshot":
        tensors, settings = _state_of(model)
        return cls([_part(one).clone() for one in tensors], [_version(one) for one in tensors], settings)

    def fits(self, model: nn.Module) -> bool:
        """Whether the model is still the same; ``.data`` can be changed without a new version."""
        tensors, settings = _state_of(model)
        return (
            self.settings == settings
            and self.versions == [_version(one) for one in tensors]
            and all(_same(_part(one), before) for one, before in zip(tensors, self.tensors, strict=True))
        )


@dataclass(eq=False)
class _Made:
    """Copies of one state of a model, by name, and what takes each kind of call."""

    snapshot: _Snapshot | None = None
    copies: dict[str, nn.Module | None] = field(default_factory=dict)
    chosen: dict[Hashable, nn.Module] = field(default_factory=dict)
    calls_change_it: bool = False

    def model_for(self, kind: Kind, name: str, original: nn.Module, inputs: Tensor) -> nn.Module:
        """The copy of this name, or the model where they do not agree on the first inputs of such a call.

        A model that keeps something of its calls is always called itself.
        """
        if self.calls_change_it:
            return original
        if self.snapshot is None or not self.snapshot.fits(original):
            self.snapshot, self.copies, self.chosen = _Snapshot.of(original), {}, {}
        call = kind, tuple(inputs.shape[1:]), inputs.dtype, inputs.device
        if call not in self.chosen:
            with torch.inference_mode(mode=False):
                if name not in self.copies:
                    self.copies[name] = _copy_of(original, name)
                made = self.copies[name]
                if made is None or not agrees(original, made, inputs, kind):
                    made = original
                self.calls_change_it = not self.snapshot.fits(original)
                self.chosen[call] = original if self.calls_change_it else made
        return self.chosen[call]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)


def _version(tensor: Tensor) -> int:
    # Tensors made in inference mode do not count their changes.
    return 0 if tensor.is_inference() else tensor._version


def _part(tensor: Tensor) -> Tensor:
    """The whole of a tensor, of a large one every n-th row."""
    rows = tensor.detach() if tensor.ndim else tensor.detach()[None]
    return rows[:: tensor.numel() // COMPARED_NUMBERS + 1]


def _state_of(model: nn.Module) -> tuple[list[Tensor], list[Any]]:
    """Tensors of a model, registered or not, and its settings: all else that its modules hold, and which these are.

    Numbers and texts are the same by value, containers by what they hold, anything else if it is the very same object.
    """
    held: list[Any] = []
    for module in model.modules():
        for name, value in vars(module).items():
            if name not in OF_PYTORCH:
                held.append(name)
                _add_held(value, held)
    tensors = [one for one in held if isinstance(one, Tensor)]
    # Of pairs whose first numbers differ the objects are not compared.
    settings = [one if type(one) in PLAIN else (id(one), one) for one in held if not isinstance(one, Tensor)]
    return [*model.parameters(), *model.buffers(), *tensors], settings


def _add_held(value: Any, held: list[Any]) -> None:
    """Add a value; of a container its class, its length and what it holds, in containers within containers, too."""
    if isinstance(value, dict | list | tuple):
        held += type(value), len(value)
        for one in chain.from_iterable(value.items()) if isinstance(value, dict) else value:
            _add_held(one, held)
    else:
        held.append(value)


# --- Copies ----------------------------------------------------------------------------------------------------------


def _copy_of(model: nn.Module, name: str) -> nn.Module | None:
    """A frozen copy of a model, by name; None where the model cannot be copied, or would be copied as it is."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # PyTorch warns of its own copies of exported programs.
            warnings.simplefilter("ignore", FutureWarning)
            copied = copy.deepcopy(model).eval()
            before = set(copied.modules())
            made = _rewritten(copied, name)
            if name == GRAPHED:
                return Graphed(made.requires_grad_(False))
            return made.requires_grad_(False) if set(made.modules()) - before else None
    except Exception:  # noqa: BLE001 (models refuse copies, and layers to be folded, in any way)
        return None


def _rewritten(model: nn.Module, name: str) -> nn.Module:
    """The model, which is changed, by the rules of this name; where it cannot be traced, its parts by them."""
    container = isinstance(model, nn.Sequential) or not type(model).__module__.startswith("torch.nn")
    # A class's forward is traced, not one that was put in its place.
    if isinstance(model, torch.jit.ScriptModule) or not container or "forward" in vars(model):
        return model
    try:
        traced = _traced(model)
    except Exception:  # noqa: BLE001 (a model's own code may refuse symbols in any way; its parts may still be traced)
        for part, child in model.named_children():
            model._modules[part] = _rewritten(child, name)
        return model
    applied = [rule(traced, node) for rule in RULES[name] for node in list(traced.graph.nodes)]
    if name == ONEDNN:
        applied.append(_keep_onednn_layout(traced))
    if not any(applied):
        return model
    traced.delete_all_unused_submodules()
    traced.graph.lint()
    traced.recompile()
    return traced


class _Tracer(torch.fx.Tracer):
    """Records what its own thread calls; for as long as it does, what other threads call comes by it, too."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What the module returns, or a symbol for it."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _traced(model: nn.Module) -> torch.fx.GraphModule:
    # Two tracers would put each other's replacements of PyTorch's methods in the place of the methods.
    with _ONE_THREAD:
        return torch.fx.GraphModule(model, _Tracer().trace(model), type(model).__name__)


def _fold_norm(traced: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    """Fold a batch norm into the layer before it, which nothing else may use."""
    norm, layer = _module_of(traced, node), _before(node)
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or not norm.track_running_stats or layer is None:
        return False
    module: Any = _module_of(traced, layer)
    fold = next((each for kinds, each in FOLDS if isinstance(module, kinds)), None)
    if fold is None or len(layer.users) > 1 or not (_called_once(traced, layer) and _called_once(traced, node)):
        return False
    traced.set_submodule(str(layer.target), fold(module, norm))
    node.replace_all_uses_with(layer)
    traced.graph.erase_node(node)
    return True


def _pool_first(traced: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    """Let a max-pooling and the ReLU before it change places, where nothing else uses what they take.

    Logits and gradients stay the same, bit for bit.
    """
    rectifier = _before(node)
    if rectifier is None or not _is(traced, node, POOLS) or not _is(traced, rectifier, RECTIFIERS):
        return False
    taken = _before(rectifier)
    if taken is None or len(rectifier.users) > 1 or len(taken.users) > 1:
        return False
    node.replace_input_with(rectifier, taken)
    node.replace_all_uses_with(rectifier)
    rectifier.replace_input_with(taken, node)
    node.append(rectifier)
    return True


# Returns whether it changed anything.
Rule = Callable[[torch.fx.GraphModule, torch.fx.Node], bool]
RULES: dict[str, tuple[Rule, ...]] = {
    REORDERED: (_pool_first,),
    FOLDED: (_fold_norm, _pool_first),
    ONEDNN: (_fold_norm, _pool_first),
    GRAPHED: (_fold_norm, _pool_first),
}


def _keep_onednn_layout(traced: torch.fx.GraphModule) -> bool:
    """Let tensors keep oneDNN's layout from a convolution to the last operation that takes it, if there is any."""
    inside: set[torch.fx.Node] = set()
    for node in list(traced.graph.nodes):
        dense = [one for one in node.all_input_nodes if one not in inside]
        module: Any = _module_of(traced, node)
        if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros":
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            with traced.graph.inserting_before(node):
                for one in dense:
                    node.replace_input_with(one, traced.graph.call_method("to_mkldnn", (one,)))
            inside.add(node)
        elif node.all_input_nodes and not dense and _is(traced, node, KEPT):
            inside.add(node)
    for node in inside:
        outside = [user for user in node.users if user not in inside]
        if outside:
            with traced.graph.inserting_after(node):
                dense_again = traced.graph.call_method("to_dense", (node,))
            for user in outside:
                user.replace_input_with(node, dense_again)
    return bool(inside)


def _before(node: torch.fx.Node) -> torch.fx.Node | None:
    """The node whose output is the first input of this one."""
    first = node.args[0] if node.args else None
    return first if isinstance(first, torch.fx.Node) else None


def _module_of(traced: torch.fx.GraphModule, node: torch.fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _called_once(traced: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    """Whether no other node calls the same module, by whatever name."""
    module = _module_of(traced, node)
    return sum(_module_of(traced, other) is module for other in traced.graph.nodes) == 1


def _is(traced: torch.fx.GraphModule, node: torch.fx.Node, kinds: tuple[Any, ...]) -> bool:
    """Whether a node calls one of these functions, or a module of one of these classes."""
    if node.op == "call_function":
        return node.target in kinds
    return type(_module_of(traced, node)) in kinds and not getattr(_module_of(traced, node), "return_indices", False)
