"""Putting a data set in its place: from its public address, or from a folder or archive that is at hand.

Whatever the way, files are gathered in a folder next to the target, checked, described in ``manifest.json`` (written
last) and put in place with one rename: a folder under a data set's name is complete or not there.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from audioxai.datasets import source_of
from audioxai.datasets.archives import DamagedArchive, put_in_place, require_vacant, staging, unpack
from audioxai.datasets.download import DownloadFailed, check_free_space, download, file_checksum
from audioxai.datasets.mnist import idx_file, read_content
from audioxai.datasets.recordings import files_below, visible
from audioxai.datasets.sources import PublicArchive, PublicFiles
from audioxai.utils.commands import storage_errors
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text
from audioxai.utils.progress import track

MANIFEST = "manifest.json"
_SEARCH_DEPTH = 3
_DOWNLOADS = ".downloads"


@dataclass(frozen=True)
class Located:
    """A data set found in a folder; ``inner`` is where ``folder`` belongs below the data set's own folder."""

    folder: Path
    inner: str


def public_urls(name: str) -> tuple[str, ...]:
    """Addresses one of which has to answer for the data set to be downloaded; none if it is not public."""
    public = source_of(name).public
    return () if public is None else public.urls


def install_from_public(name: str, root: Path, answering: frozenset[str]) -> None:
    """Download the data set to ``root/name`` from those of its addresses that are ``answering``.

    Raises
    ------
    DownloadFailed
        If nothing could be downloaded or what came is not the data set.
    UserError
        If the disk is full or must not be written, or something is in the way.
    """
    public = source_of(name).public
    require_vacant(root / name)
    if isinstance(public, PublicFiles):
        _install_files(name, root, public, [mirror for mirror in public.mirrors if mirror in answering])
    elif public is not None:
        _install_public_archive(name, root, public)


def install_from_url(name: str, root: Path, url: str) -> None:
    """Download an archive from ``url`` and put the data set in it to ``root/name``."""
    require_vacant(root / name)
    _install_downloaded(name, root, url)


def install_from_folder(name: str, root: Path, folder: Path) -> None:
    """Copy the data set somewhere in ``folder`` to ``root/name``; hidden files stay behind.

    Raises
    ------
    UserError
        If it is not in there, the disk is full or must not be written, or something is in the way.
    """
    target = (root / name).resolve()
    require_vacant(target)
    located = _require_located(name, folder)
    files = _visible_files(located.folder)
    with staging(target) as work, storage_errors():
        check_free_space(work, sum(file.stat().st_size for file in files))
        _copy(files, located.folder, work / "complete" / located.inner)
        _finish(name, work / "complete", target, {"source": str(folder)})


def install_from_archive(name: str, root: Path, archive: Path, origin: str) -> None:
    """Unpack the data set somewhere in ``archive`` to ``root/name``; ``origin`` goes into its manifest.

    Raises
    ------
    UserError
        If it is not in there, the archive is damaged or would write elsewhere, the disk is full or must not be
        written, or something is in the way.
    """
    target = (root / name).resolve()
    require_vacant(target)
    with staging(target) as work:
        (work / "unpacked").mkdir()
        unpack(archive, work / "unpacked")
        located = _require_located(name, work / "unpacked", archive)
        complete = located.folder
        if located.inner:
            (work / "complete").mkdir()
            complete = work / "complete"
            os.replace(located.folder, complete / located.inner)
        _finish(name, complete, target, {"source": origin, "archive_sha256": file_checksum(archive, "sha256")})


def install_made(name: str, made: Path, target: Path, about: dict[str, object]) -> None:
    """Put a generated data set, in a staging folder next to ``target``, in its place."""
    _finish(name, made, target, about)


def locate(name: str, folder: Path) -> Located | None:
    """The data set in ``folder`` or up to three levels below it, the shallowest; None if it is not there.

    Raises
    ------
    UserError
        If two folders of the same depth hold one.
    """
    source = source_of(name)
    level = [folder]
    for _ in range(_SEARCH_DEPTH + 1):
        places = [(candidate, source.place_in(candidate)) for candidate in level]
        found = [Located(candidate, inner) for candidate, inner in places if inner is not None]
        if len(found) > 1:
            raise UserError(
                f"{folder} holds data set {name} in {found[0].folder.relative_to(folder)} and in "
                f"{found[1].folder.relative_to(folder)}; give one of them"
            )
        if found:
            return found[0]
        level = [entry for candidate in level for entry in visible(candidate) if entry.is_dir()]
    return None


