"""Checkpoints: what is written is read again, what is damaged or foreign is refused, nothing is ever unpickled."""

import json
import os
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from audioxai.domains import Pixels
from audioxai.models import build, checkpoints
from audioxai.models.checkpoints import Card, card_path, exists, load_weights, read_card, save_card, save_weights
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

DOMAIN = Pixels(16, 16)


def card_for(sha256, **changes):
    card = Card(
        dataset="digits_8x8",
        stand_in_for="mnist",
        split="official",
        architecture="small_cnn",
        resolution=16,
        seed=3,
        accuracy={"train": 1.0, "validation": 0.9, "test": 0.8},
        samples={"train": 10, "validation": 5, "test": 5},
        class_names=["zero", "one", "zwölf"],
        domain={"name": "Pixels", "rows": 16, "columns": 16},
        config={"epochs": 3, "seed": 3},
        epochs_run=3,
        seconds=1.5,
        data_fingerprint="f" * 32,
        weights_sha256=sha256,
        git_commit="0123456789ab-dirty",
        data={"name": "digits_8x8", "licence": "BSD-3-Clause", "skipped": ["a.wav: silent"], "groups": {"test": 2}},
        groups=[{"attribute": "gender", "value": "female", "groups": 1, "clips": 5, "correct": 4}],
        cues=True,
        cue_reliance={"samples": 5, "with_cue": 1.0, "without_cue": 0.2, "follows_swap": 0.9, "chance": 0.2},
    )
    return replace(card, **changes)


@pytest.fixture
def saved(tmp_path):
    """Place and model of a complete checkpoint."""
    weights, model = tmp_path / "deep" / "model-1.5.safetensors", build("small_cnn", DOMAIN, 3, seed=0)
    save_card(weights, card_for(save_weights(weights, model)))
    return weights, model


