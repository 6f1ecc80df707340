"""Free Spoken Digit Dataset: ``recordings/{digit}_{speaker}_{index}.wav``, 8 kHz, six speakers.

Its ``official`` test set is index 0–4 of every speaker and digit: the parts share their speakers.

Source: Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from audioxai.datasets.audio_files import AUDIO_SUFFIXES, AudioFormat
from audioxai.datasets.records import Skipped
from audioxai.datasets.speech import SPEAKER_DISJOINT, Layout, Listing, Recording, SpeechFolder, Split

ARCHIVE_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip"
RECORDINGS = 3_000

_FILE_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)")
_TESTS = 5
_VALIDATIONS = 5


def holds_flat_recordings(folder: Path) -> bool:
    """Whether ``folder`` holds an audio file named as in FSDD."""
    return folder.is_dir() and any(
        file.suffix.lower() in AUDIO_SUFFIXES and _FILE_NAME.fullmatch(file.stem) for file in folder.iterdir()
    )


def list_flat_recordings(root: Path) -> Listing:
    """Recordings in ``root/recordings/``; files whose names do not say what they are come back as skipped."""
    recordings: list[Recording] = []
    skipped: list[Skipped] = []
    for file in sorted((root / "recordings").iterdir()):
        if file.name.startswith("."):
            continue
        named = _FILE_NAME.fullmatch(file.stem)
        if named is None:
            skipped.append(Skipped(file, "misnamed; expected {digit}_{speaker}_{index}"))
            continue
        label, index = int(named["digit"]), int(named["index"])
        recordings.append(Recording(f"recordings/{file.name}", file, label, named["speaker"], index))
    return Listing(tuple(recordings), tuple(skipped))


def official_parts(recordings: Sequence[Recording]) -> list[str]:
    """Part of every recording by its index: 0–4 test, 5–9 validation, the rest train."""
    return [_official_part(one.repetition) for one in recordings]


def _official_part(index: int) -> str:
    if index < _TESTS:
        return "test"
    return "validation" if index < _TESTS + _VALIDATIONS else "train"


FSDD = SpeechFolder(
    name="fsdd",
    stand_in_for=None,
    layout=Layout("recordings", holds_flat_recordings, list_flat_recordings),
    splits={
        "official": Split(speaker_disjoint=False, parts=official_parts),
        "speaker_disjoint": SPEAKER_DISJOINT,
    },
    audio_format=AudioFormat(8_000, 1.0, "centre", 35.0, True),
)
