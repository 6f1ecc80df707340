"""Scores on a tiny fixed model, by metric and revision: a formula that changes has to raise the metric's revision.

``PYTHONPATH=src:tests python tests/metrics/test_revisions.py`` stores the scores of metrics that are new or have
another revision than the stored one, and refuses to change those of the same revision.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from helpers.metric_cases import kinds_of, metric_case, registered

from audioxai.metrics import METRICS

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics.json"
TOLERANCE = 1e-6


def current(name: str) -> dict[str, Any]:
    """Revision of a metric and its scores of each kind of inputs, in double precision."""
    scores = {kind: metric_case(kind, batch=3).scores(registered(name)).tolist() for kind in kinds_of(name)}
    return {"revision": METRICS[name].revision, **scores}


def compare(name: str, stored: dict[str, Any] | None, found: dict[str, Any]) -> None:
    """Fail where scores changed and the revision did not, or where the table does not have this revision."""
    if stored is None or stored["revision"] != found["revision"]:
        given = "no scores" if stored is None else f"scores of revision {stored['revision']}"
        raise AssertionError(f"{GOLDEN.name} has {given} of {name} {found['revision']}; run {Path(__file__).name}")
    for kind in found.keys() | stored.keys() - {"revision"}:
        if kind == "revision":
            continue
        same = len(found.get(kind, ())) == len(stored.get(kind, ())) and all(
            math.isclose(new, old, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            for new, old in zip(found[kind], stored[kind], strict=True)
        )
        assert same, f"{name} scores {found.get(kind)} instead of {stored.get(kind)} on {kind}: raise the revision"


def table() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_the_revision(name: str) -> None:
    compare(name, table().get(name), current(name))


def test_the_table_has_no_other_metrics() -> None:
    assert set(table()) == set(METRICS)


def test_scores_are_numbers_of_which_some_differ() -> None:
    for name, entry in table().items():
        scores = [score for kind in kinds_of(name) for score in entry[kind]]
        assert all(math.isfinite(score) for score in scores)
        assert len(scores) == 3 * len(kinds_of(name))


def test_changed_scores_under_the_same_revision_are_found() -> None:
    stored, found = table()["sparseness"], current("sparseness")
    found["image"][1] += 1e-3
    with pytest.raises(AssertionError, match="raise the revision"):
        compare("sparseness", stored, found)


def test_another_revision_has_to_be_stored() -> None:
    found = current("sparseness") | {"revision": 2}
    with pytest.raises(AssertionError, match="has scores of revision 1 of sparseness 2; run"):
        compare("sparseness", table()["sparseness"], found)
    with pytest.raises(AssertionError, match="has no scores of sparseness 2; run"):
        compare("sparseness", None, found)


def store() -> None:
    """Write the table anew; scores of a stored revision have to be the same."""
    stored = table() if GOLDEN.exists() else {}
    found = {name: current(name) for name in METRICS}
    for name, entry in found.items():
        if name in stored and stored[name]["revision"] == entry["revision"]:
            compare(name, stored[name], entry)
            found[name] = stored[name]
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    store()
