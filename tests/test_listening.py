"""Sounds made of attributions: they add up, stay in full scale, are as loud as said, and are written whole."""

import errno
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch
from helpers.tiny_models import draw, nothing_touched
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.domains import (
    Domain,
    ErbBands,
    LogMel,
    Pixels,
    Stft,
    Waveform,
    audible,
    in_stft_cells,
    matching_stft,
    mel_filters,
)
from audioxai.listening import (
    Heard,
    Parts,
    SoftMask,
    kept_from_percent,
    loudness_lkfs,
    loudness_matched,
    ordered_bins,
    separate,
    write_heard,
    write_sounds,
)
from audioxai.listening.loudness import k_weighting
from audioxai.utils.errors import UserError

RATE_HZ = 8_000
SAMPLES = 4_000
STFT = Stft(RATE_HZ, 0.5, window_s=0.064)
MEL = LogMel(RATE_HZ, 0.5, bands=24, frames=20, window_s=0.064)
# With columns that are further apart than half a window, and a window that is no round number.
COARSE = LogMel(11_025, 0.5, bands=12, frames=12, window_s=0.05)
DOMAINS = pytest.mark.parametrize(
    "domain",
    [Waveform(RATE_HZ, 0.5), STFT, ErbBands(RATE_HZ, 0.5, 8), MEL, COARSE],
    ids=["waveform", "stft", "erb_bands", "log_mel", "coarse log_mel"],
)


