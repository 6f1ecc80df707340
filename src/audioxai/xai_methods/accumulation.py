"""Gradients along a path, stacked across samples and steps into model calls of the best size, and added up on the way.

Nothing is kept but one map a sample, so memory depends on the size of a call and of the batch, not on the steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.utils.hardware import slices
from audioxai.xai_methods.calls import input_gradient
from audioxai.xai_methods.paths import Curve
from audioxai.xai_methods.quadrature import Partition

# score(points (pairs, 1, …), rows (pairs,)) → scores (pairs,): points on the ways of the samples ``rows``.
Score = Callable[[Tensor, Tensor], Tensor]
# worth_of(gradients (pairs, 1, …), steps (pairs, 1, …)) → what every cell gets of a step, (pairs, maps, …).
Worth = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Visit:
    """What one model call saw.

    Attributes
    ----------
    places : Tensor
        Position in the visited ``rows`` that each pair belongs to, ``(pairs,)``, ascending.
    steps : Tensor
        Index of its node, ``(pairs,)``.
    scores, gradients : Tensor
        ``(pairs,)`` and ``(pairs, 1, …)``.
    """

    places: Tensor
    steps: Tensor
    scores: Tensor
    gradients: Tensor


def visits(score: Score, curve: Curve, rows: Tensor, nodes: Tensor, size: int) -> Iterator[Visit]:
    """Scores and gradients at every node of every sample in ``rows``, ``size`` inputs a model call, sample by sample.

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
        yield Visit(places, steps, scores.detach(), input_gradient(scores, points))


def path_sum(
    score: Score, curve: Curve, rows: Tensor, partition: Partition, size: int, worth_of: Worth | None = None
) -> Tensor:
    """Σ ∇F(γ(node)) ⊙ (γ(right edge) − γ(left edge)) of the samples ``rows``, ``(len(rows), 1, …)``, real.

    ``worth_of`` says what every cell gets of a step instead, :func:`change_along` if it is not given.
    """
    worth_of = worth_of or change_along
    edges, nodes = partition.edges.to(rows.device), partition.nodes.to(rows.device)
    total: Tensor | None = None
    for visit in visits(score, curve, rows, nodes, size):
        stretch = curve.stretch(rows[visit.places], edges[visit.steps], edges[visit.steps + 1])
        worth = worth_of(visit.gradients, stretch)
        if total is None:
            total = worth.new_zeros(len(rows), *worth.shape[1:])
        add_by_sample(total, visit.places, worth)
    assert total is not None
    return total


def change_along(gradients: Tensor, steps: Tensor) -> Tensor:
    """First-order change of the score cell by cell, gradient ⊙ step; Re(conj(gradient) · step) of complex cells."""
    return (gradients.conj() * steps).real if gradients.is_complex() else gradients * steps


def shared_out(gradients: Tensor, steps: Tensor) -> Tensor:
    """The first-order change of every step, shared out among its cells by the squared gradient (Yang et al. 2023).

    ``gradients`` and ``steps`` are real, ``(pairs, 1, …)``; steps along which nothing has a gradient are worth nothing.
    """
    squares = gradients.square()
    sums, changes = (cells.flatten(1).sum(1) for cells in (squares, change_along(gradients, steps)))
    rates = torch.where(sums > 0.0, changes / sums.where(sums > 0.0, 1.0), 0.0)
    return squares * rates.reshape(-1, *[1] * (gradients.ndim - 1))


def add_by_sample(total: Tensor, places: Tensor, worth: Tensor) -> None:
    """Add each pair's map ``(pairs, 1, …)`` to its sample's, in place; ``places`` ascend, and there may be none."""
    # Sums of consecutive stretches instead of index_add, whose order of addition changes from run to run on a GPU.
    if len(places) == 0:
        return
    met, counts = torch.unique_consecutive(places, return_counts=True)
    total[met] += _stretches(worth, counts).sum(1)


def _stretches(worth: Tensor, counts: Tensor) -> Tensor:
    """Consecutive stretches of ``counts`` maps ``(pairs, 1, …)`` side by side, zeros after short ones."""
    longest = int(counts.max())
    if len(counts) * longest == len(worth):
        return worth.reshape(len(counts), longest, *worth.shape[1:])
    room = torch.arange(longest, device=counts.device) < counts[:, None]
    padded = worth.new_zeros(len(counts), longest, *worth.shape[1:])
    padded[room] = worth
    return padded


def end_scores(score: Score, curve: Curve, rows: Tensor, size: int) -> Tensor:
    """Scores at the beginning and the end of every way, ``(2, len(rows))``, without gradients."""
    with torch.no_grad():
        return torch.stack([_scores_at(score, curve, rows, place, size) for place in (0.0, 1.0)])


def _scores_at(score: Score, curve: Curve, rows: Tensor, place: float, size: int) -> Tensor:
    places = torch.full((len(rows),), place, dtype=torch.float64, device=rows.device)
    parts = slices(len(rows), size)
    return torch.cat([score(curve.at(rows[part], places[part]), rows[part]) for part in parts])
