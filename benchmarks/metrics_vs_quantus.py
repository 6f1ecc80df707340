"""The metrics beside Quantus and beside the bare model passes they need.

    python benchmarks/metrics_vs_quantus.py --json out.json
    python benchmarks/metrics_vs_quantus.py --models small_cnn --rounds 5 --json out.json
    python benchmarks/metrics_vs_quantus.py --device cuda --json out.json
    python benchmarks/metrics_vs_quantus.py --models small_cnn --equal-precision --json out.json

Three ways take turns on the same model, samples, attributions and explainers, and the median round of each counts:
*quantus*, *ours* and the *floor*, which is exactly the model passes of a metric in calls of the size that is best for
them, with nothing around them. Ours go through the copies of the model that ``audioxai.fused`` chooses, and so does
the floor; the *eager* floor is the same passes through the model itself. The choice takes a row of its own, ``copies``,
which counts once in the suite. Rows of ``definitions: reference`` are the same definitions on both sides (ours in
``audioxai.compat.quantus``), so ``max_abs_diff`` is the largest difference of any sample's score; rows of
``definitions: corrected`` are our defaults, with their own floor. With ``--equal-precision`` there are rows of
``definitions: precise`` too: our defaults with as few draws, of paired subsets or opposite noise, as have the standard
error of as many independent draws as Quantus makes; their ``speedup`` is against Quantus's time in the same run.
``over_floor`` is ours / floor, ``speedup`` is quantus / ours. ``memory`` is the peak of a process that computes the
corrected suite, for few and for many runs.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.baselines import Silence
from audioxai.compat.quantus import complexity, faithfulness, randomisation, robustness
from audioxai.core import Explainer
from audioxai.domains import LogMel
from audioxai.fused import FusedModel, fused
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.complexity import Sparseness
from audioxai.metrics.faithfulness import FaithfulnessCorrelation
from audioxai.metrics.noise import SignalNoise
from audioxai.metrics.randomisation import ModelParameterRandomisation, RandomLogit
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.models import ARCHITECTURES, build
from audioxai.models.front_end import prepared_for
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text
from audioxai.utils.hardware import finish, keep_freed_memory, select_device, slices
from audioxai.utils.seeding import generator
from audioxai.xai_methods.gradients import Saliency
from audioxai.xai_methods.integrated_gradients import IntegratedGradients

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    quantus: Any = import_module("quantus")  # it has no types

CLASSES = 10
CLIPS = 64
SIZES = (64, 128)
RUNS = 100
DRAWS = 10
DRAWS_OF_IG = 2
SEED = 42
# Numbers of draws that are tried for the precision of independent ones, and seeds and clips by which it is known.
FEWER_RUNS = (8, 10, 12, 16, 20, 24, 30, 40, 60, 80, 100)
FEWER_DRAWS = (2, 4, 6, 8, 10)
ERROR_SEEDS, ERROR_CLIPS = 24, 16
CALL_SIZES = (4, 8, 16, 32, 64, 128, 256)

Sizes = dict[tuple[bool, bool], int]
"""Inputs a call that are best: of the copies or the model itself, with or without gradients."""


@dataclass(frozen=True, eq=False)
class Setup:
    """A model with what it is asked about, and the same with faster passes, which took seconds to choose."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    silence: Silence
    fused: FusedModel
    fused_s: float


@dataclass(frozen=True, eq=False)
class Case:
    """One metric under test.

    Attributes
    ----------
    metric, method : str
        Names in the output.
    definitions : str
        ``reference`` or ``corrected``.
    ours : PassMetric
        Our metric.
    explainer : Explainer
        Whose attributions are judged.
    with_gradients : bool
        Whether its passes include a backward pass.
    theirs : callable or None
        Makes Quantus's metric, where the definitions are its own.
    """

    metric: str
    method: str
    definitions: str
    ours: PassMetric
    explainer: Explainer
    with_gradients: bool
    theirs: Callable[[], Any] | None = None

    def passes_of(self, given: Setup) -> nn.Module:
        """What its passes go through; randomised models are used once and are not worth copying."""
        return given.model if self.metric == "mprt" else given.fused


