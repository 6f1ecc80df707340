"""Ordered Integrated Gradients: beside a loop over samples, paths and nodes; closed forms; order and budget."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import Function, Linear, draw, nothing_touched, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import BandNoise, Constant, SpeechShapedNoise, blurred
from audioxai.domains import Mask
from audioxai.utils.errors import UserError
from audioxai.xai_methods.ordered import OrderedIntegratedGradients, OrderedMasks
from audioxai.xai_methods.path_integral import shared_by_squares
from audioxai.xai_methods.paths import OrderedLine, insertion_ranks

FLOOR_DB = -80.0
TRAINING = (-45.0 + 15.0 * draw(40, 1, 16, 12, seed=1)).clamp(FLOOR_DB, 0.0)
INPUTS = (-40.0 + 15.0 * draw(4, 1, 16, 12, seed=2)).clamp(FLOOR_DB, 0.0)
TARGETS = torch.arange(4) % 3
SILENCE = Constant(FLOOR_DB)
NOISE = BandNoise.of(TRAINING, FLOOR_DB, snr_db=10.0, seed=3)
CLIPS = 0.1 * draw(4, 1, 300, seed=5)
CELLS = Mask(2_000, 0.15, bands=5, frames=6, window_s=0.02)
SHAPED = SpeechShapedNoise.of(0.1 * draw(6, 1, 300, seed=6), snr_db=10.0, seed=3)
IN_MASKS = OrderedMasks(Constant(0.0), SHAPED, 24, rounds=2, domain=CELLS)
Answer = Callable[[Tensor], Tensor]


def slow_path(answer: Answer, target: int, points: list[Tensor]) -> tuple[Tensor, Tensor, float]:
    """Both readings of a path of one sample and its change; points are edge, node, edge, node, …, edge."""
    plain, shared = torch.zeros_like(points[0]), torch.zeros_like(points[0])
    for k in range(1, len(points), 2):
        node = points[k].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(answer(node)[0, target], node)
        step = points[k + 1] - points[k - 1]
        plain += gradient * step
        shared += (gradient * step).sum() * gradient**2 / (gradient**2).sum()
    with torch.no_grad():
        change = float(answer(points[-1])[0, target] - answer(points[0])[0, target])
    return plain, shared, change


def masked(model: nn.Module, one: Tensor, removed: Tensor) -> Answer:
    """The model's logits of a mask of one clip, cell by cell."""
    stft = CELLS.stft
    spectrum = stft.analysis(one - removed)
    rows, columns = (
        [[float(w) for w in np.interp(np.array(bins.coordinates), np.array(own.coordinates), unit)] for unit in units]
        for own, bins, units in zip(CELLS.axes(), stft.axes(), (np.eye(5), np.eye(6)), strict=True)
    )

    def answer(mask: Tensor) -> Tensor:
        sound = removed
        for band, across in enumerate(rows):
            for frame, along in enumerate(columns):
                share = torch.tensor(across, dtype=torch.float64)[:, None] * torch.tensor(along, dtype=torch.float64)
                sound = sound + mask[0, 0, band, frame] * stft.synthesis(share * spectrum)
        return model(sound)

    return answer


