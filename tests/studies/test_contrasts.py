"""The contrasts on tiny data: treatments share arrays and weights, differences are what they say, verdicts follow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from audioxai.experiment import MetricSpec, Plan, results_of, run
from audioxai.experiment.models import forget, load_model, weights_path
from audioxai.report.contrasts import AS_IMAGES, FOUND, TREATMENT, Evidence, contrasts_document
from audioxai.results import ResultSet
from audioxai.studies import contrasts
from audioxai.studies.contrasts import SIDE, ContrastsConfig
from audioxai.studies.options import run_options
from audioxai.utils.errors import UserError

METHODS = ("saliency", "input_x_gradient", "integrated_gradients", "energy", "random")


@pytest.fixture(scope="module")
def plan(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """Two methods and controls on models that were hardly trained."""
    folder = tmp_path_factory.mktemp("contrasts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        forget()
        config = ContrastsConfig(
            images="digits_8x8",
            audio="spoken_digits",
            limit=40,
            audio_epochs=2,
            image_epochs=2,
            short_audio_epochs=(),
            short_image_epochs=(1,),
            training_seeds=(0,),
            samples_per_seed=6,
            gradients=8,
            faithfulness_runs=12,
            device="cpu",
            threads=1,
            results=str(folder / "results"),
            checkpoints=str(folder / "checkpoints"),
        )
        study = contrasts.declare(config)
        small = replace(
            study,
            cells=tuple(replace(cell, methods=()) for cell in study.cells),
            methods=METHODS,
            metrics=(MetricSpec("faithfulness_correlation"), MetricSpec("sparseness")),
        )
        made = Plan(small, run_options(config))
        run(made)
        yield made
        forget()


@pytest.fixture(scope="module")
def results(plan: Plan) -> ResultSet:
    return results_of(plan)


@pytest.fixture(scope="module")
def evidence(results: ResultSet) -> Evidence:
    return Evidence(results)


def test_both_treatments_see_the_same_arrays_with_the_same_weights(plan: Plan, evidence: Evidence) -> None:
    for one in TREATMENT:
        cells = {condition.name: cell for condition, cell, _ in evidence.cells}
        first, second = cells[one.first], cells[one.second]
        assert (first.modality, second.modality) == ("audio", "image")
        assert first.ids == second.ids
        levels, images = first.inputs()["inputs"], second.inputs()["inputs"]
        torch.testing.assert_close((levels + 80.0) / 80.0, images, rtol=0, atol=1e-6)
        assert torch.equal(first.inputs()["predictions"], second.inputs()["predictions"])
    models = [
        load_model(cell.model, weights_path(cell.model, plan.options.checkpoints), torch.device("cpu"))[0]
        for cell in plan.cells[:2]
    ]
    for one, other in zip(*(model.body.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_what_is_no_matter_of_units_is_the_same_under_both_treatments(evidence: Evidence) -> None:
    table: Any = evidence.differences.set_index(["comparison", "metric", "method"])
    for one in TREATMENT:
        for method in ("saliency", "integrated_gradients", "energy", "random"):
            found = table.loc[(one.name, "sparseness", method)]
            # Among equally silent features rounding decides through which a gradient goes.
            assert abs(found["mean"]) < 2e-3, method
            assert bool(found["negligible"])
        # In decibels 0 is the loudest level, in an image it is black.
        assert abs(table.loc[(one.name, "sparseness", "input_x_gradient"), "mean"]) > 0.01


def test_differences_are_means_of_paired_differences_or_differences_of_means(evidence: Evidence) -> None:
    tidy = evidence.tidy
    own = tidy[(tidy["method"] == "saliency") & (tidy["metric"] == "faithfulness_correlation")]
    scores = {name: part.set_index("sample")["score"] for name, part in own.groupby("condition")}
    table = evidence.differences.set_index(["comparison", "metric", "method"])["mean"]
    for one in (*TREATMENT, FOUND, AS_IMAGES):
        first, second = scores[one.first], scores[one.second]
        expected = (first - second).mean() if one.paired else first.mean() - second.mean()
        found = table[one.name, "faithfulness_correlation", "saliency"]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_doubled_resolution_is_detail_and_grid_together(evidence: Evidence) -> None:
    table = evidence.resolution.set_index(["change", "content", "method", "metric"])["mean"]
    whole, detail, grid = (table[change].sort_index() for change in ("Front end", "Detail alone", "Grid alone"))
    np.testing.assert_allclose(whole, detail + grid, atol=1e-9)
    shown = [cell for condition, cell, _ in evidence.cells if condition.name == "speech_blurred"]
    assert shown[0].resolution == 2 * SIDE


def test_sparse_recordings_have_the_share_of_silence_that_was_asked_for(evidence: Evidence) -> None:
    conditions: Any = evidence.conditions.set_index("condition")
    # Tones have more silence than was asked for, and keep it.
    assert conditions.loc["speech_sparse", "silent"] >= 0.739
    assert set(evidence.conditions["n"]) == {6}


def test_equal_accuracy_is_the_nearest_pair_of_trainings(evidence: Evidence) -> None:
    known = evidence.conditions.set_index("condition")["accuracy"]
    one = evidence.of("accuracy")
    best = min(abs(known["speech_sound"] - known[name]) for name in ("writing_image", "writing_image_1"))
    assert abs(known[one.first] - known[one.second]) == best


def test_holms_family_is_one_comparison_without_controls(evidence: Evidence) -> None:
    table = evidence.differences
    own = table[(table["comparison"] == "found") & ~table["method"].isin(["energy", "random"])]
    defined = own[own["p"].notna()]
    smallest = defined.sort_values("p").to_dict("records")[0]
    np.testing.assert_allclose(smallest["p_holm"], min(1.0, smallest["p"] * len(defined)), rtol=1e-9)


def test_the_document_holds_every_comparison(results: ResultSet, evidence: Evidence) -> None:
    document = contrasts_document(results)
    frame = document.data["differences"]
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["comparison"]) == {one.name for one in evidence.comparisons}
    for figure in document.sections[1].blocks[-1:]:
        assert figure.draw(6.9).axes  # type: ignore[union-attr]


def test_results_without_conditions_are_refused(results: ResultSet) -> None:
    with pytest.raises(UserError, match="0 conditions"):
        contrasts_document(replace(results, context={}))


def test_shorter_trainings_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="short_image_epochs"):
        ContrastsConfig(short_image_epochs=(8,))
    with pytest.raises(UserError, match="short_audio_epochs"):
        ContrastsConfig(short_audio_epochs=(0,))
