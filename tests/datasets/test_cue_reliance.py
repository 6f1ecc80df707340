"""Proof that a model uses the cue: of models that do, that do not, and of one that is trained to."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.tiny_models import nothing_touched
from helpers.tone_clips import HIGH_OR_LOW, RATE_HZ, SAMPLES, clips_of
from torch import Tensor

from audioxai.datasets.ground_truth import CueReliance, NoCue, cue_reliance, plant
from audioxai.domains import LogMel
from audioxai.models import build
from audioxai.models.training import Labelled, TrainingConfig, train
from audioxai.utils.errors import UserError

PARTS = {f"{speaker:02d}": "test" if speaker > 9 else "train" for speaker in range(1, 13)} | {"09": "validation"}
SPEECH = clips_of(PARTS, repetitions=4)
CUED = plant(SPEECH, HIGH_OR_LOW)


def energy_between(clips: Tensor, low_hz: float, high_hz: float) -> Tensor:
    bins_hz = torch.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    return torch.fft.rfft(clips[:, 0])[:, (bins_hz >= low_hz) & (bins_hz <= high_hz)].abs().square().sum(1)


def test_a_model_that_hears_the_cue_follows_it() -> None:
    """The tone at 3 kHz is louder than the speech there: silence there is the other class."""

    def hears(clips: Tensor) -> Tensor:
        tone = energy_between(clips, 2_990.0, 3_010.0)
        return torch.stack([tone, torch.full_like(tone, 300.0)], 1)

    made = cue_reliance(hears, CUED)
    labels = CUED.dataset.part("test").labels
    share = float((labels == 1).double().mean())
    assert made.with_cue == made.follows_swap == 1.0
    # Without the tone it always says the other class.
    assert made.without_cue == pytest.approx(share)
    assert made.samples == len(labels) == 36
    assert made.chance == pytest.approx(max(share, 1 - share))


def test_a_model_that_hears_the_speech_alone_does_not_mind() -> None:
    digits = SPEECH.labels.float()
    known = {clip.numpy().tobytes(): float(digit) for clip, digit in zip(CUED.clips, digits, strict=True)}

    def hears_the_digit(clips: Tensor) -> Tensor:
        first = torch.tensor([known.get(clip.numpy().tobytes(), 0.0) for clip in clips])
        return torch.stack([first, torch.ones_like(first)], 1)

    same = replace(CUED, dataset=replace(CUED.dataset, inputs=CUED.clips), swapped_cues=torch.zeros_like(CUED.clips))
    made = cue_reliance(hears_the_digit, same)
    assert made.with_cue == made.without_cue
    # What it says is the same, the wanted answer the opposite.
    assert made.follows_swap == pytest.approx(1.0 - made.with_cue)


def test_a_trained_model_is_right_with_the_cue_at_chance_without_and_follows_another(tmp_path: Path) -> None:
    model = build("small_cnn", LogMel(RATE_HZ, SAMPLES / RATE_HZ, bands=16, frames=16), class_count=2, seed=0)
    training, validation = (Labelled(one.inputs, one.labels) for one in map(CUED.dataset.part, ("train", "validation")))
    recipe = TrainingConfig(epochs=8, batch_size=16)
    train(model, training, validation, recipe, torch.device("cpu"), tmp_path / "cues.training")
    made = cue_reliance(model, CUED)
    assert made.with_cue >= 0.9
    assert made.follows_swap >= 0.9
    assert abs(made.without_cue - made.chance) <= 0.2


def test_the_absence_of_a_cue_can_be_the_cue() -> None:
    cued = plant(SPEECH, replace(HIGH_OR_LOW, cues=(HIGH_OR_LOW.cues[0], NoCue())))

    def hears(clips: Tensor) -> Tensor:
        tone = energy_between(clips, 2_990.0, 3_010.0)
        return torch.stack([tone, torch.full_like(tone, 300.0)], 1)

    made = cue_reliance(hears, cued, "train")
    assert (made.with_cue, made.follows_swap) == (1.0, 1.0)


def test_nothing_is_touched_and_equal_models_have_equal_figures() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SAMPLES, 2)).eval()
    with nothing_touched(model, CUED.dataset.inputs, CUED.clips, CUED.swapped_cues):
        first = cue_reliance(model, CUED)
    assert isinstance(first, CueReliance)
    assert first == cue_reliance(model, CUED)


def test_models_in_training_and_empty_parts_are_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SAMPLES, 2))
    with pytest.raises(UserError, match="the model is in training mode"):
        cue_reliance(model.train(), CUED)
    no_tests = plant(clips_of({"01": "train"}), HIGH_OR_LOW)
    with pytest.raises(UserError, match="the test part of tones_cues is empty"):
        cue_reliance(model.eval(), no_tests)
