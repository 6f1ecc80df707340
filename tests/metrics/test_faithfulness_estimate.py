"""Faithfulness estimate against a slow twin and closed forms."""

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.metric_cases import BASELINE
from helpers.removals import EVERY_KIND, linear, logit, most_relevant_first, tie_free, without
from helpers.tiny_models import Function, draw

from audioxai.metrics.faithfulness import FaithfulnessEstimate
from audioxai.utils.errors import UserError


@EVERY_KIND
@pytest.mark.parametrize(("fraction", "parts"), [(0.01, 1000), (0.1, 10), (0.3, 3)])
def test_is_the_slow_twin(kind: str, fraction: float, parts: int) -> None:
    model, inputs, targets, attributions = tie_free(kind)
    expected = []
    for sample, target, attribution in zip(inputs, targets, attributions, strict=True):
        order = most_relevant_first(attribution)
        parts = min(parts, len(order))
        sums, drops = [], []
        for part in range(parts):
            cells = order[round(part * len(order) / parts) : round((part + 1) * len(order) / parts)]
            sums.append(float(attribution.flatten(1)[:, cells].sum()))
            drops.append(logit(model, sample, target) - logit(model, without(sample, cells), target))
        expected.append(scipy.stats.pearsonr(sums, drops).statistic)
    scores = FaithfulnessEstimate(BASELINE, fraction)(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 9), (2, 8, 9)])
@pytest.mark.parametrize("fraction", [0.01, 0.07])
def test_the_exact_attribution_of_a_linear_model_is_perfect(shape: tuple[int, ...], fraction: float) -> None:
    model, inputs, targets, exact = linear(*shape)
    metric = FaithfulnessEstimate(BASELINE, fraction)
    ones = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(metric(model, inputs, targets, exact), ones, rtol=0, atol=1e-12)
    torch.testing.assert_close(metric(model, inputs, targets, -exact), -ones, rtol=0, atol=1e-12)


def test_the_exact_attribution_of_an_additive_model_is_perfect() -> None:
    # Cell by cell, f(x) = Σ sin(3 x): the drop is sin(3 x) − sin(3 b) whatever the other cells hold.
    model = Function(lambda inputs: torch.stack([(3 * inputs).sin().flatten(1).sum(1)] * 2, dim=1)).eval()
    inputs = draw(3, 1, 6, 6, seed=2)
    exact = (3 * inputs).sin() - (3 * torch.tensor(BASELINE.value)).sin()
    scores = FaithfulnessEstimate(BASELINE)(model, inputs, torch.tensor([0, 1, 0]), exact)
    torch.testing.assert_close(scores, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_a_model_that_ignores_its_input_leaves_it_undefined() -> None:
    model = Function(lambda inputs: torch.ones(len(inputs), 3, dtype=inputs.dtype))
    inputs = draw(4, 1, 8, 8)
    assert bool(FaithfulnessEstimate(BASELINE)(model, inputs, torch.tensor([0, 1, 2, 0]), inputs).isnan().all())


@pytest.mark.parametrize("size", [12, 20, 40])
def test_the_number_of_parts_does_not_depend_on_the_size_of_the_input(size: int) -> None:
    inputs = draw(3, 1, size, size)
    assert FaithfulnessEstimate(BASELINE).passes(Function(torch.abs), inputs) == 3 * 101


@pytest.mark.parametrize("fraction", [0.0, 0.51, -1.0])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match=rf"fraction is {fraction}; a part has to be a fraction in \(0, 0\.5\]"):
        FaithfulnessEstimate(BASELINE, fraction)
