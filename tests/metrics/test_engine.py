"""The pass engine against loops."""

import numpy as np
import pytest
import torch
from metric_cases import MODELS, Gradient, case
from tiny_models import draw, nothing_touched, with_hooks_and_marks

from audio_xai.metrics.engine import explained_again, own_offsets, perturbed_scores, plain_scores, shifted_patterns
from audio_xai.utils import hardware

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
CALLS = pytest.mark.parametrize("inputs_a_call", [1, 4, 1000])


@EVERY_KIND
@CALLS
def test_scores_every_sample_under_every_run(kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case(kind)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())

    def add(samples: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
        return inputs[samples] + runs.reshape(-1, *[1] * (inputs.ndim - 1))

    scores = perturbed_scores(model, inputs, targets, add, runs=3)
    expected = [
        [model(sample[None] + run)[0, target].item() for run in range(3)]
        for sample, target in zip(inputs, targets.tolist(), strict=True)
    ]
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(plain_scores(model, inputs, targets).numpy(), np.array(expected)[:, 0], rtol=1e-12)


@EVERY_KIND
@CALLS
def test_explains_every_sample_under_every_run(kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case(kind)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())

    def scale(samples: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
        return inputs[samples] * (1 + runs.reshape(-1, *[1] * (inputs.ndim - 1)))

    stacks = list(explained_again(Gradient(), model, inputs, targets, scale, runs=3))
    samples, attributions = (torch.cat(parts) for parts in zip(*stacks, strict=True))
    assert samples.tolist() == [row for row in range(5) for _ in range(3)]
    expected = torch.cat(
        [
            Gradient()(model, inputs[row : row + 1] * (1 + run), targets[row : row + 1])
            for row in range(5)
            for run in range(3)
        ]
    )
    torch.testing.assert_close(attributions, expected, rtol=1e-12, atol=1e-12)


def test_a_model_in_training_mode_is_asked_in_evaluation_mode_and_left_alone() -> None:
    model, inputs, targets, _ = case("image")
    expected = plain_scores(model, inputs, targets)
    with_hooks_and_marks(model)
    with nothing_touched(model, inputs, targets):
        assert torch.equal(plain_scores(model, inputs, targets), expected)


def test_an_offset_belongs_to_the_sample_and_not_to_its_batch() -> None:
    inputs = draw(200, 1, 6, 4)
    offsets = own_offsets(inputs, "purpose", 0)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert own_offsets(inputs[order], "purpose", 0) == [offsets[row] for row in order.tolist()]
    assert own_offsets(inputs[7:8].clone(), "purpose", 0) == [offsets[7]]
    assert own_offsets(inputs, "purpose", 1) != offsets
    assert own_offsets(inputs, "other", 0) != offsets
    # 24 places, 200 samples: each is met, and none by far too often.
    places, counts = np.unique(offsets, axis=0, return_counts=True)
    assert places.shape == (24, 2)
    assert places.max(axis=0).tolist() == [5, 3]
    assert counts.max() < 25


@pytest.mark.parametrize("shape", [(7,), (5, 6)])
def test_patterns_are_shifted_cyclically(shape: tuple[int, ...]) -> None:
    patterns = draw(4, 1, *shape)
    offsets = [tuple(range(row, row + len(shape))) for row in range(3)]
    samples, runs = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([2, 3, 0, 0, 1, 3])
    shifted = shifted_patterns(patterns, samples, runs, offsets)
    assert shifted.shape == (6, 1, *shape)
    for pair, (sample, run) in enumerate(zip(samples.tolist(), runs.tolist(), strict=True)):
        for place in np.ndindex(shape):
            moved = tuple(
                (index + shift) % size for index, shift, size in zip(place, offsets[sample], shape, strict=True)
            )
            assert shifted[(pair, 0, *moved)] == patterns[(run, 0, *place)]
