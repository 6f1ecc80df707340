"""Synthetic results of Objective 2 whose answer is known because it was put there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from audioxai.domains import LogMel
from audioxai.registry import MethodEntry, MetricEntry, Role
from audioxai.results import ROW_COLUMNS, ExplainedCell, ResultSet, Store

LEVELS = {
    "plain": -0.6,
    "silence": 0.4,
    "amplitude": 0.4,
    "dual": 0.7,
    "contrastive": 0.2,
    "idgi": 0.45,
    "expected": 0.5,
}
CONTROLS = {"energy": 0.3, "random": -0.3}
REMOVALS = ("removal_silence", "removal_noise", "removal_worst")
# Method → label, role and family; in the study's order.
FACTS: dict[str, tuple[str, Role, str]] = {
    "plain": ("Plain IG (from 0 dB)", "method", "IG from 0 dB"),
    "silence": ("Silence IG", "method", "silence as absence"),
    "amplitude": ("Fade-in IG", "ours", "silence as absence"),
    "silence_smoothed": ("Silence IG, smoothed", "ours", "silence as absence"),
    "median": ("Median-baseline IG", "ours", "typical sound as absence"),
    "expected": ("Expected gradients", "peer", "typical sound as absence"),
    "dual": ("Dual IG", "ours", "two kinds of absence"),
    "ordered": ("Ordered IG", "ours", "two kinds of absence"),
    "contrastive": ("Contrastive fade-in IG", "ours", "silence as absence"),
    "idgi": ("IDGI", "peer", "peers"),
    "occlusion": ("Occlusion", "peer", "peers"),
    "grad_x_level": ("Gradient × level (control)", "control", "controls"),
    "energy": ("Energy (control)", "control", "controls"),
    "random": ("Random (control)", "control", "controls"),
}
# Metric → label, short label and whether higher is better; in the study's order.
METRICS: dict[str, tuple[str, str, bool | None]] = {
    "removal_silence": ("Insertion − deletion, silence", "Silence", True),
    "removal_noise": ("Insertion − deletion, noise", "Noise", True),
    "removal_worst": ("Insertion − deletion, worse removal", "Worse", True),
    "faithfulness_correlation_1": ("Faithfulness correlation, single cells", "Faith. 1", True),
    "faithfulness_correlation_8": ("Faithfulness correlation, 8 × 8 patches", "Faith. 8", True),
    "sparseness": ("Sparseness", "Sparseness", True),
    "completeness_gap": ("Completeness gap", "Gap", False),
    "relevance_rank": ("Relevance rank accuracy", "Rank", True),
    "relevance_mass": ("Relevance mass accuracy", "Mass", True),
}
CONTEXT = {"command": "make demo", "profile": "quick", "commit": "0123abc"}


def entries_of(rows: pd.DataFrame) -> tuple[dict[str, MethodEntry], dict[str, MetricEntry]]:
    """Facts about the methods and metrics that occur, in the study's order."""
    methods = {
        name: MethodEntry(name=name, make=_not_made, label=label, role=role, family=family)
        for name, (label, role, family) in FACTS.items()
        if name in set(rows["method"])
    }
    metrics = {
        name: MetricEntry(name=name, make=_not_made, label=label, short=short, higher_is_better=higher)
        for name, (label, short, higher) in METRICS.items()
        if name in set(rows["metric"])
    }
    return methods, metrics


def as_results(rows: pd.DataFrame, **others: Any) -> ResultSet:
    """Rows as the results of a study."""
    methods, metrics = entries_of(rows)
    facts: dict[str, Any] = {
        "study": "objective2",
        "title": "Objective 2: Integrated Gradients made for sound",
        "question": "How can Integrated Gradients be improved for audio?",
        "profile": "quick",
        "models": tuple(make_cards()),
        "context": CONTEXT,
    }
    return ResultSet(rows=rows, **{"methods": methods, "metrics": metrics, **facts, **others})


def make_objective2_results(levels: Mapping[str, float] = LEVELS, **others: Any) -> ResultSet:
    """Results with the rows of :func:`make_objective2_rows`."""
    return as_results(make_objective2_rows(levels, **others))


def changed(results: ResultSet, rows: pd.DataFrame) -> ResultSet:
    """The same results with other rows."""
    return replace(results, rows=rows)


