"""The document of any study: what it leads with, and that it holds for every mix of data, models and methods."""

from pathlib import Path

import pandas as pd
import pytest
from helpers.synthetic_results import audio_cell, method_entries, metric_entries, result_set
from helpers.synthetic_rows import MakeRows

from audioxai.report.document import Bullets, Document, Figure, Table
from audioxai.report.generic import shown_methods, study_document, view_of
from audioxai.report.render.json import json_text
from audioxai.report.render.markdown import markdown
from audioxai.report.render.terminal import terminal_text


def study(rows: pd.DataFrame, **changes: object) -> Document:
    settings = {"study": "words", "title": "Words", "question": "Which method?"}
    return study_document(result_set(rows, **(settings | changes)))


def audio(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["modality"] == "audio"]


def test_it_leads_with_what_to_do(rows_with: MakeRows) -> None:
    found = study(audio(rows_with(method_step=0.2)))
    first = found.sections[0].blocks[0]
    assert found.sections[0].name == "answer"
    assert isinstance(first, Bullets)
    assert first.items[0].startswith("**Use Saliency**")
    advice = found.data["advice"]
    assert isinstance(advice, dict)
    assert advice["use"] == ("saliency",)


def test_an_advised_method_that_loses_by_another_metric_is_said_to(rows_with: MakeRows) -> None:
    rows = audio(rows_with(method_step=0.2))
    lost = (rows["metric"] == "average_sensitivity") & (rows["method"] != "random")
    rows = rows.assign(score=rows["score"] + lost * 0.5)
    first = study(rows).sections[0].blocks[0]
    assert isinstance(first, Bullets)
    (mind,) = [item for item in first.items if item.startswith("**Mind**")]
    assert "average sensitivity" in mind


def test_one_resolution_has_no_trend_and_several_have(rows_with: MakeRows) -> None:
    rows = audio(rows_with(samples=8))
    assert "resolution" in [section.name for section in study(rows).sections]
    alone = study(rows[rows["resolution"] == 64])
    assert "resolution" not in [section.name for section in alone.sections]
    assert view_of(result_set(rows[rows["resolution"] == 64])).keys == ("dataset",)


def test_data_sets_models_and_materials_are_settings_of_their_own(rows_with: MakeRows) -> None:
    rows = audio(rows_with(samples=6, methods=("saliency", "occlusion", "random")))
    rows = rows[rows["resolution"] == 64]
    both = pd.concat([rows, rows.assign(dataset="other"), rows.assign(model="alexnet"), rows.assign(material="cues")])
    found = study(both)
    cells = found.data["cells"]
    assert isinstance(cells, pd.DataFrame)
    assert len(cells) == 4 * 3 * 5
    assert {"material", "dataset", "model"} <= set(cells.columns)
    (standings,) = [table for table in found.blocks(Table) if table.name == "words_standings"]
    assert {row[2].text for row in standings.rows} == {"4"}
    assert "NaN" not in json_text(found)


@pytest.mark.parametrize("methods", [("saliency",), ("saliency", "occlusion"), ("random", "saliency")])
def test_few_methods_and_one_metric_are_enough(rows_with: MakeRows, methods: tuple[str, ...]) -> None:
    rows = audio(rows_with(samples=3, methods=methods))
    found = study(rows[(rows["metric"] == "mprt") & (rows["resolution"] == 64)], metrics=metric_entries({"mprt": None}))
    assert "nothing to advise" in markdown(found)
    assert max(map(len, terminal_text(found).splitlines())) <= 110


def test_many_metrics_wrap_in_the_terminal_and_in_the_heat_map(rows_with: MakeRows) -> None:
    rows = audio(rows_with(samples=3, methods=("saliency", "random")))
    rows = rows[(rows["resolution"] == 64) & (rows["metric"] == "mprt")]
    names = [f"metric_number_{place}" for place in range(20)]
    every = pd.concat([rows.assign(metric=name) for name in names])
    found = study(every, metrics=metric_entries(dict.fromkeys(names, True)))
    text = terminal_text(found)
    assert max(map(len, text.splitlines())) <= 110
    assert all(f"Metric number {place} ↑" in text for place in range(20))
    (heat,) = [figure for figure in found.blocks(Figure) if figure.name == "words_scores_fsdd"]
    assert sum(bool(axes.get_title(loc="left")) for axes in heat.draw(6.9).axes) == 3


def test_metrics_without_a_score_are_named(rows_with: MakeRows) -> None:
    found = study(audio(rows_with(samples=3)).query("metric != 'mprt' and resolution == 64"))
    (means,) = [table for table in found.blocks(Table) if table.name == "words_means"]
    assert "Not measured here: Parameter randomisation (MPRT)." in means.caption


def test_of_many_methods_the_best_and_the_last_are_shown(rows_with: MakeRows, tmp_path: Path) -> None:
    names = tuple(f"m{place:02d}" for place in range(14))
    rows = audio(rows_with(samples=6, method_step=0.1, methods=(*names, "random")))
    results = result_set(rows[rows["resolution"] == 64], methods=method_entries((*names, "random")))
    shown = shown_methods(results)
    assert len(shown) == 11
    assert shown[0] == "m00"
    assert {"m13", "random"} <= set(shown)
    few = result_set(rows[rows["method"].isin(["m03", "random"])], methods=method_entries((*names, "random")))
    assert shown_methods(few) == ["m03", "random"]


def test_samples_of_every_data_set_are_shown(rows_with: MakeRows, tmp_path: Path) -> None:
    found = study(audio(rows_with(samples=6)).query("resolution == 64"), cells=(audio_cell(tmp_path),))
    names = [figure.name for figure in found.blocks(Figure) if "overlay" in figure.name]
    assert names == ["words_overlay_audio_1", "words_overlay_audio_2"]
