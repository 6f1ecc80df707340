"""Sounds as they are given, as the clips that a model takes: any file or array, rate, length and number of channels.

Idea
----
A recording is read once to learn its length, offset and whether it can be used, then in blocks as often as clips are
asked for, so that memory does not grow with its length. Resampling goes over the blocks without a seam.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.datasets.audio_files import (
    AUDIO_SUFFIXES,
    BLOCK_SAMPLES,
    CANCELLED_SHARE,
    LONGEST_RECORDING_S,
    SILENCE_PEAK_DB,
    open_sound,
    read_sound,
)
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain

Sound = str | Path | NDArray[Any] | Tensor
Span = tuple[int, int]
"""First sample of a clip and the one after its last."""

RESAMPLING = "HQ"
# No recording of an array has more channels; its first axis is time.
MOST_CHANNELS = 64
# Beyond this share of their power, channels that cancel each other out are worth a word.
PARTLY_CANCELLED_SHARE = 0.25


class Recording(ABC):
    """A sound at a model's rate, of which clips can be taken.

    Attributes
    ----------
    name : str
        File name, or ``array``.
    sample_rate_hz : int
        Rate of the clips.
    """

    name: str
    sample_rate_hz: int

    @property
    @abstractmethod
    def samples(self) -> int:
        """Length in samples, at the model's rate."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of the sound."""

    @abstractmethod
    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The mono waveform from its beginning, in blocks ``(time,)``."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate_hz

    def clips(self, spans: Sequence[Span]) -> Iterator[Tensor]:
        """Clips ``(1, 1, time)`` of spans in ascending order; they may overlap.

        What a span has beyond the end of the recording is silent.
        """
        held, first, blocks = np.zeros(0, np.float32), 0, self.blocks()
        for start, end in spans:
            held, first = _without(held, first, start)
            while first + len(held) < end and (block := next(blocks, None)) is not None:
                held, first = _without(np.concatenate([held, block]), first, start)
            clip = held[max(0, start - first) : end - first]
            yield torch.from_numpy(np.pad(clip, (0, end - start - len(clip))).copy())[None, None]

    def clip(self) -> Tensor:
        """All of it, ``(1, 1, time)``."""
        return next(self.clips([(0, self.samples)]))


@dataclass(frozen=True, eq=False)
class _InMemory(Recording):
    """A mono waveform ``(time,)`` at the model's rate."""

    name: str
    waveform: NDArray[np.float32]
    sample_rate_hz: int
    remarks: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        return len(self.waveform)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.remarks

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        yield self.waveform


@dataclass(frozen=True, eq=False)
class _Streamed(Recording):
    """A file that is too long to be held: read in blocks, resampled on the way."""

    path: Path
    sample_rate_hz: int

    @property
    def name(self) -> str:  # type: ignore[override]
        return plain(self.path.name)

    @property
    def samples(self) -> int:
        return self._facts[0]

    @property
    def notes(self) -> tuple[str, ...]:
        return self._facts[2]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        yield from self._resampled(self._facts[1])

    def _resampled(self, offset: float) -> Iterator[NDArray[np.float32]]:
        with open_sound(self.path) as file:
            if file.samplerate == self.sample_rate_hz:
                for block in _channels_of(file):
                    yield _mono(block, offset)
                return
            stream = soxr.ResampleStream(file.samplerate, self.sample_rate_hz, 1, quality=RESAMPLING)
            for block in _channels_of(file):
                yield np.asarray(stream.resample_chunk(_mono(block, offset)), np.float32)
            yield np.asarray(stream.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)

    @cached_property
    def _facts(self) -> tuple[int, float, tuple[str, ...]]:
        """Samples at the model's rate, the offset, and notes; raises if the sound cannot be used."""
        samples, total, power, apart, peak = 0, 0.0, 0.0, 0.0, 0.0
        with open_sound(self.path) as file:
            for block in _channels_of(file):
                if not bool(np.isfinite(block).all()):
                    raise UserError(f"sound {plain(str(self.path))} holds NaN or infinite samples; give another file")
                mono = block.mean(axis=1, dtype=np.float64)
                samples, total = samples + len(mono), total + float(mono.sum())
                power, apart = power + float(np.square(mono).sum()), apart + float(np.square(block).mean(1).sum())
                peak = max(peak, float(np.abs(mono).max(initial=0.0)))
        if peak < 10 ** (SILENCE_PEAK_DB / 20):
            raise UserError(f"sound {plain(str(self.path))} is silent; give a clip with sound")
        resampled = sum(len(block) for block in self._resampled(0.0))
        return resampled, total / samples, _notes_on_channels(power, apart)


def _without(held: NDArray[np.float32], first: int, start: int) -> tuple[NDArray[np.float32], int]:
    """Samples that begin at ``first``, without those before ``start``, and where they begin."""
    surplus = min(max(0, start - first), len(held))
    return held[surplus:], first + surplus


