"""The parts of a clip that an explanation keeps and removes, as sounds.

Conventions
-----------
Waveforms are ``(batch, 1, time)``, full scale 1. *Kept* and *removed* have the clip's phase and add up to the
clip. Loudness is that of :mod:`audioxai.listening.loudness`, peaks are of samples, in dB re. full scale (dBFS).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import torch
from torch import Tensor

from audioxai.domains import Domain
from audioxai.listening.loudness import ABSOLUTE_GATE_LKFS, loudness_lkfs
from audioxai.listening.soft_mask import SoftMask
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

LARGEST_PEAK_DBFS = -1.0
_PCM_24 = 2**23

FileFormat = Literal["flac", "wav"]


@dataclass(frozen=True, eq=False)
class Parts:
    """A clip and its two parts, each multiplied by its gain.

    Attributes
    ----------
    original, kept, removed : Tensor
        ``(batch, 1, time)``.
    """

    original: Tensor
    kept: Tensor
    removed: Tensor


@dataclass(frozen=True, eq=False)
class Heard:
    """Clips and their kept and removed parts; before gains are applied, ``kept + removed`` is ``original``.

    Attributes
    ----------
    sounds : Parts
        The sounds.
    gains_db : Parts
        Gains that were applied to them, ``(batch,)``, in dB; 0 after :func:`separate`.
    nothing_kept : Tensor
        Whether the mask is 0 everywhere, because no attribution is positive, so that *kept* is silence; bool
        ``(batch,)``.
    sample_rate_hz : int
        Sample rate of the sounds, in Hz.
    """

    sounds: Parts
    gains_db: Parts
    nothing_kept: Tensor
    sample_rate_hz: int


@dataclass(frozen=True)
class SoundFiles:
    """Files of the sounds of one clip.

    Attributes
    ----------
    original, kept, removed : Path
        The files.
    nothing_kept : bool
        Whether no attribution is positive, so that *kept* is silence.
    """

    original: Path
    kept: Path
    removed: Path
    nothing_kept: bool


def separate(waveforms: Tensor, attributions: Tensor, soft_mask: SoftMask) -> Heard:
    """Split every clip by its attributions: inverse STFT of M·Z (kept) and of (1 − M)·Z (removed).

    Parameters
    ----------
    waveforms : Tensor
        ``(batch, 1, time)``, real, as the explained model takes them.
    attributions : Tensor
        ``(batch, 1, *soft_mask.domain.shape)``.
    soft_mask : SoftMask
        Makes the mask M.

    Raises
    ------
    UserError
        If shapes do not fit or anything is NaN or infinite.
    """
    if len(waveforms) != len(attributions):
        raise UserError(f"there are {len(waveforms)} waveforms for {len(attributions)} attributions; give one each")
    if not bool(waveforms.isfinite().all()):
        raise UserError("waveforms are NaN or infinite; give clips that can be played")
    mask = soft_mask(attributions).to(waveforms.dtype)
    stft = soft_mask.stft
    spectra = stft.analysis(waveforms.detach())
    kept, removed = stft.synthesis(mask * spectra), stft.synthesis((1.0 - mask) * spectra)
    none_db = torch.zeros(len(waveforms), dtype=torch.float64)
    return Heard(
        sounds=Parts(waveforms.detach().clone(), kept, removed),
        gains_db=Parts(none_db, none_db, none_db),
        nothing_kept=~mask.flatten(1).any(1),
        sample_rate_hz=stft.sample_rate_hz,
    )


def loudness_matched(heard: Heard) -> Heard:
    """Copies for playback with the loudness of the original and no peak above −1 dBFS.

    The original is attenuated if its peak is above; the parts are matched to its loudness as far as their own peaks
    allow. Sounds below −70 LKFS, the absolute gate of the recommendation, are never amplified.
    """
    rate_hz, sounds = heard.sample_rate_hz, heard.sounds
    original_db = _headroom_db(sounds.original).clamp_max(0.0)
    target_lkfs = loudness_lkfs(sounds.original, rate_hz) + original_db
    kept_db, removed_db = (_matching_db(part, target_lkfs, rate_hz) for part in (sounds.kept, sounds.removed))
    return replace(
        heard,
        sounds=Parts(
            original=_amplified(sounds.original, original_db),
            kept=_amplified(sounds.kept, kept_db),
            removed=_amplified(sounds.removed, removed_db),
        ),
        gains_db=Parts(
            original=heard.gains_db.original + original_db,
            kept=heard.gains_db.kept + kept_db,
            removed=heard.gains_db.removed + removed_db,
        ),
    )


def _matching_db(waveforms: Tensor, target_lkfs: Tensor, sample_rate_hz: int) -> Tensor:
    """Gain ``(batch,)`` in dB to a loudness, as far as peaks allow; 0 for inaudible sounds."""
    own_lkfs = loudness_lkfs(waveforms, sample_rate_hz)
    audible = (own_lkfs > ABSOLUTE_GATE_LKFS) & (target_lkfs > ABSOLUTE_GATE_LKFS)
    # Without infinities, of which differences are NaN.
    missing_db = torch.where(audible, target_lkfs - own_lkfs, 0.0)
    return torch.minimum(missing_db, _headroom_db(waveforms))


def _headroom_db(waveforms: Tensor) -> Tensor:
    """Gain ``(batch,)``, float64, that brings the peak to −1 dBFS; +∞ for silence."""
    peaks = waveforms.detach().cpu().double().abs().flatten(1).amax(1)
    return LARGEST_PEAK_DBFS - 20.0 * peaks.log10()


def _amplified(waveforms: Tensor, gains_db: Tensor) -> Tensor:
    return waveforms * (10.0 ** (gains_db / 20.0)).to(waveforms)[:, None, None]


def write_sounds(
    folder: Path,
    stem: str,
    waveform: Tensor,
    attributions: Tensor,
    domain: Domain,
    *,
    method: str = "explanation",
    quantile: float = 0.99,
    file_format: FileFormat = "flac",
) -> SoundFiles:
    """Write three sounds of one clip, equally loud: itself, what its attributions keep and what they remove.

    Parameters
    ----------
    folder : Path
        Created if it is missing.
    stem, method : str
        First parts of the files' names, see :func:`write_heard`.
    waveform : Tensor
        ``(1, time)``, as the explained model takes it.
    attributions : Tensor
        ``(1, *domain.shape)``.
    domain : Domain
        Domain of the attributions: waveform, STFT, ERB bands or log-mel.
    quantile
        As in :class:`SoftMask`.
    file_format
        ``flac`` or ``wav``.

    Raises
    ------
    UserError
        If shapes do not fit, anything is NaN or infinite, or the format is unknown; nothing is written.
    OSError
        If a file cannot be written; no partial file is left.
    """
    heard = loudness_matched(separate(waveform[None], attributions[None], SoftMask(domain, quantile)))
    original, kept, removed = write_heard(folder, heard, [stem], method, file_format)
    return SoundFiles(original, kept, removed, nothing_kept=bool(heard.nothing_kept[0]))


def write_heard(
    folder: Path,
    heard: Heard,
    clips: Sequence[str],
    method: str,
    file_format: FileFormat = "flac",
) -> list[Path]:
    """Write every clip's three sounds with 24 bits per sample, each file atomically.

    They are named ``<clip>__original``, ``<clip>__<method>__kept`` and ``<clip>__<method>__removed``; characters other
    than letters, digits, ``_``, ``+`` and ``-`` are replaced by ``-``.

    Raises
    ------
    UserError
        If a sound exceeds full scale, clips have no distinct names, or the format is unknown; nothing is written.
    OSError
        If a file cannot be written; no partial file is left.
    """
    if file_format not in ("flac", "wav"):
        raise UserError(f"file_format is {file_format!r}; choose flac or wav")
    stems = _stems(clips, len(heard.nothing_kept))
    named = {
        "original": heard.sounds.original,
        f"{_safe(method)}__kept": heard.sounds.kept,
        f"{_safe(method)}__removed": heard.sounds.removed,
    }
    _require_full_scale(named)
    return [
        write_bytes(folder / f"{stem}__{name}.{file_format}", encoded(sound, heard.sample_rate_hz, file_format))
        for name, sounds in named.items()
        for stem, sound in zip(stems, sounds, strict=True)
    ]


def _stems(clips: Sequence[str], count: int) -> list[str]:
    stems = [_safe(clip) for clip in clips]
    if len(stems) != count or len(set(stems)) != count or "" in stems:
        raise UserError(
            f"{count} clips have the names {', '.join(clips)}; give every clip another name of letters and digits"
        )
    return stems


def _safe(name: str) -> str:
    return re.sub(r"[^\w+-]+", "-", name)


def _require_full_scale(named: dict[str, Tensor]) -> None:
    for name, sounds in named.items():
        peak = float(sounds.abs().max())
        if not peak <= 1.0:
            raise UserError(
                f"the peak of {name} is {peak:.3g} times full scale and would be clipped; write loudness_matched sounds"
            )


def encoded(sound: Tensor, sample_rate_hz: int, file_format: FileFormat) -> bytes:
    """File content of one sound ``(1, time)``, rounded to 24 bits."""
    steps = np.rint(sound[0].detach().cpu().double().numpy() * _PCM_24).clip(-_PCM_24, _PCM_24 - 1)
    content = BytesIO()
    # libsndfile takes the upper 24 of 32 bits.
    soundfile.write(content, steps.astype(np.int32) << 8, sample_rate_hz, format=file_format, subtype="PCM_24")
    return content.getvalue()
