"""Sparseness: closed forms and what it must not depend on."""

import pytest
import torch
from helpers.tiny_models import draw, tiny_cnn
from torch import Tensor

from audioxai.metrics.complexity import Sparseness

MODEL = tiny_cnn()


def sparseness(attributions: Tensor) -> Tensor:
    """Scores of attributions; inputs and targets play no part."""
    targets = torch.zeros(len(attributions), dtype=torch.int64)
    return Sparseness()(MODEL, torch.zeros_like(attributions), targets, attributions)


@pytest.mark.parametrize("shape", [(1, 40), (1, 6, 7), (2, 6, 7)])
def test_closed_forms(shape: tuple[int, ...]) -> None:
    cells = torch.Size(shape).numel()
    attributions = torch.zeros(5, cells, dtype=torch.float64)
    attributions[0, 3] = -2.0
    attributions[1] = 0.3
    attributions[2] = 0.3 * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(cells // 2)
    attributions[3, : cells // 2] = 1.0
    scores = sparseness(attributions.reshape(5, *shape))
    expected = torch.tensor([1 - 1 / cells, 0.0, 0.0, 0.5, torch.nan], dtype=torch.float64)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, -1.0, 1e6])
def test_knows_no_scale_sign_or_place(scale: float) -> None:
    attributions = draw(4, 1, 8, 9)
    expected = sparseness(attributions)
    torch.testing.assert_close(sparseness(scale * attributions), expected, rtol=1e-12, atol=0)
    shuffled = attributions.flatten(2)[:, :, torch.randperm(72, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(sparseness(shuffled.reshape(4, 1, 8, 9)), expected, rtol=1e-12, atol=0)


def test_normal_numbers_have_the_gini_index_of_the_half_normal_distribution() -> None:
    score = float(sparseness(draw(1, 1, 400, 400))[0])
    assert abs(score - (2**0.5 - 1)) < 5e-3


def test_fewer_cells_of_the_same_size_are_sparser() -> None:
    attributions = torch.stack([(torch.arange(64) < cells).double() for cells in (1, 4, 16, 64)])
    torch.testing.assert_close(
        sparseness(attributions[:, None]),
        1 - torch.tensor([1, 4, 16, 64], dtype=torch.float64) / 64,
        rtol=0,
        atol=1e-13,
    )
