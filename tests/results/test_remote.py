"""Results in an object store: what is published is whole, what is missing is fetched, rows are those of a folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.ports import free_port
from helpers.tiny_studies import options_in, sorted_rows, study_of

from audioxai.experiment import Plan, results_of, run
from audioxai.results import Remote
from audioxai.results import remote as remote_module
from audioxai.utils.errors import UserError

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Address of a bucket on a server of this machine that speaks S3."""
    port = free_port()
    server = moto_server.ThreadedMotoServer("127.0.0.1", port)
    server.start()
    set_before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    import fsspec

    fsspec.filesystem("s3", use_listings_cache=False).mkdir("bucket")
    yield "s3://bucket"
    os.environ.clear()
    os.environ.update(set_before)
    server.stop()


@pytest.fixture(autouse=True)
def no_listing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "LISTING_AGE_S", 0.0)


def test_files_come_back_as_they_went(bucket: str, tmp_path: Path) -> None:
    here, there = (Remote.of(f"{bucket}/files/", tmp_path / name) for name in ("here", "there"))
    assert here.url == f"{bucket}/files"
    content = {"a/b.bin": os.urandom(10_000), "c.txt": b"", "é ü.json": b"{}"}
    for name, one in content.items():
        (here.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (here.folder / name).write_bytes(one)
    (here.folder / "half.training").write_bytes(b"x")
    (here.folder / ".half.host.1.partial").write_bytes(b"x")
    here.publish_all(here.folder)
    assert there.names() == set(content)
    there.fetch_all()
    assert {
        path.relative_to(there.folder).as_posix(): path.read_bytes() for path in there.folder.rglob("*.*")
    } == content
    there.fetch(there.folder / "absent")
    assert not (there.folder / "absent").exists()
    assert not there.holds(there.folder / "absent")


def test_a_study_in_a_bucket_goes_on_elsewhere_and_has_the_rows_of_a_folder(
    bucket: str, sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(sounds_folder)
    plain = Plan(study, options_in(tmp_path / "plain", threads=1))
    run(plain)

    def elsewhere(name: str) -> Plan:
        remotes = tuple(Remote.of(f"{bucket}/{what}", tmp_path / name) for what in ("results", "checkpoints"))
        results, checkpoints = (one.folder for one in remotes)
        return Plan(study, replace(plain.options, results=results, checkpoints=checkpoints, remotes=remotes))

    first = elsewhere("first")
    run(first, "train", "explain")
    second = elsewhere("second")
    from audioxai.experiment import runner

    monkeypatch.setattr(runner._Work, "explain", lambda *_: pytest.fail("explained again"))
    run(second, "score")
    third = elsewhere("third")
    monkeypatch.setattr(runner._Work, "score", lambda *_: pytest.fail("scored again"))
    run(third)
    expected = sorted_rows(results_of(plain).rows)
    pd.testing.assert_frame_equal(sorted_rows(results_of(third).rows), expected, check_exact=True)
    assert not [name for name in third.options.remotes[0].names() if "partial" in name]


UPLOAD = """
import sys
from pathlib import Path
from audioxai.results import Remote
remote = Remote.of(sys.argv[1], Path(sys.argv[2]))
print("begins", flush=True)
remote.publish(remote.folder / "large.bin")
"""


def test_an_upload_that_is_killed_is_never_seen(bucket: str, tmp_path: Path) -> None:
    remote = Remote.of(f"{bucket}/killed", tmp_path)
    remote.folder.mkdir(parents=True)
    size = 120_000_000
    (remote.folder / "large.bin").write_bytes(bytes(size))
    command = [sys.executable, "-c", UPLOAD, remote.url, str(tmp_path)]
    for wait_s in (0.05, 0.4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        elsewhere = Remote.of(remote.url, tmp_path / f"elsewhere{wait_s}")
        sizes: dict[str, Any] = elsewhere._sizes()
        assert sizes in ({}, {"large.bin": size})
        elsewhere.fetch_all()
        assert [path.stat().st_size for path in elsewhere.folder.rglob("*.bin")] == [*sizes.values()]


def test_a_download_that_breaks_off_leaves_no_file(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote.of(f"{bucket}/broken", tmp_path / "a")
    remote.folder.mkdir(parents=True)
    (remote.folder / "x.bin").write_bytes(b"12345")
    remote.publish(remote.folder / "x.bin")
    other = Remote.of(remote.url, tmp_path / "b")

    class Breaking:
        def get_file(self, _: str, place: str) -> None:
            Path(place).write_bytes(b"12")
            raise ConnectionResetError("gone")

    monkeypatch.setattr(Remote, "files", lambda _: Breaking())
    with pytest.raises(ConnectionResetError):
        other.fetch(other.folder / "x.bin")
    assert not [path for path in other.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "s3://key:secret@bucket/x", "https://host/x"])
def test_addresses_that_cannot_be_are_refused_without_their_secrets(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        Remote.of(url, tmp_path)
    assert "secret" not in str(refused.value)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UserError, match="s3fs"):
        Remote.of("s3://bucket/x", tmp_path)
