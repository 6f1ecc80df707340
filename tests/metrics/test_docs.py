"""The page on metrics says what the code says."""

import ast
import importlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.metric_cases import BASELINE, STFT, WAVEFORM, registered
from helpers.tiny_models import draw, tiny_cnn
from torch import Tensor, nn

from audioxai.baselines import Silence, SpeechShapedNoise
from audioxai.metrics import METRICS
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.noise import RangeNoise

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
COLUMNS = ["Name", "Class", "Formula", "Range", "Passes", "Source", "Compared with Quantus", "Tests"]
EXPLANATION = 10**6  # passes of one, so large that none of the others can be taken for it


@dataclass(frozen=True)
class Costly:
    """An explainer of which only the cost is asked."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def passes(self, inputs: Tensor) -> int:
        return EXPLANATION * len(inputs)


def rows() -> list[dict[str, str]]:
    """Rows of the page's tables, by column."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| `") else []
        if cells:
            assert len(cells) == len(COLUMNS), line
            found.append(dict(zip(COLUMNS, cells, strict=True)))
    return found


ROWS = rows()
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[row["Name"].strip("`") for row in ROWS])


def described(row: dict[str, str]) -> type[PassMetric]:
    """The class that a row names."""
    module, name = row["Class"].strip("`").rsplit(".", 1)
    return getattr(importlib.import_module(f"audioxai.metrics.{module}"), name)


CONTEXT = {
    "baseline": BASELINE,
    "explainer": Costly(),
    "noise": RangeNoise(),
    "class_count": 10,
    "domain": WAVEFORM,
    "stft": STFT,
    "removals": (Silence(WAVEFORM), SpeechShapedNoise.of(draw(6, 1, 40, seed=9), snr_db=0.0)),
}


def number(text: str) -> float:
    """A bound as it is printed."""
    return math.inf if text == "∞" else float(text.replace("−", "-"))


def counted(expression: str, values: dict[str, int]) -> int:
    """Value of a sum of products such as ``10 E + 11``."""
    return sum(
        math.prod(values[factor] if factor in values else int(ast.literal_eval(factor)) for factor in term.split())
        for term in expression.split("+")
    )


def test_every_metric_has_exactly_one_row_and_every_row_another_name() -> None:
    names = [row["Name"].strip("`") for row in ROWS]
    assert len(names) == len(set(names))
    assert set(METRICS) == set(names)


@pytest.mark.parametrize("name", METRICS)
def test_the_row_names_the_registered_class(name: str) -> None:
    (row,) = (row for row in ROWS if row["Name"] == f"`{name}`")
    assert described(row) is type(registered(name))


@EVERY_ROW
def test_range_direction_and_source_are_the_classes_own(row: dict[str, str]) -> None:
    metric = described(row)
    low, dots, high, arrow = row["Range"].split(" ")
    assert dots == "…"
    assert (number(low), number(high)) == metric.score_range
    assert arrow == ("↑" if metric.higher_is_better else "↓")
    assert row["Source"] == metric.source


@EVERY_ROW
def test_passes_are_what_the_metric_says(row: dict[str, str]) -> None:
    model, inputs = tiny_cnn(), torch.empty(3, 1, 64, 64, device="meta")
    said = METRICS.bind(row["Name"].strip("`"), CONTEXT).passes(model, inputs)
    assert said == 3 * counted(row["Passes"], {"E": EXPLANATION, "L": 4})


@EVERY_ROW
def test_every_row_says_how_it_is_shown_and_how_it_differs(row: dict[str, str]) -> None:
    links = dict(re.findall(r"\[([^]]+)]\(([^)]+)\)", row["Tests"]))
    assert "corrected" in links
    assert ("parity" in links) == (not row["Compared with Quantus"].startswith("not there"))
    assert row["Formula"]


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert targets
    missing = {target for target in targets if not (PAGE.parent / target).is_file()}
    assert not missing


def test_the_examples_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS))
    scores, by_name, adapted = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(compile(scores, str(PAGE), "exec"), names)
    printed = ast.literal_eval(capsys.readouterr().out)
    assert list(printed) == list(names["metrics"])
    assert all(math.isfinite(score) for score in printed.values())
    exec(compile(by_name, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "True 50\n"
    exec(compile(adapted, str(PAGE), "exec"), {})
    assert {"peak", "monotonicity"} <= set(METRICS)
