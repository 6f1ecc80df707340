import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_rows import MakeRows

from audioxai.report.objective1 import write_summary
from audioxai.report.terminal import comparison_text, print_table
from audioxai.utils.commands import run_command

Directions = dict[str, bool | None]
CONTEXT = {"command": "make demo", "profile": "quick", "commit": "0123abc"}


@pytest.fixture
def summary_of(tmp_path: Path, cards: list[dict[str, object]], directions: Directions):
    def summary(rows: pd.DataFrame) -> tuple[str, dict[str, object]]:
        text, content = write_summary(rows, cards, directions, CONTEXT, tmp_path)
        return text.read_text(), json.loads(content.read_text())

    return summary


def answer_of(text: str) -> str:
    return text.split("## Answer")[1].split("## How far")[0]


def test_clearly_worse_audio_is_said_to_be_worse(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(audio_shift=-0.3))[0])
    assert "Most favour images by faithfulness correlation (18 of 18)." in answer
    assert "worse on audio for every method at every resolution" in answer
    assert "and audio by" not in answer


def test_clearly_better_audio_is_said_to_be_better(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(audio_shift=0.3))[0])
    assert "Most favour audio by faithfulness correlation (18 of 18)." in answer
    assert "favour images by" not in answer


@pytest.mark.parametrize("seed", range(3))
def test_no_difference_claims_none(rows_with: MakeRows, summary_of, seed: int) -> None:
    answer = answer_of(summary_of(rows_with(method_step=0.0, samples=40, seed=seed))[0])
    assert "Audio and images cannot be told apart" in answer
    assert "Most favour" not in answer
    assert "By no metric do most methods improve or worsen as the resolution rises." in answer


def test_identical_scores_give_no_interval_without_zero(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(method_step=0.0, noise=0.0))[0])
    assert "in none of 72 comparisons" in answer
    assert "The best and" not in answer.replace("the best and the second method can be told apart in 0 of 24", "")


def test_a_trend_is_named_with_its_direction(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(slope=0.2))[0])
    assert "As the resolution rises, for most methods faithfulness correlation" in answer
    assert "improves on audio and on images" in answer
    answer = answer_of(summary_of(rows_with(slope=-0.2))[0])
    assert "worsens on audio and on images" in answer


def test_what_rises_on_one_modality_and_falls_on_the_other_is_said_of_each(rows_with: MakeRows, summary_of) -> None:
    rows = rows_with(slope=0.2)
    images = rows["modality"] == "image"
    rows.loc[images & (rows["metric"] == "faithfulness_correlation"), "score"] *= -1.0
    answer = answer_of(summary_of(rows)[0])
    assert "for most methods faithfulness correlation improves on audio and worsens on images" in answer


def test_the_first_method_is_named_where_it_is_told_from_the_second(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(method_step=0.2))[0])
    led = "First by faithfulness correlation: on audio Saliency (at 32, 64 and 128); on images Saliency (at 28, 64 and"
    assert led in answer
    assert "First by" not in answer_of(summary_of(rows_with(method_step=0.0, noise=0.0))[0])


def test_the_control_is_named_and_counted(rows_with: MakeRows, summary_of) -> None:
    answer = answer_of(summary_of(rows_with(method_step=0.2))[0])
    control = answer.split("**Against the control.**")[1]
    assert "Random (control)" in control
    assert "on audio better for every method at every resolution" in control
    assert "Random (control)" not in answer.split("**Against the control.**")[0]


def test_stand_in_is_named_first_and_in_every_caption(rows_with: MakeRows, summary_of) -> None:
    text, content = summary_of(rows_with(stand_in=True))
    opening = text.splitlines()[2]
    assert opening.startswith("> **STAND-IN data: bundled_digits in place of mnist and spoken_digits in place of")
    captions = [line for line in text.splitlines() if line.startswith("*") and line.endswith("*") and "Data:" in line]
    assert len(captions) == text.count("\n| :--")
    assert all("spoken_digits (STAND-IN for audio_mnist)" in caption for caption in captions)
    assert content["stand_in"] == {"bundled_digits": "mnist", "spoken_digits": "audio_mnist"}


def test_real_data_are_not_called_stand_ins(rows_with: MakeRows, summary_of) -> None:
    text, content = summary_of(rows_with())
    assert "STAND-IN" not in text
    assert content["stand_in"] == {}


def test_summary_tells_where_it_comes_from(rows_with: MakeRows, summary_of) -> None:
    text, content = summary_of(rows_with())
    assert "- Command: `make demo`" in text
    assert "profile quick" in text
    assert content["context"] == CONTEXT
    assert "without correction for multiplicity" in text
    assert "10 clusters only" in text


def test_json_holds_what_the_tables_hold(rows_with: MakeRows, summary_of) -> None:
    _, content = summary_of(rows_with())
    assert {"mean", "low", "high", "n", "clusters", "undefined"} <= set(content["cells"][0])
    assert len(content["cells"]) == 6 * 7 * 5
    assert len(content["differences"]) == 3 * 7 * 5
    assert {record["scope"] for record in content["trends"]} == {"audio", "image", "audio − image"}


def test_same_rows_in_any_order_give_the_same_bytes(
    rows_with: MakeRows, cards: list[dict[str, object]], directions: Directions, tmp_path: Path
) -> None:
    rows = rows_with(audio_shift=-0.1, methods=("saliency", "occlusion", "random"))
    rows.loc[::97, "score"] = np.nan
    first = write_summary(rows, cards, directions, CONTEXT, tmp_path / "first")
    again = rows.sample(frac=1, random_state=3)
    second = write_summary(again, cards, directions, dict(reversed(CONTEXT.items())), tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert {path.name for path in (tmp_path / "first").iterdir()} == {"objective1.md", "objective1.json"}


@pytest.mark.parametrize(
    "kept", ["modality == 'audio'", "resolution == 64", "method == 'saliency'", "sample == 'audio0001'"]
)
def test_what_cannot_be_compared_is_left_open(rows_with: MakeRows, summary_of, kept: str) -> None:
    text, content = summary_of(rows_with().query(kept))
    assert "NaN" not in json.dumps(content)
    assert "nan" not in text.lower().split("## tables")[1]


def test_an_unwritable_folder_is_one_sentence(
    rows_with: MakeRows, directions: Directions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    def command(_: list[str]) -> None:
        write_summary(rows_with(samples=4), [], directions, CONTEXT, tmp_path / "file")

    assert run_command(command, []) == 2
    assert "is a file where a folder is needed" in capsys.readouterr().err


def test_terminal_table_fits_and_names_the_data(rows_with: MakeRows, directions: Directions) -> None:
    rows = rows_with(audio_shift=-0.5, stand_in=True)
    text = comparison_text(rows, directions, CONTEXT)
    assert max(map(len, text.splitlines())) <= 110
    assert "audio: spoken_digits (STAND-IN for audio_mnist)" in text
    assert "Resolution 32 (audio), 28 (image)" in text
    audio = rows.query("modality == 'audio' and resolution == 64 and method == 'saliency'")
    faithful = audio.query("metric == 'faithfulness_correlation'")["score"].mean()
    line = next(line for line in text.split("Resolution 64")[1].splitlines() if line.startswith("Saliency"))
    assert line.split()[1] == f"{faithful:.3f}".replace("-", "−")
    assert line.split()[2].endswith("*")
    stream = StringIO()
    print_table(rows, directions, CONTEXT, stream)
    assert stream.getvalue() == text + "\n"
