"""What taking off the offset and looking past clicks changed in the recordings of a data set.

Usage::

    python benchmarks/reading_change.py fsdd audio_mnist_az speech_commands    # 1 to 2 minutes

Up to commit 49eda50 recordings were trimmed and scaled with their offset, and single frames of 20 ms set what counted
as silence. That reading is written out here, and every recording is read by it and by the present one.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
from numpy.typing import NDArray

from audioxai import datasets
from audioxai.datasets.audio_files import TRIM_FRAME_S, AudioFormat, fit_length, read_sound, read_waveform, trim_silence
from audioxai.datasets.recordings import RecordingFolder
from audioxai.datasets.whole_files import UnusableFile
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError

Waveform = NDArray[np.float32]
# A clip differs from what it was where its error is above this level, relative to the clip it was.
HEARD_DB = -40.0


@dataclass(frozen=True)
class Change:
    """What the present reading changed in one recording; ``skipped`` is its reason where it is read no longer.

    Attributes
    ----------
    offset : float
        Mean over peak of the recording.
    trimmed : bool
        Whether other samples are taken off its ends.
    moved_s : float
        By how much the length between its ends changed.
    gained : float
        How much more of the recording's energy is in its clip, as a share of that in the present clip.
    scaled : float
        Its new scale over the earlier one.
    error_db : float
        Level of the difference between both clips, relative to the earlier clip.
    skipped : str
        Why it is read no longer.
    """

    offset: float = 0.0
    trimmed: bool = False
    moved_s: float = 0.0
    gained: float = 0.0
    scaled: float = 1.0
    error_db: float = -np.inf
    skipped: str = ""


def main(arguments: list[str]) -> None:
    """Print one row for every data set."""
    parser = OneLineParser(description="What the present reading of recordings changed.")
    parser.add_argument("datasets", nargs="+", metavar="NAME", help="registered data sets whose folders are there")
    options = parser.parse_args(arguments)
    print(pd.DataFrame([summary(name) for name in options.datasets]).set_index("data set").T.to_string())


def summary(name: str) -> dict[str, object]:
    """Counts over all recordings of a data set."""
    source, root = datasets.source_of(name), datasets.find_root(name)
    if not isinstance(source, RecordingFolder) or root is None:
        raise UserError(
            f"{name} is no audio data set that is there; name one whose folder is in {datasets.DATA_VARIABLE}"
        )
    listing = source.list_recordings(root)
    reading = source.format_of(listing)
    with ThreadPoolExecutor() as pool:
        changes = list(pool.map(lambda one: change(one.path, reading), listing.recordings))
    table = pd.DataFrame([vars(one) for one in changes])
    reasons = dict.fromkeys(one.skipped.partition(" (")[0] for one in changes if one.skipped)
    return {
        "data set": name,
        "recordings": len(table),
        "offset above 1 % of the peak": int((table["offset"].abs() > 0.01).sum()),
        "trimmed elsewhere": int(table["trimmed"].sum()),
        "… by more than 0.1 s": int((table["moved_s"].abs() > 0.1).sum()),
        "clip has more than 10 % more of the energy": int((table["gained"] > 0.1).sum()),
        "clip has more than 10 % less of the energy": int((table["gained"] < -0.1).sum()),
        "scaled otherwise by more than 1 %": int(((table["scaled"] - 1).abs() > 0.01).sum()),
        f"clip differs by more than {HEARD_DB:.0f} dB": int((table["error_db"] > HEARD_DB).sum()),
        "read no longer": int((table["skipped"] != "").sum()),
        "… because": "; ".join(reasons) or "–",
    }


def change(path: Path, reading: AudioFormat) -> Change:
    """Change of one recording."""
    channels, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    raw = np.ascontiguousarray(channels.mean(axis=1))
    try:
        now = read_waveform(path, reading)
    except UnusableFile as unusable:
        return Change(skipped=unusable.reason)
    start, stop = (0, len(raw))
    new_start, new_stop = start, stop
    mono, _ = read_sound(path)
    if reading.trim_below_peak_db is not None:
        start, stop = earlier_ends(raw, rate_hz, reading.trim_below_peak_db)
        kept = trim_silence(mono, rate_hz, reading.trim_below_peak_db)
        new_start = (kept.ctypes.data - mono.ctypes.data) // mono.itemsize
        new_stop = new_start + len(kept)
    energy, length = np.square(mono, dtype=np.float64), round(reading.duration_s * rate_hz)
    held = fit_length(energy[new_start:new_stop], length, reading.placement).sum()
    earlier_held = fit_length(energy[start:stop], length, reading.placement).sum()
    earlier, earlier_peak = earlier_clip(raw[start:stop], rate_hz, reading)
    peak = float(np.abs(_resampled(mono[new_start:new_stop], rate_hz, reading)).max())
    error = np.square(now - earlier, dtype=np.float64).sum() / np.square(earlier, dtype=np.float64).sum()
    return Change(
        offset=float(raw.mean() / np.abs(raw).max()),
        trimmed=(start, stop) != (new_start, new_stop),
        moved_s=((new_stop - new_start) - (stop - start)) / rate_hz,
        gained=float(1 - earlier_held / held),
        scaled=earlier_peak / peak,
        error_db=float(10 * np.log10(error)) if error > 0 else -np.inf,
    )


def earlier_ends(mono: Waveform, rate_hz: int, below_peak_db: float) -> tuple[int, int]:
    """First sample that was kept, and the first after the last one."""
    frame = round(TRIM_FRAME_S * rate_hz)
    power = np.square(np.pad(mono.astype(np.float64), (0, -len(mono) % frame)).reshape(-1, frame)).mean(axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]) * frame, min(len(mono), (int(loud[-1]) + 1) * frame)


def earlier_clip(trimmed: Waveform, rate_hz: int, reading: AudioFormat) -> tuple[Waveform, float]:
    """What the trimmed recording was turned into, and its peak before it was scaled."""
    mono = _resampled(trimmed, rate_hz, reading)
    peak = float(np.abs(mono).max())
    scaled = mono / np.float32(peak) if reading.peak_normalise else mono
    return fit_length(scaled, reading.samples, reading.placement), peak


def _resampled(mono: Waveform, rate_hz: int, reading: AudioFormat) -> Waveform:
    if rate_hz == reading.sample_rate_hz:
        return mono
    resampled: Waveform = soxr.resample(mono, rate_hz, reading.sample_rate_hz, quality="HQ")
    return resampled


if __name__ == "__main__":
    raise SystemExit(run_command(main))
