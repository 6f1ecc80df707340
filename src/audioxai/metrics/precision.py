"""How far random draws have moved a score, and drawing on until they have moved it by little enough.

Conventions
-----------
A *standard error* is that of one sample's score over the random draws alone: how far another seed would move it. It is
estimated from the draws themselves, for means as sd / √n and for all else by the jackknife (Efron & Stein 1981), which
leaves out one draw, or one pair of draws that belong together, at a time.

A sample stops by its own draws only, so its score does not depend on what else is in the batch. Looks become rarer as
draws grow in number, and none comes before a smallest number of draws: with few the error itself is so uncertain that
those would stop first whose error happens to look small.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Estimate, Scoring, Work
from audioxai.utils.errors import UserError

# Draws after which a sample stops whatever its error.
MOST = 20_000
# Draws at one look by those at the look before.
GROWTH = 1.25


class Sampled(Protocol):
    """A score made from draws of every sample."""

    def draw(self, part: Batch, rows: Tensor, first: int, end: int) -> tuple[Sequence[Work], Callable[[], Tensor]]:
        """Work for the draws ``first`` to ``end`` − 1 of the samples ``rows``, which are the batch ``part``.

        With it comes what reads their numbers ``(rows, end − first, …)`` once it is done.
        """
        ...

    def estimate(self, rows: Tensor, numbers: Tensor) -> Estimate:
        """Scores and standard errors ``(rows,)`` of the samples ``rows`` from their numbers ``(rows, draws, …)``."""
        ...


def sampling(batch: Batch, sampled: Sampled, draws: int, precision: float | None, fewest: int) -> Scoring:
    """Draw ``draws`` times, or at least ``fewest`` times until a sample's standard error is at most ``precision``."""
    rows = torch.arange(len(batch), device=batch.inputs.device)
    scores, errors = torch.full((2, len(batch)), torch.nan, dtype=torch.float64, device=rows.device)
    part, numbers, first = batch, None, 0
    for end in [draws] if precision is None else looks(fewest):
        works, read = sampled.draw(part, rows, first, end)
        yield works
        numbers, first = read() if numbers is None else torch.cat([numbers, read()], dim=1), end
        found = sampled.estimate(rows, numbers)
        scores[rows], errors[rows] = found.scores, found.standard_errors
        if precision is not None:
            # An undefined score has no error to wait for; a defined one may have an error that is not known yet.
            unfinished = ~(found.standard_errors <= precision) & ~found.scores.isnan()
            rows, numbers, part = rows[unfinished], numbers[unfinished], part.rows(unfinished)
            if len(rows) == 0:
                break
    return Estimate(scores, errors)


def looks(fewest: int) -> Iterator[int]:
    """Even numbers of draws, from ``fewest`` to :data:`MOST`, after which errors are looked at."""
    draws = fewest
    while draws < MOST:
        yield draws
        draws = 2 * math.ceil(GROWTH * draws / 2)
    yield MOST


def check_precision(precision: float | None) -> None:
    """Refuse a standard error that is not a positive number.

    Raises
    ------
    UserError
        Naming it.
    """
    if precision is not None and not 0.0 < precision < math.inf:
        raise UserError(f"precision is {precision}; give a standard error above 0, or None for a fixed number of draws")


def mean_of(draws: Tensor, *, in_pairs: bool = False) -> Estimate:
    """Mean of ``(batch, draws)`` and its standard error; draws 2j and 2j + 1 belong together where ``in_pairs``."""
    independent = pairs_of(draws).mean(2) if in_pairs else draws
    count = independent.shape[1]
    # The spread of a single draw is not known.
    errors = independent.std(1) / math.sqrt(count) if count > 1 else torch.full_like(independent[:, 0], torch.nan)
    return Estimate(independent.mean(1), errors)


def pairs_of(draws: Tensor) -> Tensor:
    """Numbers of draws ``(batch, 2 · pairs, …)`` pair by pair, ``(batch, pairs, 2, …)``."""
    return draws.reshape(len(draws), -1, 2, *draws.shape[2:])


def moments(first: Tensor, second: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Terms of which means are taken, and the correlation of two ``(batch, draws)`` as a function of these."""
    a, b = (each - each.mean(1, keepdim=True) for each in (first, second))

    def correlation(means: Tensor) -> Tensor:
        mean_a, mean_b, a_a, a_b, b_b = means.unbind(-1)
        return (a_b - mean_a * mean_b) / ((a_a - mean_a**2) * (b_b - mean_b**2)).sqrt()

    return torch.stack([a, b, a * a, a * b, b * b], dim=-1), correlation


def jackknife(terms: Tensor, statistic: Callable[[Tensor], Tensor]) -> Estimate:
    """A function of means over draws, less its bias of order 1 / draws, and its standard error, both ``(batch,)``.

    Means are unbiased, a bent function of them is not (Quenouille 1956). NaN where it is undefined without one draw.

    Parameters
    ----------
    terms : Tensor
        ``(batch, draws, terms)``, what the means are taken of.
    statistic : callable
        Maps means ``(…, terms)`` to the score ``(…)``.
    """
    draws = terms.shape[1]
    without_one = statistic((terms.sum(1, keepdim=True) - terms) / (draws - 1))
    mean = without_one.mean(1)
    spread = (without_one - mean[:, None]).square().sum(1)
    return Estimate(draws * statistic(terms.mean(1)) - (draws - 1) * mean, ((draws - 1) / draws * spread).sqrt())