def _require_located(name: str, folder: Path, shown: Path | None = None) -> Located:
    located = locate(name, folder)
    if located is None:
        raise UserError(f"{shown or folder} does not hold data set {name}; give the folder or archive that does")
    return located


def _install_files(name: str, root: Path, public: PublicFiles, mirrors: list[str]) -> None:
    downloads = root / _DOWNLOADS / name
    for file, md5 in public.archive_md5.items():
        _download_from_any([f"{mirror}{file}.gz" for mirror in mirrors], downloads / f"{file}.gz", md5)
    target = (root / name).resolve()
    with staging(target) as work:
        (work / "complete").mkdir()
        for file in public.archive_md5:
            shutil.copyfile(downloads / f"{file}.gz", work / "complete" / f"{file}.gz")
        _finish(name, work / "complete", target, {"source": mirrors[0]})
    _forget_downloads(name, root)


def _download_from_any(urls: list[str], target: Path, md5: str) -> None:
    if target.is_file() and file_checksum(target, "md5") == md5:
        return
    failure = DownloadFailed(f"no server for {target.name} answers; try again with a network")
    for url in urls:
        try:
            download(url, target, f"md5:{md5}")
        except DownloadFailed as error:
            failure = error
        else:
            return
    raise failure


def _install_public_archive(name: str, root: Path, public: PublicArchive) -> None:
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    check_free_space(root, public.needed_bytes)
    _install_downloaded(name, root, public.url)


def _install_downloaded(name: str, root: Path, url: str) -> None:
    archive = download(url, root / _DOWNLOADS / name / "archive")
    try:
        install_from_archive(name, root, archive, url)
    except (DamagedArchive, DownloadFailed) as error:
        # It must not be taken for a finished download next time.
        _forget_downloads(name, root)
        raise DownloadFailed(str(error)) from error
    _forget_downloads(name, root)


def _finish(name: str, complete: Path, target: Path, about: dict[str, object]) -> None:
    source = source_of(name)
    files, public = source.count_files(complete), source.public
    if isinstance(public, PublicFiles):
        _require_content(name, complete, public)
    if isinstance(public, PublicArchive) and about["source"] == public.url and files < public.recordings:
        raise DownloadFailed(f"{public.url} brought {files} recordings instead of {public.recordings}; try again later")
    if not source.found_in(complete) or not files:
        raise UserError(f"{about['source']} does not hold data set {name}; give the folder or archive that does")
    with storage_errors(complete):
        _write_manifest(complete, {"dataset": name, "files": files, **about})
    put_in_place(complete, target)


def _require_content(name: str, folder: Path, public: PublicFiles) -> None:
    for file_name, expected in public.content_md5.items():
        file = idx_file(folder, file_name)
        if file is None:
            raise UserError(f"{folder} lacks {file_name}.gz; give a folder with all files of {name}")
        found = hashlib.md5(read_content(file), usedforsecurity=False).hexdigest()
        if found != expected:
            raise UserError(
                f"{file.name} has content md5 {found} instead of {expected}, so it is not that of {name}; take it from "
                "another place"
            )


def _write_manifest(folder: Path, manifest: dict[str, object]) -> None:
    if (folder / MANIFEST).is_dir():
        raise UserError(f"{manifest['source']} holds a folder {MANIFEST}, where the manifest goes; rename it there")
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _visible_files(folder: Path) -> list[Path]:
    """Files to copy.

    Raises
    ------
    UserError
        If one is a pipe, a device or a link to no file, of which reading may never end.
    """
    files = [file for file in files_below(folder) if file.name != MANIFEST]
    odd = next((file for file in files if not file.is_file()), None)
    if odd is not None:
        raise UserError(f"{odd} is no regular file, nor a link to one; remove it")
    return files


def _copy(files: list[Path], folder: Path, target: Path) -> None:
    for file in track(files, None, "copying", "file"):
        place = target / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def _forget_downloads(name: str, root: Path) -> None:
    shutil.rmtree(root / _DOWNLOADS / name, ignore_errors=True)
    all_downloads = root / _DOWNLOADS
    if all_downloads.is_dir() and not any(all_downloads.iterdir()):
        all_downloads.rmdir()
