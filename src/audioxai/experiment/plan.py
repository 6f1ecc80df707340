"""The plan of a study: independent, idempotent tasks with their cost, and where each result lies."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from audioxai.baselines import Baseline, Black, Constant, Silence
from audioxai.core import Explainer, configuration_of
from audioxai.domains import Domain, LogMel, Stft, Waveform, matching_stft
from audioxai.experiment.materials import require_enough
from audioxai.experiment.models import ModelSpec, outline_of, weights_path
from audioxai.experiment.study import Cell, MetricSpec, RunOptions, Study
from audioxai.metrics import METRICS, RangeNoise, SignalNoise
from audioxai.metrics.faithfulness.resynthesis import WORST_ROW
from audioxai.models import build, checkpoints
from audioxai.registry import MethodEntry
from audioxai.results import Store
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.pullback import PullBack

Kind = Literal["train", "explain", "score"]
MOST_ALTERNATIVES = 3


@dataclass(frozen=True)
class MethodUse:
    """A method with what it may spend on a sample; for one that always costs the same, the least that is asked for."""

    name: str
    gradients: int

    @property
    def entry(self) -> MethodEntry:
        """What the registry knows of the method."""
        return METHODS[self.name]


@dataclass(frozen=True)
class Unit:
    """Scores that are made together: one metric, or the three of the removals, which share their passes."""

    specs: tuple[MetricSpec, ...]

    @property
    def name(self) -> str:
        """Name of its shard."""
        return self.specs[0].row_name if len(self.specs) == 1 else "removal"

    @property
    def removes_sound(self) -> bool:
        """Whether it judges by what is left of the sounds."""
        return removes_sound(self.specs[0])

    @property
    def needs_change(self) -> bool:
        """Whether it reads what the attributions should add up to."""
        return self.specs[0].entry.needs_change


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes
    ----------
    kind : {"train", "explain", "score"}
        What is done.
    cell : Cell
        With which model and samples.
    method : MethodUse or None
        By which method; None for training.
    unit : Unit or None
        By which metrics; None unless scores are made.
    """

    kind: Kind
    cell: Cell
    method: MethodUse | None = None
    unit: Unit | None = None


@dataclass(frozen=True)
class Place:
    """Where the results of one cell lie; every name holds a hash of all that decides the content."""

    study: Study
    cell: Cell
    store: Store
    weights: Path

    @property
    def trained(self) -> bool:
        """Whether the model is there."""
        return checkpoints.exists(self.weights)

    @property
    def folder(self) -> str:
        """Folder of the cell's shards."""
        changes = [path.stat().st_mtime_ns for path in (self.weights, checkpoints.card_path(self.weights))]
        card, cell = _card(self.weights, *changes), self.cell
        deciding = derived_seed(
            card.weights_sha256,
            card.data_fingerprint,
            cell.material,
            cell.sample_seed,
            cell.samples,
            configuration_of(cell.model.data.cues),
        )
        return f"{cell.material}-{self.weights.stem.rsplit('-', 1)[0]}-{deciding % 16**8:08x}"

    def inputs(self) -> Path:
        """Explained samples with labels, targets and predictions."""
        return self.store.tensors_path(self.folder, "inputs")

    def attributions(self, method: MethodUse) -> Path:
        """Attributions of one method."""
        return self.store.tensors_path(self.folder, self._named(method))

    def scores(self, method: MethodUse, unit: Unit) -> Path:
        """Scores of one method."""
        return self.store.rows_path(self.folder, self._named(method, unit))

    def curves(self, method: MethodUse, unit: Unit) -> Path:
        """Insertion and deletion curves of one method."""
        return self.store.tensors_path(self.folder, f"curves-{self._named(method, unit)}")

    def is_done(self, task: Task) -> bool:
        """Whether the results of a task are there."""
        if task.kind == "train" or not self.trained:
            return self.trained
        assert task.method is not None
        if task.unit is None:
            return self.inputs().exists() and self.attributions(task.method).exists()
        if task.unit.removes_sound and not self.curves(task.method, task.unit).exists():
            return False
        return self.scores(task.method, task.unit).exists()

    def _named(self, method: MethodUse, unit: Unit | None = None) -> str:
        deciding = method_key(self.study, self.cell, method)
        parts = [method.name, str(method.gradients)]
        if unit is not None:
            parts.append(unit.name)
            deciding = derived_seed(deciding, unit_key(self.study, self.cell, unit))
        return "-".join([*parts, f"{deciding % 16**8:08x}"])


