"""Clips and models of which it is known where relevance belongs: against slow loops, closed forms and at the edges."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.tiny_models import draw, nothing_touched
from helpers.tone_clips import HIGH_OR_LOW, RATE_HZ, SAMPLES, clips_of
from hypothesis import given, settings
from hypothesis import strategies as st

from audioxai.datasets import Dataset
from audioxai.datasets.ground_truth import (
    AdditiveModel,
    BandEnergyModel,
    GroundTruth,
    LinearModel,
    NoCue,
    NoiseBand,
    SolvedModel,
    Tone,
    mix,
    plant,
    sequence,
)
from audioxai.datasets.ground_truth.levels import levels_db
from audioxai.domains import ErbBands, LogMel, Pixels, Stft, Waveform, mel_filters
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import generator

MEL = LogMel(RATE_HZ, 0.5, bands=24, frames=24, window_s=0.064)
STFT = Stft(RATE_HZ, 0.5, window_s=0.064)


PARTS = {"01": "train", "02": "train", "03": "train", "04": "validation", "05": "test"}
SPEECH = clips_of(PARTS)
IMAGES = replace(SPEECH, modality="image", sample_rate_hz=None, inputs=torch.zeros(len(SPEECH), 1, 8, 8))
MAKERS = pytest.mark.parametrize(
    "make", [lambda data: plant(data, HIGH_OR_LOW), mix, sequence], ids=["cues", "mixtures", "sequences"]
)


def reordered(dataset: Dataset, order: list[int]) -> Dataset:
    return replace(
        dataset,
        ids=tuple(dataset.ids[row] for row in order),
        inputs=dataset.inputs[order],
        labels=dataset.labels[order],
        groups=tuple(dataset.groups[row] for row in order),
        splits=tuple(dataset.splits[row] for row in order),
    )


def by_id(truth: GroundTruth) -> dict[str, tuple[bytes, int, bytes]]:
    made, masks = truth.dataset, truth.mask(MEL)
    return {
        sample.id: (sample.input.numpy().tobytes(), sample.label, mask.numpy().tobytes())
        for sample, mask in zip(made, masks, strict=True)
    }


@MAKERS
def test_every_kind_is_a_dataset_with_a_mask(make) -> None:
    truth = make(SPEECH)
    assert isinstance(truth, GroundTruth)
    made = truth.dataset
    assert made.inputs.shape == SPEECH.inputs.shape
    assert (made.inputs.dtype, made.labels.dtype) == (torch.float32, torch.int64)
    assert (made.ids, made.groups, made.splits) == (SPEECH.ids, SPEECH.groups, SPEECH.splits)
    assert made.name != SPEECH.name
    assert made.fingerprint != SPEECH.fingerprint
    assert torch.equal(made.part("test").inputs, made.inputs[-9:])
    mask = truth.mask(MEL)
    assert (mask.shape, mask.dtype) == ((len(made), 1, *MEL.shape), torch.bool)
    share = mask.double().flatten(1).mean(1)
    assert bool(((share > 0.0) & (share < 1.0)).all())


@MAKERS
def test_a_clip_does_not_depend_on_its_place_or_on_other_parts(make) -> None:
    whole = by_id(make(SPEECH))
    order = torch.randperm(len(SPEECH), generator=generator("order")).tolist()
    assert by_id(make(reordered(SPEECH, order))) == whole
    assert by_id(make(SPEECH.part("test"))) == {name: whole[name] for name in SPEECH.part("test").ids}
    assert by_id(make(SPEECH)) == whole


@MAKERS
def test_the_dataset_and_the_global_random_state_are_left_alone(make) -> None:
    with nothing_touched(torch.nn.Identity(), SPEECH.inputs, SPEECH.labels):
        make(SPEECH).mask(MEL)


@MAKERS
def test_images_and_other_domains_are_refused(make) -> None:
    with pytest.raises(UserError, match=r"tones is a dataset of images; give one of sounds"):
        make(IMAGES)
    truth = make(SPEECH)
    with pytest.raises(UserError, match=r"4000 samples at 8000 Hz but domain log_mel takes 0.5 s at 16000 Hz"):
        truth.mask(LogMel(16_000, 0.5, 24, 24))
    with pytest.raises(UserError, match=r"4000 samples at 8000 Hz but domain log_mel takes 1 s at 8000 Hz"):
        truth.mask(LogMel(8_000, 1.0, 24, 24))
    with pytest.raises(UserError, match="made for these clips"):
        truth.mask(Pixels(24, 24))


def test_seeds_and_designs_have_their_own_fingerprints() -> None:
    made = [
        *(plant(SPEECH, replace(HIGH_OR_LOW, seed=seed)).dataset for seed in (0, 1)),
        *(make(SPEECH, snr_db, seed).dataset for make in (mix, sequence) for snr_db in (0.0, 5.0) for seed in (0, 1)),
    ]
    assert len({one.fingerprint for one in made}) == len(made)
    assert len({one.inputs.numpy().tobytes() for one in made}) == len(made)


# Planted cues


def test_the_parts_add_up_and_the_cue_has_its_level_time_and_ratio() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    assert torch.equal(cued.dataset.inputs, cued.clips + cued.cues)
    assert cued.dataset.class_names == ("tone 3000 Hz", "noise 200–500 Hz")
    gains = cued.gains[:, None, None]
    torch.testing.assert_close(cued.clips.double(), SPEECH.inputs * gains, rtol=1e-6, atol=1e-7)
    starts = (cued.starts_s * RATE_HZ).round().long()
    assert int(starts.min()) >= 400
    assert int(starts.max()) <= 2_800
    assert len(set(starts.tolist())) > 20
    for row, start in enumerate(starts.tolist()):
        cue = cued.cues[row, 0].double() / cued.gains[row]
        assert bool((cue[:start] == 0).all())
        assert bool((cue[start + 800 :] == 0).all())
        middle = cue[start + 40 : start + 760]
        level_db = 10 * math.log10(2 * float(middle.square().mean()))
        # Noise is at its level over its whole length only, a sine between its ramps, too.
        assert level_db == pytest.approx(-20.0, abs=0.1 if int(cued.dataset.labels[row]) == 0 else 1.0)
        ratio = float(cue.square().sum() / SPEECH.inputs[row].double().square().sum())
        assert float(cued.snr_db[row]) == pytest.approx(10 * math.log10(ratio), abs=1e-4)


def test_classes_are_drawn_evenly_and_whatever_is_said() -> None:
    speech = clips_of(dict.fromkeys(("01", "02", "03", "04"), "train"), repetitions=40)
    cued = plant(speech, replace(HIGH_OR_LOW, cues=(*HIGH_OR_LOW.cues, NoCue())))
    for digit in range(3):
        classes = cued.dataset.labels[speech.labels == digit].bincount(minlength=3)
        # 160 clips a digit: 4 standard deviations around a third.
        assert bool(((classes - 160 / 3).abs() < 4 * math.sqrt(160 * 2 / 9)).all())


def test_the_mask_is_where_the_cue_is_loud() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    mask = cued.mask(MEL, below_peak_db=20.0)
    filters = mel_filters(RATE_HZ, 512, 24)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    for row in range(len(SPEECH)):
        padded = np.pad(cued.cues[row, 0].double().numpy(), 256)
        frames = [padded[frame * MEL.hop_length :][:512] * window for frame in range(24)]
        power = np.stack([filters @ np.abs(np.fft.rfft(frame)) ** 2 for frame in frames], axis=1)
        level_db = 10 * np.log10(np.maximum(power, 1e-12) / power.max())
        clear = np.abs(level_db + 20.0) > 1e-3
        np.testing.assert_array_equal(mask[row, 0].numpy()[clear], level_db[clear] >= -20.0)
        # What is left out is next to nothing.
        assert power[mask[row, 0].numpy()].sum() > 0.97 * power.sum()


@pytest.mark.parametrize("domain", [MEL, STFT], ids=lambda domain: domain.name)
def test_the_mask_has_the_cues_band_and_time(domain) -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    mask = cued.mask(domain)[:, 0]
    bands_hz, times_s = (np.array(axis.coordinates) for axis in domain.axes())
    for row in range(len(SPEECH)):
        rows, columns = np.nonzero(mask[row].numpy())
        low_hz, high_hz = cued.design.cues[int(cued.dataset.labels[row])].band_hz
        assert bands_hz[rows].min() >= low_hz - 300
        assert bands_hz[rows].max() <= high_hz + 300
        # A window of 64 ms hears half of itself beyond either end.
        assert times_s[columns].min() >= float(cued.starts_s[row]) - 0.032
        assert times_s[columns].max() <= float(cued.starts_s[row]) + 0.1 + 0.032


def test_the_mask_in_the_stft_is_where_the_cue_is_loud() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    power = STFT.analysis(cued.cues.double()).abs().square()
    level_db = 10 * (power / power.flatten(1).amax(1)[:, None, None, None]).clamp_min(1e-12).log10()
    clear = (level_db + 20.0).abs() > 1e-3
    mask = cued.mask(STFT)
    assert torch.equal(mask[clear], level_db[clear] >= -20.0)
    assert bool(((power * mask).sum((1, 2, 3)) > 0.97 * power.sum((1, 2, 3))).all())


def test_a_wider_margin_keeps_the_cells_of_a_narrower_one() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    narrow, wide = cued.mask(MEL, below_peak_db=10.0), cued.mask(MEL, below_peak_db=40.0)
    assert bool((wide | ~narrow).all())
    assert int(wide.sum()) > int(narrow.sum())
    for wrong in (0.0, -3.0, math.nan):
        with pytest.raises(UserError, match="below_peak_db"):
            cued.mask(MEL, below_peak_db=wrong)


def test_in_the_waveform_the_mask_lasts_as_long_as_the_cue() -> None:
    cued = plant(SPEECH, replace(HIGH_OR_LOW, cues=(*HIGH_OR_LOW.cues, NoCue())))
    mask = cued.mask(Waveform(RATE_HZ, 0.5))
    lasting = torch.where(cued.dataset.labels == 2, 0, 800)
    assert torch.equal(mask.sum((1, 2)), lasting)
    assert bool((cued.cues[~mask] == 0).all())


def test_clips_without_a_cue_have_no_cell_and_no_ratio() -> None:
    cued = plant(SPEECH, replace(HIGH_OR_LOW, cues=(NoCue(), Tone(3_000.0))))
    absent = cued.dataset.labels == 0
    assert 0 < int(absent.sum()) < len(SPEECH)
    assert torch.equal(cued.mask(MEL).flatten(1).any(1), ~absent)
    assert bool((cued.snr_db[absent] == -math.inf).all())
    assert torch.equal(cued.dataset.inputs[absent], cued.clips[absent])


def test_the_cue_can_be_taken_out_and_swapped() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    without, swapped = cued.without_cue(), cued.with_swapped_cue()
    assert torch.equal(without.inputs, cued.clips)
    assert torch.equal(without.labels, cued.dataset.labels)
    assert torch.equal(swapped.labels, 1 - cued.dataset.labels)
    own = MEL.analysis(cued.cues)
    other = MEL.analysis(swapped.inputs - cued.clips)
    assert bool((own.flatten(1).amax(1) > -40).all())
    band_of = [hz > 2_500 for hz in MEL.axes()[0].coordinates]
    for row, label in enumerate(cued.dataset.labels.tolist()):
        in_high = torch.tensor(band_of)
        for levels, high in ((own, label == 0), (other, label == 1)):
            power = (10 ** (levels[row, 0] / 10)).sum(1)
            assert (float(power[in_high].sum()) > float(power[~in_high].sum())) == high


def test_swapping_three_cues_goes_round() -> None:
    cued = plant(SPEECH, replace(HIGH_OR_LOW, cues=(Tone(3_000.0), Tone(1_000.0), NoCue())))
    labels, swapped = cued.dataset.labels, cued.with_swapped_cue().labels
    assert set(zip(labels.tolist(), swapped.tolist(), strict=True)) == {(0, 1), (1, 2), (2, 0)}
    assert bool((cued.swapped_cues[labels == 1] == 0).all())


@given(level_db=st.floats(-60, 0), louder=st.floats(0.01, 1.0), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_cued_clips_stay_in_full_scale(level_db: float, louder: float, seed: int) -> None:
    speech = replace(SPEECH.part("test"), inputs=SPEECH.part("test").inputs * louder)
    cues = (NoiseBand(200.0, 3_900.0), Tone(1_000.0))
    cued = plant(speech, replace(HIGH_OR_LOW, cues=cues, level_db=level_db, seed=seed))
    for inputs in (cued.dataset.inputs, cued.without_cue().inputs, cued.with_swapped_cue().inputs):
        assert float(inputs.abs().max()) <= 1.0
    assert bool(((cued.gains > 0) & (cued.gains <= 1)).all())
    # Scaled no further than needed: where it was, one class's clip reaches full scale.
    peaks = torch.maximum(cued.dataset.inputs.abs(), cued.with_swapped_cue().inputs.abs()).flatten(1).amax(1)
    assert bool((peaks[cued.gains < 1] > 0.99999).all())


@pytest.mark.parametrize(
    ("sound", "lowest_hz", "highest_hz"), [(Tone(1_000.0), 1_000, 1_000), (NoiseBand(500.0, 900.0), 500, 900)]
)
def test_cues_have_their_band_and_the_level_of_a_full_scale_sine(sound, lowest_hz, highest_hz) -> None:
    made = sound.sound(4_000, RATE_HZ, generator("cue"))
    assert float(made.square().mean()) == pytest.approx(0.5, rel=1e-9)
    power = np.abs(np.fft.rfft(made.numpy())) ** 2
    bins_hz = np.arange(2_001) * 2.0
    inside = (bins_hz >= lowest_hz) & (bins_hz <= highest_hz)
    assert power[inside].sum() == pytest.approx(power.sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cues": ()}, "the cues are none; give at least two"),
        ({"cues": (Tone(100.0),)}, "the cues are tone 100 Hz; give at least two"),
        ({"cues": (Tone(100.0), Tone(100.0))}, "all different"),
        ({"level_db": 0.1}, "level_db is 0.1"),
        ({"level_db": math.nan}, "level_db is nan"),
        ({"duration_s": 0.01}, "duration_s is 0.01"),
        ({"earliest_s": 0.3, "latest_s": 0.2}, "earliest_s 0.3 and latest_s 0.2"),
        ({"earliest_s": -0.1}, "earliest_s -0.1"),
    ],
)
def test_impossible_designs_are_refused(changes, reason) -> None:
    with pytest.raises(UserError, match=reason):
        replace(HIGH_OR_LOW, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latest_s": 0.41}, "does not fit into clips of 0.5 s"),
        ({"cues": (Tone(4_000.0), NoCue())}, "tone 4000 Hz does not lie between 0 Hz and half the sample rate"),
        ({"cues": (NoiseBand(900.0, 500.0), NoCue())}, "choose another band"),
        ({"cues": (NoiseBand(501.0, 509.0), NoCue())}, "narrower than the 10 Hz that a sound of 800 samples resolves"),
    ],
)
def test_cues_that_do_not_fit_the_clips_are_refused(changes, reason) -> None:
    with pytest.raises(UserError, match=reason):
        plant(SPEECH, replace(HIGH_OR_LOW, **changes))


# Clips of two classes in one


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 12.0])
@pytest.mark.parametrize("make", [mix, sequence])
def test_pairs_add_up_at_their_ratio(make, snr_db) -> None:
    pairs = make(SPEECH, snr_db).pairs
    assert torch.equal(pairs.dataset.inputs, pairs.targets + pairs.others)
    assert torch.equal(pairs.dataset.labels, SPEECH.labels)
    energies = [parts.double().square().sum((1, 2)) for parts in (pairs.targets, pairs.others)]
    ratio_db = 10 * (energies[0] / energies[1]).log10()
    torch.testing.assert_close(ratio_db, torch.full_like(ratio_db, snr_db), rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [mix, sequence])
def test_the_other_is_another_digit_by_another_speaker_of_the_same_part(make) -> None:
    pairs = make(SPEECH).pairs
    assert not bool((pairs.other_labels == SPEECH.labels).any())
    index_of = {name: index for index, name in enumerate(SPEECH.ids)}
    partners = [index_of[name] for name in pairs.other_ids]
    assert torch.equal(SPEECH.labels[partners], pairs.other_labels)
    assert tuple(SPEECH.groups[partner] for partner in partners) == pairs.other_groups
    for own, partner in enumerate(partners):
        assert SPEECH.splits[own] == SPEECH.splits[partner]
        # Validation and test have one speaker each.
        assert (SPEECH.groups[own] == SPEECH.groups[partner]) == (SPEECH.splits[own] != "train")
    assert len(set(partners)) > len(partners) // 3


def test_the_parts_of_a_mixture_are_the_clips_up_to_their_gains() -> None:
    pairs = mix(SPEECH, 3.0).pairs
    torch.testing.assert_close(
        pairs.targets.double(), pairs.gains[:, None, None] * SPEECH.inputs.double(), rtol=1e-6, atol=1e-7
    )
    inputs_of = dict(zip(SPEECH.ids, SPEECH.inputs, strict=True))
    for row, name in enumerate(pairs.other_ids):
        cosine = torch.nn.functional.cosine_similarity(pairs.others[row], inputs_of[name])
        assert float(cosine) == pytest.approx(1.0, abs=1e-6)


@given(snr_db=st.floats(-40, 40), louder=st.floats(0.01, 1.0), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_pairs_stay_in_full_scale(snr_db: float, louder: float, seed: int) -> None:
    speech = replace(SPEECH.part("test"), inputs=SPEECH.part("test").inputs * louder)
    for pairs in (mix(speech, snr_db, seed).pairs, sequence(speech, snr_db, seed).pairs):
        for inputs in (pairs.dataset.inputs, pairs.targets, pairs.others):
            assert float(inputs.abs().max()) <= 1.0
        assert bool(((pairs.gains > 0) & (pairs.gains <= 1)).all())


def power_in(domain: LogMel | Stft, waveforms: torch.Tensor) -> torch.Tensor:
    cells = domain.analysis(waveforms)
    return cells.abs().square() if cells.is_complex() else 10 ** (cells / 10)


@pytest.mark.parametrize("domain", [MEL, STFT], ids=lambda domain: domain.name)
def test_the_ideal_binary_mask_is_where_the_target_is_louder(domain) -> None:
    mixtures = mix(clips_of(PARTS, dtype=torch.float64).part("test"))
    mask = mixtures.mask(domain, above_floor_db=30.0)
    target, other = (power_in(domain, parts) for parts in (mixtures.pairs.targets, mixtures.pairs.others))
    # Row by row, the first and the last.
    for row, (band, frame) in itertools.product((0, 8), itertools.product(*map(range, domain.shape))):
        own = float(target[row, 0, band, frame])
        expected = own > float(other[row, 0, band, frame]) and 10 * math.log10(max(own, 1e-20)) > -50.0
        assert bool(mask[row, 0, band, frame]) == expected


@pytest.mark.parametrize("domain", [MEL, STFT], ids=lambda domain: domain.name)
def test_the_target_is_heard_through_its_ideal_mask(domain) -> None:
    mixtures = mix(SPEECH)
    mask = mixtures.mask(domain)
    target, other = (power_in(domain, part) for part in (mixtures.pairs.targets, mixtures.pairs.others))
    assert float((target * mask).sum() / target.sum()) > 0.9
    assert float((other * mask).sum() / other.sum()) < 0.1


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_margins_below_the_floor_are_refused(wrong) -> None:
    with pytest.raises(UserError, match="above_floor_db"):
        mix(SPEECH).mask(MEL, above_floor_db=wrong)


WAVE, ERB = Waveform(RATE_HZ, 0.5), ErbBands(RATE_HZ, 0.5, 6)


@pytest.mark.parametrize("domain", [WAVE, ERB], ids=lambda domain: domain.name)
def test_samples_have_the_level_of_their_surroundings(domain) -> None:
    clips = SPEECH.inputs[:2].double()
    levels = levels_db(domain, clips)
    samples = domain.analysis(clips).reshape(2, -1, SAMPLES).numpy()
    window = np.hanning(257 + 2)[1:-1]
    for clip, band, at in itertools.product(range(2), range(samples.shape[1]), (0, 100, 1_700, 3_999)):
        inside = np.arange(max(0, at - 128), min(SAMPLES, at + 129))
        power = 2.0 * (samples[clip, band, inside] ** 2 * window[inside - at + 128]).sum() / window.sum()
        expected_db = 10 * math.log10(max(power, 1e-8))
        assert float(levels.reshape(2, -1, SAMPLES)[clip, band, at]) == pytest.approx(expected_db, abs=1e-6)


def test_a_full_scale_sine_has_a_level_of_0_db_everywhere() -> None:
    times_s = torch.arange(SAMPLES, dtype=torch.float64) / RATE_HZ
    levels = levels_db(WAVE, torch.sin(2 * torch.pi * 440.0 * times_s)[None, None])
    assert float(levels[..., 200:-200].abs().max()) < 0.01
    assert float(levels_db(WAVE, torch.zeros(1, 1, SAMPLES)).max()) == -80.0


@pytest.mark.parametrize("domain", [WAVE, ERB], ids=lambda domain: domain.name)
def test_in_samples_the_ideal_mask_is_where_the_target_is_louder_around(domain) -> None:
    mixtures = mix(SPEECH)
    mask = mixtures.mask(domain)
    assert (mask.shape, mask.dtype) == ((len(SPEECH), 1, *domain.shape), torch.bool)
    target, other = (domain.analysis(part).square() for part in (mixtures.pairs.targets, mixtures.pairs.others))
    own_share, other_share = (float((part * mask).sum() / part.sum()) for part in (target, other))
    assert own_share > other_share + 0.2
    # Loud enough: both digits fade to nothing at the ends of the clip.
    assert not bool(mask[..., [0, -1]].any())


def test_in_erb_bands_the_cue_is_in_its_bands_while_it_sounds() -> None:
    cued = plant(SPEECH, HIGH_OR_LOW)
    mask, sounding = cued.mask(ERB), cued.mask(WAVE)
    bands_hz = np.array(ERB.axes()[0].coordinates)
    for row in range(len(SPEECH)):
        low_hz, high_hz = cued.design.cues[int(cued.dataset.labels[row])].band_hz
        bands = np.nonzero(mask[row, 0].any(1).numpy())[0]
        # One more on either side: neighbouring bands overlap.
        beside = np.searchsorted(bands_hz, low_hz) - 1, np.searchsorted(bands_hz, high_hz)
        assert beside[0] - 1 <= bands.min() <= bands.max() <= beside[1] + 1
        assert float((mask[row, 0].any(0) & sounding[row, 0]).sum() / sounding[row].sum()) > 0.8


def test_sequences_hold_each_digit_in_its_half() -> None:
    made = sequence(SPEECH)
    first, second = slice(0, 2_000), slice(2_000, 4_000)
    for row, target_first in enumerate(made.target_first.tolist()):
        own, other = (first, second) if target_first else (second, first)
        for part, sounding, silent in ((made.pairs.targets, own, other), (made.pairs.others, other, own)):
            assert bool((part[row, 0, silent] == 0).all())
            assert float(part[row, 0, sounding].abs().max()) > 0.1
    assert 10 < int(made.target_first.sum()) < len(SPEECH) - 10


def test_each_digit_is_cut_to_its_loudest_half() -> None:
    made = sequence(SPEECH)
    index_of = {name: index for index, name in enumerate(SPEECH.ids)}
    for row in range(0, len(SPEECH), 7):
        clip = SPEECH.inputs[row, 0].double().numpy()
        energies = [np.square(clip[start : start + 2_000]).sum() for start in range(2_001)]
        start = int(np.argmax(energies))
        assert float(made.target_energy_kept[row]) == pytest.approx(max(energies) / np.square(clip).sum(), rel=1e-9)
        half = made.pairs.targets[row, 0, :2_000] if made.target_first[row] else made.pairs.targets[row, 0, 2_000:]
        # Ramps of 40 samples at both ends.
        expected = float(made.pairs.gains[row]) * clip[start + 40 : start + 1_960]
        np.testing.assert_allclose(half[40:-40].numpy(), expected, rtol=1e-5, atol=1e-7)
        other = index_of[made.pairs.other_ids[row]]
        assert float(made.other_energy_kept[row]) == float(made.target_energy_kept[other])


@pytest.mark.parametrize(
    "domain", [MEL, STFT, Waveform(RATE_HZ, 0.5), ErbBands(RATE_HZ, 0.5, 4)], ids=lambda domain: domain.name
)
def test_the_mask_of_a_sequence_is_the_targets_half(domain) -> None:
    made = sequence(SPEECH)
    mask = made.mask(domain)
    times_s = domain.axes()[-1].coordinates
    for row, target_first in enumerate(made.target_first.tolist()):
        expected = torch.tensor([(time_s < 0.25) == target_first for time_s in times_s])
        assert torch.equal(mask[row, 0], expected.expand(*domain.shape))


def test_clips_of_odd_length_end_in_one_silent_sample() -> None:
    odd = replace(SPEECH, inputs=SPEECH.inputs[..., :3_999])
    made = sequence(odd)
    assert made.dataset.inputs.shape[-1] == 3_999
    assert bool((made.dataset.inputs[..., -1] == 0).all())
    assert torch.equal(made.pairs.targets[..., :1_999].flatten(1).any(1), made.target_first)


@pytest.mark.parametrize("make", [mix, sequence])
def test_what_cannot_be_paired_is_refused(make) -> None:
    same_class = replace(SPEECH, labels=torch.zeros_like(SPEECH.labels))
    with pytest.raises(UserError, match="the train part of tones holds only class 0"):
        make(same_class)
    silent = SPEECH.inputs.clone()
    silent[-1] = 0.0
    with pytest.raises(UserError, match="is silent; leave silent clips out"):
        make(replace(SPEECH, inputs=silent))
    for wrong in (math.nan, math.inf):
        with pytest.raises(UserError, match=f"snr_db is {wrong}"):
            make(SPEECH, wrong)


def test_without_metadata_any_other_digit_will_do() -> None:
    nameless = replace(SPEECH, groups=(None,) * len(SPEECH))
    pairs = mix(nameless).pairs
    assert set(pairs.other_groups) == {None}
    assert not bool((pairs.other_labels == SPEECH.labels).any())


# Solved models

SHAPE = (3, 4)
LINEAR = LinearModel(draw(3, *SHAPE), draw(3, seed=1))
ADDITIVE = AdditiveModel(draw(3, *SHAPE, seed=2), draw(3, *SHAPE, seed=3), draw(3, seed=4), unit=0.7)
# At an odd and an even length; frequencies below 100 Hz and above 900 Hz belong to no band.
BANDS = BandEnergyModel(draw(3, 4, seed=5), draw(3, seed=6), (100.0, 250.0, 500.0, 800.0, 900.0), 2_000)
CASES = pytest.mark.parametrize(
    ("model", "shape"),
    [(LINEAR, SHAPE), (ADDITIVE, SHAPE), (BANDS, (40,)), (BANDS, (41,))],
    ids=["linear", "additive", "band energy", "band energy, odd"],
)
TARGETS = torch.tensor([0, 2, 1, 2])


def integrated(model, inputs, baseline, targets, steps: int = 2_000) -> torch.Tensor:
    """Integrated gradients along the straight line, step by step in the midpoint rule."""
    total = torch.zeros_like(inputs)
    for step in range(steps):
        point = (baseline + (step + 0.5) / steps * (inputs - baseline)).requires_grad_(True)
        scores = model(point).gather(1, targets[:, None]).sum()
        total += torch.autograd.grad(scores, point)[0]
    return total / steps * (inputs - baseline)


@CASES
def test_exact_attributions_are_integrated_gradients(model, shape) -> None:
    inputs, baseline = draw(4, 1, *shape, seed=7), draw(1, 1, *shape, seed=8)
    exact = model.exact_attributions(inputs, baseline, TARGETS)
    assert isinstance(model, SolvedModel)
    assert exact.shape == inputs.shape
    assert not exact.requires_grad
    torch.testing.assert_close(exact, integrated(model, inputs, baseline, TARGETS), rtol=1e-6, atol=1e-6)


@CASES
@pytest.mark.parametrize("baseline", [torch.zeros(()), torch.tensor(-2.5), None], ids=["zero", "constant", "own"])
def test_exact_attributions_are_complete(model, shape, baseline) -> None:
    inputs = draw(4, 1, *shape, seed=9)
    baseline = draw(4, 1, *shape, seed=10) if baseline is None else baseline.double()
    exact = model.exact_attributions(inputs, baseline, TARGETS)
    scores = [model(values.expand_as(inputs)).gather(1, TARGETS[:, None])[:, 0] for values in (inputs, baseline)]
    torch.testing.assert_close(exact.flatten(1).sum(1), (scores[0] - scores[1]).detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "additive"])
def test_exact_attributions_are_shapley_values(kind) -> None:
    parameters = draw(3, 2, 2, seed=11), draw(3, 2, 2, seed=12), draw(3, seed=13)
    model = AdditiveModel(*parameters) if kind == "additive" else LinearModel(parameters[0], parameters[2])
    inputs, baseline = draw(1, 1, 2, 2, seed=14), draw(1, 1, 2, 2, seed=15)
    targets = torch.tensor([1])
    shapley = torch.zeros(4, dtype=torch.float64)
    for order in itertools.permutations(range(4)):
        present = baseline.flatten().clone()
        for cell in order:
            before = model(present.reshape(1, 1, 2, 2))[0, 1]
            present[cell] = inputs.flatten()[cell]
            shapley[cell] += (model(present.reshape(1, 1, 2, 2))[0, 1] - before).detach() / 24
    torch.testing.assert_close(model.exact_attributions(inputs, baseline, targets).flatten(), shapley)


@CASES
def test_logits_are_what_the_loops_add_up(model, shape) -> None:
    inputs = draw(2, 1, *shape, seed=16)
    for row, label in itertools.product(range(2), range(3)):
        x, expected = inputs[row, 0].numpy(), model.bias[label].item()
        if isinstance(model, BandEnergyModel):
            n = np.arange(len(x))
            for k in range(len(x)):
                hz = min(k, len(x) - k) * 2_000 / len(x)
                power = abs((x * np.exp(-2j * np.pi * k * n / len(x))).sum()) ** 2 / len(x)
                for band, (low, high) in enumerate(itertools.pairwise(model.edges_hz)):
                    expected += model.weights[label, band].item() * power * (low <= hz < high)
        else:
            for cell in itertools.product(*map(range, shape)):
                value = x[cell]
                if isinstance(model, AdditiveModel):
                    value = np.log1p(np.exp((x[cell] - model.thresholds[(label, *cell)].item()) / model.unit))
                expected += model.weights[(label, *cell)].item() * value
        assert model(inputs)[row, label].item() == pytest.approx(expected, rel=1e-9)


def test_band_attributions_are_complete_and_bands_add_up() -> None:
    inputs, baseline = draw(4, 1, 40, seed=17), draw(1, 1, 40, seed=18)
    by_band = BANDS.exact_band_attributions(inputs, baseline, TARGETS)
    by_sample = BANDS.exact_attributions(inputs, baseline, TARGETS)
    assert by_band.shape == (4, 4)
    torch.testing.assert_close(by_band.sum(1), by_sample.flatten(1).sum(1), rtol=1e-12, atol=1e-12)
    everything = BandEnergyModel(draw(3, 3), draw(3), (0.0, 300.0, 700.0, 1_001.0), 2_000)
    torch.testing.assert_close(everything.bands(inputs).sum(1, keepdim=True), inputs, rtol=1e-12, atol=1e-12)


@CASES
def test_baselines_equal_to_the_input_leave_nothing(model, shape) -> None:
    inputs = draw(4, 1, *shape, seed=19)
    with nothing_touched(model, inputs, TARGETS):
        exact = model.exact_attributions(inputs, inputs, TARGETS)
    assert bool((exact == 0).all())


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: LinearModel(draw(3, 2), draw(2)), "give one bias a class"),
        (lambda: AdditiveModel(draw(3, 2), draw(3, 3), draw(3)), "give one a cell"),
        (lambda: AdditiveModel(draw(3, 2), draw(3, 2), draw(3), unit=0.0), "unit is 0.0"),
        (lambda: BandEnergyModel(draw(3, 2), draw(3), (0.0, 100.0), 2_000), "ascending edges, one more than bands"),
        (lambda: BandEnergyModel(draw(3, 1), draw(3), (100.0, 0.0), 2_000), "ascending edges, one more than bands"),
    ],
)
def test_models_of_parts_that_do_not_fit_are_refused(build, reason) -> None:
    with pytest.raises(UserError, match=reason):
        build()
