"""Means of clustered scores and how far to trust them: cluster bootstrap intervals.

Idea
----
Scores of one speaker (or of one image under several trained models) resemble each other, so whole clusters are
resampled, never single scores. A cluster enters only through the sum and the number of its scores; a resample is then a
vector of cluster multiplicities and every replicate of a mean is a quotient of two dot products.

Conventions
-----------
Undefined scores are NaN; they are left out and counted. A cluster without any defined score is no cluster. Means weigh
every score alike, so a larger cluster counts for more. Intervals are bias-corrected and accelerated (BCa) with a
jackknife over clusters, and plain percentile intervals where BCa is not defined. With fewer than two clusters there is
no interval: its ends are NaN. The order of the scores never matters, not even in the last bit.

References
----------
Efron, B. & Tibshirani, R. J. (1993), An Introduction to the Bootstrap, equations 14.10 and 14.15. Davison, A. C. &
Hinkley, D. V. (1997), Bootstrap Methods and their Application, section 3.8 (resampling whole clusters).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from audio_xai.utils.errors import UserError

Floats = NDArray[np.float64]
# Equal scores must give no difference at all: what is this small beside the numbers it came from is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval and what it rests on.

    Attributes
    ----------
    mean, low, high : float
        The estimate and its interval; NaN where there is none.
    n, clusters : int
        Defined scores that were used and clusters they came from.
    undefined : int
        Scores that were left out because they are NaN.
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: int
    undefined: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval exists and lies wholly on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class _ClusterSums:
    """Sum and number of the defined scores of every cluster, sorted by cluster."""

    sums: Floats
    counts: Floats
    undefined: int

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.counts.sum()) if self.sums.size else float("nan")

    def replicates(self, resamples: int, seed: int, group: int) -> Floats:
        """Mean of every resample, ``(resamples,)``."""
        weights = _multiplicities(self.sums.size, resamples, seed, group)
        means: Floats = (weights @ self.sums) / (weights @ self.counts)
        return means

    def jackknife(self) -> Floats:
        """Mean without each cluster in turn, ``(clusters,)``."""
        without: Floats = (self.sums.sum() - self.sums) / (self.counts.sum() - self.counts)
        return without


def mean_interval(
    scores: ArrayLike,
    clusters: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    *,
    seed: int,
) -> Interval:
    """Mean of ``scores`` with its cluster bootstrap interval.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores in any unit; NaN where undefined.
    clusters : array_like, shape (n,)
        The cluster every score belongs to.
    confidence : float
        Coverage aimed at, between 0 and 1.
    resamples : int
        Bootstrap replicates.
    seed : int
        Seed of the resampling; the same seed gives the same resamples for every set of as many clusters.

    Raises
    ------
    UserError
        If the lengths differ, ``confidence`` lies outside (0, 1) or ``resamples`` is below 1.
    """
    return _interval([_cluster_sums(scores, clusters)], confidence, resamples, seed)


def difference_interval(
    first: ArrayLike,
    first_clusters: ArrayLike,
    second: ArrayLike,
    second_clusters: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    *,
    seed: int,
) -> Interval:
    """Mean of ``first`` minus mean of ``second``, two independent groups whose clusters are resampled separately.

    ``n``, ``clusters`` and ``undefined`` are those of both groups together. Parameters, units and errors are those of
    :func:`mean_interval`; a group of fewer than two clusters leaves the interval's ends NaN.
    """
    groups = [_cluster_sums(first, first_clusters), _cluster_sums(second, second_clusters)]
    return _interval(groups, confidence, resamples, seed)


def slopes_per_doubling(
    scores: ArrayLike, resolutions: ArrayLike, pairs: ArrayLike, clusters: ArrayLike
) -> pd.DataFrame:
    """Least-squares slope of the score against log2(resolution), one a pair.

    All pairs share the same resolutions, so the mean of these slopes is the slope through the means of the resolutions.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores; a pair's repeated scores at one resolution are averaged.
    resolutions : array_like, shape (n,)
        Rows of the input, positive.
    pairs, clusters : array_like, shape (n,)
        What is followed over the resolutions (a sample under one training seed), and the cluster it belongs to.

    Returns
    -------
    DataFrame
        Columns ``slope`` (score per doubling of the resolution; NaN where the pair misses a defined score at any
        resolution) and ``cluster``, sorted by pair. Empty with fewer than two resolutions.

    Raises
    ------
    UserError
        If the lengths differ or a pair lies in more than one cluster.
    """
    lengths = {np.size(values) for values in (scores, resolutions, pairs, clusters)}
    if len(lengths) != 1:
        raise UserError(
            f"scores, resolutions, pairs and clusters have lengths {sorted(lengths)}; give one of each a row"
        )
    columns: dict[str, Any] = {"score": scores, "resolution": resolutions, "pair": pairs, "cluster": clusters}
    frame = pd.DataFrame(columns).sort_values(["pair", "resolution", "score"])
    cluster_of_pair = frame.groupby("pair")["cluster"].agg(["first", "nunique"])
    if (cluster_of_pair["nunique"] > 1).any():
        raise UserError("a pair lies in more than one cluster; give every pair the cluster of its sample")
    grid = frame.pivot_table(index="pair", columns="resolution", values="score", aggfunc="mean", dropna=False)
    if grid.shape[1] < 2:
        return pd.DataFrame({"slope": [], "cluster": []})
    octaves = np.log2(grid.columns.to_numpy(dtype=np.float64))
    centred = octaves - octaves.mean()
    scores_by_pair = grid.to_numpy(dtype=np.float64)
    slopes = scores_by_pair @ (centred / (centred**2).sum())
    slopes[np.abs(slopes) <= ROUNDING * np.abs(scores_by_pair).max(axis=1)] = 0  # NaN compares as False and stays
    return pd.DataFrame({"slope": slopes, "cluster": cluster_of_pair["first"].to_numpy()}, index=grid.index)


def paired_slope_interval(
    scores: ArrayLike,
    resolutions: ArrayLike,
    pairs: ArrayLike,
    clusters: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    *,
    seed: int,
) -> Interval:
    """Mean of :func:`slopes_per_doubling` with its cluster bootstrap interval.

    Pairing by sample takes the differences between samples out of the trend. ``n`` counts complete pairs and
    ``undefined`` incomplete ones. Parameters and errors are those of the two functions this one joins.
    """
    slopes = slopes_per_doubling(scores, resolutions, pairs, clusters)
    return mean_interval(slopes["slope"], slopes["cluster"], confidence, resamples, seed=seed)


def _cluster_sums(scores: ArrayLike, clusters: ArrayLike) -> _ClusterSums:
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(clusters)
    if values.shape != labels.shape or values.ndim != 1:
        raise UserError(f"scores have shape {values.shape} and clusters {labels.shape}; give one cluster a score")
    defined = ~np.isnan(values)
    _, index = np.unique(labels[defined], return_inverse=True)
    # Sums in one order only, so that shuffled rows give the same bits.
    order = np.lexsort((values[defined], index))
    index, ordered = index[order], values[defined][order]
    sums = np.bincount(index, weights=ordered).astype(np.float64)
    return _ClusterSums(sums, np.bincount(index).astype(np.float64), int((~defined).sum()))


@lru_cache(maxsize=8)
def _multiplicities(clusters: int, resamples: int, seed: int, group: int) -> Floats:
    """How often every cluster is drawn, ``(resamples, clusters)``; kept because most cells share it."""
    drawn = np.random.default_rng([seed, group]).integers(clusters, size=(resamples, clusters))
    drawn += np.arange(resamples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)


def _interval(groups: Sequence[_ClusterSums], confidence: float, resamples: int, seed: int) -> Interval:
    """Interval of the first group's mean, less the second's where there is one."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    if resamples < 1:
        raise UserError(f"resamples is {resamples}; give at least 1")
    signs = (1.0, -1.0)[: len(groups)]
    estimate = sum(sign * group.mean for sign, group in zip(signs, groups, strict=True))
    if abs(estimate) <= ROUNDING * max(abs(group.mean) for group in groups):
        estimate = 0.0
    low = high = float("nan")
    if all(group.sums.size >= 2 for group in groups):
        replicates = np.zeros(resamples)
        # Groups are independent: each draws from a stream of its own.
        for stream, (sign, group) in enumerate(zip(signs, groups, strict=True)):
            replicates += sign * group.replicates(resamples, seed, stream)
        jackknives = [sign * group.jackknife() for sign, group in zip(signs, groups, strict=True)]
        low, high = _bca_ends(estimate, replicates, jackknives, confidence)
    return Interval(
        mean=estimate,
        low=low,
        high=high,
        n=int(sum(group.counts.sum() for group in groups)),
        clusters=sum(group.sums.size for group in groups),
        undefined=sum(group.undefined for group in groups),
    )


def _bca_ends(
    estimate: float, replicates: Floats, jackknives: Sequence[Floats], confidence: float
) -> tuple[float, float]:
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if np.ptp(replicates) <= ROUNDING * max(1.0, abs(estimate)):  # all clusters agree
        return estimate, estimate
    below = np.mean(replicates < estimate) + np.mean(replicates == estimate) / 2
    if 0 < below < 1:
        bias = norm.ppf(below)
        shifted = bias + norm.ppf(tails)
        stretch = 1 - _acceleration(jackknives) * shifted
        if (stretch > 0).all():
            tails = norm.cdf(bias + shifted / stretch)
    low, high = np.quantile(replicates, tails)
    return float(low), float(high)


def _acceleration(jackknives: Sequence[Floats]) -> float:
    """Skewness of the influence of single clusters, all groups together."""
    influences = [(values.size - 1) / values.size * (values.mean() - values) for values in jackknives]
    second = sum(float((influence**2).sum()) for influence in influences)
    third = sum(float((influence**3).sum()) for influence in influences)
    return third / (6 * second**1.5) if second > 0 else 0.0
