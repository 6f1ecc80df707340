"""Straight ways: from one baseline, from many that are drawn, and to an input that is shaken."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.baselines import Baseline, RandomBaseline
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys, generator
from audioxai.xai_methods.paths.protocol import Curve, Path, beside


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

    @property
    def is_straight(self) -> bool:
        """Yes."""
        return True

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Line from the baseline of every input."""
        return Line(self.baseline(inputs), inputs)


@dataclass(frozen=True)
class FromDrawn(Path):
    """A straight line from every draw of a random baseline.

    Notes
    -----
    From training references it is expected gradients (Erion et al. 2021); with one step a draw the places on the lines
    are stratified, one in each of ``draws`` equal parts, which is a sample of their uniform law of smaller variance.
    """

    baseline: RandomBaseline

    @property
    def is_straight(self) -> bool:
        """Yes."""
        return True

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Line from that draw of every input's baseline."""
        return Line(self.baseline.drawn(inputs, draw), inputs)


@dataclass(frozen=True)
class Shaken(Path):
    """Another path, to the input with normal noise added (smoothed gradients, Smilkov et al. 2017).

    Attributes
    ----------
    path : Path
        Laid for the shaken input, so it ends there.
    spread : float
        Standard deviation of the noise, in the inputs' unit.
    seed : int
        Of the noise.
    """

    path: Path
    spread: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.spread > 0.0:
            raise UserError(f"spread is {self.spread}; noise needs a positive standard deviation")

    @property
    def is_straight(self) -> bool:
        """Where the other path is."""
        return self.path.is_straight

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Curve of the inputs with that draw's noise."""
        return self.path.curve(shaken(inputs, self.spread, self.seed, draw), draw)


def shaken(inputs: Tensor, spread: float, seed: int, draw: int) -> Tensor:
    """Inputs plus normal noise of standard deviation ``spread``, each sample's own by its values, seed and draw."""
    noise = [
        torch.randn(inputs.shape[1:], generator=generator("shaken", seed, draw, key), dtype=torch.float64)
        for key in content_keys(inputs)
    ]
    return inputs + spread * torch.stack(noise).to(inputs)
