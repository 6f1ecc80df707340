"""Speech Commands v0.02, the canonical test set: ``{word}/{speaker}_nohash_{n}.wav``, 12 classes, 16 kHz, 1 s.

Ten commands; ``_unknown_`` holds other words, each before its speaker in the file name; ``_silence_`` holds background
noise, whose files are numbered and have no speaker: each is a group of its own.

The archive is the authors' test set for models that are trained on the rest. Here models are trained on part of it, so
its recordings are divided anew, by speaker.

Source: Warden (2018), "Speech Commands: A dataset for limited-vocabulary speech recognition".
"""

import re
from pathlib import PurePath

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.recordings import Named, RecordingFolder
from audioxai.datasets.registry import DATASETS
from audioxai.datasets.sources import PublicArchive
from audioxai.datasets.splits import Split, stratified_parts

COMMANDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
SILENCE, UNKNOWN = "_silence_", "_unknown_"
CLASS_NAMES = (*COMMANDS, SILENCE, UNKNOWN)
PUBLIC = PublicArchive(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_test_set_v0.02.tar.gz",
    4_890,
    300_000_000,
)

_COMMAND = re.compile(r"(?P<speaker>[0-9a-f]{8})_nohash_\d+")
_OTHER_WORD = re.compile(rf"[a-z]+_{_COMMAND.pattern}")


@DATASETS.register(
    "speech_commands",
    label="Speech Commands",
    modality="audio",
    description="ten spoken commands, other words and background noise: 12 classes, 4,890 recordings of 1 s by many "
    "speakers, the test set of Speech Commands v0.02",
    source="Warden 2018",
    licence="CC BY 4.0",
    background=(SILENCE,),
)
def speech_commands() -> RecordingFolder:
    """The 12-class test set of Speech Commands, divided by speaker."""
    return RecordingFolder(
        name="speech_commands",
        folder="",
        nested=True,
        pattern="{word}/{speaker}_nohash_{n}.wav",
        parse=_parse,
        class_names=CLASS_NAMES,
        splits={"speaker_disjoint": Split(stratified_parts, every_class=True)},
        reading=AudioFormat(16_000, 1.0, "centre", None, True),
        # Without all twelve it is another part of Speech Commands, such as that of 35 words.
        every_class=True,
        public=PUBLIC,
    )


def _parse(path: PurePath) -> Named | str:
    word = path.parent.name
    if word not in CLASS_NAMES:
        return f"misnamed; {word!r} is none of the {len(CLASS_NAMES)} classes"
    label = CLASS_NAMES.index(word)
    if word == SILENCE:
        return Named(label, f"{SILENCE}/{path.stem}")
    named = (_OTHER_WORD if word == UNKNOWN else _COMMAND).fullmatch(path.stem)
    if named is None:
        return "misnamed; expected {speaker}_nohash_{n}, in _unknown_ after {word}_"
    return Named(label, named["speaker"])
