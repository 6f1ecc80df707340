"""The plan of a study: independent, idempotent tasks with their cost, and where each result lies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from audioxai.baselines import Baseline, Black, Constant, Silence
from audioxai.core import Explainer, configuration_of
from audioxai.domains import Domain, LogMel, Mask, Stft, Waveform, matching_stft
from audioxai.experiment.materials import UNMASKED, require_enough
from audioxai.experiment.models import ModelSpec, outline_of, weights_path
from audioxai.experiment.study import VIEWS, Cell, MetricSpec, RunOptions, Study, method_entry
from audioxai.metrics import METRICS, LevelNoise, RangeNoise, SignalNoise
from audioxai.metrics.faithfulness.resynthesis import WORST_ROW
from audioxai.models import build, checkpoints
from audioxai.registry import MethodEntry
from audioxai.results import Remote, Store
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest
from audioxai.utils.seeding import derived_seed
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import OfWaveforms
from audioxai.xai_methods.masks import can_be_in_masks, in_masks

Kind = Literal["train", "explain", "score"]
MOST_ALTERNATIVES = 3


@dataclass(frozen=True)
class MethodUse:
    """A method with what it may spend on a sample; for one that always costs the same, the least that is asked for.

    Attributes
    ----------
    name : str
        Name of the method.
    gradients : int
        What it may spend, of methods that ask for scores alone in passes; 0 for its default.
    own : MethodEntry or None
        The method itself where the study brings it; None for a registered one.
    """

    name: str
    gradients: int
    own: MethodEntry | None = None

    @classmethod
    def of(cls, method: str | MethodEntry, gradients: int) -> "MethodUse":
        """A method as a study states it."""
        return cls(method, gradients) if isinstance(method, str) else cls(method.name, gradients, method)

    @property
    def entry(self) -> MethodEntry:
        """What is known of the method."""
        return METHODS[self.name] if self.own is None else self.own


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
    def explains_again(self) -> bool:
        """Whether it explains changed inputs or models by the method itself."""
        return "explainer" in self.specs[0].entry.parameters

    @property
    def changes_sound(self) -> bool:
        """Whether it explains changed recordings, whatever the features of the maps are."""
        return changes_sound(self.specs[0])

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
    remotes: tuple[Remote, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether the model is there; brought from an object store where it is not here."""
        self.fetch(self.weights, checkpoints.card_path(self.weights))
        return checkpoints.exists(self.weights)

    def has(self, path: Path) -> bool:
        """Whether a file is there, here or in an object store."""
        return path.exists() or any(remote.holds(path) for remote in self.remotes_of(path))

    def fetch(self, *paths: Path) -> None:
        """Bring files from an object store that are not here."""
        for path in paths:
            for remote in self.remotes_of(path):
                remote.fetch(path)

    def publish(self, task: Task) -> None:
        """Put what a task has made into the object store, and last what says that it is done."""
        for path in self._made_by(task):
            for remote in self.remotes_of(path):
                if not remote.holds(path):
                    remote.publish(path)

    def remotes_of(self, path: Path) -> list[Remote]:
        """Object stores in which a file belongs."""
        return [remote for remote in self.remotes if path.is_relative_to(remote.folder)]

    def _made_by(self, task: Task) -> list[Path]:
        if task.method is None:
            return [self.weights, checkpoints.card_path(self.weights)]
        if task.unit is None:
            return [self.inputs(), self.attributions(task.method)]
        curves = [self.curves(task.method, task.unit)] if task.unit.removes_sound else []
        return [*curves, self.scores(task.method, task.unit)]

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
            *cell.without,
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
        return all(self.has(path) for path in self._made_by(task))

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
        Where it is computed.
    """

    study: Study
    options: RunOptions

    def __post_init__(self) -> None:
        """Judge everything that can be judged before any work: methods on their inputs, metrics with their options."""
        for cell in dict.fromkeys(replace(cell, sample_seed=0) for cell in self.study.cells):
            require_enough(cell.samples, outline_of(cell.model).samples["test"], cell.model.data.name)
            _require_classes(cell)
            methods = methods_of(self.study, cell)
            for unit in units_of(self.study, cell):
                _require_judgeable(unit, cell)
                judged = [method for method in methods if judges(unit, cell, method)]
                if judged:
                    passes_of(self.study, Task("score", cell, judged[0], unit))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Cells of the study."""
        return self.study.cells

    def place(self, cell: Cell) -> Place:
        """Where the results of a cell lie."""
        weights = weights_path(cell.model, self.options.checkpoints)
        store = Store(self.options.results, self.study.name)
        return Place(self.study, cell, store, weights, self.options.remotes)

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
    for method in study.methods:
        if cell.methods and method_entry(method).name not in cell.methods:
            continue
        uses = _different(study, cell, method)
        if cell.material in UNMASKED or not explains_waveforms(cell, uses[0]):
            found += uses
    return found


