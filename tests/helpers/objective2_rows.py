"""Synthetic rows of Objective 2 whose answer is known because it was put there."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

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
    """One clip a speaker; every removal scores a method's level plus noise, random ground truth lies at 0.3."""
    generator = np.random.default_rng(0)
    materials = {"": (*REMOVALS, "faithfulness_correlation_8", "sparseness", "completeness_gap")}
    if ground_truth:
        materials |= {f"_{name}": ("relevance_rank", "relevance_mass") for name in ("cues", "mixtures", "sequences")}
    records = [
        (dataset + suffix, model, seed, method, passes, metric, speaker)
        for dataset in datasets
        for suffix, metrics in materials.items()
        for model in models
        for seed in seeds
        for method in (*levels, *CONTROLS)
        for passes in ((0,) if method in CONTROLS else budgets if not suffix else budgets[-1:])
        for metric in metrics
        for speaker in range(speakers)
        if not (metric == "completeness_gap" and method in CONTROLS)
    ]
    names = ["dataset", "model", "training_seed", "method", "map_passes", "metric", "speaker"]
    rows = pd.DataFrame(records, columns=names)
    removal = rows["metric"].isin(REMOVALS)
    located = rows["metric"].isin(["relevance_rank", "relevance_mass"])
    level = rows["method"].map({**levels, **CONTROLS})
    score = level.where(removal, 0.8).where(~located, 0.5 + 0.5 * level)
    score = score.mask(located & (rows["method"] == "random"), 0.3)
    score += noise * generator.normal(size=len(rows))
    score = score.where(rows["metric"] != "completeness_gap", 0.16 / rows["map_passes"].clip(lower=1))
    return rows.assign(
        study="objective2",
        modality="audio",
        stand_in_for=stand_in_for,
        split="speaker_disjoint",
        sample="clip" + rows["speaker"].astype(str),
        speaker="s" + rows["speaker"].map("{:02d}".format),
        label=1,
        prediction=1,
        checkpoint="0" * 64,
        domain="log_mel",
        resolution=64,
        baseline="silence",
        seed=0,
        score=score,
        passes=10,
        seconds=0.01,
    )


def make_proofs() -> list[dict[str, object]]:
    reliance = {"samples": 100, "with_cue": 0.99, "without_cue": 0.11, "follows_swap": 0.98, "chance": 0.1}
    return [{"dataset": "fsdd", "model": "small_cnn", "training_seed": seed, **reliance} for seed in (1, 0)]
