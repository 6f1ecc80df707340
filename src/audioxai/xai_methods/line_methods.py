"""Methods of their own between a baseline and the input: Guided Integrated Gradients and IDGI."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.xai_methods.accumulation import Score, add_by_sample, end_scores, visits
from audioxai.xai_methods.calls import input_gradient, prepared
from audioxai.xai_methods.explained_scores import Explained, Logit
from audioxai.xai_methods.path_integral import Integral, call_size
from audioxai.xai_methods.paths import Line, beside

LOGIT = Logit()


@dataclass(frozen=True)
class LineMethod(ABC):
    """Attributions from gradients between a baseline and the input.

    Attributes
    ----------
    baseline : Baseline
        Where the way begins.
    gradients : int
        Gradients a sample.
    explained : Explained
        The score that is explained.
    """

    baseline: Baseline
    gradients: int = 32
    explained: Explained = LOGIT

    def __post_init__(self) -> None:
        if self.gradients < 2:
            raise UserError(f"gradients is {self.gradients}; the way to the input needs at least 2")

    @abstractmethod
    def along(self, score: Score, line: Line, size: int) -> Tensor:
        """Attributions shaped like the ends of the ``line``; ``size`` inputs a model call."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits."""
        return prepared(model, inputs, targets, self._attributions)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap, as :meth:`PathIntegral.attribute` gives them."""

        def measured(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            size = inputs_a_call or call_size(inputs)
            score, line = self.explained.score(model, inputs, targets, size), Line(self.baseline(inputs), inputs)
            rows = torch.arange(len(inputs), device=inputs.device)
            start, end = end_scores(score, line, rows, size)
            gradients = torch.full_like(rows, self.gradients)
            return Integral(self.along(score, line, size), end - start, gradients).require_finite()

        return prepared(model, inputs, targets, measured)

    def passes(self, inputs: Tensor) -> int:
        """``gradients`` a sample, and what the score takes beforehand."""
        return len(inputs) * (self.gradients + self.explained.passes)

    def _attributions(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        size = call_size(inputs)
        score = self.explained.score(model, inputs, targets, size)
        attributions = self.along(score, Line(self.baseline(inputs), inputs), size)
        return Integral(attributions, attributions[:, 0], targets).require_finite().attributions


@dataclass(frozen=True)
class Idgi(LineMethod):
    """Σ (F(x_{j+1}) − F(x_j)) · ∇F(x_j)² / |∇F(x_j)|² over points on the line: no gradient across the change counts.

    Notes
    -----
    Yang et al. 2023, Algorithm 1, on the straight line from the baseline. The change of every step is shared out, so
    the sum is exact whatever the number of points, except where the gradient vanishes altogether. Of n points the last
    gives its score alone.
    """

    def along(self, score: Score, line: Line, size: int) -> Tensor:
        """One visit after the other; the last pair of each waits for the score of the point that follows it."""
        rows = torch.arange(len(line.end), device=line.end.device)
        nodes = torch.linspace(0.0, 1.0, self.gradients, dtype=torch.float64, device=rows.device)
        total = torch.zeros_like(line.end)
        waiting: tuple[Tensor, Tensor, Tensor] | None = None
        for visit in visits(score, line, rows, nodes, size):
            seen = (visit.places, visit.scores, _shares(visit.gradients))
            if waiting is not None:
                seen = (torch.cat([waiting[0], seen[0]]), torch.cat([waiting[1], seen[1]]), _joined(waiting, seen))
            places, scores, shares = seen
            # The last point of one sample and the first of the next are no step.
            change = torch.where(places[1:] == places[:-1], scores[1:] - scores[:-1], 0.0)
            add_by_sample(total, places[:-1], beside(change, shares) * shares[:-1])
            waiting = (places[-1:], scores[-1:], shares[-1:])
        return total


def _joined(waiting: tuple[Tensor, Tensor, Tensor], seen: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.cat([waiting[2], seen[2]])


def _shares(gradients: Tensor) -> Tensor:
    """Squared gradients divided by their sum, nought where there is no gradient."""
    squares = gradients.square()
    sums = squares.flatten(1).sum(1).reshape(-1, *[1] * (gradients.ndim - 1))
    return torch.where(sums > 0.0, squares / torch.where(sums > 0.0, sums, 1.0), 0.0)


@dataclass(frozen=True)
class GuidedIntegratedGradients(LineMethod):
    """Integrated Gradients on a path that moves those cells first to which the score is least sensitive.

    Attributes
    ----------
    fraction : float
        Share of the cells that moves at once.
    leash : float
        Farthest that a cell may be ahead of or behind the straight line, as a share of its way.

    Notes
    -----
    Kapishnikov et al. 2021. After every gradient the path covers an equal part of the L1 distance from the baseline to
    the input, by moving the cells of the smallest absolute gradient as far as the leash lets them.
    """

    fraction: float = 0.25
    leash: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.fraction <= 1.0 or not 0.0 <= self.leash <= 1.0:
            raise UserError(f"fraction is {self.fraction} and leash is {self.leash}; give shares, the fraction above 0")

    def along(self, score: Score, line: Line, size: int) -> Tensor:
        """One gradient after the other for all samples at once, the movement in double precision."""
        start, end = line.start.double().flatten(1), line.end.double().flatten(1)
        points, total = start.clone(), torch.zeros_like(start)
        for step in range(self.gradients):
            gradients = _gradients(score, points.to(line.end).reshape_as(line.end), size).double().flatten(1)
            moved = self._moved(points, gradients.abs(), start, end, (step + 1) / self.gradients)
            total += (moved - points) * gradients
            points = moved
        return total.reshape_as(line.end).to(line.end)

    def _moved(self, points: Tensor, sensitivity: Tensor, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Points ``(batch, cells)`` after ``share`` of the way."""
        low, high = (
            start + part * (end - start) for part in (max(share - self.leash, 0.0), min(share + self.leash, 1.0))
        )
        # Ahead is measured along each cell's own way, which may lead up or down.
        points = torch.where((end - points).abs() > (end - low).abs(), low, points)
        wanted = (1.0 - share) * (end - start).abs().sum(1)
        unfinished = torch.ones_like(wanted, dtype=torch.bool)
        while bool(unfinished.any()):
            movable = unfinished[:, None] & (points != high)
            chosen = movable & (sensitivity <= self._threshold(sensitivity, movable))
            reach = ((high - points).abs() * chosen).sum(1)
            needed = ((end - points).abs().sum(1) - wanted).clamp_min(0.0)
            part = torch.where(reach > 0.0, needed / torch.where(reach > 0.0, reach, 1.0), 0.0)[:, None]
            nearer = torch.where(part >= 1.0, high, points + part * (high - points))
            points = torch.where(chosen, nearer, points)
            unfinished = unfinished & (part[:, 0] > 1.0)
        return points

    def _threshold(self, sensitivity: Tensor, movable: Tensor) -> Tensor:
        """Largest sensitivity ``(batch, 1)`` of the cells that move at once."""
        ordered = sensitivity.masked_fill(~movable, torch.inf).sort(1).values
        return ordered[:, [int(self.fraction * (ordered.shape[1] - 1))]]


def _gradients(score: Score, points: Tensor, size: int) -> Tensor:
    parts = []
    for rows in slices(len(points), size):
        part = points[rows].detach().requires_grad_(True)
        parts.append(input_gradient(score(part, torch.arange(rows.start, rows.stop, device=points.device)), part))
    return torch.cat(parts)
