"""The reliability campaign knows a fault when it meets one, and meets none in a small run of every part."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import campaign
from benchmarks.reliability import archives, audio, kills, server, stores, yaml
from benchmarks.reliability.tally import (
    Outcome,
    Tally,
    Verdict,
    in_children,
    of_command,
    of_main,
    written_outside,
)
from helpers import campaign_cases

from audioxai.utils.errors import UserError

EXPECTED = {
    "is used": Verdict.USED,
    "refuses": Verdict.REFUSED,
    "says nothing": Verdict.TRACEBACK,
    "raises": Verdict.TRACEBACK,
    "takes all memory": Verdict.TRACEBACK,
    "dies": Verdict.TRACEBACK,
    "hangs": Verdict.HANG,
    "is wrong": Verdict.WRONG,
    "is used again": Verdict.USED,
}
# Cases of a part in a few seconds.
SCALES = {"archives": 0.01, "audio": 0.005, "server": 0.02, "yaml": 0.01, "stores": 0.01, "kills": 0.04, "threads": 0.5}


@pytest.mark.parametrize("part", campaign.PARTS)
def test_every_part_finds_nothing_in_a_small_run(part, tmp_path, capsys):
    report = tmp_path / "out.json"
    code = campaign.main(["--parts", part, "--scale", str(SCALES.get(part, 0.005)), "--json", str(report)])
    found = json.loads(report.read_text())["parts"][part]
    assert found["faults"] == []
    assert found["tried"] == found["used"] + found["refused with a sentence"] > 0
    assert code == 0
    assert part in capsys.readouterr().out.splitlines()[-2]


def test_every_outcome_is_recognised_and_the_next_case_goes_on():
    outcomes = list(in_children(campaign_cases.act, list(EXPECTED), 4.0))
    assert [outcome.verdict for outcome in outcomes] == list(EXPECTED.values())
    tally = Tally.of("some", zip(EXPECTED, outcomes, strict=True))
    assert (tally.tried, len(tally.faults)) == (9, 6)
    assert not tally.is_clean


def test_a_fresh_child_for_every_case():
    for fresh, count in ((True, 2), (False, 1)):
        outcomes = in_children(campaign_cases.process_number, [1, 2], 20.0, fresh=fresh)
        assert len({outcome.said for outcome in outcomes}) == count


@pytest.mark.parametrize("verdict", list(Verdict)[2:])
def test_every_fault_makes_the_campaign_fail(verdict, monkeypatch, capsys):
    faulty = Tally.of("archives", [("a", Outcome(Verdict.USED)), ("b", Outcome(verdict, "told"))])
    monkeypatch.setattr(archives, "run", lambda *_: faulty)
    assert campaign.main(["--parts", "archives"]) == 1
    assert "archives, b" in capsys.readouterr().out


def test_nothing_tried_is_no_success():
    assert not Tally.of("some", []).is_clean


def fails(_: list[str]) -> None:
    raise ValueError("no sentence")


def refuses(_: list[str]) -> None:
    raise UserError("the name jos\udce9 is none; give another")


def test_command_lines_are_judged_by_their_exit_and_what_they_print():
    assert of_main(lambda _: print("fine"), []).verdict is Verdict.USED
    assert of_main(refuses, []).verdict is Verdict.REFUSED
    assert of_main(fails, []).verdict is Verdict.TRACEBACK
    assert of_main(lambda _: print("\udce9"), []).verdict is Verdict.USED
    python = [sys.executable, "-c"]
    assert of_command([*python, "import time; time.sleep(60)"], 0.5).verdict is Verdict.HANG
    assert of_command([*python, "import sys; sys.exit(1)"], 60).verdict is Verdict.TRACEBACK
    assert of_command([*python, "print(1)"], 60) == Outcome(Verdict.USED, "1\n")


def test_what_is_written_outside_is_seen(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "kept").write_text("as it was")
    changes = written_outside(tmp_path, tmp_path / "root")
    (tmp_path / "root" / "inside").touch()
    assert changes() == []
    (tmp_path / "evil").touch()
    (tmp_path / "kept").write_text("otherwise")
    assert changes() == [str(tmp_path / "evil"), str(tmp_path / "kept")]


def test_an_archive_taken_for_complete_is_seen(tmp_path):
    """The judge of the archives finds what is missing, differs or was not put in."""
    folder = tmp_path / "fsdd"
    for name, content in archives.RECORDINGS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"dataset": "fsdd", "files": len(archives.RECORDINGS)}))
    made = archives.Made()
    assert archives.difference(folder, made) is None
    first = tmp_path / archives.FIRST
    (folder / "recordings" / "0_eve_0.wav").write_bytes(archives.SECRET)
    assert "not put in" in str(archives.difference(folder, made))
    (folder / "recordings" / "0_eve_0.wav").unlink()
    first.write_bytes(archives.ANOTHER)
    assert "other bytes" in str(archives.difference(folder, made))
    first.unlink()
    assert "missing" in str(archives.difference(folder, made))
    manifest.write_text(json.dumps({"dataset": "fsdd", "files": 1}))
    assert "the manifest says" in str(archives.difference(folder, made))


def test_the_independent_reading_is_that_of_libsndfile(tmp_path):
    read = [kind for kind in audio.kinds() if audio.independently(audio.whole(kind) or b"") is not None]
    assert len({kind.container for kind in read}) == 7
    for kind in read:
        samples, rate_hz = audio.independently(audio.whole(kind) or b"") or (None, 0)
        assert samples is not None
        expected = audio.undamaged(tmp_path, kind)
        assert expected is not None
        assert rate_hz == kind.rate_hz
        assert audio.close(expected, samples.mean(1) - samples.mean())
        assert not audio.close(expected[:-1], samples.mean(1) - samples.mean())


def test_counts_of_the_full_campaign():
    assert len(server.BEHAVIOURS) >= 60
    assert len(archives.hostile(Path("/nowhere"))) >= 200
    assert audio.MUTATED >= 5_000
    assert yaml.VALUES + yaml.MUTATIONS >= 1_000
    assert stores.CASES >= 1_000
    assert kills.KILLS >= 50
