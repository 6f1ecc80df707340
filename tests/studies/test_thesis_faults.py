"""The thesis' faults on tiny data: each is there at the first step and gone at its own; nobody else can make them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.dataset_files import write_speakers

from audioxai import datasets
from audioxai.compat.quantus.faithfulness import FaithfulnessCorrelation
from audioxai.datasets import DATASETS
from audioxai.domains import PeakLogMel
from audioxai.experiment import Plan, results_of, run
from audioxai.experiment.models import forget, load_model, weights_path
from audioxai.metrics import METRICS, Batch
from audioxai.report.thesis_faults import BASELINED, Evidence, thesis_faults_document
from audioxai.results import ResultSet
from audioxai.studies import thesis_faults
from audioxai.studies.options import run_options
from audioxai.studies.thesis_faults import (
    FLOOR_DB,
    OWN_METHODS,
    OWN_METRICS,
    PRECISE,
    STEPS,
    CutToQuiet,
    MedianOfBatch,
    NoiseAround,
    QuietMadeLoud,
    ThesisFaultsConfig,
    ThesisReading,
)
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS


@pytest.fixture(scope="module")
def plan(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """Models that were hardly trained, two seeds."""
    folder = tmp_path_factory.mktemp("thesis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        forget()
        config = ThesisFaultsConfig(
            audio="spoken_digits",
            resolution=32,
            limit=40,
            epochs=1,
            training_seeds=(0, 1),
            samples_per_seed=5,
            precise_samples=6,
            gradients=4,
            device="cpu",
            threads=1,
            results=str(folder / "results"),
            checkpoints=str(folder / "checkpoints"),
        )
        made = Plan(thesis_faults.declare(config), run_options(config))
        run(made)
        yield made
        forget()


@pytest.fixture(scope="module")
def results(plan: Plan) -> ResultSet:
    return results_of(plan)


@pytest.fixture(scope="module")
def evidence(results: ResultSet) -> Evidence:
    return Evidence(results)


def test_the_first_model_tells_folders_apart_and_the_others_digits(plan: Plan, results: ResultSet) -> None:
    names = [tuple(cell.class_names) for cell in results.cells]
    assert names[0] == tuple(f"folder {number:02d}" for number in range(1, 6))
    assert set(names[1:5]) == {tuple(str(digit) for digit in range(10))}
    first = results.cells[0]
    assert [f"folder {group}" for group in first.groups] == [names[0][label] for label in first.inputs()["labels"]]
    splits = [cell.split for cell in results.cells]
    assert splits == [*["random"] * 2, *["speaker_disjoint"] * 3, *["random"] * 2, *["speaker_disjoint"] * 2]
    peak = [isinstance(cell.model.domain, PeakLogMel) for cell in plan.cells]
    assert peak == [True, True, True, False, False, True, True, True, False]


def test_its_metric_is_quantuss_own(plan: Plan, evidence: Evidence) -> None:
    spec = plan.cells[3].model
    model = load_model(spec, weights_path(spec, plan.options.checkpoints), torch.device("cpu"))[0]
    cell = evidence.results.cells[3]
    batch = Batch(model.body, cell.inputs()["inputs"], cell.inputs()["targets"])
    for step in (STEPS[3], STEPS[6]):
        removed: str | float = "black" if step.metric == "quantus_minimum" else FLOOR_DB
        metric = FaithfulnessCorrelation(nr_runs=10, subset_size=224, perturb_baseline=removed, seed=0)
        expected = metric(model.body, batch.inputs, batch.targets, cell.attributions("saliency").values)
        rows = evidence.rows(step, "saliency").set_index("sample").loc[list(cell.ids)]
        np.testing.assert_allclose(rows["score"], expected.numpy(), atol=1e-6)


def test_every_step_has_a_score_in_every_column(evidence: Evidence) -> None:
    assert [step.name for step in evidence.as_measured] == [*(step.name for step in STEPS), "samples"]
    assert [step.name for step in evidence.precise] == [step.name for step in PRECISE]
    scores = evidence.scores
    assert len(scores) == len(evidence.steps) * len(evidence.columns)
    assert evidence.columns[: len(BASELINED)] == list(BASELINED)
    assert set(scores["n"]) <= {*range(7), 10}
    last = scores[scores["step"] == "samples"]
    assert (last["n"] + last["undefined"] == 10).all()


def test_a_change_on_the_same_clips_is_paired(evidence: Evidence) -> None:
    worth: Any = evidence.worth.set_index(["step", "column"])
    assert list(dict.fromkeys(worth.index.get_level_values("step"))) == [step.name for step in PRECISE[1:]]
    now, then = (evidence.rows(step, "zero").set_index("sample")["score"] for step in (PRECISE[4], PRECISE[3]))
    assert len(now) == 6
    np.testing.assert_allclose(worth.loc[("precise_silence", "zero"), "mean"], (now - then).mean(), atol=1e-12)
    # What has no baseline is not touched by another one.
    assert worth.loc[("precise_silence", "saliency"), "mean"] == 0.0


def test_the_document_is_made_of_the_stored_results_alone(results: ResultSet) -> None:
    document = thesis_faults_document(results)
    assert document.sections[0].name == "answer"
    assert document.sections[1].blocks[1].draw(6.9).axes  # type: ignore[union-attr]


def test_nothing_else_can_name_what_the_thesis_did() -> None:
    assert not {entry.name for entry in OWN_METHODS} & set(METHODS)
    own = {spec.row_name for spec in OWN_METRICS if not isinstance(spec.metric, str)}
    assert own == {step.metric for step in (*STEPS, *PRECISE)} - {"faithfulness_correlation"}
    assert not own & set(METRICS)
    assert not any("folders" in name for name in DATASETS)


def test_folders_are_classes_only_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_speakers(tmp_path / "audio_mnist", [f"{number:02d}" for number in range(1, 13)])
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path))
    folders, digits = (datasets.load(ThesisReading("audio_mnist", one)) for one in (True, False))
    assert (len(folders), len(folders.class_names)) == (90, 9)
    assert set(folders.groups) == {f"{number:02d}" for number in range(1, 10)}
    assert not folders.group_disjoint
    assert (len(digits), digits.class_names) == (120, tuple(map(str, range(10))))
    assert not digits.group_disjoint
    assert digits.labels.tolist() == [int(Path(name).name[0]) for name in digits.ids]
    assert len({one.fingerprint for one in (folders, digits, datasets.load("audio_mnist"))}) == 3
    assert root.is_dir()


def test_what_is_not_in_that_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_speakers(tmp_path / "audio_mnist", ["01"])
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path))
    with pytest.raises(UserError, match="1 speaker"):
        datasets.load(ThesisReading("audio_mnist", True))
    (tmp_path / "fsdd").mkdir()
    (tmp_path / "audio_mnist" / "data" / "01" / "0_01_0.wav").rename(tmp_path / "fsdd" / "0_george_0.wav")
    with pytest.raises(UserError):
        thesis_faults.declare(ThesisFaultsConfig(audio="fsdd"))


def test_the_batchs_median_depends_on_the_neighbours_and_ours_does_not() -> None:
    levels = -80.0 * torch.rand(5, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    whole, part = MedianOfBatch()(levels), MedianOfBatch()(levels[:3])
    assert torch.equal(whole[0], levels.median(0).values)
    assert not torch.equal(whole[:3], part)


def test_quiet_features_are_set_and_loud_ones_stay() -> None:
    levels = -80.0 * torch.rand(6, 1, 2, 10, generator=torch.Generator().manual_seed(0))
    made = QuietMadeLoud()(levels)
    moved = made != levels
    assert bool((made[moved] == 0.0).all())
    # A quarter of every band, over batch and frames.
    assert moved.float().mean((0, 1, 3)).tolist() == pytest.approx([0.25, 0.25], abs=0.02)
    for band in range(2):
        assert float(levels[:, :, band][moved[:, :, band]].max()) <= float(levels[:, :, band][~moved[:, :, band]].min())


def test_low_energy_of_the_batch_cuts_loud_features_down() -> None:
    levels = -80.0 * torch.rand(6, 1, 2, 10, generator=torch.Generator().manual_seed(0))
    made = CutToQuiet()(levels)
    assert bool((made <= levels).all())
    for band in range(2):
        limit = float(np.quantile(levels[:, :, band].double().numpy(), 0.25))
        torch.testing.assert_close(made[:, :, band], levels[:, :, band].clamp_max(limit))


def test_noise_is_the_same_for_every_input_and_stays_among_levels() -> None:
    noise = NoiseAround(FLOOR_DB)(torch.zeros(3, 1, 20, 20))
    assert torch.equal(noise[0], noise[2])
    assert float(noise.min()) == FLOOR_DB
    loud = NoiseAround(0.0)(torch.zeros(1, 1, 40, 40))
    assert abs(float(loud.mean())) < 0.1
    assert 0.9 < float(loud.std()) < 1.1


def test_a_step_of_one_seed_alone_leaves_the_last_step_out(data: Path) -> None:
    study = thesis_faults.declare(ThesisFaultsConfig(audio="spoken_digits", training_seeds=(3,)))
    assert [step["name"] for step in study.context["steps"]] == [step.name for step in (*STEPS, *PRECISE)]
    assert len(study.cells) == 8
    assert replace(study.cells[0], methods=()).methods == ()
