"""Fade-ins: the input comes as if a fader was pulled up, in equal steps of decibels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.utils.errors import UserError
from audioxai.xai_methods.paths.protocol import Curve, Path, beside


@dataclass(frozen=True, eq=False)
class _Emerging(Curve):
    """``max(levels − (1 − place) · depth_db, floor_db)``."""

    levels: Tensor
    depth_db: Tensor
    floor_db: float

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        levels = self.levels[rows]
        return (levels - beside((1.0 - places) * self.depth_db[rows], levels)).clamp_min(self.floor_db)


@dataclass(frozen=True)
class FadeIn(Path):
    """Amplitude path: the levels in dB of a · x for every gain a from 0 to 1, floor included.

    Attributes
    ----------
    floor_db : float
        Floor L_f of the levels.

    Notes
    -----
    γ = max(L + 20 log₁₀ a, L_f) is what the analysis makes of the recording times a. Cell i leaves the floor at
    a_i = 10^((L_f − L_i)/20), so A_i = ∫ from a_i to 1 of ∂_iF · 8.686/a da; the weight of a node is the integral of
    8.686/a over that part of its interval in which the cell is above the floor, in closed form the difference of γ.
    Places are even in dB from the gain at which the loudest cell leaves the floor, because the score changes with
    decibels: even in a, the first of 32 intervals would take 50 of 80 dB.
    """

    floor_db: float

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Fade-in of every input.

        Raises
        ------
        UserError
            If an input goes below the floor, where no gain leads.
        """
        if float(inputs.min()) < self.floor_db:
            raise UserError(
                f"the inputs go down to {float(inputs.min()):g} dB but the floor is {self.floor_db:g} dB; give levels "
                "made by the domain's analysis"
            )
        return _Emerging(inputs, (inputs.flatten(1).amax(1) - self.floor_db).double(), self.floor_db)


@dataclass(frozen=True, eq=False)
class _Amplified(Curve):
    """``a(place) · ends`` with a gain that grows evenly in dB over ``depth_db`` and is nought at 0."""

    ends: Tensor
    depth_db: float

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        ends = self.ends[rows]
        return beside(gain(places, self.depth_db), ends) * ends

    def stretch(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        ends = self.ends[rows]
        return beside(gain(last, self.depth_db) - gain(first, self.depth_db), ends) * ends


@dataclass(frozen=True)
class Amplified(Path):
    """The straight line from zero, a · x, with places even in dB of the gain a: a fade-in of waveforms.

    Attributes
    ----------
    depth_db : float
        Gain at which the fade-in begins, below 0 dB; what is quieter is the first interval's.

    Notes
    -----
    The same line as from silence, and so the same integral. A model whose front end takes levels in dB changes as much
    between the gains 0.001 and 0.01 as between 0.1 and 1, and nodes even in the gain miss that.
    """

    depth_db: float = 80.0

    def __post_init__(self) -> None:
        if not self.depth_db > 0.0:
            raise UserError(f"depth_db is {self.depth_db}; a fade-in begins a positive number of dB below the input")

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Fade-in of every input."""
        return _Amplified(inputs, self.depth_db)


def gain(places: Tensor, depth_db: float) -> Tensor:
    """Gain ``10^(−depth_db (1 − place) / 20)``, and 0 at place 0."""
    return torch.where(places > 0.0, 10.0 ** (-depth_db * (1.0 - places) / 20.0), 0.0)
