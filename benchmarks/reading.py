"""Time and memory from FLAC files to spectrograms, beside a loop with librosa and beside decoding alone.

    python benchmarks/reading.py --json out.json                 # 30,000 clips of 1 s, 2 to 4 minutes on 2 cores
    python benchmarks/reading.py --clips 3000 --json out.json

The clips are synthetic voices of 0.6 to 1 s in noise at 16 kHz. Each way is a process of its own, so that its peak
memory is its own: *ours* (decoded, checked against the file's own checksum, trimmed, scaled, and made 64 × 64 log-mel
spectrograms), *reading* (the same files decoded by soundfile alone, one after the other) and *librosa* (loaded,
trimmed and transformed clip by clip, as its users write it; on a tenth of the clips, and stated for all).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

RATE_HZ = 16_000
FILES_PER_FOLDER = 1_000
LIBROSA_SHARE = 10


def write_clips(folder: Path, count: int) -> None:
    """FLAC files of harmonic tones with a decaying envelope, in folders of a thousand."""
    random = np.random.default_rng(0)
    for index in range(count):
        length = int(RATE_HZ * random.uniform(0.6, 1.0))
        time_s = np.arange(length) / RATE_HZ
        pitch_hz = random.uniform(80.0, 300.0)
        voice = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in range(1, 9)) * np.exp(-3.0 * time_s)
        clip = 0.2 * voice + 1e-3 * random.standard_normal(length)
        place = folder / f"{index // FILES_PER_FOLDER:03d}"
        place.mkdir(exist_ok=True)
        soundfile.write(place / f"{index}.flac", clip, RATE_HZ, subtype="PCM_16")


def ours(paths: list[Path]) -> int:
    """Number of spectrograms made by :func:`audioxai.datasets.audio_files.read_features`."""
    from audioxai.datasets.audio_files import AudioFormat, read_features
    from audioxai.domains import LogMel

    audio_format = AudioFormat(RATE_HZ, 1.0, "centre", trim_below_peak_db=35.0, peak_normalise=True)
    features, _, _ = read_features(paths, audio_format, LogMel(RATE_HZ, 1.0, bands=64, frames=64))
    return len(features)


def reading(paths: list[Path]) -> int:
    """Number of files decoded, one after the other."""
    return sum(len(soundfile.read(path, dtype="float32")[0]) > 0 for path in paths)


def with_librosa(paths: list[Path]) -> int:
    """Number of spectrograms made by librosa, clip by clip."""
    import librosa

    made = []
    for path in paths:
        clip, _ = librosa.load(path, sr=RATE_HZ)
        clip, _ = librosa.effects.trim(clip, top_db=35)
        clip = librosa.util.fix_length(clip / np.abs(clip).max(), size=RATE_HZ)
        power = librosa.feature.melspectrogram(y=clip, sr=RATE_HZ, n_fft=1024, hop_length=253, n_mels=64, norm=None)
        made.append(librosa.power_to_db(power, top_db=None).astype(np.float32))
    return len(made)


WAYS: dict[str, Callable[[list[Path]], int]] = {"ours": ours, "reading": reading, "librosa": with_librosa}


def measure_here(way: str, folder: Path, count: int) -> dict[str, Any]:
    """Figures of one way in this process; its first files are read once before the clock starts."""
    paths = sorted(folder.rglob("*.flac"))[:count]
    WAYS[way](paths[:32])
    started = time.perf_counter()
    made = WAYS[way](paths)
    seconds = time.perf_counter() - started
    peak_kib = next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return {"clips": made, "seconds": round(seconds, 2), "peak_rss_gb": round(peak_kib * 1024 / 1e9, 2)}


def measure(count: int) -> dict[str, Any]:
    """Figures of every way, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        write_clips(Path(name), count)
        found: dict[str, Any] = {}
        for way in WAYS:
            share = count if way != "librosa" else max(1, count // LIBROSA_SHARE)
            command = [sys.executable, __file__, "--way", way, "--folder", name, "--clips", str(share)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[way] = json.loads(done.stdout)
            found[way]["clips_per_s"] = round(share / found[way]["seconds"], 1)
    found["librosa_ratio"] = round(found["ours"]["clips_per_s"] / found["librosa"]["clips_per_s"], 2)
    found["reading_ratio"] = round(found["ours"]["clips_per_s"] / found["reading"]["clips_per_s"], 2)
    return found


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--clips", type=int, default=30_000, help="clips (default 30000)")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.clips < 1:
        raise UserError(f"clips is {options.clips}; give at least 1")
    if options.way is not None:
        print(json.dumps(measure_here(options.way, options.folder, options.clips)))
        return
    text = json.dumps(measure(options.clips), indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_command(main))
