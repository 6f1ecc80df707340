"""Datasets: where they are looked for, and one sample record for all of them.

A dataset is looked for in ``$AUDIO_XAI_DATA/<name>``, then in ``data/<name>`` below the current directory, then below
the project's folder. ``scripts/prepare_datasets.py`` puts them there.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.audio_mnist import AUDIO_MNIST, AUDIO_MNIST_AZ, read_speaker_metadata
from audioxai.datasets.fsdd import FSDD
from audioxai.datasets.mnist import DIGITS_8X8, MNIST
from audioxai.datasets.records import SPLITS, Dataset, Modality, Sample, Skipped
from audioxai.datasets.sources import Source
from audioxai.datasets.spoken_digits import SPOKEN_DIGITS
from audioxai.utils.errors import UserError

__all__ = [
    "DATASETS",
    "DATA_VARIABLE",
    "PREFERENCES",
    "SPLITS",
    "AudioFormat",
    "Dataset",
    "Modality",
    "Sample",
    "Skipped",
    "Source",
    "data_folders",
    "find_root",
    "fingerprint",
    "load",
    "read_speaker_metadata",
    "require_known",
    "resolve",
    "summary_of_skipped",
]

DATASETS: dict[str, Source] = {
    "mnist": MNIST,
    "digits_8x8": DIGITS_8X8,
    "audio_mnist": AUDIO_MNIST,
    "audio_mnist_az": AUDIO_MNIST_AZ,
    "fsdd": FSDD,
    "spoken_digits": SPOKEN_DIGITS,
}
# What `auto` takes: the first that is found.
PREFERENCES: dict[Modality, tuple[str, ...]] = {
    "audio": ("audio_mnist", "audio_mnist_az", "fsdd", "spoken_digits"),
    "image": ("mnist", "digits_8x8"),
}
DATA_VARIABLE = "AUDIO_XAI_DATA"
PROJECT_FOLDER = Path(__file__).resolve().parents[3]
# Datasets without a public address.
_PRIVATE = ("audio_mnist_az",)


def data_folders(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> tuple[Path, ...]:
    """Folders that are looked through, in their order; a given ``cwd`` replaces current and project folder.

    Raises
    ------
    UserError
        If ``$AUDIO_XAI_DATA`` is set to something that is no folder.
    """
    homes = (Path.cwd(), PROJECT_FOLDER) if cwd is None else (cwd,)
    folders = [home / "data" for home in dict.fromkeys(homes)]
    wanted = environ.get(DATA_VARIABLE, "")
    if not wanted:
        return tuple(folders)
    if not Path(wanted).is_dir():
        raise UserError(f"{DATA_VARIABLE} is {wanted}, which is no folder; correct it or unset it")
    return (Path(wanted), *folders)


def find_root(name: str, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path | None:
    """First folder that holds the dataset, None if none does.

    Raises
    ------
    UserError
        If the name is unknown or ``$AUDIO_XAI_DATA`` is no folder.
    """
    source = require_known(name)
    roots = (folder / name for folder in data_folders(environ, cwd))
    return next((root for root in roots if source.found_in(root)), None)


def resolve(wanted: str, modality: Modality, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> str:
    """Name of a dataset that is there: ``wanted`` itself, or for ``auto`` the first found of the preferred ones.

    Raises
    ------
    UserError
        If the name is unknown, of the other modality, or nothing is found.
    """
    if wanted != "auto":
        return _resolve_named(wanted, modality, environ, cwd)
    for name in PREFERENCES[modality]:
        if find_root(name, environ, cwd) is not None:
            return name
    raise UserError(
        f"no {modality} dataset is there ({', '.join(PREFERENCES[modality])}); run "
        f"`python scripts/prepare_datasets.py --for-demo` or set {DATA_VARIABLE} to the folder that holds one"
    )


def _resolve_named(wanted: str, modality: Modality, environ: Mapping[str, str], cwd: Path | None) -> str:
    source = require_known(wanted)
    if source.modality != modality:
        raise UserError(
            f"dataset {wanted} is of modality {source.modality}, not {modality}; "
            f"choose from auto, {', '.join(PREFERENCES[modality])}"
        )
    _require_root(wanted, environ, cwd)
    return wanted


def require_known(name: str) -> Source:
    """The source of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    if name not in DATASETS:
        raise UserError(f"unknown dataset {name!r}; choose from {', '.join(DATASETS)}")
    return DATASETS[name]


def _require_root(name: str, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path:
    root = find_root(name, environ, cwd)
    if root is not None:
        return root
    if name in _PRIVATE:
        remedy = f"it has no public address: put it into data/{name}"
    else:
        remedy = f"run `python scripts/prepare_datasets.py --datasets {name}`"
    raise UserError(f"dataset {name} is not there; {remedy} or set {DATA_VARIABLE} to the folder that holds {name}/")


def load(
    name: str,
    *,
    root: Path | None = None,
    split: str | None = None,
    audio_format: AudioFormat | None = None,
    limit: int | None = None,
) -> Dataset:
    """Dataset of that name, from ``root`` or from where it is found.

    Parameters
    ----------
    split : str, optional
        How samples are divided; by default the source's first split.
    audio_format : AudioFormat, optional
        What recordings are turned into; by default the source's own format. Not for images.
    limit : int, optional
        At most that many samples in every part, drawn label by label before anything is decoded.

    Raises
    ------
    UserError
        If the dataset is unknown, absent, damaged or has nothing usable, or an argument does not fit it.
    """
    return require_known(name).load(_given_or_found(name, root), split, audio_format, limit)


def fingerprint(
    name: str,
    root: Path | None = None,
    split: str | None = None,
    audio_format: AudioFormat | None = None,
    limit: int | None = None,
) -> str:
    """The ``fingerprint`` of what :func:`load` returns for the same arguments, without decoding anything."""
    return require_known(name).fingerprint(_given_or_found(name, root), split, audio_format, limit)


def _given_or_found(name: str, root: Path | None) -> Path:
    if root is None:
        return _require_root(name)
    if not require_known(name).found_in(root):
        raise UserError(f"{root} does not hold dataset {name}; give the folder that does")
    return root


def summary_of_skipped(skipped: Sequence[Skipped]) -> str:
    """One line for a run's log: how many files were skipped, by reason, and the first of them."""
    if not skipped:
        return "no file skipped"
    # Details stand in brackets or after a semicolon.
    reasons = Counter(one.reason.split(" (")[0].split(";")[0] for one in skipped)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{len(skipped)} files skipped ({counts}), the first {skipped[0].path}: {skipped[0].reason}"