def explains_waveforms(cell: Cell, method: MethodUse) -> bool:
    """Whether a method explains the whole model from the waveform on, not its body.

    Raises
    ------
    UserError
        If it takes neither the body's inputs nor waveforms, nor masks where these are explained.
    """
    takes, seen = method.entry.domains, cell.domain.name
    if cell.features != "mask" and (not takes or seen in takes):
        return False
    if cell.model.data.modality == "audio" and (Waveform.name in takes or masks_of(cell, method) is not None):
        return True
    found = "masks" if cell.features == "mask" else seen
    raise UserError(
        f"method {method.name} takes inputs in {' or '.join(takes) or 'its own domain'} but {cell.model.label} "
        f"has {found}; leave it out"
    )


def masks_of(cell: Cell, method: MethodUse) -> Mask | None:
    """Masks in which a method explains the recordings; None where it explains its own inputs."""
    return cells_of(cell) if cell.features == "mask" and can_be_in_masks(method.entry) else None


def cells_of(cell: Cell) -> Mask:
    """Cells of the masks of the recordings."""
    return Mask.of(*vars(recorded(cell)).values())


def seen_by(cell: Cell, method: MethodUse) -> Domain:
    """In which domain a method takes the samples."""
    return recorded(cell) if explains_waveforms(cell, method) else cell.domain


def recorded(cell: Cell) -> Waveform:
    """What an audio model as a whole takes."""
    domain: Any = cell.domain
    return Waveform(domain.sample_rate_hz, domain.duration_s)


def lives_in(study: Study, cell: Cell, method: MethodUse) -> Domain:
    """In which domain a method's attributions live."""
    own: Domain | None = getattr(blank_explainer(study, cell, method), "domain", None)
    return seen_by(cell, method) if own is None else own


def stft_of(cell: Cell) -> Stft:
    """Spectrogram in which sounds are removed from clips."""
    domain = cell.domain
    if cell.features == "mask":
        return cells_of(cell).stft
    return matching_stft(domain) if isinstance(domain, LogMel) else Stft(*vars(recorded(cell)).values())


def baseline_of(cell: Cell, domain: Domain | None = None) -> Baseline:
    """Baseline: silence for sound, black for images."""
    return Silence(domain or cell.domain) if cell.model.data.modality == "audio" else Black()


def bound_explainer(study: Study, cell: Cell, method: MethodUse, training_inputs: torch.Tensor) -> Explainer:
    """A method with what it learns from training inputs of the domain in which it takes the samples."""
    masks, seen, baseline = masks_of(cell, method), seen_by(cell, method), baseline_of(cell, seen_by(cell, method))
    return _bound(method, masks, seen, baseline, study.method_seed, training_inputs)


def blank_explainer(study: Study, cell: Cell, method: MethodUse) -> Explainer:
    """What a method is, apart from what it learns from data."""
    domain: Any = seen_by(cell, method)
    return _blank_explainer(
        method, masks_of(cell, method), domain, cell.model.data.modality == "audio", study.method_seed
    )


@lru_cache(maxsize=4096)
def _blank_explainer(method: MethodUse, masks: Any, domain: Any, audio: bool, seed: int) -> Explainer:
    """The method bound to one featureless training input."""
    middle = sum(domain.value_range) / 2.0 + 0.1
    training_inputs = torch.full((1, 1, *domain.shape), middle)
    return _bound(method, masks, domain, Silence(domain) if audio else Black(), seed, training_inputs)


def _bound(
    method: MethodUse, masks: Mask | None, domain: Domain, baseline: Baseline, seed: int, training_inputs: torch.Tensor
) -> Explainer:
    if masks is not None:
        spent = method.gradients or None
        references = training_inputs if "training_inputs" in method.entry.parameters else None
        return in_masks(method.name, masks, gradients=spent, seed=seed, references=references)
    context = {"domain": domain, "baseline": baseline, "training_inputs": training_inputs, "seed": seed}
    budget = {"gradients": method.gradients, "passes": method.gradients} if method.gradients else {}
    made: Explainer = method.entry.bind(context | budget)
    return made


def _different(study: Study, cell: Cell, method: str | MethodEntry) -> list[MethodUse]:
    counted = [what for what in ("gradients", "passes") if what in method_entry(method).parameters]
    if not counted:
        return [MethodUse.of(method, 0)]
    uses = [MethodUse.of(method, spent) for spent in getattr(cell, counted[0])] or [MethodUse.of(method, 0)]
    made = {repr(configuration_of(blank_explainer(study, cell, use))) for use in uses}
    return uses if len(made) > 1 else uses[:1]


def units_of(study: Study, cell: Cell) -> list[Unit]:
    """What judges the attributions of a cell, the removals together."""
    used = [spec for spec in study.metrics if not cell.metrics or spec.row_name in cell.metrics]
    own = [spec for spec in used if cell.material in spec.materials]
    removals = tuple(filter(removes_sound, own))
    units = [Unit((spec,)) for spec in own if not removes_sound(spec)]
    return [Unit(removals), *units] if removals else units


