"""What every way from a baseline to the input offers.

A path, made for a batch of inputs, is a curve: ``at(rows, places)`` are the points of the samples ``rows`` at the
``places`` between 0 (the baseline) and 1 (the input). What a stretch of it is worth is the difference of its ends, so a
curve is never differentiated and may have corners.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor


class Curve(ABC):
    """One way for each sample of a batch."""

    @abstractmethod
    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        """Points ``(pairs, 1, …)`` of the samples ``rows`` ``(pairs,)`` at ``places`` ``(pairs,)`` in [0, 1]."""

    def stretch(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``at(rows, last) − at(rows, first)``."""
        return self.at(rows, last) - self.at(rows, first)


class Path(ABC):
    """A frozen dataclass that lays a curve for every sample, by the sample's own values alone."""

    @abstractmethod
    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Curve of a batch; ``draw`` numbers the repetitions of a random path, and others take no notice of it."""

    @property
    def is_straight(self) -> bool:
        """Whether a stretch is that share of the whole way which its places say, in every cell."""
        return False

    def destination(self, inputs: Tensor) -> Tensor:
        """What the model is given when nothing is taken away: the inputs themselves."""
        return inputs


def beside(places: Tensor, points: Tensor) -> Tensor:
    """``places`` ``(pairs,)`` in the points' precision, shaped to multiply ``(pairs, 1, …)``."""
    real = points.real if points.is_complex() else points
    return places.to(real).reshape(-1, *[1] * (points.ndim - 1))


@dataclass(frozen=True, eq=False)
class Apart(Curve):
    """Points of one curve with the stretches of another: where those are of ones, a weighted mean of gradients."""

    points: Curve
    ways: Curve

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        """Points of the first."""
        return self.points.at(rows, places)

    def stretch(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Stretches of the second."""
        return self.ways.stretch(rows, first, last)
