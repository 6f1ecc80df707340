"""Layer-wise relevance propagation (LRP): the logit is divided among the inputs, layer by layer.

Idea
----
The logit is the relevance of the last layer. A layer z_j = Σ_i a_i w_ij + b_j hands the relevance R_j of its outputs to
its inputs in proportion to their share of z_j, or of a part of it; what falls to the biases is lost. ReLU and max
pooling hand on what they get, the latter to the winner. A batch norm is folded into the layer directly before it, so
that both are one.

Rules
-----
With x⁺ = max(x, 0), x⁻ = min(x, 0), what j hands to i is (Bach et al. 2015; Montavon et al. 2017 for z^B)

* ε: a_i w_ij R_j / (z_j + ε sign z_j);
* αβ: α z_ij⁺ R_j / Σ_i z_ij⁺ − β z_ij⁻ R_j / Σ_i z_ij⁻ with z_ij = a_i w_ij and α − β = 1; z⁺ is α = 1, β = 0;
* z^B: (a_i w_ij − l_i w_ij⁺ − h_i w_ij⁻) R_j / Σ_i (…), for inputs between l and h;
* flat: R_j in equal parts to all inputs of j.

Frequency
---------
A model seen in a domain with a linear synthesis x = S(Z) has that synthesis as its first layer, by the ε-rule:

    R_k = Σ_n Re(S_nk Z_k) R_n / (x_n + ε sign x_n),

so relevance of samples becomes relevance of frequency bins (virtual inspection layer, Vielhaben et al. 2024).

What it refuses
---------------
Relevance flows through autograd's graph in place of the gradient. Every operation of the graph that is neither a layer
with a rule nor one that only moves numbers would hand on something else without notice, so it is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.core import RESHAPING, Targets, target_scores
from audioxai.domains import Domain
from audioxai.fused import original_passes
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import attribute_in_calls, graph_behind, input_gradient
from audioxai.xai_methods.path_integral import change_along
from audioxai.xai_methods.registry import METHODS

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MEANS = (
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# What autograd records of operations that hand relevance on as they hand on a gradient: those that move numbers, and
# ReLU and max pooling, as relevance is zero where a ReLU is closed.
HANDED_ON = (*RESHAPING, "Transpose", "Permute", "TBackward", "Cat", "Stack", "Relu", "MaxPool", "AdaptiveMaxPool")
# Against division by zero, relative to the root mean square of a sample's outputs of the layer.
STABILISER = 1e-12

DOMAINS = ("log_mel", "pixels", "waveform", "rfft", "stft", "erb_bands")


# --- Rules -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Layer:
    """A layer z = W a + b at one call.

    Attributes
    ----------
    apply : callable
        ``apply(inputs, weight, bias)`` → outputs.
    weight : Tensor or None
        W, outputs first; None of a layer that has no weights of its own, such as a mean.
    bias : Tensor or None
        b.
    rule : Rule
        How it divides relevance.
    limits : tuple of Tensor or None
        Smallest and largest inputs, where it is the first one.
    has_norm : bool
        Whether a batch norm was folded into it.
    """

    apply: Callable[[Tensor, Tensor | None, Tensor | None], Tensor]
    weight: Tensor | None
    bias: Tensor | None
    rule: "Rule"
    limits: tuple[Tensor, Tensor] | None = None
    has_norm: bool = False

    def shares(
        self,
        terms: Sequence[tuple[Tensor, Tensor | None]],
        bias: Tensor | None,
        relevance: Tensor,
        epsilon: float = STABILISER,
    ) -> Tensor:
        """Σ_j (contributions of i to z_j) R_j / z_j, where z is the sum of the ``terms`` (a, W) and the bias."""
        values = [value.detach().requires_grad_(True) for value, _ in terms]
        with torch.enable_grad():
            # The bias is added once.
            biases = [bias, *[None] * (len(terms) - 1)]
            parts = [
                self.apply(value, weight, own) for value, (_, weight), own in zip(values, terms, biases, strict=True)
            ]
            outputs = torch.stack(parts).sum(0)
            ratios = relevance / _away_from_zero(outputs.detach(), epsilon)
            slopes = torch.autograd.grad(outputs, values, ratios)
        return torch.stack([change_along(slope, one.detach()) for slope, one in zip(slopes, values, strict=True)]).sum(
            0
        )


class Rule(Protocol):
    """How a layer divides the relevance of its outputs: a frozen dataclass."""

    def __call__(self, layer: Layer, inputs: Tensor, relevance: Tensor) -> Tensor:
        """Relevance of the inputs, shaped like them."""
        ...


@dataclass(frozen=True)
class Epsilon:
    """The ε-rule.

    Attributes
    ----------
    epsilon : float
        ε ≥ 0 relative to the root mean square of a sample's outputs of the layer; the larger, the fewer the features.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon < float("inf"):
            raise UserError(f"epsilon is {self.epsilon}; give a finite number from 0 on")

    def __call__(self, layer: Layer, inputs: Tensor, relevance: Tensor) -> Tensor:
        """By the shares of all contributions."""
        return layer.shares([(inputs, layer.weight)], layer.bias, relevance, max(self.epsilon, STABILISER))


