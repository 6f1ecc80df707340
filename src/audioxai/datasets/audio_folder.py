"""Any folder of sounds as a data set: class folders, or a table that names files, labels, groups and parts.

Class folders: ``root/{label}/…/anything.wav``; folders named train, validation and test (or dev, eval, …) above the
classes are the parts. Tables: CSV or TSV with a header, such as ESC-50's ``meta/esc50.csv`` and the ``metadata.csv`` of
Hugging Face's audio folders.
"""

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

from audioxai.datasets.audio_files import LONGEST_RECORDING_S, PLAUSIBLE_RATES_HZ, AudioFormat, open_sound
from audioxai.datasets.recordings import Recordings, files_below, is_audio
from audioxai.datasets.records import SPLITS, Dataset, Listing, Outline, Recording, Skipped
from audioxai.datasets.registry import DATASETS
from audioxai.datasets.sources import PublicArchive
from audioxai.datasets.splits import SHARES, Split, fold_splits, own_parts, stratified_parts
from audioxai.datasets.whole_files import UnusableFile, require_whole
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain

AUTO = "auto"
# Where a table is looked for, and the columns that are recognised, the first that is there.
TABLES = ("metadata.csv", "metadata.tsv", "meta/esc50.csv")
FILE_COLUMNS = ("file", "file_name", "filename", "path")
LABEL_COLUMNS = ("label", "category", "class", "target")
GROUP_COLUMNS = ("group", "speaker", "speaker_id", "src_file")
SPLIT_COLUMNS = ("split", "fold")
# What a group is, where the column's name does not say it.
GROUP_NAMES = {"speaker_id": "speaker", "src_file": "source recording"}
PART_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
FOLD = "fold"
LONGEST_DEFAULT_S = 5.0
# Sound that libsndfile does not read; other files among the recordings are ignored.
UNREADABLE_SUFFIXES = frozenset({".aac", ".amr", ".m4a", ".mp4", ".raw", ".webm", ".wma"})


@dataclass(frozen=True)
class _Entry:
    """A recording as the folder or the table names it."""

    id: str
    path: Path
    label: str
    group: str | None = None
    own_part: str = ""


