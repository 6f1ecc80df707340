"""What a study takes: less once some of it is done, nothing once all is, and passes as they are counted elsewhere."""

from pathlib import Path

import pytest
from helpers.tiny_studies import options_in, study_of

from audioxai.experiment import Plan, run
from audioxai.experiment.estimate import estimate, summary
from audioxai.experiment.plan import passes_of


def test_what_is_left_becomes_less_and_then_nothing(sounds_folder: Path, tmp_path: Path) -> None:
    plan = Plan(study_of(sounds_folder, seeds=(0, 1)), options_in(tmp_path, threads=1))
    before = estimate(plan)
    assert len(before) == 2
    counted = sum(passes_of(plan.study, task) for task in plan.tasks("explain", "score"))
    assert before["passes"].sum() == counted
    assert (before[["training_s", "explaining_s", "scoring_s", "memory_bytes", "disk_bytes"]] > 0).all(axis=None)
    assert not list(tmp_path.iterdir())
    run(plan, "train", "explain")
    explained = estimate(plan)
    assert (explained[["training_s", "explaining_s"]] == 0).all(axis=None)
    assert explained["scoring_s"].gt(0).all()
    run(plan, "score")
    done = estimate(plan)
    assert (done[["passes", "training_s", "explaining_s", "scoring_s", "disk_bytes"]] == 0).all(axis=None)
    assert len(summary(done, 4)) == 3


def test_disk_is_about_what_is_written(sounds_folder: Path, tmp_path: Path) -> None:
    plan = Plan(study_of(sounds_folder), options_in(tmp_path, threads=1))
    due = estimate(plan)["disk_bytes"].sum()
    run(plan)
    arrays = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    assert due == pytest.approx(arrays, rel=0.3)
