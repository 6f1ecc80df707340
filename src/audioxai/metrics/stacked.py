"""Models of one architecture as one model, so that what explains it explains all of them in one call.

Idea
----
Where a pass lasts no longer than its launch, nine randomised models one after the other take nine times as long as one.
Here their parameters are stacked, each channel of the inputs goes to a model of its own, and their logits are added up:
the gradient of the sum by a channel is the gradient of that channel's model alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from audioxai.core import Explainer, activation_of, logits_in
from audioxai.metrics.engine import ExplainerRoute

# Where models are stacked. On two cores a call for nine models takes longer than nine calls (docs/speed.md): a batch
# fills them anyway, and grouped convolutions, which stacked ones become, are slower there.
DEVICES = frozenset({"cuda"})
# Parameters of all models together that are stacked at most.
LARGEST_BYTES = 2**28
# Samples that are explained one model after the other, too, the first time; and by how many units in the last place of
# its largest number a map may differ.
COMPARED = 2
ROUNDING = 1024

# Whether stacking was right, by the model that is copied, then by the explainer and the inputs' shape.
_RIGHT: "WeakKeyDictionary[nn.Module, dict[object, bool]]" = WeakKeyDictionary()


class Stacked(nn.Module):
    """Models as one of inputs ``(batch, models · channels, …)``, which returns the sum of their logits.

    Parameters
    ----------
    model : nn.Module
        One of the models; the others differ in their parameters and buffers alone.
    states : sequence of dict
        Parameters and buffers of each model by name.
    """

    def __init__(self, model: nn.Module, states: list[dict[str, Tensor]]) -> None:
        super().__init__()
        self.model = model
        self.activation = activation_of(model)
        self.count = len(states)
        self.states = {name: torch.stack([state[name] for state in states]) for name in states[0]}

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""

        def logits(state: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return logits_in(functional_call(self.model, state, (inputs,)))

        total: Tensor = vmap(logits)(self.states, self.by_model(inputs).movedim(1, 0)).sum(0)
        return total

    def copies(self, inputs: Tensor) -> Tensor:
        """Inputs ``(batch, channels, …)`` for every model, ``(batch, models · channels, …)``."""
        return inputs.repeat(1, self.count, *[1] * (inputs.ndim - 2))

    def by_model(self, maps: Tensor) -> Tensor:
        """Maps of such inputs by model, ``(batch, models, channels, …)``."""
        return maps.reshape(len(maps), self.count, -1, *maps.shape[2:])


@dataclass(frozen=True, eq=False)
class StackedRoute(ExplainerRoute):
    """Through an explainer of stacked models."""

    model: Stacked

    def passes(self, inputs: Tensor) -> int:
        """The explainer's, for each model."""
        return self.model.count * self.explainer.passes(inputs)


def stacked(
    models: Iterable[nn.Module], of: nn.Module, explainer: Explainer, inputs: Tensor, targets: Tensor
) -> Stacked | None:
    """Models stacked; None where they are not to be.

    Parameters
    ----------
    models : iterable of nn.Module
        May be the same one again and again, with other parameters each time.
    of : nn.Module
        The model of which they are copies.
    explainer : Explainer
        The method that is to explain them; without a true ``of_input_gradients`` they are not stacked.
    inputs, targets : Tensor
        What is to be explained. The first time for a model and a method, a few of them are explained one model after
        the other, too: where the maps differ by more than rounding, models are not stacked from then on.
    """
    size = sum(value.numel() * value.element_size() for value in _state(of).values())
    known = _RIGHT.setdefault(of, {})
    key = (type(explainer), inputs.shape[1:], inputs.dtype, inputs.device)
    if (
        inputs.device.type not in DEVICES
        or not getattr(explainer, "of_input_gradients", False)
        or not known.get(key, True)
    ):
        return None
    few, their_targets, states, alone = inputs[:COMPARED], targets[:COMPARED], [], []
    model = of
    for model in models:
        states.append({name: value.detach().clone() for name, value in _state(model).items()})
        if len(states) * size > LARGEST_BYTES:
            return None
        if key not in known:
            alone.append(explainer(model, few, their_targets))
    try:
        together = Stacked(model, states)
        if key not in known:
            maps = together.by_model(explainer(together, together.copies(few), their_targets))
            known[key] = _same(maps, torch.stack(alone, 1))
    except Exception:  # noqa: BLE001 (whatever an operation raises that cannot be batched; one by one says what is wrong)
        known[key] = False
    return together if known[key] else None


def _state(model: nn.Module) -> dict[str, Tensor]:
    return dict(chain(model.named_parameters(), model.named_buffers()))


def _same(maps: Tensor, others: Tensor) -> bool:
    """Whether maps ``(batch, models, …)`` differ by no more than rounding."""
    largest = others.abs().flatten(2).amax(2)
    rounding = ROUNDING * torch.finfo(others.dtype).eps * largest
    return bool(((maps - others).abs().flatten(2).amax(2) <= rounding).all())
