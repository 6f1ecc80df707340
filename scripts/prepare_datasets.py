"""Puts datasets where the experiments look for them; what is there already is left alone.

Usage::

    python scripts/prepare_datasets.py                                     # MNIST and AudioMNIST into data/
    python scripts/prepare_datasets.py --datasets fsdd --root /big/disk    # then set AUDIO_XAI_DATA=/big/disk
    python scripts/prepare_datasets.py --datasets audio_mnist --source ~/AudioMNIST-master.zip
    python scripts/prepare_datasets.py --for-demo                          # whatever can be had, stand-ins if need be

An interrupted download goes on where it stopped when the same command is run again.
"""

import argparse
import gzip
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_xai.datasets import DATA_VARIABLE, DATASETS, PREFERENCES, Modality, find_root, require_known
from audio_xai.datasets.archives import require_vacant, staging
from audio_xai.datasets.download import DownloadFailed, reachable
from audio_xai.datasets.preparation import (
    PUBLIC,
    install_from_archive,
    install_from_folder,
    install_from_public,
    install_from_url,
    install_made,
    public_urls,
)
from audio_xai.utils.commands import OneLineParser, run_command
from audio_xai.utils.errors import UserError
from audio_xai.utils.seeding import derived_seed

PROJECT = Path(__file__).resolve().parents[1]
DEFAULT_DATASETS = ("mnist", "audio_mnist")
STAND_INS: dict[Modality, str] = {"audio": "spoken_digits", "image": "digits_8x8"}
MODALITIES: tuple[Modality, ...] = ("audio", "image")


def main(arguments: list[str]) -> None:
    """Prepare what the arguments ask for."""
    options = _parser().parse_args(arguments)
    if options.for_demo:
        prepare_demo({"audio": options.audio, "image": options.images}, options.root)
    elif options.source is not None:
        prepare_from_source(options.datasets, options.root, options.source)
    else:
        prepare(options.datasets or list(DEFAULT_DATASETS), options.root)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--datasets",
        nargs="+",
        metavar="NAME",
        help=f"any of {', '.join(DATASETS)}; by default {' '.join(DEFAULT_DATASETS)}",
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that gets them, by default data/")
    parser.add_argument(
        "--source", metavar="URL|DIR|ARCHIVE", help="where to take the one dataset from that is asked for"
    )
    parser.add_argument(
        "--for-demo", action="store_true", help="one audio and one image dataset, a stand-in if nothing else"
    )
    parser.add_argument("--audio", default="auto", metavar="NAME", help="audio dataset of the demo")
    parser.add_argument("--images", default="auto", metavar="NAME", help="image dataset of the demo")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def prepare(names: list[str], root: Path | None) -> None:
    """Make sure that every named dataset is there, or stop at the first that cannot be had.

    Raises
    ------
    UserError
        If a name is unknown or a dataset cannot be had.
    """
    for name in names:
        require_known(name)
    answering = _answering([name for name in names if _found(name, root) is None])
    for name in names:
        _obtain(name, root, answering)
        _tell(name, root)


def prepare_from_source(names: list[str] | None, root: Path | None, source: str) -> None:
    """Take one dataset from a folder, an archive or an address.

    Raises
    ------
    UserError
        If not exactly one dataset is asked for, or it is not there.
    """
    if names is None or len(names) != 1:
        raise UserError("--source holds one dataset; name it, as in --datasets audio_mnist")
    name = names[0]
    require_known(name)
    if _found(name, root) is None:
        _take(name, _own_root(root), source)
    _tell(name, root)


def prepare_demo(wanted: dict[Modality, str], root: Path | None) -> None:
    """One dataset a modality: what is found, else the real one by download, else the stand-in for it.

    Raises
    ------
    UserError
        If a dataset asked for by its name cannot be had, or the disk is full or must not be written.
    """
    for modality in MODALITIES:
        _require_modality(wanted[modality], modality)
    chosen = {modality: _first_found(wanted[modality], modality, root) for modality in MODALITIES}
    missing = [_real_one(wanted[modality], modality) for modality in MODALITIES if chosen[modality] is None]
    answering = _answering(missing)
    for modality in MODALITIES:
        _tell(chosen[modality] or _obtain_for_demo(wanted[modality], modality, root, answering), root)


def _require_modality(wanted: str, modality: Modality) -> None:
    if wanted != "auto" and require_known(wanted).modality != modality:
        raise UserError(f"{wanted} is no {modality} dataset; choose from auto, {', '.join(PREFERENCES[modality])}")


def _first_found(wanted: str, modality: Modality, root: Path | None) -> str | None:
    names = PREFERENCES[modality] if wanted == "auto" else (wanted,)
    return next((name for name in names if _found(name, root) is not None), None)


