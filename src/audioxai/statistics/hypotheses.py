"""Rank tests on speakers' means, and Holm's correction for how many were made.

Idea
----
Wilcoxon's and Friedman's tests need independent observations. Clips of one speaker are not, so both are made on the
speakers' means, with SciPy: exact for up to fifty speakers without ties. That costs nothing but the illusion of having
thousands of observations, and it bounds what few speakers can show: with 6 the smallest two-sided p of a signed-rank
test is 2 / 2⁶ = 0.031, so it can reach no Holm-adjusted 0.001 there, whatever the scores. (Rank tests that keep the
single scores of a cluster, as Datta and Satten's, rest on normal limits that 6 or 12 clusters do not reach.)

References
----------
Demšar, J. (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1. Holm, S. (1979), A simple
sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from audioxai.statistics.interval import ROUNDING, Floats, cluster_sums
from audioxai.utils.errors import UserError


def signed_rank_p(differences: ArrayLike, clusters: ArrayLike) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on the clusters' mean differences.

    NaN with no cluster and 1 where no cluster differs from 0.

    Raises
    ------
    UserError
        If the lengths differ or a cluster is missing.
    """
    groups = cluster_sums(differences, clusters)
    if not groups.sums.size:
        return float("nan")
    means = groups.sums / groups.counts
    means = means[np.abs(means) > ROUNDING * np.abs(means).max()]
    return float(stats.wilcoxon(means).pvalue) if means.size else 1.0


def cluster_table(scores: pd.DataFrame, clusters: ArrayLike) -> pd.DataFrame:
    """Mean score of every cluster and method, over the pairs where all methods have one.

    Parameters
    ----------
    scores : DataFrame
        Pairs (a sample under one training seed) down, methods across; NaN where undefined.
    clusters : array_like, shape (pairs,)
        The cluster every pair belongs to.

    Returns
    -------
    DataFrame
        Clusters down, methods across, without NaN; ``attrs["undefined"]`` counts the pairs left out.

    Raises
    ------
    UserError
        If there is not one cluster per pair, or fewer than two methods.
    """
    labels = np.asarray(clusters)
    if labels.shape != (len(scores),):
        raise UserError(
            f"there are {len(scores)} pairs and clusters of shape {labels.shape}; give one cluster per pair"
        )
    if scores.shape[1] < 2:
        raise UserError(f"there are scores of {scores.shape[1]} method(s); a comparison needs two or more")
    complete = scores.notna().all(axis=1).to_numpy()
    values, kept = scores.to_numpy(dtype=np.float64)[complete], labels[complete]
    sums = [cluster_sums(values[:, column], kept) for column in range(values.shape[1])]
    means = np.stack([group.sums / group.counts for group in sums], axis=1)
    table = pd.DataFrame(means, index=np.unique(kept), columns=scores.columns)
    table.attrs["undefined"] = int((~complete).sum())
    return table


def friedman_p(scores: pd.DataFrame, clusters: ArrayLike) -> float:
    """P of Friedman's test that all methods rank alike, on :func:`cluster_table`.

    NaN with fewer than two clusters or three methods, and 1 where no cluster tells any two methods apart. Parameters
    and errors are those of :func:`cluster_table`.
    """
    ranks = method_ranks(cluster_table(scores, clusters).to_numpy())
    if len(ranks) < 2 or ranks.shape[1] < 3:
        return float("nan")
    if np.ptp(ranks, axis=1).max() == 0:
        return 1.0
    return float(stats.friedmanchisquare(*ranks.T).pvalue)


def method_ranks(table: Floats) -> Floats:
    """Ranks along the last axis, smallest score first from 1, equal scores sharing their mean rank."""
    largest = np.abs(table).max(axis=-1, keepdims=True)
    steps = np.round(table / np.where(largest > 0, largest, 1.0) / ROUNDING)  # what differs by rounding is equal
    ranks: Floats = stats.rankdata(steps, axis=-1)
    return ranks


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjustment of a family of p values, any order; NaN stays NaN and counts for nothing.

    Raises
    ------
    UserError
        If a p value lies outside [0, 1].
    """
    given = np.asarray(p_values, dtype=np.float64)
    defined = ~np.isnan(given)
    p = given[defined]
    if ((p < 0) | (p > 1)).any():
        raise UserError(f"p values reach from {p.min()} to {p.max()}; give probabilities between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    adjusted = np.full(given.shape, np.nan)
    unsorted = np.empty_like(stepped)
    unsorted[order] = stepped
    adjusted[defined] = unsorted
    return adjusted
