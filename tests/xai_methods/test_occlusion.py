"""Occlusion against a loop over patches; Captum answers in single precision, hence the tolerances."""

import itertools
import math

import pytest
import torch
from helpers.explainer_cases import BASELINE, MODELS, case
from helpers.tiny_models import Linear, draw
from torch import Tensor, nn

from audioxai.utils.errors import UserError
from audioxai.xai_methods.occlusion import Occlusion


def patches(shape: tuple[int, ...], per_side: int) -> list[tuple[slice, ...]]:
    """Patches of ⌈size / per_side⌉ cells along every axis, the last ones cut off at the border."""
    sides = [math.ceil(size / per_side) for size in shape]
    along = [
        [slice(start, min(start + side, size)) for start in range(0, size, side)]
        for size, side in zip(shape, sides, strict=True)
    ]
    return list(itertools.product(*along))


def slowly(model: nn.Module, inputs: Tensor, targets: Tensor, per_side: int) -> Tensor:
    """What the target's logit loses when one patch of one sample is set to the baseline."""
    attributions = torch.full_like(inputs, torch.nan)
    for row, target in enumerate(targets.tolist()):
        for patch in patches(tuple(inputs.shape[2:]), per_side):
            removed = inputs[row : row + 1].clone()
            cells: tuple[int | slice, ...] = (slice(None), *patch)
            removed[0][cells] = BASELINE.value
            loss = model(inputs[row : row + 1])[0, target] - model(removed)[0, target]
            attributions[row][cells] = loss.item()
    return attributions


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("per_side", [2, 3, 4, 8, 1000])
def test_is_the_loop_over_patches(kind: str, per_side: int) -> None:
    model, inputs, targets = case(kind, batch=3)
    attributions = Occlusion(BASELINE, per_side)(model, inputs, targets)
    expected = slowly(model, inputs, targets, per_side)
    torch.testing.assert_close(attributions, expected, rtol=1.2e-7, atol=1e-12)
    count = len(patches(tuple(inputs.shape[2:]), per_side))
    assert Occlusion(BASELINE, per_side).passes(inputs) == 3 * (count + 1)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_linear_model_loses_what_the_patch_contributed(channels: int) -> None:
    shape = (channels, 6, 9)
    model, inputs, targets = Linear(3, *shape), draw(2, *shape, seed=4), torch.tensor([2, 0])
    attributions = Occlusion(BASELINE, 3)(model, inputs, targets)
    contributions = model.weights.detach()[targets] * (inputs - BASELINE.value)
    for rows, columns in patches((6, 9), 3):
        expected = contributions[:, :, rows, columns].sum((1, 2, 3))
        for cell in attributions[:, :, rows, columns].flatten(1).T:
            torch.testing.assert_close(cell, expected, rtol=1.2e-7, atol=1e-12)


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_costs_the_same_at_every_resolution(size: int) -> None:
    inputs = torch.zeros(2, 1, size, size)
    per_side = math.ceil(size / math.ceil(size / 8))
    assert Occlusion(BASELINE).passes(inputs) == 2 * (per_side**2 + 1) <= 2 * 65


def test_fewer_than_two_patches_are_refused() -> None:
    with pytest.raises(UserError, match="patches_per_side is 1"):
        Occlusion(BASELINE, 1)
