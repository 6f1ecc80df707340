"""Seeds are pure functions of what they are for, the same for ever."""

import itertools

import pytest
import torch

from audioxai.utils.seeding import content_key, content_keys, derived_seed, generator


# Every file name and every random number of every result rests on these: they must never change.
@pytest.mark.parametrize(
    ("parts", "seed"),
    [
        ((), 2847183694713211083),
        (("training", 0, 0), 2354783120922648229),
        (("explained samples", "mnist", "official"), 1562735991195202423),
        ((None, True, 1.5, ("x", 2)), 1413289972573652323),
        (({"name": "Saliency", "seed": 0},), 3623284621489109572),
    ],
)
def test_frozen_values(parts, seed):
    assert derived_seed(*parts) == seed


def test_seeds_lie_in_range_and_differ():
    seeds = [derived_seed("x", number) for number in range(2000)]
    assert len(set(seeds)) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)
    # Every bit is one for about half of them (4 standard deviations).
    for bit in range(63):
        assert abs(sum(seed >> bit & 1 for seed in seeds) - 1000) < 4 * 2000**0.5 / 2


def test_parts_are_told_apart():
    alike = [("a", "b"), ("ab",), ("a,b",), ("a", "", "b"), ("b", "a"), (("a", "b"),), ("a",), (1,), ("1",), (1.0,), ()]
    for one, other in itertools.combinations(alike, 2):
        assert derived_seed(*one) != derived_seed(*other)


def test_generators_repeat_and_are_independent():
    first = torch.rand(10_000, generator=generator("a", 0), dtype=torch.float64)
    assert torch.equal(first, torch.rand(10_000, generator=generator("a", 0), dtype=torch.float64))
    other = torch.rand(10_000, generator=generator("a", 1), dtype=torch.float64)
    correlation = torch.corrcoef(torch.stack([first, other]))[0, 1]
    assert abs(correlation) < 0.04  # 4 standard deviations


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn = torch.rand(3, generator=generator("a"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(torch.rand(3, generator=generator("a")), drawn)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_keys_of_a_batch_are_those_of_its_samples_however_they_lie_in_memory(dtype):
    batch = torch.rand((4, 6, 5), generator=generator("batch")).to(dtype)
    keys = [content_key(sample.clone()) for sample in batch]
    assert len(set(keys)) == 4
    assert content_keys(batch) == keys
    assert content_keys(batch.mT.contiguous().mT) == keys
    assert content_keys(batch[::2]) == keys[::2]
