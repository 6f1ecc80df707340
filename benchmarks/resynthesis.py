"""What a model pass costs in insertion and deletion through resynthesis, beside the pass alone; one thread.

Usage::

    python benchmarks/resynthesis.py --json out.json    # 1 minute; sounds_share has to stay below 0.35
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from audioxai.baselines import Silence, SpeechShapedNoise
from audioxai.domains import LogMel, Waveform, matching_stft
from audioxai.metrics.batch import Batch, evaluate
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness
from audioxai.models import build
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.hardware import inputs_per_call, keep_freed_memory, slices
from audioxai.utils.seeding import generator

DOMAIN = LogMel(sample_rate_hz=16_000, duration_s=1.5, bands=64, frames=64)


def main(arguments: list[str]) -> None:
    """Measure and print one JSON object."""
    parser = OneLineParser(description="Cost of a pass in insertion and deletion through resynthesis.")
    parser.add_argument("--clips", type=int, default=16, metavar="N")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    figures = json.dumps(measure(options.clips, options.repetitions))
    print(figures)
    if options.json is not None:
        options.json.write_text(figures + "\n", encoding="utf-8")


def measure(clips: int, repetitions: int) -> dict[str, float]:
    """Milliseconds of processor time a pass, and the share of them that is not the model's."""
    random = generator("resynthesis benchmark")
    waveforms = 0.1 * torch.randn(clips, 1, DOMAIN.samples, generator=random)
    attributions = torch.randn(clips, 1, *DOMAIN.shape, generator=random)
    model = build("small_cnn", DOMAIN, class_count=10, seed=0).eval()
    silence, noise = Silence(Waveform(DOMAIN.sample_rate_hz, DOMAIN.duration_s)), SpeechShapedNoise.of(waveforms)
    metric = ResynthesisFaithfulness(DOMAIN, matching_stft(DOMAIN), (silence, noise))
    passes = metric.passes(model, waveforms)
    batch = Batch(model, waveforms, torch.zeros(clips, dtype=torch.int64))
    # What all methods share is asked for once.
    evaluate({"warm": metric}, batch, -attributions)
    alone, whole = [], []
    for repetition in range(repetitions):
        alone.append(_seconds(lambda: _send(model, waveforms, passes)))
        method = attributions + repetition
        whole.append(_seconds(lambda method=method: evaluate({"timed": metric}, batch, method)))  # type: ignore[misc]
    model_ms, metric_ms = (1e3 * sorted(times)[repetitions // 2] / passes for times in (alone, whole))
    return {
        "passes": passes,
        "model_ms_per_pass": round(model_ms, 3),
        "metric_ms_per_pass": round(metric_ms, 3),
        "sounds_share": round(1.0 - model_ms / metric_ms, 3),
    }


def _send(model: nn.Module, waveforms: torch.Tensor, passes: int) -> None:
    """So many passes of the model in calls as large as the engine's."""
    size = inputs_per_call(waveforms[0].numel(), waveforms.device)
    with torch.inference_mode():
        for rows in slices(passes, size):
            model(waveforms[torch.arange(rows.start, rows.stop) % len(waveforms)])


def _seconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


if __name__ == "__main__":
    raise SystemExit(run_command(main))
