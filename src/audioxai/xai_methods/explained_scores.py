"""Which number of a model is explained: the logit of a class, its lead over another, or its log odds."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.core import target_scores
from audioxai.utils.hardware import slices
from audioxai.xai_methods.accumulation import Score


@runtime_checkable
class Explained(Protocol):
    """A frozen dataclass that makes a score of a model, its inputs and the target classes.

    Attributes
    ----------
    passes : int
        Model passes it takes of each sample beforehand.
    """

    passes: ClassVar[int]

    def score(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> Score:
        """Score of points on the ways to ``inputs``; ``size`` inputs a model call."""
        ...


@dataclass(frozen=True)
class Logit:
    """Logit of the target class."""

    passes: ClassVar[int] = 0

    def score(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> Score:  # noqa: ARG002 (protocol)
        """``logit[target]``."""
        return lambda points, rows: target_scores(model, points, targets[rows])


@dataclass(frozen=True)
class Lead:
    """Logit of the target class minus that of its strongest rival at the unperturbed input: why this and not that."""

    passes: ClassVar[int] = 1

    def score(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> Score:
        """``logit[target] − logit[rival]``, the rival the same on the whole way."""
        parts = slices(len(inputs), size)
        rivals = torch.cat([_strongest_rivals(model, inputs[part], targets[part]) for part in parts])

        def lead(points: Tensor, rows: Tensor) -> Tensor:
            logits = _Given(model(points))
            return target_scores(logits, points, targets[rows]) - target_scores(logits, points, rivals[rows])

        return lead


@dataclass(frozen=True)
class LogOdds:
    """Log odds of the target class, log p/(1 − p): its logit minus the smooth maximum of all others."""

    passes: ClassVar[int] = 0

    def score(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> Score:  # noqa: ARG002 (protocol)
        """``logit[target] − logsumexp(the other logits)``, whichever classes are its rivals on the way."""

        def log_odds(points: Tensor, rows: Tensor) -> Tensor:
            logits: Tensor = model(points)
            classes = targets[rows]
            own = target_scores(_Given(logits), points, classes)
            others = logits.scatter(1, classes[:, None], -torch.inf)
            return own - torch.logsumexp(others, 1)

        return log_odds


class _Given(nn.Module):
    """Logits that are there already, for the checks of :func:`audioxai.core.target_scores`."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: Tensor) -> Tensor:
        return self.logits


def _strongest_rivals(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Class with the largest logit but for the target's, ``(batch,)``."""
    with torch.no_grad():
        logits: Tensor = model(inputs)
        target_scores(_Given(logits), inputs, targets)
    return logits.scatter(1, targets[:, None], -torch.inf).argmax(1)
