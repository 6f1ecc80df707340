"""The report of tiny studies: what the store holds is in it, what it lacks is named, and twice is the same."""

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from helpers.tiny_data import arguments, options

from audioxai import cli, datasets
from audioxai.studies import cards, report
from audioxai.studies.cards import grouped, speaker_attributes
from audioxai.studies.galleries import Gallery, objective1_gallery
from audioxai.studies.objective1 import comparison
from audioxai.studies.objective1.plan import cells
from audioxai.studies.report import ReportConfig, make_report
from audioxai.studies.stored import Folders, objective1_config_in
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

STUDY1 = {
    "image_resolutions": [28],
    "image_epochs": [1],
    "audio_epochs": [1],
    "methods": "[integrated_gradients, occlusion]",
    "metrics": "[sparseness]",
    "threads": 1,
}
STUDY2 = (
    "--datasets=[spoken_digits]",
    "--resolution=32",
    "--epochs=1",
    "--limit=null",
    "--clips_per_seed=3",
    "--ground_truth=[]",
    "--adaptations=[plain, silence, idgi]",
    "--gradients=[8]",
    "--references=4",
    "--device=cpu",
    "--threads=1",
)
# The least that a summary of Objective 2 has to hold.
SUMMARY2: dict[str, Any] = {
    "answer": ["**In short.** Silence helps."],
    "caveats": [],
    "stand_in": {"spoken_digits": "audio_mnist"},
    "context": {"profile": "quick"},
    "best": "silence",
    "directions": {},
    **{name: [] for name in ("targets", "means", "gains", "leads", "gaps", "cue_proofs", "models")},
}


