"""The spoken stand-in: the same bytes every time, AudioMNIST's names, and audible."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.dataset_files import SCRIPTS, script_module

pytest.importorskip("espeakng_loader")


def speak(number, output):
    command = [sys.executable, str(SCRIPTS / "synthesise_digits.py"), "--speaker", str(number), "--output", str(output)]
    subprocess.run(command, check=True)
    return {file.relative_to(output): file.read_bytes() for file in output.rglob("*.wav")}


def test_a_speaker_is_the_same_every_time(tmp_path):
    once = speak(11, tmp_path / "once")
    # The clock must not matter: some of espeak-ng's noise is seeded by the second.
    time.sleep(1.1)
    assert speak(11, tmp_path / "again") == once
    assert len(once) == 80
    assert {file.as_posix() for file in once} == {
        f"data/11/{digit}_11_{repetition}.wav" for digit in range(10) for repetition in range(8)
    }
    assert len(set(once.values())) == 80
    for file in (tmp_path / "once").rglob("*.wav"):
        samples, rate_hz = soundfile.read(file)
        assert 0.1 * rate_hz < len(samples) < rate_hz
        assert np.abs(samples).max() > 0.05


def test_speakers_differ(tmp_path):
    first, second = speak(1, tmp_path), speak(2, tmp_path / "second")
    assert not set(first.values()) & set(second.values())


def test_voices_are_all_different_and_none_is_breathy():
    import espeakng_loader

    module = script_module("synthesise_digits")
    assert len({voice.variant for voice in module.VOICES}) == len(module.VOICES) == 30
    for voice in module.VOICES:
        text = (Path(espeakng_loader.get_data_path()) / "voices" / "!v" / voice.variant).read_text()
        assert not any(line.strip().startswith("breath ") for line in text.splitlines()), voice.variant


def test_an_unknown_speaker_is_one_line(tmp_path):
    command = [sys.executable, str(SCRIPTS / "synthesise_digits.py"), "--speaker", "99", "--output", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (2, "error: there is no speaker 99; choose from 1…30\n")
