"""Comprehensiveness and sufficiency against slow twins and closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE
from helpers.removals import EVERY_KIND, most_relevant_first, probability, tie_free, without
from helpers.tiny_models import Function

from audioxai.baselines import Black
from audioxai.metrics.faithfulness import Comprehensiveness, Sufficiency
from audioxai.utils.errors import UserError

BOTH = pytest.mark.parametrize("family", [Comprehensiveness, Sufficiency])


@BOTH
@EVERY_KIND
@pytest.mark.parametrize("fractions", [(0.01, 0.05, 0.1, 0.2, 0.5), (0.9,), (0.25, 0.25)])
def test_is_the_slow_twin(family: type, kind: str, fractions: tuple[float, ...]) -> None:
    given = tie_free(kind)
    expected = []
    for sample, target, attribution in zip(*given[1:], strict=True):
        order, drops = most_relevant_first(attribution), []
        for fraction in fractions:
            count = max(1, round(fraction * len(order)))
            gone = order[:count] if family is Comprehensiveness else order[count:]
            left = probability(given[0], without(sample, gone), target)
            drops.append(probability(given[0], sample, target) - left)
        expected.append(np.mean(drops))
    scores = family(BASELINE, fractions)(*given)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-12)


def test_an_explanation_that_is_all_the_model_uses_is_perfect() -> None:
    """The class hangs on 5 of 100 cells: without them it is gone, and they alone suffice."""
    inputs = torch.full((1, 1, 10, 10), 0.5, dtype=torch.float64)
    used = torch.zeros_like(inputs)
    used[..., 3, 2:7] = 1.0
    model = Function(
        lambda cells: 80 * torch.stack([(cells * used).sum((1, 2, 3)) - 1.25] * 2, 1) * torch.tensor([1, -1])
    )
    target = torch.tensor([0])
    fractions = (0.05, 0.2, 0.5)
    comprehensive, sufficient = Comprehensiveness(Black(), fractions), Sufficiency(Black(), fractions)
    close: dict[str, Any] = {"rtol": 0, "atol": 1e-9}
    one = torch.ones(1, dtype=torch.float64)
    torch.testing.assert_close(comprehensive(model, inputs, target, used), one, **close)
    torch.testing.assert_close(sufficient(model, inputs, target, used), 0 * one, **close)
    torch.testing.assert_close(sufficient(model, inputs, target, -used), one, **close)
    torch.testing.assert_close(comprehensive(model, inputs, target, -used), 0 * one, **close)


@BOTH
@pytest.mark.parametrize("fractions", [(), (0.0,), (0.2, 1.0), (-0.1,)])
def test_fractions_that_are_none_are_refused(family: type, fractions: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"fractions are \(.*give at least one, each a fraction in \(0, 1\)"):
        family(BASELINE, fractions)
