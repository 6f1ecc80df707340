"""The plan of Objective 1: its cells, who explains what, and names that hold all that decides a result."""

import shlex
from dataclasses import asdict, replace

import pytest

from audioxai import xai_methods
from audioxai.baselines import Black, Silence
from audioxai.metrics import THESIS_METRICS
from audioxai.models import checkpoints
from audioxai.studies.models import dataset_of
from audioxai.studies.objective1.config import PROFILES, Objective1Config, options_of
from audioxai.studies.objective1.plan import cells, higher_is_better, own_cells, paths, scorer
from audioxai.studies.samples import chosen
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError
from audioxai.xai_methods import EXPLAINERS
from audioxai.xai_methods.occlusion import Occlusion

TINY = Objective1Config(
    images="digits_8x8",
    audio="spoken_digits",
    image_resolutions=(28, 64),
    image_epochs=(3, 2),
    audio_resolutions=(32, 64),
    audio_epochs=(5, 4),
    training_seeds=(7, 3, 5),
    samples_per_seed=6,
)


def test_one_cell_a_seed_and_resolution(data):
    for modality, epochs in (("image", {28: 3, 64: 2}), ("audio", {32: 5, 64: 4})):
        planned = cells(TINY, modality)
        found = [(cell.wanted.training.seed, cell.wanted.resolution) for cell in planned]
        assert found == [(seed, resolution) for seed in (7, 3, 5) for resolution in epochs]
        assert [cell.wanted.training.epochs for cell in planned] == [*epochs.values()] * 3
        assert {cell.modality for cell in planned} == {modality}
        assert {cell.samples for cell in planned} == {6}
        assert [cell.sample_seed for cell in planned] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("parts", [1, 2, 5, 12])
def test_parts_are_disjoint_and_together_every_model_of_both_modalities(parts: int, data) -> None:
    planned = cells(TINY, "image") + cells(TINY, "audio")
    shares = [
        [cell for modality in ("image", "audio") for cell in own_cells(replace(TINY, part=f"{part}/{parts}"), modality)]
        for part in range(1, parts + 1)
    ]
    assert sorted((cell for share in shares for cell in share), key=planned.index) == planned
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_part_without_a_model_is_refused_and_a_part_decides_no_number(data) -> None:
    with pytest.raises(UserError, match="part 13/13 is empty because the study has 12 models; make fewer parts"):
        own_cells(replace(TINY, part="13/13"), "audio")
    with pytest.raises(UserError, match="part is '0/2'; write which one of how many"):
        replace(TINY, part="0/2")
    assert options_of(replace(TINY, part="2/3")) == options_of(TINY)


def test_absence_is_silence_for_sound_and_black_for_images(data):
    (image, *_), (sound, *_) = cells(TINY, "image"), cells(TINY, "audio")
    assert image.baseline == Black()
    assert sound.baseline == Silence(sound.domain)
    assert sound.domain.shape == (32, 32)
    assert image.domain.shape == (28, 28)
    # Only sound is shifted in training: an image's place is part of it.
    assert image.wanted.training.largest_shift == 0.0
    assert sound.wanted.training.largest_shift > 0.0


def test_limits_and_split_belong_to_their_modality(data):
    config = replace(TINY, image_limit=20, audio_limit=15)
    assert {cell.wanted.limit for cell in cells(config, "image")} == {20}
    assert {cell.wanted.limit for cell in cells(config, "audio")} == {15}
    assert {cell.wanted.split for cell in cells(config, "audio")} == {"speaker_disjoint"}
    with pytest.raises(UserError, match="no split 'fold7'"):
        cells(replace(config, audio_split="fold7"), "audio")
    assert cells(replace(config, audio_split="fold7"), "image")


def test_seeds_explain_disjoint_samples_and_resolutions_the_same(data):
    for modality in ("image", "audio"):
        rows = {}
        for cell in cells(TINY, modality):
            test = dataset_of(cell.wanted).part("test")
            picked = [test.ids[row] for row in chosen(test, cell.samples, cell.sample_seed).tolist()]
            assert len(set(picked)) == 6
            rows.setdefault(cell.sample_seed, []).append(picked)
        assert all(one == other for one, other in rows.values())
        assert len({sample for (picked, _) in rows.values() for sample in picked}) == 3 * 6


