"""Objective 1's document: what the verdicts say of rows whose answer was put there, and that everything is shown."""

import json
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_results import CONTEXT, audio_cell, image_cell, result_set
from helpers.synthetic_rows import MakeRows

from audioxai.report.document import Bullets, Document, Figure, Paragraph, Section, Table
from audioxai.report.objective1 import (
    evidence_of,
    objective1_document,
    shown_cells,
    view_of,
)
from audioxai.report.render.json import json_text
from audioxai.report.render.markdown import markdown
from audioxai.report.render.terminal import print_document, terminal_text
from audioxai.utils.errors import UserError


def document(rows: pd.DataFrame, **changes: Any) -> Document:
    return objective1_document(result_set(rows, **changes))


def section(found: Document, name: str) -> Section:
    return next(section for section in found.sections if section.name == name)


def table(found: Document, name: str) -> Table:
    return next(block for block in found.blocks(Table) if block.name == name)


def outcomes(found: Document, name: str, metric: str) -> list[list[str]]:
    """Lines of an outcome table about a metric, without its name."""
    rows = [[cell.text for cell in row] for row in table(found, name).rows]
    return [row[1:] for row in rows if row[0].startswith(metric)]


def items(found: Document) -> str:
    return " ".join(
        item for block in section(found, "answer").blocks if isinstance(block, Bullets) for item in block.items
    )


def test_clearly_worse_audio_is_worse_everywhere(rows_with: MakeRows) -> None:
    found = document(rows_with(audio_shift=-0.3))
    assert outcomes(found, "o1_difference_outcomes", "Faithfulness") == [["–", "every method", "0 of 18"]]
    assert "images by faithfulness correlation (18 of 18)" in items(found)
    assert "audio by" not in items(found)


def test_clearly_better_audio_is_better_everywhere(rows_with: MakeRows) -> None:
    found = document(rows_with(audio_shift=0.3))
    assert outcomes(found, "o1_difference_outcomes", "Faithfulness") == [["every method", "–", "0 of 18"]]
    assert "audio by faithfulness correlation (18 of 18)" in items(found)


@pytest.mark.parametrize("seed", range(2))
def test_no_difference_claims_none(rows_with: MakeRows, seed: int) -> None:
    told = items(document(rows_with(method_step=0.0, samples=40, seed=seed)))
    assert "they cannot be told apart" in told
    assert "Most favour" not in told
    assert "by no metric do most methods improve or worsen" in told


def test_identical_scores_exclude_zero_nowhere(rows_with: MakeRows) -> None:
    found = document(rows_with(method_step=0.0, noise=0.0, samples=6))
    assert "in none of 72 comparisons" in items(found)
    evidence = evidence_of(view_of(result_set(rows_with(method_step=0.0, noise=0.0, samples=6))))
    assert not evidence.leaders["separated"].any()
    assert set(evidence.contrasts["verdict"]) == {"undecided"}


def test_a_trend_has_its_direction_on_each_modality(rows_with: MakeRows) -> None:
    rows = rows_with(slope=0.2)
    images = rows["modality"] == "image"
    rows.loc[images & (rows["metric"] == "faithfulness_correlation"), "score"] *= -1.0
    found = document(rows)
    lines = {line[0]: line[1:] for line in outcomes(found, "o1_trend_outcomes", "Faithfulness")}
    assert lines["audio"][:2] == ["every method", "–"]
    assert lines["image"][:2] == ["–", "every method"]
    assert lines["audio − image"][:2] == ["every method", "–"]
    assert "faithfulness correlation improves on audio and worsens on images" in items(found)


def test_lower_is_better_turns_every_verdict_round(rows_with: MakeRows) -> None:
    from helpers.synthetic_results import metric_entries

    turned = metric_entries({"faithfulness_correlation": False})
    rows = rows_with(audio_shift=-0.2, method_step=0.2, samples=20)
    rows = rows[rows["metric"] == "faithfulness_correlation"]
    evidence = evidence_of(view_of(result_set(rows, metrics=turned)))
    assert set(evidence.differences["better"]) == {"audio"}
    assert set(evidence.contrasts["verdict"]) == {"worse"}


def test_metrics_without_direction_are_higher_or_lower(rows_with: MakeRows) -> None:
    rows = rows_with()
    rows.loc[(rows["modality"] == "audio") & (rows["metric"] == "sparseness"), "score"] += 0.5
    found = document(rows)
    assert outcomes(found, "o1_difference_outcomes", "Sparseness") == [["higher for every method", "–", "0 of 18"]]


def test_methods_to_use_and_to_avoid_come_first(rows_with: MakeRows) -> None:
    found = document(rows_with(method_step=0.2))
    first = section(found, "answer").blocks[0]
    assert isinstance(first, Bullets)
    assert first.items[0].startswith("On audio, **use Saliency**")
    assert found.sections[0].name == "answer"


def test_every_control_is_compared_with_and_named(rows_with: MakeRows) -> None:
    rows = rows_with(method_step=0.2)
    loud = rows[rows["method"] == "random"].assign(method="energy")
    found = document(pd.concat([rows, loud]))
    assert outcomes(found, "o1_minus_random_outcomes", "Faithfulness")[0] == ["audio", "every method", "–", "0 of 18"]
    names = {block.name for block in found.blocks(Table)}
    assert {"o1_minus_random", "o1_minus_energy", "o1_minus_energy_outcomes"} <= names
    assert "o1_minus_energy_forest" in {block.name for block in found.blocks(Figure)}


