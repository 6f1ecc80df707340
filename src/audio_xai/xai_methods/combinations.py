"""Explainers made of others: their mean, and their maps smoothed."""

from dataclasses import dataclass
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audio_xai.baselines import blurred
from audio_xai.core import Explainer
from audio_xai.utils.errors import UserError
from audio_xai.xai_methods.path_integral import Integral


@runtime_checkable
class Integrating(Explainer, Protocol):
    """An explainer that can say how complete its attributions are and what they cost."""

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap; a model call takes ``inputs_a_call`` inputs."""
        ...


@dataclass(frozen=True)
class WeightedMean:
    """Weighted mean of the attributions of several integrals, complete to that mean of their changes.

    Attributes
    ----------
    parts : tuple of Integrating
        Such as a fade-in from silence and lines from references: two meanings of "absent" at once.
    weights : tuple of float
        One for each part, positive and together 1.
    """

    parts: tuple[Integrating, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.weights) or min(self.weights, default=0.0) <= 0.0:
            raise UserError(f"weights are {self.weights} for {len(self.parts)} parts; give a positive one for each")
        if abs(sum(self.weights) - 1.0) > 1e-9:
            raise UserError(f"weights are {self.weights}, together {sum(self.weights):g}; they have to add up to 1")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        return self._mean([part(model, inputs, targets) for part in self.parts])

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap to the mean change, and all gradients spent."""
        integrals = [part.attribute(model, inputs, targets, inputs_a_call) for part in self.parts]
        return Integral(
            self._mean([one.attributions for one in integrals]),
            self._mean([one.change for one in integrals]),
            torch.stack([one.gradients for one in integrals]).sum(0),
        )

    def passes(self, inputs: Tensor) -> int:
        """Those of all parts."""
        return sum(part.passes(inputs) for part in self.parts)

    def _mean(self, values: list[Tensor]) -> Tensor:
        return reduce(torch.add, (weight * value for weight, value in zip(self.weights, values, strict=True)))


@dataclass(frozen=True)
class Smoothed:
    """Attributions spread over neighbouring cells by a Gaussian, which keeps their sum and so their completeness.

    Attributes
    ----------
    of : Integrating
        Whose attributions.
    sigma_cells : float
        Standard deviation along every axis, in cells.
    """

    of: Integrating
    sigma_cells: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Smoothed attributions shaped like ``inputs``."""
        return self._spread(self.of(model, inputs, targets))

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Smoothed attributions; change and gradients are those of the others."""
        integral = self.of.attribute(model, inputs, targets, inputs_a_call)
        return Integral(self._spread(integral.attributions), integral.change, integral.gradients)

    def passes(self, inputs: Tensor) -> int:
        """Those of the others."""
        return self.of.passes(inputs)

    def _spread(self, attributions: Tensor) -> Tensor:
        return blurred(attributions, attributions.new_full((len(attributions),), self.sigma_cells))
