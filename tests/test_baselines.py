"""Baselines against slow loops, closed forms and SciPy."""

import json

import numpy as np
import pytest
import scipy.ndimage
import torch
from helpers.tiny_models import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.baselines import (
    BandNoise,
    Baseline,
    Blur,
    DatasetMean,
    DatasetMedian,
    Inaudible,
    LowEnergy,
    NoiseFloor,
    NoisySilence,
    RandomBaseline,
    References,
    SpeechShapedNoise,
    Table,
    blurred,
    masking_threshold_db,
)
from audioxai.core import configuration_of
from audioxai.domains import LogMel, Waveform
from audioxai.utils.errors import UserError

DOMAIN = LogMel(8_000, 0.25, bands=16, frames=12)
TRAINING = (-45.0 + 15.0 * draw(21, 1, 16, 12, seed=1)).clamp(-80.0, 0.0)
LEVELS = (-40.0 + 15.0 * draw(5, 1, 16, 12, seed=2)).clamp(-80.0, 0.0)
WAVEFORMS = 0.1 * draw(6, 1, 500, seed=3)
OF_LEVELS: dict[str, Baseline] = {
    "mean": DatasetMean.of(TRAINING),
    "median": DatasetMedian.of(TRAINING),
    "noise floor": NoiseFloor.of(TRAINING),
    "low energy": LowEnergy.of(TRAINING),
    "references": References.of(TRAINING, count=8),
    "noisy silence": NoisySilence(NoiseFloor.of(TRAINING), -80.0),
    "band noise": BandNoise.of(TRAINING, -80.0),
    "blur": Blur(2.0),
    "inaudible": Inaudible(DOMAIN),
}
CASES = {**{name: (one, LEVELS) for name, one in OF_LEVELS.items()}}
CASES["speech-shaped noise"] = (SpeechShapedNoise.of(WAVEFORMS), WAVEFORMS[:5])
EVERY = pytest.mark.parametrize(("baseline", "inputs"), CASES.values(), ids=CASES)


@EVERY
def test_is_shaped_like_the_inputs_and_shares_no_memory(baseline: Baseline, inputs: Tensor) -> None:
    given_inputs = inputs.clone().requires_grad_(True)
    absent = baseline(given_inputs)
    assert isinstance(baseline, Baseline)
    assert (absent.shape, absent.dtype, absent.requires_grad) == (inputs.shape, inputs.dtype, False)
    assert bool(torch.isfinite(absent).all())
    assert not torch.equal(absent, inputs)
    expected = absent.clone()
    absent.fill_(9.0)
    assert torch.equal(given_inputs.detach(), inputs)
    assert torch.equal(baseline(given_inputs), expected)
    assert baseline(inputs.float()).dtype == torch.float32


@EVERY
def test_does_not_depend_on_the_batch_or_the_global_random_state(baseline: Baseline, inputs: Tensor) -> None:
    together = baseline(inputs)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    alone = torch.cat([baseline(inputs[row : row + 1]) for row in (4, 2, 0, 1, 3)])
    torch.testing.assert_close(alone, together[[4, 2, 0, 1, 3]], rtol=1e-12, atol=1e-12)
    assert torch.equal(before, torch.get_rng_state())


@EVERY
def test_is_known_by_a_plain_configuration(baseline: Baseline, inputs: Tensor) -> None:
    configuration = configuration_of(baseline)
    assert json.loads(json.dumps(configuration)) == configuration
    assert len(json.dumps(configuration)) < 1_000
    assert isinstance(baseline.name, str)


def test_equal_statistics_are_equal_and_others_are_not() -> None:
    assert DatasetMean.of(TRAINING) == DatasetMean.of(TRAINING.clone())
    assert configuration_of(DatasetMean.of(TRAINING)) != configuration_of(DatasetMean.of(TRAINING[1:]))
    assert hash(NoiseFloor.of(TRAINING, 0.1)) != hash(NoiseFloor.of(TRAINING, 0.2))


def test_what_was_learnt_does_not_change_with_the_training_inputs() -> None:
    training = TRAINING.clone()
    references = References.of(training)
    training.zero_()
    assert references.drawn(LEVELS, 0).abs().min() > 0 or bool((references.drawn(LEVELS, 0) != 0).any())
    table = torch.ones(2, 3)
    kept = Table.of(table)
    table.zero_()
    assert bool((kept.values == 1).all())