def slow(explainer: OrderedIntegratedGradients, model: nn.Module, one: Tensor, target: int) -> tuple[Tensor, float]:
    """Attributions and change of one sample, by loops."""
    rounds, steps, first = explainer.budget
    end = torch.ones(1, 1, *CELLS.shape, dtype=torch.float64) if isinstance(explainer, OrderedMasks) else one
    total, whole, change = torch.zeros_like(end), 0.0, 0.0

    def add(removed: Tensor, ranks: Tensor | None, places: list[float], sigma: float, weight: float) -> None:
        nonlocal total, whole, change
        answer: Answer = model
        start = removed
        if isinstance(explainer, OrderedMasks):
            answer, start = masked(model, one, removed), torch.zeros_like(end)
        *maps, gained = slow_path(answer, target, points(start, ranks, places))
        for reading, part in zip(maps, (1.0 - explainer.idgi_share, explainer.idgi_share), strict=True):
            smooth = blurred(reading, torch.tensor([sigma], dtype=torch.float64))
            own = weight * part / float(smooth.abs().sum())
            total, whole, change = total + own * smooth, whole + own, change + own * gained

    def points(start: Tensor, ranks: Tensor | None, places: list[float]) -> list[Tensor]:
        made, overlap = [], explainer.overlap
        for place in places:
            shares = [place] * end.numel()
            if ranks is not None:
                starts = [float(turn) for turn in ranks.flatten()]
                shares = [min(1.0, max(0.0, (place * (1 + overlap) - turn) / overlap)) for turn in starts]
            share = torch.tensor(shares, dtype=torch.float64).reshape_as(end)
            made.append((1.0 - share) * start + share * end)
        return made

    def places(count: int, tag: float = 0.5) -> list[float]:
        found = [0.0]
        for k in range(count):
            found += [(k + tag) / count, (k + 1) / count]
        return found

    silence, noisy = explainer.silence(one), first // 2
    add(silence, None, places(first - noisy), explainer.silence_sigma_cells, 2.0)
    for number in range(2):
        noise = explainer.noise.drawn(one, number)
        add(noise, None, places(noisy // 2, (number + 0.5) / 2), explainer.noise_sigma_cells, 1.0)
    for number in range(1, rounds + 1):
        ranking = sorted(range(end.numel()), key=lambda cell: -float(total.flatten()[cell]))
        ranks = torch.zeros(end.numel(), dtype=torch.float64)
        for position, cell in enumerate(ranking):
            ranks[cell] = position / (end.numel() - 1)
        orders = [ranks.reshape_as(end), 1.0 - ranks.reshape_as(end)]
        for order in orders:
            add(silence, order, places(steps), explainer.silence_sigma_cells, 1.0)
        for draw_number, order in enumerate(orders, 2 * number):
            noise = explainer.noise.drawn(one, draw_number)
            add(noise, order, places(steps), explainer.noise_sigma_cells, 1.0)
    return total / whole, change / whole


CASES = pytest.mark.parametrize(
    ("explainer", "model", "inputs"),
    [
        (OrderedIntegratedGradients(SILENCE, NOISE, 24, rounds=2), tiny_cnn(), INPUTS),
        (IN_MASKS, tiny_waveform_cnn(), CLIPS),
    ],
    ids=["inputs", "masks"],
)


@CASES
def test_is_what_loops_over_paths_and_nodes_say(
    explainer: OrderedIntegratedGradients, model: nn.Module, inputs: Tensor
) -> None:
    integral = explainer.attribute(model, inputs, TARGETS)
    for row, target in enumerate(TARGETS.tolist()):
        expected, change = slow(explainer, model, inputs[row : row + 1], target)
        torch.testing.assert_close(integral.attributions[row], expected[0], rtol=1e-9, atol=1e-12)
        assert float(integral.change[row]) == pytest.approx(change, rel=1e-9)
    assert integral.gradients.tolist() == [24] * 4


@CASES
def test_the_size_of_a_call_and_the_company_do_not_matter(
    explainer: OrderedIntegratedGradients, model: nn.Module, inputs: Tensor
) -> None:
    with nothing_touched(model, inputs, TARGETS):
        expected = explainer(model, inputs, TARGETS)
    for size in (1, 3, 1000):
        made = explainer.attribute(model, inputs, TARGETS, internal_batch_size=size).attributions
        torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-12)
    alone = torch.cat([explainer(model, inputs[[row]], TARGETS[[row]]) for row in range(4)])
    torch.testing.assert_close(alone, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gradients", [6, 8, 16, 33])
def test_masks_of_a_linear_model_are_explained_completely_by_few_gradients(gradients: int) -> None:
    explainer = replace(IN_MASKS, gradients=gradients, rounds=3)
    integral = explainer.attribute(Linear(3, 1, 300), CLIPS, TARGETS)
    torch.testing.assert_close(integral.attributions.flatten(1).sum(1), integral.change, rtol=1e-9, atol=1e-9)
    assert explainer.passes(CLIPS) == 4 * gradients


def test_the_gap_closes_in_masks_too() -> None:
    few, many = (
        replace(IN_MASKS, gradients=count, rounds=3).attribute(tiny_waveform_cnn(), CLIPS, TARGETS)
        for count in (16, 1536)
    )
    assert float(many.gap.max()) < 0.05 < float(few.gap.min())


def test_a_linear_model_is_explained_completely_by_few_gradients() -> None:
    model = Linear(3, 1, 16, 12)
    integral = OrderedIntegratedGradients(SILENCE, NOISE, 8).attribute(model, INPUTS, TARGETS)
    torch.testing.assert_close(integral.attributions.flatten(1).sum(1), integral.change, rtol=1e-9, atol=1e-9)


def test_the_gap_closes_with_more_gradients() -> None:
    model = tiny_cnn()
    few, many = (
        OrderedIntegratedGradients(SILENCE, NOISE, count).attribute(model, INPUTS, TARGETS) for count in (16, 1536)
    )
    assert float(many.gap.max()) < 0.05 < float(few.gap.min())


@pytest.mark.parametrize(
    ("gradients", "budget"),
    [(6, (1, 1, 2)), (8, (1, 1, 4)), (16, (3, 1, 4)), (31, (3, 2, 7)), (32, (3, 2, 8)), (64, (3, 4, 16))],
)
def test_about_a_quarter_of_the_gradients_orders_the_cells_first(gradients: int, budget: tuple[int, int, int]) -> None:
    assert OrderedIntegratedGradients(SILENCE, NOISE, gradients).budget == budget
    rounds, steps, first = budget
    assert first + 4 * rounds * steps == gradients


def test_features_move_by_their_ranks() -> None:
    end = torch.tensor([[[[2.0, 4.0, 8.0]]]], dtype=torch.float64)
    ranks = torch.tensor([[[[0.0, 0.5, 1.0]]]], dtype=torch.float64)
    curve, row = OrderedLine(torch.zeros_like(end), end, ranks, 0.5), torch.tensor([0])

    def at(place: float) -> list[float]:
        return curve.at(row, torch.tensor([place], dtype=torch.float64)).flatten().tolist()

    assert at(0.0) == [0.0] * 3
    assert at(1.0) == pytest.approx([2.0, 4.0, 8.0])
    # At a third of the way half a unit of ranks has passed: the first has arrived, the second starts.
    assert at(1.0 / 3.0) == pytest.approx([2.0, 0.0, 0.0])
    assert at(0.5) == pytest.approx([2.0, 2.0, 0.0])
    step = curve.step(row, torch.tensor([0.5]).double(), torch.tensor([1.0]).double())
    assert step.flatten().tolist() == pytest.approx([0.0, 2.0, 8.0])
    with pytest.raises(UserError, match=r"shapes \(1, 1, 1, 3\), \(1, 1, 1, 3\) and \(1, 1, 3\)"):
        OrderedLine(end, end, ranks[0], 0.5)


def test_ranks_follow_falling_attribution_and_ties_their_coordinates() -> None:
    relevance = torch.tensor([[[[0.1, 0.9], [0.1, -1.0], [0.5, 0.1]]]])
    assert insertion_ranks(relevance).flatten().tolist() == pytest.approx([0.4, 0.0, 0.6, 1.0, 0.2, 0.8])


def test_changes_are_divided_by_the_squared_gradient() -> None:
    gradients = torch.tensor([[[[1.0, -2.0]]], [[[0.0, 0.0]]]], dtype=torch.float64)
    steps = torch.tensor([[[[3.0, 1.0]]], [[[1.0, 1.0]]]], dtype=torch.float64)
    assert shared_by_squares(gradients, steps).flatten(1).tolist() == [
        [pytest.approx(0.2), pytest.approx(0.8)],
        [0.0, 0.0],
    ]


def test_a_model_that_hears_nothing_gives_nothing() -> None:
    deaf = Function(lambda x: torch.tensor([[0.1, -0.4, 0.2]]).double() + 0.0 * x.flatten(1).sum(1, keepdim=True))
    integral = OrderedIntegratedGradients(SILENCE, NOISE, 8).attribute(deaf, INPUTS, TARGETS)
    assert not integral.attributions.any()
    assert not integral.change.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gradients": 5}, "gradients is 5"),
        ({"rounds": 0}, "rounds is 0"),
        ({"idgi_share": 1.5}, r"idgi_share is 1\.5"),
        ({"overlap": 0.0}, r"overlap is 0\.0"),
        ({"noise_sigma_cells": 0.0}, r"noise_sigma_cells 0\.0"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        OrderedIntegratedGradients(SILENCE, NOISE, **settings)
