"""Means of clustered scores with intervals that hold for few clusters too: the default of this project.

Idea
----
A speaker's scores resemble each other, so a speaker is one observation however many clips there are: what is uncertain
is which speakers were recorded. Every mean here is a weighted mean of the clusters' means, and its variance comes from
how those scatter (CR2, each squared residual divided by one minus its weight), with Satterthwaite's degrees of freedom.

* :func:`cluster_mean` weighs every cluster alike. CR2 is then the textbook one-sample t interval over the clusters'
  means. **This is the default for paired differences**, for three reasons. Asked about speakers not yet heard, one who
  recorded thirty clips says no more than one who recorded three. Clusters of unequal size have means of unequal
  variance, and the t test stays on the safe side of 5 % then (Ibragimov & Müller). And it covers: 93–96 % with 6, 12
  and 60 clusters of unequal sizes in ``benchmarks/statistics_coverage.py``, where a BCa bootstrap of whole clusters
  covers 81 %, 87 % and 93 %. Bootstrap-t and a skewness-corrected t were tried; they were wider and covered less.
* :func:`score_mean` weighs every score alike, for tables that show the mean of all scores. The degrees of freedom
  assume weights in inverse proportion to the variances, that is: scores that differ independently within clusters. It
  covers 92–96 %, the least where few speakers differ in a skewed way.
* :func:`contrast` combines independent groups (two datasets, two modalities), by Welch and Satterthwaite. With
  :func:`score_mean` of 6, 12 or 60 clusters beside 60 others it covers 91–96 %, the least in the same case.

All are conditional on the models that were trained; :mod:`audioxai.statistics.crossed` asks about others.

Conventions
-----------
Undefined scores are NaN; they are left out and counted, so for paired differences pass ``first − second``: a pair that
lacks either is left out. With fewer than two clusters there is a mean and no interval (NaN). The order of the scores
does not matter.

References
----------
Bell, R. M. & McCaffrey, D. F. (2002), Bias reduction in standard errors for linear regression with multi-stage samples.
Ibragimov, R. & Müller, U. K. (2010), t-statistic based correlation and heterogeneity robust inference, JBES 28, 453.
Welch, B. L. (1947), The generalization of Student's problem, Biometrika 34, 28.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from audioxai.statistics.interval import ROUNDING, ClusterSums, Floats, Interval, cluster_sums
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class MeanEstimate:
    """A mean, its variance and how well that variance is known.

    Attributes
    ----------
    mean : float
        The estimate; NaN without any defined score.
    variance : float
        Square of its standard error; NaN with fewer than two clusters.
    degrees_of_freedom : float
        Of Student's t; NaN with fewer than two clusters.
    n, clusters, undefined : int
        As in :class:`Interval`.
    """

    mean: float
    variance: float
    degrees_of_freedom: float
    n: int
    clusters: int
    undefined: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's t interval; without width where all clusters agree.

        Raises
        ------
        UserError
            If ``confidence`` lies outside (0, 1).
        """
        half = student.ppf((1 + checked(confidence)) / 2, self.degrees_of_freedom) * self.variance**0.5
        low, high = float(self.mean - half), float(self.mean + half)
        return Interval(self.mean, low, high, self.n, self.clusters, self.undefined)

    @property
    def p_value(self) -> float:
        """Two-sided p of "the mean is 0"; NaN where there is no interval, 1 for all zeros, 0 for other constants."""
        if self.variance == 0:
            return float(self.mean == 0)
        return float(2 * student.sf(abs(self.mean) / self.variance**0.5, self.degrees_of_freedom))


def cluster_mean(scores: ArrayLike, clusters: ArrayLike) -> MeanEstimate:
    """Mean of the clusters' means, every cluster alike.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores or paired differences in any unit; NaN where undefined.
    clusters : array_like, shape (n,)
        The cluster every score belongs to.

    Raises
    ------
    UserError
        If the lengths differ, a cluster is missing or a score is infinite.
    """
    groups = _finite_sums(scores, clusters)
    return _estimate(groups, np.ones(groups.sums.size))


def score_mean(scores: ArrayLike, clusters: ArrayLike) -> MeanEstimate:
    """Mean of all scores, every score alike, so that a larger cluster counts for more.

    Parameters and errors are those of :func:`cluster_mean`.
    """
    groups = _finite_sums(scores, clusters)
    return _estimate(groups, groups.counts)


