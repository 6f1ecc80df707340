"""Data sets: where they are looked for, and the same records for all of them.

A data set of the registry is looked for in ``$AUDIO_XAI_DATA/<name>``, then in ``data/<name>`` below the current
directory, then below the project's folder. ``scripts/prepare_datasets.py`` puts them there. Any other folder of sounds
is read by :class:`AudioFolder`.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audioxai.datasets.registry import DATASETS  # isort: skip
from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.audio_folder import AudioFolder
from audioxai.datasets.records import SPLITS, Dataset, Modality, Outline, Sample, Skipped
from audioxai.datasets.sources import Source
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain

__all__ = [
    "DATASETS",
    "DATA_VARIABLE",
    "PREFERENCES",
    "SPLITS",
    "AudioFolder",
    "AudioFormat",
    "Dataset",
    "Modality",
    "Outline",
    "Sample",
    "Skipped",
    "Source",
    "data_folders",
    "find_root",
    "fingerprint",
    "load",
    "names_of",
    "outline",
    "resolve",
    "source_of",
    "summary_of_skipped",
]

# What `auto` takes: the first that is found.
PREFERENCES: dict[Modality, tuple[str, ...]] = {
    "audio": ("audio_mnist", "audio_mnist_az", "fsdd", "spoken_digits"),
    "image": ("mnist", "digits_8x8"),
}
DATA_VARIABLE = "AUDIO_XAI_DATA"
PROJECT_FOLDER = Path(__file__).resolve().parents[3]


def data_folders(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> tuple[Path, ...]:
    """Folders that are looked through, in their order; a given ``cwd`` replaces current and project folder.

    Raises
    ------
    UserError
        If ``$AUDIO_XAI_DATA`` is set to something that is not a folder.
    """
    homes = (Path.cwd(), PROJECT_FOLDER) if cwd is None else (cwd,)
    folders = [home / "data" for home in dict.fromkeys(homes)]
    wanted = environ.get(DATA_VARIABLE, "")
    if not wanted:
        return tuple(folders)
    if not Path(wanted).is_dir():
        raise UserError(f"{DATA_VARIABLE} is {wanted}, which is not a folder; correct it or unset it")
    return (Path(wanted), *folders)


def find_root(name: str, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path | None:
    """First folder that holds the data set, None if none does.

    Raises
    ------
    UserError
        If the name is unknown, ``$AUDIO_XAI_DATA`` is not a folder, or a folder of that name that is not empty is not
        recognised although it is in ``$AUDIO_XAI_DATA`` or comes before one that is.
    """
    source = source_of(name)
    folders = data_folders(environ, cwd)
    roots = [folder / name for folder in folders]
    found = next((root for root in roots if source.found_in(root)), None)
    before = roots[: roots.index(found)] if found is not None else roots[: 1 if environ.get(DATA_VARIABLE) else 0]
    _refuse_unrecognised(source, before)
    return found


def _refuse_unrecognised(source: Source, roots: Sequence[Path]) -> None:
    for root in roots:
        if root.is_dir() and any(not entry.name.startswith(".") for entry in root.iterdir()):
            raise UserError(
                f"{root} is not recognised as data set {source.name}: it lacks {source.lacking_in(root)}; complete it "
                "or move it away"
            )


def resolve(wanted: str, modality: Modality, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> str:
    """Name of a data set that is there: ``wanted`` itself, or for ``auto`` the first found of the preferred ones.

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
        f"no {modality} data set is there ({', '.join(PREFERENCES[modality])}); run "
        f"`python scripts/prepare_datasets.py --for-demo` or set {DATA_VARIABLE} to the folder that holds one"
    )


def _resolve_named(wanted: str, modality: Modality, environ: Mapping[str, str], cwd: Path | None) -> str:
    own = DATASETS[wanted].modality
    if own != modality:
        raise UserError(
            f"data set {wanted} is of modality {own}, not {modality}; choose from auto, {', '.join(names_of(modality))}"
        )
    _require_root(wanted, environ, cwd)
    return wanted


def names_of(modality: Modality) -> tuple[str, ...]:
    """Registered data sets of a modality."""
    return tuple(name for name, entry in DATASETS.items() if entry.modality == modality)


def source_of(data: str | Source) -> Source:
    """The source registered under that name; a source itself as it is.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if not isinstance(data, str):
        return data
    source: Source = DATASETS[data].make()
    return source


def _require_root(name: str, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path:
    root = find_root(name, environ, cwd)
    if root is not None:
        return root
    _refuse_unrecognised(source_of(name), [folder / name for folder in data_folders(environ, cwd)])
    if source_of(name).public is None and DATASETS[name].stand_in_for is None:
        remedy = f"it has no public address: put it into data/{name}"
    else:
        remedy = f"run `python scripts/prepare_datasets.py --datasets {name}`"
    raise UserError(f"data set {name} is not there; {remedy} or set {DATA_VARIABLE} to the folder that holds {name}/")


def load(
    data: str | Source,
    *,
    root: Path | None = None,
    split: str | None = None,
    audio_format: AudioFormat | None = None,
    limit: int | None = None,
) -> Dataset:
    """Samples of a data set, from ``root`` or from where it is found.

    Parameters
    ----------
    data : str or Source
        Registered name, or a source such as :class:`AudioFolder`.
    split : str, optional
        How samples are divided; by default the source's first split.
    audio_format : AudioFormat, optional
        What recordings are turned into; by default the source's own format. Not for images.
    limit : int, optional
        At most that many samples in every part, drawn label by label before anything is decoded.

    Raises
    ------
    UserError
        If the data set is unknown, absent, damaged or has nothing usable, or an argument does not fit it.
    """
    source = source_of(data)
    loaded = source.load(_given_or_found(data, source, root), split, audio_format, limit)
    return replace(loaded, stand_in_for=DATASETS[data].stand_in_for) if isinstance(data, str) else loaded


def fingerprint(
    data: str | Source,
    root: Path | None = None,
    split: str | None = None,
    audio_format: AudioFormat | None = None,
    limit: int | None = None,
) -> str:
    """The ``fingerprint`` of what :func:`load` returns for the same arguments, without decoding anything."""
    source = source_of(data)
    return source.fingerprint(_given_or_found(data, source, root), split, audio_format, limit)


def outline(data: str | Source, *, split: str | None = None, limit: int | None = None) -> Outline:
    """Classes and sizes of what :func:`load` returns for the same arguments, without decoding anything."""
    source = source_of(data)
    return source.outline(_given_or_found(data, source, None), split, limit)


def _given_or_found(data: str | Source, source: Source, root: Path | None) -> Path:
    if not isinstance(data, str):
        place = root or getattr(source, "root", None)
        if place is None:
            raise UserError(f"data set {source.name} has no folder; give root, the folder that holds it")
        return Path(place)
    if root is None:
        return _require_root(data)
    if not source.found_in(root):
        raise UserError(
            f"{root} does not hold data set {data}: it lacks {source.lacking_in(root)}; give the folder that does"
        )
    return root


def summary_of_skipped(skipped: Sequence[Skipped]) -> str:
    """One line for a run's log: how many files were skipped, by reason, and the first of them."""
    if not skipped:
        return "no file skipped"
    # Details stand in brackets or after a semicolon.
    reasons = Counter(one.reason.split(" (")[0].split(";")[0] for one in skipped)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{len(skipped)} files skipped ({counts}), the first {plain(str(skipped[0].path))}: {skipped[0].reason}"