def setup(architecture: str, size: int, device: torch.device) -> Setup:
    """Model with random weights and synthetic clips: tones of random pitch and length in noise, as dB spectrograms."""
    domain = LogMel(16_000, 1.0, bands=size, frames=size)
    random = generator("benchmark clips", size)
    time_s = torch.arange(16_000) / 16_000
    pitch_hz = 100.0 * 40.0 ** torch.rand(CLIPS, 1, generator=random)
    end_s = 0.3 + 0.6 * torch.rand(CLIPS, 1, generator=random)
    tones = 0.3 * torch.sin(2 * torch.pi * pitch_hz * time_s) * (time_s < end_s)
    clips = tones + 0.003 * torch.randn(CLIPS, 16_000, generator=random)
    model = build(architecture, domain, CLASSES, seed=0)
    prepared_for(model, device)
    # Frozen as explainers freeze it: the floor has no gradients of parameters either.
    body = model.body.eval().requires_grad_(False)
    inputs = domain.analysis(clips[:, None]).to(device)
    targets = torch.randint(CLASSES, (CLIPS,), generator=random).to(device)
    seconds, faster = seconds_of(lambda: fused(body, inputs), device)
    return Setup(body, inputs, targets, Silence(domain), faster, seconds)


def cases(given: Setup) -> list[Case]:
    """The suite under the reference's definitions, then under ours."""
    saliency, integrated = Saliency(), IntegratedGradients(given.silence, steps=32)
    quiet = {"disable_warnings": True, "display_progressbar": False}
    noise = SignalNoise(silence_value=given.silence.domain.silence_value)
    return [
        Case(
            "faithfulness_correlation",
            "saliency",
            "reference",
            faithfulness.FaithfulnessCorrelation(nr_runs=RUNS, seed=SEED),
            saliency,
            with_gradients=False,
            theirs=lambda: quantus.FaithfulnessCorrelation(nr_runs=RUNS, return_aggregate=False, **quiet),
        ),
        *[
            Case(
                "average_sensitivity",
                method,
                "reference",
                robustness.AvgSensitivity(explainer, nr_samples=draws, seed=SEED),
                explainer,
                with_gradients=True,
                theirs=partial(quantus.AvgSensitivity, nr_samples=draws, **quiet),
            )
            for method, explainer, draws in (
                ("saliency", saliency, DRAWS),
                ("integrated_gradients", integrated, DRAWS_OF_IG),
            )
        ],
        Case(
            "sparseness",
            "saliency",
            "reference",
            complexity.Sparseness(),
            saliency,
            with_gradients=False,
            theirs=lambda: quantus.Sparseness(**quiet),
        ),
        Case(
            "random_logit",
            "saliency",
            "reference",
            randomisation.RandomLogit(saliency, num_classes=CLASSES, seed=SEED),
            saliency,
            with_gradients=True,
            theirs=lambda: quantus.RandomLogit(num_classes=CLASSES, seed=SEED, **quiet),
        ),
        Case(
            "mprt",
            "saliency",
            "reference",
            randomisation.MPRT(saliency, seed=SEED),
            saliency,
            with_gradients=True,
            theirs=lambda: quantus.MPRT(seed=SEED, return_average_correlation=True, **quiet),
        ),
        Case(
            "faithfulness_correlation",
            "saliency",
            "corrected",
            FaithfulnessCorrelation(given.silence, runs=RUNS),
            saliency,
            with_gradients=False,
        ),
        Case(
            "average_sensitivity",
            "saliency",
            "corrected",
            AverageSensitivity(saliency, noise, DRAWS),
            saliency,
            with_gradients=True,
        ),
        Case(
            "average_sensitivity",
            "integrated_gradients",
            "corrected",
            AverageSensitivity(integrated, noise, DRAWS_OF_IG),
            integrated,
            with_gradients=True,
        ),
        Case("sparseness", "saliency", "corrected", Sparseness(), saliency, with_gradients=False),
        Case("random_logit", "saliency", "corrected", RandomLogit(saliency, CLASSES), saliency, with_gradients=True),
        Case("mprt", "saliency", "corrected", ModelParameterRandomisation(saliency), saliency, with_gradients=True),
    ]