def test_statistics_are_those_of_slow_loops() -> None:
    values = TRAINING.numpy()
    for row, column in ((0, 0), (7, 3), (15, 11)):
        cells = sorted(values[:, 0, row, column].tolist())
        assert float(DatasetMedian.of(TRAINING)(LEVELS)[2, 0, row, column]) == cells[10]
        np.testing.assert_allclose(DatasetMean.of(TRAINING)(LEVELS)[2, 0, row, column], np.mean(cells), rtol=1e-12)
    even = DatasetMedian.of(TRAINING[:2])(LEVELS)
    torch.testing.assert_close(even[:1], TRAINING[:2].mean(0, keepdim=True), rtol=1e-12, atol=0)
    for band in (0, 9):
        level = float(NoiseFloor.of(TRAINING, 0.1)(LEVELS)[0, 0, band, 5])
        below = np.mean(values[:, 0, band] < level)
        assert abs(below - 0.1) < 1.5 / values[:, 0, band].size
        assert float(LowEnergy.of(TRAINING, 0.1)(LEVELS)[3, 0, band, 7]) == min(float(LEVELS[3, 0, band, 7]), level)


def test_references_are_training_inputs_and_each_comes_once() -> None:
    references = References.of(TRAINING, count=8, seed=4)
    drawn = torch.stack([references.drawn(LEVELS, number) for number in range(8)])
    places = [[int((one == TRAINING).flatten(1).all(1).nonzero()) for one in draws] for draws in drawn]
    by_sample = [sorted(column) for column in zip(*places, strict=True)]
    assert all(column == by_sample[0] and len(set(column)) == 8 for column in by_sample)
    assert len({tuple(column) for column in zip(*places, strict=True)}) > 1
    assert torch.equal(references.drawn(LEVELS, 8), drawn[0])
    assert torch.equal(references(LEVELS), drawn[0])
    everything = References.of(TRAINING, count=99)
    assert everything.table.shape == TRAINING.shape


@pytest.mark.parametrize("name", ["references", "noisy silence", "band noise"])
def test_draws_differ_from_each_other_and_from_sample_to_sample(name: str) -> None:
    baseline = OF_LEVELS[name]
    assert isinstance(baseline, RandomBaseline)
    draws = [baseline.drawn(LEVELS, number) for number in range(3)]
    assert torch.equal(draws[0], baseline(LEVELS))
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])
    assert not torch.equal(draws[0][0], draws[0][1])


def test_noisy_silence_scatters_around_the_noise_floor_as_gaussian_noise_does() -> None:
    floor = NoiseFloor.of(TRAINING)
    baseline = NoisySilence(floor, -200.0)
    power = torch.stack([10.0 ** ((baseline.drawn(LEVELS, n) - floor(LEVELS)) / 10.0) for n in range(60)])
    assert abs(float(power.mean()) - 1.0) < 0.02
    assert abs(float((power > 1.0).double().mean()) - np.exp(-1.0)) < 0.01
    assert float(NoisySilence(floor, -60.0)(LEVELS).min()) == -60.0


@pytest.mark.parametrize("snr_db", [0.0, 10.0, -5.0])
def test_noise_has_the_ratio_and_the_spectrum_it_says(snr_db: float) -> None:
    shape = torch.linspace(3.0, 0.1, 251, dtype=torch.float64)
    training = torch.fft.irfft(torch.fft.rfft(draw(200, 1, 500, seed=8)) * shape, n=500)
    noise = SpeechShapedNoise.of(training, snr_db)
    loud = torch.cat([WAVEFORMS, 10.0 * WAVEFORMS])
    drawn = torch.stack([noise.drawn(loud, number) for number in range(40)])
    ratio = 10 * torch.log10(loud.square().mean(-1) / drawn.square().mean(-1))
    torch.testing.assert_close(ratio, torch.full_like(ratio, snr_db), rtol=0, atol=1e-10)
    power = torch.fft.rfft(drawn / drawn.square().mean(-1, keepdim=True).sqrt()).abs().square().mean((0, 1, 2))
    smooth = [
        float(power[first : first + 50].mean() / (shape**2)[first : first + 50].mean()) for first in range(1, 250, 50)
    ]
    np.testing.assert_allclose(smooth, np.mean(smooth), rtol=0.1)


