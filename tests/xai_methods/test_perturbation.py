"""RISE and Kernel SHAP: against loops, exact Shapley values of small games, Captum, closed forms."""

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from captum.attr import KernelShap as CaptumKernelShap
from helpers.tiny_models import Counting, Function, Linear, draw, tiny_cnn
from torch import Tensor, nn

from audioxai.baselines import Constant, Silence
from audioxai.domains import Rfft, Stft
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import seen_in
from audioxai.xai_methods.perturbation import KernelShap, Rise, patch_places

BASELINE = Constant(0.25)
INPUTS = draw(2, 1, 12, 10, seed=3)
TARGETS = torch.tensor([2, 0])
CPU = torch.device("cpu")


def probability(model: nn.Module, one: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(model(one)[0].softmax(0)[target])


# --- RISE ------------------------------------------------------------------------------------------------------------


def test_rise_is_a_mean_of_masks_weighted_by_the_probability() -> None:
    model, explainer = tiny_cnn(), Rise(BASELINE, masks=30, cells_per_side=4, kept=0.4, seed=5)
    attributions = explainer(model, INPUTS, TARGETS)
    for row, target in enumerate(TARGETS.tolist()):
        drawn = Streams(("rise", 5), content_keys(INPUTS[[row]]), INPUTS.device).uniform(30 * 27).reshape(30, 27)
        expected = torch.zeros(12, 10, dtype=torch.float64)
        for numbers in drawn:
            mask = slow_mask(numbers)
            masked = mask * INPUTS[row, 0] + (1.0 - mask) * 0.25
            expected += probability(model, masked[None, None], target) * mask / (30 * 0.4)
        torch.testing.assert_close(attributions[row, 0], expected, rtol=1e-9, atol=1e-12)


def slow_mask(numbers: Tensor) -> Tensor:
    """A grid of 5 × 5, enlarged to cells of 3 × 3 with half-cell borders, cut at random to 12 × 10."""
    grid = numbers[:25].reshape(5, 5) < 0.4
    down, right = (int(3 * share) for share in numbers[25:])
    mask = torch.zeros(12, 10, dtype=torch.float64)
    for row in range(12):
        for column in range(10):
            places = [min(max((place + 0.5) / 3.0 - 0.5, 0.0), 4.0) for place in (row + down, column + right)]
            for y in range(5):
                for x in range(5):
                    share = max(0.0, 1.0 - abs(y - places[0])) * max(0.0, 1.0 - abs(x - places[1]))
                    mask[row, column] += share * float(grid[y, x])
    return mask


def test_rise_finds_the_only_feature_that_counts() -> None:
    model = Function(lambda x: torch.stack([20.0 * x[:, 0, 9, 2] - 10.0, 0.0 * x[:, 0, 0, 0]], 1))
    attributions = Rise(Constant(0.0), masks=600)(model, torch.ones(1, 1, 12, 10).double(), torch.tensor([0]))
    found = int(attributions.flatten().argmax())
    assert abs(found // 10 - 9) <= 1
    assert abs(found % 10 - 2) <= 1


def test_rise_of_a_model_that_hears_nothing_is_even() -> None:
    deaf = Function(lambda x: 0.0 * x.flatten(1)[:, :2])
    attributions = Rise(Constant(0.0), masks=2_000)(deaf, torch.ones(1, 1, 12, 10).double(), torch.tensor([0]))
    assert float((attributions - 0.5).abs().max()) < 0.05


def test_rise_takes_waveforms() -> None:
    attributions = Rise(Constant(0.0), masks=50)(Linear(3, 1, 41), draw(2, 1, 41), TARGETS)
    assert attributions.shape == (2, 1, 41)


@pytest.mark.parametrize(("domain", "cells"), [(Rfft(1_000, 0.041), 200), (Stft(1_000, 0.1, window_s=0.016), 25)])
def test_freqrise_is_rise_of_bins_that_are_let_through_or_set_to_zero(domain: Rfft | Stft, cells: int) -> None:
    waveforms = draw(2, 1, domain.samples)
    model, bins = seen_in(domain, Linear(3, 1, domain.samples), waveforms)
    explainer = METHODS.bind("freqrise", {"domain": domain, "passes": 20, "seed": 5})
    attributions = explainer(model, bins, TARGETS)
    assert explainer == Rise(Silence(domain), 20, cells, seed=5)
    assert attributions.dtype == torch.float64
    # The same masks, drawn by hand.
    stream, expected = Streams(("rise", 5), content_keys(bins[[1]]), CPU), torch.zeros(domain.shape).double()
    for number in range(20):
        mask = explainer._masks(domain.shape, stream, slice(number, number + 1))[0, 0]
        expected += probability(model, mask * bins[[1]], 0) * mask / (20 * 0.5)
    torch.testing.assert_close(attributions[1, 0], expected, rtol=1e-9, atol=1e-12)


def test_freqrise_finds_the_frequency_that_counts() -> None:
    domain = Rfft(1_000, 0.2)
    sine, cosine = (f(2 * torch.pi * 40 * torch.arange(200).double() / 200) for f in (torch.sin, torch.cos))
    model = Function(lambda x: torch.stack([(x[:, 0] @ sine) ** 2 + (x[:, 0] @ cosine) ** 2, 0.0 * x[:, 0, 0]], 1) / 20)
    seen, bins = seen_in(domain, model, (sine + torch.cos(2 * torch.pi * torch.arange(200) / 20.0))[None, None])
    attributions = METHODS.bind("freqrise", {"domain": domain, "passes": 600}, cells_per_side=20)(
        seen, bins, TARGETS[1:]
    )
    assert abs(int(attributions.argmax()) - 40) <= 5


def test_antithetic_masks_of_rise_are_complements() -> None:
    model = Counting(tiny_cnn())
    explainer = Rise(BASELINE, masks=30, cells_per_side=4, antithetic=True)
    stream = Streams(("masks",), [3], torch.device("cpu"))
    masks = explainer._masks((9, 7), stream, slice(0, 30))
    assert len(masks) == 30
    torch.testing.assert_close(masks[1::2], 1.0 - masks[0::2])
    # The first of every pair are those of independent masks, and where calls begin decides nothing.
    independent = Rise(BASELINE, masks=15, cells_per_side=4)._masks((9, 7), stream, slice(0, 15))
    torch.testing.assert_close(masks[0::2], independent)
    assert torch.equal(masks[7:12], explainer._masks((9, 7), stream, slice(7, 12)))
    explainer(model, INPUTS, TARGETS)
    assert model.counter.count == explainer.passes(INPUTS)


def test_antithetic_masks_know_the_map_better() -> None:
    model, inputs, targets = tiny_cnn(), INPUTS[:1], TARGETS[:1]
    spread, means = [], []
    for antithetic in (False, True):
        explainers = [Rise(BASELINE, masks=20, seed=seed, antithetic=antithetic) for seed in range(40)]
        maps = torch.stack([explainer(model, inputs, targets) for explainer in explainers])
        spread.append(float(maps.var(0).mean()))
        means.append(maps.mean(0))
    assert spread[1] < 0.5 * spread[0]
    assert float((means[0] - means[1]).abs().mean()) < 2 * (sum(spread) / 40) ** 0.5


@pytest.mark.parametrize("options", [{"masks": 21}, {"masks": 20, "kept": 0.4}])
def test_masks_without_complements_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="pairs of complements"):
        Rise(BASELINE, antithetic=True, **options)  # type: ignore[arg-type]


# --- Kernel SHAP -----------------------------------------------------------------------------------------------------


def game(seed: int = 0) -> nn.Module:
    """Six players with products of up to three."""
    linear, pairs, triples = draw(6, seed=seed), draw(6, 6, seed=seed + 1), draw(6, 6, 6, seed=seed + 2)

    def logits(x: Tensor) -> Tensor:
        z = x.flatten(1)
        own = z @ linear + torch.einsum("ni,nj,ij->n", z, z, pairs) + torch.einsum("ni,nj,nk,ijk->n", z, z, z, triples)
        return torch.stack([own, torch.zeros_like(own)], 1)

    return Function(logits)


def shapley(model: nn.Module, one: Tensor, start: Tensor) -> Tensor:
    """Mean gain of every player over all orders."""
    values = torch.zeros(one.numel(), dtype=torch.float64)
    for order in permutations(range(one.numel())):
        point = start.clone()
        for player in order:
            before = float(model(point)[0, 0])
            point.view(-1)[player] = one.view(-1)[player]
            values[player] += float(model(point)[0, 0]) - before
    return values / math.factorial(one.numel())


def test_all_coalitions_give_the_shapley_values() -> None:
    model, one, start = game(), draw(1, 1, 2, 3, seed=4), torch.full((1, 1, 2, 3), 0.25, dtype=torch.float64)
    explainer = KernelShap(BASELINE, coalitions=64, patches_per_side=3)
    integral = explainer.attribute(model, one, torch.tensor([0]))
    torch.testing.assert_close(integral.attributions.flatten(), shapley(model, one, start), rtol=1e-9, atol=1e-9)
    assert explainer.passes(one) == 64
    assert KernelShap(BASELINE, coalitions=400, patches_per_side=3).passes(one) == 64


def test_drawn_coalitions_come_near_the_shapley_values_as_those_of_captum_do() -> None:
    one = draw(1, 1, 4, 4, seed=4)
    weights, pairs = draw(16, seed=1), 0.3 * draw(16, 16, seed=2)

    def logits(x: Tensor) -> Tensor:
        z = x.flatten(1)
        own = z @ weights + torch.einsum("ni,nj,ij->n", z, z, pairs)
        return torch.stack([own, torch.zeros_like(own)], 1)

    model, start = Function(logits), torch.full((1, 1, 4, 4), 0.25, dtype=torch.float64)
    # Of products of two, each player of a pair gets half.
    d, s, b = (one - start).flatten(), pairs + pairs.T, start.flatten()
    exact = d * (weights + s @ b) + d * (0.5 * (s - torch.diag(torch.diag(s))) @ d) + torch.diag(pairs) * d * d
    ours = KernelShap(BASELINE, coalitions=2_000, patches_per_side=4)(model, one, torch.tensor([0])).flatten()
    torch.manual_seed(0)
    other = CaptumKernelShap(model).attribute(one, start, target=0, n_samples=2_000).flatten()
    scale = float(exact.abs().max())
    assert float((ours - exact).abs().max()) < 0.1 * scale
    assert float((other - exact).abs().max()) < 0.2 * scale


@pytest.mark.parametrize("coalitions", [4, 20, 21, 60, 200])
def test_values_add_up_to_the_change_however_few_the_coalitions(coalitions: int) -> None:
    model, explainer = Counting(tiny_cnn()), KernelShap(BASELINE, coalitions, patches_per_side=4)
    integral = explainer.attribute(model, INPUTS, TARGETS)
    torch.testing.assert_close(integral.attributions.flatten(1).sum(1), integral.change, rtol=1e-9, atol=1e-12)
    ends = (model.inner(INPUTS) - model.inner(torch.full_like(INPUTS, 0.25))).gather(1, TARGETS[:, None])[:, 0]
    torch.testing.assert_close(integral.change, ends.detach())
    assert model.counter.count == explainer.passes(INPUTS) == 2 * coalitions


def test_patches_of_a_linear_model_get_what_they_change() -> None:
    model = Linear(3, 1, 12, 10)
    attributions = KernelShap(BASELINE, 1_000, patches_per_side=3)(model, INPUTS, TARGETS)
    places = patch_places((12, 10), 3)
    for row, target in enumerate(TARGETS.tolist()):
        changes = model.weights.detach()[target, 0] * (INPUTS[row, 0] - 0.25)
        for patch in range(9):
            expected = changes[places == patch].mean()
            torch.testing.assert_close(
                attributions[row, 0][places == patch], expected.expand(int((places == patch).sum())), rtol=0, atol=1e-3
            )


def test_patches_are_those_of_occlusion() -> None:
    assert patch_places((5, 4), 2).tolist() == [[0, 0, 1, 1]] * 3 + [[2, 2, 3, 3]] * 2
    assert patch_places((7,), 5).tolist() == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: Rise(BASELINE, masks=0), "masks is 0"),
        (lambda: Rise(BASELINE, kept=1.0), r"kept is 1\.0"),
        (lambda: Rise(BASELINE, cells_per_side=0), "cells_per_side is 0"),
        (lambda: KernelShap(BASELINE, 3), "coalitions is 3"),
        (lambda: KernelShap(BASELINE, patches_per_side=1), "patches_per_side is 1"),
    ],
)
def test_what_cannot_be_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings()
