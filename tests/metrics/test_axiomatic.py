"""Axioms: models whose answers are known, slow twins, what rounding must not decide."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers.metric_cases import MODELS, Gradient, case
from helpers.tiny_models import Counting, Function, Linear, draw, nothing_touched, with_hooks_and_marks
from torch import Tensor, nn
from torch.nn import functional

from audioxai.baselines import Constant
from audioxai.core import target_scores
from audioxai.metrics.axiomatic import Completeness, InputInvariance, NonSensitivity, Shifted
from audioxai.metrics.batch import Batch, PassMetric, evaluate
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

BASELINE = Constant(0.25)
TARGETS = torch.tensor([2, 0, 1, 2])
EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
SHAPES = pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9), (2, 8, 9)])
METRICS = [Completeness(BASELINE), NonSensitivity(BASELINE, 16, 0.2), InputInvariance(Gradient(), 1.5)]
EVERY = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)


@dataclass(frozen=True)
class GradientTimesInput:
    """The product with the input itself, or with its distance from a baseline where one is given."""

    baseline: float = 0.0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return (inputs - self.baseline) * Gradient()(model, inputs, targets)

    def passes(self, inputs: Tensor) -> int:
        return len(inputs)


def linear_attributions(model: Linear, inputs: Tensor, baseline: float) -> Tensor:
    """The exact ones."""
    return model.weights.detach()[TARGETS] * (inputs - baseline)


@SHAPES
def test_the_exact_attribution_of_a_linear_model_is_complete(shape: tuple[int, ...]) -> None:
    model, inputs = Linear(3, *shape), draw(4, *shape, seed=5)
    exact = linear_attributions(model, inputs, 0.25)
    factors = torch.tensor([1.0, 0.0, 3.0, -1.0], dtype=torch.float64)
    scores = Completeness(BASELINE)(model, inputs, TARGETS, exact * factors.reshape(-1, *[1] * len(shape)))
    torch.testing.assert_close(scores, (factors - 1).abs(), rtol=0, atol=1e-11)


def test_the_exact_attribution_of_an_additive_model_is_complete() -> None:
    model = Function(lambda x: functional.softplus(x).flatten(1).sum(1)[:, None] * torch.arange(1.0, 4.0).double())
    inputs = draw(4, 1, 8, 9)
    exact = (functional.softplus(inputs) - math.log(2)) * (TARGETS + 1).reshape(-1, 1, 1, 1)
    assert float(Completeness(Constant(0.0))(model, inputs, TARGETS, exact).max()) < 1e-12
    assert float(Completeness(Constant(1.0))(model, inputs, TARGETS, exact).min()) > 0.1


@EVERY_KIND
def test_completeness_is_the_slow_twin(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    before = target_scores(model, inputs, targets).detach()
    after = target_scores(model, torch.full_like(inputs, 0.25), targets).detach()
    pairs = zip(attributions, (before - after).tolist(), strict=True)
    expected = [abs(a.sum().item() - change) / abs(change) for a, change in pairs]
    scores = Completeness(BASELINE)(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_there_is_no_gap_to_nothing_not_even_to_rounding(dtype: torch.dtype) -> None:
    one_ulp = torch.finfo(dtype).eps

    def logits(x: Tensor) -> Tensor:
        level = x.flatten(1)[:, :1]
        return (1e3 * (1 + torch.where(level > 0.5, one_ulp, 0.0) + torch.where(level > 5, 1e-3, 0.0))).expand(-1, 3)

    inputs = torch.tensor([1.0, 0.0, 9.0], dtype=dtype).reshape(3, 1, 1).expand(3, 1, 40)
    scores = Completeness(BASELINE)(Function(logits), inputs, torch.tensor([0, 1, 2]), torch.ones_like(inputs))
    assert scores.isnan().tolist() == [True, True, False]
    assert float(scores[2]) == pytest.approx(39.0, rel=1e-3)


def slow_non_sensitivity(
    metric: NonSensitivity, model: nn.Module, inputs: Tensor, targets: Tensor, maps: Tensor, parts: tuple[int, ...]
) -> list[float]:
    """Cut, remove and compare patch after patch."""
    scores = []
    for x, target, a in zip(inputs, targets, maps, strict=True):
        before, changes, masses = float(model(x[None])[0, target]), [], []
        for place in np.ndindex(*parts):
            cells = tuple(
                slice(-(-i * n // p), -(-(i + 1) * n // p)) for i, n, p in zip(place, x.shape[1:], parts, strict=True)
            )
            removed = x.clone()
            removed[:, *cells] = 0.25
            changes.append(abs(before - float(model(removed[None])[0, target])))
            masses.append(float(a[:, *cells].abs().sum()))
        effect = [change > metric.tolerance * max(changes) for change in changes]
        relevant = [mass > metric.tolerance * max(masses) for mass in masses]
        scores.append(float(np.mean([e != r for e, r in zip(effect, relevant, strict=True)])))
    return scores


@pytest.mark.parametrize(("kind", "parts"), [("image", (4, 4)), ("waveform", (16,))])
@pytest.mark.parametrize("tolerance", [0.01, 0.3])
def test_non_sensitivity_is_the_slow_twin(kind: str, parts: tuple[int, ...], tolerance: float) -> None:
    model, inputs, targets, attributions = case(kind)
    metric = NonSensitivity(BASELINE, 16, tolerance)
    with torch.no_grad():
        expected = slow_non_sensitivity(metric, model, inputs, targets, attributions, parts)
    scores = metric(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-12)
    assert max(expected) > 0 or tolerance < 0.3


@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 8), (2, 8, 8)])
def test_non_sensitivity_counts_the_patches_that_are_wrong(shape: tuple[int, ...]) -> None:
    model, inputs = Linear(3, *shape), draw(4, *shape, seed=5)
    silent = torch.arange(shape[-1]) < shape[-1] // 4  # where the model hears nothing
    with torch.no_grad():
        model.weights[..., silent] = 0.0
    exact = linear_attributions(model, inputs, 0.25)
    everywhere = torch.ones_like(exact)
    for maps, expected in ((exact, 0.0), (everywhere, 0.25), (everywhere * silent, 1.0)):
        scores = NonSensitivity(BASELINE, 8 ** (len(shape) - 1), 0.0)(model, inputs, TARGETS, maps)
        assert scores.tolist() == [expected] * 4


def test_relevance_of_opposite_signs_in_one_patch_is_relevance() -> None:
    inputs = torch.ones(1, 1, 4, dtype=torch.float64)
    model = Function(lambda x: x[:, 0, :2].sum(1)[:, None].expand(-1, 3))
    maps = torch.tensor([[[1.0, -1.0, 1.0, -1.0]]]).double()
    assert float(NonSensitivity(BASELINE, 2)(model, inputs, torch.tensor([0]), maps)) == 0.5


def test_rounding_is_no_effect() -> None:
    inputs = draw(2, 1, 40, dtype=torch.float32)
    model = Function(lambda x: 1e3 * (1 + 2**-23 * (x[:, 0, :1] > 0.3)).expand(-1, 3))
    scores = NonSensitivity(BASELINE)(model, inputs, torch.tensor([0, 1]), torch.ones_like(inputs))
    assert scores.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("shape", "patches", "count"),
    [
        ((1, 40), 64, 40),
        ((1, 16000), 64, 64),
        ((1, 128, 128), 64, 64),
        ((3, 28, 28), 64, 64),
        ((1, 4, 100), 64, 32),
        ((1, 1, 1), 64, 1),
        ((1, 9, 9), 1, 1),
    ],
)
def test_the_number_of_patches_is_bounded_whatever_the_size(shape: tuple[int, ...], patches: int, count: int) -> None:
    metric = NonSensitivity(BASELINE, patches)
    assert metric.passes(nn.Identity(), torch.empty(5, *shape, device="meta")) == 5 * (count + 1)
    numbers, sizes = metric._patch_numbers(shape[1:]).unique(return_counts=True)
    assert numbers.tolist() == list(range(count))
    assert math.prod(-(-n // p) for n, p in zip(shape[1:], metric._parts(shape[1:]), strict=True)) == int(sizes.max())


def test_methods_and_tolerances_share_the_removals() -> None:
    inner, inputs, targets, attributions = case("image")
    model = Counting(inner)
    metrics = {"strict": NonSensitivity(BASELINE, 16, 0.0), "lax": NonSensitivity(BASELINE, 16, 0.5)}
    batch = Batch(model, inputs, targets)
    evaluate(metrics, batch, attributions)
    evaluate(metrics, batch, attributions**2)
    assert model.counter.count == 5 * 17


@SHAPES
@pytest.mark.parametrize("shift", [-1.0, 0.5, 40.0])
def test_the_gradient_does_not_see_the_shift_but_its_product_with_the_input_does(
    shape: tuple[int, ...], shift: float
) -> None:
    model, inputs = Linear(3, *shape), draw(4, *shape, seed=5)
    gradient, product = Gradient(), GradientTimesInput()
    assert (
        InputInvariance(gradient, shift)(model, inputs, TARGETS, gradient(model, inputs, TARGETS)).tolist() == [0.0] * 4
    )
    weights = model.weights.detach()[TARGETS].flatten(1)
    expected = abs(shift) * weights.norm(dim=1) / (weights * inputs.flatten(1)).norm(dim=1)
    scores = InputInvariance(product, shift)(model, inputs, TARGETS, product(model, inputs, TARGETS))
    torch.testing.assert_close(scores, expected, rtol=1e-12, atol=0)


@EVERY_KIND
def test_input_invariance_is_the_slow_twin(kind: str) -> None:
    model, inputs, targets, _ = case(kind)
    explainer = GradientTimesInput(0.25)
    attributions = explainer(model, inputs, targets)
    expected = []
    for x, target, a in zip(inputs, targets, attributions, strict=True):
        again = explainer(Function(lambda y: model(y - 2.0)), x[None] + 2.0, target[None])[0]
        expected.append((again - a).norm().item() / a.norm().item())
    scores = InputInvariance(explainer, 2.0)(model, inputs, targets, attributions)
    assert min(expected) > 0.1
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9)


@EVERY_KIND
def test_padding_does_not_disturb_the_compensation(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    assert float(InputInvariance(Gradient(), 1.5)(model, inputs, targets, attributions).max()) < 1e-10


def test_the_shifted_model_is_the_same_function_of_the_unshifted_input() -> None:
    model, inputs, _, _ = case("image")
    with nothing_touched(model, inputs):
        torch.testing.assert_close(Shifted(model, 3.0)(inputs + 3.0), model(inputs), rtol=0, atol=1e-12)


@EVERY
def test_an_attribution_that_is_all_zero(metric: PassMetric) -> None:
    model, inputs, targets, attributions = case("image")
    before = metric(model, inputs, targets, attributions)
    attributions[1] = 0.0
    after = metric(model, inputs, targets, attributions)
    others = [0, 2, 3, 4]
    assert torch.equal(after[others], before[others])
    assert after[1] == 1.0 if isinstance(metric, Completeness) else math.isnan(after[1])


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_same_for_any_batch_order_and_call_size(
    metric: PassMetric, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = case(kind, dtype)
    together = metric(model, inputs, targets, attributions)
    assert together.dtype == torch.float64
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    alone = [metric(model, *(part[row : row + 1] for part in (inputs, targets, attributions))) for row in range(5)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=tolerance, atol=tolerance)
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = metric(model, inputs[order], targets[order], attributions[order])
    torch.testing.assert_close(shuffled, together[order], rtol=tolerance, atol=tolerance)
    for inputs_a_call in (1, 7, 1000):
        monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
        again = metric(model, inputs, targets, attributions)
        torch.testing.assert_close(again, together, rtol=tolerance, atol=tolerance)


@EVERY
@EVERY_KIND
def test_leaves_everything_as_it_was_and_takes_the_passes_it_says(metric: PassMetric, kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    with_hooks_and_marks(inner)
    model = Counting(inner)
    with nothing_touched(inner, inputs, targets, attributions):
        metric(model, inputs, targets, attributions)
    assert model.counter.count == metric.passes(model, inputs.to("meta")) > 0


def test_one_pixel_and_one_sample() -> None:
    model, inputs, targets = Linear(3, 1, 1, 1), torch.full((1, 1, 1, 1), 2.0).double(), torch.tensor([1])
    exact = model.weights.detach()[1:2] * (inputs - 0.25)
    assert float(Completeness(BASELINE)(model, inputs, targets, exact)) < 1e-14
    assert float(NonSensitivity(BASELINE)(model, inputs, targets, exact)) == 0.0
    assert float(InputInvariance(GradientTimesInput(0.25), 7.0)(model, inputs, targets, exact)) == pytest.approx(4.0)


@pytest.mark.parametrize("shift", [0.0, math.nan, math.inf])
def test_a_shift_that_is_none_is_refused(shift: float) -> None:
    with pytest.raises(UserError, match=f"shift is {shift}"):
        InputInvariance(Gradient(), shift)


def test_patches_and_tolerances_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="patches is 0"):
        NonSensitivity(BASELINE, 0)
    for tolerance in (-0.1, 1.0, math.nan):
        with pytest.raises(UserError, match=f"tolerance is {tolerance}"):
            NonSensitivity(BASELINE, tolerance=tolerance)
