"""Results and checkpoints in an object store, such as S3, with a folder of this machine in front of it.

Programs read and write files of the folder. What is missing there is fetched first, and what is finished is published
afterwards. Object stores show an object when all of it is there, and a fetched file gets its name when all of it is
there, so nothing half-written is ever read. Credentials are those that fsspec's file system finds by itself
(environment, configuration file, role of the machine); they are no part of an address.
"""

import contextlib
import hashlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch

from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing

# File systems that show an object only when it is complete, and the package that each needs.
OBJECT_STORES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
# Weights of a training that goes on, and what a process is writing.
UNFINISHED = (".training", ".partial")
# How long a listing of the store is believed: a result that came since is at worst computed once more.
LISTING_AGE_S = 10.0
_LISTED: dict[str, tuple[float, frozenset[str]]] = {}


@dataclass(frozen=True)
class Remote:
    """A folder that stands for a prefix of an object store.

    Attributes
    ----------
    url : str
        The prefix, such as ``s3://bucket/results``.
    folder : Path
        Folder of this machine.
    """

    url: str
    folder: Path

    @classmethod
    def of(cls, url: str, cache: Path | None = None) -> "Remote":
        """The prefix of that address, with a folder of its own below ``cache``, the user's by default.

        Raises
        ------
        UserError
            If it is no address of a known object store, holds credentials, or fsspec lacks what it needs.
        """
        protocol, _, rest = url.partition("://")
        if protocol not in OBJECT_STORES:
            raise UserError(f"{url} is no address of an object store; choose among {', '.join(OBJECT_STORES)}://")
        if "@" in rest or not rest.strip("/"):
            raise UserError(
                f"the address {protocol}://… names no bucket or holds credentials; write s3://bucket/prefix"
            )
        home = cache or Path(pooch.os_cache("audioxai")) / "remote"
        name = hashlib.blake2b(url.rstrip("/").encode(), digest_size=8).hexdigest()
        made = cls(url.rstrip("/"), home / name)
        made.files()
        return made

    def files(self) -> Any:
        """The file system of fsspec.

        Raises
        ------
        UserError
            If fsspec or the file system's own package is not installed.
        """
        protocol = self.url.partition("://")[0]
        try:
            import fsspec

            return fsspec.filesystem(protocol, use_listings_cache=False)
        except ImportError as error:
            package = OBJECT_STORES[protocol]
            hint = "audioxai[objectstore]" if package == "s3fs" else f"audioxai[objectstore] and {package}"
            raise UserError(f"{protocol}:// needs {package}, which is not installed; install {hint}") from error

    def holds(self, path: Path) -> bool:
        """Whether the store had the object of a file of the folder, some seconds ago at most."""
        listed_s, names = _LISTED.get(self.url, (-math.inf, frozenset[str]()))
        if time.monotonic() - listed_s > LISTING_AGE_S:
            _LISTED[self.url] = (time.monotonic(), names := self.names())
        return path.relative_to(self.folder).as_posix() in names

    def fetch(self, *paths: Path) -> None:
        """Bring files that are in the store and not here; those that are in neither stay missing."""
        for path in paths:
            if not path.exists():
                with contextlib.suppress(FileNotFoundError), replacing(path) as temporary:
                    self.files().get_file(self._address(path), str(temporary))

    def publish(self, *paths: Path) -> None:
        """Put files into the store, each as a whole."""
        for path in paths:
            self.files().put_file(str(path), self._address(path))

    def fetch_all(self) -> None:
        """Bring everything that the store has and this folder lacks."""
        self.fetch(*(self.folder / name for name in self.names()))

    def publish_all(self, *places: Path) -> None:
        """Put files, and every finished file below folders, into the store where they are not in the same size."""
        there = self._sizes()
        for path in _finished(places):
            if there.get(path.relative_to(self.folder).as_posix()) != path.stat().st_size:
                self.publish(path)

    def names(self) -> frozenset[str]:
        """Objects below the prefix, by their paths from there."""
        return frozenset(self._sizes())

    def _sizes(self) -> dict[str, int]:
        files = self.files()
        files.invalidate_cache()
        root = self.url.partition("://")[2]
        found = files.find(root, detail=True)
        return {name[len(root) + 1 :]: about["size"] for name, about in found.items() if name.startswith(f"{root}/")}

    def _address(self, path: Path) -> str:
        return f"{self.url}/{path.relative_to(self.folder).as_posix()}"


def _finished(places: Iterable[Path]) -> list[Path]:
    found = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return sorted(path for path in found if not path.name.startswith(".") and path.suffix not in UNFINISHED)
