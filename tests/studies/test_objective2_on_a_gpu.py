"""Objective 2 on a GPU that is pretended: nothing meets across devices, and its numbers are those of the CPU."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.pretended_gpu import CUDA, on_gpu, pretended_gpu
from test_objective2_end_to_end import rows_of, tiny

from audioxai.domains import Waveform
from audioxai.models import build
from audioxai.models.training import Labelled, TrainingConfig, train
from audioxai.studies.objective2 import explanations, scores
from audioxai.studies.objective2.config import Objective2Config

KEY = ["dataset", "method", "metric", "sample"]


@pytest.fixture
def small(data, tmp_path) -> Objective2Config:
    return tiny(tmp_path, clips_per_seed=3, ground_truth_per_seed=2, gradients=(8,), ground_truth=("cues",))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for stage in (explanations, scores):
        monkeypatch.setattr(stage, "select_device", lambda _: CUDA)
    monkeypatch.setattr(explanations, "finish", lambda _: None)
    with pretended_gpu() as mode:
        yield
    assert mode.marked > 100


def made(config: Objective2Config) -> pd.DataFrame:
    explanations.explain(config)
    scores.compute(config)
    return rows_of(config).set_index(KEY)["score"].sort_index()


def test_scores_are_those_of_the_cpu_and_everything_is_where_it_is_needed(small, request) -> None:
    expected = made(small)
    request.getfixturevalue("gpu")
    found = made(replace(small, results=f"{small.results}-gpu"))
    removal = expected.index.get_level_values("metric").str.startswith("removal")
    pd.testing.assert_series_equal(found[removal], expected[removal], rtol=0, atol=1e-3)
    close = (found - expected).abs() <= 1e-3 + 1e-2 * expected.abs()
    assert (close | expected.isna()).mean() > 0.97


def test_training_keeps_everything_on_the_device(gpu, tmp_path: Path) -> None:
    model = build("audionet", Waveform(64, 1.0), 3, 0)
    data = Labelled(torch.rand((20, 1, 64), generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3)
    train(model, data, data, TrainingConfig(2, batch_size=8, largest_shift=0.1), CUDA, tmp_path / "run.training")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda there, here: there + here,
        lambda there, here: torch.where(there > 0, here, 0.0),
        lambda there, here: here[there.long()],
        lambda there, here: torch.cat([there, here]),
        lambda there, _: there.numpy(),
        lambda there, _: torch.randn(3, generator=torch.Generator(), device=there.device),
    ],
)
def test_mistakes_are_found(mistake) -> None:
    with pretended_gpu():
        there, here = torch.ones(3).to(CUDA), torch.ones(3)
        assert on_gpu(there * 2.0 + here.sum())
        assert on_gpu(there[here.long() - 1])
        with pytest.raises((RuntimeError, TypeError)):
            mistake(there, here)
