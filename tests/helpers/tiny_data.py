"""Datasets small enough to run a whole study on, in the layouts of the real ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000


def write_spoken_digits(root: Path, speakers: int = 5, repetitions: int = 2) -> Path:
    """AudioMNIST's layout: each digit is a tone of its own pitch, each speaker a little higher than the one before."""
    time_s = np.arange(RATE_HZ // 5) / RATE_HZ
    for speaker in range(1, speakers + 1):
        folder = root / "data" / f"{speaker:02d}"
        folder.mkdir(parents=True)
        for digit in range(10):
            for repetition in range(repetitions):
                pitch_hz = (200 + 250 * digit) * (1 + 0.01 * speaker)
                tone = (0.3 + 0.2 * repetition) * np.sin(2 * np.pi * pitch_hz * time_s)
                soundfile.write(folder / f"{digit}_{speaker:02d}_{repetition}.wav", tone, RATE_HZ)
    return root


def write_digit_images(root: Path, training: int = 120, tests: int = 40) -> Path:
    """MNIST's four files: each digit is a bar of its own height and lean, with a little seeded noise."""
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    for prefix, count in (("train", training), ("t10k", tests)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = random.integers(0, 40, (count, 28, 28)).astype(np.uint8)
        for image, digit in zip(images, labels, strict=True):
            image[4 + 2 * digit : 7 + 2 * digit, 4:24] = 230
            image[4:24, 24 - 2 * digit] = 180
        _write_idx(root / f"{prefix}-images-idx3-ubyte", images)
        _write_idx(root / f"{prefix}-labels-idx1-ubyte", labels)
    return root


def _write_idx(file: Path, values: np.ndarray) -> None:
    file.write_bytes(bytes((0, 0, 8, values.ndim)) + np.asarray(values.shape, ">u4").tobytes() + values.tobytes())


def options(results: Path, checkpoints: Path, **changes: object) -> dict[str, object]:
    """Objective 1 as small as it gets with every method and metric in it."""
    tiny: dict[str, object] = {
        "images": "digits_8x8",
        "audio": "spoken_digits",
        "image_resolutions": [28, 32],
        "audio_resolutions": [32],
        "image_epochs": [2, 1],
        "audio_epochs": [2],
        "samples_per_seed": 4,
        "faithfulness_runs": 6,
        "sensitivity_draws": 1,
        "alternatives": 2,
        "device": "cpu",
        "results": str(results),
        "checkpoints": str(checkpoints),
    }
    return tiny | changes


def arguments(tiny: dict[str, object]) -> list[str]:
    """The same as command line options."""
    return [f"--{name}={value}" for name, value in tiny.items()]


def write_class_folders(
    root: Path, classes: Sequence[str] = ("bell", "crow", "rain", "train"), clips: int = 10, rate_hz: int = 8_000
) -> Path:
    """A folder of sounds per class, a quarter of a second each: tones of the class's own pitch in seeded noise."""
    random = np.random.default_rng(0)
    time_s = np.arange(rate_hz // 4) / rate_hz
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for clip in range(clips):
            tone = 0.4 * np.sin(2 * np.pi * (300 + 500 * number) * (1 + 0.01 * clip) * time_s)
            soundfile.write(root / name / f"{clip:02d}.wav", tone + random.normal(0, 0.05, len(time_s)), rate_hz)
    return root
