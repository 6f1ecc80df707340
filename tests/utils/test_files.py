"""Files are replaced whole or not at all."""

import errno
import json
import os
import platform
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from audioxai.utils.files import digest_of_json, plain, replacing, write_bytes, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_body_that_succeeds_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with replacing(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert names(path.parent) == ["file.txt"]


def write_and_raise(path, error):
    with replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError("no number"), SafetensorError("no")])
def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(error)) as caught:
        write_and_raise(path, error)
    assert caught.value is error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_body_that_fails_leaves_no_new_file(tmp_path):
    with pytest.raises(ValueError, match="no"):
        write_and_raise(tmp_path / "file.txt", ValueError("no"))
    assert names(tmp_path) == []


def test_a_body_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_the_temporary_name_is_hidden_and_of_no_known_kind(tmp_path):
    """So that no pattern for results ever finds one that a killed process left."""
    with replacing(tmp_path / "rows.parquet") as temporary:
        temporary.write_text("")
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".partial"
        assert not list(tmp_path.glob("*.parquet"))


def test_the_same_content_is_not_written_again(tmp_path):
    path = tmp_path / "a.txt"
    for content, changes in ((b"one", True), (b"one", False), (b"two", True), (b"longer", True), (b"longer", False)):
        before = path.stat().st_ino if path.exists() else None
        keeper = path.open("rb") if path.exists() else None  # so that the number of the file is not used again
        assert write_bytes(path, content).read_bytes() == content
        assert (path.stat().st_ino != before) == changes
        if keeper is not None:
            keeper.close()


def test_the_digest_of_json_is_that_of_what_is_read():
    content = {"b": (1, 2.5), 3: None, "a": "ü\udce9"}
    assert digest_of_json(content) == digest_of_json(json.loads(json.dumps(content)))
    assert digest_of_json(content) == digest_of_json(dict(reversed(list(content.items()))))
    assert digest_of_json(content) != digest_of_json(content | {"a": "u"})


def test_a_full_disk_names_the_file(tmp_path):
    """As pyarrow and Python raise it: with a number but without a name, or with that of the temporary file."""
    path = tmp_path / "rows.parquet"
    for name in (None, "temporary"):
        with pytest.raises(OSError, match="No space left") as caught, replacing(path) as temporary:
            raise OSError(errno.ENOSPC, "Error writing bytes to file", str(temporary) if name else None)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(path)


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "copy.txt") as temporary:
        temporary.write_text((tmp_path / "missing.txt").read_text())
    assert caught.value.filename == str(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, OSError), (errno.EACCES, PermissionError), (errno.EDQUOT, OSError)]
)
def test_an_error_inside_safetensors_becomes_the_systems_own(number, kind, tmp_path):
    path = tmp_path / "file.safetensors"
    message = f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})"
    with pytest.raises(kind) as caught, replacing(path):
        raise SafetensorError(message)
    assert caught.value.errno == number
    assert caught.value.filename == str(path)


def test_safetensors_still_words_its_errors_as_we_read_them(tmp_path):
    """A real one: the folder of the temporary file is gone when it is written."""
    path = tmp_path / "folder" / "file.safetensors"

    def write():
        with replacing(path) as temporary:
            temporary.parent.rmdir()
            save_file({"a": torch.zeros(3)}, temporary)

    with pytest.raises(FileNotFoundError) as caught:
        write()
    assert isinstance(caught.value.__cause__, SafetensorError)
    assert caught.value.filename == str(path)


def test_text_and_json(tmp_path):
    write_text(tmp_path / "a.txt", "größer\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer\n".encode()
    write_json(tmp_path / "a.json", {"b": 1, "a": ["größer"]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"b": 1, "a": ["größer"]}
    assert text.index('"b"') < text.index('"a"')
    assert "größer" in text
    assert text.endswith("}\n")


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert path.read_text() == "1\n"
    assert names(tmp_path) == ["a.json"]


def ended_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_killed_processes_were_writing_goes(tmp_path):
    """Of this machine and of processes that are gone only."""
    mine, node = tmp_path / "a.txt", platform.node()
    gone = tmp_path / f".rows.parquet.{node}.{ended_process()}.partial"
    others = [
        tmp_path / f".rows.parquet.{node}.{os.getpid()}.partial",
        tmp_path / f".rows.parquet.{node}.1.partial",
        tmp_path / f".rows.parquet.elsewhere.{ended_process()}.partial",
        tmp_path / f"rows.{ended_process()}.partial",
        tmp_path / f".rows.parquet.{node}.{ended_process()}.partial.kept",
    ]
    for path in (gone, *others):
        path.touch()
    write_text(mine, "x")
    assert sorted(names(tmp_path)) == sorted(path.name for path in (mine, *others))


def test_names_of_any_length_that_the_disk_takes(tmp_path):
    for name in ("a" * 250, "音" * 80):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
    with pytest.raises(OSError, match="too long") as caught:
        write_text(tmp_path / ("a" * 256), "x")
    assert caught.value.filename == str(tmp_path / ("a" * 256))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("é音", "é音"), ("jos\udce9", "jos\\xe9"), ("\udcff\udcfe_é", "\\xff\\xfe_é")],
)
def test_names_that_are_not_utf8_are_written_out(tmp_path, text, expected):
    assert plain(text) == expected
    assert plain(expected) == expected


def test_half_a_pair_is_text_too():
    plain("a\ud800b").encode()


def test_a_path_that_is_not_utf8_is_written_and_does_not_end_the_work(tmp_path):
    write_json(tmp_path / "a.json", {"path": "jos\udce9"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"path": "jos\udce9"}
