"""Variants of Integrated Gradients from the literature that are no plain path integral: Guided IG and IDGI; Blur IG."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.xai_methods.calls import input_gradient, require_real
from audioxai.xai_methods.path_integral import (
    Integral,
    IntegralMethod,
    PathIntegral,
    add_by_sample,
    change_of,
    gradients_along,
    unknown_change,
)
from audioxai.xai_methods.paths import FromBlur, Line, broadcast
from audioxai.xai_methods.quadrature import Midpoint
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import LOGIT, ScoreFunction, TargetScore


@dataclass(frozen=True)
class BaselineMethod(IntegralMethod):
    """Attributions from gradients between a baseline and the input.

    Attributes
    ----------
    baseline : Baseline
        Where the path begins.
    gradients : int
        Gradients per sample.
    score : TargetScore
        The score that is explained.
    """

    baseline: Baseline
    gradients: int = 32
    score: TargetScore = LOGIT

    def __post_init__(self) -> None:
        if self.gradients < 2:
            raise UserError(f"gradients is {self.gradients}; a path to the input needs at least 2")

    @abstractmethod
    def along(self, score: ScoreFunction, line: Line, size: int) -> Tensor:
        """Attributions shaped like the ends of the ``line``; ``size`` inputs per model call."""

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        """Attributions between the baseline and the inputs."""
        score, line = self.score.of(model, inputs, targets, size), Line(self.baseline(inputs), inputs)
        rows = torch.arange(len(inputs), device=inputs.device)
        change = change_of(score, line, rows, size) if with_change else unknown_change(rows)
        return Integral(self.along(score, line, size), change, torch.full_like(rows, self.gradients))

    def passes(self, inputs: Tensor) -> int:
        """``gradients`` per sample, and what the score takes beforehand."""
        return len(inputs) * (self.gradients + self.score.passes)


@dataclass(frozen=True)
class Idgi(BaselineMethod):
    """Σ (F(x_{j+1}) − F(x_j)) · ∇F(x_j)² / |∇F(x_j)|² over points x_j on the line (IDGI).

    Notes
    -----
    Yang et al. 2023, Algorithm 1, on the straight line from the baseline. The change of every step is divided among the
    features, so the sum is exact whatever the number of points, except where the gradient vanishes. Of n points the
    last contributes its score only.
    """

    def along(self, score: ScoreFunction, line: Line, size: int) -> Tensor:
        """Model call by model call; the last point of each waits for the score of the point that follows it."""
        rows = torch.arange(len(line.end), device=line.end.device)
        nodes = torch.linspace(0.0, 1.0, self.gradients, dtype=torch.float64, device=rows.device)
        total = torch.zeros_like(line.end.real if line.end.is_complex() else line.end)
        waiting: tuple[Tensor, Tensor, Tensor] | None = None
        for one in gradients_along(score, line, rows, nodes, size):
            seen = (one.places, one.scores, _shares(one.gradients))
            if waiting is not None:
                places, scores, shares = (torch.cat(pair) for pair in zip(waiting, seen, strict=True))
                seen = (places, scores, shares)
            places, scores, shares = seen
            # Between the last point of one sample and the first of the next there is no step.
            change = torch.where(places[1:] == places[:-1], scores[1:] - scores[:-1], 0.0)
            add_by_sample(total, places[:-1], broadcast(change, shares) * shares[:-1])
            waiting = (places[-1:], scores[-1:], shares[-1:])
        return total


def _shares(gradients: Tensor) -> Tensor:
    """Squared gradients divided by their sum, 0 where there is no gradient."""
    squares = gradients.abs().square() if gradients.is_complex() else gradients.square()
    sums = squares.flatten(1).sum(1).reshape(-1, *[1] * (gradients.ndim - 1))
    return torch.where(sums > 0.0, squares / torch.where(sums > 0.0, sums, 1.0), 0.0)


@dataclass(frozen=True)
class GuidedIntegratedGradients(BaselineMethod):
    """Guided IG: Integrated Gradients on a path that moves those features first to which the score is least sensitive.

    Attributes
    ----------
    fraction : float
        Share of the features that move at once.
    leash : float
        Farthest that a feature may be ahead of or behind the straight line, as a share of its distance.

    Notes
    -----
    Kapishnikov et al. 2021. After every gradient the path covers an equal part of the L1 distance from the baseline to
    the input, by moving the features of the smallest absolute gradient as far as the leash allows.
    """

    fraction: float = 0.25
    leash: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.fraction <= 1.0 or not 0.0 <= self.leash <= 1.0:
            raise UserError(f"fraction is {self.fraction} and leash is {self.leash}; give shares, the fraction above 0")

    def along(self, score: ScoreFunction, line: Line, size: int) -> Tensor:
        """Gradient by gradient for all samples at once; points are moved in double precision."""
        require_real("Guided IG", line.end)
        start, end = line.start.double().flatten(1), line.end.double().flatten(1)
        points, total = start.clone(), torch.zeros_like(start)
        for step in range(self.gradients):
            gradients = _gradients(score, points.to(line.end).reshape_as(line.end), size).double().flatten(1)
            moved = self._moved(points, gradients.abs(), start, end, (step + 1) / self.gradients)
            total += (moved - points) * gradients
            points = moved
        return total.reshape_as(line.end).to(line.end)

    def _moved(self, points: Tensor, sensitivity: Tensor, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Points ``(batch, features)`` after ``share`` of the distance."""
        low, high = (
            start + part * (end - start) for part in (max(share - self.leash, 0.0), min(share + self.leash, 1.0))
        )
        # A feature may move up or down, so its distance to the end says whether it is behind.
        points = torch.where((end - points).abs() > (end - low).abs(), low, points)
        remaining = (1.0 - share) * (end - start).abs().sum(1)
        unfinished = torch.ones_like(remaining, dtype=torch.bool)
        while bool(unfinished.any()):
            movable = unfinished[:, None] & (points != high)
            chosen = movable & (sensitivity <= self._threshold(sensitivity, movable))
            reach = ((high - points).abs() * chosen).sum(1)
            needed = ((end - points).abs().sum(1) - remaining).clamp_min(0.0)
            part = torch.where(reach > 0.0, needed / torch.where(reach > 0.0, reach, 1.0), 0.0)[:, None]
            nearer = torch.where(part >= 1.0, high, points + part * (high - points))
            points = torch.where(chosen, nearer, points)
            unfinished = unfinished & (part[:, 0] > 1.0)
        return points

    def _threshold(self, sensitivity: Tensor, movable: Tensor) -> Tensor:
        """Largest sensitivity ``(batch, 1)`` of the features that move at once."""
        ordered = sensitivity.masked_fill(~movable, torch.inf).sort(1).values
        return ordered[:, [int(self.fraction * (ordered.shape[1] - 1))]]