@DATASETS.register(
    "audio_folder",
    label="Folder of sounds",
    modality="audio",
    description="any folder of sounds, labelled by its subfolders or by a table",
    source="recordings that were put there",
    licence="as their owner says",
)
@dataclass(frozen=True)
class AudioFolder(Recordings):
    """A folder of sounds as a data set.

    Parameters
    ----------
    root : str or Path, optional
        The folder; without it, where it is loaded from.
    name : str
        Name of the data set; by default the folder's.
    table : str or None
        Path below the folder of a CSV or TSV file with one row per recording. ``auto`` takes the first of
        ``metadata.csv``, ``metadata.tsv`` and ``meta/esc50.csv`` that is there, else class folders; None takes class
        folders.
    file_column, label_column : str
        Columns of the table; ``auto`` takes the first that is there of ``file``, ``file_name``, ``filename``, ``path``
        and of ``label``, ``category``, ``class``, ``target``. Files are looked for from the table, from the folder,
        in its ``audio/``, and names without a folder anywhere if only one file has it.
    group_column : str or None
        Column of the groups; ``auto`` takes ``group``, ``speaker``, ``speaker_id`` or ``src_file`` if there. None: no
        groups.
    split_column : str or None
        Column of the parts: train, validation and test (or other usual names), or numbers of folds. ``auto`` takes
        ``split`` or ``fold`` if there. None: parts are drawn.
    group_pattern : str or None
        Regular expression searched in every file's path below the folder, with ``/``: what its last group matched, or
        all of the match, is the recording's group. It replaces the column.
    group_name : str or None
        What a group is, such as ``speaker``; by default from the column's name.
    sample_rate_hz : int or None
        Rate after resampling; by default that of most files.
    duration_s : float or None
        Length of every clip in seconds; by default that of the longest file before trimming, at most 5, rounded up to
        10 ms.
    placement : {"centre", "start"}
        Where clips are cut or padded.
    trim_below_peak_db : float or None
        Silence further below the loudest frame is taken off both ends, if given.
    peak_normalise : bool
        Whether the largest magnitude becomes 1.
    shares : tuple of float
        Shares of train, validation and test where parts are drawn; they add up to 1.
    seed : int
        Seed of the drawn parts.

    Raises
    ------
    UserError
        If an option is out of its range.

    Notes
    -----
    Splits: ``given`` (or ``fold1`` …, each validating on the fold before it) where folder or table names parts, else
    and besides ``group_disjoint``, or ``by_clip`` without groups: drawn such that every class is in every part.
    """

    public: ClassVar[PublicArchive | None] = None

    root: str | Path | None = None
    name: str = ""
    table: str | None = AUTO
    file_column: str = AUTO
    label_column: str = AUTO
    group_column: str | None = AUTO
    split_column: str | None = AUTO
    group_pattern: str | None = None
    group_name: str | None = None
    sample_rate_hz: int | None = None
    duration_s: float | None = None
    placement: Literal["centre", "start"] = "centre"
    trim_below_peak_db: float | None = None
    peak_normalise: bool = True
    shares: tuple[float, float, float] = SHARES
    seed: int = 0

    def __post_init__(self) -> None:
        folder_name = "" if self.root is None else Path(self.root).resolve().name
        object.__setattr__(self, "name", self.name or folder_name or "audio_folder")
        object.__setattr__(self, "shares", tuple(self.shares))
        if len(self.shares) != 3 or not all(0 < share < 1 for share in self.shares) or abs(sum(self.shares) - 1) > 1e-6:
            raise UserError(f"shares are {list(self.shares)}; give three positive numbers that add up to 1")
        if self.group_pattern is not None:
            try:
                re.compile(self.group_pattern)
            except re.error as error:
                raise UserError(
                    f"group_pattern {self.group_pattern!r} is not a regular expression ({error}); correct it"
                ) from error
        # Refuses what is out of range; what is not given is within it.
        rate_hz = 1000 if self.sample_rate_hz is None else self.sample_rate_hz
        self._format(rate_hz, 1.0 if self.duration_s is None else self.duration_s)

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:
        """Known splits of the folder, the default one first."""
        return tuple(self.splits_of(self.list_recordings(self._place(root))))

    def audio_format(self, root: Path | None = None) -> AudioFormat:
        """How the recordings of the folder are read unless another format is asked for."""
        return self.format_of(self.list_recordings(self._place(root)))

    def found_in(self, root: Path) -> bool:
        """Whether there is a sound anywhere in ``root``."""
        return root.is_dir() and any(is_audio(file) for file in files_below(root))

    def lacking_in(self, root: Path) -> str:  # noqa: ARG002
        """Sounds."""
        return "sounds"

    def place_in(self, folder: Path) -> str | None:
        """``""`` if there is a sound anywhere in ``folder``, else None."""
        return "" if self.found_in(folder) else None

    def count_files(self, root: Path) -> int:
        """Number of recordings."""
        return len(self.list_recordings(root).recordings)

    def list_recordings(self, root: Path) -> Listing:
        """Recordings in ``root`` by id, with classes in the order of their names (numbers by value).

        Raises
        ------
        UserError
            If there are no sounds, fewer than two classes, or the table contradicts itself or the folder.
        """
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; give the folder that holds the sounds")
        table = self._table_in(root)
        entries, skipped = self._from_folders(root) if table is None else (self._from_table(root, table), ())
        if not entries:
            _refuse_empty(root, skipped)
        groups, group_name = self._groups(entries, table)
        names = tuple(sorted({one.label for one in entries}, key=_by_value))
        if len(names) < 2:
            raise UserError(f"{self.name} in {root} has one class, {names[0]!r}; a classifier needs two or more")
        label_of = {name: label for label, name in enumerate(names)}
        recordings = [
            Recording(one.id, one.path, label_of[one.label], group, one.own_part)
            for one, group in zip(entries, groups, strict=True)
        ]
        recordings.sort(key=lambda one: one.id)
        return Listing(tuple(recordings), skipped, names, group_name)

    def splits_of(self, listing: Listing) -> Mapping[str, Split]:
        """Splits that the folder or table gives, then the drawn one."""
        own = {one.own_part for one in listing.recordings}
        splits: dict[str, Split] = {}
        if own <= set(SPLITS):
            splits["given"] = Split(own_parts, every_class=True)
        elif own != {""}:
            splits |= fold_splits(sorted(own, key=lambda fold: int(fold.removeprefix(FOLD))), every_class=True)
        drawn = partial(stratified_parts, shares=self.shares, seed=self.seed)
        splits["by_clip" if listing.group_name is None else "group_disjoint"] = Split(drawn, every_class=True)
        return splits

    def format_of(self, listing: Listing) -> AudioFormat:
        """The options' format; what they leave open comes from the headers of all listed files.

        Raises
        ------
        UserError
            If no header can be read.
        """
        if self.sample_rate_hz is not None and self.duration_s is not None:
            return self._format(self.sample_rate_hz, self.duration_s)
        with ThreadPoolExecutor() as pool:
            headers = [one for one in pool.map(_header, [one.path for one in listing.recordings]) if one is not None]
        if not headers:
            raise UserError(
                f"no sound of {self.name} can be read, the first is {listing.recordings[0].path}; convert them to WAV "
                "or FLAC"
            )
        rates = Counter(rate_hz for rate_hz, _ in headers)
        rate_hz = self.sample_rate_hz or min(rates, key=lambda rate: (-rates[rate], rate))
        longest_s = min(max(duration_s for _, duration_s in headers), LONGEST_DEFAULT_S)
        # Rounded first, so that a length of whole hundredths does not become the next one.
        return self._format(rate_hz, self.duration_s or ceil(round(100 * longest_s, 6)) / 100)

    def key_of(self, listing: Listing, recording: Recording) -> str:
        """Id, label and group: a table can change the latter two without touching a file."""
        return f"{recording.id}\0{listing.class_names[recording.label]}\0{recording.group}"

    def load(
        self,
        root: Path | None = None,
        split: str | None = None,
        audio_format: AudioFormat | None = None,
        limit: int | None = None,
    ) -> Dataset:
        """As :meth:`Recordings.load`, from its own folder where no other is given."""
        return super().load(self._place(root), split, audio_format, limit)

    def outline(self, root: Path | None = None, split: str | None = None, limit: int | None = None) -> Outline:
        """As :meth:`Recordings.outline`, of its own folder where no other is given."""
        return super().outline(self._place(root), split, limit)

    def fingerprint(
        self,
        root: Path | None = None,
        split: str | None = None,
        audio_format: AudioFormat | None = None,
        limit: int | None = None,
    ) -> str:
        """The fingerprint of what :meth:`load` returns, without decoding."""
        return super().fingerprint(self._place(root), split, audio_format, limit)

    def _place(self, root: Path | None) -> Path:
        place = self.root if root is None else root
        if place is None:
            raise UserError(f"data set {self.name} has no folder; give root, the folder that holds the sounds")
        return Path(place)

    def _format(self, sample_rate_hz: int, duration_s: float) -> AudioFormat:
        return AudioFormat(sample_rate_hz, duration_s, self.placement, self.trim_below_peak_db, self.peak_normalise)

    def _table_in(self, root: Path) -> Path | None:
        if self.table is None:
            return None
        if self.table == AUTO:
            return next((root / name for name in TABLES if (root / name).is_file()), None)
        if not (root / self.table).is_file():
            raise UserError(f"there is no table {self.table} in {root}; correct the name or leave it out")
        return root / self.table

    def _groups(self, entries: Sequence[_Entry], table: Path | None) -> tuple[list[str | None], str | None]:
        """Group of every recording, and what a group is."""
        if self.group_pattern is not None:
            return _matched(self.group_pattern, [one.id for one in entries]), self.group_name or "group"
        groups = [one.group for one in entries]
        if table is None or all(group is None for group in groups):
            return groups, None
        column = _column(table, _read_table(table)[0], self.group_column or AUTO, GROUP_COLUMNS)
        return groups, self.group_name or GROUP_NAMES.get(str(column), column)

    def _from_folders(self, root: Path) -> tuple[list[_Entry], tuple[Skipped, ...]]:
        """Recordings labelled by the folder directly below ``root``, or below those that are named as parts."""
        files = [file for file in files_below(root) if is_audio(file) or file.suffix.lower() in UNREADABLE_SUFFIXES]
        places = [_normal(file.relative_to(root).as_posix()).split("/") for file in files]
        tops = {place[0].lower() for place in places if len(place) > 1}
        # One such folder alone is a class of that name.
        depth = 1 if tops <= PART_NAMES.keys() and len({PART_NAMES[top] for top in tops}) > 1 else 0
        entries, skipped = [], []
        for file, place in zip(files, places, strict=True):
            if not is_audio(file):
                skipped.append(Skipped(file, f"unreadable ({file.suffix} is not read; convert it to WAV or FLAC)"))
            elif len(place) < depth + 2:
                skipped.append(Skipped(file, "in no class folder"))
            else:
                own_part = PART_NAMES[place[0].lower()] if depth else ""
                entries.append(_Entry("/".join(place), file, place[depth], own_part=own_part))
        return entries, tuple(skipped)

    def _from_table(self, root: Path, table: Path) -> list[_Entry]:
        """Recordings that the table names."""
        columns, rows = _read_table(table)
        file_column = _column(table, columns, self.file_column, FILE_COLUMNS, "file")
        label_column = _column(table, columns, self.label_column, LABEL_COLUMNS, "label")
        group_column = _column(table, columns, self.group_column, GROUP_COLUMNS)
        split_column = _column(table, columns, self.split_column, SPLIT_COLUMNS)
        labels = _cells(table, rows, label_column)
        groups: list[str | None] = [None] * len(rows)
        if group_column is not None and self.group_pattern is None:
            groups = [*_cells(table, rows, group_column)]
        parts = [""] * len(rows) if split_column is None else _parts(table, split_column, rows)
        files = _Finder(root, table).find(_cells(table, rows, file_column))
        ids = [_normal(file.relative_to(root).as_posix()) for file in files]
        repeated = next((name for name, count in Counter(ids).items() if count > 1), None)
        if repeated is not None:
            raise UserError(f"{table} names {repeated} more than once; keep one row per recording")
        return [_Entry(*fields) for fields in zip(ids, files, labels, groups, parts, strict=True)]


