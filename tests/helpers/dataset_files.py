"""Small datasets made on the spot, and the scripts as modules."""

import gzip
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def write_tone(file: Path, frequency_hz: float = 440.0, rate_hz: int = 16_000, duration_s: float = 0.3) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * frequency_hz * time_s), rate_hz)
    return file


def write_speakers(root: Path, speakers: list[str], repetitions: int = 1) -> Path:
    """AudioMNIST's layout; the frequency tells the digit (200 Hz and 100 Hz more for every next one)."""
    for speaker in speakers:
        for digit in range(10):
            for repetition in range(repetitions):
                file = root / "data" / speaker / f"{digit}_{speaker}_{repetition}.wav"
                write_tone(file, 200 + 100 * digit, duration_s=0.1)
    return root


def write_idx(file: Path, values: np.ndarray) -> None:
    content = bytes((0, 0, 8, values.ndim)) + np.asarray(values.shape, ">u4").tobytes() + values.tobytes()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def write_images(root: Path, training: int = 120, tests: int = 30, suffix: str = ".gz") -> Path:
    """MNIST's four files; every pixel of an image is its number in its file."""
    for prefix, count in (("train", training), ("t10k", tests)):
        images = np.broadcast_to((np.arange(count) % 256).astype(np.uint8)[:, None, None], (count, 28, 28))
        write_idx(root / f"{prefix}-images-idx3-ubyte{suffix}", np.ascontiguousarray(images))
        write_idx(root / f"{prefix}-labels-idx1-ubyte{suffix}", (np.arange(count) % 10).astype(np.uint8))
    return root


def script_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