@lru_cache(maxsize=1024)
def _card(weights: Path, *changes: int) -> checkpoints.Card:  # noqa: ARG001 (files that were written anew)
    card = checkpoints.read_card(weights)
    checkpoints.require_described(weights, card)
    return card


@dataclass(frozen=True)
class Plan:
    """A study's tasks, in the order in which they are carried out.

    Attributes
    ----------
    study : Study
        The declared study.
    options : RunOptions
        Folders and device; with a part, the plan holds the tasks of that part alone.
    """

    study: Study
    options: RunOptions

    def __post_init__(self) -> None:
        """Judge everything that can be judged before any work: methods on their inputs, metrics with their options."""
        if self.options.part is not None:
            dealt(models_of(self.study), self.options.part)
        for cell in dict.fromkeys(replace(cell, sample_seed=0) for cell in self.study.cells):
            require_enough(cell.samples, outline_of(cell.model).samples["test"], cell.model.data.name)
            methods = methods_of(self.study, cell)
            for unit in units_of(self.study, cell):
                _require_judgeable(unit, cell)
                judged = [method for method in methods if judges(unit, cell, method)]
                if judged:
                    passes_of(self.study, Task("score", cell, judged[0], unit))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Cells of this plan's part."""
        if self.options.part is None:
            return self.study.cells
        own = set(dealt(models_of(self.study), self.options.part))
        return tuple(cell for cell in self.study.cells if cell.model in own)

    def place(self, cell: Cell) -> Place:
        """Where the results of a cell lie."""
        weights = weights_path(cell.model, self.options.checkpoints)
        return Place(self.study, cell, Store(self.options.results, self.study.name), weights)

    def tasks(self, *kinds: Kind, cells: Iterable[Cell] | None = None) -> Iterator[Task]:
        """Tasks of these kinds, all kinds if none is named, of these cells or all."""
        wanted = kinds or ("train", "explain", "score")
        for cell in self.cells if cells is None else cells:
            methods = methods_of(self.study, cell)
            if "train" in wanted:
                yield Task("train", cell)
            if "explain" in wanted:
                yield from (Task("explain", cell, method) for method in methods)
            if "score" in wanted:
                for unit in units_of(self.study, cell):
                    yield from (Task("score", cell, method, unit) for method in methods if judges(unit, cell, method))

    def whole(self) -> "Plan":
        """The plan of the whole study."""
        return replace(self, options=replace(self.options, part=None))

    def cost(self) -> pd.DataFrame:
        """One row per cell × method × metric: what scoring takes, known before anything runs.

        Returns
        -------
        DataFrame
            Columns ``dataset``, ``material``, ``model``, ``resolution``, ``seed``, ``samples``, ``method``,
            ``gradients``, ``metric``, ``passes`` (what the metric takes by itself; passes that do not depend on the
            method are sent once and shared) and ``done``.
        """
        return pd.DataFrame(
            [
                {
                    "dataset": task.cell.model.data.name,
                    "material": task.cell.material,
                    "model": task.cell.model.name,
                    "resolution": task.cell.model.resolution,
                    "seed": task.cell.model.training.seed,
                    "samples": task.cell.samples,
                    "method": task.method.name,
                    "gradients": task.method.gradients,
                    "metric": task.unit.name,
                    "passes": passes_of(self.study, task),
                    "done": self.place(task.cell).is_done(task),
                }
                for task in self.tasks("score")
                if task.method is not None and task.unit is not None
            ]
        )


def methods_of(study: Study, cell: Cell) -> list[MethodUse]:
    """Methods with every budget, those that always cost the same once.

    Masks of ground truth are those of the model's own domain, so methods of waveforms are left out there.

    Raises
    ------
    UserError
        If a method does not take the inputs of the cell's model.
    """
    found: list[MethodUse] = []
    for name in study.methods:
        uses = _different(study, cell, name)
        if cell.material == "clips" or not explains_waveforms(cell, uses[0]):
            found += uses
    return found


def explains_waveforms(cell: Cell, method: MethodUse) -> bool:
    """Whether a method explains the whole model from the waveform on, not its body.

    Raises
    ------
    UserError
        If it takes neither the body's inputs nor waveforms.
    """
    takes, seen = method.entry.domains, cell.model.domain.name
    if not takes or seen in takes:
        return False
    if cell.model.data.modality == "audio" and Waveform.name in takes:
        return True
    raise UserError(
        f"method {method.name} takes inputs in {' or '.join(takes)} but {cell.model.label} has {seen}; leave it out"
    )


