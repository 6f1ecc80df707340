"""Data sets on demand: found where they are looked for, else installed from a source, else made as a stand-in.

Stand-ins need software that this package does not load (espeak-ng is GPL-3), so whoever prepares hands over their
*makers*: :func:`script_makers` runs ``scripts/prepare_datasets.py`` as a process of its own, and that script brings the
functions themselves.
"""

import argparse
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from audioxai.datasets import (
    DATA_VARIABLE,
    DATASETS,
    PREFERENCES,
    PROJECT_FOLDER,
    Modality,
    find_root,
    names_of,
    source_of,
)
from audioxai.datasets.download import DownloadFailed, reachable
from audioxai.datasets.preparation import (
    install_from_archive,
    install_from_folder,
    install_from_public,
    install_from_url,
    public_urls,
)
from audioxai.datasets.sources import PublicArchive
from audioxai.utils.commands import OneLineParser
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain

# Writes a stand-in into the folder of that name below the given one.
Maker = Callable[[Path], None]

DEFAULT_DATASETS = ("mnist", "audio_mnist")
MODALITIES: tuple[Modality, ...] = ("audio", "image")
SCRIPT = Path("scripts", "prepare_datasets.py")


@dataclass(frozen=True)
class Supply:
    """Where data sets are looked for and put, and how stand-ins are made.

    Attributes
    ----------
    root : Path or None
        The only folder that counts; None to look everywhere and to put what is missing into ``home``.
    home : Path
        Folder that gets data sets where no ``root`` is given.
    makers : mapping of str to Maker
        Stand-in → what makes it.
    """

    root: Path | None
    home: Path
    makers: Mapping[str, Maker]

    @property
    def target(self) -> Path:
        """Folder that gets what is missing."""
        return self.home if self.root is None else self.root


def home_folder() -> Path:
    """Where data sets go by default: ``data/`` of the project's checkout, or of the current folder without one."""
    return (PROJECT_FOLDER if (PROJECT_FOLDER / SCRIPT).is_file() else Path.cwd()) / "data"


def option_parser(description: str) -> argparse.ArgumentParser:
    """Options of whoever prepares data sets."""
    parser = OneLineParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--datasets",
        nargs="+",
        metavar="NAME",
        help=f"any of {', '.join(DATASETS)}; by default {' '.join(DEFAULT_DATASETS)}",
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that gets them, by default data/")
    parser.add_argument(
        "--source", metavar="URL|DIR|ARCHIVE", help="where to take the one data set from that is asked for"
    )
    parser.add_argument(
        "--for-demo", action="store_true", help="one audio and one image data set, a stand-in if nothing else"
    )
    parser.add_argument("--audio", default="auto", metavar="NAME", help="audio data set of the demo")
    parser.add_argument("--images", default="auto", metavar="NAME", help="image data set of the demo")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def prepare_as_asked(options: argparse.Namespace, home: Path, makers: Mapping[str, Maker]) -> None:
    """What the options of :func:`option_parser` ask for.

    Raises
    ------
    UserError
        If an option is wrong or a data set cannot be had.
    """
    supply = Supply(options.root, home, makers)
    if options.for_demo:
        prepare_demo({"audio": options.audio, "image": options.images}, supply)
    elif options.source is not None:
        prepare_from_source(options.datasets, supply, options.source)
    else:
        prepare(options.datasets or list(DEFAULT_DATASETS), supply)


def prepare(names: list[str], supply: Supply) -> None:
    """Make sure that every named data set is there, or stop at the first that cannot be had.

    Raises
    ------
    UserError
        If a name is unknown or a data set cannot be had.
    """
    for name in names:
        source_of(name)
    answering = _answering([name for name in names if _found(name, supply) is None])
    for name in names:
        _obtain(name, supply, answering)
        _tell(name, supply)


def prepare_from_source(names: list[str] | None, supply: Supply, source: str) -> None:
    """Take one data set from a folder, an archive or an address.

    Raises
    ------
    UserError
        If not exactly one data set is asked for, or it is not there.
    """
    if names is None or len(names) != 1:
        raise UserError("--source holds one data set; name it, as in --datasets audio_mnist")
    name = names[0]
    source_of(name)
    if _found(name, supply) is None:
        _take(name, supply.target, source)
    _tell(name, supply)


def prepare_demo(wanted: dict[Modality, str], supply: Supply) -> None:
    """One data set per modality: what is found, else the real one by download, else the stand-in for it.

    Raises
    ------
    UserError
        If a data set asked for by its name cannot be had, or the disk is full or must not be written.
    """
    for modality in MODALITIES:
        _require_modality(wanted[modality], modality)
    chosen = {modality: _first_found(wanted[modality], modality, supply) for modality in MODALITIES}
    missing = [_real_one(wanted[modality], modality) for modality in MODALITIES if chosen[modality] is None]
    answering = _answering(missing)
    for modality in MODALITIES:
        _tell(chosen[modality] or _obtain_for_demo(wanted[modality], modality, supply, answering), supply)


