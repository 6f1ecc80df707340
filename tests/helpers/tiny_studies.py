"""Studies of four classes of short sounds that run in a second or two."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.datasets import AudioFolder
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, RunOptions, Study
from audioxai.models.training import TrainingConfig
from audioxai.results import ROW_COLUMNS

METHODS = ("saliency", "silence", "random")
METRICS = ("faithfulness_correlation", "sparseness", "mprt")
SETTINGS = {"runs": 6, "draws": 2, "alternatives": 2}


def model_of(folder: Path, seed: int = 0, **changes: Any) -> ModelSpec:
    """A small CNN on 32 bands and 24 frames, trained for an epoch."""
    spec = ModelSpec(
        DataSpec(AudioFolder(folder)),
        "small_cnn",
        (32, 24),
        TrainingConfig(epochs=1, learning_rate=1e-3, largest_shift=0.1, seed=seed),
    )
    return replace(spec, **changes)


def study_of(folder: Path, *, seeds: tuple[int, ...] = (0,), samples: int = 3, **changes: Any) -> Study:
    """Three methods and three metrics on three clips of one model per seed."""
    declared: dict[str, Any] = {
        "name": "sounds",
        "title": "Four sounds",
        "question": "Which method?",
        "cells": tuple(
            Cell(model_of(folder, seed), position, samples, gradients=(8,)) for position, seed in enumerate(seeds)
        ),
        "methods": METHODS,
        "metrics": tuple(MetricSpec(name) for name in METRICS),
        "settings": SETTINGS,
    }
    return Study(**(declared | changes))


def options_in(folder: Path, **changes: Any) -> RunOptions:
    """Everything below one folder, on the CPU."""
    return RunOptions(folder / "results", folder / "checkpoints", device="cpu", **changes)


def sorted_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in an order of their own, without the time that they took."""
    keys = ["material", "dataset", "model", "resolution", "training_seed", "method", "gradients", "metric", "sample"]
    return rows[[name for name in ROW_COLUMNS if name != "seconds"]].sort_values(keys, ignore_index=True)


def files_in(*folders: Path) -> dict[Path, int]:
    """Every file below folders with the time of its last change; noted options left out."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in found if path.parent.name != "configs"}
