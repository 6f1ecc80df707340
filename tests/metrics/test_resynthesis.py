"""Insertion and deletion in sounds: against loops and closed forms, and what the model really gets."""

import json
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers.tiny_models import (
    Counting,
    Function,
    draw,
    nothing_touched,
    tiny_cnn,
    tiny_waveform_cnn,
    with_hooks_and_marks,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.core import Metric, configuration_of
from audioxai.domains import DOMAINS, ErbBands, LogMel, Mask, PeakLogMel, Pixels, Rfft, Stft, Waveform, in_stft_cells
from audioxai.metrics.batch import Batch, begin, evaluate
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness, _Order, _PartialSounds
from audioxai.models.front_end import FrontEnd
from audioxai.utils import hardware
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, generator

RATE_HZ, CLIP_S, SAMPLES = 2_000, 0.2, 400
STFT = Stft(RATE_HZ, CLIP_S, window_s=0.032)
WAVEFORM = Waveform(RATE_HZ, CLIP_S)
SILENCE = Silence(WAVEFORM)
NOISE = SpeechShapedNoise.of(draw(6, 1, SAMPLES, seed=9), snr_db=0.0)
KINDS = (WAVEFORM, STFT, ErbBands(RATE_HZ, CLIP_S, 5), LogMel(RATE_HZ, CLIP_S, 8, 9), Mask(RATE_HZ, CLIP_S, 8, 9))
EVERY_DOMAIN = pytest.mark.parametrize("domain", KINDS, ids=lambda domain: domain.name)
BOTH = ResynthesisFaithfulness(STFT, STFT, (SILENCE, NOISE), steps=7)


def case(domain=STFT, batch: int = 3, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """Model, clips, targets and attributions, tie-free in their own domain."""
    clips = 0.3 * draw(batch, 1, SAMPLES, seed=3, dtype=dtype)
    return tiny_waveform_cnn(dtype=dtype), clips, torch.arange(batch) % 3, draw(batch, 1, *domain.shape, seed=4)


def probabilities(model: nn.Module, clips: Tensor, target: Tensor) -> list[float]:
    with torch.no_grad():
        return [float(model(clip[None])[0].softmax(0)[target]) for clip in clips]


def slow_order(metric: ResynthesisFaithfulness, clip: Tensor, attribution: Tensor) -> list[int]:
    """Cells by relevance, those of equal relevance as the clip has them shuffled."""
    relevance = in_stft_cells(attribution[None].double(), cast(Any, metric.domain), metric.stft).float().flatten()
    shuffle = torch.randperm(len(relevance), generator=generator("equal cells", metric.seed, content_key(clip)))
    return sorted(range(len(relevance)), key=lambda cell: (-float(relevance[cell]), -int(shuffle[cell])))


def slow_counts(metric: ResynthesisFaithfulness) -> list[int]:
    cells, steps = math.prod(metric.stft.shape), metric.steps
    inner = [round(cells * (1 - math.cos(math.pi * step / steps)) / 2) for step in range(1, steps)]
    return [0, *inner, cells]


def slow_sounds(metric: ResynthesisFaithfulness, removal: Baseline, clip: Tensor, attribution: Tensor) -> list[Tensor]:
    """Insertion and deletion ``(points, 1, time)``: cells of clip and removal put side by side, then made a sound."""
    order, absent = slow_order(metric, clip, attribution), removal(clip[None])[0]
    own, other = (metric.stft.analysis(sound[None])[0, 0] for sound in (clip, absent))
    curves: list[list[Tensor]] = [[], []]
    for count in slow_counts(metric):
        came = torch.zeros(own.numel(), dtype=torch.bool)
        came[order[:count]] = True
        for curve, there in zip(curves, (came, ~came), strict=True):
            cells = torch.where(there.reshape(own.shape), own, other)
            curve.append(metric.stft.synthesis(cells[None, None])[0])
    return [torch.stack(curve) for curve in curves]


@EVERY_DOMAIN
@pytest.mark.parametrize("removal", [SILENCE, NOISE], ids=lambda removal: removal.name)
def test_curves_and_score_are_those_of_a_loop(domain, removal) -> None:
    metric = ResynthesisFaithfulness(domain, STFT, (removal,), steps=5, seed=2)
    model, clips, targets, attributions = case(domain)
    (curves,) = metric.curves(model, clips, targets, attributions)
    fractions = np.array(slow_counts(metric)) / math.prod(STFT.shape)
    np.testing.assert_allclose(curves.fractions.numpy(), fractions, rtol=0, atol=1e-15)
    scores = metric(model, clips, targets, attributions)
    for row, (clip, attribution) in enumerate(zip(clips, attributions, strict=True)):
        insertion, deletion = (
            probabilities(model, sounds, targets[row]) for sounds in slow_sounds(metric, removal, clip, attribution)
        )
        np.testing.assert_allclose(curves.insertion[row].numpy(), insertion, rtol=0, atol=1e-10)
        np.testing.assert_allclose(curves.deletion[row].numpy(), deletion, rtol=0, atol=1e-10)
        areas = [np.trapezoid(curve, fractions) for curve in (insertion, deletion)]
        assert float(curves.insertion_area[row]) == pytest.approx(areas[0], abs=1e-10)
        assert float(curves.deletion_area[row]) == pytest.approx(areas[1], abs=1e-10)
        assert float(scores[row]) == pytest.approx(areas[0] - areas[1], abs=1e-10)


def as_probability(read) -> nn.Module:
    """Two classes; the first has the probability that is read off the waveforms ``(n, time)``."""

    def logits(clips: Tensor) -> Tensor:
        first = read(clips[:, 0]).clamp(1e-12, 1.0)
        return torch.stack([first.log(), (1.0 - first).clamp_min(1e-12).log()], 1)

    return Function(logits)


def test_removing_first_the_band_that_counts_leaves_nothing() -> None:
    """Two tones, a model that hears one of them: it is gone after the first step, and there after the first step."""
    times_s = torch.arange(SAMPLES, dtype=torch.float64) / RATE_HZ
    # Faded in and out, so that each tone stays in its band to the end.
    fade = torch.hann_window(SAMPLES, dtype=torch.float64)
    clip = (fade * (torch.sin(2 * torch.pi * 125 * times_s) + torch.sin(2 * torch.pi * 700 * times_s)))[None, None]
    bins_hz = torch.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)

    def energy_low(clips: Tensor) -> Tensor:
        return torch.fft.rfft(clips)[:, bins_hz < 235].abs().square().sum(1)

    whole = float(energy_low(clip[:, 0]))
    model = as_probability(lambda clips: 0.8 * energy_low(clips) / whole)
    rows_hz = torch.tensor(STFT.axes()[0].coordinates)
    attributions = (rows_hz[:, None] < 235).double().expand(1, 1, *STFT.shape)
    # The band is 8 of 33 bins; at the first of 3 steps a quarter of all cells have come or gone.
    metric = ResynthesisFaithfulness(STFT, STFT, (SILENCE,), steps=3)
    (curves,) = metric.curves(model, clip, torch.tensor([0]), attributions)
    assert curves.fractions.tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0], abs=1 / (33 * 26))
    assert (rows_hz < 235).sum() == 8
    np.testing.assert_allclose(curves.insertion.numpy(), [[0.0, 0.8, 0.8, 0.8]], rtol=0, atol=2e-4)
    np.testing.assert_allclose(curves.deletion.numpy(), [[0.8, 0.0, 0.0, 0.0]], rtol=0, atol=2e-4)
    score = metric(model, clip, torch.tensor([0]), attributions)
    assert float(score) == pytest.approx(0.8 * (1 - float(curves.fractions[1])), abs=5e-4)
    opposite = metric(model, clip, torch.tensor([0]), -attributions)
    assert float(opposite) == pytest.approx(-float(score), abs=2e-3)


