"""Completeness gap of Integrated Gradients by quadrature rule and number of gradients, compared with Captum's default.

    python benchmarks/ig_convergence.py --json out.json
    python benchmarks/ig_convergence.py --audio audio_mnist_az --clips 300 --json out.json

A small CNN is trained on the audio dataset (found among the checkpoints the second time) and explained on test clips,
as log-mel spectrograms, from silence. The completeness gap of a clip is |ΣA − ΔF| / |ΔF|. Every row is one rule on one
path: ``gap_median`` and ``gap_p95`` over clips, ``gradients_median`` a clip, ``seconds`` for all clips. Fixed rules are
measured without the two forward passes that give ΔF; doubling needs them to know when to stop, and its seconds include
them. ``target`` holds the cheapest of our rules whose median gap is at most 1 %, and the cheapest
whose median gap is at most Captum's at its 50 steps; both have to do with half of Captum's gradients.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import torch
from torch import Tensor, nn

from audioxai import datasets
from audioxai.baselines import Silence
from audioxai.domains import LogMel
from audioxai.experiment import DataSpec, ModelSpec
from audioxai.experiment.models import dataset_of, ensure_model
from audioxai.studies.options import training
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, keep_freed_memory, select_device, slices
from audioxai.utils.seeding import generator
from audioxai.xai_methods.path_integral import Integral, PathIntegral
from audioxai.xai_methods.paths import FadeIn, Straight
from audioxai.xai_methods.paths import Path as Way
from audioxai.xai_methods.quadrature import Doubling, GaussLegendre, Left, Midpoint, Rule, Trapezoid

CAPTUM_STEPS = 50
STEPS = (8, 16, 24, 32, 50)
RULES: dict[str, Callable[[int], Rule]] = {
    "left": Left,
    "midpoint": Midpoint,
    "trapezoid": Trapezoid,
    "gauss_legendre": GaussLegendre,
}
TOLERANCES = (0.05, 0.02, 0.01, 0.006)
FIRST_STEPS = 6
LARGEST_GAP = 0.01


@dataclass(frozen=True, eq=False)
class Setup:
    """A trained body with the clips it is explained on, and how their scores change from silence."""

    body: nn.Module
    levels: Tensor
    targets: Tensor
    change: Tensor
    silence: Silence
    accuracy: float
    dataset: str


def setup(audio: str, clips: int, epochs: int, checkpoints: Path, device: torch.device) -> Setup:
    """Model and clips drawn from the test part; the explained class is the predicted one."""
    name = datasets.resolve(audio, "audio")
    spec = ModelSpec(DataSpec(name, limit=2500), "small_cnn", (64, 64), training("small_cnn", epochs, 0, "audio"))
    model, card = ensure_model(spec, checkpoints, device)
    model.eval()
    part = dataset_of(spec).part("test")
    order = torch.randperm(len(part.labels), generator=generator("benchmark clips"))[:clips]
    silence = Silence(model.domain)
    with torch.no_grad():
        levels = model.front_end(part.inputs[order].to(device))
        logits = model.body(levels)
        targets = logits.argmax(1)
        change = (logits - model.body(silence(levels))).gather(1, targets[:, None])[:, 0]
    return Setup(model.body, levels, targets, change, silence, card.accuracy["test"], name)


def measured(setup: Setup, explain: Callable[[], tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Figures of one rule; ``explain`` returns attributions and the gradients that each clip took."""
    started = time.perf_counter()
    attributions, gradients = explain()
    seconds = time.perf_counter() - started
    gap = Integral(attributions.double(), setup.change.double(), gradients).gap.cpu().numpy()
    return {
        "gap_median": round(float(np.median(gap)), 6),
        "gap_p95": round(float(np.quantile(gap, 0.95)), 6),
        "gradients_median": float(np.median(gradients.cpu().numpy())),
        "gradients_mean": round(float(gradients.double().mean()), 2),
        "seconds": round(seconds, 3),
    }


def with_rule(setup: Setup, way: Way, rule: Rule) -> tuple[Tensor, Tensor]:
    """Attributions by a fixed rule."""
    attributions = PathIntegral(way, rule)(setup.body, setup.levels, setup.targets)
    return attributions, torch.full_like(setup.targets, len(rule.partition()))


