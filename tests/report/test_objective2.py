import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from helpers.objective2_rows import LEVELS, changed, make_objective2_results

from audioxai.report.document import Bullets, Document, Figure, Paragraph, Table
from audioxai.report.objective2 import objective2_document
from audioxai.report.objective2_answer import Advice, advice
from audioxai.report.objective2_estimates import ALL, gather
from audioxai.report.objective2_targets import targets
from audioxai.report.render.json import json_text
from audioxai.report.render.markdown import markdown
from audioxai.results import ResultSet

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def results() -> ResultSet:
    return make_objective2_results(speakers=10)


@pytest.fixture(scope="module")
def document(results: ResultSet) -> Document:
    return objective2_document(results)


def small_results(levels: dict[str, float] | None = None, **others: Any) -> ResultSet:
    facts = {"datasets": ("fsdd",), "models": ("small_cnn",), "seeds": (0,), "budgets": (32,), "ground_truth": False}
    return make_objective2_results({**LEVELS, **(levels or {})}, **(facts | others))


def advised(levels: dict[str, float] | None = None, **others: Any) -> Advice:
    return advice(gather(small_results(levels, **others)))


def outcomes(results: ResultSet) -> dict[str, str]:
    return {target.name: target.outcome for target in targets(gather(results))}


def table(document: Document, name: str) -> Table:
    return next(block for block in document.blocks(Table) if block.name == name)


def texts(document: Document, section: str) -> list[str]:
    blocks = next(one.blocks for one in document.sections if one.name == section)
    return [item for block in blocks if isinstance(block, Bullets) for item in block.items]


def test_advice_is_what_was_put_into_the_rows() -> None:
    assert advised() == Advice("silence", "dual", "better", None, ("plain", "contrastive"), (), ())
    assert advised({"plain": 0.7}).start == "0 dB"
    assert advised({"plain": 0.4}, noise=0.3).start is None
    assert advised({"dual": 0.41}, noise=0.2).use == "silence"
    assert advised({"dual": 0.1, "amplitude": 0.15, "contrastive": 0.05}).outcome == "worse"
    assert advised({"idgi": 0.9}).ahead == ("idgi",)
    assert advised({"dual": 0.28, "amplitude": 0.1}).not_beaten == ("energy",)
    assert advised({"contrastive": 0.5, "plain": 0.45}).avoid == ()


def test_the_smaller_completeness_gap_is_for_where_attributions_have_to_add_up() -> None:
    results = small_results()
    larger = (results.rows["metric"] == "completeness_gap") & (results.rows["method"] == "dual")
    rows = results.rows.assign(score=results.rows["score"].mask(larger, 0.3))
    assert advice(gather(changed(results, rows))).adds_up == "silence"


def test_the_document_says_what_was_measured(results: ResultSet, document: Document) -> None:
    data: Any = document.data
    assert data["best"] == "dual"
    assert data["main_budget"] == 32
    assert data["advice"]["use"] == "dual"
    assert data["directions"] == {name: entry.higher_is_better for name, entry in results.metrics.items()}
    assert data["directions"]["sparseness"] is True
    shown = table(document, "o2_gains")
    own = results.rows.query("material == 'clips' and metric == 'removal_worst' and gradients in [0, 32]")
    means = own.groupby("method")["score"].mean()
    line = next(row for row in shown.rows if row[0].text == "Dual IG")
    assert line[1].value == pytest.approx(means["dual"] - means["silence"], abs=1e-12)
    assert line[1].strong
    bold = {row[0].text for row in shown.rows if row[1].strong}
    assert "Fade-in IG" not in bold
    assert {"Plain IG (from 0 dB)", "Contrastive fade-in IG"} < bold


def test_tables_are_read_over_all_models_and_are_there_whole(results: ResultSet, document: Document) -> None:
    short, whole = table(document, "o2_removal"), table(document, "o2_removal_every")
    methods = results.rows["method"].nunique()
    assert len(short.rows) == methods
    assert len(whole.rows) == methods * 2 * 5  # budgets × (four models and all together)
    assert whole.frame is not None
    assert set(whole.frame["scope"]) == {ALL, *gather(results).scopes()}
    assert "Sparseness ↑" in table(document, "o2_other_metrics").columns
    every = [block for section in document.sections if section.name == "every" for block in section.blocks]
    assert {block.name for block in every if isinstance(block, Table)} >= {
        f"o2_{name}_every" for name in ("gains", "leads", "completeness", "mixtures", "cues", "sequences")
    }


def test_every_block_has_a_name_of_its_own_and_captions_tell_the_data(document: Document) -> None:
    blocks: list[Table | Figure] = [*document.blocks(Table), *document.blocks(Figure)]
    names = [block.name for block in blocks]
    assert len(names) == len(set(names))
    assert all("audio audio_mnist_az and audio fsdd" in block.caption for block in blocks)


def test_stand_ins_are_named_wherever_numbers_are_shown() -> None:
    document = objective2_document(
        make_objective2_results(datasets=("spoken_digits",), seeds=(0,), stand_in_for="audio_mnist")
    )
    assert document.stand_ins == {"spoken_digits": "audio_mnist"}
    blocks: list[Table | Figure] = [*document.blocks(Table), *document.blocks(Figure)]
    for block in blocks:
        assert "spoken_digits (STAND-IN for audio_mnist)" in block.caption
    assert any("spoken_digits (STAND-IN for audio_mnist), alexnet" in text for text in texts(document, "why"))