def noise(batch: int = 3, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    return 0.2 * draw(batch, 1, samples, seed=seed).clamp(-4.0, 4.0)


def sine(frequency_hz: float, rate_hz: int = RATE_HZ, duration_s: float = 0.5, amplitude: float = 1.0) -> Tensor:
    times_s = torch.arange(round(rate_hz * duration_s), dtype=torch.float64) / rate_hz
    return amplitude * torch.sin(2 * torch.pi * frequency_hz * times_s)[None, None]


def samples_of(domain) -> int:
    return round(domain.sample_rate_hz * domain.duration_s)


# Masks


@DOMAINS
def test_masks_are_shares_of_the_spectrograms_cells(domain) -> None:
    soft_mask = SoftMask(domain)
    mask = soft_mask(draw(3, 1, *domain.shape))
    assert mask.shape == (3, 1, *soft_mask.stft.shape)
    assert float(mask.min()) >= 0.0
    assert float(mask.max()) <= 1.0
    assert float(mask.std()) > 0.01


@DOMAINS
@pytest.mark.parametrize("smoothing_cells", [1, 5])
def test_attributions_that_are_alike_everywhere_keep_everything(domain, smoothing_cells) -> None:
    mask = SoftMask(domain, smoothing_cells=smoothing_cells)(torch.full((2, 1, *domain.shape), 0.3).double())
    torch.testing.assert_close(mask, torch.ones_like(mask), rtol=0, atol=1e-12)


@DOMAINS
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_without_positive_attributions_nothing_is_kept_and_it_is_said(domain, value) -> None:
    attributions = torch.full((2, 1, *domain.shape), value)
    attributions[1] = 1.0
    clips = noise(2, samples_of(domain)).float()
    heard = separate(clips, attributions, SoftMask(domain))
    assert heard.nothing_kept.tolist() == [True, False]
    assert bool((heard.sounds.kept[0] == 0).all())
    torch.testing.assert_close(heard.sounds.removed[0], clips[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(heard.sounds.kept[1], clips[1], rtol=0, atol=1e-5)
    played = loudness_matched(heard)
    assert bool((played.sounds.kept[0] == 0).all())
    assert float(played.sounds.removed[1].abs().max()) < 1e-5


@given(
    scale=st.floats(1e-30, 1e30),
    quantile=st.floats(0.01, 1.0),
    width=st.sampled_from([1, 3, 9]),
    seed=st.integers(0, 99),
    name=st.sampled_from(["waveform", "stft", "erb_bands", "log_mel"]),
)
@settings(deadline=None, max_examples=40)
def test_masks_stay_in_their_range_and_know_no_scale(
    scale: float, quantile: float, width: int, seed: int, name: str
) -> None:
    domain = {one.name: one for one in (Waveform(RATE_HZ, 0.1), Stft(RATE_HZ, 0.1), MEL, ErbBands(RATE_HZ, 0.1, 4))}[
        name
    ]
    soft_mask = SoftMask(domain, quantile, width)
    attributions = draw(1, 1, *domain.shape, seed=seed) ** 3
    mask = soft_mask(attributions)
    assert 0.0 <= float(mask.min()) <= float(mask.max()) <= 1.0
    torch.testing.assert_close(soft_mask(scale * attributions), mask, rtol=1e-6, atol=1e-9)


def test_the_quantile_of_the_positive_attributions_is_wholly_kept() -> None:
    attributions = draw(2, 1, *STFT.shape)
    mask = SoftMask(STFT, quantile=0.5)(attributions)
    for one, own in zip(attributions, mask, strict=True):
        half = np.quantile(one[one > 0].numpy(), 0.5)
        np.testing.assert_allclose(own.numpy(), np.clip(one.numpy() / half, 0.0, 1.0), rtol=1e-12, atol=0)
    largest = SoftMask(STFT, quantile=1.0)(attributions)
    assert (largest == 1.0).sum((1, 2, 3)).tolist() == [1, 1]


def test_mel_bands_and_columns_are_carried_over_slowly() -> None:
    soft_mask = SoftMask(COARSE, quantile=1.0)
    attributions = draw(1, 1, *COARSE.shape).abs()
    mask = soft_mask(attributions)[0, 0]
    filters = mel_filters(COARSE.sample_rate_hz, soft_mask.stft.window_length, COARSE.bands)
    (_, columns), (_, frames) = (
        [np.array(axis.coordinates) for axis in domain.axes()] for domain in (COARSE, soft_mask.stft)
    )
    share = (attributions / attributions.max())[0, 0].numpy()
    bins, count = soft_mask.stft.shape
    for k in range(0, bins, 7):
        weights = filters[:, k]
        if weights.sum() == 0:
            weights = np.eye(COARSE.bands)[0 if k == 0 else -1]
        for frame in range(count):
            at_frame = [np.interp(frames[frame], columns, share[band]) for band in range(COARSE.bands)]
            assert float(mask[k, frame]) == pytest.approx(float(weights @ at_frame / weights.sum()), abs=1e-12)


def test_bins_beside_the_mel_filters_go_with_the_first_and_last_band() -> None:
    attributions = torch.zeros(1, 1, *MEL.shape).double()
    attributions[:, :, 0] = 1.0
    mask = SoftMask(MEL)(attributions)[0, 0]
    assert bool((mask[0] == 1.0).all())
    assert bool((mask[-1] == 0.0).all())


def test_samples_count_by_their_mean_under_every_window() -> None:
    domain = Waveform(RATE_HZ, 0.5)
    soft_mask = SoftMask(domain, quantile=1.0)
    attributions = draw(1, 1, SAMPLES)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    means = []
    for frame in range(soft_mask.stft.shape[1]):
        total = weight = 0.0
        for offset in range(256):
            sample = frame * 64 + offset - 128
            if 0 <= sample < SAMPLES:
                total += window[offset] * float(attributions[0, 0, sample])
                weight += window[offset]
        means.append(total / weight)
    expected = np.clip(np.array(means) / max(means), 0.0, 1.0)
    mask = soft_mask(attributions)[0, 0]
    np.testing.assert_allclose(mask.numpy(), np.broadcast_to(expected, mask.shape), rtol=1e-9, atol=1e-12)


def test_an_erb_band_is_kept_in_its_own_bins() -> None:
    domain = ErbBands(RATE_HZ, 0.5, 8)
    attributions = torch.zeros(1, 1, *domain.shape).double()
    attributions[:, :, 4] = 1.0
    soft_mask = SoftMask(domain)
    mask = soft_mask(attributions)[0, 0]
    # The filters themselves, at the bins' frequencies: what a band keeps of a sine.
    for k in range(0, soft_mask.stft.shape[0], 9):
        tone = sine(soft_mask.stft.axes()[0].coordinates[k] + 1e-9)
        gain = domain.analysis(tone)[0, 0, 4, 1_000:3_000].square().sum() / tone[0, 0, 1_000:3_000].square().sum()
        assert float(mask[k].mean()) == pytest.approx(math.sqrt(float(gain)), abs=0.03)


def test_smoothing_is_a_mean_of_neighbours() -> None:
    attributions = draw(1, 1, *STFT.shape).abs()
    rough, smooth = (SoftMask(STFT, 1.0, width)(attributions)[0, 0] for width in (1, 3))
    assert float(smooth[10, 7]) == pytest.approx(float(rough[9:12, 6:9].mean()), rel=1e-12)
    assert float(smooth[0, 0]) == pytest.approx(float(rough[:2, :2].mean()), rel=1e-12)


def test_one_sample_does_not_depend_on_its_batch() -> None:
    attributions, clips = draw(5, 1, *MEL.shape), noise(5)
    together = separate(clips, attributions, SoftMask(MEL)).sounds.kept
    alone = separate(clips[2:3], attributions[2:3], SoftMask(MEL)).sounds.kept
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=1e-12)


# Kept and removed


@DOMAINS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_kept_and_removed_add_up_to_the_clip(domain, dtype, tolerance) -> None:
    clips = noise(samples=samples_of(domain)).to(dtype)
    heard = separate(clips, draw(3, 1, *domain.shape, dtype=dtype), SoftMask(domain))
    for part in (heard.sounds.original, heard.sounds.kept, heard.sounds.removed):
        assert (part.shape, part.dtype) == (clips.shape, dtype)
    assert torch.equal(heard.sounds.original, clips)
    torch.testing.assert_close(heard.sounds.kept + heard.sounds.removed, clips, rtol=0, atol=tolerance)
    assert float(heard.sounds.kept.abs().max()) > 0.01
    assert float(heard.sounds.removed.abs().max()) > 0.01


def tone_energy(waveform: Tensor, frequency_hz: float) -> float:
    """Energy within 60 Hz of a frequency."""
    power = np.abs(np.fft.rfft(waveform.numpy())) ** 2
    bins_hz = np.arange(len(power)) * RATE_HZ / SAMPLES
    return float(power[np.abs(bins_hz - frequency_hz) <= 60].sum())


@pytest.mark.parametrize("domain", [STFT, MEL], ids=lambda domain: domain.name)
def test_a_planted_tone_is_kept_and_missing_from_the_rest(domain) -> None:
    tone, clip = sine(1_500.0, amplitude=0.3), noise(1, seed=3) * 0.1
    rows_hz = np.array(domain.axes()[0].coordinates)
    attributions = torch.zeros(1, 1, *domain.shape).double()
    attributions[:, :, np.abs(rows_hz - 1_500.0) < 250.0] = 1.0
    sounds = separate(tone + clip, attributions, SoftMask(domain)).sounds
    kept, removed = (tone_energy(part[0, 0], 1_500.0) for part in (sounds.kept, sounds.removed))
    assert kept > 100 * removed
    assert kept == pytest.approx(tone_energy((tone + clip)[0, 0], 1_500.0), rel=0.05)
    # Elsewhere it is the other way round.
    assert tone_energy(sounds.removed[0, 0], 3_000.0) > 100 * tone_energy(sounds.kept[0, 0], 3_000.0)


def test_a_planted_moment_is_kept_by_attributions_of_samples() -> None:
    clips = noise(1)
    attributions = torch.zeros_like(clips)
    attributions[..., 2_000:3_000] = 1.0
    sounds = separate(clips, attributions, SoftMask(Waveform(RATE_HZ, 0.5))).sounds
    torch.testing.assert_close(sounds.kept[..., 2_300:2_700], clips[..., 2_300:2_700], rtol=0, atol=1e-9)
    assert bool((sounds.kept[..., :1_700].abs() < 1e-9).all())


def test_nothing_of_the_callers_is_touched() -> None:
    clips, attributions = noise().requires_grad_(True), draw(3, 1, *MEL.shape)
    with nothing_touched(torch.nn.Identity(), clips, attributions):
        heard = separate(clips, attributions, SoftMask(MEL))
        loudness_matched(heard)
    assert not heard.sounds.original.requires_grad
    heard.sounds.original.zero_()
    assert float(clips.detach().abs().max()) > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": Pixels(8, 8)}, "domain pixels cannot be listened to"),
        ({"quantile": 0.0}, "quantile is 0.0"),
        ({"quantile": 1.1}, "quantile is 1.1"),
        ({"quantile": math.nan}, "quantile is nan"),
        ({"smoothing_cells": 0}, "smoothing_cells is 0"),
        ({"smoothing_cells": 4}, "smoothing_cells is 4"),
    ],
)
def test_impossible_masks_are_refused(changes, reason) -> None:
    with pytest.raises(UserError, match=reason):
        replace(SoftMask(MEL), **changes)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_damaged_values_are_refused(wrong) -> None:
    attributions, clips = draw(3, 1, *MEL.shape), noise()
    attributions[1, 0, 2, 3] = wrong
    with pytest.raises(UserError, match="attributions of 1 of 3 samples are NaN or infinite"):
        separate(clips, attributions, SoftMask(MEL))
    clips[0, 0, 5] = wrong
    with pytest.raises(UserError, match="waveforms are NaN or infinite"):
        separate(clips, draw(3, 1, *MEL.shape), SoftMask(MEL))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"shape \(3, 1, 20, 24\) but those of domain log_mel are \(batch, 1, 24, 20\)"):
        separate(noise(), draw(3, 1, 20, 24), SoftMask(MEL))
    with pytest.raises(UserError, match="3 waveforms for 2 attributions"):
        separate(noise(), draw(2, 1, *MEL.shape), SoftMask(MEL))
    with pytest.raises(UserError, match=r"\(batch, 1, 4000\)"):
        separate(noise(samples=3_999), draw(3, 1, *MEL.shape), SoftMask(MEL))
    with pytest.raises(UserError, match="give one real number"):
        SoftMask(STFT)(torch.zeros(1, 1, *STFT.shape, dtype=torch.complex64))