def make_objective2_rows(
    levels: Mapping[str, float] = LEVELS,
    datasets: Sequence[str] = ("fsdd", "audio_mnist_az"),
    models: Sequence[str] = ("small_cnn", "alexnet"),
    seeds: Sequence[int] = (0, 1),
    budgets: Sequence[int] = (16, 32),
    speakers: int = 12,
    noise: float = 0.03,
    ground_truth: bool = True,
    stand_in_for: str | None = None,
) -> pd.DataFrame:
    """One clip per speaker; every removal scores a method's level plus noise, random ground truth lies at 0.3."""
    generator = np.random.default_rng(0)
    materials: dict[str, tuple[str, ...]] = {
        "clips": (*REMOVALS, "faithfulness_correlation_8", "sparseness", "completeness_gap")
    }
    if ground_truth:
        materials |= dict.fromkeys(("cues", "mixtures", "sequences"), ("relevance_rank", "relevance_mass"))
    records = [
        (material, dataset, model, seed, method, passes, metric, speaker)
        for dataset in datasets
        for material, metrics in materials.items()
        for model in models
        for seed in seeds
        for method in (*levels, *CONTROLS)
        for passes in ((0,) if method in CONTROLS else budgets if material == "clips" else budgets[-1:])
        for metric in metrics
        for speaker in range(speakers)
        if not (metric == "completeness_gap" and method in CONTROLS)
    ]
    names = ["material", "dataset", "model", "training_seed", "method", "gradients", "metric", "speaker"]
    rows = pd.DataFrame(records, columns=names)
    removal = rows["metric"].isin(REMOVALS)
    located = rows["metric"].isin(["relevance_rank", "relevance_mass"])
    level = rows["method"].map({**levels, **CONTROLS})
    score = level.where(removal, 0.8).where(~located, 0.5 + 0.5 * level)
    score = score.mask(located & (rows["method"] == "random"), 0.3)
    score += noise * generator.normal(size=len(rows))
    score = score.where(rows["metric"] != "completeness_gap", 0.16 / rows["gradients"].clip(lower=1))
    whole = rows.assign(
        study="objective2",
        modality="audio",
        stand_in_for=stand_in_for,
        split="speaker_disjoint",
        sample="clip" + rows["speaker"].astype(str),
        group="s" + rows["speaker"].map("{:02d}".format),
        label=1,
        prediction=1,
        checkpoint="0" * 64,
        domain="log_mel",
        resolution=64,
        map_passes=rows["gradients"],
        baseline="silence",
        seed=0,
        score=score,
        passes=10,
        seconds=0.01,
        standard_error=float("nan"),
    )
    return whole[list(ROW_COLUMNS)]


def make_cards() -> list[dict[str, Any]]:
    """Two models of planted cues, the later seed first."""
    reliance = {"samples": 100, "with_cue": 0.99, "without_cue": 0.11, "follows_swap": 0.98, "chance": 0.1}
    return [
        {
            "dataset": "fsdd",
            "architecture": "small_cnn",
            "resolution": 64,
            "seed": seed,
            "accuracy": {"train": 1.0, "validation": 0.95, "test": 0.9 + 0.01 * seed},
            "cues": True,
            "cue_reliance": reliance,
        }
        for seed in (1, 0)
    ]


def make_cells(root: Path, results: ResultSet, methods: Sequence[str], points: int = 5) -> tuple[ExplainedCell, ...]:
    """Stored clips of every model with random maps and curves of ``methods`` at every budget."""
    domain, store = LogMel(8_000, 0.5, bands=8, frames=16), Store(root, "objective2")
    cells = []
    clips = results.rows[results.rows["material"] == "clips"]
    for place, (key, own) in enumerate(clips.groupby(["dataset", "model", "training_seed"])):
        dataset, model, seed = str(key[0]), str(key[1]), int(str(key[2]))
        random = torch.Generator().manual_seed(place)
        groups = sorted(set(own["group"]))
        shape = (len(groups), 1, *domain.shape)
        files: dict[str, Any] = {"attributions": {}, "curves": {}}

        def save(name: str, tensors: dict[str, Tensor], metadata: dict[str, Any], folder: str = str(place)) -> str:
            path = store.tensors_path(folder, name)
            store.save_tensors(path, tensors, metadata)
            return str(path.relative_to(root))

        classes = torch.arange(len(groups)) % 3
        inputs = {
            "inputs": -80 * torch.rand(shape, generator=random),
            "labels": classes,
            "predictions": classes.clone(),
        }
        files["inputs"] = save("inputs", inputs, {"ids": [f"clip{group}" for group in groups], "groups": groups})
        configuration = {"name": "LogMel", **asdict(domain)}
        for method in methods:
            for budget in sorted(set(own.loc[own["method"] == method, "gradients"])):
                maps = {"attributions": torch.randn(shape, generator=random), "change": torch.ones(len(groups))}
                about = {"domain": configuration, "passes": int(budget), "seconds": 1.0}
                curves = torch.rand((len(groups), 2, 2, points), generator=random)
                of_curves = {"curves": curves, "fractions": torch.linspace(0, 1, points)}
                for kind, tensors in (("attributions", maps), ("curves", of_curves)):
                    stored = save(f"{kind}-{method}-{budget}", tensors, about)
                    files[kind].setdefault(method, {})[str(budget)] = stored
        cells.append(
            ExplainedCell(
                material="clips",
                modality="audio",
                dataset=dataset,
                stand_in_for=None,
                split="speaker_disjoint",
                model=model,
                resolution=8,
                training_seed=seed,
                class_names=("0", "1", "2"),
                domain=domain,
                sample_rate_hz=8_000,
                group_name="speaker",
                budgets={name: tuple(map(int, budgets)) for name, budgets in files["attributions"].items()},
                _root=root,
                _files=files,
            )
        )
    return tuple(cells)


def _not_made() -> None:
    raise AssertionError("stored facts make nothing")