def contrast(groups: Sequence[MeanEstimate], coefficients: Sequence[float]) -> MeanEstimate:
    """Sum of ``coefficients`` times the means of independent groups: ``(1, −1)`` is a difference.

    A group without interval leaves the sum without one.

    Raises
    ------
    UserError
        If there is not one coefficient a group.
    """
    if len(groups) != len(coefficients) or not groups:
        raise UserError(f"there are {len(groups)} groups and {len(coefficients)} coefficients; give one per group")
    factors = np.asarray(coefficients, dtype=np.float64)
    variances = factors**2 * [group.variance for group in groups]
    mean = float(factors @ [group.mean for group in groups])
    if abs(mean) <= ROUNDING * max(abs(group.mean) for group in groups):
        mean = 0.0
    return MeanEstimate(
        mean=mean,
        variance=float(variances.sum()),
        degrees_of_freedom=_satterthwaite(variances, np.array([group.degrees_of_freedom for group in groups])),
        n=sum(group.n for group in groups),
        clusters=sum(group.clusters for group in groups),
        undefined=sum(group.undefined for group in groups),
    )


def pooled_mean(scores: ArrayLike, clusters: ArrayLike, strata: ArrayLike) -> MeanEstimate:
    """Average over strata (datasets) of :func:`cluster_mean` within each, every stratum alike.

    So a dataset of sixty speakers does not outvote one of six. A stratum without any defined score is left out.

    Parameters
    ----------
    scores, clusters : array_like, shape (n,)
        As in :func:`cluster_mean`; clusters of the same name in different strata are different clusters.
    strata : array_like, shape (n,)
        The stratum every score belongs to.

    Raises
    ------
    UserError
        As :func:`cluster_mean`.
    """
    values, labels, parts = np.asarray(scores, dtype=np.float64), np.asarray(clusters), np.asarray(strata)
    if not values.shape == labels.shape == parts.shape:
        raise UserError(f"scores have shape {values.shape} and strata {parts.shape}; give one stratum a score")
    found = [cluster_mean(values[parts == part], labels[parts == part]) for part in np.unique(parts)]
    used = [group for group in found if group.n] or found
    if not used:
        return cluster_mean(values, labels)
    return contrast(used, [1 / len(used)] * len(used))


def checked(confidence: float) -> float:
    """``confidence`` itself.

    Raises
    ------
    UserError
        If it lies outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    return confidence


def _finite_sums(scores: ArrayLike, clusters: ArrayLike) -> ClusterSums:
    if np.isinf(np.asarray(scores, dtype=np.float64)).any():
        raise UserError("a score is infinite, which no mean survives; leave it undefined (NaN)")
    return cluster_sums(scores, clusters)


def _estimate(groups: ClusterSums, shares: Floats) -> MeanEstimate:
    """CR2 variance of a weighted mean and Satterthwaite's degrees of freedom for variances of 1 / weight.

    With w the weights (shares of their sum) and p = w / (1 − w), the variance's quadratic form has trace 1 and its
    square has trace Σ p² (1 − 2 w) + (Σ w p)²; for k equal weights this gives k − 1 degrees of freedom.
    """
    count = groups.sums.size
    means = groups.sums / groups.counts
    mean = float(shares @ means / shares.sum()) if count else float("nan")
    variance = freedom = float("nan")
    if count >= 2:
        weights = shares / shares.sum()
        residuals = means - mean
        residuals[np.abs(residuals) <= ROUNDING * np.abs(means).max()] = 0
        odds = weights / (1 - weights)
        variance = float((weights * odds * residuals**2).sum())
        freedom = float(1 / ((odds**2 * (1 - 2 * weights)).sum() + (weights @ odds) ** 2))
        if abs(mean) <= ROUNDING * np.abs(means).max():
            mean = 0.0
    return MeanEstimate(mean, variance, freedom, int(groups.counts.sum()), count, groups.undefined)


def _satterthwaite(variances: Floats, degrees_of_freedom: Floats) -> float:
    """Degrees of freedom of a sum of independent variance estimates."""
    if variances.sum() == 0:
        return float(degrees_of_freedom.sum())
    return float(variances.sum() ** 2 / (variances**2 / degrees_of_freedom).sum())
