"""AudioMNIST and datasets in its layout: ``data/NN/{digit}_{NN}_{repetition}.wav``.

The folder is the **speaker**; the digit is in the file name. Folders 01…09 are not digits.

Source: Becker et al., "AudioMNIST: Exploring explainable artificial intelligence for audio analysis on a simple
benchmark" (2018 as "Interpreting and explaining deep neural networks for classification of audio signals").
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from audioxai.datasets.audio_files import AUDIO_SUFFIXES, AudioFormat
from audioxai.datasets.records import Skipped
from audioxai.datasets.speech import SPEAKER_DISJOINT, Layout, Listing, Recording, SpeechFolder, Split
from audioxai.utils.errors import UserError

ARCHIVE_URL = "https://github.com/soerenab/AudioMNIST/archive/refs/heads/master.zip"
RECORDINGS = 30_000
METADATA_FILE = "data/audioMNIST_meta.txt"

# The speaker-disjoint digit folds of the paper: five groups of twelve speakers.
_GROUPS = (
    (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51),
    (28, 56, 7, 19, 35, 1, 6, 16, 23, 34, 46, 53),
    (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54),
    (43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55),
    (12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50),
)
TEST_SPEAKERS: Mapping[str, tuple[int, ...]] = {f"fold{1 + fold}": _GROUPS[fold] for fold in range(5)}
# Every fold validates on the group that the fold before it tests on.
VALIDATION_SPEAKERS: Mapping[str, tuple[int, ...]] = {f"fold{1 + fold}": _GROUPS[fold - 1] for fold in range(5)}

_FILE_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>\d+)_(?P<repetition>\d+)")
_OLDEST_PLAUSIBLE_AGE = 110
_YOUNGEST_PLAUSIBLE_AGE = 3


def holds_speaker_folders(folder: Path) -> bool:
    """Whether ``folder`` has a subfolder named by a number with an audio file in it."""
    if not folder.is_dir():
        return False
    speakers = (entry for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir())
    return any(_is_audio(file) for speaker in speakers for file in speaker.iterdir())


def list_speaker_folders(root: Path) -> Listing:
    """Recordings in ``root/data/NN/``; files whose names do not say what they are come back as skipped."""
    recordings: list[Recording] = []
    skipped: list[Skipped] = []
    for file in _candidates(root / "data"):
        read = _recording(root, file)
        if isinstance(read, Recording):
            recordings.append(read)
        else:
            skipped.append(read)
    return Listing(tuple(recordings), tuple(skipped))


def _candidates(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from (file for file in sorted(entry.iterdir()) if not file.name.startswith("."))
        elif _is_audio(entry):
            yield entry


def _is_audio(file: Path) -> bool:
    return file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")


def _recording(root: Path, file: Path) -> Recording | Skipped:
    named = _FILE_NAME.fullmatch(file.stem)
    if named is None:
        return Skipped(file, "misnamed; expected {digit}_{speaker}_{repetition}")
    folder = file.parent.name
    if not folder.isdecimal() or int(named["speaker"]) != int(folder):
        return Skipped(file, f"misnamed; its name says speaker {named['speaker']} but its folder is {folder}")
    return Recording(
        id=file.relative_to(root).as_posix(),
        path=file,
        label=int(named["digit"]),
        speaker=_speaker_name(folder),
        repetition=int(named["repetition"]),
    )


def _speaker_name(number: str) -> str:
    return f"{int(number):02d}"


SPEAKER_FOLDERS = Layout("data", holds_speaker_folders, list_speaker_folders)


def fold_parts(recordings: Sequence[Recording], fold: str) -> list[str]:
    """Part of every recording under one of the paper's folds; whoever is in neither of its lists is for training."""
    part_of = {_speaker_name(str(number)): "test" for number in TEST_SPEAKERS[fold]}
    part_of |= {_speaker_name(str(number)): "validation" for number in VALIDATION_SPEAKERS[fold]}
    return [part_of.get(one.speaker, "train") for one in recordings]


AUDIO_MNIST = SpeechFolder(
    name="audio_mnist",
    stand_in_for=None,
    layout=SPEAKER_FOLDERS,
    splits={fold: Split(speaker_disjoint=True, parts=partial(fold_parts, fold=fold)) for fold in TEST_SPEAKERS},
    audio_format=AudioFormat(16_000, 1.0, "centre", None, True),
)

# Digits spoken in Azerbaijani, with pauses around them: untrimmed, many would lose the digit.
AUDIO_MNIST_AZ = SpeechFolder(
    name="audio_mnist_az",
    stand_in_for=None,
    layout=SPEAKER_FOLDERS,
    splits={"speaker_disjoint": SPEAKER_DISJOINT},
    audio_format=AudioFormat(16_000, 1.5, "centre", 35.0, True),
)


def read_speaker_metadata(root: Path) -> dict[str, dict[str, object]]:
    """What the dataset tells about its speakers, by speaker ("01"…); empty if it tells nothing.

    Reads AudioMNIST's JSON (ages as strings or numbers, implausible ones become None; spellings of the room are
    unified) and the CSV of the Azerbaijani set (gender only).

    Raises
    ------
    UserError
        If the file is there but is damaged.
    """
    own, table = root / METADATA_FILE, root / "metadata.txt"
    if own.is_file():
        return _read_metadata_json(own)
    return _read_metadata_csv(table) if table.is_file() else {}


def _read_metadata_json(file: Path) -> dict[str, dict[str, object]]:
    try:
        speakers = json.loads(file.read_text(encoding="utf-8"))
        return {_speaker_name(number): _cleaned(about) for number, about in speakers.items()}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file} is not speaker metadata in JSON ({error}); restore it or remove it") from error


def _read_metadata_csv(file: Path) -> dict[str, dict[str, object]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.DictReader(lines, skipinitialspace=True) if row["SPK ID"]]
        return {_speaker_name(row["SPK ID"]): {"gender": _gender(row["Gender"])} for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is not a table with columns 'SPK ID' and 'Gender' ({error!r}); restore it or remove it"
        ) from error


def _cleaned(about: Mapping[str, object]) -> dict[str, object]:
    cleaned = {key: value.strip() if isinstance(value, str) else value for key, value in about.items()}
    if "age" in cleaned:
        cleaned["age"] = _age(cleaned["age"])
    if "gender" in cleaned:
        cleaned["gender"] = _gender(cleaned["gender"])
    if "recordingroom" in cleaned:
        cleaned["recordingroom"] = _room(cleaned["recordingroom"])
    return cleaned


def _age(value: object) -> int | None:
    text = str(value).strip()
    if not text.isdecimal() or not _YOUNGEST_PLAUSIBLE_AGE <= int(text) <= _OLDEST_PLAUSIBLE_AGE:
        return None
    return int(text)


def _gender(value: object) -> str | None:
    return {"m": "male", "male": "male", "f": "female", "female": "female"}.get(str(value).strip().lower())


def _room(value: object) -> str:
    return re.sub(r"[\s_]+", "-", str(value).strip().lower()).replace("romm", "room")
