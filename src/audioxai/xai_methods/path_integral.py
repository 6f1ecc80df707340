"""Attributions by integrating gradients along a path: which path, by which rule, of which score.

Points of several samples and positions are stacked into model calls of the size that suits the device, and their maps
are added up at once, so that memory depends on the size of a call and of the batch, not on the number of steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.core import Explainer, Targets
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.xai_methods.calls import input_gradient, prepared, require_finite
from audioxai.xai_methods.paths import Curve, Path
from audioxai.xai_methods.quadrature import Doubling, Midpoint, Partition, Rule, Stage
from audioxai.xai_methods.scores import LOGIT, ScoreFunction, TargetScore

MIDPOINT = Midpoint()

StepMap = Callable[[Tensor, Tensor], Tensor]
"""``map(gradients (pairs, 1, …), steps (pairs, 1, …)) → (pairs, maps, …)``: attributions of every step."""


@dataclass(frozen=True, eq=False)
class Integral:
    """Attributions with the change that they should add up to, and their cost.

    Attributes
    ----------
    attributions : Tensor
        ``(batch, 1, …)``, in units of the score.
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
        """Completeness gap |ΣA − ΔF| / |ΔF|, ``(batch,)``; 0 where both are 0."""
        missing = (self.attributions.flatten(1).sum(1) - self.change).abs()
        return torch.where(missing == 0, 0.0, missing / self.change.abs())


@runtime_checkable
class Integrating(Explainer, Protocol):
    """An explainer that can say how complete its attributions are and what they cost."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions, as of :class:`Explainer`."""
        ...

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Targets, internal_batch_size: int | None = None
    ) -> Integral:
        """Attributions, the change that they should add up to, and the gradients spent."""
        ...


class IntegralMethod(ABC):
    """Base of the explainers that know what their attributions should add up to; subclasses are frozen dataclasses."""

    @abstractmethod
    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        """Integral of prepared inputs, ``size`` per model call; ``change`` may be NaN without ``with_change``."""

    @abstractmethod
    def passes(self, inputs: Tensor) -> int:
        """Model passes of one call with these ``inputs``."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions of ``inputs`` ``(batch, 1, …)`` for ``targets`` ``(batch,)``, in units of the score.

        Raises
        ------
        UserError
            If inputs, targets, baseline or model do not fit each other, or the model has no gradient at its input.
        """
        return self._integral(model, inputs, targets, None, with_change=False).attributions

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Targets, internal_batch_size: int | None = None
    ) -> Integral:
        """Attributions, the change that they should add up to, and the gradients spent.

        Takes the passes of a call and two more per path, for the scores at its ends.

        Parameters
        ----------
        model, inputs, targets
            As everywhere.
        internal_batch_size : int or None
            Inputs per model call, which may be fewer than the batch; what suits the device if None. The result does
            not depend on it.

        Raises
        ------
        UserError
            As a call does.
        """
        if internal_batch_size is not None and internal_batch_size < 1:
            raise UserError(f"internal_batch_size is {internal_batch_size}; a model call takes at least 1 input")
        return self._integral(model, inputs, targets, internal_batch_size, with_change=True)

    def _integral(
        self, model: nn.Module, inputs: Tensor, targets: Targets, size: int | None, *, with_change: bool
    ) -> Integral:
        def compute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            integral = self.integrate(model, inputs, targets, size or call_size(inputs, model), with_change=with_change)
            require_finite(integral.attributions)
            return integral

        return prepared(model, inputs, targets, compute)


