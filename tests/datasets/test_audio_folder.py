"""Any folder of sounds: class folders, tables of known layouts, groups, lengths, what is refused before decoding."""

import csv
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.dataset_files import CATEGORIES, write_class_folders, write_esc50, write_table, write_tone

from audioxai import datasets
from audioxai.datasets import DATASETS, AudioFolder, AudioFormat, fingerprint, load
from audioxai.utils.errors import UserError


@pytest.fixture
def folders(tmp_path):
    return write_class_folders(tmp_path / "animals", {"dog": 8, "cat": 5, "owl": 3})


@pytest.fixture
def esc50(tmp_path):
    return write_esc50(tmp_path / "ESC-50")


@pytest.fixture
def refused(monkeypatch):
    """Checks that a folder is refused with these words before any sound is decoded."""
    monkeypatch.setattr(datasets.recordings, "read_waveforms", None)

    def check(root, said, split=None, limit=None, **options):
        with pytest.raises(UserError, match=said) as raised:
            AudioFolder(root, **options).load(split=split, limit=limit)
        assert "\n" not in str(raised.value)

    return check


def pitch_hz(waveform, rate_hz):
    return float(np.abs(np.fft.rfft(waveform)).argmax() * rate_hz / len(waveform))


def test_class_folders_are_the_classes_and_nested_files_belong_to_them(folders):
    (folders / "README.txt").write_text("about")
    (folders / "dog" / ".hidden.wav").write_bytes(b"x")
    (folders / ".git").mkdir()
    write_tone(folders / ".git" / "x.wav")
    dataset = AudioFolder(folders).load()
    assert (dataset.name, dataset.modality, dataset.class_names) == ("animals", "audio", ("cat", "dog", "owl"))
    assert dataset.root == folders
    assert Counter(dataset.labels.tolist()) == {0: 5, 1: 8, 2: 3}
    assert (dataset.split_name, dataset.group_disjoint, dataset.group_name) == ("by_clip", False, None)
    assert set(dataset.groups) == {None}
    assert dataset.skipped == ()
    assert "dog/more/002.wav" in dataset.ids
    for sample in dataset:
        # Written with a pitch for every class, in the order dog, cat, owl.
        assert sample.id.startswith(dataset.class_names[sample.label])
        assert pitch_hz(sample.input[0], 8_000) == pytest.approx({0: 300, 1: 200, 2: 400}[sample.label], abs=11)


def test_every_class_is_in_every_part(folders):
    dataset = AudioFolder(folders).load()
    held = {(int(label), part) for label, part in zip(dataset.labels, dataset.splits, strict=True)}
    assert len(held) == 9


def test_loose_and_unreadable_sounds_are_skipped_with_their_reason(folders):
    loose, foreign = write_tone(folders / "loose.wav"), folders / "dog" / "phone.m4a"
    foreign.write_bytes(b"x")
    (folders / "dog" / "broken.wav").write_bytes(b"nothing")
    reasons = {one.path: one.reason for one in AudioFolder(folders).load().skipped}
    assert set(reasons) == {loose, foreign, folders / "dog" / "broken.wav"}
    assert reasons[loose] == "in no class folder"
    assert "WAV or FLAC" in reasons[foreign]


def test_folders_named_as_parts_are_the_parts(tmp_path):
    for part in ("train", "dev", "Test"):
        write_class_folders(tmp_path / "x" / part, {"dog": 2, "cat": 3})
    dataset = AudioFolder(tmp_path / "x").load()
    assert (dataset.class_names, dataset.split_name) == (("cat", "dog"), "given")
    assert Counter(dataset.splits) == {"train": 5, "validation": 5, "test": 5}
    assert all(one.id.startswith("dev/") == (one.split == "validation") for one in dataset)
    assert AudioFolder(tmp_path / "x").split_names() == ("given", "by_clip")


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path):
    root = write_class_folders(tmp_path, {"10": 3, "9": 3, "0": 3})
    assert AudioFolder(root).load().class_names == ("0", "9", "10")


