"""Random patterns: one a run, met by every sample in a place of its own."""

import numpy as np
import pytest
import torch
from helpers.metric_cases import batch_of
from helpers.tiny_models import draw
from torch import Tensor

from audioxai.metrics import patterns as module
from audioxai.metrics.patterns import Patterns
from audioxai.utils.counter_random import Streams

SHAPES = pytest.mark.parametrize("shape", [(7,), (5, 6), (1,), (1, 1)])


def patterns(inputs: Tensor, *purpose: object, runs: int = 4, channels: int = 1) -> Patterns:
    shape = torch.Size((channels, *inputs.shape[2:]))

    def uniform(streams: Streams) -> Tensor:
        return streams.uniform(shape.numel()).reshape(-1, *shape)

    return Patterns(batch_of(inputs), purpose, runs, uniform)


@pytest.fixture(params=[2**20, 40], ids=["together", "in parts"])
def features_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """All patterns of a test drawn together, or one or two at a time."""
    monkeypatch.setattr(module, "FEATURES_AT_ONCE", request.param)
    return int(request.param)


def test_an_offset_belongs_to_the_sample_and_not_to_its_batch() -> None:
    inputs = draw(200, 1, 6, 4)
    offsets = patterns(inputs, "purpose", 0).offsets
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert torch.equal(patterns(inputs[order], "purpose", 0).offsets, offsets[order])
    assert torch.equal(patterns(inputs[7:8].clone(), "purpose", 0).offsets, offsets[7:8])
    assert not torch.equal(patterns(inputs, "purpose", 1).offsets, offsets)
    assert not torch.equal(patterns(inputs, "other", 0).offsets, offsets)
    # 24 places, 200 samples: each is met, and none by far too often.
    places, counts = np.unique(offsets.numpy(), axis=0, return_counts=True)
    assert places.shape == (24, 2)
    assert places.max(axis=0).tolist() == [5, 3]
    assert counts.max() < 25


@SHAPES
@pytest.mark.usefixtures("features_at_once")
def test_a_sample_meets_the_pattern_of_its_run_shifted_by_its_offset(shape: tuple[int, ...]) -> None:
    made = patterns(draw(3, 1, *shape), "p", 0)
    samples, runs = torch.tensor([2, 0, 1, 2, 0, 1]), torch.tensor([0, 1, 1, 1, 3, 3])
    met = made(samples, runs)
    assert met.shape == (6, 1, *shape)
    for pair, (sample, run) in enumerate(zip(samples.tolist(), runs.tolist(), strict=True)):
        expected = np.roll(made.drawn(run)[0].numpy(), made.offsets[sample].tolist(), range(len(shape)))
        np.testing.assert_array_equal(met[pair, 0].numpy(), expected)


@pytest.mark.parametrize("runs_a_call", [1, 2, 3])
@pytest.mark.usefixtures("features_at_once")
def test_every_channel_of_a_pattern_is_met_whatever_runs_come_together(runs_a_call: int) -> None:
    made = patterns(draw(2, 2, 5, 4), "p", 0, runs=6, channels=2)
    for first in range(0, 6, runs_a_call):
        runs = torch.arange(first, first + runs_a_call).repeat_interleave(2)
        met = made(torch.tensor([0, 1] * runs_a_call), runs)
        for pair, run in enumerate(runs.tolist()):
            expected = np.roll(made.drawn(run).numpy(), made.offsets[pair % 2].tolist(), (1, 2))
            np.testing.assert_array_equal(met[pair].numpy(), expected)


def test_a_pattern_belongs_to_its_run_whatever_is_drawn_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = draw(2, 1, 4, 4)
    forth = [patterns(inputs, "p", 0, runs=9).drawn(run) for run in range(4)]
    monkeypatch.setattr(module, "FEATURES_AT_ONCE", 20)
    again = patterns(inputs, "p", 0, runs=30)
    back = [again.drawn(run) for run in (29, 3, 12, 2, 20, 1, 15, 0, 3, 2, 1, 0)][-1:-5:-1]
    assert all(torch.equal(first, second) for first, second in zip(forth, back, strict=True))
    assert len({float(pattern.sum()) for pattern in forth}) == 4


@SHAPES
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.usefixtures("features_at_once")
def test_sums_are_those_of_pattern_times_value(shape: tuple[int, ...], channels: int) -> None:
    inputs, values = draw(3, channels, *shape), draw(3, 1, *shape, seed=1)
    made = patterns(inputs, "p", 0, runs=70)
    sums = made.sums(values)
    assert sums.shape == (3, 70)
    for sample in range(3):
        met = torch.stack([made(torch.tensor([sample]), torch.tensor([run]))[0] for run in range(70)])
        expected = (met * values[sample]).flatten(1).sum(1)
        torch.testing.assert_close(sums[sample], expected, rtol=1e-12, atol=1e-12)
