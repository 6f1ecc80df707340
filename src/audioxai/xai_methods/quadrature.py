"""Quadrature rules: where on a path gradients are taken, and which step of the path each one is multiplied by.

A rule is a tagged partition of [0, 1]: intervals between ``edges`` with one ``node`` in each. The attribution is the
Riemann–Stieltjes sum Σ ∇F(γ(node)) ⊙ (γ(right edge) − γ(left edge)); on a straight path the width of an interval is the
node's weight, and on every path the steps add up to the difference of its ends, so that a linear model is explained
exactly.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audioxai.utils.errors import UserError


@dataclass(frozen=True, eq=False)
class Partition:
    """Intervals of [0, 1] and one node in each.

    Attributes
    ----------
    edges : Tensor
        ``(steps + 1,)``, ascending from 0 to 1, float64.
    nodes : Tensor
        ``(steps,)``, float64.
    """

    edges: Tensor
    nodes: Tensor

    def __len__(self) -> int:
        """Number of gradients."""
        return len(self.nodes)

    def tagged(self, share: float) -> "Partition":
        """The same intervals with nodes at this share of them: 0 is the left edge, 1 the right one."""
        return Partition(self.edges, torch.lerp(self.edges[:-1], self.edges[1:], share))


@dataclass(frozen=True)
class Rule(ABC):
    """A fixed number of gradients, at the same places for every sample."""

    steps: int = 32

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; a path needs at least 1")

    @abstractmethod
    def partition(self) -> Partition:
        """Intervals and nodes."""

    def of_draw(self, draw: int, draws: int) -> Partition:
        """Partition of one of several random paths, whose nodes are staggered."""
        return self.partition() if draws == 1 else self.partition().tagged((draw + 0.5) / draws)


@dataclass(frozen=True)
class Midpoint(Rule):
    """Equal intervals with the node in the middle: the smallest completeness gap at every number of steps tried."""

    def partition(self) -> Partition:
        """Nodes at (k + ½) / steps."""
        return _equal(self.steps).tagged(0.5)


@dataclass(frozen=True)
class Left(Rule):
    """Equal intervals with the node nearer to the baseline."""

    def partition(self) -> Partition:
        """Nodes at k / steps."""
        return _equal(self.steps).tagged(0.0)


@dataclass(frozen=True)
class Right(Rule):
    """Equal intervals with the node nearer to the input; with one step it is gradient × (input − baseline)."""

    def partition(self) -> Partition:
        """Nodes at (k + 1) / steps."""
        return _equal(self.steps).tagged(1.0)


@dataclass(frozen=True)
class Trapezoid(Rule):
    """Equally spaced nodes, both ends included, whose two intervals are half as wide; one gradient more than steps."""

    def partition(self) -> Partition:
        """Nodes at k / steps, k = 0 … steps."""
        nodes = torch.linspace(0.0, 1.0, self.steps + 1, dtype=torch.float64)
        edges = torch.cat([nodes[:1], (nodes[1:] + nodes[:-1]) / 2.0, nodes[-1:]])
        return Partition(edges, nodes)


@dataclass(frozen=True)
class GaussLegendre(Rule):
    """Gauss–Legendre nodes, exact for polynomials up to degree 2 · steps − 1 and no better than others at kinks.

    By the separation theorem of Chebyshev, Markov and Stieltjes each node lies in the interval that its weight takes
    when weights are laid end to end, so the rule is a tagged partition too.
    """

    def partition(self) -> Partition:
        """Nodes of the Legendre polynomial, mapped to [0, 1]."""
        places, weights = np.polynomial.legendre.leggauss(self.steps)
        edges = np.concatenate([[0.0], np.cumsum(weights / 2.0)])
        edges[-1] = 1.0
        return Partition(torch.from_numpy(edges), torch.from_numpy((places + 1.0) / 2.0))


def _equal(steps: int) -> Partition:
    edges = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64)
    return Partition(edges, edges[:-1])


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of an estimate that is refined.

    Attributes
    ----------
    partition : Partition
        Where gradients are taken.
    kept : float
        Share of the estimate so far in the next one.
    """

    partition: Partition
    kept: float


@dataclass(frozen=True)
class Doubling:
    """More gradients, doubling their number, for those samples whose completeness gap is still too large.

    Attributes
    ----------
    tolerance : float
        A sample is done where |ΣA − ΔF| ≤ tolerance · |ΔF|.
    first_steps : int
        Gradients of the first estimate.
    doublings : int
        Most doublings after it; samples that do not get there keep the last estimate and the gap it has.

    Notes
    -----
    The first estimate is the midpoint rule on ``first_steps`` intervals. On a straight path, averaged with the
    trapezoid rule on the same intervals it is the trapezoid rule on twice as many, and that averaged with their
    midpoints on four times as many, so that every gradient is used. On a curved path
    the step that belongs to a gradient of a coarse rule differs from feature to feature in a finer one, so every
    estimate is made anew.
    """

    tolerance: float = 0.02
    first_steps: int = 8
    doublings: int = 4

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0 or self.first_steps < 1 or self.doublings < 0:
            raise UserError(
                f"tolerance is {self.tolerance}, first_steps is {self.first_steps} and doublings is {self.doublings}; "
                "give a tolerance between 0 and 1, at least 1 step and at least 0 doublings"
            )

    def nested(self) -> Iterator[Stage]:
        """Stages on a straight path."""
        yield Stage(Midpoint(self.first_steps).partition(), 0.0)
        if self.doublings > 0:
            yield Stage(Trapezoid(self.first_steps).partition(), 0.5)
        for doubling in range(1, self.doublings):
            yield Stage(Midpoint(self.first_steps * 2**doubling).partition(), 0.5)

    def anew(self) -> Iterator[Stage]:
        """Stages on a curved path; the last one has as many nodes as all nested stages together, but for one."""
        for doubling in range(self.doublings + 1):
            yield Stage(Midpoint(self.first_steps * 2**doubling).partition(), 0.0)
