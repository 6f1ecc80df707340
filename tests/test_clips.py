"""Recordings as clips: any rate, length and number of channels; streamed files against held ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioxai import clips
from audioxai.clips import read_recording
from audioxai.utils.errors import UserError

RATE_HZ = 16_000


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray[Any, Any]:
    return 0.1 * np.random.default_rng(seed).standard_normal((samples, channels)).astype(np.float32)


def written(path: Path, values: np.ndarray[Any, Any], rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, values, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than a tenth of a second are streamed, in blocks of 999 samples."""
    monkeypatch.setattr(clips, "LONGEST_RECORDING_S", 0.1)
    monkeypatch.setattr(clips, "BLOCK_SAMPLES", 999)


@given(first=st.integers(0, 30_000), steps=st.lists(st.integers(0, 9_000), min_size=1, max_size=6))
def test_clips_are_what_cutting_by_hand_gives(first: int, steps: list[int]) -> None:
    values = noise(20_000)[:, 0]
    recording = read_recording(values, RATE_HZ, RATE_HZ)
    starts = [first + sum(steps[:number]) for number in range(len(steps))]
    by_hand = np.pad(values, (0, 100_000))
    for start, clip in zip(starts, recording.clips([(start, start + 4_000) for start in starts]), strict=True):
        np.testing.assert_array_equal(clip.numpy()[0, 0], by_hand[start : start + 4_000])


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44_100, 8_000])
@pytest.mark.usefixtures("streamed")
def test_a_streamed_file_gives_the_clips_of_a_held_one(
    rate_hz: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "long.wav", noise(rate_hz, 2) + 0.05, rate_hz)
    long = read_recording(path, None, RATE_HZ)
    monkeypatch.setattr(clips, "LONGEST_RECORDING_S", 600.0)
    held = read_recording(path, None, RATE_HZ)
    assert type(long) is not type(held)
    assert abs(long.samples - held.samples) <= 1
    spans = [(0, 4_000), (2_000, 6_000), (11_000, 15_000), (15_500, 17_000)]
    for streamed_clip, held_clip in zip(long.clips(spans), held.clips(spans), strict=True):
        torch.testing.assert_close(streamed_clip, held_clip, rtol=0, atol=2e-6)


@pytest.mark.usefixtures("streamed")
def test_streaming_holds_a_window_and_a_block_at_a_time(tmp_path: Path) -> None:
    recording = read_recording(written(tmp_path / "long.wav", noise(50_000)), None, RATE_HZ)
    largest = max(len(block) for block in recording.blocks())
    assert largest <= 999


def test_rates_are_made_the_models(tmp_path: Path) -> None:
    values = noise(44_100)[:, 0]
    due = soxr.resample(values, 44_100, RATE_HZ, quality="HQ")
    recording = read_recording(values, 44_100, RATE_HZ)
    np.testing.assert_array_equal(recording.clip().numpy()[0, 0], due)
    assert recording.duration_s == 1.0
    assert recording.name == "array"
    of_file = read_recording(written(tmp_path / "a.wav", values - values.mean(), 44_100), None, RATE_HZ)
    assert of_file.name == "a.wav"
    torch.testing.assert_close(of_file.clip(), recording.clip(), rtol=0, atol=1e-3)


def test_channels_in_opposite_phase_are_told_and_those_that_cancel_refused(tmp_path: Path) -> None:
    left, right = noise(8_000)[:, 0], noise(8_000, seed=1)[:, 0]
    alike, apart, opposite = np.stack([left, left]), np.stack([left, -0.8 * left]), np.stack([left, -left])
    assert read_recording(alike, RATE_HZ, RATE_HZ).notes == ()
    assert read_recording(np.stack([left, right]), RATE_HZ, RATE_HZ).notes == ()
    assert len(read_recording(apart, RATE_HZ, RATE_HZ).notes) == 1
    with pytest.raises(UserError, match="cancel"):
        read_recording(opposite, RATE_HZ, RATE_HZ)
    assert len(read_recording(written(tmp_path / "apart.wav", apart.T), None, RATE_HZ).notes) == 1
    with pytest.raises(UserError, match="opposite"):
        read_recording(written(tmp_path / "opposite.wav", opposite.T), None, RATE_HZ)


@pytest.mark.usefixtures("streamed")
def test_long_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    damaged = noise(20_000)
    damaged[19_000] = np.nan
    for name, values in (("nan.wav", damaged), ("silent.wav", np.zeros(20_000, np.float32))):
        with pytest.raises(UserError, match=name):
            _ = read_recording(written(tmp_path / name, values), None, RATE_HZ).samples


@pytest.mark.parametrize(
    ("sound", "rate_hz"),
    [
        (noise(100)[:, 0], None),
        (noise(100, 2), RATE_HZ),
        (noise(0)[:, 0], RATE_HZ),
        (np.zeros(100), RATE_HZ),
        (np.full(100, np.nan), RATE_HZ),
        (np.arange(100), RATE_HZ),
        ("no such file.wav", None),
    ],
)
def test_what_is_no_sound_is_refused(sound: Any, rate_hz: int | None) -> None:
    with pytest.raises(UserError):
        read_recording(sound, rate_hz, RATE_HZ)
