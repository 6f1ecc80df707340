"""Unpacking zip and tar archives, and putting a complete folder in its place with one rename."""

import bz2
import errno
import gzip
import lzma
import os
import posixpath
import shutil
import socket
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from audioxai.datasets.download import check_free_space
from audioxai.utils.commands import storage_errors
from audioxai.utils.errors import UserError
from audioxai.utils.files import runs
from audioxai.utils.progress import track

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    # Names that are none, sizes below zero or beyond all numbers, windows beyond all memory.
    ValueError,
    OverflowError,
    MemoryError,
    # A member that is a file in one place of the archive and a folder in another.
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
_NO_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_ENCRYPTED = 0x1
# The end record of a zip, the comment that it may have, and what says that the number is elsewhere.
_END_RECORD_BYTES = 22
_LONGEST_COMMENT_BYTES = 1 << 16
_MANY = 0xFFFF
_DEEPEST = 100
_LONGEST_SHOWN = 200
_LONGEST_LINK_BYTES = 4_096
_MOST_LINKS_IN_A_ROW = 40
# Recordings shrink to a tenth; what grows more than so much, beyond so many bytes, is made to fill the disk.
_LARGEST_GROWTH = 200
_UNSUSPICIOUS_BYTES = 1 << 30
_MOST_MEMBERS = 2_000_000
# A tar archive ends with two blocks of zeros, and is padded to a record.
_END_BYTES = 2 * tarfile.BLOCKSIZE
_MOST_PADDING_BYTES = 1 << 24
_BLOCKS_BYTES = 1 << 20
# Extended headers are kept in memory, and are some kilobytes.
_LARGEST_READ_BYTES = 1 << 24
_DECOMPRESSORS: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"]\0\0": lzma.open,
}
_GIVE_FOLDER = "unpack it in another way and give the folder"
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
    open: Callable[[], IO[bytes]]

    @property
    def shown(self) -> str:
        """The name for messages."""
        return _shown(self.name)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into the existing, empty ``folder``; links become copies of what they point to.

    Every member is looked at before the first is written.

    Raises
    ------
    UserError
        If the archive is damaged, of another kind, encrypted, too large for the disk or for what it is made of, holds a
        name twice or one that cannot be used, or a member would land or point outside ``folder``.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _unpack_members(archive, _listed(archive, _zip_members(archive, zipped)), folder)
        else:
            with _decompressed(archive) as stream, _opened_tar(archive, stream) as tarred:
                members = _listed(archive, _tar_members(archive, tarred))
                _require_end(archive, stream, tarred)
                _unpack_members(archive, members, folder)
    except UserError:
        raise
    except _DAMAGE as error:
        raise DamagedArchive(_damaged(archive, error)) from error
    except OSError as error:
        # What decompressors say of damaged content has no number of the system's; places before the start are invalid.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise DamagedArchive(_damaged(archive, error)) from error


def _damaged(archive: Path, why: object) -> str:
    reason = f"{why}"[:_LONGEST_SHOWN] or "it cannot be decompressed"
    return f"{archive} is damaged ({reason}); delete it and fetch it again"


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…")


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
        if entry.name.startswith(prefix) and owner.isdecimal() and (int(owner) == os.getpid() or not runs(int(owner))):
            shutil.rmtree(entry)


class _Bounded:
    """A stream that gives no more at once than a reader has reason to ask for."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self._archive, self._stream = archive, stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ_BYTES:
            raise DamagedArchive(_damaged(self._archive, f"a header of {size:,} bytes"))
        return self._stream.read(size)


def _listed(archive: Path, members: Iterable[_Member]) -> list[_Member]:
    """The members, each looked at before the next one is read.

    Raises
    ------
    UserError
        If a member must not be unpacked, or they are too many or too large together.
    """
    most_bytes = max(_UNSUSPICIOUS_BYTES, _LARGEST_GROWTH * archive.stat().st_size)
    listed: list[_Member] = []
    total_bytes = 0
    for member in members:
        _require_inside(archive, member)
        _require_name(archive, member)
        total_bytes += max(0, member.size_bytes)
        if total_bytes > most_bytes or len(listed) == _MOST_MEMBERS:
            raise UserError(
                f"{archive} would unpack to {total_bytes / 1e9:.1f} GB or more in {len(listed) + 1:,} members, which "
                "recordings never do; take it from another place"
            )
        listed.append(member)
    return listed


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    _require_announced(archive, len(zipped.infolist()))
    for entry in zipped.infolist():
        if "\0" in entry.orig_filename:
            raise DamagedArchive(_damaged(archive, f"a name is {_shown(entry.orig_filename)}"))
        if entry.flag_bits & _ENCRYPTED:
            raise UserError(f"{archive} is encrypted; unpack it and give the folder")
        link = None
        if stat.S_ISLNK(entry.external_attr >> 16):
            if entry.file_size > _LONGEST_LINK_BYTES:
                raise UserError(
                    f"{archive} holds {_shown(entry.filename)}, a link of {entry.file_size:,} bytes; {_GIVE_FOLDER}"
                )
            link = posixpath.join(posixpath.dirname(entry.filename), os.fsdecode(zipped.read(entry)))
        yield _Member(entry.filename, entry.is_dir(), link, entry.file_size, _zip_opener(zipped, entry))


def _require_announced(archive: Path, found: int) -> None:
    """Check the number of members against the zip's end record: a damaged entry hides those that follow it."""
    with archive.open("rb") as file:
        file.seek(-min(_END_RECORD_BYTES + _LONGEST_COMMENT_BYTES, archive.stat().st_size), os.SEEK_END)
        end = file.read()
    start = end.rfind(b"PK\x05\x06")
    (announced,) = struct.unpack_from("<H", end, start + 10)
    if announced not in (_MANY, found):
        raise DamagedArchive(_damaged(archive, f"{found} of {announced} members are in its directory"))


