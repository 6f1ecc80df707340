"""Pairs of subsets for faithfulness correlation that differ in summed attribution and share most features.

Idea
----
The covariance of summed attribution s and drop d is the mean of ½ (s₁ − s₂) (d₁ − d₂) over two independent random
subsets. Most of d₁ − d₂ has nothing to do with s. So the first subset of a pair is replaced by one with the same s that
is made of the second: some of its features are exchanged for others, at random, each pair of features with a chance in
proportion to the difference of their attributions. What the two then have in common, which is nearly everything, drops
out of the difference of their drops.

Two random subsets hardly differ in s, and little is learned from them. So a pair is chosen among some hundred, which
two random orders of the features give when each is cut into subsets, with a chance in proportion to (s₁ − s₂)². Weights
by the inverse of that chance are bounded and leave the means what they are.

The second subset is a random one and the first has the s of a random one, whatever the attributions are, so a drop that
is any function of s correlates as it does over independent subsets. Of other drops this holds as far as what s does not
determine stays random where few features are exchanged; subsets of fewer than :data:`FEWEST_CHOSEN` squares, of which
a larger part is exchanged, are refused.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from audioxai.metrics.engine import Estimate
from audioxai.metrics.precision import jackknife, pairs_of
from audioxai.utils.counter_random import Streams

# Squares or features of a subset from which a tenth of them or less is exchanged, for most maps.
FEWEST_CHOSEN = 200
# Relative spread of summed attributions up to which it is their rounding.
ROUNDING = 1e-12
# In place of a gain that is 0 or less, to divide by.
NO_GAIN = 1e-300
# Numbers that are known of a subset.
KNOWN = 3


@dataclass(frozen=True, eq=False)
class PairedSubsets:
    """Subsets ``2j`` and ``2j + 1`` of the runs are a pair; every sample has its own.

    Attributes
    ----------
    squares : Tensor
        Square that each feature of a sample belongs to, ``(batch, features)``, int64.
    relevance : Tensor
        Summed attribution of each square, ``(batch, squares)``, float64.
    chosen : int
        Squares of a subset.
    purpose : tuple
        What the random numbers are for, seed included.
    """

    squares: Tensor
    relevance: Tensor
    chosen: int
    purpose: tuple[object, ...]

    @classmethod
    def of(
        cls, squares: Tensor, offsets: Tensor, relevance: Tensor, chosen: int, purpose: tuple[object, ...]
    ) -> "PairedSubsets":
        """Of features ``(…)`` that belong to these squares, moved by each sample's offsets ``(batch, axes)``.

        ``relevance`` is that of the features, ``(batch, features)``, float64.
        """
        axes = tuple(range(squares.ndim))
        own = torch.stack([squares.roll(tuple(offset), axes).flatten() for offset in offsets.tolist()])
        empty = torch.zeros(len(own), int(squares.max()) + 1, dtype=relevance.dtype, device=relevance.device)
        return cls(own, empty.scatter_add_(1, own, relevance), chosen, purpose)

    @cached_property
    def standard(self) -> Tensor:
        """Relevance ``(batch, squares)`` whose sum over random subsets has mean 0 and variance 1; all 0 if constant."""
        count = self.relevance.shape[1]
        centred = self.relevance - self.relevance.mean(1, keepdim=True)
        # Of a sample of so many without replacement.
        share = self.chosen * (count - self.chosen) / (count * (count - 1))
        spread = (share * centred.square().sum(1, keepdim=True)).sqrt()
        varies = spread > ROUNDING * self.relevance.norm(dim=1, keepdim=True)
        return torch.where(varies, centred / spread, 0.0)

    def __call__(self, samples: Tensor, runs: Tensor) -> tuple[Tensor, Tensor]:
        """Subsets ``(n, features)``, True where removed, and what is known of them, ``(n, KNOWN)``; runs ascend.

        Known are the standardised summed relevance, the weight of the subset and that of its pair.
        """
        met, pairs = torch.unique_consecutive(runs // 2, return_inverse=True)
        first_orders, second_orders, moments, numbers = self._random(tuple(met.tolist()), runs.device)
        standard, whole = self.standard[samples], self.relevance.shape[1] // self.chosen
        values = standard.gather(1, second_orders[pairs]).reshape(len(runs), -1, self.chosen)
        first = standard.gather(1, first_orders[pairs]).reshape(len(runs), -1, self.chosen).sum(2)
        second = values[:, :whole].sum(2)
        chances = (first[:, :, None] - second[:, None]).square()
        of_first, of_second = _choice(chances, numbers[pairs])
        exchanging = runs % 2 == 0
        parts = of_second.repeat(1, self.chosen)
        changes = (first.gather(1, of_first) - second.gather(1, of_second))[exchanging]
        parts[exchanging] = exchanged(values[exchanging], of_second[exchanging], changes, moments[pairs[exchanging]])
        removed = second_orders[pairs[:, None], parts * self.chosen + torch.arange(self.chosen, device=runs.device)]
        weights = torch.where(
            exchanging, _inverse_chance(chances.sum(2), of_first), _inverse_chance(chances.sum(1), of_second)
        )
        known = torch.stack([standard.gather(1, removed).sum(1), weights, chances.mean((1, 2)) / 2.0], dim=1)
        subsets = torch.zeros_like(standard, dtype=torch.bool).scatter_(1, removed, value=True)
        return subsets.gather(1, self.squares[samples]), known

    @cached_property
    def _latest(self) -> dict[tuple[int, ...], tuple[Tensor, ...]]:
        """Random numbers of the latest pairs: samples that do not fit one call ask for them again."""
        return {}

    def _random(self, pairs: tuple[int, ...], device: torch.device) -> tuple[Tensor, ...]:
        """Random numbers of pairs.

        Returns
        -------
        tuple of Tensor
            An order of the squares as far as it can be cut into subsets; another, filled up to a whole number of
            subsets; for each place of that a number in (0, 1], infinite where it is filled up; a number in [0, 1).
        """
        if pairs not in self._latest:
            count = self.relevance.shape[1]
            missing = (0, -count % self.chosen)
            first, second, numbers = (
                Streams((*self.purpose, name), pairs, device) for name in ("first", "second", "numbers")
            )
            drawn = numbers.uniform(1 + count)
            self._latest.clear()
            self._latest[pairs] = (
                first.orders(count)[:, : count - count % self.chosen],
                pad(second.orders(count), missing),
                pad(1.0 - drawn[:, 1:], missing, value=torch.inf),
                drawn[:, :1],
            )
        return self._latest[pairs]


def exchanged(values: Tensor, part: Tensor, changes: Tensor, moments: Tensor) -> Tensor:
    """Exchange places of one part for the same places of others, so that their values sum to more, or to less.

    Which are exchanged first is left to chance, in proportion to what an exchange changes.

    Parameters
    ----------
    values : Tensor
        ``(n, parts, places)``, in random order.
    part : Tensor
        Number of the part, ``(n, 1)``.
    changes : Tensor
        By how much its sum is to change, ``(n, 1)``. It does so as nearly as whole exchanges allow, but by one exchange
        at least.
    moments : Tensor
        Uniform in (0, 1], shaped like the values; infinite where there is no value.

    Returns
    -------
    Tensor
        The part from which each place is taken, ``(n, places)``.
    """
    own = values.gather(1, part[..., None].expand(-1, 1, values.shape[2]))
    gains = (values - own) * changes.sign()[..., None]
    # Exchanges without a gain come last.
    earliest, parts = (moments.view_as(gains) / gains.clamp_min(NO_GAIN)).min(1)
    order = earliest.argsort(1)
    gained = gains.gather(1, parts[:, None])[:, 0].gather(1, order).clamp_min(0.0)
    # An exchange is made if the sum comes nearer by it; one in any case, for a subset and itself say nothing.
    made = gained.cumsum(1) - gained / 2.0 < changes.abs()
    made[:, 0] = True
    made &= gained > 0.0
    return torch.where(torch.empty_like(made).scatter_(1, order, made), parts, part)


def correlation_of_pairs(known: Tensor, drops: Tensor) -> Estimate:
    """Correlation and its standard error from paired subsets.

    Parameters
    ----------
    known : Tensor
        What :class:`PairedSubsets` say of their subsets, ``(batch, runs, KNOWN)``.
    drops : Tensor
        ``(batch, runs)``, float64.
    """
    s, weight, pair_weight = (pairs_of(each) for each in known.unbind(2))
    d = pairs_of(drops - drops.mean(1, keepdim=True))
    apart_s, apart_d = (each[..., 0] - each[..., 1] for each in (s, d))
    differ = apart_s != 0
    slopes, pair_weight = torch.where(differ, apart_d / apart_s, 0.0), torch.where(differ, pair_weight[..., 0], 0.0)

    def correlation(means: Tensor) -> Tensor:
        weighted_slope, slope_weight, weights, *weighted = means.unbind(-1)
        slope = weighted_slope / slope_weight
        mean_s, mean_d, s_s, s_d, d_d = (each / weights for each in weighted)
        around = d_d - mean_d**2 - 2.0 * slope * (s_d - mean_s * mean_d) + slope**2 * (s_s - mean_s**2)
        return slope / (around.clamp_min(0.0) + slope**2).sqrt()

    moments = [(weight * each).mean(2) for each in (torch.ones_like(s), s, d, s * s, s * d, d * d)]
    terms = torch.stack([pair_weight * slopes, pair_weight, *moments], dim=-1)
    found = jackknife(terms, correlation)
    return replace(found, scores=found.scores.clamp(-1.0, 1.0))


def _choice(chances: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column ``(n, 1)`` of one of ``chances`` ``(n, rows, columns)``, by uniform numbers ``(n, 1)``."""
    ends = chances.flatten(1).cumsum(1)
    place = torch.searchsorted(ends, numbers * ends[:, -1:], right=True).clamp_max(ends.shape[1] - 1)
    return place // chances.shape[2], place % chances.shape[2]


def _inverse_chance(chances: Tensor, chosen: Tensor) -> Tensor:
    """Mean chance by that of the one ``chosen`` ``(n, 1)``, given ``(n, several)``; 1 where all are 0. ``(n,)``."""
    mean = chances.mean(1)
    return torch.where(mean > 0.0, mean / chances.gather(1, chosen)[:, 0], 1.0)