@dataclass(frozen=True)
class AlphaBeta:
    """The αβ-rule.

    Attributes
    ----------
    alpha : float
        α ≥ 1, weight of what speaks for an output; β = α − 1 is that of what speaks against it.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.alpha < float("inf"):
            raise UserError(f"alpha is {self.alpha}; give a finite number from 1 on")

    def __call__(self, layer: Layer, inputs: Tensor, relevance: Tensor) -> Tensor:
        """By the shares of the positive contributions, less those of the negative ones."""
        (up, down), (for_it, against) = _parts(inputs), _parts_of(layer.weight)
        bias_for, bias_against = _parts_of(layer.bias)
        found = self.alpha * layer.shares([(up, for_it), (down, against)], bias_for, relevance)
        if self.alpha == 1.0:
            return found
        return found - (self.alpha - 1.0) * layer.shares([(up, against), (down, for_it)], bias_against, relevance)


@dataclass(frozen=True)
class Bounded:
    """The z^B-rule, for the first layer: inputs lie between two values.

    Attributes
    ----------
    low, high : float
        Smallest and largest value of the model's inputs.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UserError(f"low is {self.low} and high is {self.high}; give a smaller and a larger number")

    def __call__(self, layer: Layer, inputs: Tensor, relevance: Tensor) -> Tensor:
        """By the shares of the distance from the end that would speak least for an output."""
        assert layer.limits is not None
        low, high = (limit.expand_as(inputs) for limit in layer.limits)
        for_it, against = _parts_of(layer.weight)
        return layer.shares([(inputs, layer.weight), (-low, for_it), (-high, against)], None, relevance)


@dataclass(frozen=True)
class Flat:
    """Relevance in equal parts to all inputs of an output."""

    def __call__(self, layer: Layer, inputs: Tensor, relevance: Tensor) -> Tensor:
        """By the number of inputs."""
        weight = None if layer.weight is None else torch.ones_like(layer.weight)
        return layer.shares([(torch.ones_like(inputs), weight)], None, relevance)


def _parts(values: Tensor) -> tuple[Tensor, Tensor]:
    """Positive and negative part."""
    return values.clamp_min(0.0), values.clamp_max(0.0)


