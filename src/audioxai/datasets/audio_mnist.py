"""AudioMNIST, and the layout of data sets like it: ``data/NN/{digit}_{NN}_{repetition}.wav``.

The folder is the **speaker**; the digit is in the file name. Folders 01…09 are not digits.

Source: Becker et al., "AudioMNIST: Exploring explainable artificial intelligence for audio analysis on a simple
benchmark" (2018 as "Interpreting and explaining deep neural networks for classification of audio signals").
"""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.recordings import Named, RecordingFolder
from audioxai.datasets.registry import DATASETS
from audioxai.datasets.sources import DIGIT_NAMES, PublicArchive
from audioxai.datasets.splits import Split, fold_splits, speaker_parts
from audioxai.utils.errors import UserError

PUBLIC = PublicArchive("https://github.com/soerenab/AudioMNIST/archive/refs/heads/master.zip", 30_000, 2_300_000_000)
METADATA_FILE = "data/audioMNIST_meta.txt"

# The speaker-disjoint digit folds of the paper: the speakers that each tests on. Each validates on those of the fold
# before it.
FOLDS: Mapping[str, tuple[int, ...]] = {
    "fold1": (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51),
    "fold2": (28, 56, 7, 19, 35, 1, 6, 16, 23, 34, 46, 53),
    "fold3": (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54),
    "fold4": (43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55),
    "fold5": (12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50),
}
SPEAKER_DISJOINT: Mapping[str, Split] = {"speaker_disjoint": Split(speaker_parts)}

_FOLD_OF = {speaker: fold for fold, speakers in FOLDS.items() for speaker in speakers}
_FILE_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>\d+)_(?P<repetition>\d+)")
_OLDEST_PLAUSIBLE_AGE = 110
_YOUNGEST_PLAUSIBLE_AGE = 3


def speaker_folders(
    name: str, reading: AudioFormat, splits: Mapping[str, Split], public: PublicArchive | None = None
) -> RecordingFolder:
    """A data set in AudioMNIST's layout."""
    return RecordingFolder(
        name=name,
        folder="data",
        nested=True,
        pattern="{speaker}/{digit}_{speaker}_{repetition}.wav",
        parse=_parse,
        class_names=DIGIT_NAMES,
        splits=splits,
        reading=reading,
        public=public,
        attributes=read_speaker_metadata,
    )


@DATASETS.register(
    "audio_mnist",
    label="AudioMNIST",
    modality="audio",
    description="digits spoken in English by 60 speakers, 30,000 recordings",
    source="Becker et al. 2018",
    licence="MIT, as its repository says",
)
def audio_mnist() -> RecordingFolder:
    """AudioMNIST with the folds of its paper."""
    reading = AudioFormat(16_000, 1.0, "centre", None, True)
    return speaker_folders("audio_mnist", reading, fold_splits(tuple(FOLDS)), PUBLIC)


def _parse(path: PurePath) -> Named | str:
    named = _FILE_NAME.fullmatch(path.stem)
    if named is None:
        return "misnamed; expected {digit}_{speaker}_{repetition}"
    folder = path.parent.name or "data"
    if not folder.isdecimal() or int(named["speaker"]) != int(folder):
        return f"misnamed; its name says speaker {named['speaker']} but its folder is {folder}"
    return Named(int(named["digit"]), _speaker_name(folder), _FOLD_OF.get(int(folder), ""))


def _speaker_name(number: str) -> str:
    return f"{int(number):02d}"


def read_speaker_metadata(root: Path) -> dict[str, dict[str, object]]:
    """What the data set tells about its speakers, by speaker ("01"…); empty if it tells nothing.

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
