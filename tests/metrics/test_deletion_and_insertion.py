"""Deletion and insertion against slow twins, closed forms and each other."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE
from helpers.removals import EVERY_KIND, most_relevant_first, probability, tie_free, without
from helpers.tiny_models import Counting, Function, draw
from torch import Tensor, nn

from audioxai.baselines import Black
from audioxai.metrics.faithfulness import Deletion, Insertion
from audioxai.utils.errors import UserError

BOTH = pytest.mark.parametrize("family", [Deletion, Insertion])


def counts(cells: int, steps: int) -> list[int]:
    parts = min(cells, steps)
    return [round(part * cells / parts) for part in range(parts + 1)]


def slow_curve(
    family: type, steps: int, model: nn.Module, sample: Tensor, target: Tensor, attribution: Tensor
) -> list[float]:
    """Cells absent or there one after the other."""
    order = most_relevant_first(attribution)
    taken = [order[:count] if family is Deletion else order[count:] for count in counts(len(order), steps)]
    return [probability(model, without(sample, cells), target) for cells in taken]


@BOTH
@EVERY_KIND
@pytest.mark.parametrize("steps", [1, 4, 8, 1000])
def test_is_the_slow_twin(family: type, kind: str, steps: int) -> None:
    given = tie_free(kind)
    curves = [slow_curve(family, steps, given[0], *each) for each in zip(*given[1:], strict=True)]
    metric = family(BASELINE, steps)
    np.testing.assert_allclose(metric.curve(*given).numpy(), curves, rtol=0, atol=1e-12)
    cells = given[1][0, 0].numel()
    areas = [np.trapezoid(curve, np.array(counts(cells, steps)) / cells) for curve in curves]
    np.testing.assert_allclose(metric(*given).numpy(), areas, rtol=0, atol=1e-12)


@EVERY_KIND
def test_the_one_curve_backwards_is_the_other_under_the_negative(kind: str) -> None:
    model, inputs, targets, attributions = tie_free(kind)
    deletion = Deletion(BASELINE, 6).curve(model, inputs, targets, attributions)
    insertion = Insertion(BASELINE, 6).curve(model, inputs, targets, -attributions)
    torch.testing.assert_close(deletion.flip(1), insertion, rtol=0, atol=1e-12)


def mean_as_probability(inputs: Tensor) -> Tensor:
    """Logits whose first softmax probability is the mean of the input's cells, as good as 0 where they are black."""
    mean = inputs.flatten(1).mean(1).clamp(1e-12, 1 - 1e-12)
    return torch.stack([mean, 1 - mean], dim=1).log()


def test_areas_where_the_probability_is_additive() -> None:
    """A quarter of the cells hold 1 and the others 0: the curve is a ramp of 16 steps, flat before or after it."""
    inputs = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    inputs.flatten()[torch.randperm(64, generator=torch.Generator().manual_seed(0))[:16]] = 1.0
    relevant = inputs + 1e-6 * draw(1, 1, 8, 8)
    model, share, target = Function(mean_as_probability), 0.25, torch.tensor([0])
    deletion, insertion = Deletion(Black(), 64), Insertion(Black(), 64)
    close: dict[str, Any] = {"rtol": 0, "atol": 1e-9}
    expected = torch.tensor([share * share / 2], dtype=torch.float64)
    torch.testing.assert_close(deletion(model, inputs, target, relevant), expected, **close)
    torch.testing.assert_close(deletion(model, inputs, target, -relevant), share - expected, **close)
    torch.testing.assert_close(insertion(model, inputs, target, relevant), share - expected, **close)
    torch.testing.assert_close(insertion(model, inputs, target, -relevant), expected, **close)


@BOTH
def test_a_map_of_few_values_is_the_mean_over_the_orders_of_equal_cells(family: type) -> None:
    """The order among equal cells is random: in the order of positions the first half would always go first."""
    inputs = torch.cat([torch.ones(200, 1, 8), torch.zeros(200, 1, 8)], dim=2).double()
    inputs += 1e-9 * draw(200, 1, 16)  # samples that differ have orders that differ
    attributions = torch.zeros_like(inputs)
    attributions[..., 0] = 1e-9  # the rest ties
    area = family(Black(), 16)(
        Function(mean_as_probability), inputs, torch.zeros(200, dtype=torch.long), attributions
    ).mean()
    # By position, deletion would give 0.125 and insertion 0.375.
    assert abs(float(area) - 0.25) < 0.03


@BOTH
def test_does_not_depend_on_the_number_of_steps_where_the_curve_is_a_line(family: type) -> None:
    inputs = torch.full((1, 1, 24), 0.5, dtype=torch.float64)
    attributions, target = draw(1, 1, 24), torch.tensor([0])
    model = Function(mean_as_probability)
    for steps in (1, 2, 5, 24, 100):
        area = family(Black(), steps)(model, inputs, target, attributions)
        torch.testing.assert_close(area, torch.tensor([0.25], dtype=torch.float64), rtol=0, atol=1e-9)


@BOTH
@pytest.mark.parametrize(("cells", "steps", "passes"), [(30, 8, 9), (30, 30, 31), (30, 32, 31), (1, 5, 2)])
def test_takes_the_steps_and_the_whole(family: type, cells: int, steps: int, passes: int) -> None:
    model = Counting(Function(lambda inputs: inputs[:, 0, :1].repeat(1, 3))).eval()
    inputs, metric = draw(2, 1, cells), family(BASELINE, steps)
    metric(model, inputs, torch.tensor([0, 1]), inputs)
    assert model.counter.count == metric.passes(model, inputs) == 2 * passes


@BOTH
def test_the_curve_of_wrong_attributions_is_refused(family: type[Deletion | Insertion]) -> None:
    model, inputs, targets, attributions = tie_free("image")
    with pytest.raises(UserError, match=rf"^{family.label} got attributions of shape \(4, 1, 7, 5\)"):
        family(BASELINE).curve(model, inputs, targets, attributions[..., 1:])


@BOTH
def test_no_steps_are_refused(family: type[Deletion | Insertion]) -> None:
    with pytest.raises(UserError, match="steps is 0; a curve needs at least 1"):
        family(BASELINE, steps=0)
