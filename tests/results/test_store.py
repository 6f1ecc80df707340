"""The store: rows and tensors come back as they went in; what is damaged is named."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

from audioxai.results.store import DESCRIPTION as KEY
from audioxai.results.store import (
    DIGEST,
    EARLIER_SCHEMA,
    ROW_SCHEMA,
    Store,
    digest_of_rows,
    load_tensors,
    read_rows,
)
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.tensors import digest_of

MADE_BY = {"method": {"name": "saliency", "revision": 1}, "metric": {"name": "sparseness", "revision": 1}}


def frame_of(paths):
    """Rows of several shards in one frame."""
    return pyarrow.concat_tables([ROW_SCHEMA.empty_table(), *(read_rows(path)[0] for path in paths)]).to_pandas()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results", "study1")


def row(**changes):
    made = {
        "study": "study1",
        "modality": "audio",
        "dataset": "fsdd",
        "stand_in_for": None,
        "split": "official",
        "group": "jackson",
        "material": "clips",
        "gradients": 0,
        "sample": "recordings/0_jackson_0.wav",
        "label": 0,
        "prediction": 3,
        "model": "small_cnn",
        "training_seed": 1,
        "checkpoint": "ab" * 32,
        "domain": "log_mel",
        "resolution": 32,
        "method": "saliency",
        "metric": "sparseness",
        "baseline": "silence",
        "seed": 0,
        "score": 1 / 3,
        "passes": 1,
        "map_passes": 32,
        "seconds": 0.25,
        "standard_error": None,
    }
    return made | changes


def test_rows_come_back_exactly_and_in_order(store):
    first, second = store.rows_path("cell", "b"), store.rows_path("cell", "a")
    rows = [row(sample="1"), row(sample="2", score=math.nan, group=None, stand_in_for="audio_mnist")]
    store.save_rows(first, rows, MADE_BY)
    store.save_rows(second, [row(sample="3", score=-1e-17)], MADE_BY)
    frame = frame_of([first, second])
    assert list(frame.columns) == ROW_SCHEMA.names
    assert frame["sample"].tolist() == ["1", "2", "3"]
    assert frame["score"][0] == 1 / 3
    assert math.isnan(frame["score"][1])
    assert frame["score"][2] == -1e-17
    assert frame["group"].isna().tolist() == [False, True, False]
    assert frame["stand_in_for"][1] == "audio_mnist"
    assert str(frame["label"].dtype) == "int64"
    assert frame_of([second, first])["sample"].tolist() == ["3", "1", "2"]


def test_a_shard_whose_column_is_all_missing_joins_others(store):
    """Images have no speakers; the type of an empty column must not change."""
    images, sounds = store.rows_path("images"), store.rows_path("sounds")
    store.save_rows(images, [row(group=None)], MADE_BY)
    store.save_rows(sounds, [row()], MADE_BY)
    assert frame_of([images, sounds])["group"].tolist()[1] == "jackson"


def test_places(store):
    assert store.rows_path("cell", "a-1.5").relative_to(store.root).parts[:3] == ("metrics", "study1", "cell")
    assert store.tensors_path("cell", "a").relative_to(store.root).as_posix() == ("attributions/cell/a.safetensors")
    assert store.figures.relative_to(store.root).as_posix() == "visualizations/study1"
    assert store.summaries == store.root / "summaries"


@pytest.mark.parametrize(
    "wrong",
    [
        {name: value for name, value in row().items() if name != "seed"},
        row(extra=1),
        {("sample_id" if name == "sample" else name): value for name, value in row().items()},
    ],
)
def test_a_row_of_other_columns_is_never_written(wrong, store):
    path = store.rows_path("cell", "a")
    with pytest.raises(ValueError, match="a result row has"):
        store.save_rows(path, [row(), wrong], MADE_BY)
    assert not path.exists()


def test_a_value_of_another_type_is_never_written(store):
    path = store.rows_path("cell", "a")
    with pytest.raises((pyarrow.ArrowInvalid, pyarrow.ArrowTypeError)):
        store.save_rows(path, [row(score="high")], MADE_BY)
    assert not path.exists()


def test_no_rows_and_no_shards_are_empty_frames(store):
    path = store.rows_path("cell", "none")
    store.save_rows(path, [], MADE_BY)
    for frame in (frame_of([path]), frame_of([])):
        assert len(frame) == 0
        assert list(frame.columns) == ROW_SCHEMA.names


def test_names_that_are_no_utf_8_can_be_stored(store):
    name = os.fsdecode(b"jos\xe9.wav")
    rows, tensors = store.rows_path("cell", "a"), store.tensors_path("cell", "a")
    store.save_rows(rows, [row(sample=name)], MADE_BY | {"cell": name})
    assert read_rows(rows)[0]["sample"].to_pylist() == [r"jos\xe9.wav"]
    assert read_rows(rows)[1]["cell"] == name
    store.save_tensors(tensors, {"maps": torch.zeros(3)}, {"ids": [name]})
    assert load_tensors(tensors)[1]["ids"] == [name]
    store.log("skipped", first=name)
    assert json.loads((store.root / "logs" / "study1.jsonl").read_text(encoding="utf-8"))["first"] == name


def test_missing_rows_are_named(store):
    path = store.rows_path("cell", "a")
    with pytest.raises(UserError, match=r"a\.parquet does not exist; run the study with the same options"):
        frame_of([path])


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "inside"])
def test_damaged_rows_are_named(damage, store, capsys):
    good, bad = store.rows_path("cell", "good"), store.rows_path("cell", "bad")
    for path in (good, bad):
        store.save_rows(path, [row(sample=str(number)) for number in range(50)], MADE_BY)
    content = bytearray(bad.read_bytes())
    inside = bytes(byte ^ 0x5A if 4 <= place < 200 else byte for place, byte in enumerate(content))
    bad.write_bytes(
        {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"PAR1" * 30, "inside": inside}[damage]
    )
    assert run_command(lambda _: frame_of([good, bad]), []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: result {bad} is unreadable (")
    assert error.endswith("; delete it and run the study again\n")
    assert error.count("\n") == 1


def test_rows_of_another_schema_are_refused(store):
    path = store.rows_path("cell", "old")
    path.parent.mkdir(parents=True)
    table = pyarrow.Table.from_pylist([row()], schema=ROW_SCHEMA)
    for other in (table.drop_columns(["passes"]), table.append_column("more", [[1]])):
        pyarrow.parquet.write_table(other, path)
        with pytest.raises(UserError, match=r"old\.parquet has other columns"):
            frame_of([path])


def test_a_shard_from_before_standard_errors_is_read(store):
    new, old = store.rows_path("cell", "new"), store.rows_path("cell", "old")
    store.save_rows(new, [row(standard_error=0.125)], MADE_BY)
    table = pyarrow.Table.from_pylist([row()], schema=EARLIER_SCHEMA)
    text = json.dumps({**MADE_BY, "place": old.relative_to(store.root).as_posix()})
    described = {KEY: text.encode(), DIGEST: digest_of_rows(table, text).encode()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(described), old)
    frame = frame_of([old, new])
    assert list(frame.columns) == ROW_SCHEMA.names
    assert math.isnan(frame["standard_error"][0])
    assert frame["standard_error"][1] == 0.125
    assert frame["score"].tolist() == [1 / 3, 1 / 3]


def test_a_folder_named_like_a_column_adds_nothing(tmp_path):
    store = Store(tmp_path / "seed=5", "study1")
    path = store.rows_path("cell", "a")
    store.save_rows(path, [row(seed=0)], MADE_BY)
    frame = frame_of([path])
    assert frame["seed"].tolist() == [0]
    assert list(frame.columns) == ROW_SCHEMA.names


def test_tensors_come_back_exactly(store):
    path = store.tensors_path("cell", "inputs")
    maps = torch.rand((2, 1, 3, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 7])
    metadata = {"ids": ["a", "größer"], "speakers": [None, "x"], "seconds": 0.1}
    store.save_tensors(path, {"maps": maps.transpose(2, 3).requires_grad_(), "labels": labels}, metadata)
    tensors, told = load_tensors(path)
    assert told == metadata
    assert tensors.keys() == {"maps", "labels"}
    assert torch.equal(tensors["maps"], maps.transpose(2, 3))
    assert torch.equal(tensors["labels"], labels)
    assert tensors["labels"].dtype == torch.int64


def test_missing_tensors_are_named(store):
    with pytest.raises(UserError, match=r"inputs\.safetensors does not exist; run the study with"):
        load_tensors(store.tensors_path("cell", "inputs"))


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "without metadata", "foreign metadata"])
def test_damaged_tensors_are_named(damage, store):
    path = store.tensors_path("cell", "inputs")
    store.save_tensors(path, {"maps": torch.zeros(100)}, {})
    content = path.read_bytes()
    if damage == "without metadata":
        save_file({"maps": torch.zeros(100)}, path)
    elif damage == "foreign metadata":
        save_file({"maps": torch.zeros(100)}, path, {"json": "{"})
    else:
        path.write_bytes({"empty": b"", "cut": content[:-10], "garbage": b"x" * 100}[damage])
    with pytest.raises(UserError, match=r"inputs\.safetensors is unreadable .*delete it"):
        load_tensors(path)


def test_a_full_disk_ends_in_one_line_that_names_the_shard(store, monkeypatch, capsys):
    path = store.rows_path("cell", "a")

    def full(_table, place, **_options):
        place.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    assert run_command(lambda _: store.save_rows(path, [row()], MADE_BY), []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: no space is left for {path};")
    assert error.count("\n") == 1
    assert list(path.parent.iterdir()) == []


def test_a_shard_says_what_made_it(store):
    path = store.rows_path("cell", "a")
    store.save_rows(path, [row()], MADE_BY)
    assert read_rows(path)[1] == MADE_BY


@pytest.mark.parametrize("position", [0, 17, 99])
def test_a_flipped_byte_of_a_map_is_noticed(store, position):
    path = store.tensors_path("cell", "inputs")
    store.save_tensors(path, {"maps": torch.arange(100.0)}, {})
    content = bytearray(path.read_bytes())
    content[-4 * (100 - position)] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"inputs\.safetensors is damaged"):
        load_tensors(path)


@pytest.mark.parametrize("kind", ["rows", "tensors"])
def test_a_shard_in_the_place_of_another_is_refused(kind, store, tmp_path):
    path = {"rows": store.rows_path, "tensors": store.tensors_path}[kind]
    one, other = path("cell", "one"), path("cell", "other")
    if kind == "rows":
        store.save_rows(one, [row()], MADE_BY)
    else:
        store.save_tensors(one, {"maps": torch.zeros(3)}, {})
    read = {"rows": read_rows, "tensors": load_tensors}[kind]
    shutil.copyfile(one, other)
    with pytest.raises(UserError, match=rf"{other.name} was written as .*/cell/{one.name}; delete it"):
        read(other)
    shutil.copytree(store.root, tmp_path / "elsewhere")
    assert read(tmp_path / "elsewhere" / one.relative_to(store.root))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.set_column(21, "score", [[0.5]]),
        lambda table: table.set_column(7, "sample", [["another"]]),
        lambda table: table.set_column(6, "group", pyarrow.array([None], pyarrow.string())),
        lambda table: table.slice(0, 0),
        lambda table: table.replace_schema_metadata({KEY: b"{}", DIGEST: table.schema.metadata[DIGEST]}),
        lambda table: table.replace_schema_metadata({KEY: table.schema.metadata[KEY]}),
    ],
)
def test_rows_that_were_edited_are_noticed(change, store):
    """Also where the file is sound, as after an edit by another program."""
    path = store.rows_path("cell", "a")
    store.save_rows(path, [row()], MADE_BY)
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)
    with pytest.raises(UserError, match=r"a\.parquet is damaged"):
        read_rows(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "broken link"])
def test_what_is_no_file_is_refused_at_once(kind, store):
    for path, read in ((store.rows_path("cell", "a"), read_rows), (store.tensors_path("cell", "a"), load_tensors)):
        path.parent.mkdir(parents=True)
        {
            "folder": path.mkdir,
            "pipe": lambda place=path: os.mkfifo(place),
            "device": lambda place=path: place.symlink_to("/dev/zero"),
            "broken link": lambda place=path: place.symlink_to("nowhere"),
        }[kind]()
        with pytest.raises(UserError, match=rf"{path.name} is unreadable"):
            read(path)


def test_metadata_of_tensors_that_were_edited_are_noticed(store):
    path = store.tensors_path("cell", "inputs")
    store.save_tensors(path, {"maps": torch.zeros(3)}, {"ids": ["a", "b"]})
    for before, after in ((b'\\"a\\"', b'\\"c\\"'), (b"ids", b"sdi")):
        store.save_tensors(path, {"maps": torch.zeros(3)}, {"ids": ["a", "b"]})
        content = path.read_bytes()
        assert before in content
        path.write_bytes(content.replace(before, after, 1))
        with pytest.raises(UserError, match=r"inputs\.safetensors is damaged"):
            load_tensors(path)


def test_the_digest_tells_name_type_shape_and_values_apart():
    values = torch.arange(6.0)
    others = [{"b": values}, {"a": values.double()}, {"a": values.reshape(2, 3)}, {"a": values + 1}, {}]
    digests = {digest_of({"a": values}), *map(digest_of, others)}
    assert len(digests) == 6
    assert digest_of({"a": values, "b": values}) == digest_of({"b": values, "a": values.clone()})
    for special in (torch.zeros(0), torch.tensor(3), torch.view_as_complex(torch.rand(3, 2)), torch.ones(2).bool()):
        assert len(digest_of({"a": special})) == 32


def test_lines_of_several_processes_do_not_mix_in_the_log(store):
    long = "ü" * 20_000
    program = (
        "import sys; from pathlib import Path; from audioxai.results import Store\n"
        f"for line in range(40): Store(Path(sys.argv[1]), 'study1').log('explained', line=line, text={long!r})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(store.root)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = (store.root / "logs" / "study1.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["line"] for line in lines) == sorted([*range(40)] * 3)


def test_the_log_is_one_json_object_a_line(store):
    store.log("explained", method="größer\nzwei", seconds=0.5)
    store.log("odd", place=store.root)
    lines = (store.root / "logs" / "study1.jsonl").read_text(encoding="utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert first["event"] == "explained"
    assert first["method"] == "größer\nzwei"
    assert first["seconds"] == 0.5
    assert first["time"].endswith("Z")
    assert second["place"] == str(store.root)


def test_names_that_are_not_utf8_end_no_study(store):
    """An old archive's names: rows have them written out, JSON as it reads them back."""
    odd = "jos\udce9"
    place = store.rows_path("a")
    store.save_rows(place, [row(group=odd, sample=f"recordings/{odd}.wav")], {"first": odd})
    rows, described = read_rows(place)
    assert rows.column("group").to_pylist() == ["jos\\xe9"]
    assert rows.column("sample").to_pylist() == ["recordings/jos\\xe9.wav"]
    assert described == {"first": odd}
    store.save_tensors(store.tensors_path("a"), {"x": torch.ones(2)}, {"skipped": [odd]})
    tensors, metadata = store.load_tensors(store.tensors_path("a"))
    assert torch.equal(tensors["x"], torch.ones(2))
    assert metadata == {"skipped": [odd]}
    store.log("skipped", first=odd)
    line = (store.root / "logs" / "study1.jsonl").read_text(encoding="utf-8")
    assert json.loads(line)["first"] == odd
