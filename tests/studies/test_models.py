"""Models of studies: named by what decides them, trained once, trained alone by a script."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from audioxai import cli
from audioxai.datasets import DATASETS
from audioxai.domains import LogMel, Pixels, Waveform
from audioxai.models import checkpoints
from audioxai.models.training import TrainingConfig, accuracy
from audioxai.studies import models
from audioxai.studies.models import (
    Wanted,
    audio_format_for,
    dataset_of,
    domain_for,
    ensure_model,
    load_model,
    weights_path,
)
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

CPU = torch.device("cpu")
IMAGES = Wanted("digits_8x8", "official", 60, "small_cnn", 28, TrainingConfig(epochs=2, seed=3))
SOUND = Wanted("spoken_digits", "speaker_disjoint", None, "small_cnn", 32, TrainingConfig(epochs=1, largest_shift=0.1))


def test_spectrogram_models_take_the_datasets_own_format():
    own = DATASETS["spoken_digits"].audio_format
    assert audio_format_for("spoken_digits", "small_cnn") == own
    assert domain_for("spoken_digits", "small_cnn", 64) == LogMel(own.sample_rate_hz, own.duration_s, 64, 64)
    assert domain_for("spoken_digits", "alexnet", 64) == domain_for("spoken_digits", "small_cnn", 64)


def test_waveform_models_hear_eight_kilohertz():
    own = DATASETS["spoken_digits"].audio_format
    assert own.sample_rate_hz != 8000
    assert audio_format_for("spoken_digits", "audionet") == replace(own, sample_rate_hz=8000)
    # The resolution is of no meaning to them.
    for resolution in (32, 128):
        assert domain_for("spoken_digits", "audionet", resolution) == Waveform(8000, 1.0)


def test_images_have_no_audio_format():
    assert audio_format_for("digits_8x8", "small_cnn") is None
    assert domain_for("digits_8x8", "alexnet", 64) == Pixels(64, 64)
    with pytest.raises(UserError, match="unknown dataset 'x'"):
        audio_format_for("x", "small_cnn")


def test_modality():
    assert IMAGES.modality == "image"
    assert SOUND.modality == "audio"


def test_a_checkpoint_is_named_by_all_that_decides_its_weights(data, tmp_path):
    others = [
        IMAGES,
        replace(IMAGES, limit=50),
        replace(IMAGES, limit=None),
        replace(IMAGES, architecture="alexnet"),
        replace(IMAGES, resolution=32),
        *(
            replace(IMAGES, training=replace(IMAGES.training, **{name: value}))
            for name, value in {
                "epochs": 3,
                "patience": 2,
                "batch_size": 8,
                "learning_rate": 1e-3,
                "weight_decay": 0.0,
                "largest_shift": 0.1,
                "seed": 4,
            }.items()
        ),
        SOUND,
        replace(SOUND, architecture="audionet"),
    ]
    names = [weights_path(wanted, tmp_path).name for wanted in others]
    assert len(set(names)) == len(names)
    assert names == [weights_path(wanted, tmp_path).name for wanted in others]
    assert names[0].startswith("digits_8x8-official-small_cnn-28-seed3-")
    assert names[-1].startswith("spoken_digits-speaker_disjoint-audionet-8000-seed0-")
    assert not list(tmp_path.iterdir())


def test_another_front_end_of_the_same_size_gives_another_name(data, tmp_path, monkeypatch):
    before, domain = weights_path(SOUND, tmp_path), domain_for("spoken_digits", "small_cnn", 32)
    monkeypatch.setattr(models, "domain_for", lambda *_: replace(domain, floor_db=-70.0))
    assert weights_path(SOUND, tmp_path) != before
    monkeypatch.setattr(models, "domain_for", lambda *_: replace(domain))
    assert weights_path(SOUND, tmp_path) == before


def test_other_data_give_another_name(data, tmp_path, monkeypatch, forget_data):
    before = weights_path(SOUND, tmp_path), weights_path(IMAGES, tmp_path)
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    monkeypatch.setenv("AUDIO_XAI_DATA", str(copy))
    forget_data()
    assert (weights_path(SOUND, tmp_path), weights_path(IMAGES, tmp_path)) == before
    recording = next((copy / "spoken_digits").rglob("0_01_0.wav"))
    content = bytearray(recording.read_bytes())
    content[-1] ^= 1
    recording.write_bytes(content)
    forget_data()
    assert weights_path(SOUND, tmp_path) != before[0]
    assert weights_path(IMAGES, tmp_path) == before[1]


@pytest.fixture(scope="module")
def checkpoint(data_folder, tmp_path_factory):
    """An image model's checkpoint, its folder and its card."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        models.load_dataset.cache_clear()
        models.fingerprint.cache_clear()
        _, card = ensure_model(IMAGES, folder, CPU)
        return weights_path(IMAGES, folder), folder, card


def test_training_leaves_a_checkpoint_and_nothing_else(checkpoint):
    path, folder, _ = checkpoint
    assert sorted(file.name for file in folder.iterdir()) == sorted([path.name, path.with_suffix(".json").name])


