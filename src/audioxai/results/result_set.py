"""Stored results that describe themselves: a study read from its results folder alone.

``Results.open(folder)`` needs neither data nor models nor checkpoints: a manifest per study and profile says which
shards belong together and holds every label, role, direction and model card as they were when the results were made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from torch import Tensor

from audioxai.domains import Domain, domain_from
from audioxai.registry import MethodEntry, MetricEntry
from audioxai.results.store import ROW_COLUMNS, ROW_SCHEMA, load_tensors, read_rows
from audioxai.utils.errors import UserError
from audioxai.utils.files import digest_of_json, json_text, write_text
from audioxai.utils.tensors import DamagedError, require_regular

FORMAT = 1
MANIFESTS = "manifests"
LARGEST_FIRST = ("full", "standard", "quick", "first")
ANY_PROFILE = "auto"


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attribution maps of one method for the samples of one cell.

    Attributes
    ----------
    values : Tensor
        ``(samples, 1, *domain.shape)``.
    domain : Domain
        Domain of the attributions.
    change : Tensor or None
        What the attributions of each sample should add up to, ``(samples,)``, in logits; None for methods that do not
        claim to be complete.
    passes : int
        Model passes per sample.
    seconds : float
        Time for all samples together.
    """

    values: Tensor
    domain: Domain
    change: Tensor | None
    passes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class ExplainedCell:
    """What one model explained: its samples, and where their attributions lie.

    Attributes
    ----------
    material, modality, dataset, stand_in_for, split : str
        What the samples are; the material is ``clips`` for samples as they are, else a kind of ground truth.
    model : str
        Architecture, or the name of a model of the user's own.
    resolution, training_seed : int
        Rows of the input, and seed of the training.
    class_names : tuple of str
        Name of every logit.
    domain : Domain
        Domain of the inputs of the model's body.
    sample_rate_hz : int or None
        Rate of the waveforms; None for images.
    group_name : str or None
        What groups are, such as ``speaker``.
    budgets : mapping
        Method → gradients asked for; methods that always cost the same have one entry.
    """

    material: str
    modality: str
    dataset: str
    stand_in_for: str | None
    split: str
    model: str
    resolution: int
    training_seed: int
    class_names: tuple[str, ...]
    domain: Domain
    sample_rate_hz: int | None
    group_name: str | None
    budgets: Mapping[str, tuple[int, ...]]
    _root: Path
    _files: Mapping[str, Any]

    def inputs(self) -> dict[str, Tensor]:
        """Explained samples.

        Returns
        -------
        dict of str to Tensor
            ``inputs (samples, 1, *domain.shape)``; ``labels``, ``predictions`` and ``targets``, ``(samples,)``; for
            sound ``waveforms (samples, 1, time)``; where relevance is known ``masks``, boolean, shaped like ``inputs``.
        """
        return self._inputs[0]

    @property
    def ids(self) -> tuple[str, ...]:
        """Identifier per sample."""
        return tuple(self._inputs[1]["ids"])

    @property
    def groups(self) -> tuple[str | None, ...]:
        """Group per sample, such as the speaker; None where it is not known."""
        return tuple(self._inputs[1]["groups"])

    @property
    def model_key(self) -> tuple[str, str]:
        """SHA-256 of the model's weights and fingerprint of its data, which its card states too."""
        return str(self._inputs[1]["checkpoint"]), str(self._inputs[1]["data_fingerprint"])

    def attributions(self, method: str, gradients: int | None = None) -> Attributions:
        """Attributions of a method, of its largest budget unless ``gradients`` says which.

        Raises
        ------
        UserError
            If there are none.
        """
        tensors, metadata = load_tensors(self._root / self._file("attributions", method, gradients))
        return Attributions(
            tensors["attributions"],
            domain_from(metadata["domain"]),
            tensors.get("change"),
            metadata["passes"],
            metadata["seconds"],
        )

    def curves(self, method: str, gradients: int | None = None) -> tuple[Tensor, Tensor] | None:
        """Insertion and deletion curves, None where none were made.

        Returns
        -------
        tuple of Tensor or None
            ``(samples, removals, 2, points)``: probability of the explained class for insertion and deletion under
            silence and noise; ``(points,)``: fraction of the time–frequency bins that came or went.
        """
        if method not in self._files["curves"]:
            return None
        tensors, _ = load_tensors(self._root / self._file("curves", method, gradients))
        return tensors["curves"], tensors["fractions"]

    @cached_property
    def _inputs(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return load_tensors(self._root / self._files["inputs"])

    def _file(self, kind: str, method: str, gradients: int | None) -> str:
        of_method = self._files[kind].get(method, {})
        wanted = max(map(int, of_method), default=None) if gradients is None else gradients
        if wanted is None or str(wanted) not in of_method:
            known = ", ".join(f"{name} ({', '.join(budgets)})" for name, budgets in self._files[kind].items())
            raise UserError(f"there are no {kind} of method {method!r} with {gradients} gradients; there are {known}")
        return str(of_method[str(wanted)])


@dataclass(frozen=True, eq=False)
class ResultSet:
    """Results of one study in one configuration.

    Attributes
    ----------
    study, title, question, profile : str
        Name, title and question of the study, and the size of the run.
    rows : DataFrame
        Tidy scores, columns ``ROW_COLUMNS``: one row per sample, method, budget and metric.
    methods, metrics : mapping of str to MethodEntry, MetricEntry
        Facts as they were when the results were made, in the study's order.
    models : sequence of mapping
        Cards of the explained models, as plain data.
    context : mapping
        Command, commit, version and configuration that made the results.
    cells : sequence of ExplainedCell
        What each model explained.
    missing : int
        Shards of the study that are not there yet.
    """

    study: str
    title: str
    question: str
    profile: str
    rows: pd.DataFrame
    methods: Mapping[str, MethodEntry]
    metrics: Mapping[str, MetricEntry]
    models: Sequence[Mapping[str, Any]] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    cells: Sequence[ExplainedCell] = ()
    missing: int = 0

    @classmethod
    def open(cls, folder: str | Path, study: str, profile: str = ANY_PROFILE) -> "ResultSet":
        """Short for ``Results.open(folder)[study, profile]``."""
        return Results.open(folder)[study, profile]


@dataclass(frozen=True)
class Results:
    """Everything that a results folder holds.

    Examples
    --------
    >>> from audioxai import Results
    >>> Results.open("results")  # doctest: +SKIP
    Results of objective1 (quick)
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> "Results":
        """Results in a folder.

        Raises
        ------
        UserError
            If there is no such folder, or it holds no results.
        """
        results = cls(Path(folder))
        if not results.folder.is_dir():
            raise UserError(f"there is no results folder {folder}; run a study first or name the folder that holds one")
        return results

    @property
    def studies(self) -> list[tuple[str, str]]:
        """Study and profile of everything that was run, largest profiles first."""
        manifests = sorted((self.folder / "metrics").glob(f"{MANIFESTS}/*-*.json"))
        found = [(name, profile) for path in manifests for name, _, profile in [path.stem.rpartition("-")]]
        return sorted(found, key=lambda one: (one[0], _size(one[1]), one[1]))

    def __contains__(self, study: object) -> bool:
        return study in {name for name, _ in self.studies}

    def __getitem__(self, which: str | tuple[str, str]) -> ResultSet:
        """Results of a study, of its largest profile unless a profile is named.

        Raises
        ------
        UserError
            If they are not there, of a newer format, or damaged.
        """
        study, profile = (which, ANY_PROFILE) if isinstance(which, str) else which
        profiles = [own for name, own in self.studies if name == study]
        if not profiles or profile not in (ANY_PROFILE, *profiles):
            known = ", ".join(f"{name} ({own})" for name, own in self.studies) or "nothing"
            named = study if profile == ANY_PROFILE else f"{study} of profile {profile}"
            raise UserError(f"{self.folder} holds no results of {named}; it holds {known}")
        return read_manifest(self.folder, manifest_path(self.folder, study, _or_first(profile, profiles)))

    def __repr__(self) -> str:
        return "Results of " + (", ".join(f"{name} ({profile})" for name, profile in self.studies) or "nothing")


def manifest_path(root: Path, study: str, profile: str) -> Path:
    """Place of a study's manifest."""
    return root / "metrics" / MANIFESTS / f"{study}-{profile}.json"


def write_manifest(root: Path, content: Mapping[str, Any]) -> Path:
    """Write the manifest of a study; ``content`` has the fields that :func:`read_manifest` reads."""
    path = manifest_path(root, content["study"], content["profile"])
    described = {"format": FORMAT, **{name: value for name, value in content.items() if name != "digest"}}
    write_text(path, json_text({**described, "digest": digest_of_json(described)}))
    return path


def read_manifest(root: Path, path: Path) -> ResultSet:
    """Results that a manifest describes; shards that are not there yet are counted in ``missing``.

    Raises
    ------
    UserError
        If the manifest is of a newer format or unreadable, or a shard is damaged or of another revision.
    """
    content = _json(path)
    if content.get("format") != FORMAT:
        raise UserError(
            f"results {path} are of format {content.get('format')} but this version reads format {FORMAT}; "
            "install the version that wrote them, or run the study again"
        )
    if content.pop("digest", None) != digest_of_json(content):
        raise UserError(f"results {path} are damaged or were edited; delete the file and run the study again")
    if path.stem != f"{content.get('study')}-{content.get('profile')}":
        raise UserError(f"results {path} were written under another name; give the file its own name back")
    try:
        return _described_by(content, root)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"results {path} lack something that this version reads ({error!r}); run the study again"
        ) from error


