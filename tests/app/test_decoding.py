"""Uploads of any kind: read as the package reads files, or refused in one sentence by a server that lives on."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import bad_decoders
from helpers.app import samples_of, sound_file

from audioxai.app import decoding
from audioxai.app.decoding import decoded
from audioxai.clips import read_recording
from audioxai.utils.errors import UserError


def written(folder: Path, content: bytes) -> Path:
    path = folder / "0123.upload"
    path.write_bytes(content)
    return path


def header(channels: int = 1, rate_hz: int = 8_000, bits: int = 16, size: int = 4) -> bytes:
    """A WAV file of silence, whatever its header says."""
    block = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * block, block, bits)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + form + b"data" + struct.pack("<I", size) + bytes(4)


@pytest.mark.parametrize(
    ("file_format", "subtype", "error"),
    [("WAV", "PCM_16", 0), ("FLAC", "PCM_24", 0), ("WAV", "FLOAT", 0), ("OGG", "VORBIS", 0.05), ("MP3", None, 0.05)],
)
def test_files_are_read_as_the_package_reads_them(
    tmp_path: Path, file_format: str, subtype: str | None, error: float
) -> None:
    content = sound_file(0.6, file_format, subtype)
    path = written(tmp_path, content)
    found = decoded(path, "bird")
    samples = samples_of(content)
    assert found.rate_hz == 8_000
    np.testing.assert_array_equal(found.waveform, read_recording(path, None, 8_000).clip()[0, 0].numpy())
    assert np.abs(found.waveform - samples).max() < 1e-3


def bomb(folder: Path) -> bytes:
    """A few kilobytes of FLAC that are minutes of sound."""
    soundfile.write(folder / "bomb.flac", np.zeros(8_000 * 400, np.int16), 8_000)
    return (folder / "bomb.flac").read_bytes()


MALFORMED = {
    "nothing": b"",
    "text": b"hello, this is no sound",
    "page": b"<!doctype html><script>alert(1)</script>",
    "zip": b"PK\x03\x04" + bytes(100),
    "noise": np.random.default_rng(0).bytes(20_000),
    "cut header": sound_file()[:20],
    "cut sound": sound_file()[:5_000],
    "cut flac": sound_file(0.6, "FLAC")[:1_500],
    "years": header(size=2**32 - 40),
    "no channel": header(channels=0),
    "thousand channels": header(channels=1_000),
    "mad rate": header(rate_hz=2**30),
    "no rate": header(rate_hz=0),
    "no bits": header(bits=0),
    "silence": header(),
    "not finite": sound_file(0.6, "WAV", "FLOAT")[:2_000]
    + struct.pack("<f", float("nan")) * 4
    + sound_file(0.6, "WAV", "FLOAT")[2_016:],
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_is_no_whole_sound_is_refused_by_its_own_name(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, MALFORMED[kind])
    with pytest.raises(UserError, match=r"sound bird\.wav") as caught:
        decoded(path, "bird.wav")
    assert str(tmp_path) not in str(caught.value)


def test_long_sounds_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    content = bomb(tmp_path)
    assert len(content) < 100_000
    with pytest.raises(UserError, match="lasts 400 s; give at most 60 s"):
        decoded(written(tmp_path, content), "bomb.flac")


@pytest.mark.parametrize(
    "act", [bad_decoders.crash, bad_decoders.write, bad_decoders.eat, bad_decoders.lie, bad_decoders.babble]
)
def test_whatever_the_child_does_the_server_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: object
) -> None:
    monkeypatch.setattr(decoding, "_decode", act)
    with pytest.raises(UserError, match="broke the decoder"):
        decoded(written(tmp_path, sound_file()), "bird.wav")
    assert all(one.stat().st_size == 0 for one in tmp_path.glob("*.out"))


@pytest.mark.parametrize("act", [bad_decoders.sleep, bad_decoders.stall])
def test_a_child_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    monkeypatch.setattr(decoding, "_decode", act)
    with pytest.raises(UserError, match=r"longer than 0\.2 s"):
        decoded(written(tmp_path, sound_file()), "bird.wav", wall_s=0.2)
