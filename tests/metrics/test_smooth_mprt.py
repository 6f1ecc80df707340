"""Smooth and efficient model-parameter randomisation against slow twins, closed forms and where they are undefined."""

import math
import weakref

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.metric_cases import MODELS, Gradient, Recorded, batch_of, case
from helpers.tiny_models import Counting, draw, nothing_touched, with_hooks_and_marks
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.metrics.batch import PassMetric
from audioxai.metrics.noise import RangeNoise, SignalNoise
from audioxai.metrics.patterns import Patterns
from audioxai.metrics.randomisation import (
    EfficientMprt,
    ModelParameterRandomisation,
    SmoothMprt,
    cascade,
    histogram_entropy,
)
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
BOTH = pytest.mark.parametrize(
    "metric", [SmoothMprt(Gradient(), RangeNoise(), 3), EfficientMprt(Gradient(), 20)], ids=["smooth", "efficient"]
)
NOISE = RangeNoise(0.25)


def smoothed_slowly(model: nn.Module, sample: Tensor, target: Tensor, plain: Tensor, noises: list[Tensor]) -> Tensor:
    """Mean of an explanation and those of disturbed versions of one sample."""
    strength = 0.25 * (sample.max() - sample.min())
    others = [Gradient()(model, (sample + strength * noise)[None], target[None])[0] for noise in noises]
    return torch.stack([plain, *others]).mean(0)


@EVERY_KIND
def test_smooth_is_the_slow_twin(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    shape = inputs.shape[2:]
    patterns = Patterns(
        batch_of(inputs),
        ("smoothing noise", 0),
        4,
        lambda streams: NOISE.draws(streams, shape.numel()).reshape(-1, 1, *shape).to(inputs),
    )
    expected = []
    for sample, target, given_, offset in zip(inputs, targets, attributions, patterns.offsets, strict=True):
        noises = [
            torch.from_numpy(np.roll(patterns.drawn(draw_).numpy(), (0, *offset.tolist()), range(sample.ndim)))
            for draw_ in (1, 2, 3)
        ]
        original = smoothed_slowly(model, sample, target, given_, noises).abs().flatten()
        scores = []
        for randomised in cascade(model, 0, bottom_up=True):
            plain = Gradient()(randomised.eval(), sample[None], target[None])[0]
            again = smoothed_slowly(randomised, sample, target, plain, noises).abs().flatten()
            scores.append(scipy.stats.spearmanr(original.numpy(), again.numpy()).statistic)
        expected.append(np.mean(scores))
    assert len(set(expected)) == 5
    found = SmoothMprt(Gradient(), NOISE, draws=4)(model, inputs, targets, attributions)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def entropy_slowly(map_: NDArray[np.float64], bins: int) -> float:
    return float(scipy.stats.entropy(np.histogram(map_, bins)[0]))


@EVERY_KIND
@pytest.mark.parametrize("bins", [2, 7, 100])
def test_efficient_is_the_slow_twin(kind: str, bins: int) -> None:
    model, inputs, targets, attributions = case(kind)
    *_, last = cascade(model, 0)
    again = Gradient()(last.eval(), inputs, targets)
    expected = []
    for before, after in zip(attributions.numpy(), again.numpy(), strict=True):
        entropy = entropy_slowly(before, bins)
        expected.append((entropy_slowly(after, bins) - entropy) / entropy)
    scores = EfficientMprt(Gradient(), bins)(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-12)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=40).filter(lambda values: len(set(values)) > 1))
@settings(deadline=None)
def test_histogram_entropy_is_scipys(values: list[int]) -> None:
    # A number of bins that puts no number on an edge but the two ends.
    bins = next(prime for prime in (103, 107, 109) if (max(values) - min(values)) % prime)
    (entropy,) = histogram_entropy(torch.tensor([values], dtype=torch.float64), bins).tolist()
    assert abs(entropy - entropy_slowly(np.array(values, dtype=np.float64), bins)) < 1e-12
    (moved,) = histogram_entropy(2.0 * torch.tensor([values], dtype=torch.float64) + 3.0, bins).tolist()
    assert moved == entropy


def test_closed_forms_of_the_entropy() -> None:
    maps = torch.tensor([[0.0, 0, 0, 1], [0, 1, 2, 3], [1, 1, 1, 1], [0, 0, 5, 5]])
    expected = torch.tensor([-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), math.log(4), math.nan, math.log(2)])
    torch.testing.assert_close(histogram_entropy(maps, 100), expected.double(), equal_nan=True)


