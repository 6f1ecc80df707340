"""Two methods on the same clips: how they differ, how surely and how much, for one pair of methods or for all.

Idea
----
A *pair* is one clip under one training seed (and architecture), scored for both methods; only pairs where both scores
are defined count. Everything rests on the differences within pairs and treats speakers as the observations:
:mod:`~audioxai.statistics.means` for the mean difference, its interval and p, Wilcoxon's signed ranks beside it,
:mod:`~audioxai.statistics.effects` for sizes. Families of comparisons are corrected by Holm.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from audioxai.statistics.effects import cohens_dz, rank_biserial, superiority
from audioxai.statistics.hypotheses import holm, signed_rank_p
from audioxai.statistics.interval import ROUNDING, Floats, Interval
from audioxai.statistics.means import cluster_mean, pooled_mean
from audioxai.utils.errors import UserError

EFFECTS = ("d_z", "rank_biserial", "superiority")
# What an entry of a comparison becomes when first and second change places; other columns stay.
MIRRORED = {"mean": -1.0, "d_z": -1.0, "rank_biserial": -1.0}


@dataclass(frozen=True)
class Comparison:
    """How the first of two methods differs from the second.

    Attributes
    ----------
    difference : Interval
        Mean of first − second, every speaker alike; ``n`` counts pairs and ``undefined`` pairs that lack a score.
    p_value : float
        Two-sided p of "the mean difference is 0" (Student's t, the same as the interval).
    signed_rank_p : float
        Two-sided p of Wilcoxon's signed-rank test on the speakers' means.
    d_z, rank_biserial, superiority : Interval
        Effect sizes; see :mod:`audioxai.statistics.effects`.
    """

    difference: Interval
    p_value: float
    signed_rank_p: float
    d_z: Interval
    rank_biserial: Interval
    superiority: Interval

    def record(self) -> dict[str, Any]:
        """Flat record: the difference's fields, both p values, and each effect with its ends."""
        flat = {**asdict(self.difference), "p": self.p_value, "signed_rank_p": self.signed_rank_p}
        for name in EFFECTS:
            effect: Interval = getattr(self, name)
            flat |= {name: effect.mean, f"{name}_low": effect.low, f"{name}_high": effect.high}
        return flat


def compare(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Difference, tests and effect sizes of two methods scored on the same pairs.

    Parameters
    ----------
    first, second : array_like, shape (pairs,)
        Scores of the two methods; NaN where undefined.
    clusters : array_like, shape (pairs,)
        Speaker of every pair.
    strata : array_like, shape (pairs,), optional
        Dataset of every pair: the mean difference and its p then weigh datasets alike (:func:`pooled_mean`). Ranks and
        effect sizes are over the clusters of all strata, so their names must differ between strata.
    confidence : float
        Coverage of all intervals.

    Raises
    ------
    UserError
        If lengths differ, a cluster is missing or in two strata, a score is infinite or ``confidence`` is out of range.
    """
    differences = paired_differences(first, second)
    if strata is None:
        estimate = cluster_mean(differences, clusters)
    else:
        _refuse_shared_clusters(clusters, strata)
        estimate = pooled_mean(differences, clusters, strata)
    return Comparison(
        difference=estimate.interval(confidence),
        p_value=estimate.p_value,
        signed_rank_p=signed_rank_p(differences, clusters),
        d_z=cohens_dz(differences, clusters, confidence),
        rank_biserial=rank_biserial(differences, clusters, confidence),
        superiority=superiority(differences, clusters, confidence),
    )


def paired_differences(first: ArrayLike, second: ArrayLike) -> Floats:
    """``first − second``, NaN where either is undefined and exactly 0 where they differ by rounding alone.

    Raises
    ------
    UserError
        If the lengths differ or a score is infinite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise UserError(f"the methods have scores of shapes {a.shape} and {b.shape}; give both on the same pairs")
    if np.isinf(a).any() or np.isinf(b).any():
        raise UserError("a score is infinite, which no mean survives; leave it undefined (NaN)")
    differences = a - b
    differences[np.abs(differences) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))] = 0
    return differences


def compare_with(
    reference: Hashable,
    scores: pd.DataFrame,
    clusters: ArrayLike,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Every other method against ``reference``, Holm over them.

    Parameters
    ----------
    reference : hashable
        A column of ``scores``; it is ``second`` in every row.
    scores : DataFrame
        Pairs down, methods across; NaN where undefined.
    clusters, strata, confidence
        As in :func:`compare`.

    Returns
    -------
    DataFrame
        One row a comparison: ``first``, ``second``, the columns of :meth:`Comparison.record`, and ``p_holm`` and
        ``signed_rank_p_holm``.

    Raises
    ------
    UserError
        As :func:`compare`, or if there is no such column.
    """
    if reference not in scores.columns:
        raise UserError(f"there are no scores of {reference!r}; choose one of {', '.join(map(str, scores.columns))}")
    pairs = [(method, reference) for method in scores.columns if method != reference]
    return _family(pairs, scores, clusters, strata, confidence)


def compare_all(
    scores: pd.DataFrame, clusters: ArrayLike, strata: ArrayLike | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Every pair of methods once, in the order of the columns, Holm over all; as :func:`compare_with`."""
    return _family(combinations(scores.columns, 2), scores, clusters, strata, confidence)


def comparison_matrix(comparisons: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of :func:`compare_all` as methods × methods, row against column.

    The diagonal is what a method against itself gives: no difference, a superiority of 1/2, a p of 1.

    Raises
    ------
    UserError
        If the column is an interval's end, or not there; those do not mirror.
    """
    known = [name for name in comparisons.columns if name in {*MIRRORED, "superiority"} or "p" in name.split("_")]
    if column not in known:
        raise UserError(f"a matrix of {column!r} cannot be made; choose one of {', '.join(known)}")
    methods = list(dict.fromkeys([*comparisons["first"], *comparisons["second"]]))
    own = {"superiority": 0.5, **dict.fromkeys(MIRRORED, 0.0)}.get(column, 1.0)
    matrix = pd.DataFrame(np.diag(np.full(len(methods), own)), index=methods, columns=methods)
    for first, second, value in zip(comparisons["first"], comparisons["second"], comparisons[column], strict=True):
        matrix.loc[first, second] = value
        matrix.loc[second, first] = 1 - value if column == "superiority" else MIRRORED.get(column, 1.0) * value
    return matrix


def _family(
    pairs: Iterable[Sequence[Hashable]],
    scores: pd.DataFrame,
    clusters: ArrayLike,
    strata: ArrayLike | None,
    confidence: float,
) -> pd.DataFrame:
    records = [
        {
            "first": first,
            "second": second,
            **compare(scores[first], scores[second], clusters, strata, confidence).record(),
        }
        for first, second in pairs
    ]
    table = pd.DataFrame(records)
    for name in ("p", "signed_rank_p") if records else ():
        table[f"{name}_holm"] = holm(table[name])
    return table


def _refuse_shared_clusters(clusters: ArrayLike, strata: ArrayLike) -> None:
    if np.shape(clusters) != np.shape(strata):
        raise UserError(f"there are {np.size(clusters)} clusters and {np.size(strata)} strata; give one of each a pair")
    found = pd.DataFrame({"cluster": np.asarray(clusters), "stratum": np.asarray(strata)}).drop_duplicates()
    twice = found.loc[found["cluster"].duplicated(), "cluster"]
    if len(twice):
        raise UserError(f"cluster {twice.iloc[0]!r} lies in two strata; give speakers names of their own a dataset")
