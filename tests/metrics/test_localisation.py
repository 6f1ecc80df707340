"""Localisation: slow twins, closed forms, ties, masks that ask nothing or are none."""

import itertools
import math

import numpy as np
import pytest
import torch
from helpers.tiny_models import Counting, draw, tiny_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.metrics.localisation import (
    Focus,
    LocalisationMetric,
    PointingGame,
    RelevanceMass,
    RelevanceRank,
    TopKIntersection,
    top_share,
)
from audioxai.utils.errors import UserError

MODEL = Counting(tiny_cnn())
MASSES = [RelevanceMass(), Focus()]
RANKS = [RelevanceRank(), PointingGame(), TopKIntersection(0.1)]
METRICS = [*MASSES, *RANKS]
EVERY = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
SHAPES = pytest.mark.parametrize("shape", [(1, 40), (1, 6, 7), (2, 6, 7)])


def scores(metric: LocalisationMetric, attributions: Tensor, masks: Tensor | None) -> Tensor:
    """Scores of attributions and masks; inputs and targets play no part."""
    targets = torch.zeros(len(attributions), dtype=torch.int64)
    return metric(MODEL, torch.zeros_like(attributions), targets, attributions, masks)


def some_masks(*shape: int) -> Tensor:
    """About a third of the cells."""
    return draw(*shape, seed=7) > 0.4


def slow(metric: LocalisationMetric, cells: list[float], inside: list[bool]) -> float:
    """The metric of one sample without ties, in words."""
    if isinstance(metric, RelevanceMass):
        return sum(c for c, i in zip(cells, inside, strict=True) if i and c > 0) / sum(c for c in cells if c > 0)
    k = {RelevanceRank: sum(inside), PointingGame: 1, TopKIntersection: round(0.1 * len(cells))}[type(metric)]
    best = sorted(range(len(cells)), key=lambda cell: -cells[cell])[:k]
    return sum(inside[cell] for cell in best) / k


@EVERY
@SHAPES
def test_is_the_slow_twin(metric: LocalisationMetric, shape: tuple[int, ...]) -> None:
    attributions, masks = draw(6, *shape), some_masks(6, *shape)
    expected = [
        slow(metric, a.flatten().tolist(), m.flatten().tolist()) for a, m in zip(attributions, masks, strict=True)
    ]
    assert len(set(expected)) > 1
    np.testing.assert_allclose(scores(metric, attributions, masks).numpy(), expected, rtol=1e-14)


@EVERY
def test_the_mask_itself_is_found_and_its_opposite_is_not(metric: LocalisationMetric) -> None:
    masks = some_masks(4, 1, 12, 10)
    attributions = torch.where(masks, 1.0, -1.0) + 0.1 * draw(4, 1, 12, 10).clamp(-1, 1)
    assert scores(metric, attributions, masks).tolist() == [1.0] * 4
    assert scores(metric, -attributions, masks).tolist() == [0.0] * 4


@EVERY
def test_masks_that_ask_nothing_are_undefined_for_that_sample_only(metric: LocalisationMetric) -> None:
    attributions, masks = draw(4, 1, 12, 10), some_masks(4, 1, 12, 10)
    before = scores(metric, attributions, masks)
    masks[1], masks[3] = False, True
    after = scores(metric, attributions, masks)
    assert after.isnan().tolist() == [False, True, False, True]
    assert torch.equal(after[[0, 2]], before[[0, 2]])


@EVERY
def test_attributions_that_say_nothing_are_undefined_for_that_sample_only(metric: LocalisationMetric) -> None:
    attributions, masks = draw(4, 1, 12, 10), some_masks(4, 1, 12, 10)
    before = scores(metric, attributions, masks)
    attributions[1], attributions[3] = 0.0, -0.5
    after = scores(metric, attributions, masks)
    assert after.isnan().tolist() == [False, True, False, True]
    assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_constant_relevance_has_its_mass_where_the_mask_is_and_no_ranks() -> None:
    masks = torch.arange(40).reshape(1, 1, 40) < 10
    constant = torch.full((1, 1, 40), 0.7, dtype=torch.float64)
    assert float(scores(RelevanceMass(), constant, masks)) == pytest.approx(0.25, abs=1e-15)
    for metric in RANKS:
        assert scores(metric, constant, masks).isnan().all()


def test_negative_relevance_has_no_mass() -> None:
    attributions = torch.tensor([[[3.0, -100.0, 1.0, -1.0]]])
    masks = torch.tensor([[[True, True, False, False]]])
    assert float(scores(RelevanceMass(), attributions, masks)) == 0.75