# Loudness


def test_a_full_scale_sine_of_997_hz_has_the_recommendations_loudness() -> None:
    assert float(loudness_lkfs(sine(997.0, 48_000, 5.0), 48_000)) == pytest.approx(-3.01, abs=0.001)


# The bilinear transform bends the shelf, the more the lower the rate.
@pytest.mark.parametrize(
    ("rate_hz", "tolerance"), [(8_000, 0.25), (11_025, 0.15), (16_000, 0.07), (22_050, 0.03), (44_100, 0.005)]
)
def test_other_rates_hear_nearly_the_same(rate_hz, tolerance) -> None:
    assert float(loudness_lkfs(sine(997.0, rate_hz, 3.0), rate_hz)) == pytest.approx(-3.01, abs=tolerance)
    for frequency_hz in (60.0, 200.0, 500.0, 2_000.0, 3_000.0):
        expected = float(loudness_lkfs(sine(frequency_hz, 48_000, 3.0), 48_000))
        assert float(loudness_lkfs(sine(frequency_hz, rate_hz, 3.0), rate_hz)) == pytest.approx(expected, abs=tolerance)


def test_the_filters_at_48_khz_are_the_recommendations() -> None:
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 16_000, 44_100, 96_000])
def test_filters_of_other_rates_are_stable_and_equal_at_both_ends(rate_hz) -> None:
    for stage, table in zip(k_weighting(rate_hz), k_weighting(48_000), strict=True):
        assert np.abs(np.roots(stage[3:])).max() < 1.0
        for z in (1.0, -1.0):
            gain, expected = (np.polyval(one[:3], z) / np.polyval(one[3:], z) for one in (stage, table))
            assert gain == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_gain_moves_loudness_by_as_much(rate_hz) -> None:
    loud = sine(800.0, rate_hz, 1.0)
    levels = [float(loudness_lkfs(10 ** (gain_db / 20) * loud, rate_hz)) for gain_db in (0.0, -6.0, -40.0)]
    np.testing.assert_allclose(np.array(levels) - levels[0], [0.0, -6.0, -40.0], atol=1e-9)


