"""How large a paired difference is, in units that compare across metrics, each with an interval over clusters.

Idea
----
Three sizes answer three questions about differences d = first − second:

* Cohen's d_z: how many standard deviations of the speakers' mean differences is their mean away from 0?
* Matched-pairs rank-biserial correlation: (W⁺ − W⁻) / (W⁺ + W⁻) of Wilcoxon's signed ranks of the speakers' means;
  1 where every speaker agrees, 0 where they cancel.
* Probability of superiority: how often is the first better on the same clip, ties counted half? Averaged over speakers.

Intervals: d_z by inverting the noncentral t distribution, which supposes bell-shaped speakers' means; where they have
heavy tails it covers less (92 %; 89 % where d_z is above 1), where they are skewed more (99 %). The other two are
proportions of clustered things; theirs is Wilson's interval with the effective number of observations, the number that
would give the variance seen between clusters. Where all clusters agree wholly each counts as one observation, so six
speakers who agree do not prove the seventh. The jackknife variance of the rank-biserial correlation errs on the large
side already, so its quantile is the normal's; the other's is Student's.

References
----------
Kerby, D. S. (2014), The simple difference formula, Comprehensive Psychology 3. Cumming, G. & Finch, S. (2001), A primer
on confidence intervals based on noncentral distributions, EPM 61, 532. Wilson, E. B. (1927), Probable inference, JASA
22, 209. Dean, N. & Pagano, M. (2015), Evaluating confidence interval methods for binomial proportions in clustered
surveys, Journal of Survey Statistics and Methodology 3, 484.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import nctdtrinc
from scipy.stats import norm
from scipy.stats import t as student

from audioxai.statistics.interval import ROUNDING, ClusterSums, Floats, Interval, cluster_sums
from audioxai.statistics.means import MeanEstimate, checked, cluster_mean


def cohens_dz(differences: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of the clusters' mean differences in units of their standard deviation.

    Returns
    -------
    Interval
        NaN with fewer than two clusters and where all clusters agree exactly.

    Raises
    ------
    UserError
        As :func:`cluster_mean`, or if ``confidence`` lies outside (0, 1).
    """
    found, tail = cluster_mean(differences, clusters), (1 - checked(confidence)) / 2
    if not found.variance > 0:
        return _with_counts(found, float("nan"), float("nan"), float("nan"))
    t, root = found.mean / found.variance**0.5, found.clusters**0.5
    ends = [float(nctdtrinc(found.degrees_of_freedom, p, t)) / root for p in (1 - tail, tail)]
    return _with_counts(found, t / root, *ends)


def superiority(differences: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Interval:
    """Share of scores, averaged over clusters, where the difference is positive; ties count half. In [0, 1].

    Raises
    ------
    UserError
        As :func:`cohens_dz`.
    """
    values = np.asarray(differences, dtype=np.float64)
    share = cluster_mean(np.where(np.isnan(values), np.nan, (np.sign(values) + 1) / 2), clusters)
    quantile = float(student.ppf((1 + checked(confidence)) / 2, share.degrees_of_freedom))
    low, high = _wilson(share, share.n, quantile)
    return _with_counts(share, share.mean, low, high)


def rank_biserial(differences: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Interval:
    """Matched-pairs rank-biserial correlation of the clusters' mean differences, in [−1, 1].

    Clusters without any difference are left out, as in Wilcoxon's test; 0 where none is left.

    Raises
    ------
    UserError
        As :func:`cohens_dz`.
    """
    quantile = float(norm.ppf((1 + checked(confidence)) / 2))
    share, groups = _walsh_share(differences, clusters)
    low, high = _wilson(share, share.n, quantile)
    counts = int(groups.counts.sum()), groups.sums.size, groups.undefined
    return Interval(2 * share.mean - 1, 2 * low - 1, 2 * high - 1, *counts)


def _walsh_share(differences: ArrayLike, clusters: ArrayLike) -> tuple[MeanEstimate, ClusterSums]:
    """W⁺ / (W⁺ + W⁻), with a jackknife over clusters.

    W⁺ is the number of pairs of clusters (each with itself too) whose mean differences sum to something positive, ties
    counted half, so leaving one cluster out is leaving out a row of the table of those pairs.
    """
    groups = cluster_sums(differences, clusters)
    means = groups.sums / groups.counts
    means = means[np.abs(means) > ROUNDING * np.abs(means).max(initial=0)]
    count = means.size
    if not count:
        share = 0.5 if groups.sums.size else float("nan")
        return MeanEstimate(share, float("nan"), float("nan"), 0, 0, groups.undefined), groups
    wins = (np.sign(_without_rounding(means[:, None] + means, means)) + 1) / 2
    total = (wins.sum() + np.trace(wins)) / 2
    share = float(total / (count * (count + 1) / 2))
    variance = freedom = float("nan")
    if count >= 2:
        without = (total - wins.sum(axis=1)) / (count * (count - 1) / 2)
        variance, freedom = float((count - 1) * without.var()), float(count - 1)
    return MeanEstimate(share, variance, freedom, count, count, groups.undefined), groups


def _without_rounding(sums: Floats, terms: Floats) -> Floats:
    return np.where(np.abs(sums) <= ROUNDING * np.abs(terms).max(), 0.0, sums)


def _wilson(share: MeanEstimate, most: int, quantile: float) -> tuple[float, float]:
    """Wilson's ends with as many observations as the variance between clusters is worth, ``most`` at most."""
    if share.clusters < 2:
        return float("nan"), float("nan")
    observations = float(share.clusters)
    if share.variance > 0:
        observations = min(float(most), share.mean * (1 - share.mean) / share.variance)
    pull = quantile**2 / observations
    centre = (share.mean + pull / 2) / (1 + pull)
    half = (pull * (share.mean * (1 - share.mean) + pull / 4)) ** 0.5 / (1 + pull)
    return max(0.0, centre - half), min(1.0, centre + half)


def _with_counts(found: MeanEstimate, mean: float, low: float, high: float) -> Interval:
    return Interval(mean, low, high, found.n, found.clusters, found.undefined)