@dataclass(frozen=True)
class PathIntegral(IntegralMethod):
    """Σ ∇F(γ(node)) ⊙ (γ(right edge) − γ(left edge)), the mean over random paths where there are several.

    Attributes
    ----------
    path : Path
        γ, from the baseline to the input.
    rule : Rule or Doubling
        Where gradients are taken.
    score : TargetScore
        F.
    draws : int
        How often a random path is drawn.

    Examples
    --------
    >>> import torch
    >>> from audioxai.baselines import Constant
    >>> from audioxai.xai_methods.paths import Straight
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2), torch.nn.Softplus())
    >>> integral = PathIntegral(Straight(Constant(0.0)), Midpoint(64)).attribute(
    ...     model, torch.ones(1, 1, 2, 3), torch.tensor([1])
    ... )
    >>> bool(integral.gap < 0.01), integral.gradients.tolist()
    (True, [64])
    """

    path: Path
    rule: Rule | Doubling = MIDPOINT
    score: TargetScore = LOGIT
    draws: int = 1

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; a path has to be drawn at least once")

    def passes(self, inputs: Tensor) -> int:
        """Exactly those of a fixed rule; with doubling the most it may take, both ends of each path included."""
        if isinstance(self.rule, Doubling):
            per_draw = 2 + sum(len(stage.partition) for stage in self._stages(self.rule))
        else:
            per_draw = len(self.rule.partition())
        return len(inputs) * (self.score.passes + self.draws * per_draw)

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        """Mean over the draws."""
        score = self.score.of(model, inputs, targets, size)
        return mean_of(self._draw(score, inputs, draw, size, with_change) for draw in range(self.draws))

    def _stages(self, rule: Doubling) -> Iterable[Stage]:
        return rule.nested() if self.path.is_straight else rule.anew()

    def _draw(self, score: ScoreFunction, inputs: Tensor, draw: int, size: int, with_change: bool) -> Integral:
        curve, rows = self.path.curve(inputs, draw), torch.arange(len(inputs), device=inputs.device)
        if isinstance(self.rule, Doubling):
            change = change_of(score, curve, rows, size)
            return refined(self._stages(self.rule), self.rule.tolerance, score, curve, change, size)
        change = change_of(score, curve, rows, size) if with_change else unknown_change(rows)
        partition = self.rule.of_draw(draw, self.draws)
        attributions = path_sum(score, curve, rows, partition, size)
        return Integral(attributions, change, torch.full_like(rows, len(partition)))


def refined(
    stages: Iterable[Stage], tolerance: float, score: ScoreFunction, curve: Curve, change: Tensor, size: int
) -> Integral:
    """Attributions of every sample, refined until its own completeness gap is at most ``tolerance``."""
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


def call_size(inputs: Tensor, model: nn.Module | None = None) -> int:
    """Inputs per model call that suit the device; a model says by ``features_per_input`` if they become larger."""
    return inputs_per_call(getattr(model, "features_per_input", inputs[0].numel()), inputs.device)


# --- Gradients along a curve -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Gradients:
    """Scores and gradients of one model call.

    Attributes
    ----------
    places : Tensor
        Position among the explained ``rows`` that each pair belongs to, ``(pairs,)``, ascending.
    nodes : Tensor
        Index of its node, ``(pairs,)``.
    scores, gradients : Tensor
        ``(pairs,)`` and ``(pairs, 1, …)``.
    """

    places: Tensor
    nodes: Tensor
    scores: Tensor
    gradients: Tensor


def gradients_along(score: ScoreFunction, curve: Curve, rows: Tensor, nodes: Tensor, size: int) -> Iterator[Gradients]:
    """Scores and gradients at all ``nodes`` of the samples ``rows``, sample by sample, ``size`` inputs per model call.

    Raises
    ------
    UserError
        If the score is not differentiable at the points.
    """
    for part in slices(len(rows) * len(nodes), size):
        pairs = torch.arange(part.start, part.stop, device=rows.device)
        places, steps = pairs // len(nodes), pairs % len(nodes)
        points = curve.at(rows[places], nodes[steps]).detach().requires_grad_(True)
        scores = score(points, rows[places])
        yield Gradients(places, steps, scores.detach(), input_gradient(scores, points))


