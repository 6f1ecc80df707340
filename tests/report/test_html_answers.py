"""Answers and tables of the report against the summaries they are made from."""

import json
import math
from typing import Any

import pytest
from helpers.objective2_rows import make_objective2_rows

from audioxai.report.html.answers import objective1_answer, objective2_answer
from audioxai.report.html.document import Answer
from audioxai.report.html.tables import Table, by_metric, method_key
from audioxai.report.objective1 import write_summary as write_objective1
from audioxai.report.objective2 import write_summary as write_objective2
from audioxai.report.style import estimate, method_style, metric_style

CONTEXT = {"command": "python x.py", "profile": "quick", "commit": "abc", "configuration": {"a": 1}}
PROOF = {
    "dataset": "fsdd",
    "model": "small_cnn",
    "training_seed": 0,
    "samples": 10,
    "with_cue": 0.99,
    "without_cue": 0.2,
    "follows_swap": 0.9,
    "chance": 0.25,
}


@pytest.fixture(scope="module")
def first(rows_with, cards, directions, tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("first")
    _, path = write_objective1(rows_with(), cards, directions, CONTEXT, folder)
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def second(cards, tmp_path_factory) -> Any:
    rows = make_objective2_rows(seeds=(0,), speakers=6)
    _, path = write_objective2(rows, [PROOF], cards, CONTEXT, tmp_path_factory.mktemp("second"))
    return json.loads(path.read_text(encoding="utf-8"))


def table(answer: Answer, title: str) -> Table:
    (found,) = [one for one in answer.tables if one.title == title]
    return found


def entries(found: Table, record: dict[str, Any], *keys: str) -> list[str]:
    """Cells of the row that these names begin."""
    (row,) = [row for row in found.rows if [cell.text for cell in row[: len(keys)]] == list(keys)]
    return [cell.text for cell in row]


def test_both_questions_are_answered_in_the_summaries_words(first, second) -> None:
    for made, content in ((objective1_answer(first, []), first), (objective2_answer(second, []), second)):
        assert made.question == content["question"]
        assert list(made.paragraphs) == content["answer"]
        assert list(made.caveats) == content["caveats"]
        assert dict(made.provenance) == {"profile": "quick", "command": "python x.py", "commit": "abc"}
        for found in made.tables:
            assert found.rows
            assert all(len(row) == len(found.header) for row in found.rows)


def test_questions_without_a_summary_say_what_to_run() -> None:
    for made in (objective1_answer(None, []), objective2_answer(None, [])):
        assert not made.paragraphs
        assert made.remedy.startswith("python ")


def test_every_mean_stands_in_its_row_and_column(first) -> None:
    found = table(objective1_answer(first, []), "Mean scores")
    for record in first["cells"]:
        row = entries(found, record, record["modality"], str(record["resolution"]), method_style(record["method"]).name)
        name = metric_style(record["metric"]).name
        (column,) = [place for place, heading in enumerate(found.header) if heading.rstrip(" ↑↓") == name]
        low, high = (math.nan if record[end] is None else record[end] for end in ("low", "high"))
        assert row[column].startswith(estimate(record["mean"], low, high))
    assert sum(len(row) - 3 for row in found.rows) == len(first["cells"])


def test_what_excludes_zero_is_bold(first) -> None:
    found = table(objective1_answer(first, []), "Audio − image")
    strong = sum(cell.strong for row in found.rows for cell in row)
    outside = sum(record["low"] > 0 or record["high"] < 0 for record in first["differences"])
    assert strong == outside > 0
    leads = table(objective1_answer(first, []), "Best methods")
    assert [row[-1].strong for row in leads.rows] == [record["separated"] for record in first["leaders"]]


def test_objective_2_has_its_targets_comparisons_and_proofs(second) -> None:
    answer = objective2_answer(second, [])
    targets = table(answer, "Targets")
    assert [row[0].text for row in targets.rows] == [target["name"] for target in second["targets"]]
    assert [row[-1].text for row in targets.rows] == [target["verdict"] for target in second["targets"]]
    gains = table(answer, "Method − silence IG under the worse removal")
    assert len(gains.rows) == len(second["gains"])
    assert [row[3].strong for row in gains.rows] == [record["p_holm"] < 0.05 for record in second["gains"]]
    assert [row[3].value for row in gains.rows] == [record["mean"] for record in second["gains"]]
    for material, title in (("clips", "Recordings"), ("cues", "Ground truth: planted cues")):
        found = table(answer, title)
        count = sum(record["material"] == material for record in second["means"])
        assert sum(cell.text != "" for row in found.rows for cell in row[3:]) == count
    assert [cell.text for cell in table(answer, "Do the models go by the planted cue?").rows[0]] == [
        "fsdd", "small_cnn", "0", "10", "99.00 %", "20.00 %", "90.00 %", "25.00 %"
    ]  # fmt: skip
    assert len(table(answer, "Completeness").rows) == len(second["gaps"])


def test_missing_scores_leave_a_hole_and_undefined_ones_are_counted() -> None:
    record = {
        "method": "silence",
        "metric": "sparseness",
        "mean": 0.5,
        "low": None,
        "high": None,
        "n": 3,
        "undefined": 2,
    }
    other = record | {"method": "dual", "metric": "complexity", "undefined": 0}
    found = by_metric("T", "Note.", [record, other], (method_key(),), {})
    assert [[cell.text for cell in row] for row in found.rows] == [
        ["Silence IG", "0.500 (2 undef.)", ""],
        ["Dual IG", "", "0.500"],
    ]
    assert math.isnan(found.rows[0][2].value or 0.0)
    assert found.note == "Note. n = 3."