def test_silence_is_infinitely_quiet_and_whispers_below_the_gate_are_too() -> None:
    clips = torch.cat([torch.zeros(1, 1, 48_000).double(), sine(997.0, 48_000, 1.0, amplitude=10 ** (-68 / 20))])
    assert loudness_lkfs(clips, 48_000).tolist() == [-math.inf, -math.inf]


def test_pauses_do_not_make_a_sound_less_loud() -> None:
    speech = sine(997.0, 48_000, 2.0)
    quiet_pause = 1e-5 * speech
    with_pause = loudness_lkfs(torch.cat([speech, quiet_pause, quiet_pause], 2), 48_000)
    # Only the blocks at the border, of three quarters, a half and a quarter, count less: 16 and 2.5 of 17 and 3 blocks.
    powers = np.array([1.0] * 17 + [0.75, 0.5, 0.25])
    assert float(with_pause) == pytest.approx(-3.01 + 10 * math.log10(powers.mean()), abs=0.02)


def test_the_relative_gate_leaves_out_what_is_10_below() -> None:
    loud, soft = sine(997.0, 48_000, 2.0), 10 ** (-20 / 20) * sine(997.0, 48_000, 2.0)
    # Blocks at the border hold three quarters, a half and a quarter of the loud part; all of them are let through.
    powers = np.array([1.0] * 17 + [0.75 + 0.25e-2, 0.5 + 0.5e-2, 0.25 + 0.75e-2])
    assert float(loudness_lkfs(torch.cat([loud, soft], 2), 48_000)) == pytest.approx(
        -3.01 + 10 * math.log10(powers.mean()), abs=0.02
    )


