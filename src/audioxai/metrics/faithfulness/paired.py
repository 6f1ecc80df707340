"""Pairs of subsets for faithfulness correlation that differ in summed attribution and share most features.

Idea
----
The covariance of summed attribution s and drop d is the mean of ½ (s₁ − s₂) (d₁ − d₂) over two independent random
subsets. Most of d₁ − d₂ has nothing to do with s. So the first subset of a pair is replaced by one with the same s that
is made of the second: some of its features are exchanged for others, at random, each pair of features with a chance in
proportion to the difference of their attributions. What the two then have in common, which is nearly everything, drops
out of the difference of their drops.

Single features that weigh much are not exchanged like that, as one of them could exceed the difference: the first
subset keeps those that it had. So its s is that of a random subset up to half of an exchange, whatever the
attributions are, and a drop that is any function of s correlates as it does over independent subsets. Of other drops
this holds as far as what s and the large features do not determine stays random where few features are exchanged;
subsets of fewer than :data:`FEWEST_CHOSEN` squares, of which a larger part is exchanged, are refused, and so are those
of more than half of the squares, for which too few are left.

Two random subsets hardly differ in s, and little is learned from them. So a pair is chosen among all that two random
orders of the features give when each is cut into subsets, with a chance that grows with (s₁ − s₂)². Weights by the
inverse of that chance, which is bounded, leave the means what they are.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from audioxai.metrics.engine import Estimate
from audioxai.metrics.precision import jackknife, pairs_of
from audioxai.utils.counter_random import Streams

# Squares or features of a subset from which a tenth of them or less is exchanged, for most maps.
FEWEST_CHOSEN = 200
# Attribution from which a feature is large, by the standard deviation of s.
LARGE = 0.25
# Every pair of subsets has at least this part of the mean chance.
EVENLY = 0.1
# Relative spread of attributions up to which it is their rounding.
ROUNDING = 1e-14
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
        Squares of a subset, at most half of them.
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

        Known are the standardised summed relevance, the weight of the subset and that of the difference in its pair.
        """
        met, pairs = torch.unique_consecutive(runs // 2, return_inverse=True)
        first_orders, second_orders, numbers, choosing = self._random(tuple(met.tolist()), runs.device)
        standard = self.standard[samples]
        first, second = (_values(standard, orders[pairs]) for orders in (first_orders, second_orders))
        sums, others = first.sum(2), second[:, : first.shape[1]].sum(2)
        apart = sums[:, :, None] - others[:, None]
        chances = apart.square() + EVENLY * apart.square().mean((1, 2), keepdim=True)
        one, other = _choice(chances, choosing[pairs])
        removed = second_orders[pairs, other]
        is_moved = runs % 2 == 0
        moved = torch.nonzero(is_moved)[:, 0]
        given = first_orders[pairs[moved], one[moved]], first[moved, one[moved]]
        drawn = second_orders, numbers, pairs[moved]
        part = other[moved]
        removed[moved] = exchanged(given, part, (part + 1) % first.shape[1], second[moved], drawn)
        weights = torch.where(is_moved, _inverse_chance(chances.sum(2), one), _inverse_chance(chances.sum(1), other))
        chosen = torch.arange(len(runs), device=runs.device), one, other
        pair_weights = apart[chosen] / 2.0 * _inverse_chance(chances.flatten(1), one * chances.shape[2] + other)
        known = torch.stack([standard.gather(1, removed).sum(1), weights, pair_weights], dim=1)
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
            Two random permutations of the squares, ``(pairs, subsets, chosen)``, the first cut off at a whole number of
            subsets, the second padded to one; uniform numbers in (0, 1] shaped like the second, infinite where it is
            padded; and uniform numbers in [0, 1), ``(pairs, 1)``.
        """
        found = self._latest.get(pairs)
        if found is None:
            count = self.relevance.shape[1]
            missing = (0, -count % self.chosen)
            first, second, numbers = (
                Streams((*self.purpose, name), pairs, device) for name in ("first", "second", "numbers")
            )
            drawn = numbers.uniform(1 + count)
            orders = (
                first.orders(count)[:, : count - count % self.chosen],
                pad(second.orders(count), missing),
                pad(1.0 - drawn[:, 1:], missing, value=torch.inf),
            )
            found = *(each.reshape(len(pairs), -1, self.chosen) for each in orders), drawn[:, :1]
            self._latest.clear()
            self._latest[pairs] = found
        return found


def exchanged(
    given: tuple[Tensor, Tensor], part: Tensor, other: Tensor, values: Tensor, drawn: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """Subsets with the large features and the summed relevance of reference subsets, few other features exchanged.

    Parameters
    ----------
    given : tuple of Tensor
        Reference subsets: squares in random order, int64, and their relevance, both ``(n, chosen)``.
    part, other : Tensor
        Indices along axis 1 of ``values``, ``(n,)``: the subset to change, and another complete one.
    values : Tensor
        Relevance of permuted squares, ``(n, parts, chosen)``. A square may be exchanged for those with the same index
        along axis 2.
    drawn : tuple of Tensor
        Random permutations of the squares ``(pairs, parts, chosen)``, int64; uniform numbers in (0, 1] of the same
        shape, infinite where the permutation is padded; and the pair index per subset, ``(n,)``.

    Returns
    -------
    Tensor
        Squares per subset, ``(n, chosen)``, int64; the sum is within half an exchange of the reference's where enough
        squares can be exchanged.
    """
    (squares, due), (orders, numbers, pairs) = given, drawn
    rows, places = torch.arange(len(part), device=part.device), torch.arange(due.shape[1], device=part.device)
    own, own_values = orders[pairs, part], values[rows, part]
    times = numbers[pairs].masked_fill_(values.abs() > LARGE, torch.inf)
    times[rows, part] = torch.inf
    # Large features first, those that leave and those that enter; the others in random order, as they were.
    leave, enter = (each.abs() > LARGE for each in (own_values, due))
    leaving, entering = (each.byte().argsort(dim=1, descending=True, stable=True) for each in (leave, enter))
    left, entered = (each.sum(1, keepdim=True) for each in (leave, enter))
    # Where more leave, the first small ones of the other part come, too, and are not there for an exchange.
    small = times[rows, other].isfinite().cumsum(1)
    first_small = torch.searchsorted(small, places - entered + 1).clamp_max(len(places) - 1)
    times[rows, other] = times[rows, other].masked_fill_(small <= left - entered, torch.inf)
    replaced = places < torch.maximum(left, entered)

    def with_large(subset: Tensor, reference: Tensor, others: Tensor) -> Tensor:
        coming = torch.where(places < entered, reference.gather(1, entering), others.gather(1, first_small))
        return subset.scatter(1, leaving, torch.where(replaced, coming, subset.gather(1, leaving)))

    kept = with_large(own, squares, orders[pairs, other])
    kept_values = with_large(own_values, due, values[rows, other])
    change = (due - kept_values).sum(1, keepdim=True)
    # Those that were replaced stay.
    against = (kept_values * change.sign()).masked_fill_(
        torch.empty_like(replaced).scatter_(1, leaving, replaced), torch.inf
    )
    towards = values * change.sign()[..., None]
    # An exchange comes the earlier the more it changes, in proportion.
    earliest, parts = times.div_((towards - against[:, None]).clamp_min_(NO_GAIN)).min(1)
    order = earliest.argsort(1)
    gained = (towards.gather(1, parts[:, None])[:, 0] - against).clamp_min_(0.0)
    gained = torch.where(earliest.isfinite(), gained, 0.0).gather(1, order)
    made = (gained.cumsum(1) - gained / 2.0 < change.abs()) & (gained > 0.0)
    made = torch.empty_like(made).scatter_(1, order, made)
    return torch.where(made, orders[pairs[:, None], parts, places], kept)


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
    apart_s, apart_d = (pair_weight[..., 0] * (each[..., 0] - each[..., 1]) for each in (s, d))

    def correlation(means: Tensor) -> Tensor:
        mean_apart_s, mean_apart_d, weights, *weighted = means.unbind(-1)
        slope = mean_apart_d / mean_apart_s
        mean_s, mean_d, s_s, s_d, d_d = (each / weights for each in weighted)
        around = d_d - mean_d**2 - 2.0 * slope * (s_d - mean_s * mean_d) + slope**2 * (s_s - mean_s**2)
        return slope / (around.clamp_min(0.0) + slope**2).sqrt()

    moments = [(weight * each).mean(2) for each in (torch.ones_like(s), s, d, s * s, s * d, d * d)]
    found = jackknife(torch.stack([apart_s, apart_d, *moments], dim=-1), correlation)
    # Where no pair differs in drop, nothing says how large a difference the next one has.
    known_errors = torch.where((apart_d != 0.0).any(1), found.standard_errors, torch.nan)
    return Estimate(found.scores.clamp(-1.0, 1.0), known_errors)


def _values(standard: Tensor, squares: Tensor) -> Tensor:
    """Relevance ``(n, parts, places)`` of squares of that shape."""
    return standard.gather(1, squares.flatten(1)).view_as(squares)


def _choice(chances: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column ``(n,)`` of one of ``chances`` ``(n, rows, columns)``, by uniform numbers ``(n, 1)``."""
    ends = chances.flatten(1).cumsum(1)
    place = torch.searchsorted(ends, numbers * ends[:, -1:], right=True).clamp_max(ends.shape[1] - 1)[:, 0]
    return place // chances.shape[2], place % chances.shape[2]


def _inverse_chance(chances: Tensor, chosen: Tensor) -> Tensor:
    """Mean chance by that of the one ``chosen`` ``(n,)``, given ``(n, several)``; 1 where all are 0. ``(n,)``."""
    mean = chances.mean(1)
    return torch.where(mean > 0.0, mean / chances.gather(1, chosen[:, None])[:, 0], 1.0)
