"""Domains against librosa, against closed forms and at their edges."""

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from helpers.tiny_models import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.domains import (
    DOMAINS,
    Domain,
    ErbBands,
    Invertible,
    LogMel,
    Mask,
    PeakLogMel,
    Pixels,
    Rfft,
    Stft,
    Waveform,
    erb_rate,
    erb_rate_to_hz,
    hz_to_mel,
    in_stft_cells,
    mel_filters,
    mel_to_hz,
)
from audioxai.domains.mask import Scale
from audioxai.utils.errors import UserError

# Sample rate, duration and window: production's, and some where neither window nor hop is a round number.
FORMATS = [
    (8_000, 1.0, 0.064, (32, 64, 128)),
    (16_000, 1.0, 0.064, (32, 64, 128)),
    (16_000, 1.5, 0.064, (32, 64, 128)),
    (22_050, 1.0, 0.064, (32, 64, 128)),
    (44_100, 0.5, 0.064, (32, 64)),
]
GRIDS = [(rate, duration, window, size) for rate, duration, window, sizes in FORMATS for size in sizes]
SMALL = LogMel(8_000, 0.256, bands=12, frames=9, window_s=0.064)


def noise(domain: LogMel, batch: int = 2, seed: int = 0) -> Tensor:
    """Noise that dies away to nothing and returns at the very end, so that some cells lie on the floor."""
    envelope = torch.logspace(-1.0, -9.0, domain.samples, dtype=torch.float64)
    envelope[-domain.window_length // 4 :] = 0.1
    return (draw(batch, 1, domain.samples, seed=seed) * envelope).clamp(-1.0, 1.0)


def librosa_db(waveform: np.ndarray, domain: LogMel) -> np.ndarray:
    """The same spectrogram by librosa, in dB over a full-scale sine, with the same floor."""
    window = domain.window_length
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=domain.sample_rate_hz,
        n_fft=window,
        hop_length=domain.hop_length,
        window="hann",
        center=True,
        pad_mode="constant",
        power=2.0,
        n_mels=domain.bands,
        fmin=0.0,
        fmax=domain.sample_rate_hz / 2,
        htk=False,
        norm=None,
        dtype=np.float64,
    )
    # A full-scale sine's own bin holds half the window's sum.
    full_scale = (librosa.filters.get_window("hann", window).sum() / 2) ** 2
    power = power[:, : domain.frames]
    return librosa.power_to_db(power / full_scale, ref=1.0, amin=10 ** (domain.floor_db / 10), top_db=None)


@pytest.mark.parametrize(("rate_hz", "duration_s", "window_s", "size"), GRIDS)
def test_log_mel_is_librosas(rate_hz: int, duration_s: float, window_s: float, size: int) -> None:
    domain = LogMel(rate_hz, duration_s, size, size, window_s)
    recorded = noise(domain)
    expected = np.stack([librosa_db(one, domain)[None] for one in recorded[:, 0].numpy()])
    exact, single = domain.analysis(recorded), domain.analysis(recorded.float())
    assert exact.shape == single.shape == (2, 1, *domain.shape) == expected.shape
    assert (exact.dtype, single.dtype) == (torch.float64, torch.float32)
    assert domain.floor_db < expected.max() - 20
    assert (expected == domain.floor_db).any()
    np.testing.assert_allclose(exact.numpy(), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(single.numpy(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("rate_hz", "duration_s", "window_s", "size"), GRIDS)
def test_log_mel_axes_belong_to_its_cells(rate_hz: int, duration_s: float, window_s: float, size: int) -> None:
    domain = LogMel(rate_hz, duration_s, size, size, window_s)
    frequency, time = domain.axes()
    assert [(axis.name, axis.unit) for axis in (frequency, time)] == [("frequency", "Hz"), ("time", "s")]
    edges_hz = librosa.mel_frequencies(n_mels=size + 2, fmin=0.0, fmax=rate_hz / 2, htk=False)
    np.testing.assert_allclose(frequency.coordinates, edges_hz[1:-1], rtol=1e-12)
    expected = librosa.frames_to_time(np.arange(size), sr=rate_hz, hop_length=domain.hop_length)
    np.testing.assert_allclose(time.coordinates, expected, rtol=1e-12)
    # The grid covers the whole sound: what is left after the last frame is less than half a window.
    assert duration_s - time.coordinates[-1] < window_s / 2


@given(
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100]),
    samples=st.integers(200, 4_000),
    frames=st.integers(2, 140),
    window_s=st.floats(0.01, 0.1),
)
@settings(deadline=None, max_examples=80)
def test_log_mel_gives_the_shape_it_promises_or_refuses(
    rate_hz: int, samples: int, frames: int, window_s: float
) -> None:
    try:
        domain = LogMel(rate_hz, samples / rate_hz, 2, frames, window_s)
    except UserError:
        return
    assert domain.samples == samples
    assert domain.analysis(torch.zeros(1, 1, samples)).shape == (1, 1, 2, frames)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("floor_db", [-80.0, -60.0, -47.1, -100.0])