class _Finder:
    """Finds the files that a table names.

    Raises
    ------
    UserError
        From :meth:`find`, if one is missing, ambiguous or outside the folder.
    """

    def __init__(self, root: Path, table: Path) -> None:
        self._root, self._table = root, table
        self._places = tuple(dict.fromkeys((table.parent, root, root / "audio")))
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, names: Sequence[str]) -> list[Path]:
        """File of every name."""
        found = [self._find(name.replace("\\", "/")) for name in names]
        missing = [name for name, file in zip(names, found, strict=True) if file is None]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(names)} files that {self._table} names are not in {self._root}, the first is "
                f"{missing[0]!r}; add them or correct the table"
            )
        return [file for file in found if file is not None]

    def _find(self, name: str) -> Path | None:
        file = next((place / name for place in self._places if (place / name).is_file()), None)
        # A path is not looked for by its last part: classes may have files of the same names.
        if file is None and "/" not in name:
            file = self._named(name)
        if file is None:
            return None
        # Not resolved: links stay as they are, steps upwards go.
        inside = Path(os.path.normpath(file))
        if not inside.is_relative_to(os.path.normpath(self._root)):
            raise UserError(f"{self._table} names {name}, which is outside {self._root}; move the sounds into it")
        return self._root / inside.relative_to(os.path.normpath(self._root))

    def _named(self, name: str) -> Path | None:
        """The one file of that name anywhere in the folder."""
        if self._by_name is None:
            self._by_name = {}
            for file in files_below(self._root):
                self._by_name.setdefault(_normal(file.name), []).append(file)
        files = self._by_name.get(_normal(name), [])
        if len(files) > 1:
            raise UserError(
                f"{self._table} names {name}, of which there are {len(files)} in {self._root}; write its path from "
                f"{self._table.parent} in the table"
            )
        return files[0] if files else None


