"""The example: the same sounds for a seed, what decides is known, and the commands that it prints work."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import audioxai as ax
from audioxai import cli, example
from audioxai.utils.commands import run_command


def peak_hz(samples: example.Samples) -> float:
    """Loudest frequency."""
    return float(np.fft.rfftfreq(len(samples), 1 / example.RATE_HZ)[np.abs(np.fft.rfft(samples)).argmax()])


@pytest.mark.parametrize("label", example.CLASSES)
def test_a_clip_is_the_sum_of_its_parts(label: str) -> None:
    sounds = example.parts(label, np.random.default_rng(3), site=2)
    whole = example.clip(label, np.random.default_rng(3), site=2)
    np.testing.assert_allclose(whole, sounds["call"] + sounds["rumble"] + sounds["noise"])
    assert whole.shape == (example.SAMPLES,)
    assert 0.3 <= np.abs(whole).max() <= 0.6
    assert np.abs(sounds["rumble"]).max() > 3 * np.abs(sounds["call"]).max()
    assert peak_hz(sounds["rumble"]) < 500
    assert (label == "nothing") == (not sounds["call"].any())


@pytest.mark.parametrize(("label", "direction"), [("rising", 1), ("falling", -1)])
def test_calls_sweep_as_they_are_called(label: str, direction: int) -> None:
    for seed in range(5):
        call = example.parts(label, np.random.default_rng(seed))["call"]
        first, *_, second = np.array_split(call[np.flatnonzero(call)[0] : np.flatnonzero(call)[-1]], 4)
        assert direction * (peak_hz(second) - peak_hz(first)) > 300
        assert min(peak_hz(first), peak_hz(second)) > 700


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ax.UserError, match="rising"):
        example.parts("barking", np.random.default_rng(0))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "example"
    example.write_example(folder)
    return folder


def test_the_model_tells_unseen_sites_apart_and_the_map_shows_the_call(written: Path) -> None:
    model = ax.load_model(written / example.MODEL)
    assert model.class_names == example.CLASSES
    made = ax.explain(written / example.CLIP, model)
    assert made.label == "rising"
    assert made.trust is not None
    assert made.trust.lead > 0
    rows_hz = np.array(made.domain.axes()[0].coordinates)
    relevance = made.attributions[0, 0].clamp_min(0).sum(1).numpy()
    assert relevance[rows_hz > 700].sum() > 0.8 * relevance.sum()


def test_the_same_seed_writes_the_same_sounds_and_the_same_model_is_found(written: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*.wav")}
    weights = (written / example.MODEL).read_bytes()
    example.write_example(written)
    assert {path: path.read_bytes() for path in written.rglob("*.wav")} == before
    assert (written / example.MODEL).read_bytes() == weights
    assert len(before) == len(example.CLASSES) * example.SITES * example.TAKES + 1


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(ax.UserError, match="new or empty"):
        example.write_example(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_the_command_prints_commands_that_work(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(written.parent)
    assert run_command(cli.dispatch, ["example"]) == 0
    explain, run = re.findall(r"audioxai (.*)", capsys.readouterr().out)
    assert run_command(cli.dispatch, [*shlex.split(explain), "--no-trust", "--compare", "0"]) == 0
    assert (written / "page" / "index.html").is_file()
    assert run_command(cli.dispatch, [*shlex.split(run), "--dry-run"]) == 0
    # The study finds the model trained: only explaining and scoring are left.
    assert "train" not in capsys.readouterr().out.lower()
