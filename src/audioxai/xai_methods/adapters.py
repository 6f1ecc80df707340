"""Explainers from elsewhere: any attribution class of Captum, and any function of a model, inputs and targets."""

import inspect
import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Table
from audioxai.core import Targets, target_scores
from audioxai.fused import original_passes
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.seeding import content_keys, derived_seed
from audioxai.xai_methods.calls import LogitsOf, prepared, require_finite

AttributionFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Adapter(ABC):
    """Base of adapters: checked inputs, a model left as it was, random numbers by seed and sample.

    Subclasses are frozen dataclasses with the fields of this class; what is adapted is no field, so that a stated name
    and revision are its configuration.

    Attributes
    ----------
    name : str
        Names the method in results.
    revision : int
        Raise it whenever the attributions change, so that stored results of an earlier revision are not used.
    seed : int
        Of random numbers from PyTorch, NumPy and Python inside the method.
    passes_per_sample : int or None
        Model passes per sample; counted on a linear model of two classes if None.
    batched : bool
        Whether a call may hold several samples. By default each sample is explained alone, so that what is drawn at
        random, or averaged over a batch, cannot depend on the other samples.
    """

    name: str
    revision: int
    seed: int
    passes_per_sample: int | None
    batched: bool

    @abstractmethod
    def attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions of inputs that require gradients, by the adapted method."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs`` ``(batch, 1, …)`` for ``targets`` ``(batch,)``.

        Raises
        ------
        UserError
            If inputs, targets or the model's output do not fit each other, or the method returns attributions of
            another shape or that are not finite.
        """

        def compute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            with torch.no_grad():
                twice = inputs[:1].expand(2, *inputs.shape[1:])
                target_scores(model, twice, torch.stack([targets.min(), targets.max()]))
            size = inputs_per_call(inputs[0].numel(), inputs.device) if self.batched else 1
            parts = [self._attributed(model, inputs[rows], targets[rows]) for rows in slices(len(inputs), size)]
            attributions = torch.cat(parts)
            require_finite(attributions)
            return attributions

        with original_passes(model):
            return prepared(model, inputs, targets, compute)

    def passes(self, inputs: Tensor) -> int:
        """``passes_per_sample`` times samples.

        Raises
        ------
        UserError
            If they are not stated and cannot be counted, because the method needs more than a linear model.
        """
        if self.passes_per_sample is not None:
            return len(inputs) * self.passes_per_sample
        counted: dict[tuple[int, ...], int] = vars(self)["counted"]
        shape = tuple(inputs.shape[1:])
        if shape not in counted:
            counted[shape] = self._count(inputs)
        return len(inputs) * counted[shape]

    def _attributed(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        own = inputs.detach().clone().requires_grad_(True)
        with seeded(derived_seed("adapter", self.seed, content_keys(inputs)), inputs.device):
            attributions = self.attribute(model, own, targets.clone())
        if not isinstance(attributions, Tensor):
            raise UserError(f"{self.name} returned {type(attributions).__name__}; it has to return one tensor")
        if attributions.shape != inputs.shape:
            raise UserError(
                f"{self.name} returned attributions of shape {tuple(attributions.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}; it has to return one number per feature"
            )
        return attributions.detach().to(inputs.dtype, copy=True)

    def _count(self, inputs: Tensor) -> int:
        try:
            with seeded(self.seed, inputs.device), torch.inference_mode(mode=False), torch.enable_grad():
                sample = torch.zeros_like(inputs[:1]).requires_grad_(True)
                model = _CountingLinear(sample)
                self.attribute(model, sample, torch.zeros(1, dtype=torch.int64, device=inputs.device))
        except Exception as error:
            raise UserError(
                f"the passes of {self.name} cannot be counted on a linear model ({error}); state passes_per_sample"
            ) from error
        return model.count

    def _require_stated(self) -> None:
        vars(self)["counted"] = {}
        if not isinstance(self.name, str) or not self.name or self.revision < 1:
            raise UserError(
                f"the adapted method has the name {self.name!r} and revision {self.revision}; state a name and a "
                "revision of at least 1, by which its results are known"
            )
        if self.passes_per_sample is not None and self.passes_per_sample < 0:
            raise UserError(f"passes_per_sample is {self.passes_per_sample}; it has to be at least 0, or None to count")


@dataclass(frozen=True)
class FromFunction(Adapter):
    """A function ``(model, inputs, targets) → attributions`` as an explainer.

    Attributes
    ----------
    name, revision, seed, passes_per_sample, batched
        As of :class:`Adapter`.

    Examples
    --------
    >>> import torch
    >>> def gradient_squared(model, inputs, targets):
    ...     scores = model(inputs).gather(1, targets[:, None])
    ...     return torch.autograd.grad(scores.sum(), inputs)[0] ** 2
    >>> explainer = FromFunction(gradient_squared, name="gradient_squared", revision=1)
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    >>> inputs = torch.ones(1, 1, 2, 3)
    >>> explainer(model, inputs, torch.tensor([1])).shape, explainer.passes(inputs)
    (torch.Size([1, 1, 2, 3]), 1)
    """

    function: InitVar[AttributionFunction]
    name: str = field(default="", kw_only=True)
    revision: int = field(default=0, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    passes_per_sample: int | None = field(default=None, kw_only=True)
    batched: bool = field(default=False, kw_only=True)

    def __post_init__(self, function: AttributionFunction) -> None:
        self._require_stated()
        vars(self)["adapted"] = function

    def attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """What the function returns."""
        return cast(AttributionFunction, vars(self)["adapted"])(model, inputs, targets)


@dataclass(frozen=True, init=False)
class FromCaptum(Adapter):
    """An attribution class of Captum as an explainer.

    Parameters
    ----------
    attribution_class : type
        Such as ``captum.attr.GradientShap``, ``FeatureAblation`` or ``KernelShap``.
    name, revision, seed, passes_per_sample, batched
        As of :class:`Adapter`.
    **options
        Parameters of the class's constructor and of its ``attribute``. A :class:`Baseline` is replaced by its values
        for the inputs, and a ``layer`` may be a submodule's name. Tensors are known by shape and content.

    Raises
    ------
    UserError
        If name or revision are missing, the class does not take a model, or an option is a parameter of neither.

    Examples
    --------
    >>> import torch
    >>> from captum.attr import FeatureAblation
    >>> from audioxai.baselines import Constant
    >>> explainer = FromCaptum(FeatureAblation, name="feature_ablation", revision=1, baselines=Constant(0.0))
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    >>> inputs = torch.ones(1, 1, 2, 3)
    >>> explainer(model, inputs, torch.tensor([1])).shape, explainer.passes(inputs)
    (torch.Size([1, 1, 2, 3]), 7)
    """

    name: str
    revision: int
    options: tuple[tuple[str, Any], ...]
    seed: int
    passes_per_sample: int | None
    batched: bool

    def __init__(
        self,
        attribution_class: type[Any],
        *,
        name: str = "",
        revision: int = 0,
        seed: int = 0,
        passes_per_sample: int | None = None,
        batched: bool = False,
        **options: Any,
    ) -> None:
        stated = {"name": name, "revision": revision, "seed": seed}
        how = {"passes_per_sample": passes_per_sample, "batched": batched}
        known = {key: Table.of(value) if isinstance(value, Tensor) else value for key, value in sorted(options.items())}
        vars(self).update(stated | how | {"options": tuple(known.items()), "adapted": attribution_class})
        self._require_stated()
        first = next(iter(inspect.signature(attribution_class).parameters), None)
        if first not in ("forward_func", "model"):
            raise UserError(f"{attribution_class.__name__} does not take a model by itself; give one that does")
        taken = _parameters(attribution_class.__init__) | _parameters(attribution_class.attribute)
        for option in known:
            if option not in taken:
                raise UserError(
                    f"{attribution_class.__name__} has no option {option!r}; it has {', '.join(sorted(taken))}"
                )

    def attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """What the class's ``attribute`` returns."""
        made = cast(type[Any], vars(self)["adapted"])
        options = {name: _value(value, model, inputs) for name, value in self.options}
        constructor = {name: options.pop(name) for name in list(options) if name in _parameters(made.__init__)}
        with warnings.catch_warnings():
            # Captum announces that it hooks modules and how it treats gradients; both are restored afterwards.
            warnings.filterwarnings("ignore", category=UserWarning)
            attributions: Tensor = made(LogitsOf(model), **constructor).attribute(inputs, target=targets, **options)
        return attributions


class _CountingLinear(nn.Module):
    """Two classes, both the sum of the inputs; counts the inputs that it gets."""

    def __init__(self, sample: Tensor) -> None:
        super().__init__()
        self.count = 0
        self.linear = nn.Linear(sample[0].numel(), 2, dtype=sample.real.dtype, device=sample.device)
        self.eval().requires_grad_(False)
        nn.init.ones_(self.linear.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        self.count += len(inputs)
        logits: Tensor = self.linear(inputs.real.flatten(1) if inputs.is_complex() else inputs.flatten(1))
        return logits


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Context in which PyTorch, NumPy and Python draw by ``seed``; their states are restored afterwards."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (Captum draws there)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 (Captum draws there)
            random.seed(seed)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 (Captum draws there)


def _parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "forward_func", "model", "inputs", "target"}


def _value(value: Any, model: nn.Module, inputs: Tensor) -> Any:
    if isinstance(value, Table):
        return value.values.to(inputs.device)
    if isinstance(value, str) and value in dict(model.named_modules()):
        return model.get_submodule(value)
    return value(inputs.detach()) if isinstance(value, Baseline) else value