def _refuse_empty(root: Path, skipped: Sequence[Skipped]) -> None:
    if not skipped:
        raise UserError(f"{root} holds no sounds; give a folder of class folders or one with a table")
    raise UserError(
        f"none of the {len(skipped)} sounds in {root} is usable; the first is {skipped[0].path}: {skipped[0].reason}"
    )


def _normal(text: str) -> str:
    """Composed characters, whichever way the file system stores them; bytes that are no UTF-8 written out."""
    return unicodedata.normalize("NFC", plain(text))


def _by_value(name: str) -> tuple[int, int, str]:
    """Numbers by their value, then names."""
    return (0, int(name), name) if name.isascii() and name.isdecimal() else (1, 0, name)


def _matched(pattern: str, ids: Sequence[str]) -> list[str | None]:
    matches = [re.search(pattern, name) for name in ids]
    groups = [None if match is None else match[match.lastindex or 0] for match in matches]
    unmatched = [name for name, group in zip(ids, groups, strict=True) if not group]
    if unmatched:
        raise UserError(
            f"group_pattern {pattern!r} finds no group in {len(unmatched)} of {len(ids)} files, the first is "
            f"{min(unmatched)}; correct it"
        )
    return groups


def _header(file: Path) -> tuple[int, float] | None:
    """Sample rate in Hz and length in seconds, None if the file tells neither."""
    try:
        require_whole(file)
        with open_sound(file) as sound:
            rate_hz, frames = int(sound.samplerate), int(sound.frames)
    except (UnusableFile, OSError, RuntimeError, ValueError, TypeError, OverflowError):
        return None
    usable = PLAUSIBLE_RATES_HZ[0] <= rate_hz <= PLAUSIBLE_RATES_HZ[1] and 0 < frames <= LONGEST_RECORDING_S * rate_hz
    return (rate_hz, frames / rate_hz) if usable else None


