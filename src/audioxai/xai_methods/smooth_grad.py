"""SmoothGrad."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.utils.errors import UserError
from audioxai.xai_methods.accumulation import path_sum
from audioxai.xai_methods.calls import prepared, require_finite
from audioxai.xai_methods.explained_scores import Explained, Logit
from audioxai.xai_methods.path_integral import call_size
from audioxai.xai_methods.paths import Apart, Line, shaken
from audioxai.xai_methods.quadrature import Midpoint

LOGIT = Logit()


@dataclass(frozen=True)
class SmoothGrad:
    """Mean gradient of the score at the input with noise added, signed (Smilkov et al. 2017).

    Attributes
    ----------
    spread : float
        Standard deviation of the noise, in the inputs' unit.
    draws : int
        Gradients a sample.
    explained : Explained
        The score that is explained.
    seed : int
        Of the noise, which is every sample's own.
    """

    spread: float
    draws: int = 32
    explained: Explained = LOGIT
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.spread > 0.0 or self.draws < 1:
            raise UserError(f"spread is {self.spread} and draws is {self.draws}; give a positive spread and 1 draw")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits per unit of the input."""
        return prepared(model, inputs, targets, self._mean)

    def passes(self, inputs: Tensor) -> int:
        """``draws`` a sample, and what the score takes beforehand."""
        return len(inputs) * (self.draws + self.explained.passes)

    def _mean(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        size, rows = call_size(inputs), torch.arange(len(inputs), device=inputs.device)
        score = self.explained.score(model, inputs, targets, size)
        ways, one = Line(torch.zeros_like(inputs), torch.ones_like(inputs)), Midpoint(1).partition()
        total = torch.zeros_like(inputs)
        for draw in range(self.draws):
            point = shaken(inputs, self.spread, self.seed, draw)
            total += path_sum(score, Apart(Line(point, point), ways), rows, one, size)
        require_finite(total)
        return total / self.draws