def test_the_card_tells_the_truth(checkpoint, data):
    path, _, card = checkpoint
    dataset = dataset_of(IMAGES)
    assert card == checkpoints.read_card(path)
    assert (card.dataset, card.stand_in_for, card.split) == ("digits_8x8", "mnist", "official")
    assert (card.architecture, card.resolution, card.seed) == ("small_cnn", 28, 3)
    assert card.samples == {part: len(dataset.part(part)) for part in ("train", "validation", "test")}
    assert card.config["epochs"] == 2
    assert card.epochs_run == 2
    assert card.domain == {"name": "Pixels", "rows": 28, "columns": 28}
    assert card.class_names == [str(digit) for digit in range(10)]
    assert card.data_fingerprint == dataset.fingerprint
    assert card.weights_sha256 == checkpoints.file_sha256(path)
    assert card.git_commit
    model, _ = load_model(path, IMAGES, CPU)
    for name in ("train", "validation", "test"):
        part = dataset.part(name)
        assert card.accuracy[name] == pytest.approx(accuracy(model, models._labelled(part), CPU), abs=1e-6)


def test_a_model_is_trained_once_and_then_found(checkpoint, data, monkeypatch):
    path, folder, card = checkpoint
    monkeypatch.setattr(models, "_train", None)
    monkeypatch.setattr(models, "dataset_of", None)  # not even decoded
    before = path.stat().st_mtime_ns
    model, found = ensure_model(IMAGES, folder, CPU)
    assert found == card
    assert not model.training
    assert path.stat().st_mtime_ns == before


def test_weights_without_card_are_trained_anew_to_the_same(checkpoint, data, tmp_path):
    path, _, card = checkpoint
    half_written = weights_path(IMAGES, tmp_path)
    half_written.write_bytes(b"the process was killed in between")
    _, again = ensure_model(IMAGES, tmp_path, CPU)
    assert half_written.read_bytes() == path.read_bytes()
    assert replace(again, seconds=0.0) == replace(card, seconds=0.0)


def test_a_damaged_checkpoint_is_told_and_not_trained_over(checkpoint, data, tmp_path):
    path, folder, _ = checkpoint
    copy = tmp_path / "checkpoints"
    shutil.copytree(folder, copy)
    (copy / path.name).write_bytes(b"damaged")
    with pytest.raises(UserError, match="is unreadable"):
        ensure_model(IMAGES, copy, CPU)
    assert (copy / path.name).read_bytes() == b"damaged"


def test_the_training_accuracy_is_measured_on_evenly_spaced_samples():
    labelled = models.Labelled(torch.arange(11.0)[:, None], torch.arange(11))
    assert models._some(labelled, 4).labels.tolist() == [0, 3, 6, 9]
    assert models._some(labelled, 11).labels.tolist() == list(range(11))
    assert models._some(labelled, 100).labels.tolist() == list(range(11))


@pytest.fixture
def train_models(data, script, tmp_path):
    def run(*arguments):
        main = script("scripts/train_models.py").main
        return run_command(main, [*arguments, "--checkpoints", str(tmp_path / "checkpoints"), "--device", "cpu"])

    return run


def test_the_script_trains_prints_and_then_reuses(train_models, tmp_path, capsys):
    arguments = ("--dataset", "spoken_digits", "--resolution", "32", "--epochs", "1", "--limit", "30")
    assert train_models(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (weights,) = (tmp_path / "checkpoints").glob("*.safetensors")
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert str(weights) in out
    assert str(weights.with_suffix(".json")) in out
    for part in ("train", "validation", "test"):
        assert f"{part:<10} {card['accuracy'][part]:.2%}\n" in out
    assert card["stand_in_for"] == "audio_mnist"
    assert card["config"]["largest_shift"] == 0.1
    before = weights.stat().st_mtime_ns
    assert train_models(*arguments) == 0
    assert capsys.readouterr().out == out
    assert weights.stat().st_mtime_ns == before


def test_the_command_finds_what_the_script_trained(train_models, tmp_path, capsys):
    arguments = ("--dataset", "digits_8x8", "--resolution", "28", "--epochs", "1", "--limit", "30")
    assert train_models(*arguments) == 0
    out = capsys.readouterr().out
    places = ("--checkpoints", str(tmp_path / "checkpoints"), "--device", "cpu")
    assert run_command(cli.dispatch, ["train", *arguments, *places]) == 0
    assert capsys.readouterr() == (out, "")
    assert len(list((tmp_path / "checkpoints").glob("*.safetensors"))) == 1


def test_audionet_trains_on_waveforms(train_models, tmp_path, capsys):
    arguments = ("--dataset", "spoken_digits", "--architecture", "audionet", "--epochs", "1", "--limit", "10")
    assert train_models(*arguments) == 0
    (weights,) = (tmp_path / "checkpoints").glob("*.safetensors")
    card = checkpoints.read_card(weights)
    assert card.resolution == 8000
    assert card.domain["name"] == "Waveform"
    assert card.samples == {"train": 10, "validation": 10, "test": 10}
    assert "8000-seed0" in weights.name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dataset", "timit"], "unknown dataset 'timit'"),
        (["--dataset", "spoken_digits", "--architecture", "resnet"], "architecture is 'resnet'"),
        (["--dataset", "spoken_digits", "--split", "fold9"], "no split 'fold9'"),
        (["--dataset", "digits_8x8", "--architecture", "audionet"], "audionet"),
        (["--dataset", "digits_8x8", "--resolution", "8"], "at least 16 cells"),
        (["--dataset", "spoken_digits", "--limit", "0"], "limit is 0"),
        (["--dataset", "spoken_digits", "--batch_size", "0"], "batch_size is 0"),
        (["--dataset", "spoken_digits", "--learning_rate", "-1"], "learning_rate is -1"),
        (["--resolutoin", "64"], "did you mean resolution?"),
    ],
)
def test_bad_options_are_one_line(arguments, told, train_models, capsys):
    assert train_models(*arguments) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