def test_esc50_is_recognised(esc50):
    folder = AudioFolder(esc50)
    assert folder.split_names() == ("fold1", "fold2", "fold3", "fold4", "fold5", "group_disjoint")
    dataset = folder.load()
    assert (dataset.name, dataset.split_name) == ("ESC-50", "fold1")
    assert (dataset.group_name, dataset.group_disjoint) == ("source recording", True)
    assert dataset.class_names == tuple(sorted(CATEGORIES[:4]))
    for sample in dataset:
        fold, source, _, target = sample.id.removeprefix("audio/").removesuffix(".wav").split("-")
        assert sample.split == {"1": "test", "5": "validation"}.get(fold, "train")
        assert sample.group == source
        assert dataset.class_names[sample.label] == CATEGORIES[int(target)]
    drawn = folder.load(split="group_disjoint")
    assert drawn.group_disjoint
    assert sum(len(set(drawn.part(part).groups)) for part in datasets.SPLITS) == len(set(drawn.groups)) == 40


def test_huggings_faces_metadata_is_recognised(tmp_path):
    lines = ["file_name,label,transcript"]
    for number in range(12):
        write_tone(tmp_path / "data" / f"{number}.wav", duration_s=0.1)
        lines.append(f'data/{number}.wav,{"dog" if number % 2 else "cat"},"a, b"')
    write_table(tmp_path / "metadata.csv", lines)
    dataset = AudioFolder(tmp_path).load()
    assert (dataset.class_names, dataset.split_name) == (("cat", "dog"), "by_clip")
    for sample in dataset:
        assert sample.label == int(sample.id.removeprefix("data/").removesuffix(".wav")) % 2


@pytest.mark.parametrize(
    ("suffix", "delimiter", "bom"), [("csv", ";", ""), ("tsv", "\t", "\ufeff"), ("csv", ",", "\ufeff")]
)
def test_a_table_of_its_own_columns_and_delimiter(tmp_path, suffix, delimiter, bom):
    rows = [
        ("sound", "species", "site", "use"),
        *((f"a\\{n}.wav", "owl" if n % 2 else "jay", f"s{n // 2}", "") for n in range(12)),
    ]
    rows = [(*row[:3], row[3] or ("train", "valid", "test")[int(row[2][1:]) % 3]) for row in rows[1:]]
    for name, *_ in rows:
        write_tone(tmp_path / name.replace("\\", "/"), duration_s=0.1)
    table = write_table(tmp_path / f"list.{suffix}", [bom + delimiter.join(("sound", " species", "site", "use"))])
    with table.open("a", encoding="utf-8", newline="") as lines:
        csv.writer(lines, delimiter=delimiter).writerows(rows)
    folder = AudioFolder(
        tmp_path,
        table=table.name,
        file_column="sound",
        label_column="species",
        group_column="site",
        split_column="use",
    )
    dataset = folder.load()
    assert (dataset.split_name, dataset.group_name, dataset.group_disjoint) == ("given", "site", True)
    assert {one.id: (dataset.class_names[one.label], one.group, one.split) for one in dataset} == {
        name.replace("\\", "/"): (label, site, {"valid": "validation"}.get(use, use)) for name, label, site, use in rows
    }


def test_files_of_a_table_are_found_by_name_alone_where_only_one_has_it(tmp_path):
    for number in range(6):
        write_tone(tmp_path / "sounds" / f"fold{number}" / f"{number}.wav", duration_s=0.1)
    write_table(tmp_path / "metadata.csv", ["file,label", *(f"{number}.wav,{number % 2}" for number in range(6))])
    assert AudioFolder(tmp_path).load().ids[0].startswith("sounds/fold")
    write_tone(tmp_path / "other" / "3.wav")
    with pytest.raises(UserError, match=r"3\.wav, of which there are 2"):
        AudioFolder(tmp_path).load()


def test_groups_from_the_name_stay_in_one_part(tmp_path):
    for label in ("dog", "cat"):
        for site in "abcdef":
            for take in range(3):
                write_tone(tmp_path / label / f"{site}-{take}.wav", duration_s=0.05)
    folder = AudioFolder(tmp_path, group_pattern=r"/(\w)-", group_name="site")
    dataset = folder.load()
    assert (dataset.split_name, dataset.group_name, dataset.group_disjoint) == ("group_disjoint", "site", True)
    assert set(dataset.groups) == set("abcdef")
    assert sum(len(set(dataset.part(part).groups)) for part in datasets.SPLITS) == 6
    # Without a group in the expression, all that it matches.
    assert set(AudioFolder(tmp_path, group_pattern=r"\w-").load().groups) == {f"{site}-" for site in "abcdef"}


