"""Similarity of embeddings as a score, for modules of any making."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audioxai.models.loading import load_model
from audioxai.models.similarity import EMBEDDINGS, Similarity, embedding_in
from audioxai.utils.errors import UserError


class Frames(nn.Module):
    """Embeds every stretch of ten samples linearly."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(10, 6)

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.linear(waveforms[:, 0].unfold(-1, 10, 10))


@pytest.fixture
def frames() -> Frames:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Frames().double()


def clips(count: int) -> Tensor:
    return torch.randn(count, 1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_score_is_the_cosine_of_mean_embeddings(frames: Frames) -> None:
    first, *others = clips(4)[:, None]
    score = Similarity.to_clip(frames, first)
    reference = frames(first).mean(1)[0]
    for other in (first, *others):
        embedding = frames(other).mean(1)[0]
        expected = (embedding @ reference) / (embedding.norm() * reference.norm())
        torch.testing.assert_close(score(other), expected.reshape(1, 1))
    batch = torch.cat(others)
    torch.testing.assert_close(score(batch), torch.cat([score(other) for other in others]))
    assert torch.autograd.gradcheck(score, batch.requires_grad_(True))


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("made", [dict, SimpleNamespace])
def test_embeddings_are_found_by_name(name: str, made: Any) -> None:
    values = torch.arange(12.0).reshape(2, 6)
    held = made(**{name: values, "logits": torch.zeros(2, 3)})
    assert embedding_in(held) is values
    stacked = values[:, None].expand(2, 5, 6)
    torch.testing.assert_close(embedding_in(made(**{name: stacked})), values)


@pytest.mark.parametrize(
    "output", [None, torch.zeros(3), torch.zeros(1, 2, 3, 4), {"logits": torch.zeros(2, 3)}, (torch.zeros(2, 3),)]
)
def test_outputs_without_embeddings_are_refused(output: Any) -> None:
    with pytest.raises(UserError, match="embeddings"):
        embedding_in(output)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_embeddings_without_a_direction_are_refused(frames: Frames, value: float) -> None:
    with pytest.raises(UserError, match="other clip"):
        Similarity(frames, torch.full((6,), value))


def test_a_plain_module_is_loaded_with_the_clip_that_it_is_compared_with(frames: Frames) -> None:
    frames.train()
    clip = clips(1)
    model = load_model(frames, sample_rate=8000, similar_to=clip)
    assert frames.training
    assert (model.class_names, model.activation) == (("similarity",), "sigmoid")
    torch.testing.assert_close(model.module(clip), torch.ones(1, 1, dtype=torch.float64))
