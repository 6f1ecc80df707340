"""Faithfulness correlation against a slow twin, closed forms and degenerate models."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.metric_cases import BASELINE, MODELS, batch_of, case
from helpers.tiny_models import Counting, Function, Linear, draw
from torch import Tensor, nn

from audioxai.baselines import Black
from audioxai.domains import Pixels
from audioxai.metrics.batch import Batch, PassMetric, begin
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness import FaithfulnessCorrelation, FaithfulnessEstimate
from audioxai.models import build
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
SHAPES = pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9), (2, 8, 9)])


def all_subsets(metric: FaithfulnessCorrelation, inputs: Tensor) -> Tensor:
    """The subsets of every run, ``(runs, 1, …)``, before any sample's own shift."""
    drawn = metric.subsets(batch_of(inputs))
    return torch.stack([drawn.drawn(run) for run in range(metric.runs)])


def slowly(
    metric: FaithfulnessCorrelation, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor
) -> list[float]:
    """One sample, one subset, one cell after the other."""
    subsets, offsets = all_subsets(metric, inputs)[:, 0].numpy(), metric.subsets(batch_of(inputs)).offsets.tolist()
    scores = []
    for sample, target, attribution, offset in zip(inputs, targets.tolist(), attributions, offsets, strict=True):
        attributed, lost = [], []
        for subset in subsets:
            removed = sample.clone().flatten(1)
            total = 0.0
            for cell, chosen in enumerate(np.roll(subset, offset, range(subset.ndim)).flatten()):
                if chosen:
                    removed[:, cell] = BASELINE.value
                    total += float(attribution.flatten(1)[:, cell].sum())
            attributed.append(total)
            after = model(removed.reshape(1, *sample.shape))[0, target].item()
            lost.append(model(sample[None])[0, target].item() - after)
        scores.append(scipy.stats.pearsonr(attributed, lost).statistic)
    return scores


@EVERY_KIND
@pytest.mark.parametrize("patch", [1, 3])
def test_is_the_slow_twin(kind: str, patch: int) -> None:
    model, inputs, targets, attributions = case(kind, batch=3)
    metric = FaithfulnessCorrelation(BASELINE, runs=12, patch=patch)
    expected = slowly(metric, model, inputs, targets, attributions)
    np.testing.assert_allclose(metric(model, inputs, targets, attributions).numpy(), expected, rtol=0, atol=1e-10)


@SHAPES
@pytest.mark.parametrize("patch", [1, 2])
def test_the_exact_attribution_of_a_linear_model_is_perfect(shape: tuple[int, ...], patch: int) -> None:
    model, inputs, targets = Linear(3, *shape), draw(4, *shape, seed=5), torch.tensor([2, 0, 1, 2])
    exact = model.weights.detach()[targets] * (inputs - BASELINE.value)
    metric = FaithfulnessCorrelation(BASELINE, runs=30, patch=patch)
    ones = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(metric(model, inputs, targets, exact), ones, rtol=0, atol=1e-12)
    torch.testing.assert_close(metric(model, inputs, targets, -exact), -ones, rtol=0, atol=1e-12)
    # Exact for another baseline only: no longer perfect.
    assert bool((FaithfulnessCorrelation(Black(), runs=30)(model, inputs, targets, exact) < 0.999).all())


def test_random_attributions_score_about_nothing() -> None:
    model, inputs = Linear(3, 1, 12, 12), draw(300, 1, 12, 12, seed=5)
    scores = FaithfulnessCorrelation(BASELINE)(model, inputs, torch.arange(300) % 3, draw(300, 1, 12, 12, seed=6))
    # 100 subsets: a correlation of nothing has a standard deviation of about 0.1, its mean over 300 samples of 0.006.
    assert abs(float(scores.mean())) < 0.03
    assert 0.05 < float(scores.std()) < 0.2