def test_band_noise_has_the_power_of_the_sample_and_the_bands_of_the_training_set() -> None:
    noise = BandNoise.of(TRAINING, -300.0, snr_db=3.0)
    power = torch.stack([noise.amplitudes(LEVELS, n).abs().square() for n in range(300)]).mean(0)
    ratio_db = 10 * torch.log10((10 ** (LEVELS / 10)).flatten(1).sum(1) / power.flatten(1).sum(1))
    torch.testing.assert_close(ratio_db, torch.full_like(ratio_db, 3.0), rtol=0, atol=0.15)
    bands = power.mean((0, 1, 3)) / power.mean((0, 1, 3)).sum()
    expected = (10 ** (TRAINING / 10)).mean((0, 1, 3))
    torch.testing.assert_close(bands, expected / expected.sum(), rtol=0.1, atol=0)
    levels = noise.drawn(LEVELS, 1)
    torch.testing.assert_close(10 ** (levels / 20), noise.amplitudes(LEVELS, 1).abs(), rtol=1e-12, atol=0)


def blurred_slowly(values: np.ndarray, sigma: float) -> np.ndarray:
    """The heat equation on a line with insulated ends, by its cosine modes, axis by axis."""
    for axis in range(values.ndim):
        size = values.shape[axis]
        modes = np.cos(np.pi / size * np.outer(np.arange(size), np.arange(size) + 0.5))
        modes /= np.linalg.norm(modes, axis=1, keepdims=True)
        gains = np.exp(-0.5 * (sigma * np.pi / size * np.arange(size)) ** 2)
        values = np.moveaxis(np.moveaxis(values, axis, -1) @ (modes.T * gains @ modes), -1, axis)
    return values


@pytest.mark.parametrize("shape", [(1, 30), (1, 9, 14), (2, 5, 6)])
@pytest.mark.parametrize("sigma", [0.0, 0.7, 2.0, 50.0])
def test_a_blur_is_heat_flow(shape: tuple[int, ...], sigma: float) -> None:
    inputs = draw(3, *shape)
    smooth = blurred(inputs, torch.full((3,), sigma, dtype=torch.float64))
    for row in range(3):
        for channel in range(shape[0]):
            expected = blurred_slowly(inputs[row, channel].numpy(), sigma)
            np.testing.assert_allclose(smooth[row, channel].numpy(), expected, rtol=0, atol=1e-12)


def test_a_blur_is_scipys_where_that_samples_its_gaussian_finely_enough() -> None:
    inputs = draw(1, 1, 40, 30)
    expected = scipy.ndimage.gaussian_filter(inputs[0, 0].numpy(), 2.5, mode="reflect", truncate=10.0)
    np.testing.assert_allclose(Blur(2.5)(inputs)[0, 0].numpy(), expected, rtol=0, atol=1e-8)


@given(one=st.floats(0.1, 4.0), other=st.floats(0.1, 4.0))
@settings(deadline=None, max_examples=20)
def test_blurs_add_up_and_keep_the_mean(one: float, other: float) -> None:
    inputs = draw(2, 1, 11, 8)
    twice, once = Blur(other)(Blur(one)(inputs)), Blur(float(np.hypot(one, other)))(inputs)
    torch.testing.assert_close(twice, once, rtol=0, atol=1e-12)
    torch.testing.assert_close(once.mean((2, 3)), inputs.mean((2, 3)), rtol=0, atol=1e-12)
    torch.testing.assert_close(Blur(one)(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))


def threshold_slowly(levels: np.ndarray, hz: np.ndarray, full_scale: float) -> np.ndarray:
    """Masking threshold of one frame, masker by masker."""
    bark = [13 * np.arctan(0.00076 * f) + 3.5 * np.arctan((f / 7500) ** 2) for f in hz]
    result = []
    for place, frequency in zip(bark, hz / 1000, strict=True):
        spread = []
        for masker in bark:
            x = place - masker + 0.474
            spread.append(10 ** ((15.81 + 7.5 * x - 17.5 * (1 + x * x) ** 0.5) / 10))
        heard = sum(s * 10 ** (level / 10) for s, level in zip(spread, levels, strict=True)) / sum(spread)
        quiet = 3.64 * frequency**-0.8 - 6.5 * np.exp(-0.6 * (frequency - 3.3) ** 2) + frequency**4 / 1000 - full_scale
        result.append(10 * np.log10(heard * 10**-0.55 + 10 ** (quiet / 10)))
    return np.array(result)


