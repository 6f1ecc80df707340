"""Domains of explanations: waveform, spectrum, complex spectrogram, ERB bands, log-mel spectrogram, mask, pixels.

Idea
----
A domain maps recordings to the features that are explained (``analysis``), says what their axes mean (``axes``) and
which value they have in silence (``silence_value``). Audio models take waveforms and have their domain's analysis as
first layer, so the same model can be explained in more than one domain. Where the analysis can be inverted
(``synthesis``), explanations can be listened to, and every model of waveforms can be explained.

Conventions
-----------
Waveforms are ``(batch, 1, time)`` in [−1, 1], images ``(batch, 1, rows, columns)`` in [0, 1]. Decibels are relative to
a full-scale sine and end at a fixed floor: 0 dB is the loudest sound, silence is the floor, and a clip's levels do
not depend on its own maximum.

Examples
--------
>>> import torch
>>> domain = LogMel(8_000, 0.25, bands=16, frames=12)
>>> levels = domain.analysis(torch.zeros(1, 1, 2_000))
>>> tuple(levels.shape), float(levels.max()) == domain.silence_value
((1, 1, 16, 12), True)
"""

from collections.abc import Callable, Mapping
from typing import Any

from audioxai.domains.erb import ErbBands, erb_rate, erb_rate_to_hz
from audioxai.domains.log_mel import LogMel, hz_to_mel, mel_filters, mel_to_hz
from audioxai.domains.mask import Mask, MaskValues
from audioxai.domains.peak_log_mel import PeakLogMel
from audioxai.domains.pixels import Pixels
from audioxai.domains.protocol import Axis, Domain, Invertible
from audioxai.domains.rfft import Rfft
from audioxai.domains.stft import Stft
from audioxai.domains.stft_cells import Audible, audible, in_columns, in_stft_cells, matching_stft, spread_over_stft
from audioxai.domains.waveform import Waveform
from audioxai.utils.errors import UserError

__all__ = [
    "DOMAINS",
    "Audible",
    "Axis",
    "Domain",
    "ErbBands",
    "Invertible",
    "LogMel",
    "Mask",
    "MaskValues",
    "PeakLogMel",
    "Pixels",
    "Rfft",
    "Stft",
    "Waveform",
    "audible",
    "domain_from",
    "erb_rate",
    "erb_rate_to_hz",
    "hz_to_mel",
    "in_columns",
    "in_stft_cells",
    "matching_stft",
    "mel_filters",
    "mel_to_hz",
    "spread_over_stft",
]

DOMAINS: dict[str, Callable[..., Domain]] = {
    Waveform.name: Waveform,
    Stft.name: Stft,
    Rfft.name: Rfft,
    ErbBands.name: ErbBands,
    LogMel.name: LogMel,
    PeakLogMel.name: PeakLogMel,
    Mask.name: Mask,
    Pixels.name: Pixels,
}


def domain_from(configuration: Mapping[str, Any]) -> Domain:
    """Domain of a stored configuration: the name of its class and its fields.

    Raises
    ------
    UserError
        If there is no such class.
    """
    settings = dict(configuration)
    name = settings.pop("name")
    kinds: dict[str, Callable[..., Domain]] = {getattr(kind, "__name__", ""): kind for kind in DOMAINS.values()}
    if name not in kinds:
        raise UserError(f"a file names the domain {name!r}, which this version does not know; install a newer one")
    return kinds[name](**settings)
