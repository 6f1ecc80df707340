"""Explanations as sound: what attributions keep of a clip and what they remove, loudness-matched, as files.

One clip: ``write_sounds(folder, stem, waveform, attributions, domain)``. Many of them:
``write_heard(folder, loudness_matched(separate(waveforms, attributions, SoftMask(domain))), clips, method)``.
"""

from audioxai.listening.loudness import loudness_lkfs
from audioxai.listening.shares import bins_in, kept_from_percent, ordered_bins
from audioxai.listening.soft_mask import SoftMask
from audioxai.listening.sounds import (
    FileFormat,
    Heard,
    Parts,
    SoundFiles,
    loudness_matched,
    separate,
    write_heard,
    write_sounds,
)

__all__ = [
    "FileFormat",
    "Heard",
    "Parts",
    "SoftMask",
    "SoundFiles",
    "bins_in",
    "kept_from_percent",
    "loudness_lkfs",
    "loudness_matched",
    "ordered_bins",
    "separate",
    "write_heard",
    "write_sounds",
]
