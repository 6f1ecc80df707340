"""The robustness family: slow twins, closed forms, what its metrics share, and where they are undefined."""

import math
import weakref
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers.metric_cases import MODELS, Gradient, Recorded, batch_of, case
from helpers.tiny_models import Counting, Function, Linear, draw, nothing_touched, with_hooks_and_marks
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.metrics.batch import Batch, begin, evaluate
from audioxai.metrics.engine import run
from audioxai.metrics.noise import RangeNoise, SignalNoise
from audioxai.metrics.patterns import Patterns
from audioxai.metrics.robustness import (
    AverageSensitivity,
    LocalLipschitz,
    MaximumSensitivity,
    RelativeInputStability,
    RobustnessMetric,
    noisy_explanations,
)
from audioxai.utils import hardware
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError

FAMILY: dict[str, type[RobustnessMetric]] = {
    "average sensitivity": AverageSensitivity,
    "maximum sensitivity": MaximumSensitivity,
    "local Lipschitz estimate": LocalLipschitz,
    "relative input stability": RelativeInputStability,
}
EVERY = pytest.mark.parametrize("name", FAMILY)
EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
DRAWS = 4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class UnevenNoise:
    """Uniform noise, eight times as strong for samples whose first cell is positive; nothing is at 0.25."""

    def draws(self, streams: Streams, features: int) -> Tensor:
        return streams.uniform(features)

    def strength(self, inputs: Tensor) -> Tensor:
        return torch.where(inputs.flatten(1)[:, 0] > 0, 0.5, 0.0625).to(inputs)

    def level(self, inputs: Tensor) -> Tensor:
        return inputs - 0.25

    def within(self, noisy: Tensor) -> Tensor:
        return noisy


def disturbances(inputs: Tensor) -> list[list[Tensor]]:
    """Disturbed inputs of every sample under every draw, one by one."""
    shape = inputs.shape[2:]
    patterns = Patterns(
        batch_of(inputs),
        ("sensitivity noise", 0),
        DRAWS,
        lambda streams: UnevenNoise().draws(streams, shape.numel()).reshape(-1, 1, *shape),
    )
    found = []
    for sample, offset in zip(inputs, patterns.offsets, strict=True):
        strength = 0.5 if sample.flatten()[0] > 0 else 0.0625
        own = [
            np.roll(patterns.drawn(draw).numpy(), (0, *offset.tolist()), range(sample.ndim)) for draw in range(DRAWS)
        ]
        found.append([sample + strength * torch.from_numpy(noise) for noise in own])
    return found


def root_mean_square(ratio: Array) -> float:
    return math.sqrt(np.mean(ratio**2))


def slow_score(
    name: str, model: nn.Module, sample: Tensor, target: Tensor, attribution: Tensor, others: list[Tensor]
) -> float:
    """Score of one sample by loops over its disturbed versions."""
    changes, slopes, stabilities = [], [], []
    a, x = attribution.flatten().numpy(), sample.flatten().numpy()
    for other in others:
        again, y = Gradient()(model, other[None], target[None]).flatten().numpy(), other.flatten().numpy()
        changes.append(np.linalg.norm(again - a) / np.linalg.norm(a))
        slopes.append(changes[-1] / root_mean_square(y - x))
        with torch.no_grad():
            unchanged = int(model(other[None]).argmax()) == int(model(sample[None]).argmax())
        if unchanged:
            kept = a != 0
            stability = root_mean_square((again[kept] - a[kept]) / a[kept]) / root_mean_square((y - x) / (x - 0.25))
            stabilities.append(stability)
    return float(
        {
            "average sensitivity": np.mean(changes),
            "maximum sensitivity": max(changes),
            "local Lipschitz estimate": max(slopes),
            "relative input stability": max(stabilities, default=math.nan),
        }[name]
    )


@EVERY
@EVERY_KIND
def test_is_the_slow_twin(name: str, kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    attributions[1, ..., 0] = 0.0  # cells without a relative change
    rows = zip(inputs, targets, attributions, disturbances(inputs), strict=True)
    expected = [slow_score(name, model, *row) for row in rows]
    assert max(expected) > 1.01 * min(expected)
    scores = FAMILY[name](Gradient(), cast(Any, UnevenNoise()), DRAWS)(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-10)


@EVERY
@pytest.mark.parametrize("noise", [SignalNoise(10.0), RangeNoise(0.1)])
@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9), (1, 1, 2)])
def test_the_gradient_of_a_linear_model_does_not_change_at_all(
    name: str, noise: SignalNoise | RangeNoise, shape: tuple[int, ...]
) -> None:
    model, inputs = Linear(3, *shape), draw(4, *shape, seed=5)
    model.bias.data = torch.tensor([1e3, 0.0, 0.0], dtype=torch.float64)  # so that no disturbance turns the prediction
    targets = torch.tensor([2, 0, 1, 2])
    attributions = Gradient()(model, inputs, targets)
    assert FAMILY[name](Gradient(), noise)(model, inputs, targets, attributions).tolist() == [0.0] * 4