def test_one_draw_is_no_smoothing() -> None:
    model, inputs, targets, attributions = case("image")
    scores = SmoothMprt(Gradient(), NOISE, draws=1)(model, inputs, targets, attributions)
    per_model = []
    for randomised in cascade(model, 0, bottom_up=True):
        again = Gradient()(randomised.eval(), inputs, targets).abs().flatten(1).numpy()
        rows = zip(attributions.abs().flatten(1).numpy(), again, strict=True)
        per_model.append([scipy.stats.spearmanr(*pair).statistic for pair in rows])
    np.testing.assert_allclose(scores.numpy(), np.mean(per_model, axis=0), rtol=0, atol=1e-12)


def test_attributions_that_know_no_model_score_one_or_no_rise() -> None:
    model, inputs, targets, _ = case("image")
    blind = Recorded(draw(1, 12, 10, seed=8))
    attributions = blind(model, inputs, targets)
    smooth = SmoothMprt(blind, SignalNoise(), 3)(model, inputs, targets, attributions)
    torch.testing.assert_close(smooth, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert EfficientMprt(blind)(model, inputs, targets, attributions).tolist() == [0.0] * 5


def test_smooth_and_plain_agree_where_noise_changes_nothing() -> None:
    model, inputs, targets, attributions = case("image")
    smooth = SmoothMprt(Gradient(), RangeNoise(1e-30), 3)(model, inputs, targets, attributions)
    unsmoothed = SmoothMprt(Gradient(), RangeNoise(), 1)(model, inputs, targets, attributions)
    torch.testing.assert_close(smooth, unsmoothed, rtol=0, atol=1e-12)
    assert not torch.equal(ModelParameterRandomisation(Gradient())(model, inputs, targets, attributions), smooth)


@BOTH
@EVERY_KIND
@pytest.mark.parametrize("inputs_a_call", [1, 7, 1000])
def test_is_the_same_for_any_batch_order_and_call_size(
    metric: PassMetric, kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = case(kind)
    expected = metric(model, inputs, targets, attributions)
    assert len(torch.unique(expected)) == 5
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
    order = torch.tensor([3, 0, 4, 2, 1])
    again = metric(model, inputs[order], targets[order], attributions[order])
    torch.testing.assert_close(again, expected[order], rtol=1e-10, atol=1e-10)
    alone = torch.cat([metric(model, inputs[[row]], targets[[row]], attributions[[row]]) for row in range(5)])
    torch.testing.assert_close(alone, expected, rtol=1e-10, atol=1e-10)


@BOTH
@EVERY_KIND
def test_takes_the_passes_it_says_and_leaves_everything_as_it_was(metric: PassMetric, kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    model = Counting(inner)
    with_hooks_and_marks(inner)
    with nothing_touched(inner, inputs, targets, attributions):
        metric(model, inputs, targets, attributions)
    assert model.counter.count == metric.passes(model, inputs)


def test_maps_held_do_not_grow_with_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, attributions = case("image")
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 5 * inputs[0].numel())
    made: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    class Watched(Gradient):
        def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            alive.append(sum(reference() is not None for reference in made))
            maps = super().__call__(model, inputs, targets)
            made.append(weakref.ref(maps))
            return maps

    SmoothMprt(Watched(), RangeNoise(), 10)(model, inputs, targets, attributions)
    assert len(alive) == 9 + 4 * 10
    assert max(alive) <= 1


@BOTH
@pytest.mark.parametrize("value", [0.0, -0.1])
def test_a_constant_map_is_undefined_for_that_sample_only(metric: PassMetric, value: float) -> None:
    model, inputs, targets, attributions = case("image")
    expected = metric(model, inputs, targets, attributions)
    attributions[1] = value
    scores = metric(model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, True, False, False, False]
    assert torch.equal(scores[[0, 2, 3, 4]], expected[[0, 2, 3, 4]])


def test_a_random_model_with_constant_maps_leaves_the_score_undefined() -> None:
    model, inputs, targets, attributions = case("image")
    flat = Recorded(torch.ones(1, 12, 10, dtype=torch.float64))
    for metric in (SmoothMprt(flat, RangeNoise(), 2), EfficientMprt(flat)):
        assert bool(metric(model, inputs, targets, attributions).isnan().all())


@BOTH
def test_another_seed_is_another_experiment(metric: PassMetric) -> None:
    given_ = case("image")
    other = type(metric)(**{**vars(metric), "seed": 1})
    assert not torch.equal(metric(*given_), other(*given_))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UserError, match="draws is 0"):
        SmoothMprt(Gradient(), RangeNoise(), 0)
    with pytest.raises(UserError, match="bins is 1"):
        EfficientMprt(Gradient(), 1)
    model, inputs = nn.Sequential(nn.Flatten(), nn.ReLU()), torch.ones(2, 1, 8, 8)
    for metric in (SmoothMprt(Gradient(), RangeNoise(), 2), EfficientMprt(Gradient())):
        with pytest.raises(UserError, match="has no parameters"):
            metric(model, inputs, torch.tensor([0, 1]), inputs)
