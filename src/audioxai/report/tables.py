"""Tables of Objective 1: what the result rows say, with intervals, as tidy frames, Markdown and JSON records.

Conventions
-----------
``rows`` is the tidy frame of the store: one row a sample × method × metric × seed. Clusters are speakers, and samples
where there is no speaker. A *pair* is a sample under one training seed; it is what is followed over resolutions and
compared between methods. Means are over all scores, every score alike, and their 95 % intervals are Student's t over
clusters (CR2 variances; Welch's for the difference of the two modalities; :mod:`audioxai.utils.statistics.means`),
conditional on the models that were trained. Every table is the same whatever the order of the rows.
"""

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from audioxai.report.style import (
    CONTROL,
    METHODS,
    METRICS,
    MODALITIES,
    Directions,
    estimate,
    in_order,
    method_style,
)
from audioxai.utils.errors import UserError
from audioxai.utils.statistics import (
    Interval,
    MeanEstimate,
    contrast,
    paired_differences,
    score_mean,
    slopes_per_doubling,
)

COLUMNS = (
    "modality",
    "dataset",
    "stand_in_for",
    "speaker",
    "sample",
    "model",
    "training_seed",
    "resolution",
    "method",
    "metric",
    "score",
)
CELL = ["modality", "resolution", "method", "metric"]
# Resolutions of the two modalities are matched where they differ by less than a fifth: 28 and 32, never 28 and 64.
MATCHED_RATIO = 1.2
DIFFERENCE = "audio − image"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the report says, as tidy frames.

    Attributes
    ----------
    cells : DataFrame
        Mean score a modality × resolution × method × metric.
    differences : DataFrame
        Audio − image at matched resolutions; ``better`` names the modality that an interval without zero favours.
    trends : DataFrame
        Slope per doubling of the resolution; ``scope`` is a modality or the difference of the two.
    contrasts : DataFrame
        Method − random control on the same pairs; ``verdict`` is better, worse or undecided.
    leaders : DataFrame
        Best method of every modality × resolution × metric, its paired lead over the second and whether that
        separates them.
    models : DataFrame
        Accuracies of the models that were explained.
    """

    cells: pd.DataFrame
    differences: pd.DataFrame
    trends: pd.DataFrame
    contrasts: pd.DataFrame
    leaders: pd.DataFrame
    models: pd.DataFrame


def gather(rows: pd.DataFrame, cards: Sequence[Mapping[str, Any]], directions: Directions) -> Evidence:
    """All tables of Objective 1.

    Parameters
    ----------
    rows : DataFrame
        Result rows with at least the columns of ``COLUMNS``.
    cards : sequence of mappings
        Model cards; see :func:`model_accuracies`.
    directions : mapping
        Metric → whether higher is better, None where neither end is.

    Raises
    ------
    UserError
        If there are no rows, a column is missing, or one modality mixes datasets or models.
    """
    tidy = prepared(rows)
    return Evidence(
        cells=cell_means(tidy),
        differences=modality_differences(tidy, directions),
        trends=resolution_trends(tidy),
        contrasts=control_contrasts(tidy, directions),
        leaders=leading_methods(tidy, directions),
        models=model_accuracies(cards),
    )


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in a fixed order with integer columns ``cluster`` and ``pair`` added.

    Raises
    ------
    UserError
        As :func:`gather`.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise UserError(f"the result rows lack the column {missing[0]!r}; read them from the results store")
    if rows.empty:
        raise UserError("there are no result rows yet; run python experiments/objective1/compute_metrics.py")
    unknown = sorted(set(rows["modality"]) - set(MODALITIES))
    if unknown:
        raise UserError(f"the result rows hold the modality {unknown[0]!r}; Objective 1 compares audio and image")
    for column in ("dataset", "model"):
        _refuse_mixtures(rows, column)
    text = {column: rows[column].astype(str) for column in ("modality", "method", "metric", "sample", "training_seed")}
    speaker = rows["speaker"].astype(object)
    unit = ("speaker " + speaker.astype(str)).where(speaker.notna(), "sample " + text["sample"])
    pair = text["sample"] + "\n" + text["training_seed"]
    tidy = rows.assign(
        **{column: text[column] for column in ("modality", "method", "metric")},
        cluster=pd.factorize(text["modality"] + "\n" + unit, sort=True)[0],
        pair=pd.factorize(text["modality"] + "\n" + pair, sort=True)[0],
    )
    return tidy.sort_values([*CELL, "pair", "score"], ignore_index=True)


def cell_means(tidy: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of every modality × resolution × method × metric."""
    return _table(
        {
            "modality": modality,
            "resolution": resolution,
            "method": method,
            "metric": metric,
            **asdict(score_mean(cell["score"], cell["cluster"]).interval()),
        }
        for (modality, resolution, method, metric), cell in _groups(tidy, CELL)
    )