def with_doubling(setup: Setup, way: Way, rule: Doubling) -> tuple[Tensor, Tensor]:
    """Attributions refined until every clip's own gap is small enough."""
    integral = PathIntegral(way, rule).attribute(setup.body, setup.levels, setup.targets)
    return integral.attributions, integral.gradients


def with_captum(setup: Setup) -> tuple[Tensor, Tensor]:
    """Captum as its users call it: 50 Gauss–Legendre steps, as many clips at once as suit the device."""
    method = captum.attr.IntegratedGradients(setup.body)
    size = max(1, inputs_per_call(setup.levels[0].numel() * CAPTUM_STEPS, setup.levels.device))
    maps = [
        method.attribute(
            setup.levels[rows], setup.silence(setup.levels[rows]), target=setup.targets[rows], n_steps=CAPTUM_STEPS
        ).detach()
        for rows in slices(len(setup.levels), size)
    ]
    return torch.cat(maps), torch.full_like(setup.targets, CAPTUM_STEPS)


def rows_of(setup: Setup) -> list[dict[str, Any]]:
    """One row a path and rule."""
    rows: list[dict[str, Any]] = [
        {
            "path": "straight",
            "rule": "captum_default",
            "setting": CAPTUM_STEPS,
            **measured(setup, partial(with_captum, setup)),
        }
    ]
    domain = setup.silence.domain
    assert isinstance(domain, LogMel)
    ways: dict[str, Way] = {"straight": Straight(setup.silence), "amplitude": FadeIn(domain.floor_db)}
    for path, way in ways.items():
        for name, make in RULES.items():
            for steps in STEPS:
                figures = measured(setup, partial(with_rule, setup, way, make(steps)))
                rows.append({"path": path, "rule": name, "setting": steps, **figures})
        for tolerance in TOLERANCES:
            figures = measured(setup, partial(with_doubling, setup, way, Doubling(tolerance, FIRST_STEPS)))
            rows.append({"path": path, "rule": "doubling", "setting": tolerance, **figures})
    return rows


def verdict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Our cheapest rules on the straight path that are as complete as they have to be, and whether they are cheap."""
    theirs, *ours = [row for row in rows if row["path"] == "straight"]
    return {
        "at_most_1_percent": _cheapest(ours, LARGEST_GAP),
        "at_most_captums_gap": _cheapest(ours, theirs["gap_median"]),
    }


def _cheapest(rows: list[dict[str, Any]], largest_gap: float) -> dict[str, Any]:
    within = [row for row in rows if row["gap_median"] <= largest_gap]
    best = min(within, key=lambda row: (row["gradients_median"], row["gradients_mean"]), default=None)
    return {
        "largest_gap": largest_gap,
        "largest_gradients": CAPTUM_STEPS // 2,
        "best": best,
        "met": best is not None and best["gradients_median"] <= CAPTUM_STEPS // 2,
    }


def table_of(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [
        f"{'path':10} {'rule':15} {'setting':>8} {'gap median':>11} {'gap p95':>9} {'gradients':>10} {'seconds':>8}"
    ]
    lines += [
        f"{row['path']:10} {row['rule']:15} {row['setting']:8g} {row['gap_median']:11.2%} {row['gap_p95']:9.2%} "
        f"{row['gradients_median']:10g} {row['seconds']:8.2f}"
        for row in rows
    ]
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--audio", default="auto", help="audio dataset, or auto for the first one found (default)")
    parser.add_argument("--clips", type=int, default=100, help="test clips (default 100)")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of training (default 8)")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of trained models")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args(argv)
    if options.clips < 1:
        raise UserError(f"clips is {options.clips}; give at least 1")
    keep_freed_memory()
    device = select_device(options.device)
    prepared = setup(options.audio, options.clips, options.epochs, options.checkpoints, device)
    rows = rows_of(prepared)
    figures = {
        "dataset": prepared.dataset,
        "clips": len(prepared.levels),
        "test_accuracy": prepared.accuracy,
        "rules": rows,
        "target": verdict(rows),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "captum")}},
    }
    print(table_of(rows))
    print(json.dumps(figures["target"], indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_command(main))
