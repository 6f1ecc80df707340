"""What a study takes before it is run: passes counted, their time by a short trial, memory and disk by sizes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import pandas as pd
import torch
from torch import Tensor, nn

from audioxai.experiment.models import ModelSpec, dataset_shape, outline_of, untrained
from audioxai.experiment.plan import (
    Plan,
    Task,
    Unit,
    explains_waveforms,
    lives_in,
    passes_of,
    recorded,
)
from audioxai.experiment.study import Cell
from audioxai.utils.hardware import finish, inputs_per_call, keep_freed_memory, select_device

TRIAL_CALLS = 3
# Of a training step, gradients of the parameters too, to a gradient of the inputs.
STEP_TO_GRADIENT = 1.5
NUMBER_BYTES = 4
ROW_BYTES = 60
# PyTorch, pandas and the rest, loaded.
PROCESS_BYTES = 600_000_000
# What a call keeps for the gradient, by number in its inputs.
KEPT_PER_NUMBER = 80


@dataclass(frozen=True)
class Rates:
    """Passes per second of a model with random weights, from a few calls on this machine.

    Attributes
    ----------
    spec : ModelSpec
        The model.
    whole : bool
        From the waveform on; else, and of images, from the input of its body.
    device : torch.device
        Where.
    """

    spec: ModelSpec
    whole: bool
    device: torch.device

    @cached_property
    def forward(self) -> float:
        """Without gradients."""
        with torch.no_grad():
            return self._rate(lambda inputs: self._model(inputs))

    @cached_property
    def gradient(self) -> float:
        """Forward and backward to the inputs."""

        def gradient(inputs: Tensor) -> Tensor:
            leaf = inputs.detach().requires_grad_(True)
            return torch.autograd.grad(self._model(leaf).sum(), leaf)[0]

        return self._rate(gradient)

    @property
    def _of_waveforms(self) -> bool:
        return self.whole and self.spec.data.modality == "audio"

    @cached_property
    def _model(self) -> nn.Module:
        model = untrained(self.spec, len(outline_of(self.spec).class_names)).to(self.device).eval()
        return (model if self._of_waveforms else model.body).requires_grad_(False)

    @cached_property
    def _inputs(self) -> Tensor:
        domain = recorded(Cell(self.spec, 0, 1)) if self._of_waveforms else self.spec.domain
        count = min(64, inputs_per_call(math.prod(domain.shape), self.device))
        low, high = domain.value_range
        random = torch.Generator().manual_seed(0)
        return (low + (high - low) * torch.rand(count, 1, *domain.shape, generator=random)).to(self.device)

    def _rate(self, call: Callable[[Tensor], Tensor]) -> float:
        call(self._inputs)
        spent = []
        for _ in range(TRIAL_CALLS):
            finish(self.device)
            started = time.perf_counter()
            call(self._inputs)
            finish(self.device)
            spent.append(time.perf_counter() - started)
        return len(self._inputs) / median(spent)


def estimate(plan: Plan) -> pd.DataFrame:
    """One row per model: what is left to do of it.

    Returns
    -------
    DataFrame
        Columns ``model``; ``passes`` of explaining and scoring; ``training_s``, ``explaining_s`` and ``scoring_s`` of
        one process; ``memory_bytes``, the most that a process needs; ``disk_bytes`` of what it writes. Passes that do
        not depend on the method are counted for every method, although they are sent once; what surrounds the passes
        is not counted.
    """
    keep_freed_memory()
    if plan.options.threads is not None:
        torch.set_num_threads(plan.options.threads)
    device = select_device(plan.options.device)
    rows = []
    for spec in dict.fromkeys(cell.model for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.model == spec]
        rates = {whole: Rates(spec, whole, device) for whole in (False, True)}
        due = [task for task in plan.tasks(cells=cells) if not plan.place(task.cell).is_done(task)]
        passes = [passes_of(plan.study, task) if task.method else 0 for task in due]
        seconds = pd.DataFrame(
            [(task.kind, _seconds(task, own, rates)) for task, own in zip(due, passes, strict=True)],
            columns=["kind", "seconds"],
        )
        spent = {kind: float(seconds.loc[seconds["kind"] == kind, "seconds"].sum()) for kind in ("explain", "score")}
        trained = any(task.kind == "train" for task in due)
        rows.append(
            {
                "model": spec.label,
                "passes": sum(passes),
                "training_s": _training_s(spec, rates[True]) if trained else 0.0,
                "explaining_s": spent["explain"],
                "scoring_s": spent["score"],
                "memory_bytes": _memory(spec, device),
                "disk_bytes": (_weights(spec) if trained else 0) + sum(_disk(plan, task) for task in due),
            }
        )
    return pd.DataFrame(rows)


def _training_s(spec: ModelSpec, rates: Rates) -> float:
    if spec.external is not None:
        return 0.0
    return STEP_TO_GRADIENT * spec.training.epochs * outline_of(spec).samples["train"] / rates.gradient


def _seconds(task: Task, passes: int, rates: dict[bool, Rates]) -> float:
    """Seconds of explaining or scoring."""
    if task.method is None or not passes:
        return 0.0
    explains = task.unit is None or _explains_again(task.unit)
    whole = explains_waveforms(task.cell, task.method) if explains else task.unit is not None and _hears(task)
    own = rates[whole]
    rate = own.gradient if explains and task.method.entry.gradients else own.forward
    return passes / rate


def _explains_again(unit: Unit) -> bool:
    return "explainer" in unit.specs[0].entry.parameters


def _hears(task: Task) -> bool:
    return task.unit is not None and task.unit.removes_sound


def _memory(spec: ModelSpec, device: torch.device) -> int:
    samples = sum(outline_of(spec).samples.values())
    recordings = samples * math.prod(dataset_shape(spec)) * NUMBER_BYTES
    numbers = math.prod(spec.domain.shape)
    call = inputs_per_call(numbers, device) * numbers * KEPT_PER_NUMBER * NUMBER_BYTES
    return PROCESS_BYTES + recordings + call


def _weights(spec: ModelSpec) -> int:
    model = untrained(spec, len(outline_of(spec).class_names))
    return NUMBER_BYTES * sum(int(one.numel()) for one in model.state_dict().values())


def _disk(plan: Plan, task: Task) -> int:
    """Bytes of maps or scores; explained samples are stored once per cell, with the task that stands for its model."""
    cell = task.cell
    if task.method is None:
        return NUMBER_BYTES * cell.samples * (math.prod(cell.model.domain.shape) + math.prod(dataset_shape(cell.model)))
    if task.unit is not None:
        return len(task.unit.specs) * cell.samples * ROW_BYTES
    return NUMBER_BYTES * cell.samples * math.prod(lives_in(plan.study, cell, task.method).shape)


def summary(table: pd.DataFrame, workers: int) -> list[str]:
    """Lines on what is left to do in all."""
    from audioxai.utils.progress import duration

    seconds = float(table[["training_s", "explaining_s", "scoring_s"]].to_numpy().sum())
    of = f"; about {duration(seconds / workers)} with {workers} workers" if workers > 1 else ""
    return [
        f"time   about {duration(seconds)} in one process{of}, by a trial of {TRIAL_CALLS} calls per model here",
        f"memory about {table['memory_bytes'].max() / 1e9:.1f} GB per process",
        f"disk   about {table['disk_bytes'].sum() / 1e9:.2f} GB",
    ]