def square(inputs: Tensor) -> Tensor:
    """Half the squared length, whose gradient is the input, and a class that is never predicted."""
    half = inputs.flatten(1).square().sum(1) / 2
    return torch.stack([half, torch.zeros_like(half)], dim=1)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_closed_forms_where_the_map_is_the_input(snr_db: float) -> None:
    model, inputs, targets = Function(square), draw(3, 1, 50, 50), torch.zeros(3, dtype=torch.int64)
    scores = evaluate(
        {name: made(Gradient(), SignalNoise(snr_db), 20) for name, made in FAMILY.items()},
        Batch(model, inputs, targets),
        inputs,
    )
    ratio = torch.full((3,), 10 ** (-snr_db / 20)).double()
    torch.testing.assert_close(scores["average sensitivity"], ratio, rtol=0.01, atol=0)
    torch.testing.assert_close(scores["maximum sensitivity"], ratio, rtol=0.05, atol=0)
    # ‖ε‖ / ‖x‖ over the root mean square of ε is one over the root mean square of x, whatever the noise.
    lipschitz = 1 / inputs.flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(scores["local Lipschitz estimate"], lipschitz, rtol=1e-12, atol=0)
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(scores["relative input stability"], ones, rtol=1e-12, atol=0)


def test_the_largest_is_no_smaller_than_the_mean_and_grows_with_the_draws() -> None:
    given_ = case("image")
    few, many = (MaximumSensitivity(Gradient(), RangeNoise(), draws)(*given_) for draws in (3, 12))
    assert bool((few >= AverageSensitivity(Gradient(), RangeNoise(), 3)(*given_)).all())
    assert bool((many >= few).all())
    assert bool((many > few).any())