def test_clips_shorter_than_a_block_are_not_gated() -> None:
    short = sine(997.0, 48_000, 0.399)
    assert float(loudness_lkfs(short, 48_000)) == pytest.approx(-3.01, abs=0.02)
    half = torch.cat([short[..., :9_000], torch.zeros(1, 1, 9_000).double()], 2)
    assert float(loudness_lkfs(half, 48_000)) == pytest.approx(-3.01 - 3.01, abs=0.02)
    assert math.isfinite(float(loudness_lkfs(1e-6 * short, 48_000)))


def test_loudness_of_what_is_no_waveform_is_refused() -> None:
    with pytest.raises(UserError, match=r"loudness is of \(batch, 1, time\)"):
        loudness_lkfs(torch.zeros(2, 100), 8_000)
    with pytest.raises(UserError, match="the sample rate is 3000 Hz; loudness needs more than 3364 Hz"):
        loudness_lkfs(torch.zeros(1, 1, 100), 3_000)


# Playback


def peak_dbfs(waveforms: Tensor) -> Tensor:
    return 20 * waveforms.double().abs().flatten(1).amax(1).log10()


def test_played_copies_are_as_loud_as_the_original() -> None:
    clips = torch.cat([sine(400.0) + sine(2_500.0, amplitude=0.3)] * 2) * torch.tensor([0.1, 0.05])[:, None, None]
    attributions = torch.zeros(2, 1, *MEL.shape).double()
    attributions[:, :, np.array(MEL.axes()[0].coordinates) > 1_500.0] = 1.0
    played = loudness_matched(separate(clips, attributions, SoftMask(MEL)))
    original = loudness_lkfs(played.sounds.original, RATE_HZ)
    for part, gains_db in (
        (played.sounds.kept, played.gains_db.kept),
        (played.sounds.removed, played.gains_db.removed),
    ):
        torch.testing.assert_close(loudness_lkfs(part, RATE_HZ), original, rtol=0, atol=0.05)
        assert bool((gains_db > 0.01).all())
    assert torch.equal(played.sounds.original, clips)
    assert bool((played.gains_db.original == 0).all())


