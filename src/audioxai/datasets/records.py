"""Samples and data sets, the same records for images and sound."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor

Modality = Literal["audio", "image"]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Sample:
    """One recording or image.

    Attributes
    ----------
    id : str
        Unique within the data set, stable across machines (a relative path or an index).
    input : Tensor
        Waveform ``(1, time)`` in [−1, 1] or image ``(1, rows, columns)`` in [0, 1].
    label : int
        Class index.
    group : str or None
        What must not be in two parts of a split: a speaker, a source recording, a site; None where it is not known.
    split : str
        ``train``, ``validation`` or ``test``.
    """

    id: str
    input: Tensor
    label: int
    group: str | None
    split: str


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Recording:
    """A listed, not yet decoded recording.

    Attributes
    ----------
    id : str
        Path below the data set's folder, with ``/``.
    path : Path
        The file.
    label : int
        Class index.
    group : str or None
        As of :class:`Sample`.
    own_part : str
        Part, or name of the fold, that the data set itself gives it; empty if it gives none.
    """

    id: str
    path: Path
    label: int
    group: str | None
    own_part: str = ""


@dataclass(frozen=True)
class Listing:
    """Recordings of known class by id, files that cannot be placed, names of the classes, and what a group is."""

    recordings: tuple[Recording, ...]
    skipped: tuple[Skipped, ...]
    class_names: tuple[str, ...]
    group_name: str | None


@dataclass(frozen=True)
class Outline:
    """What a data set is going to hold, known without decoding it.

    Attributes
    ----------
    class_names : tuple of str
        Name of every class index.
    samples : mapping of str to int
        Samples of every part, fewer if files turn out to be unusable.
    """

    class_names: tuple[str, ...]
    samples: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of one data set under one split, ordered train, validation, test so that a part is a view, not a copy.

    Attributes
    ----------
    name, modality : str
        Name in the registry or of the folder; ``audio`` or ``image``.
    stand_in_for : str or None
        Name of the real data set that this one stands in for, None if it is real.
    split_name : str
        How samples were divided, such as ``fold1``, ``speaker_disjoint`` or ``official``.
    group_disjoint : bool
        Whether groups are known and none is in two parts.
    group_name : str or None
        What a group is, such as ``speaker`` or ``source recording``; None where there are no groups.
    class_names : tuple of str
        Name of every class index.
    sample_rate_hz : int or None
        Rate of the waveforms, None for images.
    ids, groups, splits : tuple
        One entry per sample.
    inputs : Tensor
        ``(samples, 1, time)`` or ``(samples, 1, rows, columns)``, float32.
    labels : Tensor
        ``(samples,)``, int64.
    skipped : tuple of Skipped
        Files that could not be used.
    fingerprint : str
        Hash of the files' content, of the split and of how waveforms were made from them.
    root : Path or None
        Folder that it was loaded from.
    """

    name: str
    modality: Modality
    stand_in_for: str | None
    split_name: str
    group_disjoint: bool
    group_name: str | None
    class_names: tuple[str, ...]
    sample_rate_hz: int | None
    ids: tuple[str, ...]
    inputs: Tensor
    labels: Tensor
    groups: tuple[str | None, ...]
    splits: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    fingerprint: str
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return Sample(
            self.ids[index],
            self.inputs[index],
            int(self.labels[index]),
            self.groups[index],
            self.splits[index],
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def part(self, split: str) -> "Dataset":
        """Samples of one split (``train``, ``validation`` or ``test``), sharing memory with this data set."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; it has to be one of {', '.join(SPLITS)}")
        first = sum(1 for own in self.splits if SPLITS.index(own) < SPLITS.index(split))
        rows = slice(first, first + self.splits.count(split))
        return replace(
            self,
            ids=self.ids[rows],
            inputs=self.inputs[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            splits=self.splits[rows],
        )

    def rows(self, positions: Tensor) -> "Dataset":
        """Samples of one part at these positions ``(samples,)``, in this order, as copies."""
        numbers = positions.tolist()
        return replace(
            self,
            ids=tuple(self.ids[row] for row in numbers),
            inputs=self.inputs[positions],
            labels=self.labels[positions],
            groups=tuple(self.groups[row] for row in numbers),
            splits=tuple(self.splits[row] for row in numbers),
        )