def test_rate_and_length_come_from_the_files(tmp_path):
    root = write_class_folders(tmp_path, {"dog": 4, "cat": 4}, duration_s=0.103)
    write_tone(root / "cat" / "long.wav", rate_hz=22_050, duration_s=0.3)
    assert AudioFolder(root).audio_format() == AudioFormat(8_000, 0.3, "centre", None, True)
    (root / "cat" / "long.wav").unlink()
    assert AudioFolder(root).audio_format().duration_s == 0.11
    write_tone(root / "cat" / "longer.wav", duration_s=7.0)
    assert AudioFolder(root).audio_format().duration_s == 5.0
    asked = AudioFolder(root, sample_rate_hz=4_000, duration_s=6.5, placement="start", trim_below_peak_db=40.0)
    assert asked.audio_format() == AudioFormat(4_000, 6.5, "start", 40.0, True)
    assert asked.load().inputs.shape == (9, 1, 26_000)
    # The limit does not change what a clip is.
    assert AudioFolder(root).load(limit=2).inputs.shape[-1] == 40_000


def test_trimming_and_peak_are_options(tmp_path):
    root = write_class_folders(tmp_path, {"dog": 3, "cat": 3})
    for file in root.rglob("*.wav"):
        samples, rate_hz = soundfile.read(file)
        soundfile.write(file, np.concatenate([np.zeros(8_000), samples]), rate_hz)
    kept = AudioFolder(root, duration_s=0.1, placement="start", peak_normalise=False, trim_below_peak_db=35.0).load()
    assert kept.inputs.abs().max() == pytest.approx(0.5, abs=0.01)
    with pytest.raises(UserError, match="silent once cut"):
        AudioFolder(root, duration_s=0.1, placement="start").load()


def test_order_of_listing_and_place_change_nothing(esc50, tmp_path, monkeypatch):
    folder = AudioFolder(esc50, table=None, group_pattern=r"-(\d+)-|bird/.*?(\d+)")
    write_class_folders(esc50, {"bird": 9})
    before = folder.load()
    moved = tmp_path / "elsewhere" / "ESC-50"
    moved.parent.mkdir()
    esc50.rename(moved)
    original = os.scandir

    class Shuffled(list[Any]):
        def __enter__(self):
            return iter(self)

        def __exit__(self, *_):
            return None

        def __next__(self):
            return self.pop() if self else next(iter(()))

    def scandir(path="."):
        with original(path) as entries:
            found = Shuffled(entries)
        random.Random(1).shuffle(found)
        return found

    monkeypatch.setattr(os, "scandir", scandir)
    after = AudioFolder(moved, table=None, group_pattern=folder.group_pattern).load()
    assert after.ids == before.ids
    assert after.splits == before.splits
    assert after.fingerprint == before.fingerprint == fingerprint(folder, moved)


def test_names_are_the_same_however_a_file_system_composes_them(tmp_path):
    ids = []
    for form, name in (("composed", "bl\u00e4\u00dfhuhn"), ("decomposed", "bla\u0308\u00dfhuhn")):
        write_class_folders(tmp_path / form / "x", {name: 4, "jay": 4})
        ids.append(AudioFolder(tmp_path / form / "x").load())
    assert ids[0].ids == ids[1].ids
    assert ids[0].fingerprint == ids[1].fingerprint
    assert ids[0].class_names == ids[1].class_names == ("bl\u00e4\u00dfhuhn", "jay")