@given(
    gain=st.floats(1e-8, 4.0),
    spike=st.floats(0.0, 4.0),
    seed=st.integers(0, 20),
    share=st.sampled_from([0.0, 0.02, 0.5]),
)
@settings(deadline=None, max_examples=40)
def test_no_played_peak_exceeds_minus_1_dbfs(gain: float, spike: float, seed: int, share: float) -> None:
    clips = (gain * noise(2, seed=seed)).float()
    clips[0, 0, 1_000] += spike
    attributions = draw(2, 1, *STFT.shape, seed=seed, dtype=torch.float32)
    attributions = torch.where(
        torch.rand(STFT.shape, generator=torch.Generator().manual_seed(seed)) < share, attributions, 0
    )
    heard = separate(clips, attributions, SoftMask(STFT))
    played = loudness_matched(heard)
    for name in ("original", "kept", "removed"):
        before, after, gains_db = (getattr(one, name) for one in (heard.sounds, played.sounds, played.gains_db))
        assert bool((peak_dbfs(after) <= -1.0 + 1e-5).all())
        assert bool(after.isfinite().all())
        assert bool(gains_db.isfinite()[before.flatten(1).any(1)].all())
        torch.testing.assert_close(after, before * (10 ** (gains_db.clamp_max(1e3) / 20)).float()[:, None, None])
        assert after.shape == before.shape


def test_what_nobody_hears_is_not_amplified() -> None:
    """What is removed by a mask of ones is rounding noise; loud, it would be heard as an explanation's failure."""
    clips = noise().float()
    played = loudness_matched(separate(clips, torch.ones(3, 1, *MEL.shape), SoftMask(MEL)))
    assert float(played.sounds.removed.abs().max()) < 1e-6
    assert float(played.gains_db.removed.max()) <= 0.0


def test_silent_clips_stay_silent() -> None:
    played = loudness_matched(separate(torch.zeros(2, 1, SAMPLES), torch.ones(2, 1, *MEL.shape), SoftMask(MEL)))
    for part in (played.sounds.original, played.sounds.kept, played.sounds.removed):
        assert bool((part == 0).all())
    for gains_db in (played.gains_db.original, played.gains_db.kept, played.gains_db.removed):
        assert bool((gains_db == 0).all())


# Files


def played_clips() -> Heard:
    return loudness_matched(separate(noise(2).float(), draw(2, 1, *MEL.shape), SoftMask(MEL)))


CLIPS = ("data/01/3_01_2.wav", "0_jackson_7.wav")


@pytest.mark.parametrize("file_format", ["flac", "wav"])
def test_files_say_what_they_are_and_hold_every_sample(tmp_path: Path, file_format) -> None:
    heard = played_clips()
    files = write_heard(tmp_path / "new", heard, CLIPS, "silence ig", file_format)
    assert [file.name for file in files] == [
        f"data-01-3_01_2-wav__original.{file_format}",
        f"0_jackson_7-wav__original.{file_format}",
        f"data-01-3_01_2-wav__silence-ig__kept.{file_format}",
        f"0_jackson_7-wav__silence-ig__kept.{file_format}",
        f"data-01-3_01_2-wav__silence-ig__removed.{file_format}",
        f"0_jackson_7-wav__silence-ig__removed.{file_format}",
    ]
    assert sorted(files) == sorted((tmp_path / "new").iterdir())
    sounds = torch.cat([heard.sounds.original, heard.sounds.kept, heard.sounds.removed])[:, 0].double().numpy()
    for file, sound in zip(files, sounds, strict=True):
        about = soundfile.info(file)
        assert (about.samplerate, about.channels, about.subtype) == (RATE_HZ, 1, "PCM_24")
        assert about.format == file_format.upper()
        read, _ = soundfile.read(file, dtype="float64")
        np.testing.assert_array_equal(read, np.rint(sound * 2**23) / 2**23)


def test_full_scale_is_written_without_wrapping_round(tmp_path: Path) -> None:
    clip = torch.tensor([[[1.0, -1.0, 0.5, 0.0]]])
    heard = Heard(Parts(clip, clip, clip), Parts(*[torch.zeros(1)] * 3), torch.tensor([False]), RATE_HZ)
    for file in write_heard(tmp_path, heard, ["a"], "m"):
        read, _ = soundfile.read(file, dtype="float64")
        np.testing.assert_array_equal(read, [1 - 2**-23, -1.0, 0.5, 0.0])