def test_targets_are_met_and_missed_by_the_numbers(results: ResultSet, document: Document) -> None:
    found = outcomes(results)
    assert found == {
        "Plain IG from 0 dB fails as before": "met",
        "Silence IG turns it round": "missed",
        "Gain of the best audio IG (Dual IG)": "met",
        "Best audio IG (Dual IG) against its peers": "met",
        "Faithfulness correlation, 8 × 8 patches of Dual IG": "met",
        "Mixtures: relevance rank accuracy of the best": "met",
        "Planted cues: relevance mass": "missed",
        "Completeness gap of Silence IG": "met",
        "Completeness gap of Dual IG": "met",
        "Size of the study": "missed",
    }
    shown = table(document, "o2_targets")
    assert [(row[0].text, row[-1].text, row[-1].strong) for row in shown.rows] == [
        (name, outcome, outcome == "met") for name, outcome in found.items()
    ]
    weaker = outcomes(small_results({"dual": 0.52}))
    assert weaker["Gain of the best audio IG (Dual IG)"] == "missed"
    behind = outcomes(small_results({"idgi": 0.9}))
    assert behind["Best audio IG (Dual IG) against its peers"] == "missed"


def test_one_scope_below_the_mark_misses_the_target(results: ResultSet) -> None:
    rows = results.rows
    silent = rows["metric"].eq("removal_silence") & rows["method"].eq("plain")
    one = silent & rows["dataset"].eq("fsdd") & rows["model"].eq("alexnet")
    found = outcomes(changed(results, rows.assign(score=rows["score"].mask(one, -0.1))))
    assert found["Plain IG from 0 dB fails as before"] == "missed"


def test_a_control_that_beats_every_ig_where_relevance_is_known_is_named(results: ResultSet) -> None:
    rows = results.rows
    own = rows["material"].eq("mixtures") & rows["metric"].eq("relevance_rank") & rows["method"].eq("energy")
    document = objective2_document(changed(results, rows.assign(score=rows["score"].mask(own, 0.95))))
    line = next(text for text in texts(document, "why") if text.startswith("Two words at once"))
    assert "Energy (control) (0.950)" in line
    assert "Energy" not in next(text for text in texts(document, "why") if text.startswith("Planted cues"))


def test_one_budget_one_seed_one_model_without_ground_truth() -> None:
    results = small_results(budgets=(8,))
    document = objective2_document(results)
    data: Any = document.data
    assert data["main_budget"] == 8
    assert set(data["means"]["scope"]) == {"fsdd, small_cnn"}
    assert outcomes(results)["Planted cues: relevance mass"] == "not measured"
    names = {section.name for section in document.sections}
    assert "removal" in names
    assert "every" not in names
    assert "o2_ground_truth" not in {figure.name for figure in document.blocks(Figure)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda rows: rows.assign(group=rows["group"].mask(rows["dataset"] == "fsdd", "nicolas")),
            "fewer than two known test groups",
        ),
        (lambda rows: rows[rows["group"] < "s04"], "4 clusters"),
        (lambda rows: rows[rows["training_seed"] == 0], "One training seed"),
        (lambda rows: rows.assign(score=rows["score"].mask(rows["group"] == "s03")), "NaN"),
    ],
)
def test_limits_are_said_where_they_hold(results: ResultSet, document: Document, change: Change, words: str) -> None:
    found = texts(objective2_document(changed(results, change(results.rows))), "limits")
    assert any(words in text for text in found)
    assert not any(words in text for text in texts(document, "limits"))


@pytest.mark.parametrize(
    "kept",
    [
        "metric == 'removal_silence'",
        "metric != 'removal_worst'",
        "method in ('plain', 'random')",
        "method == 'dual'",
        "method != 'random'",
        "group == 's00'",
        "metric != 'relevance_mass' and method != 'idgi' and method != 'expected'",
    ],
)
def test_what_is_missing_is_left_open(results: ResultSet, kept: str) -> None:
    document = objective2_document(changed(results, results.rows.query(kept)))
    assert "nan" not in markdown(document).lower().replace("(nan)", "")
    means = json.loads(json_text(document))["means"]
    assert len(means) == len(gather(changed(results, results.rows.query(kept))).means)


def test_same_rows_in_any_order_give_the_same_documents(results: ResultSet, document: Document) -> None:
    again = objective2_document(changed(results, results.rows.sample(frac=1, random_state=3)))
    assert markdown(again) == markdown(document)
    assert json_text(again) == json_text(document)


def test_cue_reliance_and_accuracies_come_from_the_cards(document: Document) -> None:
    shown = table(document, "o2_cue_reliance")
    assert [[cell.value for cell in row[2:]] for row in shown.rows] == [
        [seed, 100, 0.99, 0.11, 0.98, 0.1] for seed in (0, 1)
    ]
    models = table(document, "o2_models")
    assert [row[-1].value for row in models.rows] == [0.9, 0.91]


def test_costs_of_controls_are_told(document: Document) -> None:
    blocks = next(section.blocks for section in document.sections if section.name == "cost")
    told = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert any("Energy (control) 0, Random (control) 0" in text for text in told)
