"""Doubling: every sample stops by itself, what it spent and missed is kept, and memory follows the size of a call."""

import weakref

import pytest
import torch
from helpers.tiny_models import Function, draw, tiny_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioxai.baselines import Constant, References
from audioxai.utils.errors import UserError
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import FadeIn, FromDrawn, Path, Straight
from audioxai.xai_methods.quadrature import Doubling, Midpoint, Trapezoid

ZERO = Straight(Constant(0.0))
LEVELS = (-40.0 + 15.0 * draw(6, 1, 12, 10, seed=2)).clamp(-80.0, 0.0)
TARGETS = torch.arange(6) % 3


def powers(inputs: Tensor) -> Tensor:
    """Σ x^k with the power k of each sample as its first cell says: easy and hard paths in one batch."""
    exponents = inputs.flatten(1)[:, :1].detach()
    return (inputs.flatten(1)[:, 1:].abs() ** exponents.clamp_min(1.0)).sum(1, keepdim=True).expand(-1, 3)


class Watched(nn.Module):
    """Notes how many inputs every call took."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.sizes: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.sizes.append(len(inputs))
        return self.inner(inputs)


@pytest.mark.parametrize("path", [ZERO, FadeIn(-80.0)], ids=["straight", "fade-in"])
@pytest.mark.parametrize("tolerance", [0.3, 0.02, 0.001])
def test_every_sample_stops_where_its_own_gap_is_small_enough(path: Path, tolerance: float) -> None:
    model, rule = tiny_cnn(), Doubling(tolerance, first_steps=2, doublings=6)
    integral = PathIntegral(path, rule).attribute(model, LEVELS, TARGETS)
    for row in range(6):
        alone = PathIntegral(path, rule).attribute(model, LEVELS[[row]], TARGETS[[row]])
        torch.testing.assert_close(integral.attributions[[row]], alone.attributions, rtol=1e-10, atol=1e-13)
        assert int(integral.gradients[row]) == int(alone.gradients[0]) == slowly(model, row, path, rule)
    most = PathIntegral(path, rule).passes(LEVELS[:1]) - 2
    within = integral.gap <= tolerance
    assert bool((within | (integral.gradients == most)).all())
    assert bool(within[integral.gradients < most].all())


def slowly(model: nn.Module, row: int, path: Path, rule: Doubling) -> int:
    """Gradients after which the gap of one sample is small enough, each estimate made from fixed rules anew."""
    sample, target = LEVELS[[row]], TARGETS[[row]]
    first = PathIntegral(path, Midpoint(rule.first_steps)).attribute(model, sample, target)
    spent, estimate = rule.first_steps, first.attributions
    for doubling in range(rule.doublings + 1):
        missing = float((estimate.sum() - first.change).abs() / first.change.abs())
        if missing <= rule.tolerance or doubling == rule.doublings:
            return spent
        if isinstance(path, Straight):
            # All gradients so far and the new ones are one trapezoid rule.
            estimate = PathIntegral(path, Trapezoid(rule.first_steps * 2 ** (doubling + 1)))(model, sample, target)
            spent = rule.first_steps * 2 ** (doubling + 1) + 1
        else:
            steps = rule.first_steps * 2 ** (doubling + 1)
            estimate = PathIntegral(path, Midpoint(steps))(model, sample, target)
            spent += steps
    raise AssertionError


def test_only_unfinished_samples_go_on() -> None:
    inputs = draw(5, 1, 6).abs()
    inputs[:, 0, 0] = torch.tensor([1.0, 1.0, 1.0, 9.0, 1.0])
    path, rule = Straight(FirstCellKept()), Doubling(0.001, first_steps=2, doublings=5)
    model = Watched(Function(powers))
    integral = PathIntegral(path, rule).attribute(model, inputs, torch.zeros(5, dtype=torch.int64))
    # Linear samples are done after the first estimate; the steep one alone goes on.
    assert integral.gradients.tolist() == [2, 2, 2, int(integral.gradients[3]), 2]
    assert int(integral.gradients[3]) > 8
    # Two ends of each path, and the gradients, and the one pass that finds outputs in [0, 1] to be no probabilities.
    # Both ends of five paths, and one more call that looks for a sigmoid at the end of the model.
    assert sum(model.sizes) == 2 * 5 + int(integral.gradients.sum()) + 5
    torch.testing.assert_close(
        integral.change, Function(powers)(inputs)[:, 0] - Function(powers)(first_kept(inputs))[:, 0]
    )


def first_kept(inputs: Tensor) -> Tensor:
    kept = torch.zeros_like(inputs)
    kept[..., 0] = inputs[..., 0]
    return kept


class FirstCellKept:
    """Nothing but the first cell."""

    name = "first cell"

    def __call__(self, inputs: Tensor) -> Tensor:
        return first_kept(inputs)


@settings(deadline=None, max_examples=10)
@given(internal_batch_size=st.integers(1, 40))
def test_a_call_may_be_smaller_than_the_batch_and_changes_nothing(internal_batch_size: int) -> None:
    rule = Doubling(0.01, first_steps=2, doublings=4)
    expected = PathIntegral(ZERO, rule).attribute(tiny_cnn(), LEVELS, TARGETS)
    model = Watched(tiny_cnn())
    integral = PathIntegral(ZERO, rule).attribute(model, LEVELS, TARGETS, internal_batch_size)
    assert max(model.sizes) <= internal_batch_size
    assert integral.gradients.tolist() == expected.gradients.tolist()
    torch.testing.assert_close(integral.attributions, expected.attributions, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("rule", [Midpoint(10), Midpoint(100), Doubling(0.0001, 4, 5)])
@pytest.mark.parametrize("internal_batch_size", [1, 4, 9])
def test_points_alive_at_once_follow_the_call_not_the_steps(
    rule: Midpoint | Doubling, internal_batch_size: int
) -> None:
    points: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    inner = tiny_cnn()

    def watched(inputs: Tensor) -> Tensor:
        points.append(weakref.ref(inputs))
        alive.append(sum(len(point) for point in (reference() for reference in points) if point is not None))
        return inner(inputs)

    PathIntegral(ZERO, rule).attribute(Function(watched), LEVELS, TARGETS, internal_batch_size)
    assert len(points) > 6
    # Those of this call and at most those of the one before, whose names are still in use.
    assert max(alive) <= 2 * internal_batch_size


def test_random_paths_double_too_and_the_mean_is_kept() -> None:
    references = References.of(LEVELS + 1.0, 4)
    integral = PathIntegral(FromDrawn(references), Doubling(0.05, 2, 6), draws=3).attribute(tiny_cnn(), LEVELS, TARGETS)
    change = torch.zeros(6, dtype=torch.float64)
    with torch.no_grad():
        for number in range(3):
            for inputs, sign in ((LEVELS, 1.0), (references.drawn(LEVELS, number), -1.0)):
                change += sign * tiny_cnn()(inputs).gather(1, TARGETS[:, None])[:, 0] / 3.0
    torch.testing.assert_close(integral.change, change)
    assert int(integral.gradients.min()) >= 6


@pytest.mark.parametrize("first_steps", [1, 3])
def test_estimates_are_trapezoid_and_midpoint_rules_with_nothing_thrown_away(first_steps: int) -> None:
    stages = list(Doubling(0.1, first_steps, 3).nested())
    nodes = torch.cat([stage.partition.nodes for stage in stages]).sort().values
    assert len(nodes) == len(torch.unique(nodes))
    torch.testing.assert_close(nodes, torch.linspace(0.0, 1.0, 8 * first_steps + 1, dtype=torch.float64))
    assert [stage.kept for stage in stages] == [0.0, 0.5, 0.5, 0.5]
    anew = list(Doubling(0.1, first_steps, 3).anew())
    assert [(len(stage.partition), stage.kept) for stage in anew] == [(first_steps * 2**k, 0.0) for k in range(4)]


@pytest.mark.parametrize("path", [ZERO, FadeIn(-80.0)], ids=["straight", "fade-in"])
def test_a_sample_that_never_gets_there_ends_with_the_finest_fixed_rule(path: Path) -> None:
    model, rule = tiny_cnn(), Doubling(1e-12, first_steps=3, doublings=4)
    integral = PathIntegral(path, rule).attribute(model, LEVELS, TARGETS)
    finest = Trapezoid(48) if path is ZERO else Midpoint(48)
    expected = PathIntegral(path, finest)(model, LEVELS, TARGETS)
    torch.testing.assert_close(integral.attributions, expected, rtol=1e-9, atol=1e-12)


def test_a_call_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="internal_batch_size is 0"):
        PathIntegral(ZERO).attribute(tiny_cnn(), LEVELS, TARGETS, 0)
