"""Average increase, drop and gain, mask faithfulness and input fidelity against slow twins and closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE
from helpers.removals import EVERY_KIND, probability, tie_free
from helpers.tiny_models import Function, draw
from torch import Tensor, nn

from audioxai.baselines import Black, Constant
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.faithfulness import AverageDrop, AverageGain, AverageIncrease, InputFidelity, MaskFaithfulness
from audioxai.metrics.faithfulness.masking import soft_mask

FAMILY: tuple[Callable[..., PassMetric], ...] = (
    AverageIncrease,
    AverageDrop,
    AverageGain,
    MaskFaithfulness,
    InputFidelity,
)
EVERY = pytest.mark.parametrize("family", FAMILY)


def slow_mask(attribution: Tensor) -> Tensor:
    """Positive relevance of every cell by the largest, ``(1, …)``."""
    positive = torch.tensor([max(0.0, float(cell.sum())) for cell in attribution.flatten(1).T], dtype=torch.float64)
    return (positive / positive.max()).reshape(1, *attribution.shape[1:])


def slowly(family: type, model: nn.Module, sample: Tensor, target: Tensor, attribution: Tensor) -> float:
    """The published formula, sample by sample."""
    mask = slow_mask(attribution)
    kept = mask * sample + (1 - mask) * BASELINE.value
    lost = (1 - mask) * sample + mask * BASELINE.value
    p, p_kept, p_lost = (probability(model, each, target) for each in (sample, kept, lost))
    if family is AverageIncrease:
        return 100.0 * (p_kept > p)
    if family is AverageDrop:
        return 100.0 * max(0.0, p - p_kept) / p
    if family is AverageGain:
        return 100.0 * max(0.0, p_kept - p) / (1 - p)
    if family is MaskFaithfulness:
        return p - p_lost
    return float(model(sample[None]).argmax() == model(kept[None]).argmax())


@EVERY
@EVERY_KIND
def test_is_the_slow_twin(family: type, kind: str) -> None:
    given = tie_free(kind, batch=12)
    expected = [slowly(family, given[0], *each) for each in zip(*given[1:], strict=True)]
    scores = family(BASELINE)(*given)
    assert scores.dtype == torch.float64
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-10)


def probability_of_the_sum(inputs: Tensor) -> Tensor:
    """Logits whose first softmax probability is the sum of the cells; the second class has the rest."""
    total = inputs.flatten(1).sum(1)
    return torch.stack([total, 1 - total], dim=1).log()


@pytest.mark.parametrize(
    ("cells", "mask", "expected"),
    [
        # What is kept has probability .4 of .8; what is lost leaves .4.
        ([0.4, 0.4], [1.0, 0.0], (0.0, 50.0, 0.0, 0.4, 0.0)),
        # Half of the second cell comes along.
        ([0.4, 0.4], [2.0, 1.0], (0.0, 25.0, 0.0, 0.6, 1.0)),
        # Without the cell that speaks against it the class gains .3 of the .7 that were left to gain.
        ([0.6, -0.3], [1.0, 0.0], (100.0, 0.0, 100.0 * 3 / 7, None, 0.0)),
        ([0.5, 0.2], [1.0, 1.0], (0.0, 0.0, 0.0, 0.7, 1.0)),
    ],
)
def test_published_examples_in_closed_form(
    cells: list[float], mask: list[float], expected: tuple[float | None, ...]
) -> None:
    inputs, attributions = (torch.tensor(each, dtype=torch.float64)[None, None] for each in (cells, mask))
    model = Function(lambda sent: probability_of_the_sum(sent + 1e-13))
    for family, score in zip(FAMILY, expected, strict=True):
        if score is not None:
            made = family(Black())(model, inputs, torch.tensor([0]), attributions)
            np.testing.assert_allclose(made.numpy(), [score], rtol=0, atol=1e-6, err_msg=str(family))


def test_negative_relevance_is_not_in_the_mask() -> None:
    attributions = torch.tensor([[[-5.0, 0.0, 1.0, 4.0]], [[-1.0, -2.0, -3.0, 0.0]]], dtype=torch.float64)
    expected = torch.tensor([[[0.0, 0.0, 0.25, 1.0]], [[0.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    assert torch.equal(soft_mask(attributions), expected)


@EVERY
def test_without_positive_relevance_there_is_no_mask(family: type) -> None:
    model, inputs, targets, attributions = tie_free("image")
    expected = family(BASELINE)(model, inputs, targets, attributions)
    attributions[1], attributions[3] = 0.0, -attributions[3].abs()
    scores = family(BASELINE)(model, inputs, targets, attributions)
    assert scores.isnan().tolist() == [False, True, False, True]
    torch.testing.assert_close(scores[[0, 2]], expected[[0, 2]], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [0.0, 5.0, 30.0, 60.0])
def test_a_mask_that_keeps_all_changes_nothing(dtype: torch.dtype, logit: float) -> None:
    """Whatever the confidence, no increase and no gain come of rounding."""
    model = Function(lambda inputs: torch.stack([inputs.flatten(1).sum(1), torch.zeros_like(inputs[:, 0, 0])], dim=1))
    inputs = torch.full((1, 1, 10), logit / 10, dtype=dtype)
    given = (model, inputs, torch.tensor([0]), torch.ones_like(inputs))
    for family, expected in zip(FAMILY, (0.0, 0.0, 0.0, None, 1.0), strict=True):
        if expected is not None:
            assert family(Constant(-3.0))(*given).tolist() == [expected], family


def test_gain_is_told_apart_where_the_probability_rounds_to_1() -> None:
    """In float32 p(x) is 1 at a logit of 30, what is left to gain is e⁻³⁰, and at 33 e⁻³ of it are left."""
    model = Function(lambda inputs: torch.stack([inputs.flatten(1).sum(1), torch.zeros_like(inputs[:, 0, 0])], dim=1))
    inputs, attributions = torch.tensor([[[33.0, -3.0]]]), torch.tensor([[[1.0, 0.0]]])
    score = AverageGain(Black())(model, inputs, torch.tensor([0]), attributions)
    np.testing.assert_allclose(score.numpy(), [100 * (1 - np.exp(-3))], rtol=1e-5)


@pytest.mark.parametrize(("metric", "logit"), [(AverageDrop(Black()), -800.0), (AverageGain(Black()), 800.0)])
def test_nothing_to_lose_or_to_gain_is_undefined(metric: PassMetric, logit: float) -> None:
    model = Function(lambda inputs: torch.stack([inputs.flatten(1).sum(1), torch.zeros_like(inputs[:, 0, 0])], dim=1))
    inputs = torch.full((1, 1, 2), logit / 2, dtype=torch.float64)
    assert bool(metric(model, inputs, torch.tensor([0]), draw(1, 1, 2).abs()).isnan().all())


def test_input_fidelity_asks_for_the_predicted_class_whatever_the_target() -> None:
    model, inputs, targets, attributions = tie_free("image")
    metric = InputFidelity(BASELINE)
    expected = metric(model, inputs, targets, attributions)
    assert torch.equal(metric(model, inputs, (targets + 1) % 3, attributions), expected)
