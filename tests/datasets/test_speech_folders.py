"""The digit is in the file's name, the speaker is the folder, and speakers stay in one part."""

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import torch
from helpers.dataset_files import write_speakers, write_tone
from hypothesis import given
from hypothesis import strategies as st

from audioxai import datasets
from audioxai.datasets import DATASETS, fingerprint, load, source_of, summary_of_skipped
from audioxai.datasets.audio_files import AudioFormat, read_waveforms
from audioxai.datasets.audio_mnist import FOLDS, read_speaker_metadata
from audioxai.datasets.recordings import RecordingFolder
from audioxai.datasets.records import Listing, Recording
from audioxai.datasets.sources import balanced_draw, content_fingerprint
from audioxai.datasets.speech_commands import CLASS_NAMES
from audioxai.datasets.splits import are_group_disjoint, speaker_parts
from audioxai.utils.errors import UserError

SPEECH = [source for source in map(source_of, DATASETS) if isinstance(source, RecordingFolder)]
EVERY_SPLIT = [(source, split) for source in SPEECH for split in source.splits]
SHORT = AudioFormat(8_000, 0.1, "centre", None, True)


@pytest.fixture
def three(tmp_path):
    """Three speakers, one in each part of fold 1: 01 trains, 04 validates, 05 tests."""
    return write_speakers(tmp_path / "audio_mnist", ["01", "04", "05"])


@pytest.fixture
def fsdd_root(tmp_path):
    for index in range(12):
        for digit in (0, 3, 9):
            for speaker in ("george", "lucas", "theo"):
                write_tone(tmp_path / "recordings" / f"{digit}_{speaker}_{index}.wav", rate_hz=8_000, duration_s=0.05)
    return tmp_path


def test_the_folder_is_the_speaker_and_the_file_name_has_the_digit(tmp_path):
    dataset = load("audio_mnist", root=write_speakers(tmp_path, ["03", "04", "05"]))
    of_three = [sample for sample in dataset if sample.group == "03"]
    assert sorted(sample.label for sample in of_three) == list(range(10))
    assert set(dataset.labels.tolist()) == set(range(10))
    for sample in dataset:
        # The frequency that was recorded tells the digit, whatever the names say.
        spectrum = torch.fft.rfft(sample.input[0]).abs()
        assert round((int(spectrum.argmax()) - 200) / 100) == sample.label
    by_folder = [int(sample.group or "") for sample in dataset]
    assert by_folder != dataset.labels.tolist()


def test_loaded_samples_are_in_the_order_of_their_parts(three):
    dataset = load("audio_mnist", root=three)
    assert list(dataset.splits) == ["train"] * 10 + ["validation"] * 10 + ["test"] * 10
    assert dataset.inputs.shape == (30, 1, 16_000)
    assert dataset.inputs.dtype == torch.float32
    assert set(dataset.part("test").groups) == {"05"}
    assert dataset.part("test").inputs.data_ptr() == dataset.inputs[20:].data_ptr()
    assert dataset.ids[0] == "data/01/0_01_0.wav"


def test_the_papers_folds(tmp_path):
    assert sorted(speaker for speakers in FOLDS.values() for speaker in speakers) == list(range(1, 61))
    # As printed in the paper.
    assert FOLDS["fold1"] == (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51)
    assert FOLDS["fold3"] == (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54)
    validations = {
        "fold1": {12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50},
        "fold2": {26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51},
        "fold5": {43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55},
    }
    for speaker in range(1, 62):
        (tmp_path / "data" / f"{speaker:02d}").mkdir(parents=True)
        (tmp_path / "data" / f"{speaker:02d}" / f"0_{speaker:02d}_0.wav").touch()
    source: Any = source_of("audio_mnist")
    listing = source.list_recordings(tmp_path)
    for fold, tests in FOLDS.items():
        parts = source.splits[fold].parts(listing)
        found = {
            part: {int(one.group) for one, own in zip(listing.recordings, parts, strict=True) if own == part}
            for part in ("train", "validation", "test")
        }
        assert found["test"] == set(tests)
        assert found["validation"] == validations.get(fold, found["validation"])
        assert list(map(len, found.values())) == [37, 12, 12]
        # Whoever is in no fold is for training.
        assert 61 in found["train"]


