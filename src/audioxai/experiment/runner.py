"""What is done for a plan: jobs that train, explain and score, and the manifest that describes their results."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioxai import __version__
from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.core import Explainer, configuration_of, target_scores
from audioxai.datasets import Dataset, summary_of_skipped
from audioxai.experiment.materials import MATERIALS, Material, chosen
from audioxai.experiment.models import ModelSpec, dataset_of, ensure_model, in_domain, predicted, recordings_of
from audioxai.experiment.plan import (
    MethodUse,
    Place,
    Plan,
    Task,
    Unit,
    baseline_of,
    bound_explainer,
    explained_again,
    explains_waveforms,
    judged_in,
    lives_in,
    methods_of,
    metric_context,
    passes_of,
    recorded,
    removal_metric,
    seen_by,
    units_of,
)
from audioxai.experiment.study import VIEWS, Cell, Study, method_entry
from audioxai.fused import FusedModel
from audioxai.metrics import Batch
from audioxai.metrics.batch import begin
from audioxai.metrics.engine import Outcome
from audioxai.metrics.engine import run as run_scorings
from audioxai.models.checkpoints import Card, read_card
from audioxai.models.front_end import Classifier
from audioxai.results import ResultSet, load_tensors, manifest_path, read_manifest, write_manifest
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import finish, select_device, slices
from audioxai.utils.provenance import git_commit
from audioxai.utils.seeding import generator
from audioxai.xai_methods.explain_in import seen_in
from audioxai.xai_methods.path_integral import Integrating

INPUTS_A_CALL = 64


@dataclass(frozen=True)
class Job:
    """Tasks that one worker carries out, one after the other, all of one cell.

    Attributes
    ----------
    tasks : tuple of Task
        In the order in which they are carried out.
    passes : int
        Model passes that they take by themselves.
    needs : tuple of int
        Positions of jobs that have to be done before.
    """

    tasks: tuple[Task, ...]
    passes: int
    needs: tuple[int, ...] = ()

    @property
    def cell(self) -> Cell:
        """The cell of all its tasks."""
        return self.tasks[0].cell

    @property
    def label(self) -> str:
        """Short name for logs and progress."""
        method = self.tasks[0].method
        return " ".join([self.cell.label, *([method.name] if method else ["training"])])


def jobs_of(plan: Plan, due: Sequence[Task]) -> list[Job]:
    """Due tasks as jobs, in their order: one trains a model, others explain by one method and score what it made.

    A job of a model that is not trained yet needs the job that trains it.
    """
    together: dict[Any, list[Task]] = {}
    for task in due:
        key = task.cell.model if task.method is None else (task.cell, task.method)
        together.setdefault(key, []).append(task)
    places = {key: place for place, key in enumerate(together)}
    jobs = []
    for key, tasks in together.items():
        if tasks[0].method is None:
            # Cells of one model share its training.
            jobs.append(Job(tuple(tasks[:1]), 0))
        else:
            needs = tuple(places[model] for model in [key[0].model] if model in places)
            jobs.append(Job(tuple(tasks), sum(passes_of(plan.study, task) for task in tasks), needs))
    return jobs


def perform(plan: Plan, job: Job, advance: Callable[[int], Any] | None = None) -> None:
    """Carry out those tasks of a job that are not done; what is done is in the store when this returns.

    The model and the samples are kept for the next job of the same cell.

    Parameters
    ----------
    plan : Plan
        That the job belongs to.
    job : Job
        What is done.
    advance : callable, optional
        Called with numbers of passes that are done.

    Raises
    ------
    UserError
        As training, explaining and scoring do.
    """
    due = [task for task in job.tasks if not plan.place(task.cell).is_done(task)]
    for task in due:
        _work_on(plan, job.cell).carry_out(task, advance or (lambda _: None))
        plan.place(job.cell).publish(task)


_LAST: list["_Work"] = []


def _work_on(plan: Plan, cell: Cell) -> "_Work":
    """The cell at work; that of the last job where it is the same."""
    if not _LAST or _LAST[0].cell != cell or _LAST[0].plan != plan:
        _LAST[:] = [_Work(plan, cell)]
    return _LAST[0]


def forget_work() -> None:
    """Let go of the model and the samples that are kept for the next job."""
    _LAST.clear()


def results_of(plan: Plan) -> ResultSet:
    """Results of the whole study, as they are stored.

    Raises
    ------
    UserError
        If scores are missing.
    """
    if not record(plan):
        raise UserError(
            f"no model of study {plan.study.name} is trained yet with these options and data; run its earlier stages "
            "with the same options first"
        )
    for remote in plan.options.remotes:
        remote.fetch_all()
    path = manifest_path(plan.options.results, plan.study.name, plan.study.profile)
    results = read_manifest(plan.options.results, path)
    if results.missing:
        raise UserError(
            f"{results.missing} shards of scores of study {plan.study.name} are not there yet; run its earlier stages "
            "with the same options first"
        )
    return results


def record(plan: Plan) -> bool:
    """Write the manifest: what belongs to the study, with every label, role and model card as it is now.

    Returns
    -------
    bool
        False where no model is trained yet, so that there is nothing to describe.
    """
    study, trained = plan.study, [cell for cell in plan.cells if plan.place(cell).trained]
    if not trained:
        return False
    places = {cell: plan.place(cell) for cell in trained}
    weights = dict.fromkeys(place.weights for place in places.values())
    root = plan.options.results
    shards = [
        {"path": places[task.cell].scores(task.method, task.unit).relative_to(root).as_posix()}
        | {"method": task.method.name, "metric": task.unit.specs[0].row_name}
        for task in plan.tasks("score", cells=trained)
        if task.method is not None and task.unit is not None
    ]
    # A model that is not trained yet has shards whose places are not known: they are missing.
    absent = sum(1 for cell in plan.cells if cell not in places for _ in plan.tasks("score", cells=[cell]))
    shards += [{"path": f"not-trained-{number}", "method": "", "metric": ""} for number in range(absent)]
    content = {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "profile": study.profile,
        "context": {
            **study.context,
            "profile": study.profile,
            "commit": _commit(),
            "version": __version__,
        },
        "methods": [method_entry(method).facts() for method in study.methods],
        "metrics": [spec.facts() for spec in study.metrics],
        "models": [vars(read_card(path)) for path in weights],
        "cells": [_described(plan, cell, places[cell]) for cell in trained if places[cell].has(places[cell].inputs())],
        "shards": shards,
    }
    manifest = write_manifest(root, content)
    for remote in plan.options.remotes:
        if manifest.is_relative_to(remote.folder):
            remote.publish(manifest)
    return True


def _described(plan: Plan, cell: Cell, place: Place) -> dict[str, Any]:
    card, root = read_card(place.weights), plan.options.results
    methods = methods_of(plan.study, cell)
    removals = [unit for unit in units_of(plan.study, cell) if unit.removes_sound]
    attributions: dict[str, dict[str, str]] = {}
    curves: dict[str, dict[str, str]] = {}
    for method in methods:
        path = place.attributions(method)
        attributions.setdefault(method.name, {})[str(method.gradients)] = path.relative_to(root).as_posix()
        for unit in removals:
            path = place.curves(method, unit)
            curves.setdefault(method.name, {})[str(method.gradients)] = path.relative_to(root).as_posix()
    audio_format = cell.model.audio_format
    return {
        "material": cell.material,
        "modality": cell.model.data.modality,
        "dataset": cell.model.data.registered.name,
        "stand_in_for": card.stand_in_for,
        "split": card.split,
        "model": cell.model.name,
        "resolution": cell.model.resolution,
        "training_seed": cell.model.training.seed,
        "class_names": card.class_names,
        "domain": configuration_of(cell.domain),
        "sample_rate_hz": None if audio_format is None else audio_format.sample_rate_hz,
        "group_name": card.data["group_name"],
        "files": {
            "inputs": place.inputs().relative_to(root).as_posix(),
            "attributions": attributions,
            "curves": curves,
        },
    }


@dataclass(eq=False)
class _Work:
    """One cell at work: its model and samples, loaded when they are needed and then kept."""

    plan: Plan
    cell: Cell
    device: torch.device = field(init=False)
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.device = select_device(self.plan.options.device)
        self.place = self.plan.place(self.cell)

    @property
    def study(self) -> Study:
        """The study that is carried out."""
        return self.plan.study

    @cached_property
    def model(self) -> Classifier:
        """The model, trained first where there is none."""
        return _ensured(self.cell.model, self.plan.options.checkpoints, self.device)[0]

    @cached_property
    def card(self) -> Card:
        """Its card."""
        return _ensured(self.cell.model, self.plan.options.checkpoints, self.device)[1]

    @cached_property
    def stored(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Explained samples, on the device, with their metadata; chosen and stored first where they are not there."""
        self.place.fetch(self.place.inputs())
        if not self.place.inputs().exists():
            self._choose_inputs()
        tensors, metadata = load_tensors(self.place.inputs())
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}, metadata

    @cached_property
    def seen(self) -> tuple[nn.Module, Tensor]:
        """The model's body, or the model as seen in another domain, and the samples there."""
        tensors, _ = self.stored
        if self.cell.features in VIEWS:
            return seen_in(self.cell.domain, self.model, tensors["waveforms"])
        return self.model.body, tensors["inputs"]

    @cached_property
    def body(self) -> Batch:
        """Samples as the model's body sees them, or in the domain in which it is explained."""
        tensors, _ = self.stored
        return Batch(*self.seen, tensors["targets"], tensors.get("masks"))

    @cached_property
    def sounds(self) -> Batch:
        """Inputs of the whole model."""
        tensors, _ = self.stored
        return Batch(self.model, tensors["waveforms"], tensors["targets"])

    @cached_property
    def training_waveforms(self) -> Tensor:
        """Training samples ``(references, 1, …)`` chosen at random, all where there are fewer."""
        train = dataset_of(self.cell.model).part("train")
        order = torch.randperm(len(train), generator=generator("references", train.name, train.split_name))
        return train.inputs[order[: self.study.references]]

    @cached_property
    def training_inputs(self) -> Tensor:
        """The same in the model's domain, on the CPU; what baselines are learnt from."""
        return _training_inputs(self)

    @cached_property
    def removals(self) -> tuple[Baseline, Baseline]:
        """Silence, and noise with the spectrum of the training clips at the stated ratio below each clip."""
        return _removals(self)

    def carry_out(self, task: Task, advance: Callable[[int], Any]) -> None:
        """Do one task of this cell, telling of the passes that are done."""
        if task.kind == "train":
            _ = self.model
            return
        assert task.method is not None
        if task.unit is None:
            self.explain(task.method)
            advance(passes_of(self.study, task))
        else:
            self.score(task.method, task.unit, advance)

    def explain(self, method: MethodUse) -> None:
        """Store the attributions of one method."""
        tensors, _ = self.stored
        whole = explains_waveforms(self.cell, method)
        model, inputs = (self.model, tensors["waveforms"]) if whole else self.seen
        explainer = self.explainer(method)
        finish(self.device)
        started = time.perf_counter()
        made = self._attributed(explainer, method, model, inputs, tensors["targets"])
        finish(self.device)
        metadata = {
            "method": method.entry.facts(),
            "configuration": configuration_of(explainer),
            "gradients": method.gradients,
            "passes": explainer.passes(inputs) // len(inputs),
            "seconds": round(time.perf_counter() - started, 4),
            "domain": configuration_of(lives_in(self.study, self.cell, method)),
            "checkpoint": self.card.weights_sha256,
            "version": __version__,
        }
        self.place.store.save_tensors(self.place.attributions(method), made, metadata)
        facts = {name: metadata[name] for name in ("gradients", "passes", "seconds")}
        self.place.store.log("explained", cell=self.cell.label, method=method.name, **facts)

    def explainer(self, method: MethodUse) -> Explainer:
        """The method with what it learns from training data."""
        needs_training = "training_inputs" in method.entry.parameters
        training = torch.empty(0)
        if needs_training:
            whole = explains_waveforms(self.cell, method)
            training = self.training_waveforms if whole else self.training_inputs
        return bound_explainer(self.study, self.cell, method, training)

    def score(self, method: MethodUse, unit: Unit, advance: Any) -> None:
        """Store the scores of one method by one metric, or by the removals together."""
        self.place.fetch(self.place.attributions(method))
        maps, made = load_tensors(self.place.attributions(method))
        if unit.removes_sound:
            outcomes = self._by_removal(method, unit, maps["attributions"].to(self.device), advance)
        else:
            spec = unit.specs[0]
            class_count = len(self.card.class_names)
            domain = judged_in(self.cell, method, unit)
            explainer = explained_again(self.cell, method, unit, self.explainer(method))
            context = metric_context(self.study, self.cell, class_count, explainer, unit, domain)
            metric = spec.entry.bind(context, **spec.options)
            whole = unit.changes_sound or (unit.explains_again and explains_waveforms(self.cell, method))
            batch = self.sounds if whole else self.body
            batch = replace(batch, change=maps["change"].to(self.device)) if unit.needs_change else batch
            (outcome,) = run_scorings([begin(metric, batch, maps["attributions"].to(self.device))], advance)
            outcomes = {unit.name: outcome}
        self.place.store.save_rows(
            self.place.scores(method, unit), self._rows(method, made, outcomes), self._description(method, made, unit)
        )
        first = next(iter(outcomes.values()))
        details = {"passes": first.passes, "seconds": round(first.seconds, 3)}
        self.place.store.log("scored", cell=self.cell.label, method=method.name, metric=unit.name, **details)

    def _choose_inputs(self) -> None:
        """Store what is explained: samples in the model's domain, as sounds, labels, targets, predictions and masks."""
        cell, (material, recordings) = self.cell, self._material()
        samples = material.samples
        if recordings.skipped:
            summary = summary_of_skipped(recordings.skipped)
            self.place.store.log("skipped files", dataset=recordings.name, summary=summary)
        with torch.inference_mode():
            inputs = in_domain(self.model, samples.inputs, self.device)
            predictions = predicted(self.model, inputs).cpu()
        targets = predictions if material.targets is None else material.targets
        tensors = {
            "inputs": inputs,
            "labels": samples.labels,
            "predictions": predictions,
            "targets": targets.clone(),
            **({"waveforms": samples.inputs} if cell.model.data.modality == "audio" else {}),
            **({"masks": material.mask(cell.domain)} if material.mask is not None else {}),
        }
        metadata = {
            "ids": list(samples.ids),
            "groups": list(samples.groups),
            "class_names": list(samples.class_names),
            "checkpoint": self.card.weights_sha256,
            "data_fingerprint": recordings.fingerprint,
        }
        self.place.store.save_tensors(self.place.inputs(), tensors, metadata)

    def _material(self) -> tuple[Material, Dataset]:
        """The samples that the cell explains, and the recordings they are made from."""
        recordings = recordings_of(self.cell.model)
        test = recordings.part("test")
        left_out = torch.tensor([name in self.cell.without for name in test.class_names])
        explained = test.rows(torch.nonzero(~left_out[test.labels])[:, 0]) if self.cell.without else test
        picked = explained.rows(chosen(explained, self.cell.samples, self.cell.sample_seed))
        return MATERIALS[self.cell.material](picked, self.cell.model.data.cues), recordings

    def _attributed(
        self, explainer: Explainer, method: MethodUse, model: nn.Module, inputs: Tensor, targets: Tensor
    ) -> dict[str, Tensor]:
        """Attributions and, where they claim to be complete, the change that they should add up to."""
        if isinstance(explainer, Integrating):
            integral = explainer.attribute(model, inputs, targets)
            return {"attributions": integral.attributions, "change": integral.change}
        attributions = explainer(model, inputs, targets)
        if not method.entry.complete:
            return {"attributions": attributions}
        baseline = baseline_of(self.cell, seen_by(self.cell, method))
        return {"attributions": attributions, "change": _change_of_score(model, inputs, targets, baseline)}

    def _by_removal(self, method: MethodUse, unit: Unit, attributions: Tensor, advance: Any) -> dict[str, Outcome]:
        """Scores under each removal and under the worse one of every clip; the curves go into the store."""
        metric = removal_metric(self.study, self.cell, method, self.removals, unit)
        metric.check(self.sounds, attributions)
        (curves,) = run_scorings([metric.tracing(self.sounds, attributions)], advance)
        fractions = metric.fractions.to(curves.scores.device)
        tensors = {"curves": curves.scores, "fractions": fractions}
        self.place.store.save_tensors(self.place.curves(method, unit), tensors, {"method": method.name})
        scores = metric.rows(curves.scores, attributions)
        return {spec.row_name: Outcome(scores[spec.entry.name], curves.passes, curves.seconds) for spec in unit.specs}

    def _rows(
        self, method: MethodUse, made: Mapping[str, Any], outcomes: Mapping[str, Outcome]
    ) -> list[dict[str, Any]]:
        """One tidy row per sample and metric; passes and seconds are a sample's share."""
        tensors, metadata = self.stored
        cell, count = self.cell, len(metadata["ids"])
        shared = {
            "study": self.study.name,
            "material": cell.material,
            "modality": cell.model.data.modality,
            "dataset": cell.model.data.registered.name,
            "stand_in_for": self.card.stand_in_for,
            "split": self.card.split,
            "model": cell.model.name,
            "training_seed": cell.model.training.seed,
            "checkpoint": self.card.weights_sha256,
            "domain": lives_in(self.study, cell, method).name,
            "resolution": cell.model.resolution,
            "method": method.name,
            "gradients": method.gradients,
            "map_passes": made["passes"],
            "baseline": baseline_of(cell).name,
            "seed": self.study.seed,
        }
        labels, predictions = (tensors[name].tolist() for name in ("labels", "predictions"))
        return [
            shared
            | {
                "metric": name,
                "group": metadata["groups"][row],
                "sample": metadata["ids"][row],
                "label": labels[row],
                "prediction": predictions[row],
                "score": scores[row],
                "passes": outcome.passes // count,
                "seconds": outcome.seconds / count,
                "standard_error": errors[row],
            }
            for name, outcome in outcomes.items()
            for scores in [outcome.scores.tolist()]
            for errors in [outcome.errors()]
            for row in range(count)
        ]

    def _description(self, method: MethodUse, made: Mapping[str, Any], unit: Unit) -> dict[str, Any]:
        """What a shard says of itself."""
        return {
            "study": self.study.name,
            "cell": self.cell.label,
            "method": {**made["method"], "configuration": made["configuration"], "gradients": method.gradients},
            "metric": {**unit.specs[0].facts(), "options": configuration_of(dict(unit.specs[0].options))},
            "settings": configuration_of(dict(self.study.settings)),
            "checkpoint": self.card.weights_sha256,
            "data_fingerprint": self.card.data_fingerprint,
            "version": __version__,
            "commit": _commit(),
        }


