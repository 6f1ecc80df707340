"""Means over speakers *and* training seeds, both drawn: what holds for models not yet trained.

Idea
----
A table pooled over three training seeds answers for those three models. To speak of the architecture, the seeds are a
sample too, crossed with the speakers: every model explains every speaker. With the mean score of each speaker × seed
cell, two-way analysis of variance gives the mean squares of speakers, of seeds and of what is left. The grand mean's
variance is the sum of two parts, MS_speakers and what MS_seeds exceeds the rest by (0 if it does not), over speakers ×
seeds. Each part is known as well as its degrees of freedom allow, so the interval uses the mean of their two quantiles
of Student's t, weighted by the parts (Cochran): with Satterthwaite's single number of degrees of freedom, three seeds
and 60 speakers cover 91–92 %, with this 94–97 %. Few seeds make wide intervals: with two a quantile is 12.7, with
three 4.3.

References
----------
Searle, S. R., Casella, G. & McCulloch, C. E. (1992), Variance Components, chapter 4. Cochran, W. G. (1964), Approximate
significance levels of the Behrens–Fisher test, Biometrics 20, 191.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student

from audioxai.statistics.interval import Floats, Interval, refuse_missing
from audioxai.statistics.means import checked
from audioxai.utils.errors import UserError


def crossed_interval(scores: ArrayLike, clusters: ArrayLike, repeats: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of all cluster × repeat cells, with the uncertainty of both.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores or paired differences; NaN where undefined.
    clusters, repeats : array_like, shape (n,)
        Speaker and training seed of every score.
    confidence : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    Interval
        Its ends are NaN where there are fewer than two clusters or two repeats. ``undefined`` counts NaN and the scores
        of clusters that lack a repeat: those are left out.

    Raises
    ------
    UserError
        If the lengths differ, a cluster or repeat is missing or ``confidence`` lies outside (0, 1).
    """
    lengths = sorted({np.size(values) for values in (scores, clusters, repeats)})
    if len(lengths) != 1:
        raise UserError(f"scores, clusters and repeats have lengths {lengths}; give one of each per score")
    refuse_missing(clusters)
    refuse_missing(repeats)
    frame = pd.DataFrame({"score": np.asarray(scores, dtype=np.float64), "cluster": clusters, "repeat": repeats})
    defined = frame.dropna(subset="score").sort_values(["cluster", "repeat", "score"])
    cells = defined.pivot_table(index="cluster", columns="repeat", values="score", aggfunc="mean").dropna()
    used = int(defined["cluster"].isin(cells.index).sum())
    table = cells.to_numpy(dtype=np.float64)
    mean = float(table.mean()) if table.size else float("nan")
    half = _half_width(table, (1 + checked(confidence)) / 2) if min(table.shape) >= 2 else float("nan")
    return Interval(mean, mean - half, mean + half, used, len(cells), len(frame) - used)


def _half_width(table: Floats, upper: float) -> float:
    """Half the interval's width from ``(clusters, repeats)`` cells, for Student's quantiles at ``upper``."""
    freedoms = np.array(table.shape) - 1
    by_cluster, by_repeat = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_cluster[:, None] - by_repeat + table.mean()
    speakers = table.shape[1] * by_cluster.var(ddof=1)
    seeds = max(0.0, table.shape[0] * by_repeat.var(ddof=1) - (rest**2).sum() / freedoms.prod())
    parts = np.array([speakers, seeds])
    if parts.sum() == 0:
        return 0.0
    quantile = parts @ student.ppf(upper, freedoms) / parts.sum()
    return float(quantile * (parts.sum() / table.size) ** 0.5)
