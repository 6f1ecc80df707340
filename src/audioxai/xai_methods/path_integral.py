"""Attributions by integration along a path: which path, by which rule, of which score."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call
from audioxai.xai_methods.accumulation import Score, end_scores, path_sum
from audioxai.xai_methods.calls import prepared, require_finite
from audioxai.xai_methods.explained_scores import Explained, Logit
from audioxai.xai_methods.paths import Curve, Path
from audioxai.xai_methods.quadrature import Doubling, Midpoint, Rule, Stage

DEFAULT_RULE = Midpoint()
LOGIT = Logit()


@dataclass(frozen=True, eq=False)
class Integral:
    """Attributions together with how complete they are and what they cost.

    Attributes
    ----------
    attributions : Tensor
        ``(batch, 1, …)``, in logits.
    change : Tensor
        Change ΔF of the score from the beginning of the path to its end, ``(batch,)``; the mean over random paths.
    gradients : Tensor
        Gradients that each sample took, ``(batch,)``, int64.
    """

    attributions: Tensor
    change: Tensor
    gradients: Tensor

    @property
    def gap(self) -> Tensor:
        """Completeness gap |ΣA − ΔF| / |ΔF|, ``(batch,)``; 0 where both are nought."""
        missing = (self.attributions.flatten(1).sum(1) - self.change).abs()
        return torch.where(missing == 0, 0.0, missing / self.change.abs())

    def require_finite(self) -> "Integral":
        """Itself.

        Raises
        ------
        UserError
            If an attribution is NaN or infinite.
        """
        require_finite(self.attributions)
        return self


@dataclass(frozen=True)
class PathIntegral:
    """Σ ∇F(γ(node)) ⊙ (γ(right edge) − γ(left edge)), the mean over random paths where there are several.

    Attributes
    ----------
    path : Path
        γ, from what counts as absent to the input.
    rule : Rule or Doubling
        Where gradients are taken.
    explained : Explained
        F.
    draws : int
        How often a random path is drawn.
    """

    path: Path
    rule: Rule | Doubling = DEFAULT_RULE
    explained: Explained = LOGIT
    draws: int = 1

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; a path has to be drawn at least once")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits; they sum to about the change of the score on the path.

        Raises
        ------
        UserError
            As :meth:`attribute`.
        """
        if isinstance(self.rule, Doubling):
            return self.attribute(model, inputs, targets).attributions
        return prepared(model, inputs, targets, self._attributions)

    def passes(self, inputs: Tensor) -> int:
        """Exactly those of a fixed rule; with doubling the most it may take, the two ends of each path included."""
        if isinstance(self.rule, Doubling):
            return len(inputs) * (
                self.explained.passes
                + self.draws * (2 + sum(len(stage.partition) for stage in self._stages(self.rule)))
            )
        return len(inputs) * (self.explained.passes + self.draws * len(self.rule.partition()))

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap and the gradients spent; takes two passes more for each path.

        Parameters
        ----------
        model, inputs, targets
            As everywhere.
        inputs_a_call : int or None
            Inputs that one model call takes, fewer than the batch if need be; what suits the device if not given.
            The result does not depend on it.

        Raises
        ------
        UserError
            If inputs, targets, baseline or model do not fit each other, or the model has no gradient at its input.
        """
        if inputs_a_call is not None and inputs_a_call < 1:
            raise UserError(f"inputs_a_call is {inputs_a_call}; a model call takes at least 1 input")

        def measured(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            size = inputs_a_call or call_size(inputs)
            score = self._score(model, inputs, targets, size)
            return mean_of(self._drawn(score, inputs, draw, size) for draw in range(self.draws)).require_finite()

        return prepared(model, inputs, targets, measured)

    def _stages(self, rule: Doubling) -> Iterable[Stage]:
        return rule.nested() if self.path.is_straight else rule.anew()

    def _score(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int) -> Score:
        return self.explained.score(model, self.path.destination(inputs), targets, size)

    def _attributions(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions by a fixed rule, which has no need of the scores at the ends of the path."""
        assert isinstance(self.rule, Rule)
        size, rows = call_size(inputs), torch.arange(len(inputs), device=inputs.device)
        score = self._score(model, inputs, targets, size)
        partitions = (self.rule.of_draw(draw, self.draws) for draw in range(self.draws))
        maps = (
            path_sum(score, self.path.curve(inputs, draw), rows, partition, size)
            for draw, partition in enumerate(partitions)
        )
        attributions = reduce(torch.add, maps) / self.draws
        require_finite(attributions)
        return attributions

    def _drawn(self, score: Score, inputs: Tensor, draw: int, size: int) -> Integral:
        curve, rows = self.path.curve(inputs, draw), torch.arange(len(inputs), device=inputs.device)
        start, end = end_scores(score, curve, rows, size)
        if isinstance(self.rule, Doubling):
            return refined(self._stages(self.rule), self.rule.tolerance, score, curve, end - start, size)
        partition = self.rule.of_draw(draw, self.draws)
        attributions = path_sum(score, curve, rows, partition, size)
        return Integral(attributions, end - start, torch.full_like(rows, len(partition)))


def refined(
    stages: Iterable[Stage], tolerance: float, score: Score, curve: Curve, change: Tensor, size: int
) -> Integral:
    """Attributions of every sample, refined until their own completeness gap is small enough."""
    rows = torch.arange(len(change), device=change.device)
    gradients = torch.zeros_like(rows)
    attributions: Tensor | None = None
    for stage in stages:
        fresh = path_sum(score, curve, rows, stage.partition, size)
        if attributions is None:
            attributions = fresh
        else:
            attributions[rows] = stage.kept * attributions[rows] + (1.0 - stage.kept) * fresh
        gradients[rows] += len(stage.partition)
        rows = torch.nonzero(Integral(attributions, change, gradients).gap > tolerance)[:, 0]
        if len(rows) == 0:
            break
    assert attributions is not None
    return Integral(attributions, change, gradients)


def mean_of(integrals: Iterable[Integral]) -> Integral:
    """Mean attributions and changes; the gradients add up."""
    total, count = None, 0
    for one in integrals:
        count += 1
        total = one if total is None else _sum(total, one)
    assert total is not None
    return Integral(total.attributions / count, total.change / count, total.gradients)


def _sum(one: Integral, other: Integral) -> Integral:
    return Integral(one.attributions + other.attributions, one.change + other.change, one.gradients + other.gradients)


def call_size(inputs: Tensor) -> int:
    """Inputs a model call."""
    return inputs_per_call(inputs[0].numel(), inputs.device)
