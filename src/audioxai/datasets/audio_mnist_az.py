"""Digits spoken in Azerbaijani, in AudioMNIST's layout."""

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.audio_mnist import SPEAKER_DISJOINT, speaker_folders
from audioxai.datasets.recordings import RecordingFolder
from audioxai.datasets.registry import DATASETS


@DATASETS.register(
    "audio_mnist_az",
    label="AudioMNIST-AZ",
    modality="audio",
    description="digits spoken in Azerbaijani, in AudioMNIST's layout",
    source="recordings that were put there",
    licence="as their owner says",
)
def audio_mnist_az() -> RecordingFolder:
    """The Azerbaijani digits: pauses around them, so that many would lose the digit untrimmed."""
    return speaker_folders("audio_mnist_az", AudioFormat(16_000, 1.5, "centre", 35.0, True), SPEAKER_DISJOINT)