def precise(given: Setup, case: Case) -> Case:
    """Our default of a case with the fewest draws that are as precise as its independent ones."""
    ours = case.ours
    fewer: list[PassMetric] = []
    if isinstance(ours, FaithfulnessCorrelation):
        fewer = [replace(ours, runs=runs, design="paired") for runs in FEWER_RUNS]
    if isinstance(ours, AverageSensitivity):
        fewer = [replace(ours, draws=draws, antithetic=True) for draws in FEWER_DRAWS]
    due = standard_error(given, case, ours) if fewer else 0.0
    metric = next((one for one in fewer if standard_error(given, case, one) <= due), ours)
    return replace(case, definitions="precise", ours=metric)


def standard_error(given: Setup, case: Case, metric: Any) -> float:
    """Root mean square, over some clips, of the spread of their scores over seeds."""
    inputs, targets = given.inputs[:ERROR_CLIPS], given.targets[:ERROR_CLIPS]
    attributions = case.explainer(given.model, inputs, targets)
    seeded = (replace(metric, seed=seed) for seed in range(ERROR_SEEDS))
    scores = torch.stack([one(given.fused, inputs, targets, attributions) for one in seeded])
    return float(scores.var(0).mean().sqrt())


def bare_passes(model: nn.Module, given: Setup, count: int, size: int, with_gradients: bool) -> None:
    """``count`` model passes in calls of ``size`` inputs and nothing else."""
    stack = given.inputs.repeat(-(-size // len(given.inputs)), 1, 1, 1)[:size]
    columns = given.targets.repeat(-(-size // len(given.targets)))[:size, None]
    for rows in slices(count, size):
        several = rows.stop - rows.start
        if with_gradients:
            leaf = stack[:several].detach().requires_grad_(True)
            torch.autograd.grad(model(leaf).gather(1, columns[:several]).sum(), leaf)
        else:
            with torch.inference_mode():
                model(stack[:several])


def seconds_of(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds and result of some work, the device's queue included."""
    finish(device)
    started = time.perf_counter()
    result = work()
    finish(device)
    return time.perf_counter() - started, result


def best_call_size(model: nn.Module, given: Setup, with_gradients: bool) -> int:
    """Inputs a call with which passes are fastest here: the best of three tries of each size."""
    device = given.inputs.device
    found = {}
    for size in CALL_SIZES:
        count = max(size, 256)
        work = partial(bare_passes, model, given, count, size, with_gradients)
        tries = [seconds_of(work, device)[0] for _ in range(3)]
        found[size] = min(tries) / count
    return min(found, key=lambda size: found[size])


def run_theirs(case: Case, given: Setup, attributions: Tensor) -> NDArray[np.float64]:
    """Quantus's scores ``(clips,)``, from the seed that ours start from."""
    assert case.theirs is not None

    def explain(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> NDArray[Any]:
        made = case.explainer(
            model, torch.as_tensor(inputs).to(given.inputs), torch.as_tensor(targets).to(given.targets)
        )
        return made.cpu().numpy()

    np.random.seed(SEED)  # noqa: NPY002 (what Quantus draws from)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = case.theirs()(
            model=given.model,
            x_batch=given.inputs.cpu().numpy(),
            y_batch=given.targets.cpu().numpy(),
            a_batch=attributions.cpu().numpy(),
            explain_func=explain,
            device=str(given.inputs.device),
            batch_size=CLIPS,
        )
    return np.asarray(scores, dtype=np.float64)


def measure_case(case: Case, given: Setup, sizes: Sizes, rounds: int) -> dict[str, Any]:
    """Figures of one metric; the three ways take turns."""
    device = given.inputs.device
    attributions = case.explainer(given.model, given.inputs, given.targets)
    passes = case.ours.passes(given.model, given.inputs)
    ours: list[float] = []
    floor: list[float] = []
    eager: list[float] = []
    theirs: list[float] = []
    scores = reference = None
    for _ in range(rounds):
        spent, scores = seconds_of(lambda: case.ours(given.fused, given.inputs, given.targets, attributions), device)
        ours.append(spent)
        if passes:
            for model, found in ((case.passes_of(given), floor), (given.model, eager)):
                size = sizes[model is given.fused, case.with_gradients]
                work = partial(bare_passes, model, given, passes, size, case.with_gradients)
                found.append(seconds_of(work, device)[0])
        if case.theirs is not None:
            spent, reference = seconds_of(lambda: run_theirs(case, given, attributions), device)
            theirs.append(spent)
    row: dict[str, Any] = {
        "metric": case.metric,
        "method": case.method,
        "definitions": case.definitions,
        "passes": passes,
        "ours_s": median(ours),
        "quantus_s": median(theirs) if theirs else None,
        "floor_s": median(floor) if floor else 0.0,
        "eager_floor_s": median(eager) if eager else 0.0,
        "speedup": median(theirs) / median(ours) if theirs else None,
        # Ratios of neighbours in time: a machine that slows down slows both.
        "over_floor": median(mine / bare for mine, bare in zip(ours, floor, strict=True)) if floor else None,
        "over_eager_floor": median(mine / bare for mine, bare in zip(ours, eager, strict=True)) if eager else None,
        "max_abs_diff": None,
    }
    if reference is not None and scores is not None:
        row["max_abs_diff"] = float(np.abs(scores.cpu().numpy() - reference).max())
    return row


def suite(rows: Sequence[dict[str, Any]], definitions: str) -> dict[str, Any]:
    """Sums over the suite under one set of definitions."""
    chosen = [row for row in rows if row["definitions"] in (definitions, "both")]
    ours, floor, eager = (sum(row[key] for row in chosen) for key in ("ours_s", "floor_s", "eager_floor_s"))
    reference = [row for row in rows if row["definitions"] == "reference"]
    theirs = None if definitions == "corrected" else sum(row["quantus_s"] for row in reference)
    return {
        "metric": "suite",
        "method": "all",
        "definitions": definitions,
        "passes": sum(row["passes"] for row in chosen),
        "ours_s": ours,
        "quantus_s": theirs,
        "floor_s": floor,
        "eager_floor_s": eager,
        "speedup": theirs / ours if theirs else None,
        "over_floor": ours / floor,
        "over_eager_floor": ours / eager,
        "max_abs_diff": max(row["max_abs_diff"] for row in chosen if row["max_abs_diff"] is not None)
        if definitions == "reference"
        else None,
    }


def choice(given: Setup) -> dict[str, Any]:
    """What choosing copies took; a row of the suite under either definitions."""
    nothing = dict.fromkeys(("speedup", "over_floor", "over_eager_floor", "max_abs_diff"))
    costs = {"ours_s": given.fused_s, "quantus_s": 0.0, "floor_s": 0.0, "eager_floor_s": 0.0}
    method = " ".join(f"{kind}={name}" for kind, name in given.fused.copies.items())
    return {"metric": "copies", "method": method, "definitions": "both", "passes": 0, **costs, **nothing}


def measure(
    models: Sequence[str], resolutions: Sequence[int], device: torch.device, rounds: int, *, equal_precision: bool
) -> Iterator[dict[str, Any]]:
    """Figures of every model × size × metric, and of the suites."""
    for architecture in models:
        for size in resolutions:
            given = setup(architecture, size, device)
            ways: dict[bool, nn.Module] = {True: given.fused, False: given.model}
            sizes = {
                (is_fused, kind): best_call_size(model, given, kind)
                for is_fused, model in ways.items()
                for kind in (False, True)
            }
            suites = cases(given)
            if equal_precision:
                suites += [precise(given, case) for case in suites if case.definitions == "corrected"]
            rows = [choice(given), *(measure_case(case, given, sizes, rounds) for case in suites)]
            for row in rows:
                if row["definitions"] == "precise":
                    (theirs,) = (each for each in rows if _same(each, row) and each["definitions"] == "reference")
                    row |= {"quantus_s": theirs["quantus_s"], "speedup": theirs["quantus_s"] / row["ours_s"]}
            rows += [suite(rows, definitions) for definitions in dict.fromkeys(case.definitions for case in suites)]
            for row in rows:
                where = {"model": architecture, "size": size}
                calls = {"floor_inputs_a_call": list(sizes.values())}
                print(line({**where, **row}), flush=True)
                yield {**where, **row, **calls}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("metric", "method"))


def line(row: dict[str, Any]) -> str:
    """One row of figures, for people."""
    numbers = [
        f"{key} {row[key]:.3g}"
        for key in (
            *("passes", "ours_s", "quantus_s", "floor_s"),
            *("speedup", "over_floor", "over_eager_floor", "max_abs_diff"),
        )
        if row[key] is not None
    ]
    return f"{row['model']:<10}{row['size']:>4} {row['definitions']:<10}{row['metric']:<26}{row['method']:<22}" + (
        "  ".join(numbers)
    )


def compute_suite(runs: int, device: torch.device) -> None:
    """The corrected suite at 128 × 128 with so many runs and draws, for its memory."""
    given = setup("small_cnn", 128, device)
    noise = SignalNoise(silence_value=given.silence.domain.silence_value)
    explainer = Saliency()
    integrated = IntegratedGradients(given.silence, steps=32)
    attributions = explainer(given.model, given.inputs, given.targets)
    for metric in (
        FaithfulnessCorrelation(given.silence, runs=runs),
        AverageSensitivity(explainer, noise, draws=runs // 10),
        AverageSensitivity(integrated, noise, draws=runs // 100),
        Sparseness(),
        RandomLogit(explainer, CLASSES),
        ModelParameterRandomisation(explainer),
    ):
        metric(given.fused, given.inputs, given.targets, attributions)


def own_peak_mb() -> float:
    """Peak memory of this process since its program was started.

    ``ru_maxrss`` will not do: a started program inherits there what the process that started it had needed.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def peak_mb(runs: int, device: str) -> float:
    """Peak memory of a new process that computes the suite."""
    command = [sys.executable, __file__, "--only-memory-of-runs", str(runs), "--device", device]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.split()[-1])


def save(figures: dict[str, Any], path: Path | None) -> None:
    """Store what there is so far: a run that is stopped leaves what it had measured."""
    if path is not None:
        write_text(path, json.dumps(figures, indent=1) + "\n")


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--models", nargs="+", default=["small_cnn", "alexnet"], help="architectures (default both)")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="rows and columns (default 64 128)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way (default 3)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument(
        "--equal-precision", action="store_true", help="also our defaults with the draws that Quantus's precision takes"
    )
    parser.add_argument("--only-memory-of-runs", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    unknown = [name for name in options.models if name not in ARCHITECTURES]
    if unknown or options.rounds < 1 or min(options.sizes) < 32:
        raise UserError(
            f"models are {options.models}, sizes {options.sizes} and rounds is {options.rounds}; give known models, "
            "sizes of at least 32 and at least 1 round"
        )
    device = select_device(options.device)
    keep_freed_memory()
    if options.only_memory_of_runs is not None:
        compute_suite(options.only_memory_of_runs, device)
        print(own_peak_mb())
        return
    figures: dict[str, Any] = {
        "rows": [],
        "memory": [],
        "clips": CLIPS,
        "rounds": options.rounds,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "quantus")}},
    }
    for row in measure(options.models, options.sizes, device, options.rounds, equal_precision=options.equal_precision):
        figures["rows"].append(row)
        save(figures, options.json)
    figures["memory"] = [{"runs": runs, "peak_mb": round(peak_mb(runs, options.device), 1)} for runs in (100, 800)]
    print(json.dumps(figures["memory"]))
    save(figures, options.json)


if __name__ == "__main__":
    sys.exit(run_command(main))
