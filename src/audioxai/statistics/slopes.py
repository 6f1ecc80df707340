"""Trend of clustered scores over resolutions: one least-squares slope per pair, to be averaged like any scores."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from audioxai.statistics.interval import ROUNDING
from audioxai.utils.errors import UserError


def slopes_per_doubling(
    scores: ArrayLike, resolutions: ArrayLike, pairs: ArrayLike, clusters: ArrayLike
) -> pd.DataFrame:
    """Least-squares slope of the score against log2(resolution), one per pair.

    All pairs share the same resolutions, so the mean of these slopes is the slope through the means of the resolutions;
    :func:`audioxai.statistics.score_mean` gives it an interval. Pairing by sample takes the differences between
    samples out of the trend.

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
