"""Means over speakers *and* training seeds, both drawn: what holds for models not yet trained.

Idea
----
A table pooled over three training seeds answers for those three models. To speak of the architecture, the seeds are a
sample too, crossed with the speakers: every model explains every speaker. With the mean score of each speaker × seed
cell, two-way analysis of variance gives the mean squares of speakers, of seeds and of what is left, and the variance of
the grand mean is (MS_speakers + MS_seeds − MS_rest) / (speakers × seeds), never less than its largest part. Few seeds
mean few degrees of freedom: with three, an interval for all trainings is several times as wide.

References
----------
Searle, S. R., Casella, G. & McCulloch, C. E. (1992), Variance Components, chapter 4. Satterthwaite, F. E. (1946), An
approximate distribution of estimates of variance components, Biometrics Bulletin 2, 110.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from audio_xai.utils.errors import UserError
from audio_xai.utils.statistics.interval import Floats, refuse_missing
from audio_xai.utils.statistics.means import MeanEstimate


def crossed_mean(scores: ArrayLike, clusters: ArrayLike, repeats: ArrayLike) -> MeanEstimate:
    """Mean of all cluster × repeat cells, with the uncertainty of both.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores or paired differences; NaN where undefined.
    clusters, repeats : array_like, shape (n,)
        Speaker and training seed of every score.

    Returns
    -------
    MeanEstimate
        Without interval where there are fewer than two clusters or two repeats. ``undefined`` counts NaN and the scores
        of clusters that lack a repeat: those are left out.

    Raises
    ------
    UserError
        If the lengths differ or a cluster is missing.
    """
    lengths = sorted({np.size(values) for values in (scores, clusters, repeats)})
    if len(lengths) != 1:
        raise UserError(f"scores, clusters and repeats have lengths {lengths}; give one of each a score")
    refuse_missing(clusters)
    frame = pd.DataFrame({"score": np.asarray(scores, dtype=np.float64), "cluster": clusters, "repeat": repeats})
    defined = frame.dropna(subset="score").sort_values(["cluster", "repeat", "score"])
    cells = defined.pivot_table(index="cluster", columns="repeat", values="score", aggfunc="mean").dropna()
    used = int(defined["cluster"].isin(cells.index).sum())
    table = cells.to_numpy(dtype=np.float64)
    mean = float(table.mean()) if table.size else float("nan")
    variance, freedom = _two_way(table) if min(table.shape) >= 2 else (float("nan"), float("nan"))
    return MeanEstimate(mean, variance, freedom, used, len(cells), len(frame) - used)


def _two_way(table: Floats) -> tuple[float, float]:
    """Variance of the grand mean of ``(clusters, repeats)`` cells and its degrees of freedom."""
    clusters, repeats = table.shape
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    rest = table - rows - columns + table.mean()
    freedoms = np.array([clusters - 1, repeats - 1, (clusters - 1) * (repeats - 1)], dtype=np.float64)
    squares = np.array([repeats * rows.var() * clusters, clusters * columns.var() * repeats, (rest**2).sum()])
    parts = squares / freedoms
    largest = int(parts.argmax())
    together = float(parts[0] + parts[1] - parts[2])
    if together <= parts[largest]:
        return float(parts[largest] / table.size), float(freedoms[largest])
    return together / table.size, float(together**2 / (parts**2 / freedoms).sum())
