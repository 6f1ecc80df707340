"""Uploads to waveforms, each in a process of its own that has limits.

Idea
----
Decoders are written in C and get files of strangers. Whatever such a file does (endless work, a bomb that unpacks to
gigabytes, a crash) ends one child process. The child is forked from a process that has loaded the decoders, so that it
starts in milliseconds, and answers with plain bytes, which are checked: nothing that it sends is unpickled.
"""

import json
import multiprocessing
import os
import resource
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioxai.utils.errors import UserError

LONGEST_S = 60.0
WALL_S, CPU_S = 30.0, 20
# Beyond what the process has when it starts; enforced on Linux alone.
MOST_BYTES = 1 << 30
RATES_HZ = (1_000, 192_000)
MOST_CHANNELS = 32
MOST_SAMPLES = round(LONGEST_S * RATES_HZ[1])
HEADER_BYTES = 1 << 14
FORMATS = "WAV, FLAC, OGG, Opus, MP3 or AIFF"
# What reading an answer raises that was cut off, or is none.
_BROKEN = (EOFError, OSError, ValueError, KeyError, TypeError, OverflowError)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "audioxai.clips", "audioxai.app.decoding"])


@dataclass(frozen=True, eq=False)
class Decoded:
    """A mono waveform ``(time,)``, float32, its rate in Hz, and what a reader has to know of it."""

    waveform: NDArray[np.float32]
    rate_hz: int
    notes: tuple[str, ...] = ()


def prepare() -> None:
    """Start loading the decoders, so that the first upload does not wait for them."""
    ensure_running()


def decoded(path: Path, name: str, longest_s: float = LONGEST_S, wall_s: float = WALL_S) -> Decoded:
    """Decode a file.

    Parameters
    ----------
    path : Path
        The file; its name says nothing of its format.
    name : str
        What the file is called in messages.
    longest_s : float
        Longest sound that is taken, in seconds.
    wall_s : float
        Time after which the child process is killed, in seconds.

    Raises
    ------
    UserError
        If it is no sound, is longer, or takes more time or memory than it may.
    """
    ours, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=_decode, args=(theirs, str(path), longest_s), daemon=True)
    with ours:
        with theirs:
            process.start()
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            process.kill()

        # Killing it ends the wait for its answer, wherever in the answer that is.
        timer = threading.Timer(wall_s, give_up)
        timer.start()
        try:
            found = _received(ours)
        except _BROKEN as error:
            fault = f"takes longer than {wall_s:g} s to decode" if is_late.is_set() else "broke the decoder"
            raise UserError(f"sound {name} {fault}; give another file") from error
        finally:
            timer.cancel()
            process.kill()
            process.join()
    if isinstance(found, str):
        raise UserError(found.replace(str(path), name))
    return found


def _received(connection: Connection) -> Decoded | str:
    """What the child has read, or why it refuses the file."""
    header = json.loads(connection.recv_bytes(HEADER_BYTES))
    if "refused" in header:
        return str(header["refused"])
    waveform = np.frombuffer(connection.recv_bytes(4 * MOST_SAMPLES), np.float32)
    rate_hz, notes = int(header["rate_hz"]), tuple(str(note) for note in header["notes"])
    if not (len(waveform) and RATES_HZ[0] <= rate_hz <= RATES_HZ[1] and bool(np.isfinite(waveform).all())):
        raise ValueError("no waveform")
    return Decoded(waveform, rate_hz, notes)


def _decode(connection: Connection, path: str, longest_s: float) -> None:
    """What the child does."""
    _limit()
    try:
        header, content = _read(Path(path), longest_s)
    except UserError as error:
        header, content = {"refused": str(error)}, b""
    except MemoryError:
        header, content = {"refused": f"sound {path} takes too much memory to decode; give another file"}, b""
    connection.send_bytes(json.dumps(header).encode()[:HEADER_BYTES])
    if content:
        connection.send_bytes(content)


def _limit() -> None:
    """Give this process limits of memory, time and files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if os.path.exists("/proc/self/statm") else None
    if pages is not None:
        memory = pages * os.sysconf("SC_PAGE_SIZE") + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    # It writes no file, not even a core.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(path: Path, longest_s: float) -> tuple[dict[str, Any], bytes]:
    """Header and samples of a file."""
    from audioxai.clips import read_recording
    from audioxai.datasets.audio_files import open_sound

    try:
        with open_sound(path) as file:
            rate_hz, frames, channels = int(file.samplerate), int(file.frames), int(file.channels)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise UserError(f"sound {path} cannot be read; give {FORMATS}") from error
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1] or not 1 <= channels <= MOST_CHANNELS:
        raise UserError(
            f"sound {path} has {channels} channels at {rate_hz} Hz; give at most {MOST_CHANNELS} channels at "
            f"{RATES_HZ[0]} to {RATES_HZ[1]} Hz"
        )
    if frames > longest_s * rate_hz:
        raise UserError(f"sound {path} lasts {frames / rate_hz:.0f} s; give at most {longest_s:g} s")
    recording = read_recording(path, None, rate_hz)
    if recording.duration_s > longest_s:
        raise UserError(f"sound {path} lasts {recording.duration_s:.0f} s; give at most {longest_s:g} s")
    waveform = recording.clip()[0, 0].numpy()
    return {"rate_hz": rate_hz, "notes": recording.notes}, np.ascontiguousarray(waveform, np.float32).tobytes()