def modality_differences(tidy: pd.DataFrame, directions: Directions) -> pd.DataFrame:
    """Audio − image at matched resolutions, the two modalities as independent groups."""
    means = {key: score_mean(cell["score"], cell["cluster"]) for key, cell in _groups(tidy, CELL)}
    return _table(
        {
            "audio_resolution": audio,
            "image_resolution": image,
            "method": method,
            "metric": metric,
            **asdict(interval),
            "better": _favoured(interval, directions.get(metric)),
        }
        for audio, image in matched_resolutions(tidy)
        for method, metric in _methods_and_metrics(tidy)
        if ("audio", audio, method, metric) in means and ("image", image, method, metric) in means
        for interval in [_difference(means["audio", audio, method, metric], means["image", image, method, metric])]
    )


def matched_resolutions(tidy: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs (audio, image) of resolutions that are alike, each used once, smallest first."""
    audio, image = (
        sorted(set(tidy.loc[tidy["modality"] == modality, "resolution"].astype(int))) for modality in MODALITIES
    )
    candidates = sorted((abs(math.log2(a / i)), a, i) for a in audio for i in image)
    pairs: list[tuple[int, int]] = []
    for distance, a, i in candidates:
        if distance < math.log2(MATCHED_RATIO) and not any(a == x or i == y for x, y in pairs):
            pairs.append((a, i))
    return sorted(pairs)


def resolution_trends(tidy: pd.DataFrame) -> pd.DataFrame:
    """Slope per doubling of the resolution, a modality and for the difference of the two."""
    slopes = {
        key: slopes_per_doubling(cell["score"], cell["resolution"], cell["pair"], cell["cluster"])
        for key, cell in _groups(tidy, ["modality", "method", "metric"])
    }
    means = {key: score_mean(table["slope"], table["cluster"]) for key, table in slopes.items() if len(table)}
    own = [
        {"scope": modality, "method": method, "metric": metric, **asdict(mean.interval())}
        for (modality, method, metric), mean in means.items()
    ]
    between = [
        {
            "scope": DIFFERENCE,
            "method": method,
            "metric": metric,
            **asdict(_difference(means["audio", method, metric], means["image", method, metric])),
        }
        for method, metric in _methods_and_metrics(tidy)
        if ("audio", method, metric) in means and ("image", method, metric) in means
    ]
    return _table([*own, *between])


def control_contrasts(tidy: pd.DataFrame, directions: Directions) -> pd.DataFrame:
    """Method − random control on the same pairs, for metrics that have a better end."""
    return _table(
        {
            "modality": modality,
            "resolution": resolution,
            "method": method,
            "metric": metric,
            **asdict(interval),
            "verdict": _verdict(interval, bool(directions[metric])),
        }
        for (modality, resolution, metric), scores in paired_scores(tidy, directions)
        if CONTROL in scores
        for method in scores.columns.drop(CONTROL)
        for interval in [_paired_difference(scores, method, CONTROL)]
    )


def leading_methods(tidy: pd.DataFrame, directions: Directions) -> pd.DataFrame:
    """Best method by its mean, the control left out, with its lead over the second on the same pairs.

    The lead is positive by construction, also for metrics where lower is better. Means are over all defined scores, as
    in the table of means; the lead is over the pairs where both methods have one.
    """
    means = {key: float(cell["score"].mean()) for key, cell in _groups(tidy, CELL)}
    records = []
    for (modality, resolution, metric), scores in paired_scores(tidy, directions):
        sign = 1 if directions[metric] else -1
        candidates = {
            method: means[modality, resolution, method, metric] for method in scores.columns if method != CONTROL
        }
        ranked = _best_first(candidates, sign)
        if len(ranked) < 2:
            continue
        best, second = ranked[:2]
        lead = _paired_difference(sign * scores, best, second)
        records.append(
            {
                "modality": modality,
                "resolution": resolution,
                "metric": metric,
                "method": best,
                "score": candidates[best],
                "second": second,
                "second_score": candidates[second],
                **asdict(lead),
                "separated": lead.low > 0,
            }
        )
    return _table(records)


def model_accuracies(cards: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a model card: dataset, architecture, resolution, seed and the accuracies of its three parts.

    Raises
    ------
    UserError
        If a card lacks one of these.
    """
    try:
        records = [
            {
                "dataset": card["dataset"],
                "architecture": card["architecture"],
                "resolution": card["resolution"],
                "seed": card["seed"],
                **{part: card["accuracy"][part] for part in ("train", "validation", "test")},
            }
            for card in cards
        ]
    except KeyError as error:
        raise UserError(f"a model card lacks {error.args[0]!r}; train that model again") from error
    table = pd.DataFrame(records)
    if table.empty:
        return table
    return table.sort_values(["dataset", "architecture", "resolution", "seed"], ignore_index=True)


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, first column left-aligned and the others right-aligned."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def method_by_metric(table: pd.DataFrame, header: Mapping[str, str], bold_without_zero: bool = False) -> str:
    """Markdown table of ``mean [low, high]``, methods down and metrics across.

    Parameters
    ----------
    table : DataFrame
        Columns method, metric, mean, low, high, undefined: one row a method and metric.
    header : mapping
        Metric → heading; also the order of the columns.
    bold_without_zero : bool
        Set entries in bold whose interval excludes zero.
    """
    entries = {(record["method"], record["metric"]): record for record in table.to_dict("records")}
    lines = []
    for method in in_order(table["method"], METHODS):
        found = [entries.get((method, metric)) for metric in header]
        lines.append([method_style(method).name, *[_entry(record, bold_without_zero) for record in found]])
    return markdown(["Method", *header.values()], lines)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain records of a frame, columns in their order, NaN and missing values as None."""
    plain = json.loads(table.to_json(orient="records", double_precision=15, force_ascii=False))
    return [dict(record) for record in plain]


def _entry(record: Mapping[Hashable, Any] | None, bold_without_zero: bool) -> str:
    if record is None:
        return ""
    text = estimate(record["mean"], record["low"], record["high"])
    if bold_without_zero and (record["low"] > 0 or record["high"] < 0):
        text = f"**{text}**"
    return text + (f" ({record['undefined']} undef.)" if record["undefined"] else "")


def _refuse_mixtures(rows: pd.DataFrame, column: str) -> None:
    for modality, part in rows.groupby("modality"):
        found = sorted(map(str, part[column].unique()))
        if len(found) > 1:
            raise UserError(
                f"the {modality} rows mix the {column}s {found[0]!r} and {found[1]!r}; "
                f"give the rows of one {column} a modality"
            )


def _groups(tidy: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    return ((tuple(key), group) for key, group in tidy.groupby(keys, sort=True))


def _methods_and_metrics(tidy: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted({(str(method), str(metric)) for method, metric in zip(tidy["method"], tidy["metric"], strict=True)})


def paired_scores(tidy: pd.DataFrame, directions: Directions) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Scores pair × method of every modality × resolution × metric that has a better end; index (pair, cluster)."""
    for key, group in _groups(tidy, ["modality", "resolution", "metric"]):
        if directions.get(key[2]) is None:
            continue
        scores = group.pivot_table(
            index=["pair", "cluster"], columns="method", values="score", aggfunc="mean", dropna=False
        )
        # dropna=False keeps undefined pairs and adds combinations that never occurred: those go.
        yield key, scores.loc[scores.index.isin(set(zip(group["pair"], group["cluster"], strict=True)))]


def _paired_difference(scores: pd.DataFrame, first: str, second: str) -> Interval:
    differences = paired_differences(scores[first], scores[second])
    return score_mean(differences, scores.index.get_level_values("cluster")).interval()


def _difference(audio: MeanEstimate, image: MeanEstimate) -> Interval:
    return contrast([audio, image], [1, -1]).interval()


def _best_first(means: Mapping[str, float], sign: int) -> list[str]:
    defined = [method for method, mean in means.items() if not math.isnan(mean)]
    return sorted(defined, key=lambda method: (-sign * means[method], method))


def _favoured(interval: Interval, higher_is_better: bool | None) -> str | None:
    if higher_is_better is None or not interval.excludes_zero:
        return None
    return "audio" if (interval.low > 0) == higher_is_better else "image"


def _verdict(interval: Interval, higher_is_better: bool) -> str:
    if not interval.excludes_zero:
        return "undecided"
    return "better" if (interval.low > 0) == higher_is_better else "worse"


def _table(found: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a frame, metrics and methods in the report's order."""
    table = pd.DataFrame(list(found))
    if table.empty:
        return table
    metrics = in_order(table["metric"], METRICS)
    methods = in_order(table["method"], METHODS)
    order = pd.DataFrame({"metric": table["metric"].map(metrics.index), "method": table["method"].map(methods.index)})
    leading = [name for name in ("scope", "modality", "audio_resolution", "resolution") if name in table]
    keys = [*(table[name].to_numpy() for name in leading), order["metric"].to_numpy(), order["method"].to_numpy()]
    position = sorted(range(len(table)), key=lambda row: tuple(key[row] for key in keys))
    return table.iloc[np.array(position)].reset_index(drop=True)
