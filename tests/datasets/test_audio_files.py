"""Recordings of any kind become waveforms of one kind; what cannot be used says why."""

import contextlib
import os
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.dataset_files import write_tone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audioxai.datasets import audio_files
from audioxai.datasets.audio_files import (
    AudioFormat,
    fit_length,
    read_features,
    read_sound,
    read_waveform,
    read_waveforms,
    trim_silence,
)
from audioxai.datasets.whole_files import UnusableFile
from audioxai.domains import LogMel
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
    sound = np.sin(0.2 * np.pi * np.arange(8_000))
    soundfile.write(tmp_path / "a.wav", np.stack([0.6 * sound, 0.2 * sound], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_waveform(tmp_path / "a.wav", PLAIN), 0.4 * sound, atol=1e-6)


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
    loud, faint, pause = np.full(1600, 0.5), np.full(1600, 0.5e-3), np.zeros(3200)
    sound = np.concatenate([pause, faint, loud, pause, loud, faint, pause]).astype(np.float32)
    # The faint part is 60 dB below the loud one.
    assert len(trim_silence(sound, 16_000, 35.0)) == 1600 + 3200 + 1600
    assert len(trim_silence(sound, 16_000, 65.0)) == 1600 * 4 + 3200


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("place", [0, 5, 60, 99])
def test_a_click_sets_no_trim_and_no_reference(frames, place):
    """100 frames with a word from 30 to 50, 20 dB below a click of one or two frames anywhere."""
    sound = np.zeros(100 * 320, np.float32)
    sound[30 * 320 : 50 * 320] = 0.05
    assert len(trim_silence(sound, 16_000, 35.0)) == 20 * 320
    sound[place * 320 : (place + frames) * 320] = 0.99
    assert len(trim_silence(sound, 16_000, 35.0)) == 20 * 320


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_sound_as_short_as_a_click_is_kept_where_there_is_no_other(frames):
    sound = np.zeros(50 * 320, np.float32)
    sound[20 * 320 : (20 + frames) * 320] = 0.5
    assert len(trim_silence(sound, 16_000, 35.0)) == frames * 320


@pytest.mark.parametrize("offset", [-0.3, 0.002, 0.01, 0.2])
def test_an_offset_changes_nothing(tmp_path, offset):
    word = 0.15 * np.sin(2 * np.pi * 440 * np.arange(4_000) / 16_000)
    sound = np.r_[np.zeros(24_000), word, np.zeros(1_000)]
    kind = AudioFormat(16_000, 0.25, "centre", 35.0, True)
    for name, shift in (("a", 0.0), ("b", offset)):
        soundfile.write(tmp_path / f"{name}.wav", sound + shift, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(
        read_waveform(tmp_path / "b.wav", kind), read_waveform(tmp_path / "a.wav", kind), atol=1e-5
    )


def test_a_word_outside_the_window_is_no_silent_sample(tmp_path):
    word = 0.05 * np.sin(2 * np.pi * 440 * np.arange(4_000) / 16_000)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(44_000)
    for name, rest in (("silence", 0 * noise), ("noise", noise)):
        soundfile.write(tmp_path / f"{name}.wav", np.r_[np.zeros(40_000), word] + rest, 16_000, subtype="FLOAT")
        with pytest.raises(UnusableFile, match="silent once cut"):
            read_waveform(tmp_path / f"{name}.wav", PLAIN)
        assert np.abs(read_waveform(tmp_path / f"{name}.wav", AudioFormat(16_000, 0.5, "start", 35.0, True))).max() == 1


def test_trimming_brings_a_late_word_into_the_window(tmp_path):
    word = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4_000) / 16_000)
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(32_000), word]), 16_000)
    with pytest.raises(UnusableFile, match="silent once cut"):
        read_waveform(tmp_path / "a.wav", PLAIN)
    trimmed = read_waveform(tmp_path / "a.wav", AudioFormat(16_000, 0.5, "start", 35.0, False))
    assert np.abs(trimmed).max() == pytest.approx(0.5, abs=1e-3)