def test_the_analysis_of_zeros_is_silence(floor_db: float, dtype: torch.dtype) -> None:
    domain = LogMel(16_000, 1.0, 64, 64, floor_db=floor_db)
    assert domain.silence_value == floor_db == domain.value_range[0]
    assert bool((domain.analysis(torch.zeros(2, 1, 16_000, dtype=dtype)) == floor_db).all())


EVERY_DOMAIN = (
    Waveform(8_000, 1.0),
    Stft(8_000, 1.0),
    Rfft(8_000, 1.0),
    ErbBands(8_000, 1.0, bands=8),
    LogMel(8_000, 1.0, 32, 32),
    PeakLogMel(8_000, 1.0, 32, 32),
    Mask.of(8_000, 1.0),
    Pixels(4, 5),
)


def test_every_registered_domain_is_tried() -> None:
    assert [domain.name for domain in EVERY_DOMAIN] == list(DOMAINS)


@pytest.mark.parametrize("domain", EVERY_DOMAIN, ids=lambda d: d.name)
def test_every_domain_keeps_its_promises(domain: Domain) -> None:
    assert isinstance(domain, Domain)
    assert DOMAINS[domain.name] is type(domain)
    recorded = torch.zeros(3, 1, *(domain.shape if domain.name == "pixels" else (8_000,)))
    analysed = domain.analysis(recorded)
    assert analysed.shape == (3, 1, *domain.shape)
    assert bool((analysed == domain.silence_value).all())
    assert domain.value_range[0] <= domain.silence_value < domain.value_range[1]
    assert tuple(len(axis.coordinates) for axis in domain.axes()) == domain.shape
    assert all(np.all(np.diff(axis.coordinates) > 0) for axis in domain.axes())


