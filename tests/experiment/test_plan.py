"""Plans: what cannot be done is refused before any work, costs are known beforehand, parts share everything out."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_models import Counting
from helpers.tiny_studies import METHODS, METRICS, model_of, options_in, study_of

from audioxai.core import output_of
from audioxai.datasets import AudioFolder
from audioxai.domains import LogMel, Pixels, Waveform
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Plan, RunOptions, Study, run
from audioxai.experiment.materials import chosen
from audioxai.experiment.models import dataset_of, fingerprint_of, outline_of
from audioxai.experiment.plan import Task, baseline_of, lives_in, methods_of, passes_of, units_of
from audioxai.experiment.runner import _Work
from audioxai.experiment.study import cue_design
from audioxai.metrics import METRICS as ALL_METRICS
from audioxai.models import checkpoints
from audioxai.models.training import TrainingConfig
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS as ALL_METHODS

EVERY_METRIC = tuple(
    MetricSpec(name, materials=("mixtures",) if entry.needs_masks else ("clips",))
    for name, entry in ALL_METRICS.items()
)
WEIGHTS = b"weights"
GENEROUS = {"runs": 4, "draws": 2, "alternatives": 2, "steps": 3}


def images_of(**changes: Any) -> ModelSpec:
    """A model of the tiny images."""
    return ModelSpec(DataSpec("digits_8x8", limit=30), "small_cnn", (28, 28), TrainingConfig(epochs=1, **changes))


def refused(study: Callable[[], Study], options: RunOptions, *words: str) -> None:
    """Declaring or planning the study names these words, and nothing is written."""
    with pytest.raises(UserError) as caught:
        Plan(study(), options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert not options.results.exists()
    assert not options.checkpoints.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("saliancy",)}, ("method", "'saliancy'", "did you mean 'saliency'")),
        ({"methods": ()}, ("no method",)),
        ({"methods": ("saliency", "saliency")}, ("methods", "each once")),
        ({"metrics": (MetricSpec("sparsness"),)}, ("metric", "'sparsness'", "did you mean 'sparseness'")),
        ({"metrics": ()}, ("no metric",)),
        ({"metrics": (MetricSpec("mprt"), MetricSpec("sparseness", "mprt"))}, ("metrics", "each once")),
        ({"metrics": (MetricSpec("mprt", options={"sed": 1}),)}, ("mprt", "'sed'", "did you mean 'seed'")),
        ({"metrics": (MetricSpec("relevance_rank"),)}, ("relevance_rank", "where relevance belongs")),
        ({"settings": {"runs": 0}}, ("runs is 0",)),
        (
            {"settings": {"alternatives": 99}, "metrics": (MetricSpec("random_logit"),)},
            ("alternatives is 99", "4 classes"),
        ),
        ({"metrics": (MetricSpec("random_logit", options={"alternatives": 4}),)}, ("alternatives is 4", "4 classes")),
        ({"samples": 0}, ("samples is 0",)),
        ({"name": "../away"}, ("name", "'../away'")),
        ({"name": ""}, ("name", "''")),
        ({"profile": "my-own"}, ("profile", "'my-own'")),
        ({"samples": 9}, ("9 samples", "sounds holds 8")),
        ({"seeds": ()}, ("no model",)),
        ({"references": 0}, ("references is 0",)),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    changes: dict[str, Any], words: tuple[str, ...], sounds_folder: Path, tmp_path: Path
) -> None:
    refused(lambda: study_of(sounds_folder, **changes), options_in(tmp_path), *words)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (lambda model: Cell(model, 0, 2, "songs"), ("material", "'songs'")),
        (lambda model: Cell(model, 0, 2, "cues"), ("no planted cues",)),
        (lambda model: Cell(model, 0, 2, gradients=(8, 8)), ("gradients is [8, 8]",)),
        (lambda model: Cell(model, 0, 2, gradients=(0,)), ("gradients is [0]",)),
        (lambda model: Cell(replace(model, architecture="resnet"), 0, 2), ("architecture", "'resnet'")),
        (lambda model: Cell(replace(model, grid=(8, 24)), 0, 2), ("16",)),
        (lambda model: Cell(replace(model, data=replace(model.data, split="fold9")), 0, 2), ("split", "'fold9'")),
        (lambda model: Cell(replace(model, data=replace(model.data, limit=0)), 0, 2), ("limit is 0",)),
        (lambda model: Cell(replace(model, data=DataSpec(AudioFolder("/nowhere/at/all"))), 0, 2), ("/nowhere/at/all",)),
    ],
)
def test_cells_that_cannot_be_are_refused_before_any_work(
    cell: Callable[[ModelSpec], Cell], words: tuple[str, ...], sounds_folder: Path, tmp_path: Path
) -> None:
    refused(lambda: study_of(sounds_folder, cells=(cell(model_of(sounds_folder)),)), options_in(tmp_path), *words)


def test_methods_and_metrics_of_sound_are_refused_for_images(data: Path, tmp_path: Path) -> None:
    cells = (Cell(images_of(), 0, 2),)
    for_sound = next(name for name, entry in ALL_METHODS.items() if entry.domains == ("waveform",))
    refused(lambda: study_of(data, cells=cells, methods=(for_sound,)), options_in(tmp_path), for_sound, "waveform")
    removal = (MetricSpec("removal_worst"),)
    refused(lambda: study_of(data, cells=cells, metrics=removal), options_in(tmp_path), "removal_worst", "images")
    refused(lambda: study_of(data, cells=(Cell(images_of(), 0, 31),)), options_in(tmp_path), "31 samples", "holds 30")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"threads": 0}, "threads is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"workers": 2, "slurm": ""}, "workers is 2"),
        ({"workers": 2, "dask": "tcp://10.0.0.1:8786"}, "workers is 2"),
        ({"dask": "local", "slurm": ""}, "dask and slurm"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        RunOptions(**changes)


def test_the_order_of_a_declaration_decides_no_place_and_no_cost(sounds_folder: Path, tmp_path: Path) -> None:
    study = study_of(sounds_folder, seeds=(0, 1))
    other = replace(study, methods=METHODS[::-1], metrics=study.metrics[::-1], cells=study.cells[::-1])
    one, two = (Plan(declared, options_in(tmp_path)) for declared in (study, other))
    for cell in study.cells:
        weights = one.place(cell).weights
        checkpoints.save_card(weights, card_of(cell))
        weights.write_bytes(WEIGHTS)
    assert places_of(one) == places_of(two)
    key = ["seed", "method", "metric"]
    costs = [plan.cost().set_index(key)["passes"].sort_index() for plan in (one, two)]
    assert costs[0].equals(costs[1])


def card_of(cell: Cell, **changes: Any) -> checkpoints.Card:
    """A card as a finished training leaves it."""
    facts: dict[str, Any] = {
        "dataset": cell.model.data.name,
        "stand_in_for": None,
        "split": "by_clip",
        "architecture": cell.model.architecture,
        "resolution": cell.model.resolution,
        "seed": cell.model.training.seed,
        "accuracy": {},
        "samples": {},
        "class_names": list(outline_of(cell.model).class_names),
        "domain": {},
        "config": {},
        "epochs_run": 1,
        "seconds": 1.0,
        "data_fingerprint": fingerprint_of(cell.model),
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "git_commit": "commit",
    }
    return checkpoints.Card(**(facts | changes))


def places_of(plan: Plan) -> dict[tuple[str, ...], Path]:
    """Place of every result by what it is."""
    found: dict[tuple[str, ...], Path] = {}
    for cell in plan.cells:
        place, own = plan.place(cell), (cell.label, str(cell.sample_seed))
        found[(*own, "inputs")] = place.inputs()
        for task in plan.tasks("explain", "score", cells=[cell]):
            assert task.method is not None
            key = (*own, task.method.name, str(task.method.gradients))
            if task.unit is None:
                found[key] = place.attributions(task.method)
            else:
                found[(*key, task.unit.name)] = place.scores(task.method, task.unit)
    return found


@pytest.fixture
def places(sounds_folder: Path, tmp_path: Path) -> Callable[..., dict[tuple[str, ...], Path]]:
    """Places of all results of the tiny study with some changes, its models trained by name alone."""

    def made(
        card: dict[str, Any] | None = None, content: bytes = WEIGHTS, **changes: Any
    ) -> dict[tuple[str, ...], Path]:
        plan = Plan(study_of(sounds_folder, **changes), options_in(tmp_path))
        for cell in plan.cells:
            weights = plan.place(cell).weights
            digest = hashlib.sha256(content).hexdigest()
            checkpoints.save_card(weights, card_of(cell, weights_sha256=digest, **(card or {})))
            weights.write_bytes(content)
        return places_of(plan)

    return made


def changed(before: dict[tuple[str, ...], Path], after: dict[tuple[str, ...], Path]) -> set[str]:
    """Last part of the names of those results that lie elsewhere, or nowhere any more."""
    return {key[-1] for key, path in before.items() if after.get(key) != path}


Places = Callable[..., dict[tuple[str, ...], Path]]


def test_every_result_has_a_name_of_its_own(places: Places) -> None:
    made = places(seeds=(0, 1))
    assert len(set(made.values())) == len(made) == 2 * (1 + len(METHODS) * (1 + len(METRICS)))
    assert made == places(seeds=(0, 1))


@pytest.mark.parametrize(
    ("changes", "renamed"),
    [
        ({"settings": {"runs": 7}}, {"faithfulness_correlation"}),
        ({"settings": {"runs": 6, "draws": 99, "alternatives": 1, "unheard of": 1}}, set()),
        ({"seed": 1}, {"faithfulness_correlation", "mprt"}),
        ({"metrics": (*(MetricSpec(name) for name in METRICS[:2]), MetricSpec("mprt", options={"seed": 4}))}, {"mprt"}),
    ],
)
def test_a_setting_renames_the_scores_that_it_decides_and_no_other(
    changes: dict[str, Any], renamed: set[str], places: Places
) -> None:
    assert changed(places(), places(**changes)) == renamed


def test_whatever_decides_a_cell_renames_all_of_it(places: Places) -> None:
    before = places()
    everything = {key[-1] for key in before}
    assert changed(before, places(content=b"other weights")) == everything
    assert changed(before, places(card={"data_fingerprint": "another"})) == everything
    assert changed(places(seeds=(3, 7)), places(seeds=(7, 3))) == everything
    assert changed(before, places(samples=2)) == everything


def test_what_decides_no_number_renames_nothing(places: Places) -> None:
    before = places()
    assert changed(before, places(title="x", question="y", profile="full", name="sounds")) == set()
    assert changed(before, places(card={"git_commit": "z", "seconds": 9.0, "accuracy": {"test": 1.0}})) == set()
    fewer = places(methods=METHODS[:1], metrics=(MetricSpec("mprt"),))
    assert fewer.items() <= before.items()


def test_attributions_are_shared_by_studies_and_scores_are_not(places: Places) -> None:
    one, other = places(), places(name="other")
    for key, path in one.items():
        assert (other[key] == path) == (path.suffix == ".safetensors")


def test_seeds_explain_disjoint_samples_and_models_of_one_seed_the_same(sounds_folder: Path) -> None:
    test = dataset_of(model_of(sounds_folder)).part("test")
    assert len(test) == 8
    picked = [[test.ids[row] for row in chosen(test, 4, position).tolist()] for position in range(2)]
    assert len({*picked[0], *picked[1]}) == 8
    assert picked == [[test.ids[row] for row in chosen(test, 4, position).tolist()] for position in range(2)]
    assert sorted(chosen(test, 8, 1).tolist()) == list(range(8))
    with pytest.raises(UserError, match=r"9 samples .* holds 8"):
        chosen(test, 9, 0)


def test_an_outline_is_what_is_loaded(data: Path, sounds_folder: Path) -> None:
    specs = [
        model_of(sounds_folder),
        images_of(),
        ModelSpec(DataSpec("spoken_digits", limit=15), "small_cnn", (32, 32)),
        model_of(sounds_folder, data=DataSpec(AudioFolder(sounds_folder), cues=cue_design(0.25))),
    ]
    for spec in specs:
        outline, loaded = outline_of(spec), dataset_of(spec)
        assert outline.class_names == loaded.class_names
        assert outline.samples == {part: len(loaded.part(part)) for part in outline.samples}


def test_domains_and_baselines_follow_the_modality(data: Path, sounds_folder: Path) -> None:
    sound, waveform = model_of(sounds_folder), model_of(sounds_folder, architecture="audionet")
    assert sound.domain == LogMel(8000, 0.25, bands=32, frames=24)
    assert waveform.domain == Waveform(8000, 0.25)
    assert images_of().domain == Pixels(28, 28)
    assert baseline_of(Cell(sound, 0, 1)).name == "silence"
    assert baseline_of(Cell(images_of(), 0, 1)).name != "silence"


@pytest.mark.parametrize("material", ["clips", "mixtures"])
def test_every_metric_is_planned_with_the_passes_that_it_takes(
    material: str, sounds_folder: Path, tmp_path: Path
) -> None:
    """Counted inside of the model while each unit scores, and compared with what the plan says."""
    model = model_of(sounds_folder)
    metrics = tuple(
        replace(spec, materials=(material,))
        for spec in EVERY_METRIC
        if spec.entry.needs_masks == (material != "clips") or spec.entry.needs_change
    )
    study = study_of(
        sounds_folder,
        cells=(Cell(model, 0, 2, material, (8,)),),
        methods=("silence", "random"),
        metrics=metrics,
        settings=GENEROUS,
    )
    plan = Plan(study, options_in(tmp_path, threads=1))
    run(plan, "train", "explain")
    work = _Work(plan, plan.cells[0])
    whole = work.model
    body, outer = Counting(whole.body), Counting(whole)
    # One pass per model looks whether outputs in [0, 1] are probabilities; here, before anything is counted.
    for counting, batch in ((body, work.body), (outer, work.sounds)):
        output_of(counting, batch.inputs)
    for task in plan.tasks("score"):
        assert task.method is not None
        assert task.unit is not None
        if task.unit.changes_sound:
            # It looks into the model for its front end; its contract counts its passes.
            continue
        counter = outer if task.unit.removes_sound else body
        vars(work)["body"] = replace(_Work(plan, plan.cells[0]).body, model=body)
        vars(work)["sounds"] = replace(_Work(plan, plan.cells[0]).sounds, model=outer)
        counter.counter.count = 0
        work.score(task.method, task.unit, lambda _: None)
        assert counter.counter.count == passes_of(study, task), task.unit.name


def test_units_and_methods_of_ground_truth(sounds_folder: Path) -> None:
    model = model_of(sounds_folder)
    study = study_of(
        sounds_folder,
        cells=(Cell(model, 0, 2, gradients=(8, 12)), Cell(model, 0, 2, "mixtures", (8,))),
        methods=("silence", "pullback", "random"),
        metrics=(
            MetricSpec("removal_silence"),
            MetricSpec("removal_worst"),
            MetricSpec("sparseness"),
            MetricSpec("relevance_rank", materials=("mixtures",)),
            MetricSpec("completeness_gap", materials=("clips", "mixtures")),
        ),
        settings={"steps": 3},
    )
    clips, mixtures = study.cells
    assert [(use.name, use.gradients) for use in methods_of(study, clips)] == [
        ("silence", 8),
        ("silence", 12),
        ("pullback", 8),
        ("pullback", 12),
        ("random", 0),
    ]
    # Masks are those of the body's domain, so methods of waveforms are left out.
    assert [use.name for use in methods_of(study, mixtures)] == ["silence", "random"]
    assert [unit.name for unit in units_of(study, clips)] == ["removal", "sparseness", "completeness_gap"]
    assert [unit.name for unit in units_of(study, mixtures)] == ["relevance_rank", "completeness_gap"]
    planned = {(task.method.name, task.unit.name) for task in tasks_of(study, clips) if task.method and task.unit}
    assert ("pullback", "removal") in planned
    assert ("pullback", "sparseness") not in planned
    assert ("random", "completeness_gap") not in planned
    pulled = next(use for use in methods_of(study, clips) if use.name == "pullback")
    assert lives_in(study, clips, pulled).name == "stft"
    assert lives_in(study, clips, methods_of(study, clips)[0]) == clips.model.domain


def tasks_of(study: Study, cell: Cell) -> list[Task]:
    return list(Plan(study, RunOptions()).tasks("score", cells=[cell]))


def test_explaining_takes_the_passes_that_are_planned(sounds_folder: Path, tmp_path: Path) -> None:
    study = study_of(sounds_folder, methods=("silence", "saliency", "occlusion", "random"))
    plan = Plan(study, options_in(tmp_path, threads=1))
    run(plan, "train")
    work = _Work(plan, plan.cells[0])
    counting = Counting(work.model.body)
    work.model.body = counting
    _ = work.stored
    for task in plan.tasks("explain"):
        assert task.method is not None
        counting.counter.count = 0
        with torch.enable_grad():
            work.explain(task.method)
        # A few passes check the model or find what the attributions should add up to.
        assert passes_of(study, task) <= counting.counter.count <= passes_of(study, task) + 4 * 3
