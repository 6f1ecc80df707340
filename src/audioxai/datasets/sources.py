"""What every source of samples offers, and the steps they share: even draws, fingerprints, file digests."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.records import SPLITS, Dataset, Modality, Outline
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

DIGIT_NAMES = tuple(str(digit) for digit in range(10))
# Part of every fingerprint: raise it when the same files are turned into other samples.
READING_VERSION = "samples 1"


@dataclass(frozen=True)
class PublicArchive:
    """An archive on the web without a stable checksum; it has to bring at least ``recordings`` recordings."""

    url: str
    recordings: int
    needed_bytes: int

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses one of which has to answer."""
        return (self.url,)


@dataclass(frozen=True)
class PublicFiles:
    """Files on several mirrors, with the md5 of each as it is downloaded and of its decompressed content."""

    mirrors: tuple[str, ...]
    archive_md5: dict[str, str]
    content_md5: dict[str, str]

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses one of which has to answer."""
        return self.mirrors


class Source(Protocol):
    """A kind of data set that can be looked for in a folder and loaded from it.

    ``root`` is the folder. Where it may be None, sources whose answer does not depend on the files ignore it.
    """

    @property
    def name(self) -> str:
        """Name of the data sets that it loads."""
        ...

    @property
    def modality(self) -> Modality:
        """``audio`` or ``image``."""
        ...

    @property
    def public(self) -> PublicArchive | PublicFiles | None:
        """Where it can be downloaded from, None if nowhere."""
        ...

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:
        """Known splits, the default one first."""
        ...

    def audio_format(self, root: Path | None = None) -> AudioFormat | None:
        """How recordings are read unless another format is asked for; None for images."""
        ...

    def found_in(self, root: Path) -> bool:
        """Whether ``root`` holds enough of the data set to be taken for it."""
        ...

    def lacking_in(self, root: Path) -> str:
        """What ``root`` would have to hold to be found, in words."""
        ...

    def place_in(self, folder: Path) -> str | None:
        """Where ``folder`` belongs below the data set's root (``""``: it is the root), None if it holds no part."""
        ...

    def count_files(self, root: Path) -> int:
        """Number of data files in ``root``."""
        ...

    def group_attributes(self, root: Path) -> dict[str, dict[str, object]]:
        """Attributes of the groups (such as a speaker's gender), by group; empty if none are known."""
        ...

    def outline(self, root: Path, split: str | None = None, limit: int | None = None) -> Outline:
        """Classes and sizes of what :meth:`load` returns, without decoding."""
        ...

    def load(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> Dataset:
        """Samples in ``root``; parameters as of :func:`audioxai.datasets.load`."""
        ...

    def fingerprint(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> str:
        """The fingerprint of what :meth:`load` returns, without decoding."""
        ...


def known_split(source: Source, split: str | None, root: Path | None = None) -> str:
    """``split``, or the default one for None.

    Raises
    ------
    UserError
        If the source has no such split.
    """
    return chosen_split(source.name, split, source.split_names(root))


def chosen_split(name: str, split: str | None, known: Sequence[str]) -> str:
    """``split`` if it is among the ``known`` ones of data set ``name``, the first of them for None; else raises."""
    if split is None:
        return known[0]
    if split not in known:
        raise UserError(f"{name} has no split {split!r}; choose from {', '.join(known)}")
    return split


def balanced_draw(ids: Sequence[str], labels: Sequence[int], limit: int | None) -> list[int]:
    """Indices, ascending, of at most ``limit`` entries with labels as even as possible.

    Drawn by a hash of the id, so that neither the order of the entries nor the file system matters, and a smaller
    limit draws a subset of what a larger one does.

    Raises
    ------
    UserError
        If ``limit`` is below 1.
    """
    if limit is None:
        return list(range(len(ids)))
    if limit < 1:
        raise UserError(f"limit is {limit}; give a positive number of samples or None for all")
    rank_in_label: Counter[int] = Counter()
    ranked = []
    for index in sorted(range(len(ids)), key=lambda index: derived_seed("limit", ids[index])):
        label = labels[index]
        ranked.append((rank_in_label[label], derived_seed("limit", label), index))
        rank_in_label[label] += 1
    return sorted(index for _, _, index in sorted(ranked)[:limit])


def draw_per_part(ids: Sequence[str], labels: Sequence[int], parts: Sequence[str], limit: int | None) -> list[int]:
    """Indices of at most ``limit`` entries of every part, parts in the order train, validation, test."""
    rows: list[int] = []
    for part in SPLITS:
        own = [row for row, own_part in enumerate(parts) if own_part == part]
        rows += [own[index] for index in balanced_draw([ids[row] for row in own], [labels[row] for row in own], limit)]
    return rows


def require_room_for_classes(name: str, limit: int | None, class_count: int) -> None:
    """Refuse a limit that leaves a class out.

    Raises
    ------
    UserError
        Naming both numbers.
    """
    if limit is not None and 0 < limit < class_count:
        raise UserError(
            f"limit is {limit} but {name} has {class_count} classes; give at least one sample per class or None for all"
        )


def require_every_part(name: str, root: Path, split: str, parts: Iterable[str]) -> None:
    """Check that no part of the split is empty.

    Raises
    ------
    UserError
        If one is.
    """
    missing = [part for part in SPLITS if part not in set(parts)]
    if missing:
        raise UserError(
            f"{name} in {root} has nothing usable for the {' and '.join(missing)} part of split {split!r}; "
            "complete the data set or choose another split"
        )


def content_fingerprint(entries: Iterable[tuple[str, bytes]], *reading: object) -> str:
    """Hexadecimal hash of ``(key, content digest)`` entries, in the order of their keys, and of how they are read."""
    total = hashlib.blake2b(digest_size=16)
    total.update(repr((READING_VERSION, *reading)).encode())
    for key, digest in sorted(entries):
        total.update(os.fsencode(key) + b"\0" + digest)
    return total.hexdigest()


def file_digests(paths: Sequence[Path]) -> list[bytes]:
    """Digest of every file's bytes, in the order of ``paths``."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_file_digest, paths))


def _file_digest(path: Path) -> bytes:
    try:
        if not path.is_file():
            # Reading a pipe or a device may never end.
            return b"unreadable"
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        # Such a file is skipped with its reason when it is decoded; here it only has to be the same every time.
        return b"unreadable"