@pytest.mark.parametrize("padding_db", [-80.0, 0.0])
def test_levels_below_the_peak_are_those_of_one_reference_less_the_largest(padding_db: float) -> None:
    fixed = LogMel(8_000, 1.0, 32, 32)
    clips = torch.zeros(2, 1, 8_000, dtype=torch.float64)
    clips[:, 0, 2_000:6_000] = 0.1 * torch.randn(4_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    clips[1] *= 0.01
    levels, absolute = PeakLogMel(8_000, 1.0, 32, 32, padding_db=padding_db).analysis(clips), fixed.analysis(clips)
    # A frame is padding where no sample under its window sounds.
    half, hop = fixed.window_length // 2, fixed.hop_length
    padding = torch.tensor([frame * hop + half <= 2_000 or frame * hop - half >= 6_000 for frame in range(32)])
    assert bool(padding.any())
    assert bool((levels[..., padding] == padding_db).all())
    torch.testing.assert_close(levels[0], levels[1], rtol=0, atol=1e-6)
    expected = (absolute - absolute.amax((1, 2, 3), keepdim=True))[:1][..., ~padding]
    heard = absolute[:1][..., ~padding] > -80.0
    torch.testing.assert_close(levels[:1][..., ~padding][heard], expected[heard].clamp_min(-80.0), rtol=0, atol=1e-9)
    assert float(levels[..., ~padding].amax()) == 0.0


@pytest.mark.parametrize("scale", ["mel", "erb"])
def test_cells_of_a_mask_have_the_power_of_their_bins(scale: Scale) -> None:
    domain = Mask(4_000, 0.2, bands=6, frames=5, scale=scale)
    clip = 0.1 * torch.randn(1, 1, 800, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    power = domain.stft.analysis(clip)[0, 0].abs().square().numpy()
    (bands_hz, frames_s), (bins_hz, columns_s) = (
        [axis.coordinates for axis in one.axes()] for one in (domain, domain.stft)
    )
    expected = np.zeros((6, 5))
    for band in range(6):
        for frame in range(5):
            across = np.interp(bins_hz, bands_hz, np.eye(6)[band])
            along = np.interp(columns_s, frames_s, np.eye(5)[frame])
            expected[band, frame] = 10 * np.log10((across[:, None] * along * power).sum() / along.sum())
    np.testing.assert_allclose(domain.analysis(clip)[0, 0].numpy(), expected, rtol=1e-9)


def test_bands_of_a_mask_by_mel_weigh_as_those_of_a_spectrogram() -> None:
    mask, levels = Mask(8_000, 1.0, 32, 33), LogMel(8_000, 1.0, 32, 33)
    values = torch.rand(1, 1, 32, 33, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    stft = mask.stft
    torch.testing.assert_close(in_stft_cells(values, mask, stft), in_stft_cells(values, levels, stft))


@pytest.mark.parametrize("frequency_hz", [125.0, 500.0, 1_000.0, 2_500.0, 3_500.0])
def test_a_full_scale_sine_is_about_0_db_in_its_own_band(frequency_hz: float) -> None:
    domain = LogMel(8_000, 1.0, 32, 32)
    times = torch.arange(8_000, dtype=torch.float64) / 8_000
    spectrogram = domain.analysis(torch.sin(2 * torch.pi * frequency_hz * times)[None, None])[0, 0, :, 4:-4]
    level_db, band = spectrogram.max(0)
    centres_hz = np.array(domain.axes()[0].coordinates)
    assert bool((band == int(np.abs(centres_hz - frequency_hz).argmin())).all())
    # A band adds up the window's three bins (1 + 1/4 + 1/4 in power), so it may reach 10·log10(1.5) dB at most.
    assert float(level_db.min()) > -4.0
    assert float(level_db.max()) <= 10 * np.log10(1.5)


def test_a_sine_in_the_middle_of_a_wide_band_has_the_level_of_its_weighted_bins() -> None:
    domain = LogMel(8_000, 1.0, 32, 32)
    bin_hz = 8_000 / domain.window_length
    bins = 64
    times = torch.arange(8_000, dtype=torch.float64) / 8_000
    spectrogram = domain.analysis(torch.cos(2 * torch.pi * bins * bin_hz * times)[None, None])[0, 0, :, 16]
    # On its own bin the Hann window leaves full scale there and half the amplitude on both neighbours.
    filters = librosa.filters.mel(sr=8_000, n_fft=512, n_mels=32, htk=False, norm=None, dtype=np.float64)
    power = filters[:, bins] + 0.25 * (filters[:, bins - 1] + filters[:, bins + 1])
    expected = 10 * np.log10(np.maximum(power, 1e-8))
    loud = expected > -60
    assert loud.sum() >= 1
    np.testing.assert_allclose(spectrogram.numpy()[loud], expected[loud], atol=1e-6)


@pytest.mark.parametrize("click_s", [0.1, 0.5, 0.83])
def test_a_click_is_where_the_time_axis_says(click_s: float) -> None:
    domain = LogMel(16_000, 1.0, 64, 64)
    recorded = torch.zeros(1, 1, 16_000, dtype=torch.float64)
    recorded[0, 0, round(click_s * 16_000)] = 1.0
    loudest = int(domain.analysis(recorded)[0, 0].mean(0).argmax())
    hop_s = domain.hop_length / domain.sample_rate_hz
    assert abs(domain.axes()[1].coordinates[loudest] - click_s) <= hop_s / 2 + 1e-9


@given(gain=st.floats(1e-2, 1.0), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_a_gain_shifts_decibels_above_the_floor(gain: float, seed: int) -> None:
    recorded = noise(SMALL, seed=seed)
    before, after = SMALL.analysis(recorded), SMALL.analysis(gain * recorded)
    expected = (before + 20 * np.log10(gain)).clamp_min(SMALL.floor_db)
    above = before > SMALL.floor_db
    assert bool(above.any())
    torch.testing.assert_close(after[above], expected[above], rtol=0, atol=1e-8)
    assert bool((after[~above] == SMALL.floor_db).all())


def test_a_loud_clip_leaves_the_others_alone() -> None:
    quiet = 1e-3 * noise(SMALL)
    loud = torch.ones(1, 1, SMALL.samples, dtype=torch.float64)
    alone, together = SMALL.analysis(quiet), SMALL.analysis(torch.cat([loud, quiet]))[1:]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    reversed_order = SMALL.analysis(quiet.flip(0)).flip(0)
    torch.testing.assert_close(reversed_order, alone, rtol=0, atol=1e-10)


def test_log_mel_is_differentiable() -> None:
    domain = LogMel(1_000, 0.03, bands=2, frames=4, window_s=0.016)
    recorded = (0.3 * draw(2, 1, domain.samples)).requires_grad_(True)
    assert bool((domain.analysis(recorded) > domain.floor_db).all())
    assert torch.autograd.gradcheck(domain.analysis, (recorded,))


def test_log_mel_has_a_gradient_after_a_first_use_in_inference_mode() -> None:
    domain = LogMel(1_000, 0.03, bands=2, frames=4, window_s=0.017)
    recorded = 0.3 * draw(2, 1, domain.samples)
    with torch.inference_mode():
        domain.analysis(recorded)
    recorded.requires_grad_(True)
    domain.analysis(recorded).sum().backward()
    assert recorded.grad is not None
    assert int(recorded.grad.count_nonzero()) > 0


@given(hz=st.floats(0.0, 24_000.0))
def test_mel_scale_is_librosas_and_its_inverse_inverts(hz: float) -> None:
    mel = hz_to_mel(np.array(hz))
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=False), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel), hz, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(mel), librosa.mel_to_hz(float(mel), htk=False), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("rate_hz", "fft_length", "bands"), [(8_000, 512, 40), (16_000, 1_024, 128), (22_050, 1_411, 64)]
)
def test_mel_filters_are_librosas(rate_hz: int, fft_length: int, bands: int) -> None:
    expected = librosa.filters.mel(sr=rate_hz, n_fft=fft_length, n_mels=bands, htk=False, norm=None, dtype=np.float64)
    filters = mel_filters(rate_hz, fft_length, bands)
    np.testing.assert_allclose(filters, expected, rtol=0, atol=1e-12)
    assert filters.max() <= 1.0


def test_an_empty_mel_band_is_refused() -> None:
    domain = LogMel(16_000, 1.0, bands=512, frames=64)
    with pytest.raises(UserError, match=r"of 512 mel bands contain no bin of a 1024-point spectrum at 16000 Hz"):
        domain.analysis(torch.zeros(1, 1, 16_000))


@pytest.mark.parametrize(
    ("bands", "frames", "reason"),
    [
        (32, 1, "2 frames"),
        (0, 32, "at least 1 band"),
        (32, 8_500, "fewer frames"),
        (32, 9_000, "fewer frames"),
        (32, 8, "leave gaps"),
    ],
)
def test_impossible_grids_are_refused(bands: int, frames: int, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        LogMel(8_000, 1.0, bands, frames)


@pytest.mark.parametrize("domain", EVERY_DOMAIN[:-1], ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(8_000,), (2, 8_000), (2, 2, 8_000), (2, 1, 7_999), (2, 1, 8_001), (1, 1, 1, 8_000)])
def test_waveforms_of_another_shape_are_refused(domain: Domain, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"this domain takes \(batch, 1, 8000\)"):
        domain.analysis(torch.zeros(shape))


def test_waveform_is_what_was_recorded() -> None:
    domain = Waveform(100, 0.5)
    recorded = draw(2, 1, 50)
    assert domain.analysis(recorded) is recorded
    (axis,) = domain.axes()
    assert (axis.name, axis.unit) == ("time", "s")
    np.testing.assert_allclose(axis.coordinates, np.arange(50) * 0.01, rtol=1e-12)
    assert (domain.silence_value, domain.value_range) == (0.0, (-1.0, 1.0))


def resized_slowly(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres, one row and one column at a time."""
    for size in (rows, columns):
        length = image.shape[0]
        places = (np.arange(size) + 0.5) * length / size - 0.5
        image = np.stack([np.interp(places, np.arange(length), column) for column in image.T])
    return image


@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (13, 40), (128, 128)])
def test_pixels_are_resized_bilinearly(shape: tuple[int, int]) -> None:
    images = draw(3, 1, 28, 28).sigmoid()
    resized = Pixels(*shape).analysis(images)
    expected = np.stack([resized_slowly(image, *shape)[None] for image in images[:, 0].numpy()])
    np.testing.assert_allclose(resized.numpy(), expected, rtol=0, atol=1e-12)


def test_pixels_of_the_right_size_stay_as_they_are() -> None:
    images = draw(3, 1, 28, 28).sigmoid()
    assert Pixels(28, 28).analysis(images) is images


def test_resizing_is_differentiable() -> None:
    images = draw(2, 1, 3, 4).requires_grad_(True)
    assert torch.autograd.gradcheck(Pixels(5, 6).analysis, (images,))


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28), (2, 3, 28, 28), (1, 1, 1, 28, 28)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"takes \(batch, 1, rows, columns\)"):
        Pixels(28, 28).analysis(torch.zeros(shape))


STFTS = [
    Stft(8_000, 0.25),
    Stft(8_000, 0.2513, window_s=0.02, overlap=2),
    Stft(16_000, 0.1, window_s=0.064, overlap=8),
    Stft(44_100, 0.05, window_s=0.01, overlap=3),
    Stft(1_000, 0.032),
]


@pytest.mark.parametrize("domain", STFTS, ids=str)
def test_stft_is_the_slow_transform(domain: Stft) -> None:
    recorded = 0.3 * draw(2, 1, domain.samples)
    values = domain.analysis(recorded)
    assert values.shape == (2, 1, *domain.shape)
    assert (values.dtype, domain.analysis(recorded.float()).dtype) == (torch.complex128, torch.complex64)
    length, hop = domain.window_length, domain.hop_length
    window = np.sin(np.pi * np.arange(length) / length) ** 2
    padded = np.pad(recorded.numpy()[:, 0], ((0, 0), (length // 2, 2 * length)))
    turns = np.exp(-2j * np.pi * np.outer(np.arange(length // 2 + 1), np.arange(length)) / length)
    for frame in range(domain.shape[1]):
        expected = (padded[:, frame * hop : frame * hop + length] * window) @ turns.T * 2 / window.sum()
        np.testing.assert_allclose(values[:, 0, :, frame].numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("domain", STFTS, ids=str)
def test_stft_is_librosas(domain: Stft) -> None:
    recorded = 0.3 * draw(1, 1, domain.samples)
    length = domain.window_length
    expected = librosa.stft(
        np.pad(recorded.numpy()[0, 0], (0, length)), n_fft=length, hop_length=domain.hop_length, pad_mode="constant"
    )
    values = domain.analysis(recorded)[0, 0].numpy() * librosa.filters.get_window("hann", length).sum() / 2
    np.testing.assert_allclose(values, expected[:, : domain.shape[1]], rtol=0, atol=1e-10)


INVERTIBLE = [
    *STFTS,
    Waveform(100, 0.5),
    ErbBands(8_000, 0.25, 8),
    ErbBands(16_000, 0.1001, 32),
    ErbBands(44_100, 0.01),
]


@pytest.mark.parametrize("domain", INVERTIBLE, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_the_way_back_is_exact(domain: Invertible, dtype: torch.dtype, tolerance: float) -> None:
    assert isinstance(domain, Invertible)
    assert isinstance(domain, Waveform | Stft | ErbBands)
    samples = round(domain.sample_rate_hz * domain.duration_s)
    for recorded in (0.5 * draw(3, 1, samples, dtype=dtype), torch.ones(1, 1, samples, dtype=dtype)):
        back = domain.synthesis(domain.analysis(recorded))
        assert (back.shape, back.dtype) == (recorded.shape, dtype)
        torch.testing.assert_close(back, recorded, rtol=0, atol=tolerance)


@pytest.mark.parametrize("domain", [LogMel(8_000, 1.0, 32, 32), Pixels(3, 4)])
def test_there_is_no_way_back_from_levels_and_resized_images(domain: Domain) -> None:
    assert not isinstance(domain, Invertible)


@pytest.mark.parametrize(
    "domain", [Stft(1_000, 0.04), Rfft(1_000, 0.04), ErbBands(1_000, 0.04, 3)], ids=lambda d: d.name
)
def test_synthesis_is_linear_and_differentiable(domain: Invertible) -> None:
    one, other = (domain.analysis(draw(1, 1, 40, seed=seed)) * draw(1, 1, *domain.shape, seed=seed) for seed in (1, 2))
    both = domain.synthesis(2.0 * one - 3.0 * other)
    torch.testing.assert_close(both, 2.0 * domain.synthesis(one) - 3.0 * domain.synthesis(other), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(domain.synthesis, (one.requires_grad_(True),))
    assert torch.autograd.gradcheck(domain.analysis, (draw(1, 1, 40).requires_grad_(True),))


@pytest.mark.parametrize("samples", [800, 801])
def test_the_spectrum_of_a_clip_is_inverted_and_a_full_scale_sine_has_magnitude_1(samples: int) -> None:
    domain = Rfft(8_000, samples / 8_000)
    recorded = draw(2, 1, samples)
    torch.testing.assert_close(domain.synthesis(domain.analysis(recorded)), recorded, rtol=0, atol=1e-12)
    sine = torch.sin(2 * torch.pi * 30 * torch.arange(samples, dtype=torch.float64) / samples)[None, None]
    magnitudes = domain.analysis(sine).abs()[0, 0]
    expected = torch.zeros_like(magnitudes)
    expected[30] = 1.0
    torch.testing.assert_close(magnitudes, expected, rtol=0, atol=1e-12)
    assert domain.axes()[0].coordinates[30] == pytest.approx(30 * 8_000 / samples)
    with pytest.raises(UserError, match="values have shape"):
        domain.synthesis(domain.analysis(recorded)[..., :-1])


@pytest.mark.parametrize("overlap", [2, 4, 8])
def test_a_full_scale_sine_has_magnitude_1_in_its_bin(overlap: int) -> None:
    domain = Stft(8_000, 0.5, overlap=overlap)
    frequency = domain.axes()[0].coordinates[20]
    times = torch.arange(4_000, dtype=torch.float64) / 8_000
    magnitude = domain.analysis(torch.sin(2 * torch.pi * frequency * times)[None, None]).abs()[0, 0, :, 8:-8]
    torch.testing.assert_close(magnitude[20], torch.ones_like(magnitude[20]), rtol=0, atol=1e-12)
    torch.testing.assert_close(magnitude[19], torch.full_like(magnitude[19], 0.5), rtol=0, atol=1e-12)
    assert float(magnitude[:18].max()) < 1e-12


def test_a_click_is_in_the_stft_frames_around_it() -> None:
    domain = Stft(8_000, 0.5)
    recorded = torch.zeros(1, 1, 4_000, dtype=torch.float64)
    recorded[0, 0, 2_000] = 1.0
    energy = domain.analysis(recorded).abs().sum(2)[0, 0]
    times = np.array(domain.axes()[1].coordinates)
    assert abs(times[int(energy.argmax())] - 0.25) < domain.hop_length / 8_000
    assert not energy[np.abs(times - 0.25) > domain.window_s / 2].any()


@pytest.mark.parametrize("frequency_hz", [60.0, 440.0, 1_000.0, 3_000.0])
def test_a_tone_is_in_the_erb_bands_next_to_it(frequency_hz: float) -> None:
    domain = ErbBands(8_000, 0.5, bands=20)
    times = torch.arange(4_000, dtype=torch.float64) / 8_000
    # Faded in and out, so that it has no corners that sound everywhere.
    tone = torch.sin(2 * torch.pi * frequency_hz * times) * torch.hann_window(4_000, dtype=torch.float64)
    energy = domain.analysis(tone[None, None])[0, 0].square().sum(1)
    centres = erb_rate(np.array(domain.axes()[0].coordinates))
    near = np.abs(centres - erb_rate(np.array(frequency_hz))) < centres[1]
    assert near.sum() == 2
    assert float(energy[near].sum() / energy.sum()) > 0.995


@given(hz=st.floats(0.0, 24_000.0))
def test_erb_rate_grows_by_one_for_each_bandwidth_and_is_inverted(hz: float) -> None:
    np.testing.assert_allclose(erb_rate_to_hz(erb_rate(np.array(hz))), hz, rtol=1e-9, atol=1e-6)
    bandwidth = 24.7 * (0.00437 * hz + 1.0)
    grown = erb_rate(np.array(hz + bandwidth / 2)) - erb_rate(np.array(hz - bandwidth / 2))
    assert abs(float(grown) - 1.0) < 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stft(8_000, 0.03),
        lambda: Stft(16_000, 0.063, window_s=0.064),
        lambda: LogMel(8_000, 0.05, bands=4, frames=4, window_s=0.064),
    ],
)
def test_clips_shorter_than_one_window_are_refused(make: Callable[[], Domain]) -> None:
    with pytest.raises(UserError, match=r"clips of \d+ samples are shorter than one window of \d+ samples"):
        make()


def test_impossible_overlaps_bands_and_values_are_refused() -> None:
    with pytest.raises(UserError, match="overlap is 1"):
        Stft(8_000, 1.0, overlap=1)
    with pytest.raises(UserError, match="bands is 1"):
        ErbBands(8_000, 1.0, bands=1)
    with pytest.raises(UserError, match=r"values have shape \(1, 1, 3, 4\).*\(batch, 1, \*\(129, 126\)\)"):
        Stft(8_000, 1.0).synthesis(torch.zeros(1, 1, 3, 4, dtype=torch.complex64))


@pytest.mark.parametrize("domain", [Stft(8_000, 0.1), ErbBands(8_000, 0.1, 4)], ids=lambda d: d.name)
def test_domains_have_a_gradient_after_a_first_use_in_inference_mode(domain: Invertible) -> None:
    recorded = draw(1, 1, 800)
    with torch.inference_mode():
        domain.synthesis(domain.analysis(recorded))
    recorded.requires_grad_(True)
    domain.synthesis(domain.analysis(recorded)).square().sum().backward()
    torch.testing.assert_close(recorded.grad, 2 * recorded.detach(), rtol=0, atol=1e-12)