def removes_sound(spec: MetricSpec) -> bool:
    """Whether a metric judges by what is left of the sounds."""
    return "removals" in spec.entry.parameters


def changes_sound(spec: MetricSpec) -> bool:
    """Whether a metric explains recordings that it changes in time and frequency."""
    return {"explainer", "stft"} <= spec.entry.parameters.keys()


def judges(unit: Unit, cell: Cell, method: MethodUse) -> bool:
    """Whether a unit judges a method at what it may spend.

    Metrics that change features judge maps in the body's domain, a gap needs completeness; those that explain again
    change what the method explains, the recording where it takes waveforms.
    """
    spec = unit.specs[0]
    if spec.methods and method.name not in spec.methods:
        return False
    if spec.budgets and method.gradients in cell.budgets and method.gradients not in spec.budgets:
        return False
    if unit.needs_change:
        return method.entry.complete
    return unit.removes_sound or unit.explains_again or not explains_waveforms(cell, method)


def judged_in(cell: Cell, method: MethodUse, unit: Unit) -> Domain:
    """Domain of the inputs that a metric of maps gets."""
    if unit.changes_sound:
        return recorded(cell)
    return seen_by(cell, method) if unit.explains_again else cell.domain


def explained_again(cell: Cell, method: MethodUse, unit: Unit, explainer: Explainer) -> Explainer:
    """The method as a metric gets it, which is of recordings for one that changes those."""
    if not unit.changes_sound or explains_waveforms(cell, method):
        return explainer
    return OfWaveforms(explainer, cell.model.domain)


def _require_classes(cell: Cell) -> None:
    """Refuse to leave out classes that the recordings do not have."""
    known = outline_of(replace(cell.model, data=replace(cell.model.data, cues=None))).class_names
    for name in cell.without:
        if name not in known:
            raise UserError(f"{cell.model.data.name} has no class {name!r} to leave out{nearest(name, known)}")


def _require_judgeable(unit: Unit, cell: Cell) -> None:
    """Refuse metrics that need what the cell's samples do not have."""
    for spec in unit.specs:
        if spec.entry.needs_masks and cell.material in UNMASKED:
            raise UserError(
                f"metric {spec.entry.name} needs samples of which it is known where relevance belongs, and clips are "
                "not; leave it out"
            )
        if (removes_sound(spec) or changes_sound(spec)) and cell.model.data.modality != "audio":
            raise UserError(f"metric {spec.entry.name} is of sounds but {cell.model.label} has images; leave it out")


def metric_context(
    study: Study, cell: Cell, class_count: int, explainer: Explainer | None, unit: Unit, inputs: Domain | None = None
) -> dict[str, Any]:
    """What the parameters of a unit's metrics are bound to whose inputs are of a domain; of the body's if None."""
    domain = inputs or cell.domain
    of_sound = LevelNoise if study.level_noise and isinstance(domain, LogMel) else SignalNoise
    noise = of_sound(silence_value=domain.silence_value) if cell.model.data.modality == "audio" else RangeNoise()
    # Random logit asks for other classes; few-class data have fewer of them than its default.
    few_classes = {"alternatives": class_count - 1} if 1 < class_count <= MOST_ALTERNATIVES else {}
    return {
        **few_classes,
        **study.settings,
        **({"stft": stft_of(cell)} if unit.changes_sound else {}),
        "explainer": explainer,
        "baseline": baseline_of(cell, domain),
        "noise": noise,
        "class_count": class_count,
        "seed": study.seed,
    }


def method_key(study: Study, cell: Cell, method: MethodUse) -> int:
    """Hash of all that decides the attributions, besides model and samples."""
    made = configuration_of(blank_explainer(study, cell, method))
    # Elsewhere what a method is says in which features it explains.
    view = (cell.features,) if cell.features in VIEWS else ()
    return derived_seed(method.name, method.gradients, method.entry.revision, made, study.references, *view)


@lru_cache(maxsize=4096)
def _unit_key(deciding: str) -> int:
    return derived_seed(deciding)


def unit_key(study: Study, cell: Cell, unit: Unit) -> int:
    """Hash of all that decides the scores, besides the attributions."""
    context = metric_context(study, cell, 0, None, unit) | {"class_count": None}
    deciding: list[Any] = []
    for spec in unit.specs:
        entry = spec.entry
        bound = {
            name: configuration_of(spec.options.get(name, context.get(name, parameter.default)))
            for name, parameter in entry.parameters.items()
        }
        deciding.append((spec.row_name, entry.name, entry.revision, bound))
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
    domain = judged_in(cell, task.method, unit)
    again = explained_again(cell, task.method, unit, explainer)
    context = metric_context(study, cell, len(outline_of(cell.model).class_names), again, unit, domain)
    metric = unit.specs[0].entry.bind(context, **unit.specs[0].options)
    return int(metric.passes(_blank_body(cell.model), torch.empty(cell.samples, 1, *domain.shape, device="meta")))


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