def test_stand_ins_are_named_first_and_in_every_caption(rows_with: MakeRows) -> None:
    found = document(rows_with(stand_in=True, samples=12))
    assert found.stand_ins == {"bundled_digits": "mnist", "spoken_digits": "audio_mnist"}
    assert markdown(found).splitlines()[2].startswith("> **STAND-IN data: bundled_digits in place of mnist and")
    blocks: list[Table | Figure] = [*found.blocks(Table), *found.blocks(Figure)]
    for block in blocks:
        assert "spoken_digits (STAND-IN for audio_mnist)" in block.caption, block.name
    assert json.loads(json_text(found))["stand_in"] == found.stand_ins


def test_real_data_are_not_called_stand_ins(rows_with: MakeRows) -> None:
    found = document(rows_with(samples=12))
    assert "STAND-IN" not in markdown(found)
    assert found.stand_ins == {}


def test_caveats_name_what_the_numbers_do_not_say(rows_with: MakeRows) -> None:
    rows = rows_with(samples=12)
    rows.loc[[3, 50], "score"] = np.nan
    rows = rows[rows["metric"] != "mprt"]
    told = markdown(Document("x", "X", "", [section(document(rows), "limits")]))
    for words in (
        "without correction",
        "10 clusters only",
        "(NaN): 2",
        "Not measured here: Parameter",
        "one metric seed",
    ):
        assert words in told
    alone = document(rows[rows["group"].isna() | (rows["group"] == "s00")])
    assert "All samples of fsdd are of one group" in markdown(alone)


def test_json_holds_what_the_tables_hold(rows_with: MakeRows) -> None:
    content = json.loads(json_text(document(rows_with(samples=12))))
    assert {"mean", "low", "high", "n", "clusters", "undefined"} <= set(content["cells"][0])
    assert len(content["cells"]) == 6 * 7 * 5
    assert len(content["differences"]) == 3 * 7 * 5
    assert len(content["models"]) == 12
    assert {record["scope"] for record in content["trends"]} == {"audio", "image", "audio − image"}
    assert content["context"] == CONTEXT
    assert content["answer"]
    assert content["caveats"]


def test_same_rows_in_any_order_give_the_same_texts(rows_with: MakeRows) -> None:
    rows = rows_with(audio_shift=-0.1, samples=12, methods=("saliency", "occlusion", "random"))
    rows.loc[::97, "score"] = np.nan
    first, second = document(rows), document(rows.sample(frac=1, random_state=3))
    for text_of in (markdown, json_text, terminal_text):
        assert text_of(first) == text_of(second)


@pytest.mark.parametrize(
    "kept", ["modality == 'audio'", "resolution == 64", "method == 'saliency'", "sample == 'audio0001'"]
)
def test_what_cannot_be_compared_is_left_open(rows_with: MakeRows, kept: str) -> None:
    found = document(rows_with(samples=8).query(kept))
    assert "NaN" not in json_text(found)
    assert "nan" not in markdown(found).lower().replace("(nan)", "")


def test_mixtures_and_unknown_modalities_are_refused(rows_with: MakeRows) -> None:
    rows = rows_with(samples=2)
    mixed = rows.assign(dataset=rows["dataset"].where(rows.index % 2 == 0, "other"))
    with pytest.raises(UserError, match="rows mix the datasets"):
        document(mixed)
    with pytest.raises(UserError, match="modality 'video'"):
        document(rows.assign(modality="video"))


def test_the_terminal_shows_both_modalities_side_by_side(rows_with: MakeRows) -> None:
    rows = rows_with(audio_shift=-0.5, samples=12, stand_in=True)
    found = document(rows)
    text = terminal_text(found)
    assert max(map(len, text.splitlines())) <= 110
    assert "spoken_digits (STAND-IN for audio_mnist)" in text
    assert "Resolution 32 (audio), 28 (image)" in text
    assert "profile: quick" in text
    audio = rows.query("modality == 'audio' and resolution == 64 and method == 'saliency'")
    faithful = audio.query("metric == 'faithfulness_correlation'")["score"].mean()
    block = text.split("Resolution 64")[1].split("\n\n")[0].splitlines()
    assert block[2].split() == ["audio", "image"] * 5
    line = next(line for line in block if line.startswith("Saliency"))
    assert line.split()[1] == f"{faithful:.3f}".replace("-", "−")
    assert line.split()[2].endswith("*")
    stream = StringIO()
    print_document(found, stream)
    assert stream.getvalue() == text + "\n"


def test_samples_are_those_of_the_middle_resolution(rows_with: MakeRows, tmp_path: Any) -> None:
    cells = (audio_cell(tmp_path), image_cell(tmp_path))
    assert shown_cells(cells[::-1]) == list(cells)
    found = document(rows_with(samples=6), cells=cells)
    names = [figure.name for figure in found.blocks(Figure) if "overlay" in figure.name]
    assert names == ["o1_overlay_audio_1", "o1_overlay_audio_2", "o1_overlay_image_1", "o1_overlay_image_2"]
    (told,) = [block for block in section(found, "answer").blocks if isinstance(block, Paragraph)]
    assert "6 recordings of 6 speakers" in told.text
