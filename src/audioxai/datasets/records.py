"""One sample record for every dataset, images and sound alike."""

from collections.abc import Iterator
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
        Unique within the dataset, stable across machines (a relative path or an index).
    input : Tensor
        Waveform ``(1, time)`` in [−1, 1] or image ``(1, rows, columns)`` in [0, 1].
    label : int
        Class index.
    speaker : str or None
        Who speaks; None for images.
    split : str
        ``train``, ``validation`` or ``test``.
    """

    id: str
    input: Tensor
    label: int
    speaker: str | None
    split: str


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of one dataset under one split, ordered train, validation, test so that a part is a view, not a copy.

    Attributes
    ----------
    name, modality : str
        The registry's name; ``audio`` or ``image``.
    stand_in_for : str or None
        Name of the real dataset that this one stands in for, None if it is real.
    split_name : str
        How samples were divided, such as ``fold1``, ``speaker_disjoint`` or ``official``.
    speaker_disjoint : bool
        Whether no speaker is in two parts.
    class_names : tuple of str
        Name of every class index.
    sample_rate_hz : int or None
        Rate of the waveforms, None for images.
    ids, speakers, splits : tuple
        One entry a sample.
    inputs : Tensor
        ``(samples, 1, time)`` or ``(samples, 1, rows, columns)``, float32.
    labels : Tensor
        ``(samples,)``, int64.
    skipped : tuple of Skipped
        Files that could not be used.
    fingerprint : str
        Hash of the files' content, of the split and of how waveforms were made from them.
    """

    name: str
    modality: Modality
    stand_in_for: str | None
    split_name: str
    speaker_disjoint: bool
    class_names: tuple[str, ...]
    sample_rate_hz: int | None
    ids: tuple[str, ...]
    inputs: Tensor
    labels: Tensor
    speakers: tuple[str | None, ...]
    splits: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return Sample(
            self.ids[index],
            self.inputs[index],
            int(self.labels[index]),
            self.speakers[index],
            self.splits[index],
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def part(self, split: str) -> "Dataset":
        """Samples of one split (``train``, ``validation`` or ``test``), sharing memory with this dataset."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; it has to be one of {', '.join(SPLITS)}")
        first = sum(1 for own in self.splits if SPLITS.index(own) < SPLITS.index(split))
        rows = slice(first, first + self.splits.count(split))
        return replace(
            self,
            ids=self.ids[rows],
            inputs=self.inputs[rows],
            labels=self.labels[rows],
            speakers=self.speakers[rows],
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
            speakers=tuple(self.speakers[row] for row in numbers),
            splits=tuple(self.splits[row] for row in numbers),
        )
