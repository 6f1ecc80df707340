"""Speech Commands: word, speaker and silence from the names, speakers in one part, other parts of it refused."""

import shutil
from collections import Counter

import pytest
from helpers.dataset_files import write_speech_commands, write_tone

from audioxai.datasets import fingerprint, load, source_of
from audioxai.utils.errors import UserError


@pytest.fixture
def root(tmp_path):
    return write_speech_commands(tmp_path / "speech_commands")


def test_classes_and_speakers_come_from_the_names(root):
    (root / "README.md").write_text("about")
    (root / "LICENSE").write_text("terms")
    dataset = load("speech_commands", root=root)
    assert len(dataset.class_names) == 12
    assert Counter(dataset.labels.tolist()) == dict.fromkeys(range(12), 6)
    assert (dataset.split_name, dataset.group_disjoint, dataset.group_name) == ("speaker_disjoint", True, "speaker")
    assert dataset.inputs.shape == (72, 1, 16_000)
    assert dataset.skipped == ()
    for sample in dataset:
        word, name = sample.id.split("/")
        assert dataset.class_names[sample.label] == word
        assert sample.group == (f"_silence_/{name[:-4]}" if word == "_silence_" else name.split("_nohash_")[0][-8:])
    assert fingerprint("speech_commands", root) == dataset.fingerprint


def test_no_speaker_is_in_two_parts_and_every_class_is_in_each(root):
    dataset = load("speech_commands", root=root)
    parts = [dataset.part(part) for part in ("train", "validation", "test")]
    assert sum(len(set(part.groups)) for part in parts) == len(set(dataset.groups)) == 12
    assert all(set(part.labels.tolist()) == set(range(12)) for part in parts)


def test_misnamed_files_are_skipped(root):
    wrong = [
        write_tone(root / "yes" / "theo_nohash_0.wav"),
        write_tone(root / "_unknown_" / "0000000a_nohash_0.wav"),
        write_tone(root / "_background_noise_" / "pink_noise.wav"),
    ]
    dataset = load("speech_commands", root=root)
    assert {one.path for one in dataset.skipped} == set(wrong)
    assert all(one.reason.startswith("misnamed") for one in dataset.skipped)


def test_other_parts_of_speech_commands_are_not_taken_for_it(root):
    shutil.rmtree(root / "_unknown_")
    assert not source_of("speech_commands").found_in(root)
    with pytest.raises(UserError, match="does not hold data set speech_commands"):
        load("speech_commands", root=root)


def test_it_is_prepared_from_its_archive(run_prepare, root, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "archive"), "gztar", root)
    code, said, _ = run_prepare("--datasets", "speech_commands", "--root", tmp_path / "here", "--source", archive)
    assert (code, said) == (0, f"speech_commands: {tmp_path}/here/speech_commands, 72 of 4890 files, real\n")
    assert fingerprint("speech_commands", tmp_path / "here" / "speech_commands") == fingerprint("speech_commands", root)