def _channels_of(file: Any) -> Iterator[NDArray[np.float32]]:
    size = max(1, BLOCK_SAMPLES // file.channels)
    while len(block := file.read(frames=size, dtype="float32", always_2d=True)):
        yield block


def _mono(channels: NDArray[np.float32], offset: float) -> NDArray[np.float32]:
    return np.asarray(channels.mean(axis=1, dtype=np.float64) - offset, np.float32)


def _notes_on_channels(power: float, apart: float) -> tuple[str, ...]:
    """A note where channels cancel each other out in part, from the power of their mean and their mean power."""
    if power < PARTLY_CANCELLED_SHARE * apart:
        lost_db = 10 * np.log10(apart / max(power, np.finfo(np.float64).tiny))
        return (f"the channels are partly in opposite phase: their mean is {lost_db:.0f} dB weaker than they are",)
    return ()


def read_recording(sound: Sound, sample_rate_hz: int | None, model_rate_hz: int, *, name: str = "array") -> Recording:
    """A sound at a model's rate.

    Parameters
    ----------
    sound : path, array or tensor
        A file that libsndfile reads, or a waveform ``(time,)`` or ``(channels, time)`` in [−1, 1].
    sample_rate_hz : int or None
        Rate of an array; a file states its own.
    model_rate_hz : int
        Rate of the result.
    name : str
        Of an array.

    Raises
    ------
    UserError
        If there is no such file, no sound in it or nothing finite, or an array has no rate.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    >>> read_recording(tone, 44_100, 16_000).duration_s
    1.0
    """
    if isinstance(sound, str | Path):
        return _of_file(Path(sound), model_rate_hz)
    if sample_rate_hz is None:
        raise UserError("the array's rate is not known; give sample_rate in Hz")
    mono, notes = _as_mono(sound)
    return _InMemory(name, _at_rate(mono, sample_rate_hz, model_rate_hz), model_rate_hz, notes)


def clip_of(sound: Sound, sample_rate_hz: int | None = None) -> Callable[[int], Tensor]:
    """All of a sound as a clip ``(1, 1, time)`` at the rate in Hz that the result is called with.

    Raises
    ------
    UserError
        When called, as :func:`read_recording` does.
    """
    return lambda rate_hz: read_recording(sound, sample_rate_hz, rate_hz).clip()


def sound_files(paths: Sequence[Path]) -> list[Path]:
    """Files, and the sound files in folders, by name.

    Raises
    ------
    UserError
        If there is no such file or folder, or a folder holds no sound file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no sound {plain(str(path))}; correct the path")
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in AUDIO_SUFFIXES and one.is_file())
        if path.is_dir() and not inside:
            raise UserError(f"folder {plain(str(path))} holds no sound file; name one that does")
        found.extend(inside if path.is_dir() else [path])
    return found


def _of_file(path: Path, model_rate_hz: int) -> Recording:
    if not path.exists():
        raise UserError(f"there is no sound {plain(str(path))}; correct the path")
    if _duration_s(path) > LONGEST_RECORDING_S:
        return _Streamed(path, model_rate_hz)
    mono, rate_hz = read_sound(path)
    return _InMemory(plain(path.name), _at_rate(mono, rate_hz, model_rate_hz), model_rate_hz, _notes_of_file(path))


def _duration_s(path: Path) -> float:
    """Length that a file announces; 0 where it cannot be read, which reading explains better."""
    try:
        with open_sound(path) as file:
            return float(file.frames / file.samplerate)
    except (RuntimeError, OSError, TypeError, ValueError, ZeroDivisionError):
        return 0.0


def _notes_of_file(path: Path) -> tuple[str, ...]:
    power = apart = 0.0
    with open_sound(path) as file:
        if file.channels == 1:
            return ()
        for block in _channels_of(file):
            centred = block - block.mean(axis=0)
            power += float(np.square(centred.mean(axis=1, dtype=np.float64)).sum())
            apart += float(np.square(centred).mean(1).sum())
    return _notes_on_channels(power, apart)


def _at_rate(mono: NDArray[np.float32], rate_hz: int, model_rate_hz: int) -> NDArray[np.float32]:
    if rate_hz == model_rate_hz:
        return mono
    return cast(NDArray[np.float32], soxr.resample(mono, rate_hz, model_rate_hz, quality=RESAMPLING))


def _as_mono(sound: NDArray[Any] | Tensor) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    values = sound.detach().cpu().numpy() if isinstance(sound, Tensor) else np.asarray(sound)
    if values.ndim not in (1, 2) or values.size == 0:
        raise UserError(f"the waveform has shape {values.shape}; give (time,) or (channels, time)")
    if values.ndim == 2 and values.shape[0] > max(values.shape[1], MOST_CHANNELS):
        raise UserError(f"the waveform has shape {values.shape}, which is (time, channels); give (channels, time)")
    if values.dtype.kind != "f":
        raise UserError(f"the waveform is of {values.dtype}; give floating-point samples in [−1, 1]")
    if not bool(np.isfinite(values).all()):
        raise UserError("the waveform holds NaN or infinite samples; give a clip that can be played")
    if not bool(np.any(values)):
        raise UserError("the waveform is silent; give a clip with sound")
    channels = np.atleast_2d(values).astype(np.float64)
    mono = channels.mean(axis=0)
    power, apart = float(np.square(mono).sum()), float(np.square(channels).mean(0).sum())
    if power < CANCELLED_SHARE * apart:
        raise UserError("the channels cancel each other out (opposite phase); give one of them")
    return np.ascontiguousarray(mono, np.float32), _notes_on_channels(power, apart)