def broken_files(folder):
    """Path and the word its reason has to hold, of every kind of file that cannot be used."""
    write_tone(folder / "cut.flac", duration_s=2.0)
    content = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(content[: len(content) // 2])
    (folder / "corrupt.wav").write_bytes(b"this is no sound at all" * 10)
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "nothing.wav", np.zeros(0), 16_000)
    soundfile.write(folder / "nothing_twice.wav", np.zeros((0, 2)), 16_000)
    soundfile.write(folder / "zeros.wav", np.zeros(1000), 16_000)
    tone = 0.5 * np.sin(0.2 * np.arange(16_000))
    soundfile.write(folder / "faint.wav", 4e-5 * tone, 16_000, subtype="FLOAT")
    soundfile.write(folder / "constant.wav", np.full(1000, 0.4), 16_000)
    soundfile.write(folder / "opposite.wav", np.stack([tone, -0.95 * tone], 1), 16_000)
    write_tone(folder / "stream.flac")
    content = bytearray((folder / "stream.flac").read_bytes())
    # The number of samples in STREAMINFO, as a pipe leaves it.
    content[21:26] = bytes((content[21] & 0xF0, 0, 0, 0, 0))
    (folder / "stream.flac").write_bytes(content)
    soundfile.write(folder / "fast.wav", tone, 4_000_000)
    soundfile.write(folder / "slow.wav", tone[:100], 2)
    os.mkfifo(folder / "pipe.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        soundfile.write(folder / f"{name}.wav", np.r_[np.full(500, 0.5), value], 16_000, subtype="FLOAT")
    (folder / "samples.raw").write_bytes(b"\x01\x02" * 100)
    (folder / "folder.wav").mkdir()
    reasons = {
        "cut.flac": "unreadable|cut off",
        "corrupt.wav": "unreadable",
        "empty.wav": "empty file",
        "nothing.wav": "empty",
        "nothing_twice.wav": "empty",
        "zeros.wav": "silent",
        "faint.wav": "silent",
        "constant.wav": "silent",
        "opposite.wav": "silent \\(its channels cancel",
        "stream.flac": "length not announced",
        "fast.wav": "sample rate of 4000000 Hz",
        "slow.wav": "sample rate of 2 Hz",
        "pipe.wav": "no regular file",
        "device.wav": "no regular file",
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
    soundfile.write(tmp_path / "a.wav", 1e-4 * np.sin(np.arange(8000)), 16_000, subtype="FLOAT")
    assert np.abs(read_waveform(tmp_path / "a.wav", AudioFormat(16_000, 0.5, "start", 35.0, True))).max() == 1.0


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_follow_the_paths_and_close_up_over_unusable_files(tmp_path, workers):
    broken = list(broken_files(tmp_path))
    good = [write_tone(tmp_path / f"{index}.wav", 200.0 + 50 * index) for index in range(20)]
    paths = [*broken[:3], *good[:7], *broken[3:6], *good[7:], *broken[6:]]
    waveforms, usable, skipped = read_waveforms(paths, PLAIN, workers)
    assert [paths[index] for index in usable] == good
    assert [one.path for one in skipped] == broken
    np.testing.assert_array_equal(waveforms, np.stack([read_waveform(path, PLAIN) for path in good]))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("block", [1, 6, 512])
def test_features_are_the_analysis_of_the_waveforms_for_any_block(tmp_path, monkeypatch, workers, block):
    monkeypatch.setattr(audio_files, "BLOCK_RECORDINGS", block)
    broken = list(broken_files(tmp_path))
    good = [write_tone(tmp_path / f"{index}.wav", 200.0 + 50 * index) for index in range(11)]
    paths = [*broken[:3], *good[:7], *broken[3:], *good[7:]]
    domain = LogMel(PLAIN.sample_rate_hz, PLAIN.duration_s, bands=16, frames=12)
    features, usable, skipped = read_features(paths, PLAIN, domain, workers)
    assert [paths[index] for index in usable] == good
    assert [one.path for one in skipped] == broken
    waveforms = torch.from_numpy(read_waveforms(good, PLAIN)[0])[:, None]
    torch.testing.assert_close(features, domain.analysis(waveforms), rtol=0, atol=1e-4)


@pytest.mark.parametrize("domain", [LogMel(8_000, 1.0, 16, 32), LogMel(16_000, 2.0, 16, 64)])
def test_features_of_another_rate_or_length_are_refused_before_any_file_is_read(tmp_path, domain):
    with pytest.raises(UserError):
        read_features([tmp_path / "absent.wav"], AudioFormat(16_000, 1.0, "centre", None, True), domain)


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


KINDS: dict[str, dict[str, Any]] = {
    **{suffix: {} for suffix in ("wav", "aiff", "au", "w64", "rf64", "flac", "mp3", "ogg", "caf")},
    "rifx.wav": {"format": "WAV", "endian": "BIG"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "gsm.wav": {"subtype": "GSM610"},
    "g721.au": {"subtype": "G721_32"},
    "adpcm.wav": {"subtype": "IMA_ADPCM"},
    "low.mp3": {"samplerate": 16_000},
}


def write_kind(folder, kind):
    how = {"samplerate": 48_000 if kind == "opus" else 16_000} | KINDS[kind]
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4 * how["samplerate"]) / how["samplerate"])
    file = folder / f"a.{kind}"
    soundfile.write(file, sound, **how)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_of_every_kind_are_used_and_cut_ones_are_not(tmp_path, kind):
    file = write_kind(tmp_path, kind)
    assert frequency_hz(read_waveform(file, AudioFormat(16_000, 3.9, "start", None, True)), 16_000) == pytest.approx(
        440, abs=1
    )
    content = file.read_bytes()
    for share in (0.98, 0.6, 0.25):
        file.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UnusableFile, match=r"cut off|unreadable"):
            read_waveform(file, PLAIN)


@pytest.mark.parametrize("kind", ["mp3", "ogg", "low.mp3", "opus"])
def test_joined_files_are_not_read_in_part(tmp_path, kind):
    file = write_kind(tmp_path, kind)
    file.write_bytes(2 * file.read_bytes())
    with pytest.raises(UnusableFile, match="joined"):
        read_waveform(file, PLAIN)


def test_tags_around_an_mp3_are_no_sound(tmp_path):
    file = write_kind(tmp_path, "mp3")
    content = file.read_bytes()
    expected = read_waveform(file, PLAIN)
    id3 = b"ID3\4\0\0" + bytes((0, 0, 2, 0)) + bytes(256)
    for tagged in (id3 + content, content + b"TAG" + bytes(125), id3 + content + b"TAG" + bytes(125)):
        file.write_bytes(tagged)
        np.testing.assert_array_equal(read_waveform(file, PLAIN), expected)
        file.write_bytes(tagged[: len(tagged) // 2])
        with pytest.raises(UnusableFile, match="cut off"):
            read_waveform(file, PLAIN)


def test_a_cut_list_after_the_sound_does_no_harm(tmp_path):
    file = write_kind(tmp_path, "wav")
    expected = read_waveform(file, PLAIN)
    file.write_bytes(file.read_bytes() + b"LIST" + (1000).to_bytes(4, "little") + b"INFO")
    np.testing.assert_array_equal(read_waveform(file, PLAIN), expected)


def test_names_of_any_bytes_are_read(tmp_path):
    file = write_tone(tmp_path / "a.wav")
    odd = tmp_path / os.fsdecode(b"jos\xe9.wav")
    expected = read_waveform(file, PLAIN)
    file.rename(odd)
    np.testing.assert_array_equal(read_waveform(odd, PLAIN), expected)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_any_damage_is_sound_or_a_reason(damaged, kind, changes):
    file, content = damaged(kind)
    mutated = bytearray(content)
    for place, value in changes:
        # Mostly in the header.
        mutated[min(int(place**3 * len(content)), len(content) - 1)] = value
    file.write_bytes(mutated)
    with contextlib.suppress(UnusableFile):
        assert np.isfinite(read_waveform(file, PLAIN)).all()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    made = {}

    def of(kind):
        if kind not in made:
            file = write_kind(tmp_path_factory.mktemp("kind"), kind)
            made[kind] = file, file.read_bytes()
        return made[kind]

    return of


JOINED = [kind for kind in KINDS if kind not in ("mp3", "ogg", "low.mp3", "opus")]


@pytest.mark.parametrize("kind", JOINED)
def test_joined_files_of_no_kind_are_read_in_part(tmp_path, kind):
    file = write_kind(tmp_path, kind)
    file.write_bytes(2 * file.read_bytes())
    with pytest.raises(UnusableFile, match=r"joined|unreadable|damaged"):
        read_waveform(file, PLAIN)


@pytest.mark.parametrize("kind", ["wav", "rf64", "au", "w64", "caf", "aiff", "ogg"])
def test_sound_that_the_header_does_not_count_is_not_left_out(tmp_path, kind):
    """As where a recorder went on after its header was written."""
    file = write_kind(tmp_path, kind)
    expected = read_waveform(file, PLAIN)
    content = file.read_bytes()
    file.write_bytes(content + bytes(range(1, 32)) * 20)
    with pytest.raises(UnusableFile, match=r"damaged \(620 bytes after|unreadable"):
        read_waveform(file, PLAIN)
    if kind in ("wav", "rf64", "caf"):
        file.write_bytes(content + bytes(64))
        np.testing.assert_array_equal(read_waveform(file, PLAIN), expected)


@pytest.mark.parametrize("kind", ["AVR", "HTK", "IRCAM", "MAT4", "MAT5", "PAF", "PVF", "SVX", "VOC", "WVE", "XI"])
def test_containers_that_do_not_tell_whether_they_are_whole_are_refused(tmp_path, kind):
    sound = 0.5 * np.sin(0.2 * np.arange(16_000))
    soundfile.write(tmp_path / "a.wav", sound, 16_000, format=kind, subtype="ALAW" if kind == "WVE" else None)
    with pytest.raises(UnusableFile, match="unreadable"):
        read_waveform(tmp_path / "a.wav", PLAIN)


@pytest.mark.parametrize("storage", ["PCM_16", "PCM_24"])
def test_sphere_files_are_read_whole(tmp_path, storage):
    """TIMIT's recordings are of this kind, with the names of WAV files."""
    sound = 0.5 * np.sin(0.2 * np.arange(16_000))
    soundfile.write(tmp_path / "a.wav", sound, 16_000, format="NIST", subtype=storage)
    content = (tmp_path / "a.wav").read_bytes()
    assert read_waveform(tmp_path / "a.wav", PLAIN).any()
    for changed in (content[:-2], content[:900], content + b"more", content.replace(b"sample_count", b"sample_cou_t")):
        (tmp_path / "a.wav").write_bytes(changed)
        with pytest.raises(UnusableFile, match=r"cut off|damaged|unreadable"):
            read_waveform(tmp_path / "a.wav", PLAIN)


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_a_flipped_bit_in_a_page_of_ogg_is_damage(tmp_path, kind):
    """The decoder would leave the page out."""
    file = write_kind(tmp_path, kind)
    content = file.read_bytes()
    for place in range(len(content) // 2, len(content), len(content) // 9):
        damaged = bytearray(content)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(UnusableFile, match=r"damaged|cut off"):
            read_waveform(file, PLAIN)


def test_a_gap_between_the_frames_of_an_mp3_is_damage(tmp_path):
    file = write_kind(tmp_path, "mp3")
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2_000] = bytes(2_000)
    file.write_bytes(content)
    with pytest.raises(UnusableFile, match=r"damaged|cut off"):
        read_waveform(file, PLAIN)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_tag_before_what_is_no_mp3_hides_nothing(tmp_path, kind):
    file = write_kind(tmp_path, kind)
    file.write_bytes(b"ID3\4\0\0\0\0\2\0" + bytes(256) + file.read_bytes())
    with pytest.raises(UnusableFile, match="no MP3"):
        read_waveform(file, PLAIN)


def test_a_flac_whose_frames_have_another_rate_is_damaged(tmp_path):
    file = write_kind(tmp_path, "flac")
    content = bytearray(file.read_bytes())
    assert int.from_bytes(content[18:21], "big") >> 4 == 16_000
    content[18:21] = ((16_016 << 4) | (content[20] & 0xF)).to_bytes(3, "big")
    file.write_bytes(content)
    with pytest.raises(UnusableFile, match="16016 Hz"):
        read_waveform(file, PLAIN)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_cut_packet_table_is_a_cut_file(tmp_path, channels):
    sound = 0.5 * np.sin(0.2 * np.arange(40_000))
    soundfile.write(tmp_path / "a.caf", np.stack([sound] * channels, 1), 16_000, subtype="ALAC_16")
    assert read_waveform(tmp_path / "a.caf", PLAIN).any()
    content = (tmp_path / "a.caf").read_bytes()
    for missing in (2, 4, 100):
        (tmp_path / "a.caf").write_bytes(content[:-missing])
        with pytest.raises(UnusableFile, match=r"cut off|unreadable"):
            read_waveform(tmp_path / "a.caf", PLAIN)


def test_packets_that_decode_to_another_length_are_damage(tmp_path):
    """The last packet of ALAC says how short it is; damaged, it would add silence."""
    file = tmp_path / "a.caf"
    sound = 0.5 * np.sin(0.2 * np.arange(13_600)) * np.random.default_rng(0).uniform(size=13_600)
    soundfile.write(file, sound, 8_000, subtype="ALAC_20")
    content, lengths = file.read_bytes(), set()
    for place in range(200, len(content), 500):
        file.write_bytes(content[:place] + bytes(512) + content[place + 512 :])
        with contextlib.suppress(UserError):
            lengths.add(len(read_sound(file)[0]))
        with soundfile.SoundFile(file) as opened, contextlib.suppress(soundfile.LibsndfileError):
            lengths.add(-len(opened.read()))
    assert -16_384 in lengths
    assert lengths <= {13_600, *(length for length in lengths if length < 0)}
