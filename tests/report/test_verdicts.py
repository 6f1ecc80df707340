"""Verdicts: what an interval, Holm's p and chance decide, and what is made of them."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_rows import MakeRows

from audioxai.report.advice import Advice, advise
from audioxai.report.estimates import prepared
from audioxai.report.style import Style
from audioxai.report.verdicts import Target, named, outcome, tally, verdict, verdicts, with_outcomes, within_chance

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "expected"),
    [
        (0.1, 0.2, True, "better"),
        (0.1, 0.2, False, "worse"),
        (-0.2, -0.1, True, "worse"),
        (-0.2, -0.1, False, "better"),
        (0.1, 0.2, None, "higher"),
        (-0.2, -0.1, None, "lower"),
        (-0.1, 0.2, True, "undecided"),
        (0.0, 0.2, True, "undecided"),
        (NAN, NAN, True, "undecided"),
    ],
)
def test_an_interval_without_zero_decides(low: float, high: float, higher_is_better: bool, expected: str) -> None:
    assert outcome(low, high, higher_is_better) == expected


def record(mean: float, low: float, high: float, **more: Any) -> dict[Hashable, Any]:
    facts: dict[Hashable, Any] = {
        "method": "saliency",
        "metric": "mprt",
        "mean": mean,
        "low": low,
        "high": high,
        "undefined": 0,
    }
    return {**facts, **dict(more.items())}


def test_one_verdict_makes_cell_marker_and_text() -> None:
    decided = verdict(record(-0.15, -0.2, -0.1), False)
    assert (decided.outcome, decided.marker, decided.decided) == ("better", "*", True)
    assert (decided.cell.text, decided.cell.value, decided.cell.strong) == ("−0.150 [−0.200, −0.100]", -0.15, True)
    open_ = verdict(record(0.1, -0.1, 0.3, undefined=2), False)
    assert (open_.marker, open_.cell.strong, open_.cell.text) == ("", False, "0.100 [−0.100, 0.300] (2 undef.)")
    assert verdict(record(0.1, NAN, NAN), True).text == "+0.100"


@pytest.mark.parametrize(("p", "expected"), [(0.04, "better"), (0.05, "undecided"), (NAN, "undecided")])
def test_holms_p_decides_where_it_is_the_rule(p: float, expected: str) -> None:
    assert verdict(record(0.1, -0.1, 0.3, p_holm=p), True, "holm").outcome == expected


def test_so_many_could_be_chance() -> None:
    assert within_chance(1, 20)
    assert within_chance(3, 20)
    assert not within_chance(4, 20)
    assert within_chance(0, 1)


def test_tallies_count_and_name_the_majority() -> None:
    found = [verdict(record(0.2, 0.1, 0.3), True)] * 3 + [verdict(record(0.0, -1.0, 1.0), True)] * 2
    counts = tally(found)
    assert (counts["better"], counts["undecided"], counts.count, counts.decided) == (3, 2, 5, 3)
    assert counts.majority == "better"
    assert tally(found[3:]).majority is None


def test_methods_are_named_with_the_cells_where_it_holds(style: Style) -> None:
    def one(method: str, resolution: int, low: float) -> dict[Hashable, Any]:
        return record(low + 0.1, low, low + 0.2, resolution=resolution) | {"method": method}

    rows = [one("saliency", 28, 0.1), one("saliency", 64, -0.1), one("occlusion", 28, 0.1), one("occlusion", 64, 0.1)]
    found = verdicts(pd.DataFrame(rows).assign(metric="faithfulness_correlation"), style)
    assert named(found, "better", style) == "Saliency (at 28) and Occlusion"
    assert named(found, "worse", style) == ""
    assert named(found[2:], "better", style) == "Occlusion"
    assert named([found[0], found[2]], "better", style) == "every method"
    assert list(with_outcomes(pd.DataFrame(rows), style)["outcome"]) == ["worse", "undecided", "worse", "worse"]


@pytest.mark.parametrize(("met", "expected"), [(True, "met"), (False, "missed"), (None, "not measured")])
def test_targets_are_met_missed_or_not_measured(met: bool | None, expected: str) -> None:
    target = Target("size", "300", "12", met)
    assert target.outcome == target.record()["verdict"] == target.cells[3].text == expected
    assert target.cells[3].strong == (met is True)


# --------------------------------------------------------------------------------------------------------------- advice


def advised(rows: pd.DataFrame, style: Style) -> Advice:
    audio = rows[rows["modality"] == "audio"]
    found = advise(prepared(audio), ["resolution"], style)
    assert found is not None
    return found


def test_the_best_is_advised_and_what_is_no_better_than_chance_is_not(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(method_step=0.2)
    shift = rows["method"].map({"saliency": 0.0, "occlusion": -0.2}).fillna(0.0)
    rows["score"] += shift * (rows["metric"] == "faithfulness_correlation")
    found = advised(rows, style)
    assert found.metric == "faithfulness_correlation"
    assert found.use == ("saliency",)
    assert "occlusion" in found.avoid
    first = found.standings[0]
    assert (first.method, first.settings, first.best, first.beats, first.mean_rank) == ("saliency", 3, 3, 3, 1.0)


def test_nothing_is_advised_where_no_method_differs(rows_with: MakeRows, style: Style) -> None:
    found = advised(rows_with(method_step=0.0, noise=0.0), style)
    assert (found.use, found.avoid) == ((), ())


def test_a_method_that_loses_to_loudness_is_not_advised(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(method_step=0.2)
    loud = rows[rows["method"] == "saliency"].assign(method="energy")
    loud["score"] += 0.3 * (loud["metric"] == "faithfulness_correlation")
    found = advised(pd.concat([rows, loud]), style)
    assert found.controls == ("random", "energy")
    assert found.use == ()
    assert set(found.avoid) == {one.method for one in found.standings if 2 * one.worse > one.settings}
    assert "saliency" in found.avoid


def test_without_a_control_the_best_is_advised(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(method_step=0.2, methods=("saliency", "occlusion"))
    assert advised(rows, style).use == ("saliency",)


def test_one_cluster_decides_nothing_against_a_control(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(method_step=0.2, samples=1)
    assert advised(rows, style).use == ()


def test_undefined_scores_give_no_advice(rows_with: MakeRows, style: Style) -> None:
    assert advise(prepared(rows_with(samples=2).assign(score=np.nan)), ["resolution"], style) is None
