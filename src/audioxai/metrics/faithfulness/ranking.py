"""Cells in the order of their relevance, and inputs from which a stretch of that order is absent."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, Perturbation
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys, generator


def cell_count(inputs: Tensor) -> int:
    """Cells of one input."""
    return math.prod(inputs.shape[2:])


def cell_relevance(attributions: Tensor) -> Tensor:
    """Relevance ``(batch, cells)`` of every cell, float64: the sum over its channels."""
    return attributions.double().sum(1).flatten(1)


def ranks_cells(attributions: Tensor) -> Tensor:
    """Whether a sample's cells differ in relevance at all, ``(batch,)``; where not, no order of them means anything."""
    relevance = cell_relevance(attributions)
    return relevance.amax(1) > relevance.amin(1)


def places(batch: Batch, attributions: Tensor, seed: int) -> Tensor:
    """Place ``(batch, cells)`` of every cell in its sample's order of relevance, 0 the most relevant.

    Cells of equal relevance are ordered at random, by the sample's values and the seed: in the order of their position
    a map that is zero nearly everywhere would be scored for removing an input row by row.
    """
    shuffles = batch.shared(("order of equal cells", seed), lambda: _shuffles(batch.inputs, seed))
    shuffled = cell_relevance(attributions).gather(1, shuffles)
    order = shuffles.gather(1, shuffled.argsort(dim=1, descending=True, stable=True))
    numbers = torch.arange(order.shape[1], dtype=torch.int32, device=order.device)
    return torch.empty_like(order, dtype=torch.int32).scatter_(1, order, numbers.expand_as(order))


def even_edges(cells: int, steps: int) -> Tensor:
    """Edges ``(parts + 1,)`` that cut so many cells into ``steps`` parts as equal as can be, one cell at the least."""
    parts = min(steps, cells)
    return torch.tensor([round(part * cells / parts) for part in range(parts + 1)])


def counts_of(fractions: Sequence[float], cells: int) -> Tensor:
    """How many of so many cells each fraction is ``(fractions,)``, 1 at the least."""
    return torch.tensor([max(1, round(fraction * cells)) for fraction in fractions])


def absent_cells(batch: Batch, baseline: Baseline) -> Tensor:
    """The inputs with every cell absent; made once for all metrics and methods."""
    return batch.shared(("absent", baseline), lambda: baseline(batch.inputs))


def without_places(batch: Batch, baseline: Baseline, place: Tensor, first: Tensor, end: Tensor) -> Perturbation:
    """Inputs from which the cells in the places ``first[run]`` to ``end[run]`` − 1 are absent."""
    absent = absent_cells(batch, baseline)
    first, end = first.to(place.device), end.to(place.device)

    def remove(samples: Tensor, runs: Tensor) -> Tensor:
        gone = (place[samples] >= first[runs, None]) & (place[samples] < end[runs, None])
        gone = gone.reshape(-1, 1, *batch.inputs.shape[2:])
        return torch.where(gone, absent[samples], batch.inputs[samples])

    return remove


def check_fractions(fractions: tuple[float, ...]) -> None:
    """Refuse fractions of the input that are none, or none at all.

    Raises
    ------
    UserError
        Naming them.
    """
    if not fractions or not all(0.0 < fraction < 1.0 for fraction in fractions):
        raise UserError(f"fractions are {fractions}; give at least one, each a fraction in (0, 1) of the input")


def _shuffles(inputs: Tensor, seed: int) -> Tensor:
    cells = cell_count(inputs)
    return torch.stack(
        [torch.randperm(cells, generator=generator("equal cells", seed, key)) for key in content_keys(inputs)]
    ).to(inputs.device)