def test_fingerprint_follows_content_labels_groups_seed_and_reading(esc50):
    write_esc50(esc50, takes=3)
    loaded = AudioFolder(esc50).load(split="group_disjoint")

    def of(**options):
        return AudioFolder(esc50, **options).fingerprint(split="group_disjoint")

    assert of() == loaded.fingerprint
    others = [
        of(seed=1),
        of(duration_s=0.2),
        of(label_column="target"),
        of(group_column="take"),
        of(shares=(0.5, 0.25, 0.25)),
    ]
    table = esc50 / "meta" / "esc50.csv"
    content = table.read_text()
    first = content.splitlines()[1]
    table.write_text(content.replace(first, first.replace("dog", "cow")))
    others.append(of())
    table.write_text(content)
    assert of() == loaded.fingerprint
    file = esc50 / "audio" / first.split(",")[0]
    file.write_bytes(file.read_bytes()[:-2] + b"\1\1")
    others.append(of())
    assert len({loaded.fingerprint, *others}) == 8


def test_the_seed_is_drawn_once_and_shares_are_kept(folders):
    splits = [AudioFolder(folders, seed=seed).load().ids for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    even = AudioFolder(write_class_folders(folders / "more", {"dog": 10, "cat": 20}), shares=(0.5, 0.2, 0.3)).load()
    assert Counter(even.splits) == {"train": 15, "validation": 6, "test": 9}


def test_links_are_followed_once(folders, tmp_path):
    (folders / "dog" / "loop").symlink_to(folders)
    (folders / "fox").symlink_to(write_class_folders(tmp_path / "elsewhere", {"fox": 3}) / "fox")
    assert AudioFolder(folders).load().class_names == ("cat", "dog", "fox", "owl")
    assert len(AudioFolder(folders).load()) == 19


def test_it_is_registered_for_options_by_name(folders):
    folder = DATASETS.bind("audio_folder", {}, root=str(folders), seed=3)
    assert folder == AudioFolder(str(folders), seed=3)
    assert load(folder).ids == AudioFolder(folders, seed=3).load().ids
    assert load("audio_folder", root=folders).class_names == ("cat", "dog", "owl")
    with pytest.raises(UserError, match="no option 'shres', did you mean 'shares'"):
        DATASETS.bind("audio_folder", {}, root=str(folders), shres=(1, 2, 3))
    with pytest.raises(UserError, match="has no folder; give root"):
        load(AudioFolder())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shares": (0.5, 0.5, 0.5)}, "shares are"),
        ({"shares": (0.9, 0.1)}, "shares are"),
        ({"shares": (0.8, 0.0, 0.2)}, "shares are"),
        ({"group_pattern": "("}, r"group_pattern '\('"),
        ({"sample_rate_hz": -1}, "sample_rate_hz is -1"),
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0"),
        ({"duration_s": 0.0}, "duration_s is 0"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"duration_s": 1e6}, "duration_s is"),
        ({"placement": "end"}, "placement is 'end'"),
        ({"trim_below_peak_db": -3.0}, "trim_below_peak_db is -3"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        AudioFolder("anywhere", **options)


def test_folders_that_are_no_data_set_are_refused(folders, tmp_path, refused):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty holds no sounds")
    refused(tmp_path / "absent", "absent is not a folder")
    refused(write_tone(tmp_path / "loose" / "a.wav").parent, "none of the 1 sounds .*in no class folder")
    refused(write_class_folders(tmp_path / "one", {"dog": 9}), "one class, 'dog'")
    write_tone(folders / "fox" / "a.wav")
    refused(folders, "class 'fox' has 1 clip,")


def test_groups_that_do_not_suffice_are_refused(folders, refused):
    refused(folders, r"finds no group in 12 of 16 files, the first is cat/000\.wav", group_pattern="more")
    refused(folders, "class 'cat' has 1 group,", group_pattern=r"^\w+")


def test_parts_that_lack_a_class_are_refused(tmp_path, refused):
    for part in ("train", "validation", "test"):
        write_class_folders(tmp_path / "x" / part, {"dog": 2, "cat": 3} if part != "test" else {"dog": 2})
    refused(tmp_path / "x", "'given' of x leaves the test part without class 'cat'")
    for part in ("train", "test"):
        write_class_folders(tmp_path / "y" / part, {"dog": 2, "cat": 3})
    refused(tmp_path / "y", "nothing usable for the validation part of split 'given'")
    assert AudioFolder(tmp_path / "y", seed=1).split_names() == ("given", "by_clip")


def test_a_limit_below_the_number_of_classes_is_refused(folders, refused):
    refused(folders, "limit is 2 but animals has 3 classes", limit=2)
    refused(folders, "limit is 0", limit=0)
    refused(folders, "no split 'fold1'; choose from by_clip", split="fold1")


def test_unusable_files_that_leave_a_part_without_a_class_are_named(folders):
    dataset = AudioFolder(folders).load()
    only = next(one.id for one in dataset if one.split == "test" and dataset.class_names[one.label] == "owl")
    (folders / only).write_bytes(b"broken")
    with pytest.raises(
        UserError, match=rf"test part without class 'owl' \(1 files are unusable, the first .*{Path(only).name}"
    ):
        AudioFolder(folders, sample_rate_hz=8_000, duration_s=0.1).load()


def test_a_folder_of_nothing_readable_is_refused(tmp_path):
    for label in ("dog", "cat"):
        for number in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / f"{number}.wav").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"no sound of .* can be read, the first is .*cat/0\.wav"):
        AudioFolder(tmp_path).load()
    with pytest.raises(UserError, match=r"none of the 6 files .*cat/0\.wav: unreadable"):
        AudioFolder(tmp_path, sample_rate_hz=8_000, duration_s=1.0).load()