def listing_of(speakers, repetitions=2):
    recordings = [
        Recording(f"{speaker}/{digit}_{repetition}", Path(), digit, speaker)
        for speaker in speakers
        for digit in range(10)
        for repetition in range(repetitions)
    ]
    return Listing(tuple(recordings), (), tuple("0123456789"), "speaker")


@pytest.fixture
def large_root(tmp_path):
    """Every data set of recordings with so many that each of its splits has all parts; the files are empty."""
    for number in range(1, 61):
        for digit in range(10):
            folder = tmp_path / "data" / f"{number:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{digit}_{number:02d}_0.wav").touch()
            (tmp_path / "recordings").mkdir(exist_ok=True)
            for speaker in ("george", "lucas", "theo"):
                (tmp_path / "recordings" / f"{digit}_{speaker}_{number}.wav").touch()
    for word in CLASS_NAMES:
        (tmp_path / word).mkdir()
        for number in range(10):
            name = {"_silence_": f"{number}", "_unknown_": f"bird_0000000{number}_nohash_0"}
            (tmp_path / word / f"{name.get(word, f'0000000{number}_nohash_1')}.wav").touch()
    return tmp_path


@pytest.mark.parametrize(("source", "split"), EVERY_SPLIT, ids=lambda value: getattr(value, "name", value))
def test_splits_share_no_speaker_but_the_official_one(large_root, source, split):
    listing = source.list_recordings(large_root)
    parts = source.splits[split].parts(listing)
    assert are_group_disjoint(listing.recordings, parts) == (split != "official")
    assert set(parts) == {"train", "validation", "test"}


@given(st.sets(st.text("abc019_ é", min_size=1, max_size=4), min_size=3, max_size=40), st.randoms())
def test_any_speakers_are_divided_disjointly_whatever_the_order(speakers, shuffler):
    listing = listing_of(sorted(speakers), repetitions=1)
    parts = speaker_parts(listing)
    assert are_group_disjoint(listing.recordings, parts)
    part_of = {one.group: part for one, part in zip(listing.recordings, parts, strict=True)}
    counts = Counter(part_of.values())
    assert counts["test"] == max(1, round(0.2 * len(speakers)))
    assert counts["validation"] == max(1, round(0.1 * len(speakers)))
    assert counts["train"] >= 1
    shuffled = list(listing.recordings)
    shuffler.shuffle(shuffled)
    assert speaker_parts(replace(listing, recordings=tuple(shuffled))) == [part_of[one.group] for one in shuffled]


def test_two_speakers_cannot_be_divided():
    with pytest.raises(UserError, match="3 speakers"):
        speaker_parts(listing_of(["01", "02"]))


def test_fsdd_official_goes_by_index_and_shares_its_speakers(fsdd_root):
    dataset = load("fsdd", root=fsdd_root)
    assert (dataset.split_name, dataset.group_disjoint, dataset.sample_rate_hz) == ("official", False, 8_000)
    for sample in dataset:
        index = int(sample.id.removesuffix(".wav").split("_")[-1])
        assert sample.split == ("test" if index < 5 else "validation" if index < 10 else "train")
        assert sample.label == int(sample.id.removeprefix("recordings/")[0])
    assert set(dataset.part("test").groups) == set(dataset.part("train").groups) == {"george", "lucas", "theo"}


def test_fsdd_can_be_divided_by_speaker(fsdd_root):
    dataset = load("fsdd", root=fsdd_root, split="speaker_disjoint")
    assert dataset.group_disjoint
    speakers = [set(dataset.part(part).groups) for part in ("train", "validation", "test")]
    assert sorted(map(len, speakers)) == [1, 1, 1]
    assert len(set.union(*speakers)) == 3


