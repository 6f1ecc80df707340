"""Explainers made of others: their mean, and their maps smoothed."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from audio_xai.baselines import blurred
from audio_xai.core import Explainer
from audio_xai.utils.errors import UserError
from audio_xai.xai_methods.path_integral import Integral, mean_of


@runtime_checkable
class Integrating(Explainer, Protocol):
    """An explainer that can say how complete its attributions are and what they cost."""

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap; a model call takes ``inputs_a_call`` inputs."""
        ...


@dataclass(frozen=True)
class MeanOf:
    """Mean of the attributions of several integrals, complete to the mean of their changes.

    Attributes
    ----------
    parts : tuple of Integrating
        Such as a fade-in from silence and lines from references: two meanings of "absent" at once.
    """

    parts: tuple[Integrating, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError("a mean of no explainers was asked for; give at least one")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        total = self.parts[0](model, inputs, targets)
        for part in self.parts[1:]:
            total = total + part(model, inputs, targets)
        return total / len(self.parts)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap to the mean change, and all gradients spent."""
        return mean_of(part.attribute(model, inputs, targets, inputs_a_call) for part in self.parts)

    def passes(self, inputs: Tensor) -> int:
        """Those of all parts."""
        return sum(part.passes(inputs) for part in self.parts)


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