def _gradients(score: ScoreFunction, points: Tensor, size: int) -> Tensor:
    parts = []
    for rows in slices(len(points), size):
        part = points[rows].detach().requires_grad_(True)
        parts.append(input_gradient(score(part, torch.arange(rows.start, rows.stop, device=points.device)), part))
    return torch.cat(parts)


@METHODS.register(
    "guided", label="Guided IG", family="peers", role="peer", complete=True, source="Kapishnikov et al. 2021"
)
def guided(domain: Domain, gradients: int = 32) -> GuidedIntegratedGradients:
    """Guided IG from silence."""
    return GuidedIntegratedGradients(Silence(domain), gradients)


@METHODS.register("idgi", label="IDGI", family="peers", role="peer", complete=True, source="Yang et al. 2023")
def idgi(domain: Domain, gradients: int = 32) -> Idgi:
    """IDGI on the straight line from silence."""
    return Idgi(Silence(domain), gradients)


@METHODS.register(
    "blur",
    label="Blur IG",
    family="peers",
    role="peer",
    complete=True,
    source="Xu et al. 2020",
    # Not of masks: a blurred mask of ones is the same.
    domains=("log_mel", "waveform", "stft", "erb_bands", "pixels"),
)
def blur(domain: Domain, gradients: int = 32) -> PathIntegral:
    """Blur IG from a blur of a quarter of the longest axis."""
    return PathIntegral(FromBlur(max(domain.shape) / 4.0), Midpoint(gradients))