def test_unusable_and_misnamed_files_are_skipped_with_path_and_reason(three):
    folder = three / "data" / "01"
    corrupt = folder / "1_01_7.wav"
    corrupt.write_bytes(b"nothing of the kind")
    misnamed = write_tone(folder / "one.wav")
    elsewhere = write_tone(folder / "2_05_0.wav")
    loose = write_tone(three / "data" / "3_01_0.wav")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "notes.txt").write_text("recorded on a Monday")
    dataset = load("audio_mnist", root=three)
    reasons = {one.path: one.reason for one in dataset.skipped}
    assert set(reasons) == {corrupt, misnamed, elsewhere, loose, folder / "notes.txt"}
    assert "unreadable" in reasons[corrupt]
    assert "misnamed" in reasons[misnamed]
    assert reasons[elsewhere] == "misnamed; its name says speaker 05 but its folder is 01"
    assert len(dataset) == 30
    assert summary_of_skipped(dataset.skipped).startswith("5 files skipped (4 misnamed, 1 unreadable), the first")


def test_none_usable_is_one_sentence(tmp_path):
    for speaker in ("01", "04", "05"):
        (tmp_path / "data" / speaker).mkdir(parents=True)
        (tmp_path / "data" / speaker / f"0_{speaker}_0.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"none of the 3 files of audio_mnist .*/0_01_0\.wav: empty file"):
        load("audio_mnist", root=tmp_path)


def test_a_part_without_anything_is_an_error(tmp_path):
    with pytest.raises(UserError, match="test part of split 'fold1'"):
        load("audio_mnist", root=write_speakers(tmp_path, ["01", "04"]))


def test_unknown_split_lists_the_known_ones(three):
    with pytest.raises(UserError, match="fold1, fold2, fold3, fold4, fold5"):
        load("audio_mnist", root=three, split="fold6")


def test_limit_is_balanced_before_decoding_and_independent_of_the_order(tmp_path, monkeypatch):
    root = write_speakers(tmp_path, ["01", "04", "05"], repetitions=3)
    decoded = []
    original = read_waveforms

    def watched(paths, kind):
        decoded.extend(paths)
        return original(paths, kind)

    monkeypatch.setattr(datasets.recordings, "read_waveforms", watched)
    dataset = load("audio_mnist", root=root, audio_format=SHORT, limit=15)
    assert Counter(dataset.splits) == {"train": 15, "validation": 15, "test": 15}
    assert len(decoded) == 45
    for part in ("train", "validation", "test"):
        counts = Counter(dataset.part(part).labels.tolist())
        assert sorted(counts.values()) == [1] * 5 + [2] * 5

    class Shuffled(PosixPath):
        def iterdir(self):
            entries = list(super().iterdir())
            random.Random(3).shuffle(entries)
            return iter(entries)

    again = load("audio_mnist", root=Shuffled(root), audio_format=SHORT, limit=15)
    assert again.ids == dataset.ids
    assert again.fingerprint == dataset.fingerprint
    smaller = load("audio_mnist", root=root, audio_format=SHORT, limit=12)
    assert set(smaller.ids) < set(dataset.ids)


@pytest.mark.parametrize("limit", [0, 1, 9])
def test_limit_has_to_be_positive_and_leaves_no_class_out(limit, three):
    for act in (load, fingerprint):
        with pytest.raises(UserError, match=f"limit is {limit}"):
            act("audio_mnist", root=three, limit=limit)


def test_fingerprint_is_that_of_the_loaded_dataset_and_follows_content_and_reading(three):
    loaded = load("audio_mnist", root=three)
    assert fingerprint("audio_mnist", three) == loaded.fingerprint
    assert fingerprint("audio_mnist", three, audio_format=source_of("audio_mnist").audio_format()) == loaded.fingerprint
    assert fingerprint("audio_mnist", three, audio_format=AudioFormat(16_000, 1, "centre", None, True)) == (
        loaded.fingerprint
    )
    others = [
        fingerprint("audio_mnist", three, audio_format=SHORT),
        fingerprint("audio_mnist", three, limit=13),
        fingerprint("audio_mnist_az", three),
    ]
    file = three / "data" / "01" / "0_01_0.wav"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    others.append(fingerprint("audio_mnist", three))
    file.rename(three / "data" / "01" / "0_01_9.wav")
    others.append(fingerprint("audio_mnist", three))
    assert len({loaded.fingerprint, *others}) == 6


def test_fingerprint_does_not_decode(three, monkeypatch):
    monkeypatch.setattr(datasets.recordings, "read_waveforms", None)
    assert len(fingerprint("audio_mnist", three)) == 32


def test_fingerprint_is_the_same_at_another_place(three, tmp_path):
    moved = tmp_path / "moved"
    before = fingerprint("audio_mnist", three)
    three.rename(moved)
    assert fingerprint("audio_mnist", moved) == before


def test_the_number_of_threads_changes_nothing(three, monkeypatch):
    loaded = []
    for cores in (1, 4):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        loaded.append(load("audio_mnist", root=three))
    assert loaded[0].ids == loaded[1].ids
    np.testing.assert_array_equal(loaded[0].inputs.numpy(), loaded[1].inputs.numpy())


def test_metadata_of_audio_mnist_is_cleaned(three):
    about = {
        "01": {"age": "30", "gender": "male", "recordingroom": "VR-Room", "native speaker": "no"},
        "04": {"age": 23, "gender": "female", "recordingroom": "vr-romm "},
        "05": {"age": "1234", "gender": "male", "recordingroom": "Kino"},
    }
    (three / "data" / "audioMNIST_meta.txt").write_text(json.dumps(about))
    read = read_speaker_metadata(three)
    assert [read[speaker]["age"] for speaker in ("01", "04", "05")] == [30, 23, None]
    assert read["01"]["recordingroom"] == read["04"]["recordingroom"] == "vr-room"
    assert read["01"]["native speaker"] == "no"
    # The metadata lies beside the speakers' folders and is no recording.
    assert load("audio_mnist", root=three).skipped == ()


def test_metadata_in_a_table_is_read(tmp_path):
    (tmp_path / "metadata.txt").write_text("SPK ID,0,1,Gender\n1,5,5,M\n12,4,4,F\n")
    assert read_speaker_metadata(tmp_path) == {"01": {"gender": "male"}, "12": {"gender": "female"}}


def test_metadata_may_be_absent_but_not_damaged(three):
    assert read_speaker_metadata(three) == {}
    (three / "data" / "audioMNIST_meta.txt").write_text("{")
    with pytest.raises(UserError, match=r"audioMNIST_meta\.txt"):
        read_speaker_metadata(three)


@given(st.randoms(), st.integers(1, 40))
def test_the_draw_does_not_depend_on_the_order_of_the_entries(shuffler, limit):
    entries = [(f"{label}/{number}", label) for label in range(10) for number in range(4)]

    def draw() -> list[int]:
        return balanced_draw([name for name, _ in entries], [label for _, label in entries], limit)

    drawn = {entries[index][0] for index in draw()}
    shuffler.shuffle(entries)
    indices = draw()
    assert {entries[index][0] for index in indices} == drawn
    assert indices == sorted(indices)
    assert len(drawn) == limit


def test_the_draw_is_not_just_the_first_of_every_label():
    ids = [f"{number:02d}" for number in range(50)]
    assert balanced_draw(ids, [0] * 50, 10) != list(range(10))


def test_a_fingerprint_does_not_depend_on_the_order_of_the_entries():
    entries = [("a", b"1"), ("b", b"2")]
    assert content_fingerprint(entries, 8) == content_fingerprint(entries[::-1], 8)
    assert content_fingerprint(entries, 8) != content_fingerprint([("a", b"2"), ("b", b"1")], 8)
    assert content_fingerprint(entries, 8) != content_fingerprint(entries, 9)


def test_a_name_that_is_not_utf8_is_a_recording_like_all_others(tmp_path):
    """Its id and its group are text that can be stored; the sample is that of the file."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for digit in range(10):
        for index in (0, 5, 10):
            write_tone(folder / f"{digit}_ann_{index}.wav", 300.0 + 10 * digit, 8_000)
    expected = datasets.load("fsdd", root=tmp_path / "fsdd")
    os.rename(folder / "3_ann_10.wav", os.fsencode(folder) + b"/3_jos\xe9_10.wav")
    loaded = datasets.load("fsdd", root=tmp_path / "fsdd")
    row = loaded.ids.index("recordings/3_jos\\xe9_10.wav")
    assert loaded.groups[row] == "jos\\xe9"
    assert loaded.skipped == ()
    assert torch.equal(loaded.inputs[row], expected.inputs[expected.ids.index("recordings/3_ann_10.wav")])