def seen_by(cell: Cell, method: MethodUse) -> Domain:
    """In which domain a method takes the samples."""
    return recorded(cell) if explains_waveforms(cell, method) else cell.model.domain


def recorded(cell: Cell) -> Waveform:
    """What an audio model as a whole takes."""
    domain: Any = cell.model.domain
    return Waveform(domain.sample_rate_hz, domain.duration_s)


def lives_in(study: Study, cell: Cell, method: MethodUse) -> Domain:
    """In which domain a method's attributions live."""
    explainer = blank_explainer(study, cell, method)
    return explainer.domain if isinstance(explainer, PullBack) else seen_by(cell, method)


def stft_of(cell: Cell) -> Stft:
    """Spectrogram in which sounds are removed from clips."""
    domain = cell.model.domain
    return matching_stft(domain) if isinstance(domain, LogMel) else Stft(*vars(recorded(cell)).values())


def baseline_of(cell: Cell, domain: Domain | None = None) -> Baseline:
    """Baseline: silence for sound, black for images."""
    return Silence(domain or cell.model.domain) if cell.model.data.modality == "audio" else Black()


def method_context(study: Study, cell: Cell, method: MethodUse, training_inputs: torch.Tensor) -> dict[str, Any]:
    """What a method's parameters are bound to."""
    domain = seen_by(cell, method)
    context = {
        "domain": domain,
        "baseline": baseline_of(cell, domain),
        "training_inputs": training_inputs,
        "seed": study.method_seed,
    }
    return context | ({"gradients": method.gradients} if method.gradients else {})


def blank_explainer(study: Study, cell: Cell, method: MethodUse) -> Explainer:
    """What a method is, apart from what it learns from data."""
    domain: Any = seen_by(cell, method)
    return _blank_explainer(method, domain, cell.model.data.modality, study.method_seed)


@lru_cache(maxsize=4096)
def _blank_explainer(method: MethodUse, domain: Any, modality: str, seed: int) -> Explainer:
    """The method bound to one featureless training input."""
    middle = sum(domain.value_range) / 2.0 + 0.1
    context = {
        "domain": domain,
        "baseline": Silence(domain) if modality == "audio" else Black(),
        "training_inputs": torch.full((1, 1, *domain.shape), middle),
        "seed": seed,
        **({"gradients": method.gradients} if method.gradients else {}),
    }
    made: Explainer = method.entry.bind(context)
    return made


def _different(study: Study, cell: Cell, name: str) -> list[MethodUse]:
    if "gradients" not in METHODS[name].parameters:
        return [MethodUse(name, 0)]
    uses = [MethodUse(name, gradients) for gradients in cell.gradients] or [MethodUse(name, 0)]
    made = {repr(configuration_of(blank_explainer(study, cell, use))) for use in uses}
    return uses if len(made) > 1 else uses[:1]


def units_of(study: Study, cell: Cell) -> list[Unit]:
    """What judges the attributions of a cell, the removals together."""
    own = [spec for spec in study.metrics if cell.material in spec.materials]
    removals = tuple(filter(removes_sound, own))
    units = [Unit((spec,)) for spec in own if not removes_sound(spec)]
    return [Unit(removals), *units] if removals else units


def removes_sound(spec: MetricSpec) -> bool:
    """Whether a metric judges by what is left of the sounds."""
    return "removals" in spec.entry.parameters


def judges(unit: Unit, cell: Cell, method: MethodUse) -> bool:
    """Whether a unit can judge a method: body metrics judge maps in the body's domain, a gap needs completeness."""
    if unit.needs_change:
        return method.entry.complete
    return unit.removes_sound or not explains_waveforms(cell, method)


def _require_judgeable(unit: Unit, cell: Cell) -> None:
    """Refuse metrics that need what the cell's samples do not have."""
    for spec in unit.specs:
        if spec.entry.needs_masks and cell.material == "clips":
            raise UserError(
                f"metric {spec.metric} needs samples of which it is known where relevance belongs, and clips are not; "
                "leave it out"
            )
        if removes_sound(spec) and cell.model.data.modality != "audio":
            raise UserError(f"metric {spec.metric} removes sounds but {cell.model.label} has images; leave it out")


