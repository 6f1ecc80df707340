"""Whether a sound file is whole, from its container: decoders correct announced lengths to what is there, silently.

What follows the sound counts too: another recording, or sound that the header does not know of, would be left out.
Sources: the formats' own headers: RIFF/RF64 (EBU 3306), Wave64, AIFF, AU, CAF, NIST SPHERE, FLAC (RFC 9639), Ogg
(RFC 3533), MP3 (ISO 11172-3).
"""

import math
import mmap
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path


class UnusableFile(Exception):  # noqa: N818
    """A recording that cannot be used; it is skipped and counted, the others go on."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


_UNKNOWN_32 = 0xFFFFFFFF
_MOST_CHUNKS = 1000
_CHUNK_NAME = re.compile(rb"[ -~]{4}")
_CONVERT = "convert it to WAV or FLAC"
_STREAM = "length not announced (written as a stream); decode it and write it again"
_RECORDINGS = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff",
    b"FORM",
    b".snd",
    b"dns.",
    b"caff",
    b"fLaC",
    b"OggS",
    b"NIST_1A",
)
_SPHERE_BYTES = 1024
_SPHERE_FIELDS = {b"sample_count", b"channel_count", b"sample_n_bytes"}
# The magic and the head of the first block, which has 34 bytes.
_FLAC_START = b"fLaC\x00\x00\x00\x22"
# By their code in a frame's header; others are given as numbers.
_FLAC_RATES_HZ = {
    **{1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050},
    **{7: 24_000, 8: 32_000, 9: 44_100, 10: 48_000, 11: 96_000},
}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FIRST_PAGE, _LAST_PAGE = 2, 4
# Kilobits per second by index, of MPEG-1 and of MPEG-2 and 2.5, layer III.
_BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES_HZ = (44_100, 48_000, 32_000)


def require_whole(path: Path) -> None:
    """Check that a file is a regular one, not empty, and as long as its header says.

    Raises
    ------
    UnusableFile
        If it is not.
    OSError
        If it cannot be read.
    """
    status = path.stat()
    # Reading a pipe or a device may never end. Folders are left to the decoder.
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise UnusableFile(path, "no regular file")
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile(path, "unreadable (it is a folder)")
    if status.st_size == 0:
        raise UnusableFile(path, "empty file")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check = _check_of(content)
        reason = f"unreadable (of no kind that is read; {_CONVERT})" if check is None else check(content)
    if reason is not None:
        raise UnusableFile(path, reason)


def _check_of(content: mmap.mmap) -> "_Check | None":
    start = content[:8]
    return next((own for magic, own in _CHECKS if start.startswith(magic)), None)


def stated_frames(path: Path) -> int | None:
    """Number of samples of a channel that a CAF's packet table states; None for all other files.

    libsndfile takes a damaged last packet for a whole one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        chunks = _chunks(content, 8, ">4sq", 1) if content[:4] == b"caff" else ()
        tables = (place for name, place, _ in chunks if name == b"pakt" and place + 16 <= len(content))
        table = next(tables, None)
        return None if table is None else int(struct.unpack_from(">q", content, table + 8)[0])


def stated_md5(path: Path) -> tuple[bytes, int] | None:
    """MD5 of all samples and their bits as a FLAC states them (RFC 9639, 8.2); None for all other files."""
    with path.open("rb") as file:
        head = file.read(42)
    if len(head) < 42 or head[:4] != b"fLaC" or not any(head[26:42]):
        return None
    return head[26:42], ((head[20] & 1) << 4 | head[21] >> 4) + 1


def _cut_off(held: int, announced: int) -> str | None:
    return f"cut off ({held} of {announced} bytes)" if held < announced else None


