"""In which features methods explain: masks of the recording, bins of its spectrum, or those that the model sees."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_studies import model_of, options_in, study_of

from audioxai.baselines import Silence
from audioxai.domains import Mask
from audioxai.experiment import Cell, DataSpec, MetricSpec, Plan, Study, results_of, run
from audioxai.experiment.plan import MethodUse, Unit, judges, lives_in, methods_of, stft_of, units_of
from audioxai.experiment.runner import _Work
from audioxai.metrics import SignalNoise
from audioxai.metrics.attack import AttackMovement
from audioxai.metrics.faithfulness import PositiveDeletion
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.results import load_tensors
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import OfWaveforms, seen_in
from audioxai.xai_methods.masks import in_masks

IN_MASKS = ("silence", "ordered", "mask_noise", "rise", "pullback", "energy", "random")


def masked_study(folder: Path, **changes: Any) -> Study:
    """Two kinds of models in one set of features; noise of the judge differs from that of the methods."""
    model = model_of(folder)
    waveforms = replace(model, architecture="audionet")
    cells = tuple(Cell(one, 0, 2, gradients=(8,), passes=(16,), features="mask") for one in (model, waveforms))
    metrics = (MetricSpec("removal_worst"), MetricSpec("average_sensitivity"), MetricSpec("sparseness"))
    declared: dict[str, Any] = {"cells": cells, "methods": IN_MASKS, "metrics": metrics, "method_seed": 3}
    return study_of(folder, **(declared | {"settings": {"steps": 3, "draws": 1}, "references": 6} | changes))


@pytest.fixture(scope="module")
def finished(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = Plan(masked_study(sounds_folder), options_in(tmp_path_factory.mktemp("masks"), threads=1))
    run(plan)
    return plan


def test_maps_of_every_model_are_those_of_masks_of_its_recordings(finished: Plan) -> None:
    for cell in finished.cells:
        work = _Work(finished, cell)
        tensors, _ = work.stored
        domain = cell.model.domain
        cells = Mask.of(domain.sample_rate_hz, domain.duration_s)  # type: ignore[attr-defined]
        for name, spent in (("silence", 8), ("mask_noise", 8), ("rise", 16), ("energy", 0), ("random", 0)):
            method = MethodUse(name, spent)
            assert method in methods_of(finished.study, cell)
            maps, _ = load_tensors(finished.place(cell).attributions(method))
            made = in_masks(name, cells, gradients=spent or None, seed=3, references=_references(work, name))
            expected = made(work.model, tensors["waveforms"], tensors["targets"])
            torch.testing.assert_close(maps["attributions"], expected, rtol=1e-4, atol=1e-6)
        assert lives_in(finished.study, cell, MethodUse("ordered", 8)) == cells
        assert lives_in(finished.study, cell, MethodUse("pullback", 8)).name == "stft"


def _references(work: _Work, name: str) -> torch.Tensor | None:
    return work.training_waveforms if name == "mask_noise" else None


def test_they_are_judged_by_sounds_and_by_explaining_again_but_not_by_changed_features(finished: Plan) -> None:
    rows = results_of(finished).rows
    assert set(rows["metric"]) == {"removal_worst", "average_sensitivity"}
    assert set(rows["method"]) == set(IN_MASKS)
    assert rows.groupby(["model", "method", "metric"]).size().eq(2).all()
    assert set(rows.loc[rows["method"] != "pullback", "domain"]) == {"mask"}
    counted = rows.set_index("method")["map_passes"]
    assert set(counted["rise"]) == {16}
    assert set(counted["ordered"]) == {8}


def test_sensitivity_of_a_method_of_waveforms_is_that_under_noise_on_the_recording(finished: Plan) -> None:
    """By hand, with the metric itself on waveforms."""
    rows = results_of(finished).rows
    for cell in finished.cells:
        work, method = _Work(finished, cell), MethodUse("pullback", 8)
        tensors, metadata = work.stored
        explainer = work.explainer(method)
        maps, _ = load_tensors(finished.place(cell).attributions(method))
        metric = AverageSensitivity(explainer, SignalNoise(), draws=1)
        expected = metric(work.model, tensors["waveforms"], tensors["targets"], maps["attributions"])
        own = rows.query("method == 'pullback' and metric == 'average_sensitivity'")
        scores = own[own["model"] == cell.model.name].set_index("sample")["score"]
        assert [scores[name] for name in metadata["ids"]] == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_metric_judges_the_budgets_that_it_is_asked_for_and_what_always_costs_the_same(sounds_folder: Path) -> None:
    metrics = (MetricSpec("sparseness"), MetricSpec("average_sensitivity", budgets=(12,)))
    cell = Cell(model_of(sounds_folder), 0, 2, gradients=(8, 12))
    study = study_of(sounds_folder, cells=(cell,), metrics=metrics, methods=("silence", "saliency", "energy"))
    everywhere, once = units_of(study, cell)
    uses = methods_of(study, cell)
    assert [use for use in uses if judges(everywhere, cell, use)] == uses
    assert [use for use in uses if judges(once, cell, use)] == [
        MethodUse("silence", 12),
        MethodUse("saliency", 0),
        MethodUse("energy", 0),
    ]
    named = replace(once.specs[0], methods=("energy",))
    assert [use for use in uses if judges(Unit((named,)), cell, use)] == [MethodUse("energy", 0)]
    with pytest.raises(UserError, match="'random', which is no method of the study"):
        replace(study, metrics=(replace(named, methods=("random",)),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("expected", "silence")}, ("expected", "masks", "leave it out")),
        ({"methods": ("audible",)}, ("audible", "log_mel", "masks")),
    ],
)
def test_methods_that_masks_do_not_suit_are_refused_before_any_work(
    changes: dict[str, Any], words: tuple[str, ...], sounds_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        Plan(masked_study(sounds_folder, **changes), options_in(tmp_path))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"features": "masks"}, "features is 'masks'"),
        ({"features": "mask", "material": "mixtures"}, "in masks"),
        ({"features": "rfft", "material": "clip"}, "kind of material"),
        ({"passes": (4, 4)}, r"passes is \[4, 4\]"),
    ],
)
def test_cells_of_features_that_cannot_be_are_refused(cell: dict[str, Any], words: str, sounds_folder: Path) -> None:
    with pytest.raises(UserError, match=words):
        study_of(sounds_folder, cells=(Cell(model_of(sounds_folder), 0, 2, **cell),))


def test_scores_do_not_depend_on_the_other_cells(finished: Plan, sounds_folder: Path, tmp_path: Path) -> None:
    alone = masked_study(sounds_folder, cells=finished.cells[1:])
    plan = Plan(alone, replace(finished.options, results=tmp_path / "results"))
    run(plan)
    keys = ["model", "method", "metric", "sample"]
    before = results_of(finished).rows.set_index(keys)["score"]
    after = results_of(plan).rows.set_index(keys)["score"]
    torch.testing.assert_close(
        torch.tensor(before.loc[after.index].to_numpy()), torch.tensor(after.to_numpy()), rtol=0, atol=0
    )


IN_BINS = ("integrated_gradients", "lrp", "freqrise", "energy", "random")


def test_every_model_is_explained_and_judged_in_bins_of_the_recording(sounds_folder: Path, tmp_path: Path) -> None:
    waveforms = replace(model_of(sounds_folder), architecture="audionet")
    cells = tuple(
        Cell(waveforms, 0, 2, "labelled", gradients=(4,), passes=(8,), features=features)
        for features in ("rfft", "stft")
    )
    metrics = (MetricSpec("positive_deletion", materials=("labelled",), options={"levels": 4}),)
    study = study_of(sounds_folder, cells=cells, methods=IN_BINS, metrics=metrics)
    plan = Plan(study, options_in(tmp_path, threads=1))
    run(plan)
    rows = results_of(plan).rows
    assert rows.groupby(["domain", "method"]).size().eq(2).all()
    assert set(rows["domain"]) == {"rfft", "stft"}
    for cell in cells:
        work = _Work(plan, cell)
        tensors, metadata = work.stored
        assert torch.equal(tensors["targets"], tensors["labels"])
        seen, bins = seen_in(cell.domain, work.model, tensors["waveforms"])
        for name, spent in (("integrated_gradients", 4), ("freqrise", 8), ("lrp", 0), ("energy", 0)):
            context = {"domain": cell.domain, "baseline": Silence(cell.domain), "gradients": spent, "passes": spent}
            made = METHODS.bind(name, context)(seen, bins, tensors["labels"])
            maps, _ = load_tensors(plan.place(cell).attributions(MethodUse(name, spent)))
            torch.testing.assert_close(maps["attributions"], made, rtol=1e-4, atol=1e-6)
            expected = PositiveDeletion(Silence(cell.domain), levels=4)(seen, bins, tensors["labels"], made)
            own = rows[(rows["method"] == name) & (rows["domain"] == cell.domain.name)].set_index("sample")["score"]
            assert [own[one] for one in metadata["ids"]] == pytest.approx(expected.tolist(), abs=1e-4)


def test_bins_of_images_are_refused(sounds_folder: Path) -> None:
    images = replace(model_of(sounds_folder), data=DataSpec("digits_8x8"))
    with pytest.raises(UserError, match="which have no rfft"):
        study_of(sounds_folder, cells=(Cell(images, 0, 2, features="rfft"),))


@pytest.mark.parametrize("features", ["model", "mask"])
def test_an_attack_changes_recordings_whatever_the_features_of_the_maps(
    features: Any, finished: Plan, sounds_folder: Path, tmp_path: Path
) -> None:
    """By hand, with the metric itself on waveforms."""
    cell = Cell(model_of(sounds_folder), 0, 2, gradients=(8,), features=features)
    study = study_of(
        sounds_folder,
        cells=(cell,),
        methods=("saliency", "energy"),
        metrics=(MetricSpec("attack_movement"), MetricSpec("inaudible_movement")),
        settings={"population": 2, "generations": 2},
    )
    plan = Plan(study, replace(finished.options, results=tmp_path))
    run(plan)
    rows, work = results_of(plan).rows, _Work(plan, cell)
    tensors, metadata = work.stored
    for method in (MethodUse("saliency", 0), MethodUse("energy", 0)):
        explainer = work.explainer(method)
        explainer = explainer if features == "mask" else OfWaveforms(explainer, cell.model.domain)
        metric = AttackMovement(explainer, stft_of(cell), population=2, generations=2)
        maps, _ = load_tensors(plan.place(cell).attributions(method))
        expected = metric(work.model, tensors["waveforms"], tensors["targets"], maps["attributions"])
        own = rows.query("method == @method.name and metric == 'attack_movement'").set_index("sample")["score"]
        assert [own[name] for name in metadata["ids"]] == pytest.approx(expected.tolist(), rel=1e-5, nan_ok=True)
    found = rows.pivot_table(index=["method", "sample"], columns="metric", values="score")
    assert bool((found["attack_movement"] >= found["inaudible_movement"] - 1e-9).all())
