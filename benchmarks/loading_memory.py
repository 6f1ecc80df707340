"""Time and memory that loading a whole AudioMNIST takes: 30,000 clips of one second at 48 kHz.

Usage::

    python benchmarks/loading_memory.py --json out.json    # 1 to 3 minutes on 2 cores; peak_rss_gb has to stay below 4

The clips are hard links to a few synthetic recordings, in AudioMNIST's layout: 60 speakers × 10 digits × 50.
"""

import json
import os
import resource
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

from audioxai.datasets import load
from audioxai.utils.commands import OneLineParser, run_command

SPEAKERS = 60
DIGITS = 10
ORIGINALS = 8
SAMPLE_RATE_HZ = 48_000
KIBIBYTES = 1 if os.uname().sysname == "Linux" else 1 / 1024


def main(arguments: list[str]) -> None:
    """Measure and print one JSON object."""
    parser = OneLineParser(description="Time and memory of loading AudioMNIST.")
    parser.add_argument("--clips", type=int, default=30_000, metavar="N", help="rounded up to whole repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        make_recordings(Path(folder), repetitions=-(-options.clips // (SPEAKERS * DIGITS)))
        figures = json.dumps(measure(Path(folder)))
    print(figures)
    if options.json is not None:
        options.json.write_text(figures + "\n", encoding="utf-8")


def make_recordings(root: Path, repetitions: int) -> None:
    """AudioMNIST's layout in ``root``, as hard links to a few recordings of 0.6 to 1 s."""
    random = np.random.default_rng(0)
    for index in range(ORIGINALS):
        samples = round(SAMPLE_RATE_HZ * (0.6 + 0.4 * index / (ORIGINALS - 1)))
        soundfile.write(root / f"{index}.wav", 0.1 * random.standard_normal(samples), SAMPLE_RATE_HZ, subtype="PCM_16")
    for speaker, digit, repetition in product(range(1, SPEAKERS + 1), range(DIGITS), range(repetitions)):
        folder = root / "data" / f"{speaker:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        original = root / f"{(speaker + digit + repetition) % ORIGINALS}.wav"
        os.link(original, folder / f"{digit}_{speaker:02d}_{repetition}.wav")


def measure(root: Path) -> dict[str, float]:
    """Clips, seconds and the process's largest resident memory in GB."""
    started = time.perf_counter()
    dataset = load("audio_mnist", root=root)
    seconds = time.perf_counter() - started
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 * KIBIBYTES
    return {"clips": len(dataset), "seconds": round(seconds, 1), "peak_rss_gb": round(peak_bytes / 1e9, 2)}


if __name__ == "__main__":
    raise SystemExit(run_command(main))
