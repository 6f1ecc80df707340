"""Folders of recorded spoken digits: layouts that name digit and speaker, and ways to divide the speakers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from audioxai.datasets.audio_files import AudioFormat, read_waveforms
from audioxai.datasets.records import SPLITS, Dataset, Modality, Skipped
from audioxai.datasets.sources import (
    DIGIT_NAMES,
    balanced_draw,
    content_fingerprint,
    file_digests,
    known_split,
    require_every_part,
)
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Recording:
    """A listed, not yet decoded recording; ``id`` is its path below the dataset's folder, with ``/``."""

    id: str
    path: Path
    label: int
    speaker: str
    repetition: int


@dataclass(frozen=True)
class Listing:
    """Recordings whose names tell digit and speaker, and the files whose names do not."""

    recordings: tuple[Recording, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Layout:
    """How recordings lie in a folder.

    Attributes
    ----------
    folder : str
        Subfolder that holds the recordings.
    holds_recordings : callable
        Whether such a subfolder is laid out this way, with at least one audio file.
    list_recordings : callable
        Everything in the dataset's folder (the subfolder's parent).
    """

    folder: str
    holds_recordings: Callable[[Path], bool]
    list_recordings: Callable[[Path], Listing]


@dataclass(frozen=True)
class Split:
    """A way to divide recordings into parts: ``parts(recordings)`` names the part of each."""

    speaker_disjoint: bool
    parts: Callable[[Sequence[Recording]], list[str]]


@dataclass(frozen=True)
class Chosen:
    """Recordings to decode, ordered train, validation, test and by id within; ``parts`` names the part of each."""

    recordings: tuple[Recording, ...]
    parts: tuple[str, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class SpeechFolder:
    """Spoken digits in a folder; see :class:`~audioxai.datasets.sources.Source`.

    Attributes
    ----------
    layout : Layout
        Where digit and speaker are named.
    splits : mapping
        Split of every name, the default one first.
    audio_format : AudioFormat
        How recordings are read unless another format is asked for.
    """

    modality: ClassVar[Modality] = "audio"

    name: str
    stand_in_for: str | None
    layout: Layout
    splits: Mapping[str, Split]
    audio_format: AudioFormat

    @property
    def split_names(self) -> tuple[str, ...]:
        """Known splits, the default one first."""
        return tuple(self.splits)

    def found_in(self, root: Path) -> bool:
        """Whether ``root`` has this layout with at least one audio file."""
        return self.layout.holds_recordings(root / self.layout.folder)

    def count_files(self, root: Path) -> int:
        """Number of recordings whose names are right."""
        return len(self.layout.list_recordings(root).recordings)

    def load(self, root: Path, split: str | None, audio_format: AudioFormat | None, limit: int | None) -> Dataset:
        """Decoded recordings ``(samples, 1, time)``; unusable files are in ``skipped``.

        Raises
        ------
        UserError
            If no file is usable or a part of the split stays empty.
        """
        split_name = known_split(self, split)
        chosen = self._choose(root, split_name, limit)
        own_format = audio_format or self.audio_format
        waveforms, usable, unusable = read_waveforms([one.path for one in chosen.recordings], own_format)
        skipped = tuple(sorted((*chosen.skipped, *unusable), key=lambda one: one.path))
        self._require_usable(root, usable, skipped)
        kept = [chosen.recordings[index] for index in usable]
        parts = tuple(chosen.parts[index] for index in usable)
        require_every_part(self.name, root, split_name, parts)
        return Dataset(
            name=self.name,
            modality=self.modality,
            stand_in_for=self.stand_in_for,
            split_name=split_name,
            speaker_disjoint=self.splits[split_name].speaker_disjoint,
            class_names=DIGIT_NAMES,
            sample_rate_hz=own_format.sample_rate_hz,
            ids=tuple(one.id for one in kept),
            inputs=torch.from_numpy(waveforms)[:, None],
            labels=torch.tensor([one.label for one in kept], dtype=torch.int64),
            speakers=tuple(one.speaker for one in kept),
            splits=parts,
            skipped=skipped,
            fingerprint=self._fingerprint(chosen, split_name, own_format, limit),
        )

    def fingerprint(self, root: Path, split: str | None, audio_format: AudioFormat | None, limit: int | None) -> str:
        """The fingerprint of what :meth:`load` returns, without decoding."""
        split_name = known_split(self, split)
        chosen = self._choose(root, split_name, limit)
        return self._fingerprint(chosen, split_name, audio_format or self.audio_format, limit)

    def _choose(self, root: Path, split_name: str, limit: int | None) -> Chosen:
        listing = self.layout.list_recordings(root)
        self._require_usable(root, listing.recordings, listing.skipped)
        recordings = sorted(listing.recordings, key=lambda one: one.id)
        parts = self.splits[split_name].parts(recordings)
        drawn: list[tuple[Recording, str]] = []
        for part in SPLITS:
            own = [one for one, own_part in zip(recordings, parts, strict=True) if own_part == part]
            draw = balanced_draw([one.id for one in own], [one.label for one in own], limit)
            drawn += [(own[index], part) for index in draw]
        return Chosen(tuple(one for one, _ in drawn), tuple(part for _, part in drawn), listing.skipped)

    def _fingerprint(self, chosen: Chosen, split_name: str, audio_format: AudioFormat, limit: int | None) -> str:
        digests = file_digests([one.path for one in chosen.recordings])
        keys = [f"{one.id}\0{part}" for one, part in zip(chosen.recordings, chosen.parts, strict=True)]
        reading = (
            audio_format.sample_rate_hz,
            float(audio_format.duration_s),
            audio_format.placement,
            None if audio_format.trim_below_peak_db is None else float(audio_format.trim_below_peak_db),
            audio_format.peak_normalise,
        )
        return content_fingerprint(zip(keys, digests, strict=True), split_name, reading, limit)

    def _require_usable(self, root: Path, usable: Sequence[object], skipped: Sequence[Skipped]) -> None:
        if usable:
            return
        if not skipped:
            raise UserError(
                f"{root} holds no recordings of {self.name}; give the folder that holds {self.layout.folder}/"
            )
        raise UserError(
            f"none of the {len(skipped)} files of {self.name} in {root} is usable; the first one is "
            f"{skipped[0].path}: {skipped[0].reason}"
        )


def disjoint_speakers(recordings: Sequence[Recording]) -> list[str]:
    """Part of every recording, by speaker: about 20 % of the speakers test, 10 % validation, at least one in each.

    Speakers are ordered by a hash of their name, so that the division depends on nothing but who is there.

    Raises
    ------
    UserError
        If there are fewer than three speakers.
    """
    speakers = sorted({one.speaker for one in recordings}, key=lambda name: derived_seed("speakers", name))
    if len(speakers) < len(SPLITS):
        raise UserError(
            f"a speaker-disjoint split needs 3 speakers but there is only {' and '.join(speakers)}; "
            "add recordings of others"
        )
    tests = max(1, round(TEST_SHARE * len(speakers)))
    validations = max(1, round(VALIDATION_SHARE * len(speakers)))
    part_of = dict.fromkeys(speakers, "train")
    part_of |= dict.fromkeys(speakers[:tests], "test")
    part_of |= dict.fromkeys(speakers[tests : tests + validations], "validation")
    return [part_of[one.speaker] for one in recordings]


SPEAKER_DISJOINT = Split(speaker_disjoint=True, parts=disjoint_speakers)