@lru_cache(maxsize=1)
def _commit() -> str:
    """Commit of the code that is running, asked for once per process."""
    return git_commit(Path(__file__).parent)


@lru_cache(maxsize=1)
def _ensured(spec: ModelSpec, folder: Path, device: torch.device) -> tuple[Classifier, Card]:
    """The model, its body with the fastest passes, and its card; the last one is kept for the next cell.

    The card says which passes are fastest, so that every worker takes the same.
    """
    # Gradients of what is made in inference mode cannot be taken.
    with torch.inference_mode(mode=False):
        model, card = ensure_model(spec, folder, device)
    model.body = FusedModel(model.body, card.fused)
    return model, card


def _training_inputs(work: _Work) -> Tensor:
    model, waveforms = work.model, work.training_waveforms
    with torch.inference_mode():
        if work.cell.features in VIEWS:
            return work.cell.domain.analysis(waveforms)
        levels = in_domain(model, waveforms, work.device).cpu()
    return levels.clone()


def _removals(work: _Work) -> tuple[Baseline, Baseline]:
    noise = SpeechShapedNoise.of(work.training_waveforms, work.study.removal_snr_db, work.study.seed)
    return Silence(recorded(work.cell)), noise


def _change_of_score(model: nn.Module, inputs: Tensor, targets: Tensor, baseline: Baseline) -> Tensor:
    """Logits ``(samples,)`` of the targets, minus those of the baseline in place of the inputs."""
    with torch.inference_mode():
        parts = [
            target_scores(model, inputs[part], targets[part])
            - target_scores(model, baseline(inputs[part]), targets[part])
            for part in slices(len(inputs), INPUTS_A_CALL)
        ]
    return torch.cat(parts)