def _chunks(content: mmap.mmap, start: int, header: str, alignment: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and announced size of every chunk whose header is there."""
    place = start
    for _ in range(_MOST_CHUNKS):
        after = place + struct.calcsize(header)
        if after > len(content):
            return
        name, size = struct.unpack_from(header, content, place)
        yield name, after, size
        place = after + size + -size % alignment


def _riff(content: mmap.mmap) -> str | None:
    """WAV, and RF64 with its lengths of 64 bits."""
    long_size = _UNKNOWN_32
    order = ">" if content[:4] == b"RIFX" else "<"
    for name, place, size in _chunks(content, 12, f"{order}4sI", 2):
        if name == b"ds64" and place + 16 <= len(content):
            (long_size,) = struct.unpack_from("<Q", content, place + 8)
        if name == b"data":
            announced = long_size if size == _UNKNOWN_32 else size
            # Written as a stream: all that follows is sound.
            return None if announced in (0, _UNKNOWN_32) else _chunk_ends(content, place + announced)
    return None


def _aiff(content: mmap.mmap) -> str | None:
    if content[8:12] not in (b"AIFF", b"AIFC"):
        return f"unreadable (a container of another kind; {_CONVERT})"
    sizes = (place + size for name, place, size in _chunks(content, 12, ">4sI", 2) if name == b"SSND")
    announced = next(sizes, None)
    return None if announced is None else _chunk_ends(content, announced)


def _chunk_ends(content: mmap.mmap, end: int) -> str | None:
    """Whether the chunk of the sound is there to its end, and nothing follows but other chunks or zeros."""
    for start in (end + end % 2, end):
        name = content[start : start + 4]
        if _CHUNK_NAME.fullmatch(name) and not name.startswith(_RECORDINGS):
            return None
    return _cut_off(len(content), end) or _surplus(content, end)


def _surplus(content: mmap.mmap, end: int) -> str | None:
    """What follows the sound, if it is more than padding."""
    rest = content[end:].lstrip(b"\0")
    if len(content) <= end or not rest:
        return None
    if rest.startswith(_RECORDINGS):
        return "several recordings joined; split it"
    return f"damaged ({len(content) - end} bytes after its sound, of which its header does not tell)"


def _wave64(content: mmap.mmap) -> str | None:
    # A size counts its header of 24 bytes.
    place = 40
    for _ in range(_MOST_CHUNKS):
        if place + 24 > len(content):
            return None
        name, size = struct.unpack_from("<4s12xQ", content, place)
        if name == b"data":
            end = place + size
            # libsndfile takes all that follows for sound.
            return _cut_off(len(content), end) or (_surplus(content, end) if len(content) > end + -size % 8 else None)
        place += max(24, size + -size % 8)
    return None


def _au(content: mmap.mmap) -> str | None:
    order = ">" if content[:4] == b".snd" else "<"
    start, size = struct.unpack_from(f"{order}II", content, 4) if len(content) >= 12 else (0, _UNKNOWN_32)
    if size == _UNKNOWN_32:
        return _STREAM
    return _cut_off(len(content), start + size) or _surplus(content, start + size)


def _caf(content: mmap.mmap) -> str | None:
    end = None
    for name, place, size in _chunks(content, 8, ">4sq", 1):
        if size < 0:
            return _STREAM
        # Packets are found by their table, which may follow them.
        if name in (b"data", b"pakt") and place + size > len(content):
            return _cut_off(len(content), place + size)
        end = place + size if name == b"data" else end
    return None if end is None else _chunk_ends(content, end)


def _nist(content: mmap.mmap) -> str | None:
    """SPHERE, the WAV files of TIMIT and its relatives."""
    told = dict(re.findall(rb"^(\w+) -i (\d+)\s*$", content[:_SPHERE_BYTES], re.MULTILINE))
    size = re.fullmatch(rb"\s*(\d{1,9})\s*", content[8:16])
    if size is None or not told.keys() >= _SPHERE_FIELDS:
        return "unreadable (its header lacks the number of samples)"
    end = int(size[1]) + math.prod(int(told[name]) for name in _SPHERE_FIELDS)
    return _cut_off(len(content), end) or _surplus(content, end)


def _flac(content: mmap.mmap) -> str | None:
    """Whether no second file follows and the rate is that of the first frame; the decoder finds out all else."""
    if content.find(_FLAC_START, 4) >= 0:
        return "several recordings joined; split it"
    place, is_last = 4, False
    while not is_last and place + 4 <= len(content):
        is_last, place = bool(content[place] & 0x80), place + 4 + int.from_bytes(content[place + 1 : place + 4], "big")
    frame = content[place : place + 3]
    stated_hz = int.from_bytes(content[18:21], "big") >> 4
    if len(frame) == 3 and _FLAC_RATES_HZ.get(frame[2] & 0xF, stated_hz) != stated_hz:
        return f"damaged (its header says {stated_hz} Hz and its frames do not)"
    return None


def _ogg(content: mmap.mmap) -> str | None:
    """Whether every stream in it has its last page, and no second recording follows the first."""
    place, open_streams, ended = 0, set(), False
    while content[place : place + 4] == b"OggS":
        if place + 27 > len(content):
            return _cut_off(len(content), place + 27)
        flags, stream, segments = content[place + 5], content[place + 14 : place + 18], content[place + 26]
        body = place + 27 + segments
        following = body + sum(content[place + 27 : body])
        if following > len(content):
            return f"cut off ({len(content)} of {following} bytes)"
        if _ogg_checksum(content[place:following]) != struct.unpack_from("<I", content, place + 22)[0]:
            return "damaged (a checksum is not that of its content)"
        if flags & _FIRST_PAGE:
            if ended:
                return "several recordings joined; split it"
            open_streams.add(stream)
        if flags & _LAST_PAGE:
            open_streams.discard(stream)
            ended = True
        place = following
    if open_streams:
        return "cut off (its last page is missing)" if place == len(content) else "damaged (pages are missing in it)"
    return _surplus(content, place)


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 as Ogg computes it: polynomial 0x04C11DB7, bits not reversed, from zero; by zlib on reversed bits."""
    reversed_bits = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    raw = zlib.crc32(reversed_bits, _UNKNOWN_32) ^ _UNKNOWN_32
    return int.from_bytes(raw.to_bytes(4, "little").translate(_REVERSED), "big")


def _mpeg(content: mmap.mmap) -> str | None:
    """MP3: whether the frames are as many as its header says, the last one is whole, and no second file follows."""
    place = _after_id3(content, 0)
    first = _mpeg_frame(content, place)
    if first is None:
        return f"unreadable (a tag, and then no MP3; {_CONVERT})"
    announced = _announced_frames(content, place)
    frames, end = 0, _before_tags(content)
    place = place + first if announced is not None else place
    while place < end:
        length = _mpeg_frame(content, place)
        if content[place : place + 3] == b"ID3" or (
            length is not None and frames and _announced_frames(content, place) is not None
        ):
            return "several recordings joined; split it"
        if length is None:
            following = _next_frame(content, place + 1, end)
            if frames and following < end:
                return f"damaged ({following - place} bytes between its frames are none)"
            place = following
            continue
        if place + length > end:
            return f"cut off ({end} of {place + length} bytes)"
        frames += 1
        place += length
    if announced is not None and frames + 1 < announced:
        return f"cut off ({frames} of {announced} frames)"
    if announced is not None and frames > announced + 1:
        return f"several recordings joined ({frames} frames instead of {announced}); split it"
    return None


def _after_id3(content: mmap.mmap, place: int) -> int:
    while content[place : place + 3] == b"ID3" and place + 10 <= len(content):
        size = sum(byte << shift for byte, shift in zip(content[place + 6 : place + 10], (21, 14, 7, 0), strict=True))
        place += 10 + size + (10 if content[place + 5] & 0x10 else 0)
    return place


def _before_tags(content: mmap.mmap) -> int:
    end = len(content)
    if end >= 128 and content[end - 128 : end - 125] == b"TAG":
        end -= 128
    if end >= 32 and content[end - 32 : end - 24] == b"APETAGEX":
        size, flags = struct.unpack_from("<I4xI", content, end - 20)
        end -= size + (32 if flags >> 31 else 0)
    return max(end, 0)


def _mpeg_frame(content: mmap.mmap, place: int) -> int | None:
    """Length in bytes of the layer III frame that starts there, None if none does."""
    header = content[place : place + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate_index, frequency, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != 1 or rate_index in (0, 15) or frequency == 3:
        return None
    rate_hz = _SAMPLE_RATES_HZ[frequency] >> {3: 0, 2: 1, 0: 2}[version]
    bytes_per_frame = (144_000 if version == 3 else 72_000) * _BIT_RATES[version != 3][rate_index]
    return bytes_per_frame // rate_hz + padding


def _next_frame(content: mmap.mmap, place: int, end: int) -> int:
    """Where the next two frames in a row start, ``end`` if nowhere."""
    while (place := content.find(b"\xff", place, end)) >= 0:
        length = _mpeg_frame(content, place)
        if length is not None and (place + length >= end or _mpeg_frame(content, place + length) is not None):
            return place
        place += 1
    return end


def _announced_frames(content: mmap.mmap, place: int) -> int | None:
    """Number of frames after this one as it says, None if it is a frame of sound."""
    header = content[place : place + 4]
    mono, first_version = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[first_version, mono]
    tag = place + 4 + side
    if content[tag : tag + 4] not in (b"Xing", b"Info") or tag + 12 > len(content):
        return None
    flags, frames = struct.unpack_from(">II", content, tag + 4)
    return int(frames) if flags & 1 else None


_Check = Callable[[mmap.mmap], str | None]
_CHECKS: tuple[tuple[bytes, _Check], ...] = (
    (b"RIFF", _riff),
    (b"RIFX", _riff),
    (b"RF64", _riff),
    (b"BW64", _riff),
    (b"riff", _wave64),
    (b"FORM", _aiff),
    (b".snd", _au),
    (b"dns.", _au),
    (b"caff", _caf),
    (b"NIST_1A", _nist),
    (b"fLaC", _flac),
    (b"OggS", _ogg),
    (b"ID3", _mpeg),
    *((bytes((0xFF, second)), _mpeg) for second in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB)),
)
