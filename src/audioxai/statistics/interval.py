"""What every estimate of clustered scores shares: the interval it becomes and the sums of its clusters."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from audioxai.utils.errors import UserError

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
class ClusterSums:
    """Sum and number of the defined scores of every cluster, sorted by cluster.

    Attributes
    ----------
    sums, counts : ndarray, shape (clusters,)
        Sum and number of a cluster's defined scores.
    undefined : int
        Scores that were left out because they are NaN.
    """

    sums: Floats
    counts: Floats
    undefined: int

    @property
    def mean(self) -> float:
        """Mean in which every score weighs alike; NaN without any."""
        return float(self.sums.sum() / self.counts.sum()) if self.sums.size else float("nan")


def cluster_sums(scores: ArrayLike, clusters: ArrayLike) -> ClusterSums:
    """Sums and numbers of the defined scores by cluster, the same bits whatever the order of the scores.

    Raises
    ------
    UserError
        If there is not exactly one cluster a score or a cluster is missing.
    """
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(clusters)
    if values.shape != labels.shape or values.ndim != 1:
        raise UserError(f"scores have shape {values.shape} and clusters {labels.shape}; give one cluster a score")
    refuse_missing(labels)
    defined = ~np.isnan(values)
    _, index = np.unique(labels[defined], return_inverse=True)
    # Sums in one order only, so that shuffled rows give the same bits.
    order = np.lexsort((values[defined], index))
    index, ordered = index[order], values[defined][order]
    sums = np.bincount(index, weights=ordered).astype(np.float64)
    return ClusterSums(sums, np.bincount(index).astype(np.float64), int((~defined).sum()))


def refuse_missing(clusters: ArrayLike) -> None:
    """Nothing, where every score has a cluster (or training seed).

    Raises
    ------
    UserError
        If one is missing: scores without a cluster are not all of one speaker.
    """
    if pd.isna(np.asarray(clusters)).any():
        raise UserError("some scores have no cluster or seed; give the sample's own name where there is no speaker")
