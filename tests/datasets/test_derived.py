"""Spectrograms as images and images as sounds: the same samples, arrays that are what a model would see."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.dataset_files import write_speakers
from helpers.tiny_data import write_digit_images
from torch.nn import functional

from audioxai import datasets
from audioxai.datasets import AudioFormat
from audioxai.datasets.derived import AsImages, AsSounds, with_black_share, with_less_detail
from audioxai.domains import LogMel
from audioxai.utils.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_speakers(tmp_path / "spoken_digits", ["01", "02", "03", "04"])
    write_digit_images(tmp_path / "digits_8x8", 60, 20)
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("source", [AsImages("spoken_digits", 16, 32), AsSounds("digits_8x8")])
def test_samples_stay_what_they_are(source: AsImages | AsSounds) -> None:
    assert isinstance(source.of, str)
    made, origin = datasets.load(source), datasets.load(source.of)
    for name in ("name", "ids", "groups", "splits", "split_name", "class_names", "group_name", "root"):
        assert getattr(made, name) == getattr(origin, name), name
    assert torch.equal(made.labels, origin.labels)
    assert {made.modality, origin.modality} == {"audio", "image"}
    assert made.fingerprint not in (origin.fingerprint, datasets.fingerprint(source, limit=10))
    assert made.fingerprint == datasets.fingerprint(source)
    assert datasets.outline(source) == datasets.outline(source.of)
    assert source.origin == source.of


def test_images_of_recordings_are_their_levels_between_black_and_white() -> None:
    recordings = datasets.load("spoken_digits")
    images = datasets.load(AsImages("spoken_digits", 16, 32))
    assert (images.modality, images.sample_rate_hz) == ("image", None)
    levels = LogMel(16_000, 1.0, 16, 32).analysis(recordings.inputs)
    torch.testing.assert_close(images.inputs, (levels + 80.0) / 80.0, rtol=0, atol=1e-6)
    # Padding is silent, and silence is black.
    assert bool((images.inputs[levels == -80.0] == 0.0).all())
    assert float(images.inputs.max()) > 0.5


def test_every_way_to_make_arrays_has_a_fingerprint_of_its_own() -> None:
    sources = [
        AsImages("spoken_digits", 32, 32),
        AsImages("spoken_digits", 32, 16),
        AsImages("spoken_digits", 32, 32, through=8),
        AsImages("spoken_digits", 32, 32, black_share=0.5),
        AsImages("digits_8x8", 32, 32),
        AsImages(AsSounds("digits_8x8"), 32, 32),
        AsSounds("digits_8x8"),
    ]
    assert len({datasets.fingerprint(source) for source in sources}) == len(sources)
    assert [source.name for source in sources[2:6]] == [
        "spoken_digits_through_8",
        "spoken_digits_sparse",
        "digits_8x8",
        "digits_8x8_as_sounds",
    ]


def test_images_written_as_sounds_come_back() -> None:
    source = AsSounds("digits_8x8")
    images, sounds = datasets.load("digits_8x8").inputs, datasets.load(source).inputs
    assert float(sounds.abs().max()) <= 1.0
    # Where the image is black all along a column, the sound is silent for one frame.
    drawn = functional.pad(images.where(images > 0.3, 0.0), [2] * 4)
    returned = (source.domain.analysis(source._sounded(drawn, source._sines())) + 80.0) / 80.0
    wanted = drawn * 50.0 / 80.0
    white = drawn > 0.85
    torch.testing.assert_close(returned[white], wanted[white], rtol=0, atol=2e-3)
    empty = (drawn == 0.0).all(2, keepdim=True).expand_as(drawn)
    assert bool((returned[empty] == 0.0).all())
    # A sine reaches the band beside its own and no further.
    far = functional.max_pool2d(drawn, (3, 1), stride=1, padding=(1, 0)) == 0.0
    assert bool((returned[far] == 0.0).all())
    assert float(torch.corrcoef(torch.stack([returned.flatten(), wanted.flatten()]))[0, 1]) > 0.85


def test_a_sine_reaches_the_bands_that_its_windowed_spectrum_reaches() -> None:
    source, domain = AsSounds("digits_8x8"), AsSounds("digits_8x8").domain
    sines = source._sines()
    for band in (0, 7, 31):
        clip = torch.zeros(1, 1, domain.samples, dtype=torch.float64)
        start = 3 * domain.hop_length - domain.window_length // 2
        clip[0, 0, start : start + domain.window_length] = sines[band]
        power = 10.0 ** (domain.analysis(clip)[0, 0, :, 3] / 10.0)
        expected = source._reach()[:, band].clamp_min(1e-8)
        np.testing.assert_allclose(power.numpy(), expected.numpy(), rtol=1e-6)


def test_the_share_of_black_is_what_was_asked_for() -> None:
    images = torch.rand(3, 1, 8, 10, generator=torch.Generator().manual_seed(0)) + 0.01
    images[2, 0, :7] = 0.0
    sparse = with_black_share(images, 0.75)
    assert (sparse == 0.0).flatten(1).sum(1).tolist() == [60, 60, 70]
    kept = sparse > 0.0
    assert torch.equal(sparse[kept], images[kept])
    assert float(images[0][~kept[0]].max()) < float(images[0][kept[0]].min())


def test_less_detail_leaves_the_grid_and_what_has_no_detail() -> None:
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = with_less_detail(images, 4)
    assert blurred.shape == images.shape
    assert float(blurred.std()) < 0.5 * float(images.std())
    torch.testing.assert_close(with_less_detail(images, 16), images)
    flat = torch.full((1, 1, 16, 16), 0.3)
    torch.testing.assert_close(with_less_detail(flat, 4), flat)


def test_what_cannot_be_made_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match="through is 33"):
        AsImages("spoken_digits", 32, 64, through=33)
    with pytest.raises(UserError, match=r"black_share is 1\.0"):
        AsImages("spoken_digits", 32, 32, black_share=1.0)
    for white_db in (-80.0, -20.0):
        with pytest.raises(UserError, match="white_db"):
            AsSounds("digits_8x8", white_db)
    with pytest.raises(UserError, match="28"):
        AsSounds("spoken_digits").load(home / "spoken_digits")
    with pytest.raises(UserError, match="leave the audio format out"):
        AsSounds("digits_8x8").load(home / "digits_8x8", audio_format=AudioFormat(8_000, 1.0, "start", None, False))
