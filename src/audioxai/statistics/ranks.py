"""Which method comes first, and whether that would last: critical differences and bootstrap rank stability.

Ranks are 1 for the best method; methods with equal scores share their mean rank. Blocks are clusters (speakers), with
the clusters' mean scores of :func:`cluster_table`.

References
----------
Demšar, J. (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1 (Nemenyi's test and the
critical-difference diagram). p is the upper tail of the studentised range of as many groups as methods.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import studentized_range

from audioxai.statistics.bootstrap import multiplicities
from audioxai.statistics.hypotheses import cluster_table, friedman_p, method_ranks
from audioxai.statistics.interval import Floats
from audioxai.statistics.means import checked
from audioxai.utils.errors import UserError


@dataclass(frozen=True, eq=False)
class CriticalDifference:
    """What a critical-difference diagram draws.

    Attributes
    ----------
    mean_ranks : Series
        Method → mean rank over the clusters, best first.
    critical_difference : float
        Mean ranks at least this far apart differ by Nemenyi's test; NaN with fewer than two clusters.
    p_values : DataFrame
        Nemenyi's p, methods × methods, in the order of ``mean_ranks``.
    friedman_p : float
        P of "all methods rank alike"; NaN with fewer than two clusters or three methods.
    clusters, undefined : int
        Clusters ranked, and pairs left out because a method has no score there.
    """

    mean_ranks: "pd.Series[float]"
    critical_difference: float
    p_values: pd.DataFrame
    friedman_p: float
    clusters: int
    undefined: int


def critical_difference(
    scores: pd.DataFrame, clusters: ArrayLike, *, higher_is_better: bool, confidence: float = 0.95
) -> CriticalDifference:
    """Mean ranks of the methods over the clusters and Nemenyi's test of every pair.

    Parameters
    ----------
    scores : DataFrame
        Pairs down, methods across; NaN where undefined.
    clusters : array_like, shape (pairs,)
        The cluster every pair belongs to.
    higher_is_better : bool
        Which end of the scores gets rank 1.
    confidence : float
        One minus the share of false differences allowed in the whole diagram.

    Raises
    ------
    UserError
        As :func:`cluster_table`, or if ``confidence`` lies outside (0, 1).
    """
    table = cluster_table(scores, clusters)
    count, methods = table.shape
    ranks = _best_first(table.to_numpy(), higher_is_better)
    mean_ranks = pd.Series(ranks.mean(axis=0) if count else np.nan, index=table.columns).sort_values(kind="stable")
    width = studentized_range.ppf(checked(confidence), methods, np.inf) * (methods * (methods + 1) / 12) ** 0.5
    return CriticalDifference(
        mean_ranks=mean_ranks,
        critical_difference=float(width / count**0.5) if count >= 2 else float("nan"),
        p_values=_nemenyi(ranks, table.columns).loc[mean_ranks.index, mean_ranks.index],
        friedman_p=friedman_p(scores, clusters),
        clusters=count,
        undefined=int(table.attrs["undefined"]),
    )


def rank_stability(
    scores: pd.DataFrame,
    clusters: ArrayLike,
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int,
) -> pd.DataFrame:
    """Rank of every method by its mean over clusters, and what becomes of it when clusters are resampled.

    Parameters
    ----------
    scores, clusters, higher_is_better, confidence
        As in :func:`critical_difference`.
    resamples : int
        Bootstrap replicates of whole clusters.
    seed : int
        Seed of the resampling.

    Returns
    -------
    DataFrame
        One row per method, best first: ``mean``, ``rank``, the percentiles ``rank_low`` and ``rank_high`` of its rank,
        ``first`` (share of the resamples where it leads; leads that are shared count in part) and ``kept`` (share of
        its comparisons with other methods that come out as in the scores, ties half). With fewer than two clusters the
        last four are NaN.

    Raises
    ------
    UserError
        As :func:`critical_difference`, or if ``resamples`` is below 1.
    """
    if resamples < 1:
        raise UserError(f"resamples is {resamples}; give at least 1")
    table = cluster_table(scores, clusters)
    tails = np.array([(1 - checked(confidence)) / 2, (1 + confidence) / 2])
    means = table.to_numpy().mean(axis=0) if len(table) else np.full(table.shape[1], np.nan)
    found = pd.DataFrame({"mean": means, "rank": np.nan}, index=table.columns)
    if len(table):
        found["rank"] = _best_first(means, higher_is_better)
    found[["rank_low", "rank_high", "first", "kept"]] = np.nan
    if len(table) >= 2:
        weights = multiplicities(len(table), resamples, seed) / len(table)
        drawn = _best_first(weights @ table.to_numpy(), higher_is_better)
        found[["rank_low", "rank_high"]] = np.quantile(drawn, tails, axis=0, method="closest_observation").T
        leads = drawn == drawn.min(axis=1, keepdims=True)
        found["first"] = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
        found["kept"] = _kept(found["rank"].to_numpy(dtype=np.float64), drawn)
    return found.sort_values("rank", kind="stable")


def _best_first(scores: Floats, higher_is_better: bool) -> Floats:
    return method_ranks(-scores if higher_is_better else scores)


def _nemenyi(ranks: Floats, methods: pd.Index) -> pd.DataFrame:
    """P of Nemenyi's test of every pair, from ranks ``(clusters, methods)``; NaN with fewer than two clusters."""
    clusters, count = ranks.shape
    p_values = np.full((count, count), np.nan)
    if clusters >= 2:
        first, second = np.triu_indices(count, 1)
        mean_ranks = ranks.mean(axis=0)
        standard_error = np.sqrt(count * (count + 1.0) / (6.0 * clusters))
        statistic = np.abs(mean_ranks[first] - mean_ranks[second]) / standard_error * np.sqrt(2.0)
        p_values[first, second] = p_values[second, first] = studentized_range.sf(statistic, count, np.inf)
    np.fill_diagonal(p_values, 1.0)
    return pd.DataFrame(p_values, index=methods, columns=methods)


def _kept(ranks: Floats, drawn: Floats) -> Floats:
    """Share of the order relations of each method that hold in the drawn ranks ``(resamples, methods)``."""
    shares = np.empty(ranks.size)
    for method, rank in enumerate(ranks):
        others = np.arange(ranks.size) != method
        agree = np.sign(drawn[:, [method]] - drawn[:, others]) * np.sign(rank - ranks[others])
        shares[method] = ((agree + 1) / 2).mean()
    return shares