ROWS = [f"{number}.wav,{'dog' if number % 2 else 'cat'}" for number in range(8)]


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (
            ["file,species", *ROWS],
            {},
            r"metadata\.csv has no label column; it has file, species: name one of them as label_c",
        ),
        (["name,label", *ROWS], {}, "has no file column; it has name, label"),
        (["file,label", *ROWS], {"label_column": "species"}, "has no label column 'species'; it has file, label"),
        (["file,label", *ROWS], {"group_column": "site"}, "has no such column 'site'; it has file, label"),
        (
            ["file,label", *ROWS, "9.wav,dog", "10.wav,dog"],
            {},
            r"2 of 10 files that .* names are not in .* first is '9\.wav'",
        ),
        (["file,label", *ROWS, "8.wav"], {}, "row 9 of .* has no label"),
        (["file,label", *ROWS, "8.wav,dog,loud"], {}, "row 9 of .* more cells than the header"),
        (["file,label", *ROWS, "0.wav,dog"], {}, r"names 0\.wav more than once"),
        (["file,label", *ROWS, "../outside.wav,dog"], {}, "outside"),
        (["file,label", "8.wav,owl", *ROWS], {}, "class 'owl' has 1 clip,"),
        (["file,label", *(f"{number}.wav,dog" for number in range(8))], {}, "one class, 'dog'"),
        (["file,label"], {}, "has no rows"),
        ([""], {}, "has no rows"),
        (
            ["file,label,split", *(f"{row},train" for row in ROWS)],
            {},
            "nothing usable for the validation and test part",
        ),
        (["file,label,split", *(f"{row},later" for row in ROWS)], {}, "column split of .* holds 'later'"),
        (["file,label,fold", *(f"{row},1" for row in ROWS)], {}, "nothing usable for the train"),
        (["file,label,group", *(f"{row},x" for row in ROWS)], {}, "class 'cat' has 1 group,"),
        (["file,label,group", *(f"{row}," for row in ROWS)], {}, "row 1 of .* has no group"),
        (["file,label", *ROWS], {"table": "list.csv"}, r"no table list\.csv"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, refused, lines, options, said):
    root = tmp_path / "root"
    for number in range(9):
        write_tone(root / f"{number}.wav", duration_s=0.05)
    write_tone(tmp_path / "outside.wav")
    write_table(root / "metadata.csv", lines)
    refused(root, said, **options)


def test_a_table_that_is_none_is_refused(tmp_path, refused):
    write_tone(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_bytes(b"file,label\n\xff\xfe,\x00\n")
    refused(tmp_path, r"metadata\.csv is not a table in UTF-8")


def test_columns_can_be_left_unused(esc50):
    folder = AudioFolder(esc50, group_column=None, split_column=None)
    assert folder.split_names() == ("by_clip",)
    assert set(folder.load().groups) == {None}
