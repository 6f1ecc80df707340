"""Recordings in folders: listed, divided into parts, decoded; the steps that every audio source shares."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

import torch

from audioxai.datasets.audio_files import AUDIO_SUFFIXES, AudioFormat, read_waveforms
from audioxai.datasets.records import SPLITS, Dataset, Listing, Modality, Outline, Recording, Skipped
from audioxai.datasets.sources import (
    PublicArchive,
    chosen_split,
    content_fingerprint,
    draw_per_part,
    file_digests,
    require_every_part,
    require_room_for_classes,
)
from audioxai.datasets.splits import Split, are_group_disjoint
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain

# Part of every fingerprint: raised when the same recordings are turned into other samples.
READING_VERSION = "waveforms 2"


@dataclass(frozen=True)
class Chosen:
    """Recordings to decode, ordered train, validation, test and by id within; ``parts`` names the part of each."""

    listing: Listing
    split_name: str
    every_class: bool
    group_disjoint: bool
    recordings: tuple[Recording, ...]
    parts: tuple[str, ...]


class Recordings(ABC):
    """Base of the audio sources; see :class:`~audioxai.datasets.sources.Source`.

    Attributes
    ----------
    name : str
        Name of the data set.
    """

    modality: ClassVar[Modality] = "audio"
    name: str

    @abstractmethod
    def list_recordings(self, root: Path) -> Listing:
        """Everything in ``root``, without decoding.

        Raises
        ------
        UserError
            If what is there contradicts itself.
        """

    @abstractmethod
    def splits_of(self, listing: Listing) -> Mapping[str, Split]:
        """Split of every name, the default one first."""

    @abstractmethod
    def format_of(self, listing: Listing) -> AudioFormat:
        """How recordings are read unless another format is asked for."""

    @abstractmethod
    def key_of(self, listing: Listing, recording: Recording) -> str:
        """What, with its part and content, decides a sample: enters the fingerprint."""

    def group_attributes(self, root: Path) -> dict[str, dict[str, object]]:  # noqa: ARG002
        """Attributes of the groups, by group: none."""
        return {}

    def outline(self, root: Path, split: str | None = None, limit: int | None = None) -> Outline:
        """Classes and sizes of what :meth:`load` returns, without decoding."""
        chosen = self._choose(root, split, limit)
        return Outline(chosen.listing.class_names, {part: chosen.parts.count(part) for part in SPLITS})

    def load(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> Dataset:
        """Decoded recordings ``(samples, 1, time)``; unusable files are in ``skipped``.

        Raises
        ------
        UserError
            If no file is usable, or a part of the split (or a class in a part, where every class has to be in every
            part) stays empty.
        """
        chosen = self._choose(root, split, limit)
        own_format = audio_format or self.format_of(chosen.listing)
        waveforms, usable, unusable = read_waveforms([one.path for one in chosen.recordings], own_format)
        skipped = tuple(sorted((*chosen.listing.skipped, *unusable), key=lambda one: one.path))
        self._require_usable(root, usable, skipped)
        kept = [chosen.recordings[index] for index in usable]
        parts = tuple(chosen.parts[index] for index in usable)
        require_every_part(self.name, root, chosen.split_name, parts)
        if chosen.every_class:
            self._require_every_class(chosen.split_name, chosen.listing.class_names, kept, parts, skipped)
        return Dataset(
            name=self.name,
            modality=self.modality,
            stand_in_for=None,
            split_name=chosen.split_name,
            group_disjoint=chosen.group_disjoint,
            group_name=chosen.listing.group_name,
            class_names=chosen.listing.class_names,
            sample_rate_hz=own_format.sample_rate_hz,
            ids=tuple(one.id for one in kept),
            inputs=torch.from_numpy(waveforms)[:, None],
            labels=torch.tensor([one.label for one in kept], dtype=torch.int64),
            groups=tuple(one.group for one in kept),
            splits=parts,
            skipped=skipped,
            fingerprint=self._fingerprint(chosen, own_format, limit),
            root=root,
        )

    def fingerprint(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> str:
        """The fingerprint of what :meth:`load` returns, without decoding."""
        chosen = self._choose(root, split, limit)
        return self._fingerprint(chosen, audio_format or self.format_of(chosen.listing), limit)

    def _choose(self, root: Path, split: str | None, limit: int | None) -> Chosen:
        listing = self.list_recordings(root)
        self._require_usable(root, listing.recordings, listing.skipped)
        splits = self.splits_of(listing)
        name = chosen_split(self.name, split, tuple(splits))
        recordings, every_class = listing.recordings, splits[name].every_class
        parts = splits[name].parts(listing)
        require_room_for_classes(self.name, limit, len(listing.class_names))
        if every_class:
            require_every_part(self.name, root, name, parts)
            self._require_every_class(name, listing.class_names, recordings, parts, ())
        rows = draw_per_part([one.id for one in recordings], [one.label for one in recordings], parts, limit)
        return Chosen(
            listing,
            name,
            every_class,
            are_group_disjoint(recordings, parts),
            tuple(recordings[row] for row in rows),
            tuple(parts[row] for row in rows),
        )

    def _fingerprint(self, chosen: Chosen, audio_format: AudioFormat, limit: int | None) -> str:
        digests = file_digests([one.path for one in chosen.recordings])
        pairs = zip(chosen.recordings, chosen.parts, strict=True)
        keys = [f"{self.key_of(chosen.listing, one)}\0{part}" for one, part in pairs]
        reading = (
            READING_VERSION,
            audio_format.sample_rate_hz,
            float(audio_format.duration_s),
            audio_format.placement,
            None if audio_format.trim_below_peak_db is None else float(audio_format.trim_below_peak_db),
            audio_format.peak_normalise,
        )
        return content_fingerprint(zip(keys, digests, strict=True), chosen.split_name, reading, limit)

    def _require_usable(self, root: Path, usable: Sequence[object], skipped: Sequence[Skipped]) -> None:
        if usable:
            return
        if not skipped:
            raise UserError(f"{root} holds no recordings of {self.name}; give the folder that does")
        raise UserError(
            f"none of the {len(skipped)} files of {self.name} in {root} is usable; the first one is "
            f"{skipped[0].path}: {skipped[0].reason}"
        )

    def _require_every_class(
        self,
        split: str,
        class_names: Sequence[str],
        recordings: Sequence[Recording],
        parts: Sequence[str],
        skipped: Sequence[Skipped],
    ) -> None:
        held = {(one.label, part) for one, part in zip(recordings, parts, strict=True)}
        for part in SPLITS:
            missing = [name for label, name in enumerate(class_names) if (label, part) not in held]
            if missing:
                cause = f" ({len(skipped)} files are unusable, the first {skipped[0].path})" if skipped else ""
                raise UserError(
                    f"split {split!r} of {self.name} leaves the {part} part without class "
                    f"{missing[0]!r}{cause}; add recordings, leave the class out or choose another split"
                )


@dataclass(frozen=True)
class Named:
    """What the path of a recording says: class index, group and, if any, the part or fold that is its own."""

    label: int
    group: str
    own_part: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordingFolder(Recordings):
    """A data set of the catalogue whose file names say what the recordings are.

    Attributes
    ----------
    name : str
        The registry's name.
    folder : str
        Subfolder of the data set's root that holds the recordings; empty if the root does.
    nested : bool
        Whether they are in subfolders of it.
    pattern : str
        How a recording's path below ``folder`` reads, for messages.
    parse : callable
        Path below ``folder`` → what it says, or why it says nothing.
    class_names : tuple of str
        Name of every class index.
    splits : mapping
        Split of every name, the default one first.
    reading : AudioFormat
        How recordings are read unless another format is asked for.
    group_name : str
        What a group is.
    every_class : bool
        Whether it takes recordings of every class for a folder to be this data set.
    public : PublicArchive or None
        Where it can be downloaded from.
    attributes : callable or None
        Root → what the data set tells about its groups.
    """

    name: str
    folder: str
    nested: bool
    pattern: str
    parse: Callable[[PurePath], Named | str]
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    reading: AudioFormat
    group_name: str = "speaker"
    every_class: bool = False
    public: PublicArchive | None = None
    attributes: Callable[[Path], dict[str, dict[str, object]]] | None = None

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """Known splits, the default one first."""
        return tuple(self.splits)

    def audio_format(self, root: Path | None = None) -> AudioFormat:  # noqa: ARG002
        """How recordings are read unless another format is asked for."""
        return self.reading

    def found_in(self, root: Path) -> bool:
        """Whether ``root`` has this layout, with at least one recording (of every class, if it takes that)."""
        return self._is_laid_out(root / self.folder)

    def lacking_in(self, root: Path) -> str:  # noqa: ARG002
        """Recordings of its layout, of every class if it takes that."""
        of_all = f" for each of {', '.join(self.class_names)}" if self.every_class else ""
        return f"recordings named {PurePath(self.folder, self.pattern).as_posix()}{of_all}"

    def place_in(self, folder: Path) -> str | None:
        """``""`` if ``folder`` can be the root, the name of the subfolder if it can be that, None if neither."""
        if self.found_in(folder):
            return ""
        return self.folder if self.folder and self._is_laid_out(folder) else None

    def count_files(self, root: Path) -> int:
        """Number of recordings whose names are right."""
        return len(self.list_recordings(root).recordings)

    def group_attributes(self, root: Path) -> dict[str, dict[str, object]]:
        """What the data set tells about its groups, by group."""
        return {} if self.attributes is None else self.attributes(root)

    def list_recordings(self, root: Path) -> Listing:
        """Recordings in ``root``; files whose names do not say what they are come back as skipped."""
        recordings: list[Recording] = []
        skipped: list[Skipped] = []
        folder = root / self.folder
        for file in self._files(folder):
            named = self.parse(PurePath(plain(file.relative_to(folder).as_posix())))
            if isinstance(named, str):
                skipped.append(Skipped(file, named))
            else:
                identity = plain(file.relative_to(root).as_posix())
                recordings.append(Recording(identity, file, named.label, named.group, named.own_part))
        recordings.sort(key=lambda one: one.id)
        return Listing(tuple(recordings), tuple(skipped), self.class_names, self.group_name)

    def splits_of(self, listing: Listing) -> Mapping[str, Split]:  # noqa: ARG002
        """Split of every name, the default one first."""
        return self.splits

    def format_of(self, listing: Listing) -> AudioFormat:  # noqa: ARG002
        """How recordings are read unless another format is asked for."""
        return self.reading

    def key_of(self, listing: Listing, recording: Recording) -> str:  # noqa: ARG002
        """The id, which says everything."""
        return recording.id

    def _is_laid_out(self, folder: Path) -> bool:
        if not folder.is_dir():
            return False
        due = len(self.class_names) if self.every_class else 1
        seen = set()
        for file in self._files(folder):
            named = self.parse(file.relative_to(folder)) if is_audio(file) else ""
            if isinstance(named, Named):
                seen.add(named.label)
            if len(seen) >= due:
                return True
        return False

    def _files(self, folder: Path) -> Iterator[Path]:
        """Files that should be recordings; hidden ones never are, other than sound only where recordings belong."""
        for entry in visible(folder):
            if not self.nested:
                yield entry
            elif entry.is_dir():
                yield from visible(entry)
            elif is_audio(entry):
                yield entry


def visible(folder: Path) -> list[Path]:
    """Entries of a folder by name, hidden ones left out."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def files_below(folder: Path) -> Iterator[Path]:
    """Every file at any depth, in no particular order; nothing hidden, and no folder twice by way of links."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = os.path.realpath(parent)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def is_audio(file: Path) -> bool:
    """Whether a name ends as those of readable sound files do."""
    return file.suffix.lower() in AUDIO_SUFFIXES