def refused(weights, model, card=None):
    """The one line that a command prints for this checkpoint; the model stays as it is."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_weights(weights, model, card or read_card(weights))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert str(weights) in str(caught.value)
    return str(caught.value)


def test_round_trip(saved):
    weights, model = saved
    other = build("small_cnn", DOMAIN, 3, seed=1).train()
    inputs = torch.rand((4, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    assert not torch.equal(other.eval()(inputs), model.eval()(inputs))
    other.train()
    load_weights(weights, other, read_card(weights))
    assert not other.training
    assert torch.equal(other(inputs), model(inputs))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in other.state_dict().items())


def test_the_card_says_what_it_has_to(saved):
    weights, _ = saved
    card = read_card(weights)
    assert card == card_for(card.weights_sha256)
    written = json.loads(card_path(weights).read_text(encoding="utf-8"))
    assert written.pop("digest")
    assert written == asdict(card)
    required = {"dataset", "architecture", "resolution", "seed", "accuracy", "config"}
    assert required | {"data_fingerprint", "git_commit"} <= written.keys()
    assert set(written["accuracy"]) == {"train", "validation", "test"}
    assert checkpoints.file_sha256(weights) == card.weights_sha256
    assert card_path(weights) == weights.parent / "model-1.5.json"


def test_the_same_weights_give_the_same_file(saved, tmp_path):
    weights, model = saved
    again = tmp_path / "again.safetensors"
    assert save_weights(again, model) == read_card(weights).weights_sha256
    assert again.read_bytes() == weights.read_bytes()


def test_channels_last_weights_are_stored_in_the_usual_order(saved, tmp_path):
    _, model = saved
    model.to(memory_format=torch.channels_last)
    save_weights(tmp_path / "a.safetensors", model)
    stored = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())


def test_weights_without_card_count_as_not_existing(tmp_path):
    weights = tmp_path / "model.safetensors"
    assert not exists(weights)
    sha256 = save_weights(weights, build("small_cnn", DOMAIN, 3, seed=0))
    assert not exists(weights)
    save_card(weights, card_for(sha256))
    assert exists(weights)
    weights.unlink()
    assert not exists(weights)


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch):
    weights, model = saved
    content = weights.read_bytes()

    def fails(_, file, *__):
        Path(file).write_bytes(b"half of it")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", fails)
    with pytest.raises(OSError, match="No space left") as caught:
        save_weights(weights, model)
    assert caught.value.filename == str(weights)
    assert weights.read_bytes() == content
    assert sorted(path.name for path in weights.parent.iterdir()) == ["model-1.5.json", "model-1.5.safetensors"]


def test_missing_weights_and_missing_card(saved):
    weights, model = saved
    card = read_card(weights)
    weights.unlink()
    assert "does not exist; train the model with `audioxai train`" in refused(weights, model, card)
    card_path(weights).unlink()
    with pytest.raises(UserError, match=r"card .*model-1\.5\.json does not exist; train"):
        read_card(weights)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"format": 4}', b'{"format": 4, "unheard_of": 1}'],
)
def test_a_damaged_card_is_refused(content, saved):
    weights, _ = saved
    card_path(weights).write_bytes(content)
    with pytest.raises(UserError, match=r"model-1\.5\.json is (unreadable|damaged) .*delete it"):
        read_card(weights)


@pytest.mark.parametrize("which", ["weights", "card"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "broken link"])
def test_what_is_no_file_is_refused_at_once(kind, which, saved):
    weights, model = saved
    card, path = read_card(weights), weights if which == "weights" else card_path(weights)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    if which == "card":
        with pytest.raises(UserError, match=r"card .* is unreadable .*delete it"):
            read_card(weights)
    else:
        assert "is unreadable" in refused(weights, model, card)
        with pytest.raises(UserError, match=r"is unreadable .*delete it"):
            checkpoints.require_described(weights, card)


def test_a_card_that_was_edited_is_refused(saved):
    weights, _ = saved
    content = json.loads(card_path(weights).read_text(encoding="utf-8"))
    for name in content.keys() - {"format"}:
        card_path(weights).write_text(json.dumps(content | {name: "edited"}), encoding="utf-8")
        with pytest.raises(UserError, match=r"model-1\.5\.json is damaged or was edited"):
            read_card(weights)


@pytest.mark.parametrize(
    ("version", "reason"),
    [(None, "format 1, older than 3; delete it to train"), (2, "older than 3"), (5, "format 5, newer than 4; update")],
)
def test_a_card_of_another_format_is_refused(version, reason, saved):
    weights, _ = saved
    content = json.loads(card_path(weights).read_text(encoding="utf-8"))
    content.pop("format")
    if version is not None:
        content["format"] = version
    card_path(weights).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=rf"card .*model-1\.5\.json is of .*{reason}"):
        read_card(weights)


def test_a_card_with_a_key_too_many_is_refused(saved):
    weights, _ = saved
    content = json.loads(card_path(weights).read_text(encoding="utf-8"))
    card_path(weights).write_text(json.dumps(content | {"extra": 1}), encoding="utf-8")
    with pytest.raises(UserError, match="damaged or was edited"):
        read_card(weights)


@pytest.mark.parametrize("damage", ["empty", "header cut", "tensors cut", "text"])
def test_damaged_weights_are_refused_in_one_line(damage, saved, capsys):
    weights, model = saved
    content = weights.read_bytes()
    weights.write_bytes(
        {"empty": b"", "header cut": content[:50], "tensors cut": content[:-100], "text": b"not a checkpoint\n" * 9}[
            damage
        ]
    )
    assert "is unreadable" in refused(weights, model)
    assert run_command(lambda _: load_weights(weights, model, read_card(weights)), []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: checkpoint {weights} is unreadable")
    assert error.count("\n") == 1


def test_a_flipped_bit_and_swapped_weights_are_noticed(saved):
    weights, model = saved
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "is not the file its card describes" in refused(weights, model)
    save_weights(weights, build("small_cnn", DOMAIN, 3, seed=8))
    assert "is not the file its card describes" in refused(weights, model)


def test_another_architecture_is_refused(saved):
    weights, _ = saved
    message = refused(weights, build("alexnet", Pixels(28, 28), 3, seed=0))
    assert "another architecture (small_cnn)" in message


def test_another_class_count_is_refused(saved):
    weights, _ = saved
    message = refused(weights, build("small_cnn", DOMAIN, 4, seed=0))
    assert "another class count" in message
    assert "(3, 64)" in message
    assert "(4, 64)" in message


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("form", ["plain", "torch"])
def test_a_pickle_is_refused_and_never_unpickled(form, saved, tmp_path):
    weights, model = saved
    sprung, unsprung = tmp_path / "sprung", tmp_path / "unsprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # so the trap works
    card = read_card(weights)
    if form == "plain":
        weights.write_bytes(pickle.dumps(Trap(unsprung)))
    else:
        torch.save({"body.0.weight": Trap(unsprung)}, weights)
    card = replace(card, weights_sha256=checkpoints.file_sha256(weights))
    assert "is unreadable" in refused(weights, model, card)
    card_path(weights).write_bytes(pickle.dumps(Trap(unsprung)))
    with pytest.raises(UserError, match="unreadable"):
        read_card(weights)
    assert not unsprung.exists()