@pytest.mark.parametrize("removal", [SILENCE, NOISE], ids=lambda removal: removal.name)
def test_a_linear_probability_gains_and_loses_what_every_cell_adds(removal) -> None:
    weights = 0.002 * draw(SAMPLES, seed=7)
    model = as_probability(lambda clips: 0.5 + clips @ weights)
    _, clips, _, attributions = case()
    metric = ResynthesisFaithfulness(STFT, STFT, (removal,), steps=6)
    (curves,) = metric.curves(model, clips, torch.zeros(3, dtype=torch.int64), attributions)
    for row in range(3):
        absent = removal(clips[row : row + 1])
        spectrum = STFT.analysis(clips[row : row + 1] - absent).requires_grad_(True)
        (gradient,) = torch.autograd.grad((STFT.synthesis(spectrum)[0, 0] @ weights), spectrum)
        added = (gradient.conj() * spectrum.detach()).real.flatten()[slow_order(metric, clips[row], attributions[row])]
        gained = torch.tensor([float(added[:count].sum()) for count in slow_counts(metric)], dtype=torch.float64)
        without, with_all = (0.5 + float(sound.flatten() @ weights) for sound in (absent, clips[row]))
        torch.testing.assert_close(curves.insertion[row], without + gained, rtol=0, atol=1e-12)
        torch.testing.assert_close(curves.deletion[row], with_all - gained, rtol=0, atol=1e-12)