@pytest.fixture(scope="module")
def filled(data_folder, tmp_path_factory, script) -> Iterator[Folders]:
    """A store with Objective 1 from end to end and the maps of Objective 2."""
    folder = tmp_path_factory.mktemp("filled")
    folders = Folders(folder / "results", folder / "checkpoints")
    first = arguments(options(folders.results, folders.checkpoints, **STUDY1))
    second = [*STUDY2, f"--results={folders.results}", f"--checkpoints={folders.checkpoints}"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        patch.setattr(comparison, "write_all", lambda *_: [])
        for stage in ("mnist_explanations", "audiomnist_explanations", "compute_metrics", "comparison_analysis"):
            assert run_command(script(f"experiments/objective1/{stage}.py").main, first) == 0
        assert run_command(script("experiments/objective2/audio_adapted_ig.py").main, second) == 0
        yield folders


@pytest.fixture
def answered(filled, data) -> Iterator[ReportConfig]:
    """Options of a report on both objectives."""
    summary = filled.results / "summaries" / "objective2.json"
    summary.write_text(json.dumps(SUMMARY2), encoding="utf-8")
    yield ReportConfig(clips=2, results=str(filled.results), checkpoints=str(filled.checkpoints))
    summary.unlink()


def audio_gallery(folders: Folders) -> Gallery:
    """What Objective 1's audio model explained."""
    config = objective1_config_in(folders)
    return objective1_gallery(config, cells(config, "audio")[0])


def gallery_of(path: Path) -> list[dict[str, Any]]:
    found = re.search(r'id="gallery-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    clips: list[dict[str, Any]] = json.loads(found.group(1))["clips"]
    return clips


def test_the_command_writes_the_report_and_ends_with_its_place(answered, capsys, tmp_path) -> None:
    given = [f"--results={answered.results}", f"--checkpoints={answered.checkpoints}", "--clips=1"]
    assert run_command(cli.dispatch, ["report", *given, f"--output={tmp_path / 'mine.html'}"]) == 0
    told = capsys.readouterr().out
    assert "left out" not in told
    assert told.splitlines()[-1].endswith(f": {tmp_path / 'mine.html'}")
    assert (tmp_path / "mine.html").stat().st_size < 10 * 2**20
    for name in ("model_card", "data_card"):
        card = (Path(answered.results) / "summaries" / f"{name}.md").read_text(encoding="utf-8")
        assert f"{name}.md" in told
        assert "STAND-IN for audio_mnist" in card


def test_an_answer_of_another_profile_is_not_shown_as_the_one_asked_for(answered) -> None:
    with pytest.raises(UserError) as refused:
        make_report(replace(answered, profile="standard"))
    for number in "12":
        told = f"the answer of Objective {number} that is there is of profile quick, not standard; run audioxai compare"
        assert f"{told} --objective {number} --profile standard" in str(refused.value)
    summary = Path(answered.results) / "summaries" / "objective2.json"
    summary.write_text(json.dumps(SUMMARY2 | {"context": {"profile": "full"}}), encoding="utf-8")
    made = make_report(replace(answered, profile="quick"))
    assert [line for line in made.left_out if "Objective 2" in line] == [
        "Left out: the answer of Objective 2 that is there is of profile full, not quick; "
        "run audioxai compare --objective 2 --profile quick"
    ]
    assert {clip["group"].split(":")[0] for clip in gallery_of(made.written[0])} == {"Objective 1"}


def test_both_objectives_are_seen_and_heard(answered) -> None:
    written = make_report(answered).written[0]
    clips = gallery_of(written)
    assert [clip["group"].split(":")[0] for clip in clips] == ["Objective 2"] * 2 + ["Objective 1"] * 4
    assert [clip["original"] is None for clip in clips] == [False] * 4 + [True] * 2
    first, third = clips[0], clips[2]
    assert [method["name"] for method in first["methods"]] == ["Plain IG (from 0 dB)", "Silence IG", "IDGI"]
    assert first["opening"] == [0, 1]
    assert [method["name"] for method in third["methods"]] == ["Integrated Gradients", "Occlusion"]
    assert re.fullmatch(r"class \d, speaker \d\d, predicted \d", third["title"])
    assert re.fullmatch(r"ΔF = .*, gap .* %", third["methods"][0]["note"])
    text = written.read_text(encoding="utf-8")
    assert "Silence helps." in text
    assert "STAND-IN" in text


def test_what_is_heard_is_what_the_maps_keep(answered, filled) -> None:
    shown = gallery_of(make_report(answered).written[0])[2]
    gallery = audio_gallery(filled)
    sample = gallery.of_different_titles(1)[0]
    heard = gallery.heard(sample, "occlusion").sounds
    packed = shown["methods"][1]
    for stored, sounds in ((shown["original"], heard.original), (packed["kept"], heard.kept)):
        samples, rate_hz = soundfile.read(BytesIO(base64.b64decode(stored)), dtype="float32")
        assert rate_hz == 16_000
        torch.testing.assert_close(torch.from_numpy(samples), sounds[0, 0], atol=2**-15, rtol=0)


def test_twice_is_the_same_and_predicts_nothing_anew(answered, monkeypatch) -> None:
    first = make_report(answered)
    contents = [path.read_bytes() for path in first.written]
    monkeypatch.setattr(cards, "predicted", lambda *_: pytest.fail("test clips were predicted again"))
    second = make_report(answered)
    assert second.written == first.written
    assert [path.read_bytes() for path in second.written] == contents


def test_an_objective_that_is_not_there_is_named(answered, filled) -> None:
    (filled.results / "summaries" / "objective2.json").rename(filled.results / "kept.json")
    made = make_report(answered)
    text = made.written[0].read_text(encoding="utf-8")
    assert "Not answered yet: run python experiments/objective2/audio_adapted_ig.py" in text
    assert {clip["group"].split(":")[0] for clip in gallery_of(made.written[0])} == {"Objective 1"}
    assert made.left_out == []
    (filled.results / "kept.json").rename(filled.results / "summaries" / "objective2.json")


def test_answers_stand_where_the_data_are_gone(answered, tmp_path, monkeypatch, forget_data) -> None:
    """Results carried to another machine: the clips cannot be found again, the numbers can be told."""
    forget_data()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    # Whoever has run the demo has data beside the code.
    monkeypatch.setattr(datasets, "PROJECT_FOLDER", tmp_path)
    made = make_report(replace(answered, output=str(tmp_path / "report.html")))
    assert len(made.left_out) == 2
    assert made.left_out[0].startswith("The clips and models of Objective 1 are left out: dataset digits_8x8 is not")
    assert [path.name for path in made.written] == ["report.html"]
    assert 'id="gallery-data"' not in made.written[0].read_text(encoding="utf-8")


def test_an_empty_or_damaged_store_is_refused(tmp_path) -> None:
    config = ReportConfig(results=str(tmp_path), checkpoints=str(tmp_path))
    with pytest.raises(UserError, match="holds no answer to either research question; run python scripts/run_demo"):
        make_report(config)
    (tmp_path / "summaries").mkdir()
    (tmp_path / "summaries" / "objective1.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"objective1\.json is no JSON .* delete it and write it again"):
        make_report(config)
    with pytest.raises(UserError, match="clips is 0; it has to be at least 1"):
        ReportConfig(clips=0)


def test_the_demo_ends_with_the_report(filled, data, script, capsys, monkeypatch) -> None:
    monkeypatch.setattr(comparison, "write_all", lambda *_: [])
    assert (
        run_command(
            script("scripts/run_demo.py").main, arguments(options(filled.results, filled.checkpoints, **STUDY1))
        )
        == 0
    )
    assert capsys.readouterr().out.splitlines()[-1].endswith(str(filled.results / "report.html"))


def test_every_model_is_judged_on_the_whole_test_part_by_speaker(filled, data) -> None:
    config = objective1_config_in(filled)
    wanted = [cell.wanted for cell in cells(config, "audio")]
    (entry,) = cards.model_entries(wanted, filled.checkpoints, filled.results)
    speakers = [group for group in entry.groups if group.attribute == "speaker"]
    assert sum(group.clips for group in speakers) == entry.card["samples"]["test"]
    assert all(group.speakers == 1 for group in speakers)
    share = sum(group.correct for group in speakers) / entry.card["samples"]["test"]
    assert share == pytest.approx(entry.card["accuracy"]["test"], abs=1e-6)
    (about,) = cards.data_entries(wanted)
    assert about.samples == entry.card["samples"]
    assert about.speakers["test"] == len(speakers)
    assert about.form == "mono waveform of 1 s at 16,000 Hz in [−1, 1]"


def test_clips_are_counted_for_every_attribute_of_their_speakers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cards, "find_root", lambda _: tmp_path)
    (tmp_path / "data").mkdir()
    told = {"1": {"gender": "m", "age": "27"}, "2": {"gender": "female", "age": "1234"}, "3": {"gender": "f"}}
    (tmp_path / "data" / "audioMNIST_meta.txt").write_text(json.dumps(told), encoding="utf-8")
    attributes = speaker_attributes("audio_mnist")
    assert attributes["01"] == {"gender": "male", "age": "20–29"}
    assert attributes["02"] == {"gender": "female", "age": "not told"}
    speakers = ["01", "01", "02", "03", "03", "04"]
    correct = torch.tensor([True, False, True, True, True, False])
    found = {
        (one.attribute, one.value): (one.speakers, one.clips, one.correct)
        for one in grouped(speakers, correct, attributes)
    }
    assert found == {
        ("gender", "male"): (1, 2, 1),
        ("gender", "female"): (2, 3, 3),
        ("gender", "not told"): (1, 1, 0),
        ("age", "20–29"): (1, 2, 1),
        ("age", "not told"): (3, 4, 3),
        ("speaker", "01"): (1, 2, 1),
        ("speaker", "02"): (1, 1, 1),
        ("speaker", "03"): (1, 2, 2),
        ("speaker", "04"): (1, 1, 0),
    }


def test_gains_are_told_with_their_sign(filled, data) -> None:
    gallery = audio_gallery(filled)
    heard = gallery.heard(0, "occlusion")
    kept = float(heard.gains_db.kept[0] - heard.gains_db.original[0])
    note = report._sound_note(heard)
    assert re.search(r"kept by ([+−][\d.]+) dB", note)
    value = re.search(r"kept by ([+−][\d.]+) dB", note).group(1).replace("−", "-")  # type: ignore[union-attr]
    assert float(value) == pytest.approx(kept, abs=0.051)
    silent = replace(heard, nothing_kept=torch.tensor([True]))
    assert "silence" in report._sound_note(silent)
