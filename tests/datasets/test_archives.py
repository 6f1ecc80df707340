"""Nothing lands outside its folder, and nothing half-written is ever in place."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import warnings
import zipfile
from collections import namedtuple
from collections.abc import Callable

import pytest

from audioxai.datasets import archives
from audioxai.datasets.archives import DamagedArchive, put_in_place, require_vacant, staging, unpack
from audioxai.utils.errors import UserError

OUTSIDE = ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil", "\\evil"]


def make_zip(file, members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


def make_tar(file, members, mode="w:gz"):
    with tarfile.open(file, mode) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


def add_link(file, name, target, kind):
    with tarfile.open(file, "w") as archive:
        content = tarfile.TarInfo("top/real")
        content.size = 4
        archive.addfile(content, io.BytesIO(b"real"))
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, target
        archive.addfile(link)
    return file


@pytest.fixture
def inside(tmp_path):
    folder = tmp_path / "deep" / "inside"
    folder.mkdir(parents=True)
    return folder


MEMBERS = [("top/a", b"first"), ("top/sub/b", b"second" * 1000)]


@pytest.mark.parametrize("make", [make_zip, make_tar, lambda file, members: make_tar(file, members, "w")])
def test_members_are_unpacked(tmp_path, inside, make):
    unpack(make(tmp_path / "archive", MEMBERS), inside)
    assert (inside / "top" / "a").read_bytes() == b"first"
    assert (inside / "top" / "sub" / "b").read_bytes() == b"second" * 1000


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", OUTSIDE)
def test_members_outside_are_refused_and_nothing_is_left(tmp_path, inside, make, name):
    archive = make(tmp_path / "archive", [*MEMBERS, (name, b"evil")])
    with pytest.raises(UserError, match=r"evil.*outside"):
        unpack(archive, inside)
    assert list(inside.iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd"])
def test_links_to_the_outside_are_refused(tmp_path, inside, kind, target):
    with pytest.raises(UserError, match=r"top/link.*outside"):
        unpack(add_link(tmp_path / "archive", "top/link", target, kind), inside)
    assert list(inside.iterdir()) == []


@pytest.mark.parametrize(("kind", "target"), [(tarfile.SYMTYPE, "real"), (tarfile.LNKTYPE, "top/real")])
def test_links_inside_become_copies(tmp_path, inside, kind, target):
    unpack(add_link(tmp_path / "archive", "top/link", target, kind), inside)
    assert (inside / "top" / "link").read_bytes() == b"real"
    assert not (inside / "top" / "link").is_symlink()


@pytest.mark.parametrize(("target", "fine"), [("a", True), ("../../secret", False), ("/etc/passwd", False)])
def test_links_in_a_zip(tmp_path, inside, target, fine):
    link = zipfile.ZipInfo("top/link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "archive", [*MEMBERS, (link, target)])
    if fine:
        unpack(archive, inside)
        assert (inside / "top" / "link").read_bytes() == b"first"
        return
    with pytest.raises(UserError, match=r"top/link.*outside"):
        unpack(archive, inside)
    assert list(inside.iterdir()) == []


def test_a_link_cannot_be_written_through(tmp_path, inside):
    archive = add_link(tmp_path / "archive", "top/link", "../top", tarfile.SYMTYPE)
    with pytest.raises(UserError, match="link"):
        unpack(archive, inside)


def test_devices_are_refused(tmp_path, inside):
    with pytest.raises(UserError, match="device"):
        unpack(add_link(tmp_path / "archive", "top/null", "", tarfile.CHRTYPE), inside)


@pytest.mark.parametrize("damage", ["flip", "cut", "other"])
def test_damage_is_one_sentence(tmp_path, inside, damage):
    archive = make_zip(tmp_path / "archive", [("a", bytes(range(256)) * 50)])
    content = bytearray(archive.read_bytes())
    if damage == "flip":
        content[60] ^= 0xFF
    archive.write_bytes({"flip": bytes(content), "cut": bytes(content[:-30]), "other": b"no archive"}[damage])
    with pytest.raises(DamagedArchive, match="archive is"):
        unpack(archive, inside)


def test_a_cut_tar_is_damaged(tmp_path, inside):
    archive = make_tar(tmp_path / "archive", [("a", bytes(range(256)) * 500), ("b", b"x" * 5000)])
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DamagedArchive):
        unpack(archive, inside)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("damage", ["header", "zeroed", "cut at a member", "checksum"])
def test_a_damaged_tar_is_not_taken_for_a_complete_one(tmp_path, inside, mode, damage):
    compress: dict[str, Callable[[bytes], bytes]] = {
        "w": bytes,
        "w:gz": gzip.compress,
        "w:xz": lzma.compress,
        "w:bz2": bz2.compress,
    }
    members = [(f"top/{number}", bytes([number]) * 700) for number in range(20)]
    archive = make_tar(tmp_path / "archive", members, "w")
    content = bytearray(archive.read_bytes())
    with tarfile.open(archive) as opened:
        offset = opened.getmembers()[10].offset
    if damage == "header":
        content[offset + 5] ^= 1
    elif damage == "zeroed":
        content[offset : offset + 512] = bytes(512)
    elif damage == "cut at a member":
        del content[offset:]
    packed = bytearray(compress[mode](bytes(content)))
    if damage == "checksum":
        if mode == "w":
            pytest.skip("a plain tar has no checksum of its content")
        packed[-6] ^= 0xFF
    archive.write_bytes(packed)
    with pytest.raises(DamagedArchive, match="archive is"):
        unpack(archive, inside)
    assert list(inside.iterdir()) == []


def test_room_for_the_unpacked_files_is_checked_first(tmp_path, inside, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10_000, 4_000, 6_004))
    archive = make_zip(tmp_path / "archive", MEMBERS)
    with pytest.raises(UserError, match="GB free"):
        unpack(archive, inside)
    assert list(inside.iterdir()) == []


def test_staging_leaves_nothing_behind(tmp_path):
    target = tmp_path / "data" / "set"

    def interrupted():
        with staging(target) as work:
            (work / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "data").iterdir()) == []


def test_what_killed_runs_left_is_removed_but_not_what_live_ones_use(tmp_path, monkeypatch):
    target = tmp_path / "set"
    prefix = archives._staging_prefix(target)
    (tmp_path / f"{prefix}123").mkdir()
    (tmp_path / f"{prefix}456").mkdir()
    (tmp_path / f"{prefix}123" / "half").touch()
    monkeypatch.setattr(archives, "runs", lambda process: process == 456)
    with staging(target):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{prefix}456"]


def test_the_placeholder_is_kept_and_the_users_files_are_not_overwritten(tmp_path):
    target = tmp_path / "set"
    target.mkdir()
    (target / ".gitkeep").touch()
    with staging(target) as work:
        (work / "new").mkdir()
        (work / "new" / "file").write_text("new")
        put_in_place(work / "new", target)
    assert sorted(entry.name for entry in target.iterdir()) == [".gitkeep", "file"]
    with pytest.raises(UserError, match="file"):
        require_vacant(target)
    assert (target / "file").read_text() == "new"


def make_link_zip(file, links):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("top/real", b"real")
        for name, target in links:
            link = zipfile.ZipInfo(name)
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
    return file


def make_link_tar(file, links):
    with tarfile.open(file, "w") as archive:
        for name, target in [("top/real", None), *links]:
            entry = tarfile.TarInfo(name)
            if target is None:
                entry.size = 4
            else:
                entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry, io.BytesIO(b"real") if target is None else None)
    return file


def refused(archive, folder, match, kind=UserError):
    with pytest.raises(kind, match=match) as raised:
        unpack(archive, folder)
    assert len(str(raised.value)) < 1_000
    assert not list(folder.rglob("*evil*"))


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    ("name", "match"),
    [
        pytest.param("top/" + "a" * 300, "no name here", id="300 bytes"),
        pytest.param("top/" + "音" * 100, "no name here", id="300 bytes of 100 characters"),
        pytest.param("/".join(["d" * 100] * 50), "no name here", id="a path of 5,000"),
        pytest.param("/".join(["d"] * 2_000), "folders deep", id="2,000 folders"),
    ],
)
def test_names_that_cannot_be_had_are_refused(tmp_path, inside, make, name, match):
    refused(make(tmp_path / "archive", [*MEMBERS, (name, b"x")]), inside, match)


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("again", ["top/a", "top/./a", "top//a", "top/x/../a"])
def test_a_name_that_comes_twice_is_refused(tmp_path, inside, make, again):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = make(tmp_path / "archive", [*MEMBERS, (again, b"another")])
    refused(archive, inside, "twice")


@pytest.mark.parametrize("make", [make_link_zip, make_link_tar])
@pytest.mark.parametrize("links", [[("top/a", "b"), ("top/b", "a")], [("top/a", "a")], [("top/a", "nothing")]])
def test_links_in_a_loop_lead_to_no_file(tmp_path, inside, make, links):
    refused(make(tmp_path / "archive", links), inside, "link to no file")


@pytest.mark.parametrize("make", [make_link_zip, make_link_tar])
def test_links_in_a_row_become_copies_of_the_last(tmp_path, inside, make):
    unpack(make(tmp_path / "archive", [("top/a", "b"), ("top/b", "real")]), inside)
    assert (inside / "top" / "a").read_bytes() == (inside / "top" / "b").read_bytes() == b"real"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("named", [True, False])
def test_bombs_are_refused_before_they_go_off(tmp_path, inside, monkeypatch, compress, named):
    """A member, or what follows the end, of zeros; reading them all would take minutes."""
    monkeypatch.setattr(archives, "_UNSUSPICIOUS_BYTES", 10_000_000)
    entry = tarfile.TarInfo("top/big")
    entry.size = 1 << 36
    start = make_tar(tmp_path / "start", MEMBERS, "w").read_bytes()
    start = start[:-10_240] + entry.tobuf() if named else start
    (tmp_path / "archive").write_bytes(compress(start) + compress(bytes(1 << 24)) * 30)
    refused(tmp_path / "archive", inside, "would unpack to" if named else "does not end")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_would_fill_the_memory_are_damage(tmp_path, inside, kind):
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = kind, 1 << 32
    (tmp_path / "archive").write_bytes(entry.tobuf() + bytes(1_024))
    refused(tmp_path / "archive", inside, "header of", DamagedArchive)


def test_a_zip_that_lies_about_sizes_is_damage(tmp_path, inside):
    archive = make_zip(tmp_path / "archive", MEMBERS)
    good = archive.read_bytes()
    entry = good.find(b"PK\x01\x02")
    for size in (1, 10_000):
        archive.write_bytes(good[: entry + 24] + size.to_bytes(4, "little") + good[entry + 28 :])
        refused(archive, inside, "damaged", DamagedArchive)
        shutil.rmtree(inside)
        inside.mkdir()


def test_a_zip_entry_that_swallows_the_next_is_damage(tmp_path, inside):
    """The comment of the first entry is as long as the entry after it, which no reader then sees."""
    archive = make_zip(tmp_path / "archive", [*MEMBERS, ("top/c", b"third")])
    good = bytearray(archive.read_bytes())
    entries = [place for place in range(len(good)) if good.startswith(b"PK\x01\x02", place)]
    good[entries[0] + 32] = entries[1] - entries[0] + len("sub/")
    archive.write_bytes(good)
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.infolist()) == 2
    refused(archive, inside, "2 of 3 members", DamagedArchive)


@pytest.mark.parametrize("odd", [b"top/\0", b"top/\xe9"])
def test_zip_names_that_are_none_are_damage(tmp_path, inside, odd):
    archive = make_zip(tmp_path / "archive", [("top/a", b"first"), ("top/é", b"x")])
    name = "top/é".encode()
    archive.write_bytes(archive.read_bytes().replace(name, odd.ljust(len(name), b"a")))
    refused(archive, inside, "damaged", DamagedArchive)


@pytest.mark.parametrize("size", [-1, -(1 << 40)])
def test_a_negative_size_is_damage(tmp_path, inside, size):
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as opened:
        entry = tarfile.TarInfo("top/a")
        entry.pax_headers = {"size": f"{size}"}
        opened.addfile(entry)
    refused(archive, inside, "damaged", DamagedArchive)


def test_names_that_are_no_utf8_keep_their_bytes(tmp_path, inside):
    unpack(make_tar(tmp_path / "archive", [(os.fsdecode(b"top/jos\xe9"), b"x")]), inside)
    assert os.listdir(os.fsencode(inside / "top")) == [b"jos\xe9"]