def _parts_of(values: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The same of weights, where there are any."""
    return (None, None) if values is None else _parts(values)


def _away_from_zero(outputs: Tensor, epsilon: float) -> Tensor:
    flat = outputs.flatten(1)
    size = flat.square().mean(1).sqrt() * epsilon + torch.finfo(outputs.dtype).tiny
    signed = torch.where(outputs < 0.0, -1.0, 1.0).to(outputs.dtype)
    return outputs + signed * size.reshape(-1, *[1] * (outputs.ndim - 1))


EPSILON, Z_PLUS = Epsilon(), AlphaBeta()


# --- The method ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lrp:
    """Layer-wise relevance propagation (Bach et al. 2015).

    Attributes
    ----------
    dense, convolution : Rule
        Of linear layers and of convolutions. Means and the synthesis of a domain have the ε-rule with ε → 0.
    first : Rule or None
        Of the layer that sees the input; that of its kind if None. :class:`Bounded` and :class:`Flat` are for it alone.

    Notes
    -----
    The defaults are the usual composite: ε in linear layers, z⁺ in convolutions (Becker et al. 2018 and FreqRISE for
    AudioNet). With ε everywhere and ε → 0 it is input × gradient of networks of these layers (Ancona et al. 2018).
    A module of one's own says by a class attribute ``relevance`` how it hands relevance on: ``"linear"`` if it is
    linear (ε-rule), ``"one to one"`` if every output depends on the input at its place alone.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    >>> inputs, targets = torch.ones(1, 1, 2, 3), torch.tensor([1])
    >>> relevance = Lrp()(model, inputs, targets)
    >>> bool(torch.isclose(relevance.sum(), model(inputs)[0, 1], atol=1e-4))
    True
    """

    dense: Rule = EPSILON
    convolution: Rule = Z_PLUS
    first: Rule | None = None

    def __post_init__(self) -> None:
        for name in ("dense", "convolution"):
            rule = getattr(self, name)
            if isinstance(rule, Bounded | Flat):
                raise UserError(
                    f"{name} has the rule {type(rule).__name__}, which is for the first layer; give Epsilon "
                    "or AlphaBeta"
                )

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Relevance shaped like ``inputs``, in logits; real where they are complex.

        Raises
        ------
        UserError
            If the model holds an operation without a rule.
        """
        with original_passes(model):
            return attribute_in_calls(model, inputs, targets, self._attribute)

    def passes(self, inputs: Tensor) -> int:
        """One per sample, in which every layer is gone through a few times."""
        return len(inputs)

    def _attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        limits = self._limits(model, inputs)
        with _relevance(model, self, limits) as refused:
            scores = target_scores(model, inputs, targets)
        _require_rules(scores, refused)
        relevance = input_gradient(scores * scores.detach(), inputs)
        return relevance.real if relevance.is_complex() else relevance

    def _limits(self, model: nn.Module, inputs: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Smallest and largest inputs of every layer that sees the model's, by the layer's name."""
        seen: dict[str, list[Tensor]] = {}
        if isinstance(self.first, Bounded):
            # One after the other, as models may be that take their inputs one by one.
            for end in (self.first.low, self.first.high):
                with _relevance(model, self, {}, seen):
                    target_scores(
                        model,
                        torch.full_like(inputs[:1], end).requires_grad_(True),
                        torch.zeros(1, dtype=torch.int64, device=inputs.device),
                    )
        for name, met in seen.items():
            if len(met) != 2:
                raise UserError(
                    f"layer {name!r} sees the inputs of the model more than once, so they have no one range; give lrp "
                    "another rule for the first layer (first=None)"
                )
        return {name: (met[0], met[1]) for name, met in seen.items()}


class _Propagation(torch.autograd.Function):
    """Identity on the output; backward turns the relevance of the outputs into that of the inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, output: Tensor, layer: Layer | None) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.layer = layer
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *relevances: Tensor) -> tuple[Tensor, None, None]:
        (inputs,) = ctx.saved_tensors
        if ctx.layer is None:
            return relevances[0], None, None
        return ctx.layer.rule(ctx.layer, inputs, relevances[0]).to(inputs.dtype), None, None


@contextmanager
def _relevance(
    model: nn.Module,
    rules: Lrp,
    limits: Mapping[str, tuple[Tensor, Tensor]],
    seen: dict[str, list[Tensor]] | None = None,
) -> Iterator[dict[Any, str]]:
    """Inside, layers return relevance instead of gradients; yields the names of other modules by their nodes."""
    named: dict[Any, str] = {}

    def called(name: str, module: nn.Module, arguments: tuple[Tensor, ...], output: Any) -> Any:
        if not (arguments and isinstance(output, Tensor)):
            return output
        inputs = arguments[0]
        if _is(module, *BATCH_NORMS):
            _fold(name, module, inputs)
            return _propagated(inputs, output, None)
        if getattr(module, "relevance", "") == "one to one":
            return _propagated(inputs, output, None)
        layer = _layer_of(module, rules)
        if layer is None:
            named[output.grad_fn] = f"{type(module).__name__} {name!r}"
            return output
        if rules.first is not None and layer.weight is not None and not _has_layer(inputs):
            if seen is not None:
                seen.setdefault(name, []).append(inputs.detach())
            layer.rule, layer.limits = rules.first, limits.get(name)
        return _propagated(inputs, output, layer)

    # Programs take no hooks; what they do is found in the graph, and refused.
    own = [(name, one) for name, one in model.named_modules() if not isinstance(one, torch.jit.ScriptModule)]
    hooks = [module.register_forward_hook(partial(called, name)) for name, module in own]
    try:
        yield named
    finally:
        for hook in hooks:
            hook.remove()


def _propagated(inputs: Tensor, output: Tensor, layer: Layer | None) -> Tensor:
    made: Tensor = _Propagation.apply(inputs, output.detach(), layer)  # type: ignore[no-untyped-call]
    return made


def _is(module: Any, *kinds: type[nn.Module]) -> bool:
    """Whether a module calculates as one of the kinds does; subclasses may do something else with their weights."""
    return any(type(module).forward is kind.forward for kind in kinds)


