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


def write_class_folders(root: Path, classes: dict[str, int], duration_s: float = 0.1) -> Path:
    """So many tones in a folder of each class, some of them one level deeper; the pitch tells the class."""
    for label, (name, count) in enumerate(classes.items()):
        for number in range(count):
            folder = root / name / "more" if number % 3 == 2 else root / name
            write_tone(folder / f"{number:03d}.wav", 200 + 100 * label, 8_000, duration_s)
    return root


def write_esc50(root: Path, classes: int = 4, folds: int = 5, sources: int = 2, takes: int = 2) -> Path:
    """ESC-50's layout: ``audio/{fold}-{source}-{take}-{target}.wav`` and ``meta/esc50.csv``."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, folds + 1):
        for target in range(classes):
            for number in range(sources):
                source = 100_000 + 1000 * fold + 10 * target + number
                for take in "ABCDEFG"[:takes]:
                    name = f"{fold}-{source}-{take}-{target}.wav"
                    write_tone(root / "audio" / name, 200 + 100 * target, duration_s=0.1)
                    lines.append(f"{name},{fold},{target},{CATEGORIES[target]},False,{source},{take}")
    write_table(root / "meta" / "esc50.csv", lines)
    return root


# Not in the order of their numbers.
CATEGORIES = ("dog", "rooster", "pig", "cow", "frog", "cat")


def write_table(file: Path, lines: list[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def write_speech_commands(root: Path, speakers: int = 6) -> Path:
    """Speech Commands' layout: every speaker says every command and another word once; as many files of silence."""
    for number in range(speakers):
        name = f"{number:08x}"
        for word in ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes"):
            write_tone(root / word / f"{name}_nohash_0.wav", 400, duration_s=0.1)
        write_tone(root / "_unknown_" / f"bird_{name}_nohash_1.wav", 500, duration_s=0.1)
        write_tone(root / "_silence_" / f"{1000 + number}.wav", 50, duration_s=0.1)
    return root
