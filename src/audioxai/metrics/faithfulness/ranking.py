"""Features in the order of their relevance, and inputs from which a part of that order is removed."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audioxai.baselines import Baseline
from audioxai.metrics.batch import Batch, Perturbation
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import generator


def feature_count(inputs: Tensor) -> int:
    """Features of one input."""
    return math.prod(inputs.shape[2:])


def feature_relevance(attributions: Tensor) -> Tensor:
    """Relevance ``(batch, features)``, float64: the sum of the attributions over the channels."""
    return attributions.double().sum(1).flatten(1)


def ranks_features(attributions: Tensor) -> Tensor:
    """Whether a sample's features differ in relevance, bool ``(batch,)``; if not, they have no order."""
    relevance = feature_relevance(attributions)
    return relevance.amax(1) > relevance.amin(1)


def places(batch: Batch, attributions: Tensor, seed: int) -> Tensor:
    """Place ``(batch, features)`` of every feature in its sample's order of relevance, 0 the most relevant.

    Equally relevant features are ordered at random, by the sample's values and the seed. In the order of their position
    a map that is zero nearly everywhere would remove the input row by row.
    """
    shuffles = batch.shared(("order of equal features", seed), lambda: _shuffles(batch, seed))
    shuffled = feature_relevance(attributions).gather(1, shuffles)
    order = shuffles.gather(1, shuffled.argsort(dim=1, descending=True, stable=True))
    numbers = torch.arange(order.shape[1], dtype=torch.int32, device=order.device)
    return torch.empty_like(order, dtype=torch.int32).scatter_(1, order, numbers.expand_as(order))


def even_edges(features: int, steps: int) -> Tensor:
    """Edges ``(parts + 1,)`` that divide so many features into ``steps`` about equal parts of at least one feature."""
    parts = min(steps, features)
    return torch.tensor([round(part * features / parts) for part in range(parts + 1)])


def counts_of(fractions: Sequence[float], features: int) -> Tensor:
    """Number of features in each fraction of so many, ``(fractions,)``, at least 1."""
    return torch.tensor([max(1, round(fraction * features)) for fraction in fractions])


def removed_inputs(batch: Batch, baseline: Baseline) -> Tensor:
    """The inputs with every feature removed; made once for all metrics and methods."""
    return batch.shared(("removed", baseline), lambda: baseline(batch.inputs))


def without_places(batch: Batch, baseline: Baseline, place: Tensor, first: Tensor, end: Tensor) -> Perturbation:
    """Perturbation that removes the features in the places ``first[run]`` to ``end[run]`` − 1."""
    removed = removed_inputs(batch, baseline)
    first, end = first.to(place.device), end.to(place.device)

    def remove(samples: Tensor, runs: Tensor) -> Tensor:
        gone = (place[samples] >= first[runs, None]) & (place[samples] < end[runs, None])
        gone = gone.reshape(-1, 1, *batch.inputs.shape[2:])
        return torch.where(gone, removed[samples], batch.inputs[samples])

    return remove


def check_fractions(fractions: tuple[float, ...]) -> None:
    """Refuse an empty tuple and fractions outside (0, 1).

    Raises
    ------
    UserError
        Naming them.
    """
    if not fractions or not all(0.0 < fraction < 1.0 for fraction in fractions):
        raise UserError(f"fractions are {fractions}; give at least one, each a fraction in (0, 1) of the input")


def _shuffles(batch: Batch, seed: int) -> Tensor:
    features = feature_count(batch.inputs)
    # "equal cells" seeds the order; another word would change scores.
    return torch.stack(
        [torch.randperm(features, generator=generator("equal cells", seed, key)) for key in batch.keys]
    ).to(batch.inputs.device)
