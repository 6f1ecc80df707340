"""Spoken digits from espeak-ng, in AudioMNIST's layout and file names: the offline stand-in for AudioMNIST.

Usage::

    python scripts/synthesise_digits.py --output FOLDER               # all 30 speakers, about ten seconds
    python scripts/synthesise_digits.py --output FOLDER --speaker 7   # one of them

The synthesiser carries state from clip to clip, so every speaker is spoken by a fresh process in a fixed order:
the same version gives the same bytes, whenever and however many at a time. It is licensed under GPL-3; this script,
run as a process of its own, is the only part of the project that loads it.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from tqdm import tqdm

from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
REPETITIONS = 8

# espeak-ng's speak_lib.h.
_SYNCHRONOUS_OUTPUT = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_SAMPLES_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """How a speaker sounds: accent and variant are espeak-ng's, pitch and volume on its scales of 0 to 100."""

    accent: str
    variant: str
    gender: str
    pitch: int
    words_per_minute: int


# (variant, gender, pitch); the accents are dealt over them. Variants with breath are left out: its noise is seeded by
# the clock, and the same clip would come out differently every second.
_TIMBRES = (
    ("m1", "male", 38), ("m2", "male", 50), ("m3", "male", 44), ("m4", "male", 58), ("m5", "male", 32),
    ("m6", "male", 47), ("m7", "male", 55), ("m8", "male", 41), ("f1", "female", 60), ("f4", "female", 52),
    ("Annie", "female", 62), ("Andrea", "female", 50), ("anika", "female", 46), ("aunty", "female", 56),
    ("belinda", "female", 64), ("linda", "female", 54), ("steph", "female", 48), ("shelby", "female", 58),
    ("grandma", "female", 45), ("Alex", "male", 36), ("Michael", "male", 49), ("Lee", "male", 53),
    ("Mike", "male", 46), ("max", "male", 57), ("quincy", "male", 39), ("robert", "male", 51),
    ("gustave", "male", 34), ("michel", "male", 43), ("pablo", "male", 52), ("travis", "male", 40),
)  # fmt: skip
_ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd", "en-us-nyc")
VOICES = tuple(
    Voice(_ACCENTS[index % len(_ACCENTS)], variant, gender, pitch, 130 + 10 * (index * 4 % 7))
    for index, (variant, gender, pitch) in enumerate(_TIMBRES)
)
# What changes from one repetition to the next: words per minute, pitch, volume.
_CHANGES = ((0, 0, 90), (-14, 3, 80), (12, -4, 100), (-7, -2, 70), (6, 5, 85), (20, 1, 95), (-20, -5, 75), (3, 7, 100))


def main(arguments: list[str]) -> None:
    """Speak what the arguments ask for."""
    parser = OneLineParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="gets data/NN/*.wav")
    parser.add_argument("--speaker", type=int, metavar="N", help=f"only this one of 1…{len(VOICES)}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    if options.speaker is None:
        speak_all(options.output)
    else:
        speak_one(options.speaker, options.output)


def speak_all(output: Path) -> None:
    """Every speaker in a process of its own, then the speakers' metadata.

    Raises
    ------
    UserError
        If a process fails.
    """
    numbers = range(1, len(VOICES) + 1)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = pool.map(lambda number: _speak_in_own_process(number, output), numbers)
        for _ in tqdm(outcomes, total=len(VOICES), desc="speaking", unit="speaker", disable=None, leave=False):
            pass
    about = {f"{number:02d}": _metadata(VOICES[number - 1]) for number in numbers}
    metadata = output / "data" / "audioMNIST_meta.txt"
    metadata.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _speak_in_own_process(number: int, output: Path) -> None:
    command = [sys.executable, __file__, "--speaker", str(number), "--output", str(output)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = finished.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise UserError(f"speaker {number} could not be synthesised ({reason[0].removeprefix('error: ')})")


def _metadata(voice: Voice) -> dict[str, object]:
    return {
        "accent": voice.accent,
        "gender": voice.gender,
        "origin": f"synthesised by espeak-ng, variant {voice.variant}",
        "pitch": voice.pitch,
        "words per minute": voice.words_per_minute,
    }


def speak_one(number: int, output: Path) -> None:
    """Ten digits, eight times each, by speaker ``number``; call it once a process.

    Raises
    ------
    UserError
        If there is no such speaker or the synthesiser is not usable.
    """
    if not 1 <= number <= len(VOICES):
        raise UserError(f"there is no speaker {number}; choose from 1…{len(VOICES)}")
    folder = output / "data" / f"{number:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    with synthesiser(VOICES[number - 1]) as (speak, sample_rate_hz):
        for repetition, digit in product(range(REPETITIONS), range(len(WORDS))):
            samples = speak(digit, repetition)
            file = folder / f"{digit}_{number:02d}_{repetition}.wav"
            soundfile.write(file, samples, sample_rate_hz, subtype="PCM_16")


@contextmanager
def synthesiser(voice: Voice) -> Iterator[tuple[Callable[[int, int], NDArray[np.int16]], int]]:
    """``speak(digit, repetition) -> samples (time,)`` in that voice, and the sample rate in Hz.

    Raises
    ------
    UserError
        If the synthesiser is not installed or lacks the voice.
    """
    library, data = _load_library()
    sample_rate_hz = library.espeak_Initialize(_SYNCHRONOUS_OUTPUT, 0, os.fsencode(data), _DO_NOT_EXIT)
    if sample_rate_hz <= 0:
        raise UserError(f"espeak-ng does not start with its data in {data}; reinstall espeakng-loader")
    # A variant that is not there would be passed over in silence.
    variant_file = data / "voices" / "!v" / voice.variant
    name = f"{voice.accent}+{voice.variant}"
    if not variant_file.is_file() or library.espeak_SetVoiceByName(name.encode()):
        raise UserError(f"espeak-ng has no voice {name}; install espeakng-loader==0.2.4")
    heard: list[NDArray[np.int16]] = []

    def hear(samples: Any, count: int, _events: int | None) -> int:
        if count > 0:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def speak(digit: int, repetition: int) -> NDArray[np.int16]:
        faster, higher, volume = _CHANGES[repetition]
        library.espeak_SetParameter(_RATE, voice.words_per_minute + faster, 0)
        library.espeak_SetParameter(_PITCH, voice.pitch + higher, 0)
        library.espeak_SetParameter(_VOLUME, volume, 0)
        heard.clear()
        word = WORDS[digit].encode()
        library.espeak_Synth(word, len(word) + 1, 0, 0, 0, _UTF8, None, None)
        return np.concatenate(heard)

    callback = _SAMPLES_CALLBACK(hear)
    library.espeak_SetSynthCallback(callback)
    try:
        yield speak, sample_rate_hz
    finally:
        library.espeak_Terminate()


def _load_library() -> tuple[Any, Path]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError("espeakng-loader is not installed; run `pip install espeakng-loader==0.2.4`") from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    return library, Path(espeakng_loader.get_data_path())


if __name__ == "__main__":
    raise SystemExit(run_command(main))
