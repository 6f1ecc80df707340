"""Ways from a baseline to the input, along which gradients are added up.

A path, made for a batch of inputs, is a curve: ``at(rows, places)`` are the points of the samples ``rows`` at the
``places`` between 0 (the baseline) and 1 (the input). What a stretch of it is worth is the difference of its ends, so a
curve is never differentiated and may have corners.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from audio_xai.baselines import Baseline
from audio_xai.utils.errors import UserError


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

    def destination(self, inputs: Tensor) -> Tensor:
        """What the model is given when nothing is taken away: the inputs themselves."""
        return inputs


@dataclass(frozen=True, eq=False)
class Line(Curve):
    """The straight way from ``start`` to ``end``, both ``(batch, 1, …)``."""

    start: Tensor
    end: Tensor

    def __post_init__(self) -> None:
        if self.start.shape != self.end.shape:
            raise UserError(
                f"the baseline has shape {tuple(self.start.shape)} but the inputs have {tuple(self.end.shape)}; "
                "make the baseline for these inputs"
            )

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        """``start + place · (end − start)``."""
        start = self.start[rows]
        return start + beside(places, start) * (self.end[rows] - start)

    def stretch(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``(last − first) · (end − start)``."""
        way = self.end[rows] - self.start[rows]
        return beside(last - first, way) * way


@dataclass(frozen=True)
class Straight(Path):
    """The straight line from a baseline, in the inputs' unit (Sundararajan et al. 2017)."""

    baseline: Baseline

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Line from the baseline of every input."""
        return Line(self.baseline(inputs), inputs)


def beside(places: Tensor, points: Tensor) -> Tensor:
    """``places`` ``(pairs,)`` in the points' precision, shaped to multiply ``(pairs, 1, …)``."""
    real = points.real if points.is_complex() else points
    return places.to(real).reshape(-1, *[1] * (points.ndim - 1))