@EVERY
@EVERY_KIND
@given(exponent=st.floats(-6, 6))
@settings(deadline=None, max_examples=5)
def test_knows_no_scale_of_the_attributions(name: str, kind: str, exponent: float) -> None:
    model, inputs, targets, attributions = case(kind)
    factor = 10.0**exponent
    expected = FAMILY[name](Gradient(), RangeNoise(), 3)(model, inputs, targets, attributions)
    scores = FAMILY[name](Gradient(factor), RangeNoise(), 3)(model, inputs, targets, factor * attributions)
    torch.testing.assert_close(scores, expected, rtol=1e-9, atol=0)


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("inputs_a_call", [1, 7, 1000])
def test_is_the_same_for_any_batch_order_and_call_size(
    name: str, kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = case(kind)
    metric = FAMILY[name](Gradient(), RangeNoise(), 3)
    expected = metric(model, inputs, targets, attributions)
    assert len(torch.unique(expected)) == 5
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
    order = torch.tensor([3, 0, 4, 2, 1])
    again = metric(model, inputs[order], targets[order], attributions[order])
    torch.testing.assert_close(again, expected[order], rtol=1e-12, atol=1e-12)
    alone = torch.cat([metric(model, inputs[[row]], targets[[row]], attributions[[row]]) for row in range(5)])
    torch.testing.assert_close(alone, expected, rtol=1e-12, atol=1e-12)


def test_all_together_cost_the_explanations_of_one() -> None:
    inner, inputs, targets, attributions = case("image")
    model, explainer = Counting(inner), Gradient()
    family = {name: made(explainer, RangeNoise(), 3) for name, made in FAMILY.items()}
    expected = {name: metric(inner, inputs, targets, attributions) for name, metric in family.items()}
    batch = Batch(model, inputs, targets)
    scores = evaluate(family, batch, attributions)
    # Three explanations of each sample, and its prediction as it is and under each disturbance.
    assert model.counter.count == 5 * (3 + 1 + 3)
    for name, found in scores.items():
        assert torch.equal(found, expected[name])
    # Asked again, the disturbed explanations are gone; they are made again, not left out.
    assert torch.equal(evaluate(family, batch, attributions)["average sensitivity"], expected["average sensitivity"])


def test_several_methods_on_one_batch_keep_to_themselves() -> None:
    model, inputs, targets, attributions = case("image")
    first, second = Gradient(), Gradient(2.0)
    judged = [(first, attributions), (first, attributions + 0.1), (second, attributions)]
    metrics = [AverageSensitivity(explainer, RangeNoise(), 3) for explainer, _ in judged]
    batch = Batch(model, inputs, targets)
    outcomes = run([begin(metric, batch, maps) for metric, (_, maps) in zip(metrics, judged, strict=True)])
    for outcome, metric, (_, maps) in zip(outcomes, metrics, judged, strict=True):
        assert torch.equal(outcome.scores, metric(model, inputs, targets, maps))
    assert len({outcome.scores[0].item() for outcome in outcomes}) == 3
    first_seed, second_seed = (noisy_explanations(batch, first, RangeNoise(), 3, seed) for seed in (0, 1))
    assert first_seed is not second_seed


@EVERY
@EVERY_KIND
def test_takes_the_passes_it_says_and_leaves_everything_as_it_was(name: str, kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    model = Counting(inner)
    metric = FAMILY[name](Gradient(), RangeNoise(), 3)
    with_hooks_and_marks(inner)
    with nothing_touched(inner, inputs, targets, attributions):
        metric(model, inputs, targets, attributions)
    assert model.counter.count == metric.passes(model, inputs)


@EVERY
def test_maps_held_do_not_grow_with_the_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, attributions = case("image")
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 4 * inputs[0].numel())
    made: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    @dataclass(frozen=True)
    class Watched(Gradient):
        def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            alive.append(sum(reference() is not None for reference in made))
            maps = super().__call__(model, inputs, targets)
            made.append(weakref.ref(maps))
            return maps

    FAMILY[name](Watched(), RangeNoise(), 40)(model, inputs, targets, attributions)
    assert len(alive) == 50
    assert max(alive) <= 1


@EVERY
def test_a_map_that_is_all_zero_is_undefined_for_that_sample_only(name: str) -> None:
    model, inputs, targets, attributions = case("image")
    metric = FAMILY[name](Gradient(), RangeNoise(), 3)
    expected = metric(model, inputs, targets, attributions)
    attributions[1] = 0.0
    scores = metric(model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, True, False, False, False]
    assert torch.equal(scores[[0, 2, 3, 4]], expected[[0, 2, 3, 4]])


@EVERY
def test_silence_is_not_disturbed_and_so_undefined(name: str) -> None:
    model, inputs, targets, attributions = case("image")
    inputs[2] = -80.0
    noise = SignalNoise(20.0, silence_value=-80.0)
    assert float(noise.strength(inputs)[2]) == 0.0
    scores = FAMILY[name](Gradient(), noise, 3)(model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("fraction", [0.0, -0.05, float("nan"), float("inf")])
def test_noise_without_a_strength_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match=f"fraction is {fraction}; give"):
        RangeNoise(fraction)
    if not np.isfinite(fraction):
        with pytest.raises(UserError, match=f"snr_db is {fraction}"):
            SignalNoise(fraction)


def test_disturbances_that_change_the_prediction_are_left_out_of_stability() -> None:
    # Class 1 is predicted where the first cell is positive: by a hair for sample 0, safely for sample 1.
    def logits(inputs: Tensor) -> Tensor:
        first = inputs.flatten(1)[:, 0]
        return torch.stack([torch.zeros_like(first), first + 1e-9 * inputs.flatten(1).square().sum(1)], dim=1)

    inputs, targets = draw(2, 1, 30), torch.tensor([1, 1])
    inputs[0, 0, 0], inputs[1, 0, 0] = 1e-12, 5.0
    metric = RelativeInputStability(Recorded(draw(1, 30, seed=3)), RangeNoise(0.5), 40)
    made = metric(Function(logits), inputs, targets, torch.ones_like(inputs))
    assert bool(made.isfinite().all())
    half = 0.5 * (inputs[0].max() - inputs[0].min())
    patterns = Patterns(
        batch_of(inputs), ("sensitivity noise", 0), 40, lambda streams: RangeNoise().draws(streams, 30)[:, None]
    )
    zeros = torch.zeros(40, dtype=torch.int64)
    others = inputs[0] + half * patterns(zeros, torch.arange(40))
    kept = others[logits(others).argmax(1) == 1]
    assert 5 < len(kept) < 35
    change = (metric.explainer.map - 1.0).square().mean().sqrt()  # type: ignore[attr-defined]
    largest = max(change / ((other - inputs[0]) / inputs[0]).square().mean().sqrt() for other in kept)
    torch.testing.assert_close(made[0], largest, rtol=1e-12, atol=0)


def test_stability_without_an_unchanged_prediction_is_undefined() -> None:
    # Class 0 where nothing is disturbed, class 1 everywhere else.
    inputs = draw(2, 1, 9)

    def logits(given: Tensor) -> Tensor:
        plain = (given[:, None] == inputs[None]).flatten(2).all(2).any(1)
        return torch.stack([plain, ~plain], dim=1).double()

    metric = RelativeInputStability(Recorded(draw(1, 9, seed=1)), RangeNoise(), 3)
    scores = metric(Function(logits), inputs, torch.tensor([0, 1]), draw(2, 1, 9, seed=2))
    assert bool(scores.isnan().all())


@EVERY
def test_no_draws_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="draws is 0"):
        FAMILY[name](Gradient(), RangeNoise(), 0)
