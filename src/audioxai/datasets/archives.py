"""Unpacking zip and tar archives, and putting a complete folder in its place with one rename."""

import gzip
import lzma
import os
import posixpath
import shutil
import socket
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from audioxai.datasets.download import check_free_space
from audioxai.utils.commands import storage_errors
from audioxai.utils.errors import UserError
from audioxai.utils.progress import track

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    KeyError,
    NotImplementedError,
    # A member that is a file in one place of the archive and a folder in another.
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
_ENCRYPTED = 0x1
# A tar archive ends with two blocks of zeros.
_END_BYTES = 2 * tarfile.BLOCKSIZE
_BLOCKS_BYTES = 1 << 20
# What may lie in a folder that a dataset is put into; it is kept.
_PLACEHOLDER = ".gitkeep"


class DamagedArchive(UserError):  # noqa: N818
    """The archive cannot be read to its end; fetching it again may help."""


@dataclass(frozen=True)
class _Member:
    """A file, folder or link in an archive; ``link`` is the path it points to, from the archive's top."""

    name: str
    is_folder: bool
    link: str | None
    size_bytes: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into the existing, empty ``folder``; links become copies of what they point to.

    Every member is looked at before the first is written.

    Raises
    ------
    UserError
        If the archive is damaged, of another kind, encrypted, too large for the disk, or a member would land or
        point outside ``folder``.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _unpack_members(archive, _zip_members(archive, zipped), folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tarred:
                members = _tar_members(archive, tarred)
                _require_end(archive, tarred)
                _unpack_members(archive, members, folder)
        else:
            raise DamagedArchive(f"{archive} is not a zip or tar archive; give one or a folder")
    except _DAMAGE as error:
        raise DamagedArchive(f"{archive} is damaged ({error}); delete it and fetch it again") from error


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """An empty folder next to ``target``, gone afterwards; what earlier, killed runs on this machine left goes too."""
    with storage_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        folder = target.parent / f"{_staging_prefix(target)}{os.getpid()}"
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def require_vacant(target: Path) -> None:
    """Check that nothing of the user's would be overwritten at ``target``.

    Raises
    ------
    UserError
        If something other than an empty folder is there.
    """
    if target.is_dir():
        occupants = sorted(entry.name for entry in target.iterdir() if entry.name != _PLACEHOLDER)
        if occupants:
            raise UserError(
                f"{target} is not the complete dataset but is not empty either ({occupants[0]}); "
                "complete it or move it away"
            )
    elif target.exists() or target.is_symlink():
        raise UserError(f"{target} is in the way; move it away")


def put_in_place(complete: Path, target: Path) -> None:
    """Rename the folder ``complete`` (in a :func:`staging` folder) to ``target``.

    Raises
    ------
    UserError
        If something other than an empty folder is at ``target``.
    """
    require_vacant(target)
    with storage_errors(target):
        if (target / _PLACEHOLDER).exists():
            (complete / _PLACEHOLDER).touch()
            (target / _PLACEHOLDER).unlink()
        os.replace(complete, target)


def _staging_prefix(target: Path) -> str:
    return f".{target.name}.unfinished-{socket.gethostname()}-"


def _remove_abandoned(target: Path) -> None:
    prefix = _staging_prefix(target)
    for entry in target.parent.iterdir():
        owner = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and owner.isdecimal() and not _still_runs(int(owner)):
            shutil.rmtree(entry)


def _still_runs(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> list[_Member]:
    members = []
    for entry in zipped.infolist():
        if entry.flag_bits & _ENCRYPTED:
            raise UserError(f"{archive} is encrypted; unpack it and give the folder")
        link = None
        if stat.S_ISLNK(entry.external_attr >> 16):
            link = posixpath.join(posixpath.dirname(entry.filename), os.fsdecode(zipped.read(entry)))
        opened = entry.filename if link is None else posixpath.normpath(link)
        members.append(_Member(entry.filename, entry.is_dir(), link, entry.file_size, _zip_opener(zipped, opened)))
    return members


def _zip_opener(zipped: zipfile.ZipFile, name: str) -> Callable[[], IO[bytes]]:
    return lambda: zipped.open(name)


def _tar_members(archive: Path, tarred: tarfile.TarFile) -> list[_Member]:
    members = []
    for entry in tarred.getmembers():
        if not (entry.isfile() or entry.isdir() or entry.islnk() or entry.issym()):
            raise UserError(f"{archive} holds {entry.name!r}, a device or pipe; it is not unpacked")
        link = entry.linkname if entry.islnk() else None
        if entry.issym():
            link = posixpath.join(posixpath.dirname(entry.name), entry.linkname)
        members.append(_Member(entry.name, entry.isdir(), link, entry.size, _tar_opener(tarred, entry)))
    return members


def _require_end(archive: Path, tarred: tarfile.TarFile) -> None:
    """Check that the archive ends where its members do, in blocks of zeros: readers stop at the first damaged header.

    Reading to the end has a compressed archive's checksum compared, too.
    """
    stream = tarred.fileobj
    assert stream is not None
    members = tarred.getmembers()
    stream.seek(members[-1].offset_data + _whole_blocks(members[-1]) if members else 0)
    zeros = 0
    try:
        while block := stream.read(_BLOCKS_BYTES):
            if block.strip(b"\0"):
                raise DamagedArchive(f"{archive} is damaged (a member's header is); delete it and fetch it again")
            zeros += len(block)
    except OSError as error:
        # What decompressors say of damaged content has no number of the system's.
        if error.errno is not None:
            raise
        raise DamagedArchive(f"{archive} is damaged ({error}); delete it and fetch it again") from error
    if zeros < _END_BYTES:
        raise DamagedArchive(f"{archive} is cut off after {len(members)} members; delete it and fetch it again")


def _whole_blocks(member: tarfile.TarInfo) -> int:
    size = member.size if member.isreg() else 0
    return size + -size % tarfile.BLOCKSIZE


def _tar_opener(tarred: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tarred.extractfile(entry)


def _unpack_members(archive: Path, members: list[_Member], folder: Path) -> None:
    for member in members:
        _require_inside(archive, member)
    with storage_errors(folder):
        check_free_space(folder, sum(member.size_bytes for member in members))
        for member in track(members, len(members), "unpacking", "file"):
            _write_member(archive, member, folder)


def _require_inside(archive: Path, member: _Member) -> None:
    for path in (member.name, member.link):
        if path is None:
            continue
        unified = path.replace("\\", "/")
        has_drive = unified[1:2] == ":"
        if unified.startswith("/") or has_drive or posixpath.normpath(unified).split("/")[0] == "..":
            raise UserError(
                f"{archive} holds {member.name!r}, which leads outside its folder; "
                "nothing was unpacked, take the archive from another place"
            )


def _write_member(archive: Path, member: _Member, folder: Path) -> None:
    place = folder / member.name
    if member.is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return
    content = member.open()
    if content is None:
        raise UserError(f"{archive} holds {member.name!r}, a link to no file; unpack it and give the folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with content, place.open("wb") as file:
        shutil.copyfileobj(content, file)