def _layer_of(module: Any, rules: Lrp) -> Layer | None:
    """The layer that a module is; None if it is none with a rule."""
    if _is(module, nn.Linear):
        return Layer(_dense, module.weight, module.bias, rules.dense)
    if _is(module, *CONVOLUTIONS):
        return Layer(partial(_convolved, module), module.weight, module.bias, rules.convolution)
    if _is(module, *MEANS) or getattr(module, "relevance", "") == "linear":
        return Layer(partial(_weightless, module), None, None, Epsilon(0.0))
    return None


def _dense(inputs: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    assert weight is not None
    return functional.linear(inputs, weight, bias)


def _convolved(module: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    # The module's own, which knows stride, groups and every kind of padding.
    outputs: Tensor = module._conv_forward(inputs, weight, bias)
    return outputs


def _weightless(module: nn.Module, inputs: Tensor, weight: None, bias: None) -> Tensor:  # noqa: ARG001 (as the others)
    # The class's own forward, so that hooks are not run again.
    outputs: Tensor = type(module).forward(module, inputs)
    return outputs


def _fold(name: str, norm: Any, inputs: Tensor) -> None:
    """Fold a batch norm into the layer that made its inputs.

    Raises
    ------
    UserError
        If no layer with weights made them.
    """
    layer: Layer | None = getattr(inputs.grad_fn, "layer", None)
    if layer is None or layer.weight is None or layer.has_norm or len(layer.weight) != inputs.shape[1]:
        raise UserError(
            f"LRP folds a batch norm into the convolution or linear layer directly before it but finds none before "
            f"{type(norm).__name__} {name!r}; put the batch norm there, or use another method"
        )
    if norm.running_var is None:
        raise UserError(
            f"LRP needs the running statistics of a batch norm but {type(norm).__name__} {name!r} keeps none; "
            "use another method"
        )
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    offset = -norm.running_mean * scale if norm.bias is None else norm.bias - norm.running_mean * scale
    layer.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias = offset if layer.bias is None else layer.bias * scale + offset
    layer.has_norm = True


def _has_layer(inputs: Tensor) -> bool:
    """Whether a layer with weights is on the way to these inputs, or a synthesis."""
    return any(getattr(node, "layer", None) is not None for node in graph_behind(inputs))


def _require_rules(scores: Tensor, named: dict[Any, str]) -> None:
    """Refuse operations that would not hand relevance on.

    Raises
    ------
    UserError
        Naming the operation and, where it is known, its module.
    """
    users: dict[Any, int] = {}
    for node in graph_behind(scores):
        operation = node.name()
        for parent, _ in node.next_functions:
            users[parent] = users.get(parent, 0) + 1
        if hasattr(node, "layer") or operation.startswith((*HANDED_ON, "torch::autograd::AccumulateGrad")):
            continue
        by = f" of {named[node]}" if node in named else ""
        raise UserError(
            f"LRP has no rule for the operation {operation.removesuffix('0').removesuffix('Backward')}{by}; make the "
            "model of nn.Conv, nn.Linear, nn.BatchNorm, ReLU, max and nn.AvgPool layers, or use another method"
        )
    for node, count in users.items():
        layer = getattr(node, "layer", None)
        if layer is not None and layer.has_norm and count > 1:
            raise UserError(
                "LRP folds a batch norm into the layer before it but something else uses that layer's output as well; "
                "use another method"
            )


# --- By name ---------------------------------------------------------------------------------------------------------


def first_rule(domain: Domain) -> Rule | None:
    """z^B where silence is one end of the domain's range, as of levels and brightness; None where it is the middle."""
    low, high = domain.value_range
    return Bounded(low, high) if domain.silence_value == low else None


@METHODS.register(
    "lrp", label="LRP", family="backpropagation rules", role="peer", domains=DOMAINS, source="Bach et al. 2015"
)
def lrp(domain: Domain) -> Lrp:
    """LRP by the usual composite: ε in linear layers, z⁺ in convolutions, z^B at the input where it has two ends."""
    return Lrp(first=first_rule(domain))


@METHODS.register(
    "lrp_epsilon", label="LRP, ε-rule", family="backpropagation rules", domains=DOMAINS, source="Bach et al. 2015"
)
def lrp_epsilon(epsilon: float = 1e-6) -> Lrp:
    """LRP with the ε-rule in every layer."""
    return Lrp(Epsilon(epsilon), Epsilon(epsilon))


@METHODS.register(
    "lrp_alpha_beta", label="LRP, αβ-rule", family="backpropagation rules", domains=DOMAINS, source="Bach et al. 2015"
)
def lrp_alpha_beta(domain: Domain, alpha: float = 2.0) -> Lrp:
    """LRP with ε in linear layers and the αβ-rule in convolutions, β = α − 1."""
    return Lrp(convolution=AlphaBeta(alpha), first=first_rule(domain))
