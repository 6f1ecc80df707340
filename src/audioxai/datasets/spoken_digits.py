"""Spoken digits from a speech synthesiser, in AudioMNIST's layout: the offline stand-in for it.

``scripts/prepare_datasets.py --datasets spoken_digits`` makes them; nothing here needs the synthesiser.
"""

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.audio_mnist import SPEAKER_FOLDERS
from audioxai.datasets.speech import SPEAKER_DISJOINT, SpeechFolder

SPOKEN_DIGITS = SpeechFolder(
    name="spoken_digits",
    stand_in_for="audio_mnist",
    layout=SPEAKER_FOLDERS,
    splits={"speaker_disjoint": SPEAKER_DISJOINT},
    audio_format=AudioFormat(16_000, 1.0, "centre", 35.0, True),
)
