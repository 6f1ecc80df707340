"""Where an explanation lives: waveform, complex spectrogram, ERB bands, log-mel spectrogram, pixels.

Idea
----
A domain turns what was recorded into what is explained (``analysis``), says what its rows and columns mean (``axes``)
and what the absence of a signal looks like in it (``silence_value``). Audio models take waveforms and carry their
domain's analysis as first layer, so the same model can be explained in more than one domain. Where there is a way back
(``synthesis``), what is explained can be listened to, and every model of waveforms can be explained there.

Conventions
-----------
Waveforms are ``(batch, 1, time)`` in [−1, 1], images ``(batch, 1, rows, columns)`` in [0, 1]. Decibels are relative to
a full-scale sine and end at a fixed floor: 0 dB is the loudest sound there is, silence is the floor, and a clip's level
never depends on its own maximum.
"""

from collections.abc import Callable

from audioxai.domains.erb import ErbBands, erb_rate, erb_rate_to_hz
from audioxai.domains.log_mel import LogMel, hz_to_mel, mel_filters, mel_to_hz
from audioxai.domains.pixels import Pixels
from audioxai.domains.protocol import Axis, Domain, Invertible
from audioxai.domains.stft import Stft
from audioxai.domains.stft_cells import Audible, audible, in_columns, in_stft_cells, spread_over_stft, stft_beside
from audioxai.domains.waveform import Waveform

__all__ = [
    "DOMAINS",
    "Audible",
    "Axis",
    "Domain",
    "ErbBands",
    "Invertible",
    "LogMel",
    "Pixels",
    "Stft",
    "Waveform",
    "audible",
    "erb_rate",
    "erb_rate_to_hz",
    "hz_to_mel",
    "in_columns",
    "in_stft_cells",
    "mel_filters",
    "mel_to_hz",
    "spread_over_stft",
    "stft_beside",
]

DOMAINS: dict[str, Callable[..., Domain]] = {
    Waveform.name: Waveform,
    Stft.name: Stft,
    ErbBands.name: ErbBands,
    LogMel.name: LogMel,
    Pixels.name: Pixels,
}