def test_more_samples_than_there_are_is_refused_and_all_are_a_permutation(data):
    test = dataset_of(cells(TINY, "audio")[0].wanted).part("test")
    assert len(test) == 20
    assert sorted(chosen(test, 20, 1).tolist()) == list(range(20))
    with pytest.raises(UserError, match="samples_per_seed is 21 but the test part of spoken_digits holds 20"):
        chosen(test, 21, 0)


@pytest.fixture
def places(data, tmp_path):
    """Writes a card for a cell of a configuration; returns names of its inputs, attributions and scores."""

    def names(config=TINY, modality="audio", number=0, **card_changes):
        config = replace(config, results=str(tmp_path / "results"), checkpoints=str(tmp_path / "checkpoints"))
        cell = cells(config, modality)[number]
        place = paths(config, cell)
        place.weights.parent.mkdir(exist_ok=True)
        place.weights.write_bytes(b"weights")
        checkpoints.save_card(place.weights, replace(_card(cell), **card_changes))
        made = {"inputs": place.inputs()}
        for method in config.methods:
            made[method] = place.attributions(method)
            for metric_name in config.metrics:
                own = scorer(config, cell, method, metric_name)
                made[f"{method} {metric_name}"] = place.scores(method, own, metric_name)
        return {key: path.relative_to(config.results) for key, path in made.items()}

    return names


def _card(cell):
    return checkpoints.Card(
        dataset=cell.wanted.dataset,
        stand_in_for=None,
        split=cell.wanted.split,
        architecture=cell.wanted.architecture,
        resolution=cell.wanted.resolution,
        seed=cell.wanted.training.seed,
        accuracy={},
        samples={},
        class_names=[],
        domain={},
        config=asdict(cell.wanted.training),
        epochs_run=1,
        seconds=1.0,
        data_fingerprint="data",
        weights_sha256="weights",
        git_commit="commit",
    )


def changed(before, after):
    """Which results of the first lie elsewhere in the second."""
    return {key for key, path in before.items() if after.get(key) != path}


def test_every_result_has_a_name_of_its_own(places):
    made = [
        path
        for modality in ("audio", "image")
        for number in range(6)
        for path in places(TINY, modality, number).values()
    ]
    assert len(set(made)) == len(made) == 12 * (1 + len(EXPLAINERS) * (1 + len(THESIS_METRICS)))


def test_names_are_the_same_whenever_they_are_made(places):
    assert places() == places()


@pytest.mark.parametrize(
    ("setting", "value", "metrics"),
    [
        ("faithfulness_runs", 101, {"faithfulness_correlation"}),
        ("sensitivity_draws", 6, {"average_sensitivity"}),
        ("alternatives", 4, {"random_logit"}),
        ("metric_seed", 1, {"faithfulness_correlation", "average_sensitivity", "random_logit", "mprt"}),
    ],
)
def test_a_setting_renames_the_scores_that_it_decides_and_no_other(setting, value, metrics, places):
    expected = {f"{method} {metric_name}" for method in EXPLAINERS for metric_name in metrics}
    assert changed(places(), places(replace(TINY, **{setting: value}))) == expected


def test_an_explainers_setting_renames_its_maps_and_scores(places, monkeypatch):
    before = places()
    first = xai_methods.explainer("occlusion", Black())
    other = replace(first, **{_numeric(first): getattr(first, _numeric(first)) + 1})
    monkeypatch.setitem(EXPLAINERS, "occlusion", lambda _: other)
    own = {"occlusion", *(f"occlusion {metric_name}" for metric_name in THESIS_METRICS)}
    assert changed(before, places()) == own


def _numeric(explainer):
    return next(name for name, value in asdict(explainer).items() if type(value) in (int, float))


def test_whatever_decides_a_cell_renames_all_of_it(places):
    before = places()
    everything = set(before)
    assert changed(before, places(replace(TINY, samples_per_seed=5))) == everything
    assert changed(before, places(weights_sha256="other")) == everything
    assert changed(before, places(data_fingerprint="other")) == everything
    # The same model at another place among the seeds explains other samples.
    assert changed(before, places(replace(TINY, training_seeds=(3, 7)), number=2)) == everything


