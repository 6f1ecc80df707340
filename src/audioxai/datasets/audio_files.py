"""Recordings of any kind to waveforms of one kind.

Idea: mono (mean of the channels, without its offset) → leading and trailing silence off → resampled → peak 1 → cut or
padded. A file that is not whole, or of which no sound is left, is skipped with its reason.
Conventions: waveforms are float32 ``(time,)`` in [−1, 1]; decibels are relative to the recording's own peak.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.datasets.records import Skipped
from audioxai.datasets.whole_files import UnusableFile, require_whole, stated_frames, stated_md5
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.progress import track

Waveform = NDArray[np.float32]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"}
)
SILENCE_PEAK_DB = -90.0
TRIM_FRAME_S = 0.02
# A damaged header may announce years of sound; whole files are decoded, so they cannot be of any length.
LONGEST_RECORDING_S = 600.0
PLAUSIBLE_RATES_HZ = (1_000, 1_000_000)
# Frames whose median power is that of a frame, so that a click of at most two frames (40 ms) sets nothing.
TRIM_MEDIAN_FRAMES = 5
# Channels of less than this share of their power in their mean cancel each other out: opposite polarity.
CANCELLED_SHARE = 0.01
# Cut to a clip of less than this share of the power of the whole recording, what is said is not in it.
KEPT_POWER = 0.1
# Below this share of the announced length a file is cut off.
COMPLETE_SHARE = 0.9
BLOCK_SAMPLES = 1 << 20
# Recordings that are decoded while the features of as many others are made; 32 MB where they last 1 s at 16 kHz.
BLOCK_RECORDINGS = 512
# What libsndfile says of a length that is not known.
UNKNOWN_FRAMES = 2**63 - 1


@dataclass(frozen=True)
class AudioFormat:
    """What every recording is turned into.

    Attributes
    ----------
    sample_rate_hz : int
        Rate after resampling.
    duration_s : float
        Length after cutting or zero-padding.
    placement : str
        ``centre`` cuts or pads both ends alike, ``start`` keeps the beginning and works on the end.
    trim_below_peak_db : float or None
        Leading and trailing frames of 20 ms whose RMS is further below that of the loudest are taken off, each frame
        with the median power of the five around it; None trims nothing.
    peak_normalise : bool
        Whether the largest magnitude becomes 1.

    Raises
    ------
    UserError
        If a value is out of its range.
    """

    sample_rate_hz: int
    duration_s: float
    placement: Literal["centre", "start"]
    trim_below_peak_db: float | None
    peak_normalise: bool

    def __post_init__(self) -> None:
        if self.sample_rate_hz < 1:
            raise UserError(f"sample_rate_hz is {self.sample_rate_hz}; give a positive rate such as 16000")
        if not 1 <= self.samples <= LONGEST_RECORDING_S * self.sample_rate_hz:
            raise UserError(f"duration_s is {self.duration_s}; give a length between one sample and ten minutes")
        if self.placement not in ("centre", "start"):
            raise UserError(f"placement is {self.placement!r}; it has to be 'centre' or 'start'")
        if self.trim_below_peak_db is not None and not self.trim_below_peak_db > 0:
            raise UserError(f"trim_below_peak_db is {self.trim_below_peak_db}; give a positive number or None")

    @property
    def samples(self) -> int:
        """Length in samples."""
        length = self.duration_s * self.sample_rate_hz
        return round(length) if np.isfinite(length) else 0


def read_waveform(path: Path, audio_format: AudioFormat) -> Waveform:
    """Waveform ``(audio_format.samples,)`` of any file that libsndfile reads.

    Raises
    ------
    UnusableFile
        If the file is unreadable, empty, cut off, silent (before or after cutting), not finite or much too long.
    """
    mono, rate_hz = _read_mono(path)
    if audio_format.trim_below_peak_db is not None:
        mono = trim_silence(mono, rate_hz, audio_format.trim_below_peak_db)
    if rate_hz != audio_format.sample_rate_hz:
        mono = soxr.resample(mono, rate_hz, audio_format.sample_rate_hz, quality="HQ")
    peak = float(np.abs(mono).max(initial=0.0))
    if peak == 0.0:
        raise UnusableFile(path, f"nothing is left at {audio_format.sample_rate_hz} Hz")
    if audio_format.peak_normalise:
        mono = mono / np.float32(peak)
    clip = fit_length(mono, audio_format.samples, audio_format.placement)
    if len(mono) > len(clip) and _power(clip) < KEPT_POWER * _power(mono):
        raise UnusableFile(path, f"silent once cut to {audio_format.duration_s:g} s (its sound lies elsewhere)")
    return clip


def read_sound(path: Path) -> tuple[Waveform, int]:
    """Mono waveform ``(time,)`` of any file that libsndfile reads, channels averaged, and its rate in Hz.

    Raises
    ------
    UserError
        If the file is missing, unreadable, empty, cut off, silent, not finite or much too long.
    """
    try:
        return _read_mono(path)
    except UnusableFile as error:
        raise UserError(f"sound {path} cannot be used: {error.reason}; give another file") from error


def _read_mono(path: Path) -> tuple[Waveform, int]:
    if path.suffix.lower() == ".raw":
        raise UnusableFile(path, "headerless audio states no rate; convert it to WAV or FLAC")
    try:
        require_whole(path)
        with open_sound(path) as file:
            rate_hz, announced, is_exact = int(file.samplerate), int(file.frames), file.format != "MP3"
            channels = _read_blocks(path, file)
    except OSError as error:
        raise UnusableFile(path, f"unreadable ({error.strerror})") from error
    # The decoder's own complaint, and what its binding makes of strange headers.
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UnusableFile(path, f"unreadable ({' '.join(str(error).split()) or type(error).__name__})") from error
    # Of MP3 the number announced may be an estimate.
    if len(channels) < announced * (1 if is_exact else COMPLETE_SHARE):
        raise UnusableFile(path, f"cut off ({len(channels)} of {announced} samples)")
    if len(channels) > announced and is_exact:
        raise UnusableFile(path, f"damaged ({len(channels)} samples instead of {announced})")
    _require_as_stated(path, channels)
    if not len(channels):
        raise UnusableFile(path, "empty (no samples)")
    with np.errstate(over="ignore", invalid="ignore"):
        mono = channels.mean(axis=1, dtype=np.float64)
        mono = mono - mono.mean()
        levels = np.square(channels - channels.mean(axis=0, dtype=np.float64))
        cancelled = channels.shape[1] > 1 and np.square(mono).mean() < CANCELLED_SHARE * levels.mean()
        waveform = np.ascontiguousarray(mono, np.float32)
    _require_sound(path, waveform, bool(cancelled))
    return waveform, rate_hz


def _require_as_stated(path: Path, channels: NDArray[np.float32]) -> None:
    """Check what was decoded against what the file states of its samples, where it does."""
    frames, md5 = stated_frames(path), stated_md5(path)
    if frames is not None and frames != len(channels):
        raise UnusableFile(path, f"damaged ({len(channels)} samples instead of {frames})")
    if md5 is not None and md5[1] in (8, 16, 24):
        digest, bits = md5
        numbers = np.rint(channels * np.float64(2 ** (bits - 1))).astype("<i4")
        stored = np.ascontiguousarray(numbers.reshape(-1, 1).view(np.uint8)[:, : bits // 8])
        if hashlib.md5(stored.tobytes(), usedforsecurity=False).digest() != digest:
            raise UnusableFile(path, "damaged (its samples are not those of its checksum)")


def open_sound(path: Path) -> soundfile.SoundFile:
    """The opened sound file; its name may be of any bytes."""
    return soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)


def _read_blocks(path: Path, file: soundfile.SoundFile) -> NDArray[np.float32]:
    """All samples ``(time, channels)``, in blocks: some decoders cannot tell where they are."""
    lowest, highest = PLAUSIBLE_RATES_HZ
    if not lowest <= file.samplerate <= highest:
        raise UnusableFile(path, f"sample rate of {file.samplerate} Hz, which no recording has")
    if file.frames == UNKNOWN_FRAMES:
        raise UnusableFile(path, "length not announced (written as a stream); decode it and write it again")
    if file.frames > LONGEST_RECORDING_S * file.samplerate:
        raise UnusableFile(path, f"longer than {LONGEST_RECORDING_S:.0f} s")
    blocks = []
    size = max(1, BLOCK_SAMPLES // file.channels)
    while len(block := file.read(frames=size, dtype="float32", always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, file.channels), np.float32)


def _require_sound(path: Path, mono: Waveform, cancelled: bool) -> None:
    if not bool(np.isfinite(mono).all()):
        raise UnusableFile(path, "not finite (NaN or infinite samples)")
    if cancelled:
        raise UnusableFile(path, "silent (its channels cancel each other out: opposite polarity)")
    if np.abs(mono).max() < 10 ** (SILENCE_PEAK_DB / 20):
        raise UnusableFile(path, f"silent (peak below {SILENCE_PEAK_DB:.0f} dB of full scale)")


def trim_silence(mono: Waveform, rate_hz: int, below_peak_db: float) -> Waveform:
    """Part ``(time,)`` from the first to the last frame whose RMS is within ``below_peak_db`` of the loudest's.

    The power of a frame is the median of five around it, silence beyond the ends: a click is no sound.
    """
    frame = max(1, round(TRIM_FRAME_S * rate_hz))
    # In float64, so that the square of a faint sample is not rounded to zero.
    padded = np.pad(mono.astype(np.float64), (0, -len(mono) % frame)).reshape(-1, frame)
    power = np.square(padded).mean(axis=1)
    beyond = np.pad(power, TRIM_MEDIAN_FRAMES // 2)
    smoothed = np.median(np.lib.stride_tricks.sliding_window_view(beyond, TRIM_MEDIAN_FRAMES), axis=1)
    # A sound as short as a click is all that there is.
    power = smoothed if smoothed.max() > power.max() * 10 ** (-below_peak_db / 10) else power
    loud = np.flatnonzero(power >= power.max() * 10 ** (-below_peak_db / 10))
    return mono[loud[0] * frame : (loud[-1] + 1) * frame]


def fit_length(mono: Waveform, samples: int, placement: str) -> Waveform:
    """Cut or zero-pad to ``(samples,)``, at both ends (``centre``) or at the end (``start``)."""
    surplus = len(mono) - samples
    before = abs(surplus) // 2 if placement == "centre" else 0
    if surplus >= 0:
        return mono[before : before + samples]
    return np.pad(mono, (before, -surplus - before))


def read_waveforms(
    paths: Sequence[Path], audio_format: AudioFormat, workers: int | None = None
) -> tuple[Waveform, list[int], tuple[Skipped, ...]]:
    """Waveforms ``(usable, time)`` in the order of ``paths``, the indices that were usable, and the others' reasons.

    One array is allocated for all, and rows are moved up over unusable ones in place: what it takes is what it
    returns. The outcome does not depend on ``workers`` (by default one thread a core; decoding frees the GIL).
    """
    rows = np.empty((len(paths), audio_format.samples), np.float32)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        outcomes = _read_into(rows, pool, paths, audio_format)
        # disable=None keeps the bar to terminals.
        reasons = list(track(outcomes, len(paths), "reading", "file"))
    usable = _usable(reasons)
    return _moved_up(rows, usable), usable, tuple(reason for reason in reasons if reason is not None)


def read_features(
    paths: Sequence[Path], audio_format: AudioFormat, domain: Domain, workers: int | None = None
) -> tuple[Tensor, list[int], tuple[Skipped, ...]]:
    """Recordings in a model's domain, without holding all their waveforms.

    Threads decode, trim and resample recordings while those before them are transformed. Memory is that of the result
    and of two blocks of recordings.

    Parameters
    ----------
    paths : sequence of Path
        Sound files.
    audio_format : AudioFormat
        What every recording is turned into, of the domain's rate and length.
    domain : Domain
        Its ``analysis`` takes waveforms ``(batch, 1, time)``.
    workers : int, optional
        Threads that decode, by default one a core; the result does not depend on it.

    Returns
    -------
    features : Tensor
        ``(usable, 1, *domain.shape)`` in the order of ``paths``, in the domain's unit.
    usable : list of int
        Indices of ``paths`` that could be used.
    skipped : tuple of Skipped
        The others with their reasons.

    Raises
    ------
    UserError
        If the domain does not take waveforms of the format's rate and length.

    Examples
    --------
    >>> from audioxai.domains import LogMel
    >>> one_second = AudioFormat(16_000, 1.0, "centre", trim_below_peak_db=35.0, peak_normalise=True)
    >>> features, usable, skipped = read_features([], one_second, LogMel(16_000, 1.0, bands=64, frames=64))
    >>> features.shape
    torch.Size([0, 1, 64, 64])
    """
    rate_hz = getattr(domain, "sample_rate_hz", audio_format.sample_rate_hz)
    if rate_hz != audio_format.sample_rate_hz:
        raise UserError(
            f"the domain takes {rate_hz} Hz but recordings are read at {audio_format.sample_rate_hz} Hz; give both the "
            "same rate"
        )
    features = torch.empty(len(paths), 1, *domain.shape)
    _features_of(np.zeros((1, audio_format.samples), np.float32), domain)  # refuses another length before any work
    reasons: list[Skipped | None] = []
    blocks = list(slices(len(paths), BLOCK_RECORDINGS))
    filled = 0
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:

        def begun(block: slice) -> tuple[Waveform, Iterator[Skipped | None]]:
            rows = np.empty((block.stop - block.start, audio_format.samples), np.float32)
            return rows, _read_into(rows, pool, paths[block], audio_format)

        ahead = [begun(block) for block in blocks[:1]]
        for number in track(range(len(blocks)), len(blocks), "reading", "block"):
            ahead += [begun(block) for block in blocks[number + 1 : number + 2]]
            rows, outcomes = ahead.pop(0)
            of_block = list(outcomes)
            reasons += of_block
            usable = _usable(of_block)
            features[filled : filled + len(usable)] = _features_of(_moved_up(rows, usable), domain)
            filled += len(usable)
    return features[:filled], _usable(reasons), tuple(reason for reason in reasons if reason is not None)


def _read_into(
    rows: Waveform, pool: ThreadPoolExecutor, paths: Sequence[Path], audio_format: AudioFormat
) -> Iterator[Skipped | None]:
    """Start to decode every path into its row; yields the reason of each that cannot be used, else None."""

    def read(row: int) -> Skipped | None:
        try:
            rows[row] = read_waveform(paths[row], audio_format)
        except UnusableFile as error:
            return Skipped(error.path, error.reason)
        return None

    return pool.map(read, range(len(paths)))


def _usable(reasons: Sequence[Skipped | None]) -> list[int]:
    return [row for row, reason in enumerate(reasons) if reason is None]


def _features_of(waveforms: Waveform, domain: Domain) -> Tensor:
    """Waveforms ``(batch, time)`` in the domain, ``(batch, 1, *domain.shape)``, in calls that stay in the cache."""
    batch = torch.from_numpy(waveforms)[:, None]
    size = inputs_per_call(batch.shape[-1], batch.device)
    with torch.inference_mode(mode=False), torch.no_grad():
        parts = [domain.analysis(batch[rows]) for rows in slices(len(batch), size)]
    return torch.cat(parts) if parts else torch.empty(0, 1, *domain.shape)


def _moved_up(rows: Waveform, usable: Sequence[int]) -> Waveform:
    for target, origin in enumerate(usable):
        if target != origin:
            rows[target] = rows[origin]
    return rows[: len(usable)]


def _power(mono: Waveform) -> float:
    return float(np.square(mono, dtype=np.float64).mean())