def path_sum(
    score: ScoreFunction,
    curve: Curve,
    rows: Tensor,
    partition: Partition,
    size: int,
    *,
    step_map: StepMap | None = None,
    steps_of: Curve | None = None,
) -> Tensor:
    """Σ ∇F(γ(node)) ⊙ (γ(right edge) − γ(left edge)) of the samples ``rows``, ``(len(rows), maps, …)``, real.

    Parameters
    ----------
    score, curve, rows, partition, size
        F, γ, the samples, where gradients are taken, and inputs per model call.
    step_map : callable or None
        Attributions of a step from its gradient, :func:`change_along` if None.
    steps_of : Curve or None
        Curve that steps are taken from, γ if None; with ∫ da = 1 in every feature the result is a mean gradient.
    """
    attributed, weights = step_map or change_along, steps_of or curve
    edges, nodes = partition.edges.to(rows.device), partition.nodes.to(rows.device)
    total: Tensor | None = None
    for seen in gradients_along(score, curve, rows, nodes, size):
        steps = weights.step(rows[seen.places], edges[seen.nodes], edges[seen.nodes + 1])
        maps = attributed(seen.gradients, steps)
        if total is None:
            total = maps.new_zeros(len(rows), *maps.shape[1:])
        add_by_sample(total, seen.places, maps)
    assert total is not None
    return total


def change_along(gradients: Tensor, steps: Tensor) -> Tensor:
    """First-order change of the score per feature, gradient ⊙ step; Re(conj(gradient) · step) where complex."""
    return (gradients.conj() * steps).real if gradients.is_complex() else gradients * steps


def shared_by_squares(gradients: Tensor, steps: Tensor) -> Tensor:
    """The first-order change of every step, divided among features by the squared gradient (Yang et al. 2023).

    ``gradients`` and ``steps`` are real, ``(pairs, 1, …)``; a step without any gradient changes nothing.
    """
    squares = gradients.square()
    sums, changes = (values.flatten(1).sum(1) for values in (squares, change_along(gradients, steps)))
    rates = torch.where(sums > 0.0, changes / sums.where(sums > 0.0, 1.0), 0.0)
    return squares * rates.reshape(-1, *[1] * (gradients.ndim - 1))


def add_by_sample(total: Tensor, places: Tensor, maps: Tensor) -> None:
    """Add each pair's map ``(pairs, …)`` to its sample's, in place; ``places`` ascend, and there may be none."""
    # Sums of consecutive runs instead of index_add, whose order of addition changes from run to run on a GPU.
    if len(places) == 0:
        return
    met, counts = torch.unique_consecutive(places, return_counts=True)
    total[met] += _padded_runs(maps, counts).sum(1)


def _padded_runs(maps: Tensor, counts: Tensor) -> Tensor:
    """Consecutive runs of ``counts`` maps, ``(runs, longest, …)``, with zeros after short ones."""
    longest = int(counts.max())
    if len(counts) * longest == len(maps):
        return maps.reshape(len(counts), longest, *maps.shape[1:])
    filled = torch.arange(longest, device=counts.device) < counts[:, None]
    padded = maps.new_zeros(len(counts), longest, *maps.shape[1:])
    padded[filled] = maps
    return padded


def change_of(score: ScoreFunction, curve: Curve, rows: Tensor, size: int) -> Tensor:
    """Score at the end of every curve minus that at its beginning, ``(len(rows),)``, without gradients."""
    with torch.no_grad():
        start, end = (_scores_at(score, curve, rows, t, size) for t in (0.0, 1.0))
    return end - start


def unknown_change(rows: Tensor) -> Tensor:
    """NaN for every sample, where the change is not computed."""
    return torch.full(rows.shape, torch.nan, device=rows.device)


def _scores_at(score: ScoreFunction, curve: Curve, rows: Tensor, t: float, size: int) -> Tensor:
    positions = torch.full((len(rows),), t, dtype=torch.float64, device=rows.device)
    parts = slices(len(rows), size)
    return torch.cat([score(curve.at(rows[part], positions[part]), rows[part]) for part in parts])