def test_what_decides_no_number_renames_nothing(places):
    others = {
        "profile": "standard",
        "threads": 1,
        "device": "cpu",
        "image_limit": 11,
        "image_resolutions": (28,),
        "image_epochs": (1,),
        "training_seeds": (7,),
    }
    assert changed(places(), places(replace(TINY, **others))) == set()
    fewer = places(replace(TINY, methods=("occlusion",), metrics=("mprt",)))
    assert fewer.items() <= places().items()
    assert changed(places(), places(git_commit="other", seconds=2.0, accuracy={"test": 1.0})) == set()


def test_directions_are_known_for_every_metric(data):
    directions = higher_is_better(TINY, cells(TINY, "audio")[0])
    assert directions == {
        "faithfulness_correlation": True,
        "average_sensitivity": False,
        "sparseness": True,
        "random_logit": False,
        "mprt": False,
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"methods": ("saliency", "grad_cam")}, "method is 'grad_cam'; choose among saliency"),
        ({"methods": ()}, "no method is chosen"),
        ({"methods": ("saliency", "saliency")}, "methods are saliency, saliency; give each once"),
        ({"metrics": ("roar",)}, "metric is 'roar'; choose among"),
        ({"metrics": ()}, "no metric is chosen"),
        ({"metrics": ("mprt", "sparseness", "mprt")}, "give each once"),
        ({"architecture": "resnet"}, "architecture is 'resnet'; choose among small_cnn, alexnet$"),
        ({"architecture": "audionet"}, "architecture is 'audionet'"),
        ({"image_epochs": (1, 2)}, "image_resolutions has 3 entries and image_epochs has 2"),
        ({"audio_resolutions": (32,)}, "audio_resolutions has 1 entries and audio_epochs has 3"),
        ({"audio_resolutions": (), "audio_epochs": ()}, r"audio_resolutions is \[\]"),
        ({"image_resolutions": (28, 28, 64)}, "give different positive numbers"),
        ({"image_resolutions": (0, 28, 64)}, "give different positive numbers"),
        ({"training_seeds": ()}, r"training_seeds is \[\]"),
        ({"training_seeds": (1, 1)}, r"training_seeds is \[1, 1\]"),
        ({"samples_per_seed": 0}, "samples_per_seed is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"device": "tpu"}, "device is 'tpu'"),
    ],
)
def test_configurations_that_cannot_be_are_refused(changes, told):
    with pytest.raises(UserError, match=told):
        Objective1Config(**changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": "imagenet"}, "unknown dataset 'imagenet'"),
        ({"images": "spoken_digits"}, "of modality audio, not image"),
        ({"image_epochs": (0, 1)}, "epochs is 0"),
    ],
)
def test_plans_that_cannot_be_are_refused(changes, told, data):
    with pytest.raises(UserError, match=told):
        cells(replace(TINY, **changes), "image")


def test_an_unknown_profile_is_refused():
    with pytest.raises(UserError, match="profile is 'fast'; choose one of quick, standard, full"):
        parse(Objective1Config, PROFILES, "", [], ["--profile", "fast"])


def test_profiles_are_as_large_as_promised():
    assert list(PROFILES) == ["quick", "standard", "full"]
    for name, config in PROFILES.items():
        assert config.profile == name
        assert config.image_resolutions == (28, 64, 128)
        assert config.audio_resolutions == (32, 64, 128)
        assert config.methods == tuple(EXPLAINERS)
        assert config.metrics == THESIS_METRICS
    standard, full = PROFILES["standard"], PROFILES["full"]
    assert len(standard.training_seeds) == len(full.training_seeds) == 3
    assert standard.samples_per_seed * 3 >= 200
    assert full.samples_per_seed == 500
    assert len(PROFILES["quick"].training_seeds) == 1


def test_the_default_configuration_is_the_quick_profile():
    assert parse(Objective1Config, PROFILES, "", [], []) == PROFILES["quick"] == Objective1Config()


def test_occlusion_has_a_setting_to_change():
    """The test above rests on it."""
    assert _numeric(Occlusion(Black()))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"profile": "standard", "audio": "fsdd", "audio_split": "speaker_disjoint", "training_seeds": (4, 5)},
        {"methods": ("saliency", "random"), "audio_limit": None, "samples_per_seed": 3},
    ],
)
def test_the_options_that_are_told_give_the_configuration_back(changes):
    config = replace(PROFILES[changes.get("profile", "quick")], **changes, threads=1, results="elsewhere")
    told = parse(Objective1Config, PROFILES, "", (), shlex.split(options_of(config)))
    assert replace(told, threads=1, results="elsewhere") == config
