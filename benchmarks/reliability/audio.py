"""Damaged sound files of every kind that libsndfile writes: used as they are, or refused.

What is used is compared with an independent reading of the same bytes where the samples are stored as numbers, and with
the undamaged sound where the file has checksums, or is cut or joined. Lossy kinds without checksums (MP3, ADPCM, GSM …)
cannot know a flipped bit in their content: there, a flip may change samples, but neither their number nor their rate.
"""

import io
import random
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from benchmarks.reliability.tally import Outcome, Tally, Verdict, how_many, in_children
from numpy.typing import NDArray

from audioxai.datasets.audio_files import AudioFormat, read_sound, read_waveform
from audioxai.datasets.whole_files import UnusableFile

Samples = NDArray[np.float64]

MUTATED = 6_000
LIMIT_S = 20.0
READING = AudioFormat(8_000, 1.0, "centre", 35.0, True)
# A rounding of single precision, and of the mean that is taken off.
CLOSE = 2e-6
# Without a header, and with one in a second file that is written into the current folder.
NOT_TRIED = ("RAW", "SD2")
SUFFIXES = {"WAVEX": "wav", "NIST": "wav", "MP3": "mp3", "OGG": "ogg"}


@dataclass(frozen=True)
class Kind:
    """A container, how samples are stored in it, and how many channels it has."""

    container: str
    storage: str
    channels: int = 1
    order: str = "FILE"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.container} {self.storage} {self.channels} {self.order}"

    @property
    def rate_hz(self) -> int:
        """Rate that every kind can have."""
        return 16_000 if self.container in ("MP3", "OGG") or self.storage == "MPEG_LAYER_III" else 8_000

    @property
    def suffix(self) -> str:
        """End of a file's name."""
        return SUFFIXES.get(self.container, self.container.lower())

    @property
    def has_checksums(self) -> bool:
        """Whether damage of the content can be known."""
        return self.container in ("FLAC", "OGG")


