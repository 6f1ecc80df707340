"""Recordings by what is known of their speakers: the same clips under other labels, and data that do not say."""

from pathlib import Path

import pytest
from helpers.dataset_files import write_tone

from audioxai import datasets
from audioxai.datasets.by_attribute import ByAttribute
from audioxai.utils.errors import UserError

GENDERS = {1: "M", 2: "F", 3: "M", 4: "F", 5: "M", 6: ""}


def write(root: Path, genders: dict[int, str]) -> Path:
    for speaker in range(1, 7):
        for digit in range(2):
            folder = root / "data" / f"{speaker:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            write_tone(folder / f"{digit}_{speaker:02d}_0.wav")
    lines = ["SPK ID,Gender", *(f"{speaker},{gender}" for speaker, gender in genders.items())]
    (root / "metadata.txt").write_text("\n".join(lines), encoding="utf-8")
    return root


def test_clips_have_the_gender_of_their_speaker_and_no_speaker_is_in_two_parts(tmp_path: Path) -> None:
    root, source = write(tmp_path, GENDERS), ByAttribute("audio_mnist_az", "gender")
    own, digits = datasets.load(source, root=root), datasets.load("audio_mnist_az", root=root)
    assert (own.name, own.class_names) == ("audio_mnist_az_gender", ("female", "male"))
    assert [GENDERS[int(str(group))] for group in own.groups] == ["FM"[label] for label in own.labels.tolist()]
    assert set(digits.groups) - set(own.groups) == {"06"}
    assert own.group_disjoint
    assert source.outline(root).class_names == own.class_names
    assert source.fingerprint(root) == own.fingerprint != digits.fingerprint


@pytest.mark.parametrize(
    ("attribute", "genders", "words"),
    [("gender", dict.fromkeys(range(1, 7), "M"), "says male of all"), ("age", GENDERS, "'age' .* is not stated")],
)
def test_attributes_that_tell_nothing_apart_are_refused(
    attribute: str, genders: dict[int, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        datasets.load(ByAttribute("audio_mnist_az", attribute), root=write(tmp_path, genders))
