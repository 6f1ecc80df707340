"""Model card and data card: every number where it belongs, stand-ins and small groups named."""

from dataclasses import replace
from typing import Any

from audioxai.report.cards import DataEntry, Group, ModelEntry, data_card, model_card

CARD: dict[str, Any] = {
    "dataset": "audio_mnist_az",
    "stand_in_for": None,
    "split": "speaker_disjoint",
    "architecture": "small_cnn",
    "resolution": 64,
    "seed": 0,
    "accuracy": {"train": 1.0, "validation": 0.99, "test": 0.5},
    "samples": {"train": 2000, "validation": 300, "test": 1200},
    "epochs_run": 12,
    "seconds": 60.4,
    "git_commit": "abc",
    "weights_sha256": "0123456789abcdef",
}
DATA = DataEntry(
    name="fsdd",
    split="official",
    stand_in_for=None,
    speaker_disjoint=False,
    samples={"train": 2400, "validation": 300, "test": 300},
    speakers={"train": 6, "validation": 6, "test": 6},
    groups={},
    form="mono waveform of 1 s at 8,000 Hz in [−1, 1]",
    skipped=(),
    fingerprint="f00",
)


def groups(correct: int) -> tuple[Group, ...]:
    return (
        Group("gender", "female", 2, 40, correct),
        Group("gender", "male", 3, 400, 300),
        Group("speaker", "01", 1, 10, 5),
        Group("speaker", "02", 1, 10, 9),
        Group("speaker", "03", 1, 10, 10),
        Group("speaker", "04", 1, 10, 6),
    )


def lines_of(card: str, beginning: str) -> list[list[str]]:
    """Cells of the table lines that begin so."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in card.splitlines()
        if line.startswith(f"| {beginning}")
    ]


def test_every_model_and_group_has_its_line() -> None:
    second = CARD | {"seed": 1, "accuracy": CARD["accuracy"] | {"test": 0.75}}
    card = model_card([ModelEntry(CARD, groups(20)), ModelEntry(second, groups(30))])
    lines = lines_of(card, "audio_mnist_az, speaker_disjoint")
    kind = ["audio_mnist_az, speaker_disjoint", "small_cnn", "64"]
    assert [*kind, "0", "100.00 %", "99.00 %", "50.00 %", "1,200"] in lines
    assert [*kind, "1", "100.00 %", "99.00 %", "75.00 %", "1,200"] in lines
    assert [*kind, "gender: female", "2", "40", "62.50 % (50.00 % to 75.00 %)"] in lines
    assert [*kind, "gender: male", "3", "400", "75.00 %"] in lines
    assert [*kind, "0", "4", "50.00 %", "75.00 %", "100.00 %"] in lines
    assert [*kind, "1", "12", "60", "abc", "0123456789ab"] in lines
    assert len(lines) == 2 + 2 + 2 + 2
    assert "rough figure: gender female." in card


def test_models_without_speakers_or_of_cues_are_told_apart() -> None:
    images = CARD | {"dataset": "digits_8x8", "stand_in_for": "mnist", "split": "official"}
    card = model_card([ModelEntry(images)])
    assert "digits_8x8, official (STAND-IN for mnist)" in card
    assert "by group" not in card
    assert "rough figure" not in card
    assert "planted" not in card
    cues = model_card([ModelEntry(CARD | {"dataset": "fsdd_cues"})])
    assert "Models of fsdd_cues tell apart cues that were planted in the recordings" in cues


def test_datasets_are_told_with_what_was_left_out() -> None:
    other = replace(
        DATA,
        name="spoken_digits",
        stand_in_for="audio_mnist",
        speaker_disjoint=True,
        groups={"gender": {"female": 11, "male": 19}},
        skipped=[f"{number}.wav: silent" for number in range(7)],
    )
    images = replace(DATA, name="somebodys", speaker_disjoint=None, speakers={})
    card = data_card([DATA, other, images])
    first, second, third = (f"### {part}" for part in card.split("### ")[1:])
    assert "CC BY-SA 4.0" in first
    assert "2,400 train by 6 speakers; 300 validation by 6 speakers; 300 test by 6 speakers." in first
    assert "Speakers are shared between the parts." in first
    assert "No file was skipped." in first
    assert "STAND-IN" not in first
    assert second.startswith("### spoken_digits (STAND-IN for audio_mnist)")
    assert "No speaker is in two parts." in second
    assert "Speakers by gender: female 11 and male 19." in second
    assert (
        "Skipped files, 7: 0.wav: silent; 1.wav: silent; 2.wav: silent; 3.wav: silent; 4.wav: silent and 2 more."
        in second
    )
    assert "says nothing about audio_mnist" in second
    assert "Licence: not known to this project." in third
    assert "speaker" not in third
