"""What the app asks models: predictions and explanations as the package makes them, and the eraser in closed form."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import app as made
from helpers.explained import RATE_HZ, model_of, recording
from torch import Tensor, nn

from audioxai import explain, trust
from audioxai.app.answers import Answers, Eraser
from audioxai.app.requests import REMOVALS, Describe, Erase, Explain, Facts, Part, Removal
from audioxai.baselines import SpeechShapedNoise
from audioxai.domains import Mask
from audioxai.explanation import Explanation
from audioxai.models.loading import Model
from audioxai.report.clip.packing import packed_view
from audioxai.report.clip.pictures import MEL, Canvas
from audioxai.utils.errors import UserError


def silent(done: int, total: int) -> None:
    """Nobody asks how far it is."""


def part_of(folder: Path, waveform: Tensor, start_s: float | None = None) -> Part:
    np.save(folder / "sound.npy", waveform[0, 0].numpy())
    return Part(str(folder / "sound.npy"), RATE_HZ, "bird", start_s)


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return part_of(tmp_path, recording())


def packed(erased: Tensor) -> bytes:
    return np.packbits(erased.numpy().astype(np.uint8)).tobytes()


def random_cells(cells: Mask, seed: int = 0) -> Tensor:
    return (torch.rand(cells.shape, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def slow_twin(waveform: Tensor, cells: Mask, erased: Tensor, removal: Removal) -> Tensor:
    """R + S(M ⊙ Z(x − r)) in float64, M by linear interpolation between the centres of cells, bin by bin."""
    x = waveform.double()
    r = torch.zeros_like(x) if removal == "silence" else SpeechShapedNoise.of(waveform, 10.0, 0, 1.0)(waveform).double()
    bins, frames = (axis.coordinates for axis in cells.stft.axes())
    bands, times = (axis.coordinates for axis in cells.axes())
    kept = 1.0 - erased.double().numpy()
    rows = np.stack([np.interp(bins, bands, column) for column in kept.T], 1)
    mask = np.stack([np.interp(frames, times, row) for row in rows])
    return r + cells.stft.synthesis(torch.from_numpy(mask)[None, None] * cells.stft.analysis(x - r))


@pytest.mark.parametrize("removal", REMOVALS)
def test_the_eraser_is_its_formula_and_the_model_gets_what_is_heard(part: Part, removal: Removal) -> None:
    answers = Answers([model_of()])
    waveform, cells = recording(), Mask.of(RATE_HZ, 0.6)
    erased = random_cells(cells)
    found, content = answers.erased(Erase(part, packed(erased), removal, True))
    heard = np.frombuffer(content, "<f4")
    expected = slow_twin(waveform, cells, erased, removal)
    np.testing.assert_allclose(heard, expected[0, 0].numpy(), atol=2e-6)
    logits = model_of().module(torch.from_numpy(heard.copy())[None, None])
    np.testing.assert_allclose(found["probabilities"][0], logits[0].softmax(0).numpy(), rtol=1e-5)


def test_in_double_precision_the_eraser_is_exact() -> None:
    waveform, cells = recording().double(), Mask.of(RATE_HZ, 0.6)
    eraser = Eraser(model_of(), made_clip(waveform))
    erased = random_cells(cells)
    heard = eraser.heard(1.0 - erased, "silence")
    torch.testing.assert_close(heard, slow_twin(waveform, cells, erased, "silence"), rtol=0, atol=1e-12)
    # What is erased and what is left add up to the clip, and so do a region and the rest of it.
    torch.testing.assert_close(heard + eraser.heard(erased, "silence"), waveform, rtol=0, atol=1e-12)


def made_clip(waveform: Tensor) -> Any:
    from audioxai.api import Clip

    return Clip(waveform)


def test_nothing_erased_is_the_clip_and_everything_is_the_removal(part: Part) -> None:
    answers, cells = Answers([model_of()]), Mask.of(RATE_HZ, 0.6)
    for removal in REMOVALS:
        _, content = answers.erased(Erase(part, packed(torch.zeros(cells.shape)), removal, True))
        np.testing.assert_allclose(np.frombuffer(content, "<f4"), recording()[0, 0].numpy(), atol=1e-6)
    _, content = answers.erased(Erase(part, packed(torch.ones(cells.shape)), "silence", True))
    assert np.abs(np.frombuffer(content, "<f4")).max() < 1e-6


def test_erasing_the_whistle_leaves_the_hum(part: Part) -> None:
    answers, cells = Answers([model_of()]), Mask.of(RATE_HZ, 0.6)
    bands_hz = torch.tensor(cells.axes()[0].coordinates)
    erased = ((bands_hz > 1_400) & (bands_hz < 2_600)).float()[:, None].expand(cells.shape)
    found, content = answers.erased(Erase(part, packed(erased), "silence", False))
    before = answers.description(part)["models"][0]["probabilities"]
    assert int(np.argmax(before)) == 1
    assert int(np.argmax(found["probabilities"][0])) == 0
    assert content == b""


@pytest.mark.parametrize("cells", [b"", b"\x00", bytes(10_000)])
def test_masks_of_another_size_are_refused(part: Part, cells: bytes) -> None:
    with pytest.raises(UserError, match="open it again"):
        Answers([model_of()]).erased(Erase(part, cells, "silence", True))


def test_a_description_holds_what_the_page_shows(part: Part) -> None:
    found = json.loads(Answers([model_of()]).answer(Describe(part), silent))
    (side,) = found["models"]
    assert found["cells"] == list(Mask.of(RATE_HZ, 0.6).shape)
    assert found["windows"] == []
    expected = model_of().module(recording())[0].softmax(0)
    np.testing.assert_allclose(side["probabilities"], expected.numpy(), rtol=1e-5)
    assert side["names"] == ["hum", "whistle", "hiss", "silence"]
    assert side["erasable"] == [0.0, 0.0, 1.0, 1.0]
    assert side["picture"]["rateHz"] == RATE_HZ


def test_an_explanation_is_the_packages(part: Part) -> None:
    reported: list[tuple[int, int]] = []
    explained = Answers([model_of()]).answer(
        Explain(part, 0, 0, "silence", "silence"), lambda done, total: reported.append((done, total))
    )
    content = json.loads(explained.content)
    direct = explain(recording()[0, 0], model_of(), sample_rate=RATE_HZ, target=0, method="silence")
    assert direct.trust is not None
    assert content["sentence"] == direct.trust.sentence
    assert content["label"] == "hum"
    assert "bird" in explained.page
    assert reported[-1][0] == reported[-1][1]
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)


@pytest.mark.parametrize("method", ["integrated_gradients", "ordered"])
@pytest.mark.parametrize("removal", REMOVALS)
def test_the_page_says_the_call_that_gives_the_same_map(part: Part, method: str, removal: Removal) -> None:
    explained = Answers([model_of()]).answer(Explain(part, 0, 2, method, removal), silent)
    (command,) = re.findall(r"<code>(audioxai\.explain.*?)</code>", explained.page)

    def called(_sound: str, _model: str, **options: Any) -> Explanation:
        return explain(recording()[0, 0], model_of(), sample_rate=RATE_HZ, trust=False, **options)

    again = eval(html.unescape(command), {"audioxai": SimpleNamespace(explain=called)})
    shown = json.loads(explained.content)["view"]["classes"][0]["map"]
    assert packed_view(again, Canvas(Canvas.of(again).stft, MEL))["classes"][0]["map"] == shown


def test_a_removal_that_is_not_known_is_refused() -> None:
    assert REMOVALS == trust.REMOVALS
    with pytest.raises(UserError, match="removal is 'loud'"):
        explain(recording()[0, 0], model_of(), sample_rate=RATE_HZ, method="integrated_gradients", removal="loud")


def test_pages_say_what_has_to_be_known_of_the_sound_but_not_where_the_model_lies(part: Part) -> None:
    model = model_of(name="/home/somebody/secret/model.pt")
    noted = replace(part, notes=("the channels are partly in opposite phase",))
    explained = Answers([model]).answer(Explain(noted, 0, 1, "energy", "silence"), silent)
    assert "partly in opposite phase" in explained.page
    assert "model.pt" in explained.page
    assert "somebody" not in explained.page + explained.content


def test_sounds_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    answers = Answers([model_of()])
    answers.erasers(part_of(tmp_path, recording()))
    (tmp_path / "sound.npy").rename(tmp_path / "other.npy")
    answers.erasers(Part(str(tmp_path / "other.npy"), RATE_HZ, "bird"))
    assert [file for file, _ in answers._erasers] == [str(tmp_path / "other.npy")]


def test_what_is_raised_by_a_report_ends_the_explanation(part: Part) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        Answers([model_of()]).answer(Explain(part, 0, 0, "auto", "noise"), stop)


def test_the_removal_is_that_of_the_explanation(part: Part) -> None:
    answers = Answers([model_of()])
    maps = [
        json.loads(answers.answer(Explain(part, 0, 1, "integrated_gradients", removal), silent).content)["view"][
            "classes"
        ][0]["map"]
        for removal in REMOVALS
    ]
    assert maps[0] != maps[1]


def test_a_region_is_the_same_stretch_for_another_model(tmp_path: Path) -> None:
    """Another rate and a longer clip, in which the sound lies in the middle of silence."""
    answers, part = Answers([made.bands(), made.bands_in_reverse()]), part_of(tmp_path, recording())
    first, second = answers.erasers(part)
    # Both axes tell the time of the sound.
    assert [side["picture"]["startS"] for side in answers.description(part)["models"]] == pytest.approx(
        [0.0, -0.1], abs=1e-3
    )
    assert second.clip.first_s == pytest.approx(-0.1, abs=1e-3)
    erased = torch.zeros(first.cells.shape)
    times, bands = (np.array(axis.coordinates) for axis in reversed(first.cells.axes()))
    erased[np.ix_((bands > 1_000) & (bands < 3_000), (times > 0.2) & (times < 0.4))] = 1.0
    found = 1.0 - second.from_cells_of(first, 1.0 - erased)
    rows, columns = found.nonzero(as_tuple=True)
    their_times, their_bands = (np.array(axis.coordinates) for axis in reversed(second.cells.axes()))
    assert their_bands[rows].min() == pytest.approx(1_000, rel=0.1)
    assert their_bands[rows].max() == pytest.approx(3_000, rel=0.1)
    assert their_times[columns].min() + second.clip.first_s == pytest.approx(0.2, abs=0.02)
    assert their_times[columns].max() + second.clip.first_s == pytest.approx(0.4, abs=0.02)
    # All erased: what is outside the first clip stays.
    everything = second.from_cells_of(first, torch.zeros(first.cells.shape))
    assert bool((everything[:, their_times + second.clip.first_s < -0.02] == 1.0).all())


class Fixed(nn.Module):
    """Takes 0.3 s; says how loud they are."""

    def forward(self, waveforms: Tensor) -> Tensor:
        loud = waveforms.square().mean((1, 2))[:, None]
        return torch.cat([100.0 * loud, torch.zeros_like(loud)], 1)


def test_the_likeliest_part_of_a_long_sound_is_opened_and_others_can_be(tmp_path: Path) -> None:
    answers = Answers([Model(Fixed(), RATE_HZ, 0.3, ("loud", "soft"))])
    waveform = torch.cat([0.01 * recording(), recording(), 0.01 * recording()], -1)
    found = answers.description(part_of(tmp_path, waveform))
    assert found["startS"] in (0.6, 0.75, 0.9)
    assert len(found["windows"]) == 11
    assert "loud" in found["windows"][4]["text"]
    other = answers.description(part_of(tmp_path, waveform, 1.2))
    assert other["startS"] == 1.2
    assert other["models"][0]["picture"]["startS"] == 1.2
    for window in found["windows"]:
        assert answers.description(part_of(tmp_path, waveform, window["startS"]))["startS"] == window["startS"]
    with pytest.raises(UserError, match="give times between"):
        answers.description(part_of(tmp_path, waveform, 7.0))


def test_methods_are_those_that_the_model_can_be_explained_by() -> None:
    (found,) = Answers([model_of()]).answer(Facts(), silent)
    names = [method["name"] for method in found["methods"]]
    assert names[0] == "ordered"
    assert "(control)" in found["methods"][-1]["label"]
    blind = model_of(gradient=False, gradient_refused="the model is a black box")
    (found,) = Answers([blind]).answer(Facts(), silent)
    assert found["methods"][0]["name"] == "ordered_passes"
    assert "integrated_gradients" not in [method["name"] for method in found["methods"]]
