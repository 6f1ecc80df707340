"""Free Spoken Digit Dataset: ``recordings/{digit}_{speaker}_{index}.wav``, 8 kHz, six speakers.

Its ``official`` test set is index 0–4 of every speaker and digit: the parts share their speakers.
"""

import re
from pathlib import PurePath

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.recordings import Named, RecordingFolder
from audioxai.datasets.registry import DATASETS
from audioxai.datasets.sources import DIGIT_NAMES, PublicArchive
from audioxai.datasets.splits import Split, own_parts, speaker_parts

PUBLIC = PublicArchive(
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip", 3_000, 60_000_000
)
_FILE_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)")
_TESTS = 5
_VALIDATIONS = 5


@DATASETS.register(
    "fsdd",
    label="FSDD",
    modality="audio",
    description="Free Spoken Digit Dataset: 3,000 recordings in English by 6 speakers",
    source="Jackson et al. 2018",
    licence="CC BY-SA 4.0",
)
def fsdd() -> RecordingFolder:
    """The Free Spoken Digit Dataset."""
    return RecordingFolder(
        name="fsdd",
        folder="recordings",
        nested=False,
        pattern="{digit}_{speaker}_{index}.wav",
        parse=_parse,
        class_names=DIGIT_NAMES,
        splits={"official": Split(own_parts), "speaker_disjoint": Split(speaker_parts)},
        reading=AudioFormat(8_000, 1.0, "centre", 35.0, True),
        public=PUBLIC,
    )


def _parse(path: PurePath) -> Named | str:
    named = _FILE_NAME.fullmatch(path.stem)
    if named is None:
        return "misnamed; expected {digit}_{speaker}_{index}"
    return Named(int(named["digit"]), named["speaker"], _official_part(int(named["index"])))


def _official_part(index: int) -> str:
    if index < _TESTS:
        return "test"
    return "validation" if index < _TESTS + _VALIDATIONS else "train"
