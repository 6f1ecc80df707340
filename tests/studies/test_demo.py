"""The demo: one command that answers both questions by the first profiles."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from audioxai.experiment import Plan, results_of
from audioxai.report.document import Document
from audioxai.studies import demo, objective1, objective2
from audioxai.studies.reports import ReportConfig
from audioxai.utils.errors import UserError


def test_the_first_profiles_share_a_model_and_measure_everything(data: Path) -> None:
    first, second = demo.options_of(demo.PROFILES["first"]).values()
    trained = {cell.model for cell in objective1.declare(first).cells}
    assert {cell.model for cell in objective2.declare(second).cells} <= trained
    assert {model.data.modality for model in trained} == {"audio", "image"}
    assert first.metrics == objective1.Objective1Config().metrics
    assert first.methods == objective1.Objective1Config().methods


def test_options_reach_both_objectives() -> None:
    config = demo.DemoConfig(profile="quick", images="mnist", audio="fsdd", threads=2, results="there")
    first, second = demo.options_of(config).values()
    assert (first.images, first.audio, second.datasets) == ("mnist", "fsdd", ("fsdd",))
    assert {one.profile for one in (first, second)} == {"quick"}
    assert {(one.threads, one.results) for one in (first, second)} == {(2, "there")}
    standard = demo.options_of(demo.DemoConfig(profile="standard"))["objective2"]
    assert standard.datasets == objective2.PROFILES["standard"].datasets


def test_it_answers_both_questions(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_1 = replace(
        objective1.PROFILES["first"],
        image_resolutions=(28,),
        image_epochs=(1,),
        audio_resolutions=(32,),
        audio_epochs=(1,),
        methods=("saliency", "random"),
        metrics=("sparseness",),
        samples_per_seed=2,
    )
    tiny_2 = replace(
        objective2.PROFILES["first"],
        resolution=32,
        epochs=1,
        ground_truth=(),
        adaptations=("silence", "random"),
        again_adaptations=("silence",),
        gradients=(8,),
        clips_per_seed=2,
        curve_steps=2,
        faithfulness_runs=4,
        faithfulness_patches=(8,),
    )
    monkeypatch.setitem(objective1.PROFILES, "first", tiny_1)
    monkeypatch.setitem(objective2.PROFILES, "first", tiny_2)
    found: dict[str, pd.DataFrame] = {}
    reports: list[tuple[ReportConfig, list[str]]] = []

    def answered(plan: Plan) -> Document:
        found[plan.study.name] = results_of(plan).rows
        return Document(plan.study.name, plan.study.title, plan.study.question, ())

    monkeypatch.setattr(demo, "answered", answered)
    monkeypatch.setattr(demo, "print_report", lambda own, made: reports.append((own, [one.name for one in made])))
    folders = [f"--results={tmp_path / 'results'}", f"--checkpoints={tmp_path / 'checkpoints'}"]
    demo.main([*folders, "--device=cpu", "--threads=1"], "python scripts/run_demo.py")
    assert list(found) == ["objective1", "objective2"]
    assert all(len(rows) for rows in found.values())
    assert [names for _, names in reports] == [["objective1", "objective2"]]
    assert (reports[0][0].profile, reports[0][0].results) == ("first", str(tmp_path / "results"))
    assert {path.name for path in (tmp_path / "results" / "configs").iterdir()} == {
        "objective1-first.yaml",
        "objective2-first.yaml",
    }
    printed = capsys.readouterr().out
    assert "Open the report first" in printed
    page = Path(printed.rpartition("One clip, explained: ")[2].strip())
    assert page.is_relative_to(tmp_path / "results")
    assert "STAND-IN" in page.read_text(encoding="utf-8")


def test_missing_data_are_missed_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fsdd"):
        demo.main([f"--results={tmp_path / 'results'}", "--audio=fsdd"], "demo")
    assert not (tmp_path / "results").exists()
