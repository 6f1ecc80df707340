"""The noise of a metric itself: how much its mean moves when only its own random draws change.

Idea
----
A metric that draws subsets or perturbations gives another score under another seed. Scored again with R seeds, the mean
(of one method, or of the difference of two) takes R values; their standard deviation is the metric's noise, and what
Student's t allows of it is the smallest difference that is not noise. Seeds are the observations, not clips: where the
same draws serve all clips, their errors are alike and do not average out.

This says nothing about other speakers or other trainings: a difference counts where it exceeds the noise *and* its
interval over speakers excludes zero.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student

from audioxai.statistics.interval import refuse_missing
from audioxai.statistics.means import checked
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class MetricNoise:
    """What changes of a mean when only the metric's seed changes.

    Attributes
    ----------
    mean : float
        Mean over speakers, clips and seeds.
    of_mean : float
        Standard deviation over seeds of the mean; NaN with fewer than two seeds.
    of_sample : float
        Standard deviation over seeds of one clip's score, root mean square over clips.
    smallest_difference : float
        Means nearer to 0 than this are within the noise.
    repeats, n, undefined : int
        Seeds, clips, and clips left out because a seed gave no score.
    """

    mean: float
    of_mean: float
    of_sample: float
    smallest_difference: float
    repeats: int
    n: int
    undefined: int

    def is_exceeded_by(self, difference: float) -> bool:
        """Whether a difference is larger than the metric's own noise; False where either is not known."""
        return bool(abs(difference) > self.smallest_difference)


def metric_noise(
    scores: ArrayLike,
    samples: ArrayLike,
    clusters: ArrayLike,
    repeats: ArrayLike,
    confidence: float = 0.95,
    averaged: int = 1,
) -> MetricNoise:
    """Noise of a metric from its scores of the same clips under several metric seeds.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores of one method, or ``first − second`` for the noise of a difference (seed by seed, since methods that
        share their draws share their errors too).
    samples, clusters, repeats : array_like, shape (n,)
        Clip under one model, its speaker, and the metric's seed.
    confidence : float
        One minus the share of pure noise that would be taken for a difference.
    averaged : int
        How many seeds the reported mean averages over.

    Raises
    ------
    UserError
        If lengths differ, a sample lies in two clusters or has two scores of one seed, or an argument is out of range.
    """
    lengths = sorted({np.size(values) for values in (scores, samples, clusters, repeats)})
    if len(lengths) != 1:
        raise UserError(f"scores, samples, clusters and repeats have lengths {lengths}; give one of each per score")
    if averaged < 1:
        raise UserError(f"averaged is {averaged}; give the number of metric seeds in the reported mean, at least 1")
    upper = (1 + checked(confidence)) / 2
    frame = pd.DataFrame(
        {"score": np.asarray(scores, dtype=np.float64), "sample": samples, "cluster": clusters, "repeat": repeats}
    )
    refuse_missing(clusters)
    table, speakers = _by_seed(frame)
    complete = table.dropna()
    means = complete.groupby(speakers[complete.index]).mean().mean(axis=0).to_numpy(dtype=np.float64)
    count = means.size
    enough = count >= 2 and len(complete) > 0
    of_mean = float(means.std(ddof=1)) if enough else float("nan")
    within = complete.to_numpy(dtype=np.float64).var(axis=1, ddof=1).mean() if enough else float("nan")
    return MetricNoise(
        mean=float(means.mean()) if len(complete) else float("nan"),
        of_mean=of_mean,
        of_sample=float(within**0.5),
        smallest_difference=float(student.ppf(upper, max(1, count - 1)) * of_mean / averaged**0.5),
        repeats=count,
        n=len(complete),
        undefined=len(table) - len(complete),
    )


def _by_seed(frame: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    """Scores sample × seed, in one order whatever that of the rows, and the cluster of every sample."""
    if frame.duplicated(["sample", "repeat"]).any():
        raise UserError("a sample has two scores of one metric seed; give samples of several models names of their own")
    owners = frame[["sample", "cluster"]].drop_duplicates().set_index("sample")["cluster"]
    if owners.index.has_duplicates:
        raise UserError("a sample lies in more than one cluster; give every sample its own speaker")
    table = frame.pivot_table(index="sample", columns="repeat", values="score", aggfunc="mean", dropna=False)
    return table, owners
