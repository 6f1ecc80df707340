"""A counter-based generator against NumPy's own, published answers and the distributions that it claims."""

import itertools

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.pretended_gpu import CUDA, pretended_gpu

from audioxai.utils import counter_random
from audioxai.utils.counter_random import Streams, philox
from audioxai.utils.seeding import derived_seed

CPU = torch.device("cpu")
PURPOSE = ("test", 0)
STREAMS = (0, 1, 2**63 - 1, 123456789)


def unsigned(words: torch.Tensor) -> np.ndarray:
    return words.numpy().view(np.uint64)


# Of the authors' own library, Random123 (kat_vectors, philox4x64 10): counter, key, answer.
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        (
            [0] * 4,
            [0] * 2,
            [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B],
        ),
        (
            [2**64 - 1] * 4,
            [2**64 - 1] * 2,
            [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
        ),
        (
            [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
            [0x452821E638D01377, 0xBE5466CF34E90C6C],
            [0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6],
        ),
    ],
)
def test_the_published_answers(counter: list[int], key: list[int], answer: list[int]) -> None:
    given = (torch.from_numpy(np.array(words, dtype=np.uint64).view(np.int64)) for words in (counter, key))
    assert unsigned(philox(*given)).tolist() == answer


@pytest.mark.parametrize(("count", "first"), [(1, 0), (9, 0), (300, 0), (5, 2), (300, 7), (4, 4), (1, 10**12 + 3)])
@pytest.mark.parametrize("long_stream", [1, 10**6], ids=["numpy", "tensors"])
def test_words_are_those_of_numpy(count: int, first: int, long_stream: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_random, "LONG_STREAM", long_stream)
    words = Streams(PURPOSE, STREAMS, CPU).words(count, first)
    assert words.shape == (4, count)
    for row, stream in zip(unsigned(words), STREAMS, strict=True):
        theirs = np.random.Philox(key=np.array([derived_seed(*PURPOSE), stream], dtype=np.uint64)).advance(first // 4)
        np.testing.assert_array_equal(row, theirs.random_raw(first % 4 + count)[first % 4 :])


def test_uniform_numbers_are_those_of_numpy() -> None:
    key = np.array([derived_seed(*PURPOSE), 5], dtype=np.uint64)
    theirs = np.random.Generator(np.random.Philox(key=key)).random(1_000)
    np.testing.assert_array_equal(Streams(PURPOSE, [5], CPU).uniform(1_000)[0].numpy(), theirs)


@pytest.mark.parametrize("count", [3, 1_001])
def test_every_device_any_company_and_any_part_gives_the_same(count: int) -> None:
    here = Streams(PURPOSE, STREAMS, CPU)
    with pretended_gpu():
        there = Streams(PURPOSE, STREAMS, CUDA)
        moved = [there.words(count).cpu(), there.uniform(count).cpu(), there.normal(count).cpu()]
        moved += [there.integers(7, count).cpu(), there.orders(count).cpu(), there.subsets(count, 2).cpu()]
    made = [here.words(count), here.uniform(count), here.normal(count)]
    made += [here.integers(7, count), here.orders(count), here.subsets(count, 2)]
    for one, other in zip(made, moved, strict=True):
        assert torch.equal(one, other)
    alone = Streams(PURPOSE, STREAMS[2:3], CPU)
    assert torch.equal(alone.normal(count), made[2][2:3])
    assert torch.equal(alone.subsets(count, 2), made[5][2:3])
    assert torch.equal(here.uniform(count - 2, first=2), made[1][:, 2:])
    assert torch.equal(here.normal(count - 2), made[2][:, : count - 2])


def test_streams_and_purposes_differ() -> None:
    words = torch.cat([Streams(purpose, range(50), CPU).words(40) for purpose in (PURPOSE, ("test", 1), ("other",))])
    assert len(set(words.flatten().tolist())) == words.numel()
    correlations = np.corrcoef(Streams(PURPOSE, range(30), CPU).uniform(10_000).numpy())
    # 435 pairs: 4.5 standard deviations.
    assert np.abs(correlations - np.eye(30)).max() < 0.045


def test_uniform_and_normal_numbers_are_distributed_as_they_say() -> None:
    streams = Streams(PURPOSE, range(20), CPU)
    uniform, normal = streams.uniform(10_000).flatten(), streams.normal(10_000).flatten()
    assert uniform.dtype == torch.float64
    assert normal.dtype == torch.float32
    assert float(uniform.min()) >= 0.0
    assert float(uniform.max()) < 1.0
    assert scipy.stats.kstest(uniform.numpy(), "uniform").pvalue > 0.001
    assert scipy.stats.kstest(normal.double().numpy(), "norm").pvalue > 0.001
    # The two of a pair are as independent as their squares.
    pairs = normal.double().reshape(-1, 2).T
    assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.013
    assert abs(float(torch.corrcoef(pairs.square())[0, 1])) < 0.013


def test_the_ends_of_a_word_are_finite_normal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(PURPOSE, [0], CPU)
    ends = torch.tensor([[0, -1, 2**63 - 1, -(2**63)]])
    monkeypatch.setattr(streams, "words", lambda count: ends[:, :count])
    normal = streams.normal(8)
    assert bool(normal.isfinite().all())
    assert 6.7 < float(normal.abs().max()) < 6.8


def test_normal_numbers_do_not_depend_on_whose_logarithms_and_sines_they_are() -> None:
    """NumPy's differ from PyTorch's in the last places of double precision; after rounding next to nothing is left."""
    words = Streams(PURPOSE, range(40), CPU).words(5_000)
    high, low = unsigned(words) >> np.uint64(32), unsigned(words) & np.uint64(2**32 - 1)
    radii = np.sqrt(-2.0 * np.log((high + 0.5) * 2.0**-32))
    angles = low * (2.0 * np.pi * 2.0**-32)
    both = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], -1).reshape(40, -1).astype(np.float32)
    ours = Streams(PURPOSE, range(40), CPU).normal(10_000).numpy()
    assert (ours != both).sum() <= 2
    np.testing.assert_allclose(ours, both, rtol=1.2e-7, atol=0)


@pytest.mark.parametrize(("count", "chosen"), [(1, 1), (4, 2), (5, 5), (200, 20)])
def test_subsets_have_their_size_and_choose_all_alike(count: int, chosen: int) -> None:
    subsets = Streams(PURPOSE, range(4_000), CPU).subsets(count, chosen)
    assert set(subsets.sum(1).tolist()) == {chosen}
    share = chosen / count
    deviation = (share * (1 - share) / 4_000) ** 0.5
    assert float((subsets.double().mean(0) - share).abs().max()) <= 4.5 * deviation


def test_every_order_comes_equally_often() -> None:
    orders = Streams(PURPOSE, range(12_000), CPU).orders(4)
    found, counts = np.unique(orders.numpy(), axis=0, return_counts=True)
    assert found.tolist() == [list(order) for order in itertools.permutations(range(4))]
    assert scipy.stats.chisquare(counts).pvalue > 0.001


def test_whole_numbers_come_equally_often() -> None:
    numbers = Streams(PURPOSE, range(7), CPU).integers(6, 2_000)
    assert scipy.stats.chisquare(torch.bincount(numbers.flatten(), minlength=6).numpy()).pvalue > 0.001
    assert int(Streams(PURPOSE, [3], CPU).integers(1, 10).max()) == 0
