"""Orders of methods compared on scores whose order is known."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_results import result_set

from audioxai.registry import MetricEntry
from audioxai.report.document import Table
from audioxai.report.estimates import prepared
from audioxai.report.render.json import json_text
from audioxai.report.render.markdown import markdown
from audioxai.report.subset_size import Setting, compare, subset_size_document

DEFINITIONS = ("faithfulness_fraction", "faithfulness_fixed")
# Means of three methods: the fixed definition turns the first two round at the larger size, the third always trails.
MEANS = {
    ("faithfulness_fraction", 28): {"saliency": 0.6, "deep_lift": 0.4, "random": 0.0},
    ("faithfulness_fraction", 64): {"saliency": 0.6, "deep_lift": 0.4, "random": 0.0},
    ("faithfulness_fixed", 28): {"saliency": 0.6, "deep_lift": 0.4, "random": 0.0},
    ("faithfulness_fixed", 64): {"saliency": 0.4, "deep_lift": 0.6, "random": 0.0},
}


def rows(spread: float) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "modality": "image",
                "dataset": "mnist",
                "stand_in_for": None,
                "model": "small_cnn",
                "training_seed": 0,
                "resolution": resolution,
                "method": method,
                "metric": definition,
                "sample": f"s{sample}",
                "group": None,
                "material": "clips",
                "split": "official",
                "seed": 0,
                "score": mean + spread * random.standard_normal(),
            }
            for (definition, resolution), means in MEANS.items()
            for method, mean in means.items()
            for sample in range(30)
        ]
    )


def test_a_reversal_that_is_there_is_found_and_no_other() -> None:
    verdicts = compare(prepared(rows(0.05)), DEFINITIONS)
    assert len(verdicts) == 4
    expected = {
        (Setting("image", DEFINITIONS[0], 28), Setting("image", DEFINITIONS[1], 28)): [],
        (Setting("image", DEFINITIONS[0], 64), Setting("image", DEFINITIONS[1], 64)): [("saliency", "deep_lift")],
        (Setting("image", DEFINITIONS[0], 28), Setting("image", DEFINITIONS[0], 64)): [],
        (Setting("image", DEFINITIONS[1], 28), Setting("image", DEFINITIONS[1], 64)): [("saliency", "deep_lift")],
    }
    for verdict in verdicts:
        assert verdict.reversed_pairs == expected[verdict.first, verdict.second]
        reversed_pair = bool(verdict.reversed_pairs)
        assert verdict.same_best == (not reversed_pair)
        assert verdict.tau == pytest.approx(1 / 3 if reversed_pair else 1.0)


def test_what_may_be_chance_is_no_reversal() -> None:
    assert not any(verdict.reversed_pairs for verdict in compare(prepared(rows(2.0)), DEFINITIONS))


def test_the_document_says_what_its_data_say() -> None:
    labels = dict(zip(DEFINITIONS, ("10 % of the input", "224 features"), strict=True))
    metrics = {
        name: MetricEntry(name=name, make=dict, label=label, higher_is_better=True) for name, label in labels.items()
    }
    found = subset_size_document(result_set(rows(0.05), metrics=metrics, study="subset_size"))
    content = json.loads(json_text(found))
    assert len(content["cells"]) == 12
    assert [len(verdict["reversed_pairs"]) for verdict in content["verdicts"]] == [0, 1, 0, 1]
    written = markdown(found)
    assert "reverse 1 pair of methods in 2 comparisons" in written
    assert "224 features reverses 1 pair in 1 comparisons, with a mean τ of 0.333" in written
    orders = next(table for table in found.blocks(Table) if table.name == "subset_size_orders")
    assert [row[-1].text for row in orders.rows].count("Saliency > DeepLift") == 2
    means = next(table for table in found.blocks(Table) if table.name == "subset_size_image")
    assert [row[1].text.split()[-1] for row in means.rows] == ["(1)", "(2)", "(3)"]