@EVERY_KIND
@pytest.mark.parametrize("scale", [1e-8, 0.5, 1e6])
def test_knows_no_scale(kind: str, scale: float) -> None:
    model, inputs, targets, attributions = case(kind)
    metric = FaithfulnessCorrelation(BASELINE, runs=20)
    expected = metric(model, inputs, targets, attributions)
    torch.testing.assert_close(metric(model, inputs, targets, scale * attributions), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(metric(model, inputs, targets, -attributions), -expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [12, 128])
def test_constant_attributions_are_undefined_for_their_samples_only(size: int, dtype: torch.dtype) -> None:
    model = Linear(3, 1, size, size).to(dtype)
    inputs, attributions = draw(4, 1, size, size, seed=1, dtype=dtype), draw(4, 1, size, size, seed=2, dtype=dtype)
    targets = torch.tensor([0, 1, 2, 0])
    metric = FaithfulnessCorrelation(BASELINE, runs=20)
    expected = metric(model, inputs, targets, attributions)
    attributions[0], attributions[2] = 0.1, -1e-7
    scores = metric(model, inputs, targets, attributions)
    assert torch.isnan(scores).tolist() == [True, False, True, False]
    torch.testing.assert_close(scores[[1, 3]], expected[[1, 3]], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_that_ignores_its_input_leaves_it_undefined(dtype: torch.dtype) -> None:
    logits = draw(3, dtype=dtype)
    model = Function(lambda inputs: logits.expand(len(inputs), 3))
    inputs = draw(4, 1, 8, 8, dtype=dtype)
    scores = FaithfulnessCorrelation(BASELINE)(model, inputs, torch.tensor([0, 1, 2, 0]), inputs)
    assert bool(torch.isnan(scores).all())


@pytest.mark.parametrize("inputs_a_call", [1, 7, 64, 1000])
@pytest.mark.parametrize("metric", [FaithfulnessCorrelation(Black()), FaithfulnessEstimate(Black())])
def test_an_input_that_is_its_own_baseline_is_undefined_whatever_the_size_of_the_calls(
    metric: PassMetric, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * 28 * 28)
    # Nothing can be removed from a black image; what differs is how the convolutions of large and small calls round.
    model = build("small_cnn", Pixels(28, 28), 3, seed=0).body
    inputs = torch.cat([torch.zeros(1, 1, 28, 28), draw(2, 1, 28, 28, dtype=torch.float32).sigmoid()])
    scores = metric(model, inputs, torch.tensor([0, 1, 2]), draw(3, 1, 28, 28).float())
    assert torch.isnan(scores).tolist() == [True, False, False]


@EVERY_KIND
def test_all_methods_share_the_removals(kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    metric = FaithfulnessCorrelation(BASELINE, runs=15)
    judged = (attributions, -attributions, attributions**2)
    expected = [metric(inner, inputs, targets, each) for each in judged]
    model = Counting(inner)
    batch = Batch(model, inputs, targets)
    outcomes = run([begin(metric, batch, each) for each in judged])
    for outcome, alone in zip(outcomes, expected, strict=True):
        assert torch.equal(outcome.scores, alone)
        assert outcome.passes == metric.passes(inner, inputs)
    assert model.counter.count == metric.passes(inner, inputs)


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (128, 128), (8_000,), (3, 5)])
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_a_subset_is_a_fraction_of_the_input(shape: tuple[int, ...], fraction: float) -> None:
    subsets = all_subsets(FaithfulnessCorrelation(Black(), fraction, runs=20), torch.zeros(1, 1, *shape))
    assert subsets.shape == (20, 1, *shape)
    subsets = subsets.flatten(1)
    cells = torch.Size(shape).numel()
    assert subsets.dtype == torch.bool
    assert set(subsets.sum(1).tolist()) == {max(1, round(fraction * cells))}
    assert len({tuple(subset) for subset in subsets.tolist()}) > 10


@pytest.mark.parametrize(("shape", "patch"), [((28, 28), 4), ((30, 25), 4), ((64,), 8), ((20, 20), 7)])
def test_a_subset_of_patches_is_made_of_whole_patches(shape: tuple[int, ...], patch: int) -> None:
    metric = FaithfulnessCorrelation(Black(), 0.2, runs=10, patch=patch)
    grid = tuple(-(-size // patch) for size in shape)
    for subset in all_subsets(metric, torch.zeros(1, 1, *shape))[:, 0].numpy():
        whole = np.zeros(grid, dtype=bool)
        for place in np.ndindex(grid):
            cells = subset[tuple(slice(patch * index, patch * (index + 1)) for index in place)]
            assert cells.all() or not cells.any()
            whole[place] = cells.all()
        assert whole.sum() == max(1, round(0.2 * whole.size))


def test_every_cell_is_removed_as_often_as_any_other() -> None:
    subsets = all_subsets(FaithfulnessCorrelation(Black(), 0.25, runs=4_000), torch.zeros(1, 1, 5, 5)).flatten(1)
    # 6 of 25 cells; the standard deviation of a cell's share over 4,000 runs is 0.007.
    torch.testing.assert_close(subsets.double().mean(0), torch.full((25,), 0.24).double(), rtol=0, atol=0.03)


def test_subsets_depend_on_seed_shape_and_run_alone() -> None:
    inputs = torch.zeros(2, 1, 6, 6)
    subsets = all_subsets(FaithfulnessCorrelation(Black(), runs=5), inputs)
    assert torch.equal(subsets, all_subsets(FaithfulnessCorrelation(BASELINE, runs=5), inputs + 1))
    assert torch.equal(subsets, all_subsets(FaithfulnessCorrelation(Black(), runs=9), inputs)[:5])
    assert not torch.equal(subsets, all_subsets(FaithfulnessCorrelation(Black(), runs=5, seed=1), inputs))


@pytest.mark.parametrize(
    "options", [{"features": 65}, {"features": 17, "patch": 2}, {"features": 300, "precision": 0.1}]
)
def test_subsets_larger_than_the_input_are_refused(options: dict[str, Any]) -> None:
    inputs, targets = draw(2, 1, 8, 8), torch.tensor([0, 1])
    model = Counting(Linear(2, 1, 8, 8))
    with pytest.raises(UserError, match=f"features is {options['features']}"):
        FaithfulnessCorrelation(BASELINE, **options)(model, inputs, targets, inputs)
    assert model.counter.count == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"fraction": 0.0}, r"fraction is 0\.0"),
        ({"fraction": 1.0}, r"fraction is 1\.0"),
        ({"runs": 2}, "runs is 2"),
        ({"patch": 0}, "patch is 0"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        FaithfulnessCorrelation(Black(), **fields)