def metric_context(study: Study, cell: Cell, class_count: int, explainer: Explainer | None) -> dict[str, Any]:
    """What the parameters of metrics of the body are bound to."""
    domain = cell.model.domain
    noise = SignalNoise(silence_value=domain.silence_value) if cell.model.data.modality == "audio" else RangeNoise()
    # Random logit asks for other classes; few-class data have fewer of them than its default.
    few_classes = {"alternatives": class_count - 1} if 1 < class_count <= MOST_ALTERNATIVES else {}
    return {
        **few_classes,
        **study.settings,
        "explainer": explainer,
        "baseline": baseline_of(cell),
        "noise": noise,
        "class_count": class_count,
        "seed": study.seed,
    }


def method_key(study: Study, cell: Cell, method: MethodUse) -> int:
    """Hash of all that decides the attributions, besides model and samples."""
    made = configuration_of(blank_explainer(study, cell, method))
    return derived_seed(method.name, method.gradients, method.entry.revision, made, study.references)


@lru_cache(maxsize=4096)
def _unit_key(deciding: str) -> int:
    return derived_seed(deciding)


def unit_key(study: Study, cell: Cell, unit: Unit) -> int:
    """Hash of all that decides the scores, besides the attributions."""
    context = metric_context(study, cell, 0, None) | {"class_count": None}
    deciding: list[Any] = []
    for spec in unit.specs:
        entry = spec.entry
        bound = {
            name: configuration_of(spec.options.get(name, context.get(name, parameter.default)))
            for name, parameter in entry.parameters.items()
        }
        deciding.append((spec.row_name, spec.metric, entry.revision, bound))
    if unit.removes_sound:
        deciding.append((study.references, study.removal_snr_db))
    return _unit_key(repr(deciding))


def passes_of(study: Study, task: Task) -> int:
    """Model passes that a task takes by itself, counted without a weight or a sample."""
    assert task.method is not None
    cell, unit = task.cell, task.unit
    explainer = blank_explainer(study, cell, task.method)
    inputs = torch.empty(cell.samples, 1, *seen_by(cell, task.method).shape, device="meta")
    if unit is None:
        return explainer.passes(inputs)
    if unit.removes_sound:
        sounds = torch.empty(cell.samples, 1, *recorded(cell).shape, device="meta")
        metric = removal_metric(study, cell, task.method, (Silence(recorded(cell)), Constant(0.5)), unit)
        return int(metric.passes(torch.nn.Identity(), sounds))
    context = metric_context(study, cell, len(outline_of(cell.model).class_names), explainer)
    metric = unit.specs[0].entry.bind(context, **unit.specs[0].options)
    return int(
        metric.passes(_blank_body(cell.model), torch.empty(cell.samples, 1, *cell.model.domain.shape, device="meta"))
    )


def removal_metric(study: Study, cell: Cell, method: MethodUse, removals: tuple[Baseline, ...], unit: Unit) -> Any:
    """Insertion − deletion of sounds for attributions of a method."""
    context = {
        **study.settings,
        "domain": lives_in(study, cell, method),
        "stft": stft_of(cell),
        "removals": removals,
        "seed": study.seed,
    }
    return METRICS.bind(WORST_ROW, context, **unit.specs[0].options)


@lru_cache(maxsize=8)
def _blank_body(model: ModelSpec) -> torch.nn.Module:
    if model.external is not None:
        return model.external.load()
    with torch.device("meta"):
        return build(model.architecture, model.domain, len(outline_of(model).class_names), model.training.seed).body


def models_of(study: Study) -> list[ModelSpec]:
    """Models in the order in which parts are made: those of recordings, which have the most to do, first."""
    return sorted(dict.fromkeys(cell.model for cell in study.cells), key=lambda model: model.data.cues is not None)


def numbers_of(part: str) -> tuple[int, int]:
    """Which part of how many: ``3/12`` is ``(3, 12)``.

    Raises
    ------
    UserError
        If it is written in another way or there is no such part.
    """
    written = re.fullmatch(r"(\d+)/(\d+)", part, re.ASCII)
    number, parts = map(int, written.groups()) if written else (0, 0)
    if not 1 <= number <= parts:
        raise UserError(f"part is {part!r}; write which one of how many, from 1/12 to 12/12 of twelve")
    return number, parts


def dealt(models: Sequence[ModelSpec], part: str) -> list[ModelSpec]:
    """Models of a part: every n-th.

    Raises
    ------
    UserError
        If there are more parts than models, so that this one has nothing to do.
    """
    number, parts = numbers_of(part)
    own = list(models[number - 1 :: parts])
    if not own:
        raise UserError(f"part {part} is empty because the study has {len(models)} models; make fewer parts")
    return own