def _zip_opener(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: zipped.open(entry)


@contextmanager
def _decompressed(archive: Path) -> Iterator[IO[bytes]]:
    """The archive's bytes, decompressed if they are compressed."""
    with archive.open("rb") as file:
        start = file.read(max(map(len, _DECOMPRESSORS)))
    opener = next((own for magic, own in _DECOMPRESSORS.items() if start.startswith(magic)), None)
    with archive.open("rb") if opener is None else opener(archive) as stream:
        yield stream


def _opened_tar(archive: Path, stream: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.TarFile(fileobj=_Bounded(archive, stream))  # type: ignore[arg-type]
    except tarfile.ReadError as error:
        raise DamagedArchive(f"{archive} is not a zip or tar archive; give one or a folder") from error


def _tar_members(archive: Path, tarred: tarfile.TarFile) -> Iterator[_Member]:
    for entry in tarred:
        if not (entry.isfile() or entry.isdir() or entry.islnk() or entry.issym()):
            raise UserError(f"{archive} holds {_shown(entry.name)}, a device or pipe; it is not unpacked")
        if entry.size < 0:
            raise DamagedArchive(_damaged(archive, f"a member of {entry.size} bytes"))
        link = entry.linkname if entry.islnk() else None
        if entry.issym():
            link = posixpath.join(posixpath.dirname(entry.name), entry.linkname)
        yield _Member(entry.name, entry.isdir(), link, entry.size, _tar_opener(tarred, entry))


def _tar_opener(tarred: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    # Links are followed by this module, so that there always is a file.
    return lambda: tarred.extractfile(entry)  # type: ignore[return-value]


def _require_end(archive: Path, stream: IO[bytes], tarred: tarfile.TarFile) -> None:
    """Check that the archive ends where its members do, in blocks of zeros: readers stop at the first damaged header.

    Reading to the end has a compressed archive's checksum compared, too.
    """
    members = tarred.getmembers()
    stream.seek(members[-1].offset_data + _whole_blocks(members[-1]) if members else 0)
    zeros = 0
    while block := stream.read(_BLOCKS_BYTES):
        if block.strip(b"\0"):
            raise DamagedArchive(_damaged(archive, "a member's header is"))
        zeros += len(block)
        if zeros > _MOST_PADDING_BYTES:
            raise DamagedArchive(_damaged(archive, "it does not end after its members"))
    if zeros < _END_BYTES:
        raise DamagedArchive(f"{archive} is cut off after {len(members)} members; delete it and fetch it again")


def _whole_blocks(member: tarfile.TarInfo) -> int:
    size = member.size if member.isreg() else 0
    return size + -size % tarfile.BLOCKSIZE


def _require_inside(archive: Path, member: _Member) -> None:
    for path in (member.name, member.link):
        if path is None:
            continue
        unified = path.replace("\\", "/")
        has_drive = unified[1:2] == ":"
        if unified.startswith("/") or has_drive or posixpath.normpath(unified).split("/")[0] == "..":
            raise UserError(
                f"{archive} holds {member.shown}, which leads outside its folder; "
                "nothing was unpacked, take the archive from another place"
            )


def _require_name(archive: Path, member: _Member) -> None:
    depth = member.name.count("/")
    if depth > _DEEPEST:
        raise UserError(f"{archive} holds {member.shown}, {depth} folders deep; {_GIVE_FOLDER}")
    try:
        usable = "\0" not in f"{member.name}{member.link or ''}" and bool(os.fsencode(member.name))
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise UserError(f"{archive} holds {member.shown}, which is no name of a file; {_GIVE_FOLDER}")


def _unpack_members(archive: Path, members: list[_Member], folder: Path) -> None:
    files: dict[str, _Member] = {}
    for member in members:
        if not member.is_folder and files.setdefault(posixpath.normpath(member.name), member) is not member:
            raise UserError(f"{archive} holds {member.shown} twice; {_GIVE_FOLDER}")
    with storage_errors(folder):
        check_free_space(folder, sum(_content_of(archive, files, own).size_bytes for own in files.values()))
        for member in track(members, len(members), "unpacking", "file"):
            if member.is_folder:
                (folder / member.name).mkdir(parents=True, exist_ok=True)
            else:
                _write_file(archive, member, _content_of(archive, files, member), folder)


def _content_of(archive: Path, files: Mapping[str, _Member], member: _Member) -> _Member:
    """The file that a link leads to in the end; a file itself."""
    end = member
    for _ in range(_MOST_LINKS_IN_A_ROW):
        if end.link is None:
            return end
        found = files.get(posixpath.normpath(end.link))
        if found is None:
            break
        end = found
    raise UserError(f"{archive} holds {member.shown}, a link to no file; {_GIVE_FOLDER}")


def _write_file(archive: Path, member: _Member, content: _Member, folder: Path) -> None:
    place = folder / member.name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Never over another one, also where capital letters or accents make no difference.
        with content.open() as opened, place.open("xb") as file:
            shutil.copyfileobj(opened, file)
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        raise UserError(
            f"{archive} holds {member.shown}, which is no name here ({error.strerror}); {_GIVE_FOLDER}"
        ) from error
    written = place.stat().st_size
    if written != content.size_bytes:
        raise DamagedArchive(_damaged(archive, f"{member.shown} has {written} of {content.size_bytes} bytes"))
