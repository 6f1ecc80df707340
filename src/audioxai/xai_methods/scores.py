"""Which output of a model is explained: the target's logit, its margin over another class, or its log odds.

Where labels do not exclude each other, the rival of a label is its absence, whose logit is 0: its probability is
σ(z) = e^z / (e^z + e^0). So the margin and the log odds of a label are its logit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.core import activation_of, checked_logits, output_of, target_scores, with_rival
from audioxai.utils.hardware import slices

ScoreFunction = Callable[[Tensor, Tensor], Tensor]
"""``score(points (pairs, 1, …), rows (pairs,)) → (pairs,)``: scores of points on the paths of the samples ``rows``."""


@runtime_checkable
class TargetScore(Protocol):
    """A frozen dataclass that makes a score of a model, its inputs and the target classes.

    Attributes
    ----------
    passes : int
        Model passes per sample that it takes beforehand.
    """

    passes: ClassVar[int]

    def of(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> ScoreFunction:
        """Score of points on the paths to ``inputs``; a model call takes at most ``size`` inputs."""
        ...


@dataclass(frozen=True)
class Logit:
    """Logit of the target class."""

    passes: ClassVar[int] = 0

    def of(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> ScoreFunction:  # noqa: ARG002 (protocol)
        """``logit[target]``."""
        return lambda points, rows: target_scores(model, points, targets[rows])


@dataclass(frozen=True)
class Margin:
    """Logit of the target class minus the largest other logit at the unperturbed input: a contrastive explanation.

    Of a label that excludes no other it is the logit, the margin over its absence.
    """

    passes: ClassVar[int] = 1

    def of(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> ScoreFunction:
        """``logit[target] − logit[runner-up]``, with the same runner-up along the whole path."""
        if activation_of(model) == "sigmoid":
            return LOGIT.of(model, inputs, targets, size)
        parts = slices(len(inputs), size)
        runners_up = torch.cat([_runner_up(model, inputs[part], targets[part]) for part in parts])

        def margin(points: Tensor, rows: Tensor) -> Tensor:
            target, other = targets[rows], runners_up[rows]
            logits = with_rival(checked_logits(output_of(model, points), points, target))
            return _chosen(logits, target) - _chosen(logits, other)

        return margin


@dataclass(frozen=True)
class LogOdds:
    """Log odds of the target class, log p/(1 − p): its logit minus the log-sum-exp of all others.

    Of a label that excludes no other it is the logit.
    """

    passes: ClassVar[int] = 0

    def of(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> ScoreFunction:
        """``logit[target] − logsumexp(other logits)``."""
        if activation_of(model) == "sigmoid":
            return LOGIT.of(model, inputs, targets, size)

        def log_odds(points: Tensor, rows: Tensor) -> Tensor:
            target = targets[rows]
            logits = with_rival(checked_logits(output_of(model, points), points, target))
            return _chosen(logits, target) - torch.logsumexp(_without(logits, target), 1)

        return log_odds


LOGIT = Logit()


def _chosen(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]


def _without(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.scatter(1, classes[:, None], -torch.inf)


def _runner_up(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Class with the largest logit except the target, ``(batch,)``."""
    with torch.no_grad():
        logits = with_rival(checked_logits(output_of(model, inputs), inputs, targets))
        return _without(logits, targets).argmax(1)