def _read_table(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows; cells without surrounding blanks.

    Raises
    ------
    UserError
        If it is not a table.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            header = lines.readline()
            lines.seek(0)
            delimiter = max("\t,;", key=header.count)
            reader = csv.DictReader(lines, delimiter=delimiter, restval="")
            rows = [{str(key).strip(): str(cell).strip() for key, cell in row.items()} for row in reader]
    except (ValueError, csv.Error) as error:
        raise UserError(f"{table} is not a table in UTF-8 ({error}); save it as CSV with a header") from error
    columns = [str(name).strip() for name in reader.fieldnames or ()]
    longer = next((number for number, row in enumerate(rows, 1) if str(None) in row), None)
    if longer is not None and str(None) not in columns:
        raise UserError(f"row {longer} of {table} has more cells than the header; quote cells that hold {delimiter!r}")
    if not rows:
        raise UserError(f"{table} has no rows; write one per recording below a header, or remove it")
    return columns, rows


def _column(
    table: Path, columns: Sequence[str], wanted: str | None, usual: Sequence[str], required: str = ""
) -> str | None:
    """The wanted column, or for ``auto`` the first usual one that is there, None if none is and none is required.

    Raises
    ------
    UserError
        If a column that is named or required is not there.
    """
    if wanted is None:
        return None
    found = next((name for name in (usual if wanted == AUTO else (wanted,)) if name in columns), None)
    if found is None and (required or wanted != AUTO):
        raise UserError(
            f"{table} has no {required or 'such'} column"
            f"{f' {wanted!r}' if wanted != AUTO else ''}; it has {', '.join(columns)}: name one of them"
            f"{f' as {required}_column' if required else ''}"
        )
    return found


def _cells(table: Path, rows: Sequence[Mapping[str, str]], column: str | None) -> list[str]:
    cells = [_normal(row[str(column)]) for row in rows]
    if "" in cells:
        raise UserError(f"row {cells.index('') + 1} of {table} has no {column}; fill it in or remove the row")
    return cells


def _parts(table: Path, column: str, rows: Sequence[Mapping[str, str]]) -> list[str]:
    cells = _cells(table, rows, column)
    if all(cell.isascii() and cell.isdecimal() for cell in cells):
        return [f"{FOLD}{int(cell)}" for cell in cells]
    unknown = next((cell for cell in cells if cell.lower() not in PART_NAMES), None)
    if unknown is not None:
        raise UserError(
            f"column {column} of {table} holds {unknown!r}; write train, validation and test, or numbers of folds, or "
            "set split_column to null to draw parts"
        )
    return [PART_NAMES[cell.lower()] for cell in cells]
