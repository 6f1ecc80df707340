"""The study of methods on models that are not the project's own: which clips, what is kept, what the tables say."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import any_model_study as study
from benchmarks import foreign_networks as networks
from benchmarks import pitch_ground_truth as pitch
from benchmarks.foreign_models import Recipe, Trained, augmented

from audioxai.datasets import Dataset
from audioxai.domains import Mask
from audioxai.utils.errors import UserError


class LouderHalf(nn.Module):
    """Class 1 where the second half of a clip is louder."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, waveforms: Tensor) -> Tensor:
        first, second = (half.square().mean((1, 2)) for half in waveforms.chunk(2, dim=2))
        return torch.stack([first, second], 1) * 100.0 * self.weight


def clips(labels: list[int], speakers: list[str]) -> Dataset:
    count = len(labels)
    inputs = torch.full((count, 1, 1_000), 0.01)
    for row, label in enumerate(labels):
        inputs[row, :, 500 * label : 500 * (label + 1)] = 0.5
    return Dataset(
        name="made",
        modality="audio",
        stand_in_for=None,
        split_name="own",
        group_disjoint=True,
        group_name="speaker",
        class_names=("first", "second"),
        sample_rate_hz=1_000,
        ids=tuple(f"clip {row}" for row in range(count)),
        inputs=inputs,
        labels=torch.tensor(labels),
        groups=tuple(speakers),
        splits=("test",) * count,
        skipped=(),
        fingerprint="made",
    )


def test_clips_are_right_ones_and_speakers_take_turns():
    data = clips([0, 1, 0, 1, 0, 1], ["a", "a", "a", "a", "b", "c"])
    wrong = replace(data, labels=torch.tensor([0, 1, 0, 0, 0, 1]))
    chosen = study.chosen(LouderHalf(), wrong, 4)
    assert "clip 3" not in chosen.ids
    assert set(chosen.groups[:3]) == {"a", "b", "c"}
    assert len(chosen) == 4
    assert study.chosen(LouderHalf(), wrong, 2).ids == chosen.ids[:2]
    with pytest.raises(UserError, match="no clip"):
        study.chosen(LouderHalf(), replace(data, labels=1 - data.labels), 4)


def test_background_noise_as_a_class_is_left_out():
    data = replace(clips([0, 1], ["a", "b"]), class_names=("_silence_", "second"))
    assert study.chosen(LouderHalf(), data, 4).ids == ("clip 1",)


def row(method: str, cost: int, worse: list[float]) -> dict[str, object]:
    return {
        "key": f"faithfulness|m|{method}|{cost}",
        "model": "m",
        "method": method,
        "cost": cost,
        "passes": cost,
        "clips": ["1", "2", "3", "4"][: len(worse)],
        "speakers": ["a", "b", "c", "d"][: len(worse)],
        "scores": {"silence": worse, "noise": worse, "worse": worse},
    }


def test_differences_to_loudness_are_within_clips():
    rows = [
        row(study.LOUDNESS, 0, [0.1, 0.2, 0.3, 0.9]),
        row("RISE", 200, [0.2, 0.31, 0.39]),
        row("RISE", 400, [0.0, 0.3, 0.2]),
    ]
    records = study.summary(rows, "faithfulness")
    lead = {record["cost"]: record["over loudness"] for record in records if "over loudness" in record}
    assert lead[200]["mean"] == pytest.approx(0.1)
    assert (lead[200]["low"] > 0.0, lead[400]["low"] > 0.0) == (True, False)
    assert lead[200]["speakers"] == 3
    lines = study.table(records, ["m", "absent"], "worse").splitlines()
    assert lines[3].startswith("| RISE | 200 | 0.30 ± ")
    assert lines[3].endswith("|  | 1 of 1 |")
    assert lines[4].endswith("|  | 0 of 1 |")


def test_every_method_is_measured_at_every_budget_of_its_route():
    jobs = list(study.jobs_of(["m", "n"], study.PROFILES["full"]))
    assert len({job.key for job in jobs}) == len(jobs)
    costs = {job.cost for job in jobs if job.entrant.label == "ordered in the mask" and job.what == "faithfulness"}
    assert costs == {8, 16, 32, 64}
    assert {job.cost for job in jobs if job.entrant.label == "ordered masks"} == {200, 400, 1_000}
    assert [job.model for job in jobs if job.entrant.label == study.LOUDNESS and job.cost == 0] == ["m", "n"]


def test_what_is_kept_is_not_measured_again_and_other_settings_are_refused(tmp_path, monkeypatch):
    kept = tmp_path / "out.json.rows"
    own = study.Study(tmp_path, study.PROFILES["quick"], "test", 0, kept)
    measured: list[str] = []

    def measure(self: study.Study, job: study.Job, subject: None) -> dict[str, object]:
        measured.append(job.key)
        return {"passes": 1, "clips": ["1"], "speakers": ["a"], "scores": {"worse": [0.5]}}

    monkeypatch.setattr(study.Study, "_measured", measure)
    monkeypatch.setattr(study.Study, "_subject", lambda *_: None)
    rows = own.measure(["m"])
    assert sorted(measured) == sorted(rows)
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:-2]) + "\n")
    measured.clear()
    assert own.measure(["m"]).keys() == rows.keys()
    assert len(measured) == 2
    with pytest.raises(UserError, match="other settings"):
        replace(own, seed=1).known()


@pytest.mark.parametrize(
    "network", [networks.KeywordCnn(3, 8_000), networks.WaveformCnn(3), networks.Recurrent(3, 8_000)]
)
def test_networks_take_waveforms_and_their_gradient_reaches_them(network):
    waveforms = torch.randn(2, 1, 8_000, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    logits = network.eval()(waveforms)
    logits.sum().backward()
    assert logits.shape == (2, 3)
    assert waveforms.grad is not None
    assert bool((waveforms.grad.flatten(1).abs().sum(1) > 0.0).all())


def test_mel_triangles_have_their_peaks_in_order_and_cover_the_range():
    filters = networks.mel_filters(16_000, 40, 512)
    peaks = filters.argmax(1)
    assert bool((peaks.diff() >= 0).all())
    assert bool((filters.amax(1) > 0.0).all())
    assert float(filters.max()) <= 1.0


def test_without_strength_recordings_are_left_as_they_are():
    waveforms = torch.rand(4, 1, 1_000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert torch.allclose(augmented(waveforms, 0.0, keep_silence=True)[::2], waveforms[::2])
    assert torch.allclose(augmented(waveforms, 0.0, keep_silence=True), waveforms, atol=3e-3)


def test_a_trained_model_says_what_it_reached():
    recipe = Recipe("ast", "fsdd", "official", 16_000, 8, 1e-3)
    one = Trained(recipe, 0, ("a", "b"), 1_234, 0.957, 300, 6, 2_398, 6, 62.0, "ast_fsdd", None)
    assert "95.7% of 300 clips by 6 speakers" in one.line()


def test_relevance_belongs_to_the_harmonics_of_the_explained_tone():
    first, second = pitch.scenes("two tones", 2, seed=0)
    assert torch.equal(first.tone, second.beside)
    cells = Mask.of(pitch.SAMPLE_RATE_HZ, pitch.DURATION_S)
    own, other = (scene.inside(cells).reshape(cells.shape) for scene in (first, second))
    assert not bool((own & other).any())
    centres = torch.tensor(cells.axes()[0].coordinates)
    for scene, inside in ((first, own), (second, other)):
        nearest = int((centres - scene.pitch_hz).abs().argmin())
        assert bool(inside[max(0, nearest - 1) : nearest + 2].any())
