"""Spoken digits from a speech synthesiser, in AudioMNIST's layout: the offline stand-in for it.

``scripts/prepare_datasets.py --datasets spoken_digits`` makes them; nothing here needs the synthesiser.
"""

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.audio_mnist import SPEAKER_DISJOINT, speaker_folders
from audioxai.datasets.recordings import RecordingFolder
from audioxai.datasets.registry import DATASETS


@DATASETS.register(
    "spoken_digits",
    label="Synthesised digits",
    modality="audio",
    stand_in_for="audio_mnist",
    description="digits spoken by 30 voices of espeak-ng: no people",
    source="made by scripts/prepare_datasets.py",
    licence="none asked; the voices are GPL-3 software",
)
def spoken_digits() -> RecordingFolder:
    """The synthesised digits."""
    return speaker_folders("spoken_digits", AudioFormat(16_000, 1.0, "centre", 35.0, True), SPEAKER_DISJOINT)
