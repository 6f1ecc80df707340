"""Throughput of the log-mel front end, whole batches at a time, beside a loop over clips with librosa.

    python benchmarks/preprocessing.py --json out.json

Both turn the same waveforms in memory into the same 64 × 64 spectrograms in dB; reading files is left out. The two take
turns, and the median round of each counts. Each turn begins with clips that are not timed, because threads take some
tens of milliseconds to wake up after the other way's turn. ``max_abs_db`` is the largest difference of the two where
both are above the floor.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from audioxai import datasets
from audioxai.domains import LogMel
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, keep_freed_memory, slices

Array = NDArray[Any]
WARM_UP_CLIPS = 256


@dataclass(frozen=True)
class Round:
    """Seconds and result of one way over all clips."""

    seconds: float
    spectrograms: Array


def with_librosa(domain: LogMel, waveforms: Array) -> Array:
    """Spectrograms ``(clips, bands, frames)`` in dB, clip by clip, as librosa's users write it."""
    reference = float(np.hanning(domain.window_length + 1)[:-1].sum() / 2.0) ** 2
    floor = reference * 10.0 ** (domain.floor_db / 10.0)
    made = []
    for waveform in waveforms:
        power = librosa.feature.melspectrogram(
            y=waveform,
            sr=domain.sample_rate_hz,
            n_fft=domain.window_length,
            hop_length=domain.hop_length,
            n_mels=domain.bands,
            norm=None,
        )
        made.append(librosa.power_to_db(power, ref=reference, amin=floor, top_db=None))
    return np.stack(made)


def with_ours(domain: LogMel, waveforms: Array) -> Array:
    """Spectrograms ``(clips, bands, frames)`` in dB, in calls of the size that the study uses."""
    batch = torch.from_numpy(waveforms)[:, None]
    size = inputs_per_call(batch.shape[-1], batch.device)
    with torch.inference_mode():
        return torch.cat([domain.analysis(batch[rows]) for rows in slices(len(batch), size)])[:, 0].numpy()


def timed(way: Callable[[LogMel, Array], Array], domain: LogMel, waveforms: Array) -> Round:
    """Run one way once and time it, warm."""
    way(domain, waveforms[:WARM_UP_CLIPS])
    started = time.perf_counter()
    spectrograms = way(domain, waveforms)
    return Round(time.perf_counter() - started, spectrograms)


def clips(count: int) -> tuple[str, int, Array]:
    """Name, sample rate and waveforms ``(count, time)`` of the first audio dataset found, repeated to ``count``."""
    name = datasets.resolve("auto", "audio")
    dataset = datasets.load(name, limit=count)
    waveforms = dataset.inputs[:, 0].numpy()
    assert dataset.sample_rate_hz is not None
    return name, dataset.sample_rate_hz, np.resize(waveforms, (count, waveforms.shape[1]))


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Every figure of the benchmark."""
    name, sample_rate_hz, waveforms = clips(count)
    domain = LogMel(sample_rate_hz, waveforms.shape[1] / sample_rate_hz, bands=64, frames=64)
    pairs = [(timed(with_ours, domain, waveforms), timed(with_librosa, domain, waveforms)) for _ in range(rounds)]
    ours, theirs = (median(pair[way].seconds for pair in pairs) for way in (0, 1))
    mine, reference = pairs[0][0].spectrograms, pairs[0][1].spectrograms
    above = (mine > domain.floor_db) & (reference > domain.floor_db)
    return {
        "ours_clips_per_s": round(count / ours, 1),
        "librosa_clips_per_s": round(count / theirs, 1),
        "ratio": round(theirs / ours, 2),
        "max_abs_db": float(np.abs(mine - reference)[above].max()),
        "clips": count,
        "rounds": rounds,
        "dataset": name,
        "sample_rate_hz": sample_rate_hz,
        "clip_s": domain.duration_s,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "librosa")}},
    }


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--clips", type=int, default=1024, help="clips a round (default 1024)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each way (default 9)")
    options = parser.parse_args(argv)
    if options.clips < 8 or options.rounds < 1:
        raise UserError(f"clips is {options.clips} and rounds is {options.rounds}; give at least 8 and 1")
    keep_freed_memory()
    text = json.dumps(measure(options.clips, options.rounds), indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_command(main))
