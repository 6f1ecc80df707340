"""A study on a GPU that is pretended: nothing meets across devices, and its numbers are those of the CPU."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers.pretended_gpu import CUDA, on_gpu, pretended_gpu
from helpers.tiny_studies import model_of, options_in, study_of
from torch import Tensor

from audioxai.domains import Waveform
from audioxai.experiment import Cell, MetricSpec, RunOptions, Study, run_study
from audioxai.metrics import METRICS
from audioxai.models import build
from audioxai.models.training import Labelled, TrainingConfig, train

# By name, since the package's function ``run`` hides the module.
RUN = importlib.import_module("audioxai.experiment.runner")
KEY = ["material", "method", "metric", "sample"]


def whole(folder: Path) -> Study:
    """Clips and mixtures under every kind of metric."""
    model = model_of(folder)
    removals = tuple(MetricSpec(name) for name in ("removal_silence", "removal_noise", "removal_worst"))
    others = ("faithfulness_correlation", "sparseness", "average_sensitivity", "random_logit", "road")
    return study_of(
        folder,
        cells=(Cell(model, 0, 3, gradients=(8,)), Cell(model, 0, 2, "mixtures", (8,))),
        methods=("saliency", "silence", "expected", "pullback", "energy"),
        metrics=(
            *removals,
            *map(MetricSpec, others),
            *(MetricSpec(name, materials=("mixtures",)) for name, entry in METRICS.items() if entry.needs_masks),
            MetricSpec("completeness_gap", materials=("clips", "mixtures")),
        ),
        settings={"runs": 6, "draws": 2, "alternatives": 2, "steps": 3},
        references=6,
    )


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(RUN, "select_device", lambda _: CUDA)
    monkeypatch.setattr(RUN, "finish", lambda _: None)
    with pretended_gpu() as mode:
        yield
    assert mode.marked > 100


def scores(study: Study, options: RunOptions) -> "pd.Series[float]":
    return run_study(study, options).rows.set_index(KEY)["score"].sort_index()


def test_scores_are_those_of_the_cpu_and_everything_is_where_it_is_needed(
    sounds_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options = options_in(tmp_path, threads=1)
    expected = scores(whole(sounds_folder), options)
    request.getfixturevalue("gpu")
    # Of the same weights.
    found = scores(whole(sounds_folder), replace(options, results=tmp_path / "results_of_the_gpu"))
    close = (found - expected).abs() <= 1e-3 + 1e-2 * expected.abs()
    assert (close | (found.isna() & expected.isna())).mean() > 0.97


def test_training_keeps_everything_on_the_device(gpu: None, tmp_path: Path) -> None:
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
def test_mistakes_are_found(mistake: Callable[[Tensor, Tensor], Any]) -> None:
    with pretended_gpu():
        there, here = torch.ones(3).to(CUDA), torch.ones(3)
        assert on_gpu(there * 2.0 + here.sum())
        assert on_gpu(there[here.long() - 1])
        with pytest.raises((RuntimeError, TypeError)):
            mistake(there, here)