@dataclass(frozen=True)
class Case:
    """A seeded damage of a kind."""

    folder: Path
    kind: Kind
    damage: str
    seed: int

    @property
    def name(self) -> str:
        """What it is called where it goes wrong."""
        return f"{self.kind.name}, {self.damage}, {self.seed}"


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Every kind with every damage in turn."""
    read = [kind for kind in kinds() if undamaged(folder, kind) is not None]
    rounds = MUTATED // (len(read) * len(DAMAGES)) + 1
    cases = [
        Case(folder, kind, damage, seed * MUTATED + number)
        for number in range(rounds)
        for damage in DAMAGES
        # Kinds that are refused are so at once, whatever else there is to them.
        for kind in (kinds() if number == 0 else read)
    ]
    if scale < 1:
        cases = random.Random(seed).sample(cases, how_many(len(cases), scale))
    outcomes = in_children(try_case, cases, LIMIT_S)
    return Tally.of("audio", zip((case.name for case in cases), outcomes, strict=True))


@cache
def kinds() -> tuple[Kind, ...]:
    """All that libsndfile writes with a header, in stereo and the other byte order too where numbers are stored."""
    found = []
    for container in soundfile.available_formats():
        for storage in soundfile.available_subtypes(container):
            found += [Kind(container, storage, channels) for channels in (1, 2)]
        found += [Kind(container, "PCM_16", order=order) for order in ("LITTLE", "BIG")]
    return tuple(kind for kind in found if kind.container not in NOT_TRIED and whole(kind) is not None)


@cache
def sound(channels: int, rate_hz: int) -> Samples:
    """A voice-like sound of some frames and pages, another in every channel."""
    time_s = np.arange(round(1.7 * rate_hz))[:, None] / rate_hz
    pitches_hz = 140.0 + 30.0 * np.arange(channels)
    harmonics = sum(np.sin(2 * np.pi * number * pitches_hz * time_s) / number for number in range(1, 9))
    noise = np.random.default_rng(0).standard_normal((len(time_s), channels))
    return np.asarray(0.15 * harmonics * (1 + np.sin(2 * np.pi * 3 * time_s)) + 0.01 * noise)


@cache
def whole(kind: Kind) -> bytes | None:
    """The undamaged file, None where the container cannot hold that."""
    file = io.BytesIO()
    try:
        soundfile.write(
            file,
            sound(kind.channels, kind.rate_hz),
            kind.rate_hz,
            subtype=kind.storage,
            endian=kind.order,
            format=kind.container,
        )
    except (soundfile.LibsndfileError, ValueError, TypeError):
        return None
    return file.getvalue() or None


@cache
def undamaged(folder: Path, kind: Kind) -> Samples | None:
    """Mono samples of the undamaged file, None if it is of a kind that is refused."""
    place = folder / f"whole.{kind.suffix}"
    place.write_bytes(whole(kind) or b"")
    try:
        return read_sound(place)[0].astype(np.float64)
    except ValueError:
        return None


def try_case(case: Case) -> Outcome:
    """Read a damaged file and compare what is read."""
    content = whole(case.kind)
    assert content is not None
    expected = undamaged(case.folder, case.kind)
    draw = random.Random(case.name)
    damaged, suffix = DAMAGES[case.damage](content, draw), case.kind.suffix
    if case.damage == "another suffix":
        suffix = draw.choice(("wav", "mp3", "flac", "ogg", "aiff", "caf"))
    place = case.folder / f"damaged.{suffix}"
    place.write_bytes(damaged)
    with warnings.catch_warnings():
        # A warning that nobody explains is a fault, too.
        warnings.simplefilter("error")
        return _outcome(case, place, damaged, expected)


def _outcome(case: Case, place: Path, damaged: bytes, expected: Samples | None) -> Outcome:
    mono, rate_hz = read_sound(place)
    if expected is None:
        return Outcome(Verdict.WRONG, "the undamaged file is refused and the damaged one is not")
    wrong = difference(case, damaged, mono.astype(np.float64), rate_hz, expected)
    if wrong is not None:
        return Outcome(Verdict.WRONG, wrong)
    return _as_waveform(place)


def difference(case: Case, damaged: bytes, mono: Samples, rate_hz: int, expected: Samples) -> str | None:
    """What is wrong with the mono samples that were read, None if nothing is."""
    if not np.isfinite(mono).all():
        return "samples that are not finite"
    if case.damage == "joined":
        return f"{len(mono)} samples of two files of {len(expected)}"
    if rate_hz == case.kind.rate_hz and close(mono, expected):
        return None
    if case.damage in WHOLE_OR_REFUSED or case.kind.has_checksums:
        return f"{len(mono)} samples at {rate_hz} Hz instead of {len(expected)} at {case.kind.rate_hz}"
    stored = independently(damaged)
    if stored is None:
        if case.damage in IN_THE_CONTENT and (len(mono), rate_hz) != (len(expected), case.kind.rate_hz):
            return f"{len(mono)} samples at {rate_hz} Hz instead of {len(expected)} at {case.kind.rate_hz}"
        return None
    samples, own_rate_hz = stored
    # Rates of 80 bits are rounded in either way.
    if abs(own_rate_hz - rate_hz) > 1 or not close(mono, samples.mean(1) - samples.mean()):
        return f"{len(mono)} samples at {rate_hz} Hz where {len(samples)} at {own_rate_hz} are stored"
    return None


def close(one: Samples, other: Samples) -> bool:
    """Whether samples are the same but for rounding."""
    largest = max(1.0, float(np.abs(other).max(initial=0.0)))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=CLOSE * largest))


def _as_waveform(place: Path) -> Outcome:
    try:
        waveform = read_waveform(place, READING)
    except UnusableFile as error:
        return Outcome(Verdict.REFUSED, error.reason)
    fine = waveform.dtype == np.float32 and waveform.shape == (READING.samples,) and bool(np.isfinite(waveform).all())
    if not fine or np.abs(waveform).max() > 1.0001:
        return Outcome(Verdict.WRONG, f"a waveform of {waveform.dtype} {waveform.shape} up to {np.abs(waveform).max()}")
    return Outcome(Verdict.USED)


Damage = Callable[[bytes, random.Random], bytes]
INTEGERS = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HEADER_BYTES = 120
# With the longest, that of MP3, where the encoder tells how much silence it added.
ALL_HEADER_BYTES = 400


def _flip_header(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        damaged[draw.randrange(min(len(damaged), HEADER_BYTES))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _flip(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 5, 40))):
        damaged[draw.randrange(min(ALL_HEADER_BYTES, len(damaged) // 2), len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _cut(content: bytes, draw: random.Random) -> bytes:
    ends = (draw.randrange(len(content)), draw.randrange(min(200, len(content))), int(len(content) * 0.98))
    return content[: draw.choice(ends)]


def _cut_a_little(content: bytes, draw: random.Random) -> bytes:
    return content[: -draw.choice((2, 3, 4, 16, 100))]


def _integers(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        width, place = draw.choice((2, 4, 8)), draw.randrange(0, min(len(content) - 8, 80), 2)
        number = draw.choice(INTEGERS) & (2 ** (8 * width) - 1)
        damaged[place : place + width] = number.to_bytes(width, draw.choice(("little", "big")))
    return bytes(damaged)


def _zeros(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    place, length = draw.randrange(len(content) // 3, len(content)), draw.choice((64, 512, 4096))
    damaged[place : place + length] = bytes(len(damaged[place : place + length]))
    return bytes(damaged)


def _left_out(content: bytes, draw: random.Random) -> bytes:
    place, length = draw.randrange(len(content) // 3, len(content)), draw.choice((2, 64, 512, 2_000))
    return content[:place] + content[place + length :]


def _twice(content: bytes, draw: random.Random) -> bytes:
    place, length = draw.randrange(len(content)), draw.randrange(2, 500)
    return content[: place + length] + content[place:]


def _other_inside(content: bytes, draw: random.Random) -> bytes:
    other = whole(draw.choice(kinds())) or b""
    place = draw.randrange(len(content))
    return content[:place] + other[min(place, len(other)) :]


DAMAGES: dict[str, Damage] = {
    "none": lambda content, _: content,
    "another suffix": lambda content, _: content,
    "cut": _cut,
    "cut a little": _cut_a_little,
    "flipped header": _flip_header,
    "flipped content": _flip,
    "numbers at their limits": _integers,
    "zeros": _zeros,
    "a piece left out": _left_out,
    "a piece twice": _twice,
    "the end of another file": _other_inside,
    "joined": lambda content, _: content + content,
    "a tag before it": lambda content, _: b"ID3\4\0\0\0\0\2\0" + bytes(256) + content,
    "a tag after it": lambda content, _: content + b"TAG" + bytes(125),
}
# What comes of these is the sound as it was, or nothing.
WHOLE_OR_REFUSED = ("none", "another suffix", "cut", "cut a little", "a tag before it", "a tag after it")
IN_THE_CONTENT = ("flipped content", "zeros")


def independently(content: bytes) -> tuple[Samples, int] | None:
    """Samples ``(time, channels)`` and rate of files that store numbers, None for all others."""
    readers = {
        b"RIFF": _riff,
        b"RIFX": _riff,
        b"RF64": _riff,
        b"riff": _wave64,
        b"FORM": _aiff,
        b".snd": _au,
        b"dns.": _au,
        b"caff": _caf,
    }
    reader = readers.get(content[:4])
    try:
        return None if reader is None else reader(content)
    except (struct.error, ValueError, KeyError, StopIteration):
        return None


def _chunks(content: bytes, place: int, header: str, alignment: int) -> Iterator[tuple[bytes, int, int]]:
    while place + struct.calcsize(header) <= len(content):
        name, size = struct.unpack_from(header, content, place)
        place += struct.calcsize(header)
        yield name, place, size
        place += size + -size % alignment


def _numbers(content: bytes, start: int, size: int, storage: str, channels: int) -> Samples:
    """Stored numbers as samples in [−1, 1]."""
    held = content[start : start + size]
    width = 3 if storage[1:] == "i3" else np.dtype(storage).itemsize
    held = held[: len(held) // (width * channels) * width * channels]
    if width == 3:
        three = np.frombuffer(held, np.uint8).reshape(-1, 3).astype(np.int64)
        low, middle, high = (three[:, place] for place in ((0, 1, 2) if storage[0] == "<" else (2, 1, 0)))
        values = (low | middle << 8 | high << 16).astype(np.float64)
        values = np.where(values >= 1 << 23, values - (1 << 24), values) / (1 << 23)
    else:
        numbers = np.frombuffer(held, storage)
        values = numbers.astype(np.float64)
        if numbers.dtype.kind == "u":
            values = values / 128 - 1
        elif numbers.dtype.kind == "i":
            values = values / 2.0 ** (8 * width - 1)
    return values.reshape(-1, channels)


def _described(content: bytes, place: int, order: str) -> tuple[str, int, int]:
    tag, channels, rate_hz, _, _, bits = struct.unpack_from(f"{order}HHIIHH", content, place)
    if tag == 0xFFFE:
        (tag,) = struct.unpack_from(f"{order}H", content, place + 24)
    names = {(1, 8): "u1", (1, 16): "i2", (1, 24): "i3", (1, 32): "i4", (3, 32): "f4", (3, 64): "f8"}
    return f"{order}{names[tag, bits]}", channels, rate_hz


def _riff(content: bytes) -> tuple[Samples, int] | None:
    order, long_size = ">" if content[:4] == b"RIFX" else "<", 0xFFFFFFFF
    described = None
    for name, place, size in _chunks(content, 12, f"{order}4sI", 2):
        if name == b"ds64":
            (long_size,) = struct.unpack_from("<Q", content, place + 8)
        if name == b"fmt ":
            described = _described(content, place, order)
        if name == b"data" and described is not None:
            storage, channels, rate_hz = described
            length = long_size if size == 0xFFFFFFFF else size
            return _numbers(content, place, length, storage, channels), rate_hz
    return None


def _wave64(content: bytes) -> tuple[Samples, int] | None:
    place, described = 40, None
    while place + 24 <= len(content):
        name, size = struct.unpack_from("<4s12xQ", content, place)
        if name == b"fmt ":
            described = _described(content, place + 24, "<")
        if name == b"data" and described is not None:
            storage, channels, rate_hz = described
            return _numbers(content, place + 24, size - 24, storage, channels), rate_hz
        place += max(24, size + -size % 8)
    return None


def _aiff(content: bytes) -> tuple[Samples, int] | None:
    kinds = {b"": ">", b"NONE": ">", b"twos": ">", b"sowt": "<", b"raw ": "u", b"fl32": "f4", b"FL32": "f4"}
    kinds |= {b"fl64": "f8", b"FL64": "f8"}
    described = None
    for name, place, size in _chunks(content, 12, ">4sI", 2):
        if name == b"COMM":
            channels, _, bits, exponent, mantissa = struct.unpack_from(">hIhHQ", content, place)
            kind = kinds[content[place + 18 : place + 22] if content[8:12] == b"AIFC" else b""]
            storage = f">{kind}" if kind in ("f4", "f8") else "u1" if kind == "u" else f"{kind}i{(bits + 7) // 8}"
            described = storage, channels, round(mantissa * 2.0 ** (exponent - 16383 - 63))
        if name == b"SSND" and described is not None:
            storage, channels, rate_hz = described
            (offset,) = struct.unpack_from(">I", content, place)
            return _numbers(content, place + 8 + offset, size - 8 - offset, storage, channels), rate_hz
    return None


def _au(content: bytes) -> tuple[Samples, int] | None:
    order = ">" if content[:4] == b".snd" else "<"
    start, size, encoding, rate_hz, channels = struct.unpack_from(f"{order}5I", content, 4)
    storage = {2: "i1", 3: "i2", 4: "i3", 5: "i4", 6: "f4", 7: "f8"}[encoding]
    return _numbers(content, start, size, f"{order}{storage}", channels), rate_hz


def _caf(content: bytes) -> tuple[Samples, int] | None:
    described = None
    for name, place, size in _chunks(content, 8, ">4sq", 1):
        if name == b"desc":
            rate_hz, kind, flags, _, _, channels, bits = struct.unpack_from(">d4s5I", content, place)
            if kind != b"lpcm":
                return None
            described = f"{'<' if flags & 2 else '>'}{'f' if flags & 1 else 'i'}{bits // 8}", channels, rate_hz
        if name == b"data" and described is not None:
            return _numbers(content, place + 4, size - 4, described[0], described[1]), round(described[2])
    return None
