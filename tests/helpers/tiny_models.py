"""Models of a few parameters, in float64, whose answers can be worked out by hand or by slow loops."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.testing.methods import drawn, state_of
from audioxai.testing.methods import untouched as nothing_touched

__all__ = ["nothing_touched", "state_of"]

Model = TypeVar("Model", bound=nn.Module)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers that leave the global random state alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def seeded(model: Model, seed: int = 0, dtype: torch.dtype = torch.float64) -> Model:
    """The model in evaluation mode, every parameter and running statistic drawn from ``seed``."""
    drawn(model.to(dtype).eval(), seed)
    return model


def gradient_at(point: Tensor) -> Tensor:
    """The gradient that a backward pass left."""
    assert point.grad is not None
    return point.grad


def layers_of(model: nn.Module) -> Any:
    """The model without its type, for tests that look into its layers."""
    return model


class Linear(nn.Module):
    """Logit of class c = Σ weights[c] ⊙ x + bias[c]."""

    def __init__(self, classes: int, *shape: int, seed: int = 0) -> None:
        super().__init__()
        self.weights = nn.Parameter(draw(classes, *shape, seed=seed))
        self.bias = nn.Parameter(draw(classes, seed=seed + 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1) @ self.weights.flatten(1).T + self.bias


class Function(nn.Module):
    """A model given as a function of its inputs, without parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def tiny_cnn(classes: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Images of any size from 4 × 4 on: batch norm, dropout, pooling and ReLU modules included."""
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, classes),
    )
    return seeded(layers, seed, dtype)


def tiny_waveform_cnn(classes: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Waveforms of any length from 8 samples on."""
    layers = nn.Sequential(
        nn.Conv1d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, classes),
    )
    return seeded(layers, seed, dtype)


class FunctionalRelu(nn.Module):
    """One ReLU module and one ReLU called as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 3, 3, padding=1)
        self.relu = nn.ReLU()
        self.linear = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.convolution(inputs))
        return self.linear(functional.relu(hidden - 0.1).mean((2, 3)))


class ReusedRelu(nn.Module):
    """The same ReLU module called after each of two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.shared = nn.ReLU()
        self.head = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.shared(self.second(self.shared(self.first(inputs)))).mean((2, 3)))


class Counter:
    """A number that stays the same object when the model that holds it is copied."""

    def __init__(self) -> None:
        self.count = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Counter":
        return self


class Counting(nn.Module):
    """Counts the inputs that reach the model, inside of whatever hooks are put around it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.counter = Counter()
        self.train(inner.training)

    def forward(self, inputs: Tensor) -> Tensor:
        self.counter.count += len(inputs)
        return self.inner(inputs)


def _leave_alone(*_: object) -> None:
    """A hook that does nothing."""


def with_hooks_and_marks(model: Model) -> Model:
    """The model as somebody else uses it: hooks of their own, one layer frozen, one in another mode, an attribute."""
    layers = [module for module in model.modules() if not isinstance(module, nn.ReLU)]
    layers[1].register_forward_hook(_leave_alone)
    layers[1].register_forward_pre_hook(_leave_alone)
    model.train()
    layers[-1].eval()
    next(model.parameters()).requires_grad_(False)
    vars(layers[1])["note"] = "mine"
    return model
