"""Speed and memory of explaining: a small model, a large one, and an hour of sound.

Usage::

    python benchmarks/explain_any.py --json out.json                  # all parts, each in a process of its own
    python benchmarks/explain_any.py --parts small hour --json out.json

* ``small``: a clip of 1 s and a small CNN, page and trust included; has to stay below 2 s.
* ``ast``: a clip of 10 s and an Audio Spectrogram Transformer of 86 million random weights. Memory has to stay below
  4 GB, and processor time below 1.15 of that of the same calls of the model and nothing else. Trust is left out: its
  passes are counted, so their time is known.
* ``hour``: a minute, a quarter of an hour and an hour of sound in windows; the largest memory must not grow with the
  length. Files of up to ten minutes are read as a whole, longer ones are streamed.

Times are of the processor, so that they mean something on a busy machine; memory is the largest that is resident.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

import audioxai as ax
from audioxai.domains import LogMel
from audioxai.models import build
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.files import write_json
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.seeding import generator

SAMPLE_RATE_HZ = 16_000
AST_GRADIENTS = 6
KIBIBYTES = 1 if os.uname().sysname == "Linux" else 1 / 1024


def noise(seconds: float) -> Tensor:
    """A clip in bursts, ``(time,)``."""
    random = generator("explain any")
    samples = round(seconds * SAMPLE_RATE_HZ)
    bursts = (torch.arange(samples) // (SAMPLE_RATE_HZ // 4) % 2).float()
    return 0.1 * torch.randn(samples, generator=random) * (0.1 + bursts)


def small_model() -> nn.Module:
    """The project's small CNN on clips of one second."""
    return build("small_cnn", LogMel(SAMPLE_RATE_HZ, 1.0, bands=64, frames=64), class_count=10, seed=0).eval()


def small() -> dict[str, float]:
    """Seconds of a clip of 1 s, page and trust included: the first call and the median of five."""
    model, clip = small_model(), noise(1.0)
    taken = [seconds_of(lambda: ax.explain(clip, model, sample_rate=SAMPLE_RATE_HZ).page()) for _ in range(6)]
    return {"first_s": taken[0], "median_s": float(np.median(taken[1:]))}


def ast() -> dict[str, float]:
    """Seconds and memory of a clip of 10 s for an AST, beside its calls of the model alone."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        ASTForAudioClassification(ASTConfig()).save_pretrained(folder)
        ASTFeatureExtractor().save_pretrained(folder)
        model = ax.load_model(folder)
    clip = noise(10.0)
    calls: list[tuple[int, bool]] = []
    forward = ASTForAudioClassification.forward

    def counted(self: nn.Module, input_values: Tensor, **options: Any) -> Any:
        calls.append((len(input_values), input_values.requires_grad))
        return forward(self, input_values, **options)

    # Of the class, since explaining makes modules of its own for a clip and takes hooks off.
    ASTForAudioClassification.forward = counted
    taken_s = seconds_of(
        lambda: ax.explain(
            clip, model, sample_rate=SAMPLE_RATE_HZ, budget=AST_GRADIENTS, trust=False, target=0, domain="mask"
        )
    )
    ASTForAudioClassification.forward = forward
    bare_s = seconds_of(lambda: repeat(model.module, clip, calls))
    return {
        "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
        "gradients": sum(batch for batch, has_gradient in calls if has_gradient),
        "passes_without_gradient": sum(batch for batch, has_gradient in calls if not has_gradient),
        "bare_s": bare_s,
        "explained_s": taken_s,
        "ratio": taken_s / bare_s,
    }


def repeat(module: nn.Module, clip: Tensor, calls: list[tuple[int, bool]]) -> None:
    """The same calls of a model and nothing else."""
    for batch, has_gradient in calls:
        waveforms = clip.repeat(batch, 1, 1).requires_grad_(has_gradient)
        with torch.set_grad_enabled(has_gradient):
            logits = module(waveforms)
        if has_gradient:
            torch.autograd.grad(logits[:, 0].sum(), waveforms)


def hour() -> dict[str, float]:
    """Memory in GB after a minute, a quarter and an hour of sound."""
    model = ax.load_model(small_model())
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, minutes in (("minute", 1), ("quarter", 15), ("hour", 60)):
            path = Path(folder) / f"{name}.flac"
            with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1) as file:
                for _ in range(minutes):
                    file.write(noise(60.0).numpy())
            figures[f"{name}_s"] = seconds_of(lambda path=path: ax.explain(path, model, trust=False))  # type: ignore[misc]
            figures[f"{name}_gb"] = peak_gb()
    return figures


PARTS: dict[str, Callable[[], dict[str, float]]] = {"small": small, "ast": ast, "hour": hour}


def seconds_of(action: Callable[[], object]) -> float:
    """Processor seconds of this process and its threads."""
    started = time.process_time()
    action()
    return time.process_time() - started


def peak_gb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTES * 1024 / 1e9


def main(arguments: list[str]) -> None:
    """Measure each part in a process of its own and print one JSON object."""
    parser = OneLineParser(description="Speed and memory of explaining.")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="measure the one part in this process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    figures: dict[str, Any] = {"threads": options.threads}
    for part in options.parts:
        figures[part] = measured(part) if options.alone else in_own_process(part, options.threads)
    print(json.dumps(figures))
    if options.json is not None:
        write_json(options.json, figures)


def measured(part: str) -> dict[str, float]:
    """Figures of a part, and the largest memory of this process."""
    figures = PARTS[part]()
    return {name: round(value, 3) for name, value in (figures | {"peak_gb": peak_gb()}).items()}


def in_own_process(part: str, threads: int) -> dict[str, float]:
    """The same, so that no part's memory is counted in another's."""
    command = [sys.executable, __file__, "--alone", "--parts", part, "--threads", str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])[part]
    return figures


if __name__ == "__main__":
    raise SystemExit(run_command(main))
