"""Kaldi's log-mel filter banks, which two extractors compute."""

from typing import Any

import torch
from torch import Tensor

from audioxai.models.front_ends.protocol import Constants, power_of

FRAME_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SAMPLES = 512
PRE_EMPHASIS = 0.97
FLOOR = 1.192092955078125e-07


def frames_in(samples: int) -> int:
    """Whole frames in a clip; there is no padding."""
    return 1 + (samples - FRAME_SAMPLES) // HOP_SAMPLES


def samples_of(frames: int) -> int:
    """Samples from the first to the last of so many frames."""
    return FRAME_SAMPLES + (frames - 1) * HOP_SAMPLES


def constants_of(extractor: Any, window: str) -> Constants:
    """Window ``(400,)`` and filters ``(257, bands)`` of an extractor.

    An extractor that computes with torchaudio has none of its own; they are then made as the others make theirs.
    """
    from transformers.audio_utils import mel_filter_bank, window_function

    if hasattr(extractor, "mel_filters") and hasattr(extractor, "window"):
        return Constants(extractor.window, extractor.mel_filters)
    filters = mel_filter_bank(
        num_frequency_bins=FFT_SAMPLES // 2 + 1,
        num_mel_filters=extractor.num_mel_bins,
        min_frequency=20,
        max_frequency=extractor.sampling_rate // 2,
        sampling_rate=extractor.sampling_rate,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return Constants(window_function(FRAME_SAMPLES, window, periodic=False), filters)


def log_filter_banks(sounds: Tensor, constants: Constants) -> Tensor:
    """Waveforms ``(batch, time)`` → natural logarithm of the power in every band ``(batch, frames, bands)``, float64.

    Frames of 400 samples every 160, their mean removed, pre-emphasis of 0.97, window, 512-point spectrum, floor
    1.19e-7. In double precision as the extractors: the quietest bands lie 100 dB and more below the loudest, where
    single precision leaves a few per cent of error.
    """
    exact = sounds.double()
    window, filters = constants.like(exact)
    frames = exact.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES)
    frames = frames - frames.mean(-1, keepdim=True)
    emphasised = torch.cat(
        [(1.0 - PRE_EMPHASIS) * frames[..., :1], frames[..., 1:] - PRE_EMPHASIS * frames[..., :-1]], -1
    )
    power = power_of(torch.fft.rfft(emphasised * window, FFT_SAMPLES))
    return (power @ filters).clamp_min(FLOOR).log()
