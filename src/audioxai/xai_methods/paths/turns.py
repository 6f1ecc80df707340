"""Cells come one after the other, as they do when a map is judged, not all at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.utils.errors import UserError
from audioxai.xai_methods.paths.protocol import Curve, beside


@dataclass(frozen=True, eq=False)
class InTurns(Curve):
    """Every cell goes straight from ``start`` to ``end`` when its turn comes.

    Attributes
    ----------
    start, end : Tensor
        ``(batch, 1, …)``.
    turns : Tensor
        When each cell sets out, in [0, 1], shaped alike.
    overlap : float
        How long its way takes, in the unit of the turns; above 0. The larger, the more cells are on their way at once.

    Notes
    -----
    At place t a share clip((t (1 + overlap) − turn) / overlap, 0, 1) of a cell's way is behind it.
    """

    start: Tensor
    end: Tensor
    turns: Tensor
    overlap: float

    def __post_init__(self) -> None:
        if not self.start.shape == self.end.shape == self.turns.shape:
            raise UserError(
                f"start, end and turns have shapes {tuple(self.start.shape)}, {tuple(self.end.shape)} and "
                f"{tuple(self.turns.shape)}; all have to be shaped alike"
            )

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        """``start + share · (end − start)``."""
        start = self.start[rows]
        return start + self._shares(rows, places) * (self.end[rows] - start)

    def stretch(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``(share at last − share at first) · (end − start)``."""
        shares = self._shares(rows, last) - self._shares(rows, first)
        return shares * (self.end[rows] - self.start[rows])

    def _shares(self, rows: Tensor, places: Tensor) -> Tensor:
        turns = self.turns[rows]
        return ((beside(places, turns) * (1.0 + self.overlap) - turns) / self.overlap).clamp(0.0, 1.0)


def turns_of(relevance: Tensor) -> Tensor:
    """Turns in [0, 1] by falling relevance ``(batch, 1, …)``: 0 for the most relevant cell, 1 for the least.

    Cells of equal relevance come in the order of their coordinates.
    """
    cells = relevance.flatten(1)
    order = cells.argsort(dim=1, descending=True, stable=True)
    even = torch.linspace(0.0, 1.0, cells.shape[1], dtype=relevance.dtype, device=relevance.device)
    return torch.empty_like(cells).scatter_(1, order, even.expand_as(cells)).reshape_as(relevance)
