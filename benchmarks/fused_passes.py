"""What a pass takes through a model and through its faster copies.

    python benchmarks/fused_passes.py --json out.json                 # small CNN and AlexNet, 64 and 128, ~2 minutes
    python benchmarks/fused_passes.py --models small_cnn --sizes 64
    python benchmarks/fused_passes.py --models small_cnn --memory returned   # as in a script that sets nothing

Every copy of ``audioxai.fused`` takes turns with the model in calls of the size that the package makes; the median of
the ratios within a round counts. ``difference`` is the largest one of any logit over the largest logit, or the median
over inputs of that of gradients by their norm; ``edges`` is the share of inputs whose gradient differs by more than a
thousandth: where a ReLU or a maximum is on the edge, rounding decides.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.domains import LogMel
from audioxai.fused import CANDIDATES, FusedModel, Kind, suits
from audioxai.models import ARCHITECTURES, build
from audioxai.models.front_end import prepared_for
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text
from audioxai.utils.hardware import finish, inputs_per_call, keep_freed_memory, select_device
from audioxai.utils.seeding import generator

CLASSES = 10
EDGE = 1e-3


def outcome(model: nn.Module, inputs: Tensor, kind: Kind) -> Tensor:
    """Logits, or gradients of the first logit at the inputs; one row per input."""
    if kind == "forward":
        with torch.no_grad():
            return model(inputs.clone())  # type: ignore[no-any-return]
    leaf = inputs.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    return gradient.flatten(1)


def differences(expected: Tensor, found: Tensor, kind: Kind) -> dict[str, float]:
    """How far a copy's outcomes are from the model's."""
    if kind == "forward":
        return {"difference": float((found - expected).abs().max() / expected.abs().max())}
    each = torch.linalg.vector_norm(found - expected, dim=1) / torch.linalg.vector_norm(expected, dim=1)
    return {"difference": float(each.median()), "edges": float((each > EDGE).double().mean())}


def seconds(model: nn.Module, inputs: Tensor, kind: Kind) -> float:
    """Of one call."""
    finish(inputs.device)
    started = time.perf_counter()
    outcome(model, inputs, kind)
    finish(inputs.device)
    return time.perf_counter() - started


def measure(architecture: str, size: int, device: torch.device, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows of one model at one size."""
    domain = LogMel(16_000, 1.0, bands=size, frames=size)
    model = prepared_for(build(architecture, domain, CLASSES, seed=0), device)
    body = model.body.eval().requires_grad_(False)  # type: ignore[union-attr]
    low, high = domain.value_range
    count = inputs_per_call(size * size, device)
    levels = torch.rand(count, 1, size, size, generator=generator("benchmark of copies", size))
    inputs = (low + (high - low) * levels).to(device)
    for kind in CANDIDATES:
        names = [name for name in CANDIDATES[kind] if suits(name, device)]
        copies: dict[str, nn.Module] = {name: FusedModel(body, {kind: name}) for name in names}
        expected = outcome(body, inputs, kind)
        different = {name: differences(expected, outcome(copy, inputs, kind), kind) for name, copy in copies.items()}
        spent: dict[str, list[float]] = {name: [] for name in ("original", *names)}
        for _ in range(rounds):
            for name, each in {"original": body, **copies}.items():
                spent[name].append(seconds(each, inputs, kind))
        for name in names:
            ratios = [own / other for own, other in zip(spent["original"], spent[name], strict=True)]
            yield {
                "model": architecture,
                "size": size,
                "passes": kind,
                "copy": name,
                "inputs_a_call": count,
                "original_ms": 1e3 * median(spent["original"]) / count,
                "copy_ms": 1e3 * median(spent[name]) / count,
                "speedup": median(ratios),
                **different[name],
            }


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small_cnn", "alexnet"], help="architectures (default both)")
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128], help="rows and columns (default 64 128)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each way (default 9)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument(
        "--memory",
        choices=["kept", "returned"],
        default="kept",
        help="whether the C library keeps what calls have freed, as in all commands (default kept)",
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args(argv)
    if unknown := [name for name in given.models if name not in ARCHITECTURES]:
        raise UserError(f"models are {', '.join(unknown)}; choose among {', '.join(ARCHITECTURES)}")
    device = select_device(given.device)
    if given.memory == "kept":
        keep_freed_memory()
    rows = []
    for architecture in given.models:
        for size in given.sizes:
            for row in measure(architecture, size, device, given.rounds):
                rows.append(row)
                numbers = {name: f"{value:.3g}" for name, value in row.items() if isinstance(value, float)}
                print(row["model"], row["size"], row["passes"], row["copy"], numbers, flush=True)
    if given.json is not None:
        found = {"device": str(device), "memory": given.memory, "threads": torch.get_num_threads()}
        write_text(given.json, json.dumps({**found, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
