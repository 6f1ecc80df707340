"""Guided Integrated Gradients and IDGI against their algorithms, written out sample by sample."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.explainer_cases import BASELINE, MODELS, case
from helpers.tiny_models import Function, Linear, draw, gradient_at
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from audioxai.baselines import Constant
from audioxai.utils import hardware
from audioxai.utils.errors import UserError
from audioxai.xai_methods.ig_variants import BaselineMethod, GuidedIntegratedGradients, Idgi
from audioxai.xai_methods.scores import LogOdds, Margin

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
EVERY_METHOD = pytest.mark.parametrize("method", [GuidedIntegratedGradients, Idgi])


def gradient_of(model: nn.Module, target: int) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Score and its gradient at one point, one call each."""

    def at(point: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(point)[None].clone().requires_grad_(True)
        score = model(leaf)[0, target]
        score.backward()
        return float(score.detach()), gradient_at(leaf)[0].numpy()

    return at


def idgi_slowly(at: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, end: np.ndarray, points: int):
    total = np.zeros_like(end)
    for j in range(points - 1):
        here, gradient = at(start + j / (points - 1) * (end - start))
        there, _ = at(start + (j + 1) / (points - 1) * (end - start))
        total += gradient**2 * (there - here) / (gradient**2).sum()
    return total


def guided_slowly(
    at: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    end: np.ndarray,
    steps: int,
    fraction: float,
    leash: float,
) -> np.ndarray:
    """Algorithm 1 of the paper, cell by cell where it says "for all"."""
    shape, start, end = end.shape, start.ravel(), end.ravel()
    point, total = start.copy(), np.zeros_like(end)
    distance = np.abs(end - start).sum()
    for step in range(1, steps + 1):
        share = step / steps
        nearest, farthest = max(share - leash, 0.0), min(share + leash, 1.0)
        gradient = at(point.reshape(shape))[1].ravel()
        old = point.copy()
        for i in range(len(point)):
            if end[i] != start[i] and (point[i] - start[i]) / (end[i] - start[i]) < nearest:
                point[i] = start[i] + nearest * (end[i] - start[i])
        stop = start + farthest * (end - start)
        while True:
            left = np.abs(end - point).sum() - distance * (1.0 - share)
            if left <= 1e-12 * distance:
                break
            candidates = np.where(point == stop, np.inf, np.abs(gradient))
            threshold = np.sort(candidates)[int(fraction * (len(point) - 1))]
            moving = (candidates <= threshold) & np.isfinite(candidates)
            reach = np.abs(stop - point)[moving].sum()
            if reach > left:
                point[moving] += left / reach * (stop - point)[moving]
                break
            point[moving] = stop[moving]
        total += gradient * (point - old)
    return total.reshape(shape)


@EVERY_KIND
@pytest.mark.parametrize("points", [2, 3, 9])
def test_idgi_is_the_slow_sum(kind: str, points: int) -> None:
    model, inputs, targets = case(kind)
    attributions = Idgi(BASELINE, points)(model, inputs, targets)
    for row, target in enumerate(targets.tolist()):
        start = np.full(inputs[row].shape, BASELINE.value)
        expected = idgi_slowly(gradient_of(model, target), start, inputs[row].numpy(), points)
        np.testing.assert_allclose(attributions[row].numpy(), expected, rtol=1e-9, atol=1e-12)


@EVERY_KIND
@pytest.mark.parametrize(("fraction", "leash"), [(0.25, 0.02), (0.1, 0.3), (1.0, 0.02), (0.25, 1.0), (0.25, 0.0)])
def test_guided_is_the_slow_algorithm(kind: str, fraction: float, leash: float) -> None:
    model, inputs, targets = case(kind, batch=3)
    # A cell without any way to go, too.
    inputs[0].view(-1)[4] = BASELINE.value
    attributions = GuidedIntegratedGradients(BASELINE, 7, fraction=fraction, leash=leash)(model, inputs, targets)
    for row, target in enumerate(targets.tolist()):
        start = np.full(inputs[row].shape, BASELINE.value)
        expected = guided_slowly(gradient_of(model, target), start, inputs[row].numpy(), 7, fraction, leash)
        np.testing.assert_allclose(attributions[row].numpy(), expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@EVERY_KIND
def test_guided_on_no_leash_is_gradients_on_the_straight_line(kind: str) -> None:
    # With a leash of 0 every cell is where the straight line is, and gradients are those at the left edges.
    model, inputs, targets = case(kind)
    attributions = GuidedIntegratedGradients(BASELINE, 8, leash=0.0)(model, inputs, targets)
    expected = torch.zeros_like(inputs)
    for step in range(8):
        point = (BASELINE.value + step / 8 * (inputs - BASELINE.value)).requires_grad_(True)
        model(point).gather(1, targets[:, None]).sum().backward()
        expected += gradient_at(point) * (inputs - BASELINE.value) / 8
    torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-12)


@EVERY_KIND
def test_idgi_is_complete_whatever_the_points(kind: str) -> None:
    assert float(Idgi(BASELINE, 5).attribute(*case(kind)).gap.max()) < 1e-12


def test_guided_is_complete_to_first_order_on_a_smooth_model() -> None:
    # On kinks it need not be: cells of small gradient slide along them, and every step sees the same side.
    linear, (_, inputs, targets) = Linear(3, 1, 12, 10), case("image")
    smooth = Function(lambda x: (0.3 * linear(x)).sin() + 0.05 * linear(x.square()))
    missing = []
    for gradients in (20, 320):
        integral = GuidedIntegratedGradients(BASELINE, gradients).attribute(smooth, inputs, targets)
        missing.append(float((integral.attributions.flatten(1).sum(1) - integral.change).abs().max()))
        assert integral.gradients.tolist() == [gradients] * len(inputs)
    assert missing[1] < 0.02 * float(integral.change.abs().max())
    assert missing[1] < missing[0] / 4


@EVERY_METHOD
@EVERY_KIND
@settings(deadline=None, max_examples=6)
@given(size=st.integers(1, 12))
def test_does_not_depend_on_calls_batches_and_order(kind: str, method: type[BaselineMethod], size: int) -> None:
    model, inputs, targets = case(kind)
    explainer = method(BASELINE, 5)
    expected = explainer(model, inputs, targets)
    integral = explainer.attribute(model, inputs, targets, internal_batch_size=size)
    torch.testing.assert_close(integral.attributions, expected, rtol=1e-10, atol=1e-13)
    order = torch.tensor([3, 0])
    torch.testing.assert_close(explainer(model, inputs[order], targets[order]), expected[order], rtol=1e-10, atol=1e-13)


@EVERY_METHOD
def test_each_gradient_is_counted(method: type[BaselineMethod], monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets = case("image")
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 3 * inputs[0].numel())
    for explained in (LogOdds(), Margin()):
        sizes.clear()
        explainer = method(BASELINE, 6, explained)
        explainer(model, inputs, targets)
        assert sum(sizes) == explainer.passes(inputs)
        assert max(sizes) <= 3


@EVERY_METHOD
def test_a_linear_model_is_explained_as_its_definition_says(method: type[BaselineMethod]) -> None:
    model, inputs, targets = Linear(3, 1, 4, 5), draw(4, 1, 4, 5), torch.tensor([0, 1, 2, 0])
    weights = model.weights[targets].detach()
    share = weights**2 / (weights**2).flatten(1).sum(1)[:, None, None, None]
    whole = (weights * (inputs - BASELINE.value)).flatten(1).sum(1)[:, None, None, None]
    expected = weights * (inputs - BASELINE.value) if method is GuidedIntegratedGradients else share * whole
    torch.testing.assert_close(method(BASELINE, 4)(model, inputs, targets), expected, rtol=1e-9, atol=1e-11)


@EVERY_METHOD
def test_nothing_on_the_way_is_worth_nothing(method: type[BaselineMethod]) -> None:
    model, inputs, targets = case("image")
    flat = torch.full_like(inputs, 0.5)
    integral = method(Constant(0.5), 4).attribute(model, flat, targets)
    assert not integral.attributions.any()
    assert not integral.gap.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Idgi(BASELINE, 1), "gradients is 1"),
        (lambda: GuidedIntegratedGradients(BASELINE, fraction=0.0), "fraction is 0.0"),
        (lambda: GuidedIntegratedGradients(BASELINE, leash=2.0), "leash is 2.0"),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
