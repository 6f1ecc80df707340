"""Recordings of any kind become waveforms of one kind; what cannot be used says why."""

import numpy as np
import pytest
import soundfile
from helpers.dataset_files import write_tone

from audioxai.datasets.audio_files import (
    AudioFormat,
    UnusableFile,
    fit_length,
    read_waveform,
    read_waveforms,
    trim_silence,
)
from audioxai.utils.errors import UserError

PLAIN = AudioFormat(16_000, 0.5, "start", None, False)


def frequency_hz(waveform: np.ndarray, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * rate_hz / len(waveform))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_resampled_to_the_exact_length_with_its_frequency(tmp_path, rate_hz):
    file = write_tone(tmp_path / "a.wav", 1000.0, rate_hz, duration_s=0.5)
    waveform = read_waveform(file, PLAIN)
    assert waveform.shape == (8_000,)
    assert waveform.dtype == np.float32
    assert frequency_hz(waveform, 16_000) == pytest.approx(1000, abs=2)
    assert np.abs(waveform[2000:6000]).max() == pytest.approx(0.5, abs=0.01)


def test_resampling_agrees_with_the_sine_at_the_other_rate(tmp_path):
    file = write_tone(tmp_path / "a.wav", 300.0, 44_100, duration_s=0.5)
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 16_000)
    np.testing.assert_allclose(read_waveform(file, PLAIN)[500:7500], expected[500:7500], atol=1e-3)


def test_resampling_does_not_fold_what_is_too_high(tmp_path):
    # 10 kHz does not exist at 16 kHz; without a filter it would come back as 6 kHz.
    file = write_tone(tmp_path / "a.wav", 10_000.0, 48_000, duration_s=0.5)
    assert np.abs(read_waveform(file, PLAIN)[1000:7000]).max() < 0.5e-4


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
def test_reads_what_libsndfile_reads(tmp_path, suffix):
    file = write_tone(tmp_path / f"a.{suffix}", 500.0, 16_000, duration_s=0.5)
    assert frequency_hz(read_waveform(file, PLAIN), 16_000) == pytest.approx(500, abs=4)


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(8_000, 0.6), np.full(8_000, 0.2)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_waveform(tmp_path / "a.wav", PLAIN), 0.4, atol=1e-6)


def test_peak_is_one_when_normalised_and_kept_otherwise(tmp_path):
    file = write_tone(tmp_path / "a.wav", duration_s=0.5)
    assert np.abs(read_waveform(file, PLAIN)).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(read_waveform(file, AudioFormat(16_000, 0.5, "start", None, True))).max() == 1.0


@pytest.mark.parametrize(
    ("placement", "samples", "expected"),
    [
        ("start", 5, [1, 2, 3, 0, 0]),
        ("centre", 5, [0, 1, 2, 3, 0]),
        ("centre", 6, [0, 1, 2, 3, 0, 0]),
        ("start", 2, [1, 2]),
        ("centre", 1, [2]),
        ("centre", 3, [1, 2, 3]),
    ],
)
def test_placement(placement, samples, expected):
    assert fit_length(np.array([1, 2, 3], np.float32), samples, placement).tolist() == expected


def test_only_the_ends_are_trimmed():
    loud, faint, pause = np.full(320, 0.5), np.full(320, 0.5e-3), np.zeros(640)
    sound = np.concatenate([pause, faint, loud, pause, loud, faint, pause]).astype(np.float32)
    # The faint part is 60 dB below the loud one.
    assert len(trim_silence(sound, 16_000, 35.0)) == 320 + 640 + 320
    assert len(trim_silence(sound, 16_000, 65.0)) == 320 * 4 + 640


def test_trimming_brings_a_late_word_into_the_window(tmp_path):
    word = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4_000) / 16_000)
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(32_000), word]), 16_000)
    untrimmed = read_waveform(tmp_path / "a.wav", PLAIN)
    trimmed = read_waveform(tmp_path / "a.wav", AudioFormat(16_000, 0.5, "start", 35.0, False))
    assert np.abs(untrimmed).max() == 0
    assert np.abs(trimmed).max() == pytest.approx(0.5, abs=1e-3)


def broken_files(folder):
    """Path and the word its reason has to hold, of every kind of file that cannot be used."""
    write_tone(folder / "cut.flac", duration_s=2.0)
    content = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(content[: len(content) // 2])
    (folder / "corrupt.wav").write_bytes(b"this is no sound at all" * 10)
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "nothing.wav", np.zeros(0), 16_000)
    soundfile.write(folder / "zeros.wav", np.zeros(1000), 16_000)
    soundfile.write(folder / "faint.wav", np.full(1000, 1e-5), 16_000, subtype="FLOAT")
    soundfile.write(folder / "opposite.wav", np.array([[0.5, -0.5]] * 1000), 16_000)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        soundfile.write(folder / f"{name}.wav", np.r_[np.full(500, 0.5), value], 16_000, subtype="FLOAT")
    (folder / "samples.raw").write_bytes(b"\x01\x02" * 100)
    (folder / "folder.wav").mkdir()
    reasons = {
        "cut.flac": "unreadable|cut off",
        "corrupt.wav": "unreadable",
        "empty.wav": "empty file",
        "nothing.wav": "empty",
        "zeros.wav": "silent",
        "faint.wav": "silent",
        "opposite.wav": "silent",
        "nan.wav": "not finite",
        "infinite.wav": "not finite",
        "samples.raw": "headerless",
        "folder.wav": "unreadable",
        "absent.wav": "unreadable",
    }
    return {folder / name: reason for name, reason in reasons.items()}


def test_every_unusable_file_says_why(tmp_path):
    for path, reason in broken_files(tmp_path).items():
        with pytest.raises(UnusableFile, match=reason) as raised:
            read_waveform(path, PLAIN)
        assert raised.value.path == path


def test_a_sound_just_above_silence_is_used(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 1e-4), 16_000, subtype="FLOAT")
    assert read_waveform(tmp_path / "a.wav", AudioFormat(16_000, 0.5, "start", 35.0, True)).max() == 1.0


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_follow_the_paths_and_close_up_over_unusable_files(tmp_path, workers):
    broken = list(broken_files(tmp_path))
    good = [write_tone(tmp_path / f"{index}.wav", 200.0 + 50 * index) for index in range(20)]
    paths = [*broken[:3], *good[:7], *broken[3:6], *good[7:], *broken[6:]]
    waveforms, usable, skipped = read_waveforms(paths, PLAIN, workers)
    assert [paths[index] for index in usable] == good
    assert [one.path for one in skipped] == broken
    np.testing.assert_array_equal(waveforms, np.stack([read_waveform(path, PLAIN) for path in good]))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((0, 1.0, "centre", None, True), "sample_rate_hz"),
        ((16_000, 0.0, "centre", None, True), "duration_s"),
        ((16_000, float("nan"), "centre", None, True), "duration_s"),
        ((16_000, 1.0, "middle", None, True), "placement"),
        ((16_000, 1.0, "centre", -35.0, True), "trim_below_peak_db"),
    ],
)
def test_a_format_out_of_range_is_refused(values, named):
    with pytest.raises(UserError, match=named):
        AudioFormat(*values)
