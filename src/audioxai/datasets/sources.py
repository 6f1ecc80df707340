"""What every source of samples offers, and the steps they share: fair draws, fingerprints, file hashes."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.records import SPLITS, Dataset, Modality
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

DIGIT_NAMES = tuple(str(digit) for digit in range(10))
# Part of every fingerprint: raise it when the same files are turned into other samples.
READING_VERSION = "samples 1"


class Source(Protocol):
    """A kind of dataset that can be looked for in a folder and loaded from it."""

    @property
    def name(self) -> str:
        """The registry's name."""
        ...

    @property
    def modality(self) -> Modality:
        """``audio`` or ``image``."""
        ...

    @property
    def stand_in_for(self) -> str | None:
        """The real dataset that this one stands in for, None if it is real."""
        ...

    @property
    def split_names(self) -> tuple[str, ...]:
        """Known splits, the default one first."""
        ...

    def found_in(self, root: Path) -> bool:
        """Whether ``root`` holds enough of the dataset to be taken for it."""
        ...

    def count_files(self, root: Path) -> int:
        """Number of data files in ``root``."""
        ...

    def load(self, root: Path, split: str | None, audio_format: AudioFormat | None, limit: int | None) -> Dataset:
        """Samples in ``root``."""
        ...

    def fingerprint(self, root: Path, split: str | None, audio_format: AudioFormat | None, limit: int | None) -> str:
        """The fingerprint of what :meth:`load` returns, without decoding."""
        ...


def known_split(source: Source, split: str | None) -> str:
    """``split``, or the default one for None.

    Raises
    ------
    UserError
        If the source has no such split.
    """
    if split is None:
        return source.split_names[0]
    if split not in source.split_names:
        raise UserError(f"{source.name} has no split {split!r}; choose from {', '.join(source.split_names)}")
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
            "complete the dataset or choose another split"
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
        return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        # Such a file is skipped with its reason when it is decoded; here it only has to be the same every time.
        return b"unreadable"