def _real_one(wanted: str, modality: Modality) -> str:
    return PREFERENCES[modality][0] if wanted == "auto" else wanted


def _obtain_for_demo(wanted: str, modality: Modality, root: Path | None, answering: frozenset[str]) -> str:
    name = _real_one(wanted, modality)
    try:
        _obtain(name, root, answering)
    except DownloadFailed as error:
        if wanted != "auto":
            raise
        stand_in = STAND_INS[modality]
        print(f"{error}\nmaking the STAND-IN {stand_in} instead: results on it say nothing about {name}")
        _obtain(stand_in, root, answering)
        return stand_in
    return name


def _answering(names: list[str]) -> frozenset[str]:
    return reachable([url for name in names for url in public_urls(name)])


def _found(name: str, root: Path | None) -> Path | None:
    if root is None:
        return find_root(name)
    return root / name if DATASETS[name].found_in(root / name) else None


def _own_root(root: Path | None) -> Path:
    return PROJECT / "data" if root is None else root


def _obtain(name: str, root: Path | None, answering: frozenset[str]) -> None:
    if _found(name, root) is not None:
        return
    if name == "spoken_digits":
        make_spoken_digits(_own_root(root))
    elif name == "digits_8x8":
        make_digits_8x8(_own_root(root))
    elif name not in PUBLIC:
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
        install_from_public(name, _own_root(root), answering)


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
        raise UserError(f"--source {source} is no folder, archive or address; correct it")


def _tell(name: str, root: Path | None) -> None:
    place = _found(name, root)
    if place is None:
        raise UserError(f"{name} is still not complete in {_own_root(root)}; remove it there and try again")
    source = DATASETS[name]
    kind = "real" if source.stand_in_for is None else f"STAND-IN for {source.stand_in_for}"
    shown = os.path.relpath(place) if place.is_relative_to(Path.cwd()) else place
    print(f"{name}: {shown}, {source.count_files(place)} files, {kind}")


def make_spoken_digits(root: Path) -> None:
    """Have the stand-in for AudioMNIST spoken, in processes of their own, into ``root/spoken_digits``."""
    target = (root / "spoken_digits").resolve()
    require_vacant(target)
    script = PROJECT / "scripts" / "synthesise_digits.py"
    with staging(target) as work:
        command = [sys.executable, str(script), "--output", str(work / "complete")]
        # Its progress bar and its one line of error go to the same terminal.
        if subprocess.run(command, check=False).returncode:
            raise UserError("the spoken digits could not be synthesised for the reason above; mend it and try again")
        install_made("spoken_digits", work / "complete", target, {"source": "espeak-ng"})


def make_digits_8x8(root: Path) -> None:
    """Write scikit-learn's digits, resized, in MNIST's files: the stand-in for it, into ``root/digits_8x8``."""
    from sklearn.datasets import load_digits

    target = (root / "digits_8x8").resolve()
    require_vacant(target)
    small, labels = load_digits(return_X_y=True)
    images = resized(np.asarray(small).reshape(-1, 8, 8) * (255 / 16), 28)
    order = balanced_order(np.asarray(labels))
    tests = len(order) // 5
    with staging(target) as work:
        complete = work / "complete"
        complete.mkdir()
        for prefix, rows in (("t10k", order[:tests]), ("train", order[tests:])):
            write_idx(complete / f"{prefix}-images-idx3-ubyte.gz", images[rows])
            write_idx(complete / f"{prefix}-labels-idx1-ubyte.gz", np.asarray(labels)[rows].astype(np.uint8))
        install_made("digits_8x8", complete, target, {"source": "sklearn.datasets.load_digits"})


def balanced_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices ``(samples,)``, seeded, in which every stretch holds the labels in nearly the same shares."""
    random = np.random.default_rng(derived_seed("digits_8x8"))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        place[own] = (np.arange(len(own)) + random.random()) / len(own)
    return np.argsort(place, kind="stable")


def resized(images: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Square images ``(samples, rows, columns)`` in 0…255 enlarged to ``(samples, side, side)`` bilinearly."""
    small = images.shape[-1]
    centres = np.clip((np.arange(side) + 0.5) * small / side - 0.5, 0, small - 1)
    weights = np.clip(1 - np.abs(centres[:, None] - np.arange(small)), 0, None)
    enlarged: NDArray[np.float64] = weights @ images @ weights.T
    # Rounding first to 6 digits keeps halves from falling differently on different machines.
    rounded: NDArray[np.uint8] = np.rint(np.round(enlarged, 6)).astype(np.uint8)
    return rounded


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    """Write an IDX file, gzipped without a date so that the same values give the same bytes."""
    header = bytes((0, 0, 8, values.ndim)) + np.asarray(values.shape, ">u4").tobytes()
    file.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))


if __name__ == "__main__":
    raise SystemExit(run_command(main))
