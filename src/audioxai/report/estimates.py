"""Estimates from result rows as tidy frames: means, contrasts and trends with their 95 % intervals.

Conventions
-----------
A *pair* is a sample under one model and training seed: what is followed over resolutions and compared between methods.
*Clusters* are the groups of a data set (its speakers, say) where it has several, else its samples. Every frame has one
row per combination of its keys, with the columns of :class:`~audioxai.statistics.Interval`: ``mean``, ``low``,
``high``, ``n`` (defined scores), ``clusters`` and ``undefined`` (scores that are NaN and left out). Intervals are
Student's t over clusters, conditional on the models that were trained. The order of the rows does not matter.

Means weigh either every score alike (``"scores"``: a larger cluster counts for more) or every cluster alike within a
data set and every data set alike (``"clusters"``).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from audioxai.report.style import Style
from audioxai.statistics import (
    MeanEstimate,
    compare_with,
    paired_differences,
    pooled_mean,
    score_mean,
    slopes_per_doubling,
)
from audioxai.statistics import contrast as combined
from audioxai.utils.errors import UserError

NEEDED = (
    "material",
    "modality",
    "dataset",
    "stand_in_for",
    "group",
    "sample",
    "model",
    "training_seed",
    "resolution",
    "method",
    "metric",
    "score",
)
INTERVAL = ("mean", "low", "high", "n", "clusters", "undefined")
Weights = Literal["scores", "clusters"]


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in a fixed order with ``cluster`` and ``pair`` added, numbered.

    Raises
    ------
    UserError
        If there are no rows or a column is missing.
    """
    missing = [column for column in NEEDED if column not in rows.columns]
    if missing:
        raise UserError(f"the result rows lack the column {missing[0]!r}; read them from the results folder")
    if rows.empty:
        raise UserError("there are no result rows yet; run the study first")
    dataset, sample = rows["dataset"].astype(str), rows["dataset"].astype(str) + "\n" + rows["sample"].astype(str)
    pairs = sample + "\n" + rows["model"].astype(str) + "\n" + rows["training_seed"].astype(str)
    several = rows.groupby("dataset")["group"].transform("nunique") > 1
    group = dataset + "\ngroup " + rows["group"].astype(str)
    tidy = rows.assign(
        **{column: rows[column].astype(str) for column in ("method", "metric", "material", "modality")},
        cluster=pd.factorize(group.where(several & rows["group"].notna(), sample), sort=True)[0],
        pair=pd.factorize(pairs, sort=True)[0],
    )
    order = ["material", "modality", "dataset", "model", "resolution", "method", "metric", "pair", "score"]
    return tidy.sort_values(order, ignore_index=True)


def clustered_by_samples(tidy: pd.DataFrame) -> list[str]:
    """Data sets of one known group: their intervals rest on samples and speak of that group alone."""
    groups = tidy.groupby("dataset")["group"].nunique()
    return sorted(map(str, groups.index[groups == 1]))


def estimate(tidy: pd.DataFrame, keys: Sequence[str], weigh: Weights = "scores") -> pd.DataFrame:
    """Mean score of every combination of ``keys``."""
    needed = tidy[[*dict.fromkeys([*keys, "score", "cluster", "dataset"])]]
    return pd.DataFrame(
        [
            dict(zip(keys, key, strict=True)) | asdict(_mean(part, weigh).interval())
            for key, part in groups(needed, keys)
        ],
        columns=[*keys, *INTERVAL],
    )


def contrast(
    tidy: pd.DataFrame, keys: Sequence[str], reference: str, by: str = "method", weigh: Weights = "scores"
) -> pd.DataFrame:
    """Difference of every value of ``by`` from ``reference``, within every combination of ``keys``.

    Methods are compared on the same pairs; of any other column (the modality, say) the values are independent groups.
    The columns are the keys, ``first``, ``second`` (the reference) and those of an estimate; methods whose clusters
    weigh alike come with the tests and effect sizes of :func:`~audioxai.statistics.compare_with`, corrected by
    Holm within each combination.
    """
    records: list[Mapping[str, Any]] = []
    needed = list(dict.fromkeys([*keys, by, "score", "cluster", "dataset", *(["pair"] if by == "method" else [])]))
    for key, part in groups(tidy[needed], keys):
        values = sorted(set(part[by]) - {reference})
        if reference not in set(part[by]) or not values:
            continue
        known = dict(zip(keys, key, strict=True))
        if by == "method":
            found = _paired(paired_scores(part), reference, values, weigh)
        else:
            base = _mean(part[part[by] == reference], weigh)
            own = [_mean(part[part[by] == value], weigh) for value in values]
            found = [asdict(combined([mean, base], [1, -1]).interval()) for mean in own]
        records += [
            {**known, "first": value, "second": reference, **record}
            for value, record in zip(values, found, strict=True)
        ]
    return pd.DataFrame(records, columns=None if records else [*keys, "first", "second", *INTERVAL])


