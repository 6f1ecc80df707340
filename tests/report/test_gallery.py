"""The gallery is made of stored results alone: what is offered, and what is heard."""

from pathlib import Path

import numpy as np
from helpers.synthetic_results import RATE_HZ, audio_cell, image_cell

from audioxai.listening import SoftMask, loudness_matched, separate
from audioxai.report.gallery import gallery_clips, heard
from audioxai.report.style import Style

METHODS = ("saliency", "integrated_gradients", "random", "occlusion")


def test_samples_are_offered_with_the_methods_that_explained_them(tmp_path: Path, style: Style) -> None:
    cells = [audio_cell(tmp_path), image_cell(tmp_path)]
    clips = gallery_clips(cells, style, "Objective 1", 3, METHODS, ("integrated_gradients",))
    assert [clip.overlay.title for clip in clips] == [
        "class 7, speaker theo, predicted 7",
        "class 3, speaker theo, predicted 3",
        "class 1, speaker lucas, predicted 1",
        "class 7, predicted 7",
        "class 3, predicted 3",
    ]
    first = clips[0]
    assert first.group == "Objective 1: fsdd, small_cnn, resolution 16, seed 0"
    assert list(first.labels) == ["saliency", "integrated_gradients", "random"]
    assert first.opening == ("integrated_gradients",)
    assert first.overlay.notes["integrated_gradients"].endswith("gap 0.4 %")
    assert clips[-1].sounds is None


def test_sounds_are_what_the_mask_keeps_and_removes(tmp_path: Path, style: Style) -> None:
    cell = audio_cell(tmp_path)
    (clip,) = gallery_clips([cell], style, "x", 1, ["saliency"])
    waveform, values = cell.inputs()["waveforms"][:1], cell.attributions("saliency").values[:1]
    expected = loudness_matched(separate(waveform, values, SoftMask(cell.domain)))
    assert clip.sounds is not None
    assert clip.sounds.sample_rate_hz == RATE_HZ
    np.testing.assert_array_equal(clip.sounds.parts["saliency"].kept, expected.sounds.kept[0, 0].numpy())
    np.testing.assert_array_equal(clip.sounds.parts["saliency"].removed, expected.sounds.removed[0, 0].numpy())
    assert clip.sounds.parts["saliency"].note.startswith("Made as loud as the original: kept by ")
    assert heard(cell, 0, "saliency").sounds.original.shape == waveform.shape


def test_a_map_that_speaks_against_everything_keeps_silence(tmp_path: Path, style: Style) -> None:
    cell = audio_cell(tmp_path, ("saliency",), sign=-1.0)
    (clip,) = gallery_clips([cell], style, "x", 1, ["saliency"])
    assert clip.sounds is not None
    assert "silence" in clip.sounds.parts["saliency"].note
    assert np.abs(clip.sounds.parts["saliency"].kept).max() == 0.0