def _require_modality(wanted: str, modality: Modality) -> None:
    if wanted != "auto" and DATASETS[wanted].modality != modality:
        raise UserError(
            f"{wanted} is not of the {modality} data sets; choose from auto, {', '.join(names_of(modality))}"
        )


def _first_found(wanted: str, modality: Modality, supply: Supply) -> str | None:
    names = PREFERENCES[modality] if wanted == "auto" else (wanted,)
    return next((name for name in names if _found(name, supply) is not None), None)


def _real_one(wanted: str, modality: Modality) -> str:
    return PREFERENCES[modality][0] if wanted == "auto" else wanted


def _obtain_for_demo(wanted: str, modality: Modality, supply: Supply, answering: frozenset[str]) -> str:
    name = _real_one(wanted, modality)
    try:
        _obtain(name, supply, answering)
    except DownloadFailed as error:
        if wanted != "auto":
            raise
        stand_in = _stand_in_for(name)
        print(f"{error}\nmaking the STAND-IN {stand_in} instead: results on it say nothing about {name}")
        _obtain(stand_in, supply, answering)
        return stand_in
    return name


def _stand_in_for(name: str) -> str:
    return next(own for own, entry in DATASETS.items() if entry.stand_in_for == name)


def _answering(names: list[str]) -> frozenset[str]:
    return reachable([url for name in names for url in public_urls(name)])


def _found(name: str, supply: Supply) -> Path | None:
    if supply.root is None:
        return find_root(name)
    place = supply.root / name
    return place if source_of(name).found_in(place) else None


def _obtain(name: str, supply: Supply, answering: frozenset[str]) -> None:
    if _found(name, supply) is not None:
        return
    if name in supply.makers:
        supply.makers[name](supply.target)
    elif not public_urls(name):
        raise UserError(
            f"{name} has no public address; put it into data/{name}, name it with --source, or set {DATA_VARIABLE} "
            f"to the folder that holds {name}/"
        )
    elif not answering.intersection(public_urls(name)):
        servers = ", ".join(urllib.parse.urlsplit(url).netloc for url in public_urls(name))
        raise DownloadFailed(
            f"{name} cannot be downloaded: no answer from {servers}; "
            "try again with a network, or name a copy with --source"
        )
    else:
        install_from_public(name, supply.target, answering)


def _take(name: str, root: Path, source: str) -> None:
    address = urllib.parse.urlsplit(source)
    if address.scheme in ("http", "https"):
        if not reachable([source]):
            raise DownloadFailed(f"no answer from {address.netloc}; try again with a network or give a folder")
        install_from_url(name, root, source)
        return
    path = Path(urllib.request.url2pathname(address.path) if address.scheme == "file" else source).expanduser()
    if path.is_dir():
        install_from_folder(name, root, path)
    elif path.is_file():
        install_from_archive(name, root, path, str(path))
    else:
        raise UserError(f"--source {source} is not a folder, archive or address; correct it")


def _tell(name: str, supply: Supply) -> None:
    place = _found(name, supply)
    if place is None:
        raise UserError(f"{name} is still not complete in {supply.target}; remove it there and try again")
    stood = DATASETS[name].stand_in_for
    kind = "real" if stood is None else f"STAND-IN for {stood}"
    count, public = source_of(name).count_files(place), source_of(name).public
    expected = public.recordings if isinstance(public, PublicArchive) else count
    files = f"{count}" if count >= expected else f"{count} of {expected}"
    shown = os.path.relpath(place) if place.is_relative_to(Path.cwd()) else place
    print(f"{name}: {plain(str(shown))}, {files} files, {kind}")


def script_makers() -> dict[str, Maker]:
    """Makers that have every stand-in made by the project's script, in a process of its own."""
    return {name: _made_by_script(name) for name, entry in DATASETS.items() if entry.stand_in_for is not None}


def _made_by_script(name: str) -> Maker:
    def make(root: Path) -> None:
        script = PROJECT_FOLDER / SCRIPT
        if not script.is_file():
            raise UserError(f"{name} is made by {SCRIPT} in a checkout of the project; run that, or take other data")
        command = [sys.executable, str(script), "--datasets", name, "--root", str(root)]
        # Its progress bar and its one line of error go to the same terminal; the caller reports what it made.
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            raise UserError(f"the stand-in {name} could not be made for the reason above; mend it and try again")

    return make