def slopes(tidy: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Slope of every pair's score per doubling of the resolution: tidy rows that have the slope as ``score``.

    Combinations of ``keys`` with fewer than two resolutions are left out.
    """
    tables = [
        found.rename(columns={"slope": "score"}).assign(**{"dataset": "", **dict(zip(keys, key, strict=True))})
        for key, part in groups(tidy[list(dict.fromkeys([*keys, "score", "resolution", "pair", "cluster"]))], keys)
        for found in [slopes_per_doubling(part["score"], part["resolution"], part["pair"], part["cluster"])]
        if len(found)
    ]
    return pd.concat(tables) if tables else pd.DataFrame(columns=["score", "cluster", "dataset", *keys])


def trend(tidy: pd.DataFrame, keys: Sequence[str], weigh: Weights = "scores") -> pd.DataFrame:
    """Mean change of the score per doubling of the resolution, of every combination of ``keys``."""
    return estimate(slopes(tidy, keys), keys, weigh)


def leaders(tidy: pd.DataFrame, keys: Sequence[str], style: Style, weigh: Weights = "scores") -> pd.DataFrame:
    """Best method of every combination of ``keys`` and metric that has a direction, with its lead over the second.

    Controls are left out. Means are over all defined scores; the lead is over the pairs where both methods have one
    and is positive by construction. Columns: the keys, ``metric``, ``method``, ``score``, ``second``,
    ``second_score``, those of an estimate of the lead, and ``separated``: whether its interval lies above zero.
    """
    records = []
    for (*key, metric), part in groups(directed(tidy, style), [*keys, "metric"]):
        sign = 1 if style.direction(metric) else -1
        shown = part[~part["method"].map(style.is_control)]
        means = {str(method): float(value) for method, value in shown.groupby("method")["score"].mean().items()}
        defined = [method for method, mean in means.items() if not math.isnan(mean)]
        ranked = sorted(defined, key=lambda method: (-sign * means[method], method))
        if len(ranked) < 2:
            continue
        best, second = ranked[:2]
        (lead,) = _paired(sign * paired_scores(shown), second, [best], weigh)
        records.append(
            {
                **dict(zip(keys, key, strict=True)),
                "metric": metric,
                "method": best,
                "score": means[best],
                "second": second,
                "second_score": means[second],
                **{name: lead[name] for name in INTERVAL},
                "separated": lead["low"] > 0,
            }
        )
    return pd.DataFrame(records)


def paired_scores(tidy: pd.DataFrame) -> pd.DataFrame:
    """Scores pair × method, index levels ``pair``, ``cluster`` and ``dataset``; NaN where undefined."""
    index = ["pair", "cluster", "dataset"]
    means = tidy.groupby([*index, "method"], sort=True)["score"].mean()
    return means.unstack("method")  # noqa: PD010 (keeps pairs that are NaN throughout)


def directed(tidy: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Rows of the metrics that have a better end."""
    return tidy[tidy["metric"].map(lambda metric: style.direction(metric) is not None).astype(bool)]


def groups(tidy: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Combinations of ``keys`` and their rows, sorted; none of no rows."""
    if len(tidy):
        yield from ((tuple(key), group) for key, group in tidy.groupby(list(keys), sort=True))


def ordered(table: pd.DataFrame, style: Style, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Rows sorted by ``keys``, then by metric, method, first and second in the order of the study."""
    if table.empty:
        return table
    ranks: dict[str, Sequence[Any]] = {key: sorted(set(table[key])) for key in keys}
    if "metric" in table:
        ranks["metric"] = style.ordered_metrics(table["metric"])
    for column in ("method", "first", "second"):
        if column in table:
            ranks[column] = style.ordered_methods(table[column])
    places = pd.DataFrame({name: table[name].map(list(known).index) for name, known in ranks.items()})
    return table.loc[places.sort_values(list(ranks), kind="stable").index].reset_index(drop=True)


def _mean(part: pd.DataFrame, weigh: Weights) -> MeanEstimate:
    return _mean_of(part["score"], part["cluster"], part["dataset"], weigh)


def _mean_of(scores: ArrayLike, clusters: ArrayLike, datasets: ArrayLike, weigh: Weights) -> MeanEstimate:
    return score_mean(scores, clusters) if weigh == "scores" else pooled_mean(scores, clusters, datasets)


def _paired(scores: pd.DataFrame, reference: str, values: Iterable[str], weigh: Weights) -> list[dict[str, Any]]:
    clusters, datasets = (scores.index.get_level_values(name) for name in ("cluster", "dataset"))
    if weigh == "clusters":
        table = compare_with(reference, scores[[*values, reference]], clusters, datasets)
        return [
            {str(name): value for name, value in row.items() if name not in ("first", "second")}
            for row in table.to_dict("records")
        ]
    differences = [paired_differences(scores[value], scores[reference]) for value in values]
    return [asdict(_mean_of(np.asarray(one), clusters, datasets, weigh).interval()) for one in differences]