@pytest.mark.parametrize("removal", [SILENCE, NOISE], ids=lambda removal: removal.name)
@EVERY_DOMAIN
def test_all_cells_are_the_clip_and_no_cells_are_the_removal(domain, removal) -> None:
    model, clips, targets, attributions = case(domain, dtype=torch.float32)
    metric = ResynthesisFaithfulness(domain, STFT, (removal,), steps=4)
    batch = Batch(model, clips, targets)
    sounds = _PartialSounds(metric, batch, _Order(metric, batch, attributions), removal)
    samples = torch.arange(3)
    everything = sounds._there(samples, torch.full((3,), metric.steps))
    torch.testing.assert_close(removal(clips) + everything, clips, rtol=0, atol=1e-5)
    torch.testing.assert_close(clips - everything, removal(clips), rtol=0, atol=1e-5)
    assert bool((sounds._there(samples, torch.zeros(3, dtype=torch.int64)) == 0).all())


class Recording(nn.Module):
    """Keeps the inputs that it passes on."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.met: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.met.append(inputs.clone())
        return self.inner(inputs)


def test_the_model_gets_sounds_whose_cells_are_of_either() -> None:
    model, clips, targets, attributions = case(batch=1)
    recording = Recording(model)
    metric = ResynthesisFaithfulness(STFT, STFT, (NOISE,), steps=4)
    metric(recording, clips, targets, attributions)
    met = torch.cat(recording.met)
    assert met.shape == (metric.passes(model, clips), 1, SAMPLES)
    insertion, deletion = slow_sounds(metric, NOISE, clips[0], attributions[0])
    expected = torch.cat([clips, NOISE(clips), torch.stack([insertion[1:-1], deletion[1:-1]], 1).flatten(0, 1)])
    torch.testing.assert_close(met, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(insertion + deletion, (clips + NOISE(clips)).expand_as(insertion), rtol=0, atol=1e-12)


def test_all_methods_meet_the_same_noise_and_share_its_passes() -> None:
    model, clips, targets, attributions = case()
    recording = Recording(model)
    batch = Batch(recording, clips, targets)
    for method in (attributions, -attributions):
        evaluate({"noise": replace(BOTH, removals=(NOISE,))}, batch, method)
    met = torch.cat(recording.met)
    inner = 2 * (BOTH.steps - 1)
    assert len(met) == 3 * (1 + 1 + inner + inner)
    torch.testing.assert_close(met[3:6], NOISE(clips), rtol=0, atol=0)


def test_the_opposite_order_has_the_opposite_score() -> None:
    model, clips, targets, attributions = case()
    forth, back = (BOTH.curves(model, clips, targets, sign * attributions) for sign in (1, -1))
    for one, other in zip(forth, back, strict=True):
        torch.testing.assert_close(one.difference, -other.difference, rtol=0, atol=1e-12)


def test_the_worst_removal_counts_clip_by_clip_and_nothing_is_asked_twice() -> None:
    inner, clips, targets, attributions = case(batch=8)
    model = Counting(inner)
    metrics = {
        "silence": replace(BOTH, removals=(SILENCE,)),
        "noise": replace(BOTH, removals=(NOISE,)),
        "worst": BOTH,
    }
    scores = evaluate(metrics, Batch(model, clips, targets), attributions)
    torch.testing.assert_close(scores["worst"], torch.minimum(scores["silence"], scores["noise"]), rtol=0, atol=0)
    # Otherwise the least over all clips would do as well.
    assert 0 < int((scores["silence"] < scores["noise"]).sum()) < 8
    assert model.counter.count == BOTH.passes(model, clips)
    alone = {name: metric(inner, clips, targets, attributions) for name, metric in metrics.items()}
    for name, values in alone.items():
        torch.testing.assert_close(scores[name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [2, 7])
@pytest.mark.parametrize("removals", [(SILENCE,), (SILENCE, NOISE)], ids=["one", "two"])
def test_takes_the_passes_it_says(steps, removals) -> None:
    inner, clips, targets, attributions = case()
    model = Counting(inner)
    metric = ResynthesisFaithfulness(STFT, STFT, removals, steps=steps)
    (outcome,) = run([begin(metric, Batch(model, clips, targets), attributions)])
    said = metric.passes(model, clips)
    assert model.counter.count == outcome.passes == said == 3 * (1 + len(removals) * (2 * steps - 1))


def test_one_inverse_transform_serves_two_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    model, clips, targets, attributions = case()
    synthesis = Stft.synthesis
    rows: list[int] = []

    def watched(own: Stft, values: Tensor) -> Tensor:
        rows.append(len(values))
        return synthesis(own, values)

    monkeypatch.setattr(Stft, "synthesis", watched)
    BOTH(model, clips, targets, attributions)
    assert sum(rows) == 3 * 2 * (BOTH.steps - 1)


def test_what_a_sample_needs_is_forgotten_when_calls_have_passed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 5 * SAMPLES)
    model, clips, targets, attributions = case(batch=6)
    batch = Batch(model, clips, targets)
    order = _Order(BOTH, batch, attributions)
    for removal, still_to_come in ((NOISE, True), (SILENCE, False)):
        sounds = _PartialSounds(BOTH, batch, order, removal)
        analysed = sounds._analysed
        met: list[int] = []

        def watched(rows: slice, analysed: Callable[[slice], Tensor] = analysed, met: list[int] = met) -> Tensor:
            met.extend(range(rows.start, rows.stop))
            return analysed(rows)

        monkeypatch.setattr(sounds, "_analysed", watched)
        work = sounds.responses().work
        for first in range(0, work.count, 5):
            work.make(torch.arange(first, min(first + 5, work.count)))
            assert len(sounds._kept) <= 2
        # Once each, in turn.
        assert met == list(range(6))
        assert len(sounds._kept) == 0
        assert (order._steps is not None) == still_to_come


@EVERY_DOMAIN
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_same_for_any_batch_order_and_call_size(domain, dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = replace(BOTH, domain=domain, steps=4)
    model, *given = case(domain, batch=5, dtype=dtype)
    together = metric(model, *given)
    assert len(torch.unique(together)) == 5
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    alone = [metric(model, *(part[row : row + 1] for part in given)) for row in range(5)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=tolerance)
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = metric(model, *(part[order] for part in given))
    torch.testing.assert_close(shuffled, together[order], rtol=0, atol=tolerance)
    for inputs_a_call in (1, 7, 1000):
        monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * SAMPLES)
        torch.testing.assert_close(metric(model, *given), together, rtol=0, atol=tolerance)


@given(exponent=st.integers(-20, 20), seed=st.integers(0, 99), steps=st.integers(2, 5))
@settings(deadline=None, max_examples=15)
def test_scores_know_no_scale_and_stay_in_their_range(exponent: int, seed: int, steps: int) -> None:
    model, clips, targets, _ = case()
    metric = replace(BOTH, steps=steps, seed=seed)
    attributions = draw(3, 1, *STFT.shape, seed=seed)
    scores = metric(model, clips, targets, attributions)
    assert bool((scores.abs() <= 1.0).all())
    assert torch.equal(metric(model, clips, targets, attributions * 2.0**exponent), scores)


def test_the_order_of_equal_cells_is_the_seeds_and_no_position_has_an_advantage() -> None:
    model, clips, targets, _ = case()
    attributions = torch.zeros(3, 1, *STFT.shape)
    attributions[..., 5, 5] = 1.0
    scores = [replace(BOTH, seed=seed)(model, clips, targets, attributions) for seed in (0, 0, 1)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    steps = BOTH.steps_of_bins(Batch(model, clips, targets), attributions)[0].double()
    assert int(steps[5, 5]) == 0
    halves = steps[:16].mean(), steps[17:].mean(), steps[:, :16].mean(), steps[:, 17:].mean()
    assert max(halves) - min(halves) < 0.4


def test_alike_everywhere_is_undefined_for_that_sample_only() -> None:
    model, clips, targets, attributions = case()
    before = BOTH(model, clips, targets, attributions)
    attributions[1] = 0.25
    after = BOTH(model, clips, targets, attributions)
    assert torch.isnan(after).tolist() == [False, True, False]
    assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_a_silent_clip_has_flat_curves() -> None:
    model, clips, targets, attributions = case()
    clips[0] = 0.0
    for curves in BOTH.curves(model, clips, targets, attributions):
        assert bool((curves.insertion[0] == curves.insertion[0, 0]).all())
        assert float(curves.difference[0]) == 0.0


def test_models_of_spectrograms_are_judged_behind_their_front_end() -> None:
    domain = KINDS[-1]
    metric = replace(BOTH, domain=domain)
    _, clips, targets, attributions = case(domain, dtype=torch.float32)
    body = tiny_cnn(dtype=torch.float32)
    scores = metric(nn.Sequential(FrontEnd(domain), body), clips, targets, attributions)
    whole = body(domain.analysis(clips)).softmax(1).gather(1, targets[:, None])[:, 0]
    (curves, _) = metric.curves(nn.Sequential(FrontEnd(domain), body), clips, targets, attributions)
    torch.testing.assert_close(curves.deletion[:, 0].float(), whole.detach(), rtol=1e-5, atol=1e-6)
    assert bool(scores.isfinite().all())


def test_everything_is_left_as_it_was() -> None:
    model, clips, targets, attributions = case()
    with_hooks_and_marks(model)
    attributions.requires_grad_(True)
    with nothing_touched(model, clips, attributions):
        scores = BOTH(model, clips, targets, attributions)
    assert not scores.requires_grad
    assert scores.dtype == torch.float64


def test_is_a_frozen_metric_with_a_configuration() -> None:
    assert isinstance(BOTH, Metric)
    with pytest.raises(FrozenInstanceError):
        BOTH.seed = 1  # type: ignore[misc]
    configuration = configuration_of(BOTH)
    assert json.loads(json.dumps(configuration)) == configuration
    assert [one["name"] for one in configuration["removals"]] == ["Silence", "SpeechShapedNoise"]
    assert [curve.removal for curve in BOTH.curves(*case())] == ["silence", "speech-shaped noise"]


def test_every_domain_of_sound_is_tried_here() -> None:
    # A spectrum of the whole clip has no cells in time, and levels below a clip's own maximum are the thesis' alone.
    assert {domain.name for domain in KINDS} == {*DOMAINS} - {Pixels.name, Rfft.name, PeakLogMel.name}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": Pixels(8, 8)}, "domain pixels cannot be listened to"),
        ({"domain": Waveform(RATE_HZ, 0.3)}, r"of 0.3 s at 2000 Hz but the stft of 0.2 s at 2000 Hz"),
        ({"domain": Waveform(4_000, CLIP_S)}, r"of 0.2 s at 4000 Hz but the stft of 0.2 s at 2000 Hz"),
        ({"removals": ()}, "removals are none"),
        ({"removals": (SILENCE, SILENCE)}, "removals are silence, silence; give at least one, all different"),
        ({"steps": 1}, "steps is 1; give 2 to 255"),
        ({"steps": 256}, "steps is 256; give 2 to 255"),
    ],
)
def test_impossible_designs_are_refused(changes, reason) -> None:
    with pytest.raises(UserError, match=reason):
        replace(BOTH, **changes)


def test_what_does_not_fit_is_refused_before_any_pass() -> None:
    inner, clips, targets, attributions = case()
    model = Counting(inner)
    wrong = [
        ((clips, attributions[:2]), r"attributions of \(2, 1, 33, 26\) but takes .* stft, \(3, 1, 33, 26\)"),
        ((clips, clips), r"inputs of shape \(3, 1, 400\) and attributions of \(3, 1, 400\)"),
        ((clips[..., :399], attributions), r"inputs of shape \(3, 1, 399\) .* takes waveforms of \(3, 1, 400\)"),
        ((clips, torch.complex(attributions, attributions)), "attributions of torch.complex128; give one real number"),
    ]
    for name, position in (("inputs", 0), ("attributions", 1)):
        damaged = clips.clone(), attributions.clone()
        damaged[position].view(3, -1)[1, 7] = math.nan
        wrong.append((damaged, f": {name} of sample 1 contain NaN or infinity"))
    for (inputs, given_attributions), reason in wrong:
        with pytest.raises(UserError, match=reason):
            BOTH(model, inputs, targets, given_attributions)
        with pytest.raises(UserError, match=reason):
            BOTH.curves(model, inputs, targets, given_attributions)
    assert model.counter.count == 0