def _described_by(content: Mapping[str, Any], root: Path) -> ResultSet:
    methods = {one["name"]: MethodEntry(**_tuples(one), make=_not_made) for one in content["methods"]}
    metrics = {one["name"]: MetricEntry(**_tuples(one), make=_not_made) for one in content["metrics"]}
    shards = [(root / shard["path"], shard) for shard in content["shards"]]
    there = [(place, shard) for place, shard in shards if place.exists()]
    return ResultSet(
        **{name: content[name] for name in ("study", "title", "question", "profile", "context")},
        rows=_rows(there, methods, metrics),
        methods=methods,
        metrics=metrics,
        models=tuple(content["models"]),
        cells=tuple(_cell(root, cell) for cell in content["cells"]),
        missing=len(shards) - len(there),
    )


def _rows(
    shards: Sequence[tuple[Path, Mapping[str, Any]]],
    methods: Mapping[str, MethodEntry],
    metrics: Mapping[str, MetricEntry],
) -> pd.DataFrame:
    tables = []
    for place, shard in shards:
        rows, description = read_rows(place)
        for kind, known in (("method", methods), ("metric", metrics)):
            made = description[kind]["revision"]
            due = known[shard[kind]].revision
            if made != due:
                raise UserError(
                    f"result {place} was made by revision {made} of {kind} {shard[kind]} but the study is of revision "
                    f"{due}; delete it and run the study again"
                )
        tables.append(rows)
    frame: pd.DataFrame = pyarrow.concat_tables([ROW_SCHEMA.empty_table(), *tables]).to_pandas()
    return frame[list(ROW_COLUMNS)]


def _cell(root: Path, content: Mapping[str, Any]) -> ExplainedCell:
    facts = {name: value for name, value in content.items() if name not in ("domain", "files", "class_names")}
    files = content["files"]
    return ExplainedCell(
        **facts,
        class_names=tuple(content["class_names"]),
        domain=domain_from(content["domain"]),
        budgets={method: tuple(map(int, budgets)) for method, budgets in files["attributions"].items()},
        _root=root,
        _files=files,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        require_regular(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (DamagedError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"results {path} are not valid JSON ({error}); delete the file and run the study again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"results {path} are not a manifest; delete the file and run the study again")
    return content


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


def _not_made(*_: Any, **__: Any) -> Any:
    raise UserError("this entry was read from stored results and makes nothing; take it from the registry")


def _or_first(profile: str, profiles: Sequence[str]) -> str:
    return profiles[0] if profile == ANY_PROFILE else profile


def _size(profile: str) -> int:
    return LARGEST_FIRST.index(profile) if profile in LARGEST_FIRST else len(LARGEST_FIRST)
