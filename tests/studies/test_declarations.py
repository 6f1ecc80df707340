"""What the studies of this package declare: their models and samples, and options that make no sense."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audioxai.datasets import DATASETS
from audioxai.experiment.plan import units_of
from audioxai.metrics import THESIS_METRICS
from audioxai.studies import (
    attack,
    contrasts,
    freqrise,
    localisation,
    objective1,
    objective2,
    ranks,
    speech_commands,
    subset_size,
    thesis_faults,
)
from audioxai.studies.objective1 import Objective1Config
from audioxai.studies.objective2 import COMPARED, Objective2Config
from audioxai.studies.options import NO_NUMBERS
from audioxai.utils.configuration import options_of, parse
from audioxai.utils.errors import UserError

TINY_1 = Objective1Config(
    images="digits_8x8",
    audio="spoken_digits",
    image_resolutions=(28, 64),
    image_epochs=(3, 2),
    audio_resolutions=(32, 64),
    audio_epochs=(5, 4),
    training_seeds=(7, 3, 5),
    samples_per_seed=6,
)
TINY_2 = Objective2Config(
    datasets=("spoken_digits",), resolution=32, architectures=("small_cnn", "alexnet"), training_seeds=(0, 1)
)


def test_objective_1_has_one_cell_per_seed_and_resolution(data: Path) -> None:
    cells = objective1.declare(TINY_1).cells
    for modality, epochs in (("image", {28: 3, 64: 2}), ("audio", {32: 5, 64: 4})):
        own = [cell for cell in cells if cell.model.data.modality == modality]
        found = [(cell.model.training.seed, cell.model.resolution) for cell in own]
        assert found == [(seed, resolution) for seed in (7, 3, 5) for resolution in epochs]
        assert [cell.model.training.epochs for cell in own] == [*epochs.values()] * 3
        assert [cell.sample_seed for cell in own] == [0, 0, 1, 1, 2, 2]
        # Only sound is shifted in training: an image's place is part of it.
        assert {cell.model.training.largest_shift > 0 for cell in own} == {modality == "audio"}
    assert {cell.samples for cell in cells} == {6}


def test_limits_and_split_belong_to_their_modality(data: Path) -> None:
    cells = objective1.declare(replace(TINY_1, image_limit=20, audio_limit=15)).cells
    limits = {(cell.model.data.modality, cell.model.data.limit) for cell in cells}
    assert limits == {("image", 20), ("audio", 15)}
    assert {cell.model.data.split_name for cell in cells} == {"official", "speaker_disjoint"}


def test_objective_2_explains_every_material_with_every_model(data: Path) -> None:
    study = objective2.declare(TINY_2)
    assert len(study.cells) == 4 * 4
    for cell in study.cells:
        assert (cell.model.data.cues is not None) == (cell.material == "cues")
        assert cell.gradients == ((32,) if cell.material != "clips" else TINY_2.gradients)
        assert cell.samples == (20 if cell.material == "clips" else 12)
        names = [unit.name for unit in units_of(study, cell)]
        assert ("removal" in names) == (cell.material == "clips")
        assert ("relevance_rank" in names) == (cell.material != "clips")
    assert set(study.methods) == set(COMPARED)
    assert len({cell.model for cell in study.cells}) == 8


def test_sizes_of_subsets_are_asked_of_the_models_of_objective_1(data: Path) -> None:
    assert subset_size.declare(TINY_1).cells == objective1.declare(TINY_1).cells


@pytest.mark.parametrize(
    "module",
    [
        attack,
        contrasts,
        freqrise,
        localisation,
        objective1,
        objective2,
        ranks,
        speech_commands,
        subset_size,
        thesis_faults,
    ],
)
def test_profiles_are_whole_and_their_options_give_them_back(module: Any) -> None:
    for name, config in module.PROFILES.items():
        assert config.profile == name
        assert options_of(config, module.PROFILES, NO_NUMBERS) == f"--profile {name}"
        assert parse(type(config), module.PROFILES, "", (), ["--profile", name]) == config
    assert parse(type(config), module.PROFILES, "", (), []) == next(iter(module.PROFILES.values()))


def test_profiles_are_as_large_as_promised() -> None:
    for name, config in objective1.PROFILES.items():
        count = 2 if name == "first" else 3
        assert (config.image_resolutions, config.audio_resolutions) == ((28, 64, 128)[:count], (32, 64, 128)[:count])
        assert config.metrics == THESIS_METRICS
    standard, full = objective1.PROFILES["standard"], objective1.PROFILES["full"]
    assert len(standard.training_seeds) == len(full.training_seeds) == 3
    assert standard.samples_per_seed * 3 >= 200
    assert full.samples_per_seed == 500
    second = objective2.PROFILES["standard"]
    assert second.clips_per_seed * len(second.training_seeds) >= 300
    assert (len(second.architectures), len(second.datasets), second.gradients) == (2, 2, (16, 32, 64))


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "standard", "audio": "fsdd", "audio_split": "speaker_disjoint", "training_seeds": (4, 5)},
        {"methods": ("saliency", "random"), "audio_limit": None, "samples_per_seed": 3},
    ],
)
def test_options_that_are_stated_give_the_configuration_back(changes: dict[str, Any]) -> None:
    profiles = objective1.PROFILES
    config = replace(profiles[changes.get("profile", "quick")], **changes, threads=1, results="x", workers=2)
    stated = parse(Objective1Config, profiles, "", (), shlex.split(options_of(config, profiles, NO_NUMBERS)))
    assert replace(stated, threads=1, results="x", workers=2) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("saliency", "grad_cam")}, "'grad_cam'"),
        ({"methods": ()}, "no method"),
        ({"methods": ("saliency", "saliency")}, "each once"),
        ({"metrics": ("roar",)}, "'roar'"),
        ({"metrics": ("relevance_rank",)}, "'relevance_rank'"),
        ({"metrics": ("mprt", "sparseness", "mprt")}, "each once"),
        ({"architecture": "audionet"}, "'audionet'"),
        ({"image_epochs": (1, 2)}, "image_resolutions has 3 entries and image_epochs has 2"),
        ({"audio_resolutions": (), "audio_epochs": ()}, r"audio_resolutions is \[\]"),
        ({"image_resolutions": (28, 28, 64)}, "each once"),
        ({"image_resolutions": (0, 28, 64)}, "positive"),
        ({"training_seeds": (1, 1)}, r"training_seeds is \[1, 1\]"),
        ({"samples_per_seed": 0}, "samples_per_seed is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"device": "tpu"}, "device is 'tpu'"),
    ],
)
def test_options_of_objective_1_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(Objective1Config(), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adaptations": ("silent",)}, "'silent'"),
        ({"adaptations": ("bandwise",)}, "'bandwise'"),
        ({"architectures": ("audionet",)}, "'audionet'"),
        ({"ground_truth": ("clips",)}, "'clips'"),
        ({"gradients": (4,)}, "at least 8"),
        ({"gradients": (16, 16)}, r"gradients is \[16, 16\]"),
        ({"clips_per_seed": 0}, "clips_per_seed is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"again_gradients": (64,)}, r"again_gradients is \[64\] but gradients is \[16, 32\]; add 64"),
        ({"again_adaptations": ("silent",)}, "'silent'"),
        ({"sensitivity_draws": 0}, "sensitivity_draws is 0"),
        ({"further_datasets": ("mnist",)}, "'mnist'"),
        ({"architectures": ("tiny_ast",)}, "'tiny_ast'"),
    ],
)
def test_options_of_objective_2_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(Objective2Config(), **changes)


def test_sensitivity_and_randomisation_are_measured_at_one_budget_and_of_the_adaptations_that_are_named(
    data: Path,
) -> None:
    config = replace(TINY_2, again_adaptations=("silence", "energy"), adaptations=("silence", "ordered", "energy"))
    own = [spec for spec in objective2.declare(config).metrics if spec.metric in objective2.AGAIN]
    assert {spec.metric for spec in own} == {"average_sensitivity", "random_logit", "mprt"}
    assert {spec.budgets for spec in own} == {(32,)}
    assert {spec.methods for spec in own} == {("silence", "energy")}
    for gradients, again, expected in (((8, 16), (), (16,)), ((16, 32, 64), (), (32,)), ((16, 32), (16, 32), (16, 32))):
        changed = replace(TINY_2, gradients=gradients, again_gradients=again)
        assert {spec.budgets for spec in objective2.declare(changed).metrics if spec.budgets} == {expected}


def test_data_sets_that_are_not_there_are_left_out_where_they_are_further_ones(data: Path) -> None:
    study = objective2.declare(replace(TINY_2, further_datasets=("audio_mnist", "spoken_digits")))
    assert {cell.model.data.name.removesuffix("_cues") for cell in study.cells} == {"spoken_digits"}


def test_ranks_are_of_masks_at_equal_costs_and_leave_background_noise_out(data: Path) -> None:
    study = ranks.declare(replace(ranks.PROFILES["quick"], datasets=("spoken_digits",)))
    assert {cell.features for cell in study.cells} == {"mask"}
    assert {(cell.gradients, cell.passes) for cell in study.cells} == {((32,), (96,))}
    assert study.seed != study.method_seed
    assert DATASETS["speech_commands"].background == ("_silence_",)


def test_freqrise_explains_true_classes_in_both_kinds_of_bins(data: Path) -> None:
    study = freqrise.declare(replace(freqrise.PROFILES["quick"], datasets=("spoken_digits",), limit=20))
    assert [(cell.features, cell.material) for cell in study.cells] == [("rfft", "labelled"), ("stft", "labelled")]
    assert len({cell.model for cell in study.cells}) == 1
    assert study.cells[0].model.domain.shape == (8_000,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("pullback",)}, "'pullback'"),
        ({"features": ("mask",)}, "'mask'"),
        ({"datasets": ("mnist",)}, "'mnist'"),
        ({"masks": 0}, "masks is 0"),
        ({"datasets": ()}, "no data set is chosen"),
    ],
)
def test_options_of_freqrise_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(freqrise.FreqRiseConfig(), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("audible",)}, "'audible'"),
        ({"datasets": ("mnist",)}, "'mnist'"),
        ({"architectures": ("resnet",)}, "'resnet'"),
        ({"gradients": 4}, "gradients is 4; some methods need at least 8"),
        ({"clips_per_seed": 0}, "clips_per_seed is 0"),
    ],
)
def test_options_of_ranks_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(ranks.RanksConfig(), **changes)


def test_localisation_asks_for_mixtures_and_cues_of_every_data_set(data: Path) -> None:
    study = localisation.declare(replace(localisation.PROFILES["quick"], datasets=("spoken_digits",)))
    assert [cell.material for cell in study.cells] == ["mixtures", "cues"]
    assert [cell.model.data.cues is not None for cell in study.cells] == [False, True]
    for cell in study.cells:
        assert [unit.name for unit in units_of(study, cell)] == list(localisation.METRICS)


def test_an_attack_is_of_masks_at_equal_costs(data: Path) -> None:
    study = attack.declare(replace(attack.PROFILES["quick"], datasets=("spoken_digits",), generations=2))
    (cell,) = study.cells
    assert (cell.features, cell.gradients, cell.passes) == ("mask", (16,), (48,))
    assert study.settings["generations"] == 2
    assert [unit.name for unit in units_of(study, cell)] == list(attack.METRICS)


@pytest.mark.parametrize(
    ("make", "changes", "words"),
    [
        (localisation.LocalisationConfig, {"methods": ("rise",)}, "'rise'"),
        (localisation.LocalisationConfig, {"materials": ("sequences",)}, "'sequences'"),
        (localisation.LocalisationConfig, {"architectures": ("audionet",)}, "'audionet'"),
        (localisation.LocalisationConfig, {"gradients": 2}, "gradients is 2"),
        (attack.AttackConfig, {"methods": ("audible",)}, "'audible'"),
        (attack.AttackConfig, {"architectures": ("resnet",)}, "'resnet'"),
        (attack.AttackConfig, {"population": 0}, "population is 0"),
        (attack.AttackConfig, {"margin_db": -1.0}, "margin_db is -1"),
    ],
)
def test_options_of_localisation_and_attack_that_make_no_sense_are_refused(
    make: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        make(**changes)