def test_focus_on_two_clips_in_sequence_is_the_targets_share_of_their_relevance() -> None:
    first, second = draw(3, 1, 20).abs(), draw(3, 1, 20, seed=1).abs()
    target_first = torch.arange(40).reshape(1, 1, 40).expand(3, 1, 40) < 20
    focus = scores(Focus(), torch.cat([first, second], 2), target_first)
    totals = first.sum((1, 2)), second.sum((1, 2))
    torch.testing.assert_close(focus, totals[0] / (totals[0] + totals[1]), rtol=1e-14, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=2, max_size=6),
    k=st.integers(1, 6),
)
def test_ties_count_by_the_mean_over_all_ways_to_break_them(cells: list[tuple[int, bool]], k: int) -> None:
    k = min(k, len(cells))
    relevance = torch.tensor([[float(value) for value, _ in cells]])
    inside = torch.tensor([[within for _, within in cells]])
    score = float(top_share(relevance, inside, torch.tensor([k])))
    shares = []
    for order in itertools.permutations(range(len(cells))):
        best = sorted(order, key=lambda cell: -cells[cell][0])[:k]
        shares.append(sum(cells[cell][1] for cell in best) / k)
    if len({value for value, _ in cells}) == 1:
        assert math.isnan(score)
    else:
        assert score == pytest.approx(np.mean(shares), abs=1e-12)


def test_of_tied_maxima_the_share_inside_counts() -> None:
    attributions = torch.tensor([[[5.0, 5.0, 5.0, 1.0]]])
    masks = torch.tensor([[[True, False, False, True]]])
    assert float(scores(PointingGame(), attributions, masks)) == pytest.approx(1 / 3, abs=1e-15)


@pytest.mark.parametrize("metric", RANKS, ids=lambda metric: metric.label)
@pytest.mark.parametrize("change", [torch.exp, torch.atan, lambda a: a**3, lambda a: 1e6 * a - 7])
def test_what_ranks_asks_for_the_order_alone(metric: LocalisationMetric, change) -> None:
    attributions, masks = draw(4, 1, 12, 10), some_masks(4, 1, 12, 10)
    assert torch.equal(scores(metric, change(attributions), masks), scores(metric, attributions, masks))


@EVERY
def test_knows_no_scale_and_no_place(metric: LocalisationMetric) -> None:
    attributions, masks = draw(4, 1, 72), some_masks(4, 1, 72)
    expected = scores(metric, attributions, masks)
    torch.testing.assert_close(scores(metric, 1e6 * attributions, masks), expected, rtol=1e-12, atol=0)
    order = torch.randperm(72, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        scores(metric, attributions[:, :, order], masks[:, :, order]), expected, rtol=1e-12, atol=0
    )


@EVERY
def test_a_random_map_expects_the_share_of_the_mask(metric: LocalisationMetric) -> None:
    attributions = draw(3000, 1, 60)
    masks = (torch.arange(60) < 20).expand(3000, 1, 60)
    score = scores(metric, attributions, masks)
    assert float(score.mean()) == pytest.approx(1 / 3, abs=4 * float(score.std()) / 3000**0.5)


def test_a_fraction_compares_sizes() -> None:
    small, mask = draw(3, 1, 10, 10), some_masks(3, 1, 10, 10)
    large, wide = (maps.repeat_interleave(2, 2).repeat_interleave(2, 3) for maps in (small, mask))
    assert torch.equal(scores(TopKIntersection(0.1), small, mask), scores(TopKIntersection(0.1), large, wide))


def test_at_least_one_cell_is_taken() -> None:
    attributions, masks = draw(5, 1, 40), some_masks(5, 1, 40)
    assert torch.equal(scores(TopKIntersection(1e-3), attributions, masks), scores(PointingGame(), attributions, masks))


@EVERY
def test_one_pixel_can_be_asked_nothing(metric: LocalisationMetric) -> None:
    attributions, masks = torch.ones(2, 1, 1, 1), torch.tensor([True, False]).reshape(2, 1, 1, 1)
    assert scores(metric, attributions, masks).isnan().all()


@EVERY
def test_every_sample_is_scored_by_itself(metric: LocalisationMetric) -> None:
    attributions, masks = draw(5, 1, 12, 10, dtype=torch.float32), some_masks(5, 1, 12, 10)
    together = scores(metric, attributions, masks)
    assert together.dtype == torch.float64
    alone = [scores(metric, attributions[row : row + 1], masks[row : row + 1]) for row in range(5)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-14, atol=0)
    attributions[2] *= 1e6
    others = [0, 1, 3, 4]
    assert torch.equal(scores(metric, attributions, masks)[others], together[others])


@EVERY
@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (None, "no masks"),
        (torch.ones(2, 1, 8, 8), r"masks of torch.float32 and shape \(2, 1, 8, 8\)"),
        (torch.ones(2, 8, 8, dtype=torch.bool), r"masks of torch.bool and shape \(2, 8, 8\)"),
        (torch.ones(1, 1, 8, 8, dtype=torch.bool), r"masks of torch.bool and shape \(1, 1, 8, 8\)"),
    ],
)
def test_masks_that_are_none_are_refused(metric: LocalisationMetric, masks: Tensor | None, said: str) -> None:
    with pytest.raises(
        UserError, match=rf"^{metric.label} got {said} for inputs of \(2, 1, 8, 8\); give boolean masks"
    ):
        scores(metric, draw(2, 1, 8, 8), masks)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, math.nan])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match=f"fraction is {fraction}"):
        TopKIntersection(fraction)


@EVERY
def test_takes_no_pass(metric: LocalisationMetric) -> None:
    before = MODEL.counter.count
    scores(metric, draw(3, 1, 8, 8), some_masks(3, 1, 8, 8))
    assert MODEL.counter.count == before
    assert metric.passes(MODEL, torch.empty(3, 1, 8, 8, device="meta")) == 0