def test_the_masking_threshold_is_that_of_a_slow_loop() -> None:
    hz = np.array(DOMAIN.axes()[0].coordinates)
    threshold = masking_threshold_db(LEVELS, tuple(hz.tolist()), 90.0)
    for sample, frame in ((0, 0), (3, 7)):
        expected = threshold_slowly(LEVELS[sample, 0, :, frame].numpy(), hz, 90.0)
        np.testing.assert_allclose(threshold[sample, 0, :, frame].numpy(), expected, rtol=0, atol=1e-10)


def test_a_flat_spectrum_masks_5_and_a_half_db_below_itself() -> None:
    hz = DOMAIN.axes()[0].coordinates
    threshold = masking_threshold_db(torch.full((1, 1, 16, 1), -20.0, dtype=torch.float64), hz, 200.0)
    torch.testing.assert_close(threshold, torch.full_like(threshold, -25.5), rtol=0, atol=1e-3)


def test_a_loud_tone_hides_its_quiet_neighbours_more_upwards_than_downwards() -> None:
    domain = LogMel(16_000, 0.25, bands=40, frames=12)
    levels = torch.full((1, 1, 40, 12), -80.0, dtype=torch.float64)
    levels[:, :, 20] = -10.0
    hidden = masking_threshold_db(levels, domain.axes()[0].coordinates, 90.0)[0, 0, :, 0]
    assert int(hidden.argmax()) == 20
    assert bool((hidden[13:20].diff() > 0).all())
    assert float(hidden[23]) > float(hidden[17])
    cut = Inaudible(domain)(levels)
    assert bool((cut[:, :, :20] == -80.0).all())
    assert bool((cut[:, :, 20] < -15.0).all())


@pytest.mark.parametrize("name", ["mean", "median", "noise floor", "low energy", "references"])
def test_inputs_of_another_shape_are_refused_with_both_shapes(name: str) -> None:
    with pytest.raises(UserError, match=r"\(1, 1?[62]?.*\(1, 8, 12\)|\(1, 16, 1\).*\(1, 8, 12\)"):
        OF_LEVELS[name](torch.zeros(2, 1, 8, 12))


def test_bad_training_sets_are_refused() -> None:
    with pytest.raises(UserError, match="training inputs have shape"):
        DatasetMean.of(torch.zeros(0, 1, 4, 4))
    with pytest.raises(UserError, match="NaN or infinity"):
        DatasetMean.of(torch.full((2, 1, 4, 4), torch.nan))
    with pytest.raises(UserError, match="training spectrograms have shape"):
        NoiseFloor.of(torch.zeros(3, 1, 100))
    with pytest.raises(UserError, match=r"quantile is 1\.5"):
        LowEnergy.of(TRAINING, 1.5)
    with pytest.raises(UserError, match="training spectrograms have shape"):
        BandNoise.of(torch.zeros(3, 1, 100), -80.0)
    with pytest.raises(UserError, match="training waveforms have shape"):
        SpeechShapedNoise.of(TRAINING)
    with pytest.raises(UserError, match="are silent"):
        SpeechShapedNoise.of(torch.zeros(3, 1, 100))
    with pytest.raises(UserError, match=r"251 bins but clips of 400 samples have 201"):
        SpeechShapedNoise.of(WAVEFORMS)(WAVEFORMS[..., :400])
    with pytest.raises(UserError, match="sigma_cells is 0"):
        Blur(0.0)


def test_silence_of_a_waveform_stays_silent_under_noise() -> None:
    silent = torch.zeros(1, 1, 500, dtype=torch.float64)
    assert not SpeechShapedNoise.of(WAVEFORMS)(silent).any()
    assert Waveform(500, 1.0).silence_value == 0.0


def test_a_smoothed_spectrum_keeps_the_tilt_and_loses_the_lines() -> None:
    times_s = torch.arange(8_000, dtype=torch.float64) / 8_000
    clip = torch.sin(2 * torch.pi * 1_000 * times_s)[None, None]
    lines, smooth = (
        SpeechShapedNoise.of(clip, smoothing_octaves=octaves).gains.values.double() for octaves in (0.0, 1.0)
    )
    assert float(lines[1_000] / lines[900]) > 1e3
    for frequency_hz in (800, 1_000, 1_300):
        first, after = int(frequency_hz / 2**0.5), int(frequency_hz * 2**0.5) + 2
        due = float(lines[first:after].square().mean().sqrt())
        assert float(smooth[frequency_hz]) == pytest.approx(due, rel=1e-6)
    assert float(smooth[500] / smooth[1_000]) < 1e-3
