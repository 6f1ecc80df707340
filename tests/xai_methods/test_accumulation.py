"""Maps of many points added up sample by sample: against a loop, and alike however the points fall into calls."""

import pytest
import torch
from helpers.tiny_models import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioxai.xai_methods.path_integral import add_by_sample


def slow_sums(samples: int, places: Tensor, worth: Tensor) -> Tensor:
    total = torch.zeros(samples, *worth.shape[1:], dtype=worth.dtype)
    for place, one in zip(places.tolist(), worth, strict=True):
        total[place] = total[place] + one
    return total


@given(counts=st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(any), size=st.integers(1, 40))
@settings(deadline=None)
def test_sums_are_those_of_a_loop_in_calls_of_any_size(counts: list[int], size: int) -> None:
    places = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    worth = draw(len(places), 1, 3, 4, seed=1)
    total = draw(len(counts), 1, 3, 4, seed=2)
    expected = total + slow_sums(len(counts), places, worth)
    for some_places, some in zip(places.split(size), worth.split(size), strict=True):
        add_by_sample(total, some_places, some)
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("counts", [(4, 4, 4), (4, 1, 3)])
def test_a_sample_gets_the_same_bits_in_any_company(counts: tuple[int, ...]) -> None:
    places = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    worth = draw(len(places), 1, 16, 16, seed=1, dtype=torch.float32)
    together, alone = torch.zeros(3, 1, 16, 16), torch.zeros(3, 1, 16, 16)
    add_by_sample(together, places, worth)
    for place in range(3):
        add_by_sample(alone, places[places == place], worth[places == place])
    assert torch.equal(together, alone)
