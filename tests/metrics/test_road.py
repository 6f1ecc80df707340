"""ROAD, and the imputation under it, against dense equations; what noise does; degenerate inputs."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from helpers.metric_cases import Gradient
from helpers.removals import EVERY_KIND, most_relevant_first, tie_free
from helpers.tiny_models import Counting, Function, Linear, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.metrics.faithfulness import Road
from audioxai.metrics.faithfulness.road import imputed
from audioxai.utils import hardware
from audioxai.utils.errors import UserError


def slowly_imputed(sample: Tensor, absent: np.ndarray) -> Tensor:
    """One equation an absent cell, Σ w · (cell − neighbour) = 0, solved densely, channel by channel."""
    shape = sample.shape[1:]
    gone = [tuple(cell) for cell in np.argwhere(absent)]
    matrix, known = np.zeros((len(gone), len(gone))), np.zeros((len(gone), len(sample)))
    for row, cell in enumerate(gone):
        for step in itertools.product((-1, 0, 1), repeat=len(shape)):
            neighbour = tuple(place + by for place, by in zip(cell, step, strict=True))
            inside = all(0 <= place < size for place, size in zip(neighbour, shape, strict=True))
            if not any(step) or not inside:
                continue
            weight = 1 / 12 if all(step) and len(shape) == 2 else 1 / 6
            matrix[row, row] += weight
            if absent[neighbour]:
                matrix[row, gone.index(neighbour)] -= weight
            else:
                known[row] += weight * sample[(slice(None), *neighbour)].numpy()
    filled = sample.clone()
    for cell, values in zip(gone, np.linalg.solve(matrix, known), strict=True):
        filled[(slice(None), *cell)] = torch.from_numpy(values)
    return filled


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 9), (2, 5), (1, 2), (1, 4, 5), (3, 5, 4), (1, 1, 6), (1, 2, 2)]),
    seed=st.integers(0, 10_000),
    share=st.floats(0.0, 1.0),
)
def test_imputation_is_the_dense_solution(shape: tuple[int, ...], seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    inputs, absent = draw(3, *shape, seed=seed), random.random((3, *shape[1:])) < share
    for sample in absent:
        sample.flat[random.integers(sample.size)] = False  # one cell at least is there
    expected = [slowly_imputed(sample, gone) for sample, gone in zip(inputs, absent, strict=True)]
    filled = imputed(inputs, torch.from_numpy(absent)[:, None])
    torch.testing.assert_close(filled, torch.stack(expected), rtol=0, atol=1e-7)


def test_imputation_of_a_plane_is_the_plane_away_from_the_border() -> None:
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    plane = (2 * rows - 3 * columns + 1).double()[None, None]
    absent = torch.zeros_like(plane, dtype=torch.bool)
    absent[..., 3:9, 2:8] = True
    torch.testing.assert_close(imputed(plane, absent), plane, rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 300), (1, 40, 40)])
def test_imputation_goes_on_where_nearly_all_is_absent(shape: tuple[int, ...]) -> None:
    """From one cell every cell gets its value."""
    inputs = draw(1, *shape)
    absent = torch.ones_like(inputs, dtype=torch.bool)
    absent.flatten()[7] = False
    filled = imputed(inputs, absent)
    torch.testing.assert_close(filled, inputs.flatten()[7].expand_as(inputs), rtol=0, atol=1e-6)


def test_imputation_of_a_sample_does_not_depend_on_its_company() -> None:
    inputs, absent = draw(4, 1, 9, 8), draw(4, 1, 9, 8, seed=1) > 0
    together = imputed(inputs, absent)
    alone = torch.cat([imputed(inputs[row : row + 1], absent[row : row + 1]) for row in range(4)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)
    torch.testing.assert_close(together[~absent], inputs[~absent], rtol=0, atol=0)


@EVERY_KIND
@pytest.mark.parametrize("fractions", [(0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9), (0.01,), (0.999,)])
def test_is_the_slow_twin_without_noise(kind: str, fractions: tuple[float, ...]) -> None:
    model, inputs, _, _ = tie_free(kind, batch=8)
    targets = model(inputs).argmax(1)
    attributions = Gradient()(model, inputs, targets) + 0.1 * draw(*inputs.shape, seed=4)
    expected = []
    for sample, target, attribution in zip(inputs, targets, attributions, strict=True):
        order, row = most_relevant_first(attribution), []
        for fraction in fractions:
            absent = np.zeros(sample[0].numel(), dtype=bool)
            absent[order[: min(len(order) - 1, max(1, round(fraction * len(order))))]] = True
            left = slowly_imputed(sample, absent.reshape(sample.shape[1:]))
            row.append(float(model(left[None]).argmax() == target))
        expected.append(row)
    metric = Road(fractions, noise_std=0.0)
    np.testing.assert_array_equal(metric.curve(model, inputs, targets, attributions).numpy(), expected)
    scores = metric(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), np.mean(expected, axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 900), (1, 30, 30), (2, 20, 20)])
@pytest.mark.parametrize("level", [1.0, 40.0])
def test_noise_is_on_removed_cells_alone_and_relative_to_the_sample(shape: tuple[int, ...], level: float) -> None:
    inputs = level * draw(2, *shape, seed=1)
    attributions, targets = draw(2, *shape, seed=2), torch.tensor([0, 1])
    seen: list[Tensor] = []

    def record(sent: Tensor) -> Tensor:
        seen.append(sent.clone())
        return sent.flatten(1)[:, :2]

    for noise in (0.0, 0.25):
        Road((0.5,), noise)(Function(record), inputs, targets, attributions)
    added = seen[1] - seen[0]
    removed = (
        attributions.sum(1, keepdim=True).flatten(2) > attributions.sum(1).flatten(1).median(1).values[:, None, None]
    )
    removed = removed.reshape(2, 1, *shape[1:]).expand_as(inputs)
    assert not bool(added[~removed].any())
    strength = [
        float(each[there].std() / sample.std()) for each, there, sample in zip(added, removed, inputs, strict=True)
    ]
    np.testing.assert_allclose(strength, 0.25, rtol=0.15)
    torch.testing.assert_close(seen[0][~removed], inputs[~removed], rtol=0, atol=0)
    assert not torch.equal(added[0] / inputs[0].std(), added[1] / inputs[1].std())


@pytest.mark.parametrize("inputs_a_call", [1, 3, 1000])
def test_noise_does_not_depend_on_the_size_of_the_calls(inputs_a_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, attributions, targets = draw(2, 2, 9, 8, seed=1), draw(2, 2, 9, 8, seed=2), torch.tensor([0, 1])
    seen: list[Tensor] = []

    def record(sent: Tensor) -> Tensor:
        seen.append(sent.clone())
        return sent.flatten(1)[:, :2] - 10.0

    def sent() -> Tensor:
        seen.clear()
        Road((0.2, 0.5, 0.8), 0.25)(Function(record), inputs, targets, attributions)
        return torch.cat(seen)

    expected = sent()
    channels = expected - inputs.repeat(3, 1, 1, 1)
    assert not torch.equal(channels[:, 0], channels[:, 1])
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
    torch.testing.assert_close(sent(), expected, rtol=0, atol=1e-12)


def test_relevant_cells_first_lose_the_class_sooner() -> None:
    model, inputs = Linear(3, 1, 16, 16), draw(20, 1, 16, 16, seed=5)
    targets = model(inputs).argmax(1)
    exact = model.weights.detach()[targets] * inputs
    assert bool((Road()(model, inputs, targets, exact) <= Road()(model, inputs, targets, -exact)).all())
    assert (
        float(Road()(model, inputs, targets, exact).mean()) < float(Road()(model, inputs, targets, -exact).mean()) - 0.5
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1)])
def test_of_one_cell_there_is_nothing_to_impute_from(shape: tuple[int, ...]) -> None:
    model = Counting(Function(lambda inputs: inputs.flatten(1).repeat(1, 3))).eval()
    inputs = draw(2, *shape)
    assert bool(Road()(model, inputs, torch.tensor([0, 1]), inputs).isnan().all())
    assert model.counter.count == Road().passes(model, inputs) == 2 * 7


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"fractions": ()}, "fractions are"),
        ({"fractions": (1.0,)}, "fractions are"),
        ({"noise_std": -0.1}, r"noise_std is -0\.1"),
        ({"noise_std": float("nan")}, "noise_std is nan"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Road(**fields)