def test_the_same_sounds_make_the_same_files(tmp_path: Path) -> None:
    first, second = (write_heard(tmp_path / name, played_clips(), CLIPS, "ig") for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_sounds_beyond_full_scale_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    heard = separate(3.0 * noise(2), draw(2, 1, *MEL.shape), SoftMask(MEL))
    with pytest.raises(UserError, match=r"the peak of original is \d.* would be clipped; write loudness_matched"):
        write_heard(tmp_path / "new", heard, CLIPS, "ig")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("clips", [("a",), ("a", "a"), ("a/b", "a b"), ("a", "")])
def test_clips_need_a_name_each(tmp_path: Path, clips) -> None:
    with pytest.raises(UserError, match="2 clips have the names"):
        write_heard(tmp_path, played_clips(), clips, "ig")
    assert not list(tmp_path.iterdir())


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="file_format is 'mp3'; choose flac or wav"):
        write_heard(tmp_path, played_clips(), CLIPS, "ig", cast(Any, "mp3"))


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch) -> None:
    write = Path.write_bytes

    def half_then_full(path: Path, content: bytes) -> int:
        if "kept" not in path.name:
            return write(path, content)
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half_then_full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_heard(tmp_path, played_clips(), CLIPS, "ig")
    assert caught.value.filename == str(tmp_path / "data-01-3_01_2-wav__ig__kept.flac")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["0_jackson_7-wav__original.flac", "data-01-3_01_2-wav__original.flac"]


@DOMAINS
def test_one_call_writes_the_three_sounds_of_a_clip(tmp_path: Path, domain) -> None:
    clip, attributions = noise(1, samples_of(domain)).float(), draw(1, 1, *domain.shape, dtype=torch.float32)
    made = write_sounds(tmp_path, "0_jackson_7.wav", clip[0], attributions[0], domain, method="ig", quantile=0.9)
    assert not made.nothing_kept
    files = [made.original, made.kept, made.removed]
    assert [file.name for file in files] == [
        "0_jackson_7-wav__original.flac",
        "0_jackson_7-wav__ig__kept.flac",
        "0_jackson_7-wav__ig__removed.flac",
    ]
    heard = loudness_matched(separate(clip, attributions, SoftMask(domain, 0.9)))
    for file, sound in zip(files, (heard.sounds.original, heard.sounds.kept, heard.sounds.removed), strict=True):
        read, rate_hz = soundfile.read(file, dtype="float64")
        assert rate_hz == domain.sample_rate_hz
        np.testing.assert_allclose(read, sound[0, 0].double().numpy(), rtol=0, atol=2**-24)


def test_one_call_says_where_nothing_is_kept_and_writes_nothing_of_what_does_not_fit(tmp_path: Path) -> None:
    clip = noise(1).float()[0]
    made = write_sounds(tmp_path, "clip", clip, -torch.ones(1, *MEL.shape), MEL, file_format="wav")
    assert made.nothing_kept
    assert made.kept.name == "clip__explanation__kept.wav"
    for wrong in ((clip[None], torch.ones(1, *MEL.shape)), (clip, torch.ones(1, 1, *MEL.shape))):
        with pytest.raises(UserError, match="have shape"):
            write_sounds(tmp_path / "new", "clip", *wrong, MEL)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("domain", [Stft(RATE_HZ, 0.1), LogMel(RATE_HZ, 0.1, bands=6, frames=5)])
def test_bins_are_kept_in_the_order_of_their_relevance(domain: Domain) -> None:
    """Slow twin: for every percentage, the bins are taken one by one from a sorted list; ties by their place."""
    relevance = torch.randn(1, 1, *domain.shape, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    stft = matching_stft(domain)
    spread = in_stft_cells(relevance.double(), audible(domain), stft).flatten().tolist()
    places = sorted(range(len(spread)), key=lambda place: (-spread[place], place))
    found = kept_from_percent(relevance, domain).ravel()
    for percent in (1, 5, 17, 50, 99, 100):
        kept = set(places[: max(1, round(percent / 100 * len(places)))])
        assert set(np.flatnonzero(found <= percent).tolist()) == kept
    assert ordered_bins(relevance, domain).tolist() == places
