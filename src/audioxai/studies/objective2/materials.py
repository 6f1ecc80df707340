"""What is explained: test clips as they are, and clips of which it is known where relevance belongs."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from audioxai.datasets import Dataset
from audioxai.datasets.ground_truth import CueDesign, NoiseBand, Tone, mix, plant, sequence
from audioxai.domains import Domain

MIXING_SNR_DB = 0.0
CUE_LEVEL_DB = -24.0
CUE_DURATION_S = 0.12
CUE_MARGIN_S = 0.05
# All below 4 kHz, so that they suit clips at 8 kHz, and far enough apart for 32 mel bands.
CUES = (Tone(500.0), Tone(1250.0), Tone(2500.0), NoiseBand(3000.0, 3500.0))


@dataclass(frozen=True, eq=False)
class Material:
    """Clips to be explained.

    Attributes
    ----------
    clips : Dataset
        With their labels.
    targets : Tensor or None
        Classes ``(clips,)`` to be explained; None for those that the model predicts.
    mask : callable or None
        Domain → bool ``(clips, 1, *domain.shape)``, True where relevance belongs; None where that is not known.
    """

    clips: Dataset
    targets: Tensor | None = None
    mask: Callable[[Domain], Tensor] | None = None


def cue_design(duration_s: float) -> CueDesign:
    """Four cues, quiet and short, anywhere in clips of this length."""
    latest_s = duration_s - CUE_DURATION_S - CUE_MARGIN_S
    return CueDesign(CUES, CUE_LEVEL_DB, CUE_DURATION_S, earliest_s=CUE_MARGIN_S, latest_s=latest_s)


def _as_they_are(clips: Dataset) -> Material:
    return Material(clips)


def _with_cues(clips: Dataset) -> Material:
    assert clips.sample_rate_hz is not None
    cued = plant(clips, cue_design(clips.inputs.shape[-1] / clips.sample_rate_hz))
    return Material(cued.dataset, cued.dataset.labels, cued.mask)


def _mixed(clips: Dataset) -> Material:
    mixtures = mix(clips, MIXING_SNR_DB)
    return Material(mixtures.dataset, mixtures.dataset.labels, mixtures.mask)


def _in_sequence(clips: Dataset) -> Material:
    sequences = sequence(clips, MIXING_SNR_DB)
    return Material(sequences.dataset, sequences.dataset.labels, sequences.mask)


# Each takes the chosen test clips of the recordings, before anything is done to them.
MATERIALS: dict[str, Callable[[Dataset], Material]] = {
    "clips": _as_they_are,
    "cues": _with_cues,
    "mixtures": _mixed,
    "sequences": _in_sequence,
}
