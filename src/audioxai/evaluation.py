"""How explanation methods do on clips of one model, by any metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from audioxai.api import one_clip
from audioxai.baselines import Silence
from audioxai.binding import (
    AUTO,
    BoundMethod,
    Judged,
    Request,
    Where,
    judged_in_features,
    judged_in_recordings,
    judged_in_sounds,
    logits_without_gradient,
)
from audioxai.clips import Sound, read_recording, sound_files
from audioxai.domains import matching_stft
from audioxai.experiment.plan import MOST_ALTERNATIVES
from audioxai.metrics import METRICS, THESIS_METRICS, Batch, SignalNoise, setting_types
from audioxai.models.loading import Model, load_model
from audioxai.trust import removals_of
from audioxai.utils.errors import UserError

DEFAULT_METRICS = ("removal_worst", *THESIS_METRICS)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of several methods by several metrics.

    Attributes
    ----------
    rows : DataFrame
        One row per clip, method and metric: ``sample``, ``target``, ``method``, ``metric``, ``score`` and
        ``standard_error``, by how much the metric's random draws may have moved the score, NaN where it does not say.
    """

    rows: pd.DataFrame

    def means(self) -> pd.DataFrame:
        """Mean score, methods down and metrics across."""
        table = self.rows.pivot_table(index="method", columns="metric", values="score", sort=False)
        return table[list(dict.fromkeys(self.rows["metric"]))]

    def _repr_html_(self) -> str:
        return self.means().to_html(float_format="{:.3f}".format)

    def __repr__(self) -> str:
        return self.means().to_string(float_format="{:.3f}".format)


def evaluate(
    sounds: "Sequence[Sound] | str | Path | Tensor",
    model: "str | Path | nn.Module | Model",
    *,
    sample_rate: int | None = None,
    targets: "Sequence[int | str] | None" = None,
    methods: Sequence[str] = (AUTO, "energy", "random"),
    metrics: Sequence[str] = DEFAULT_METRICS,
    domain: Where = AUTO,
    budget: int | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Scores:
    """Judge explanation methods on clips of one model.

    Parameters
    ----------
    sounds : sequence, folder or tensor
        Clips as :func:`explain` takes them, a folder of sound files, or a tensor ``(clips, 1, time)``; none longer than
        the model's input.
    model, sample_rate, domain, budget, seed
        As in :func:`explain`.
    targets : sequence of int or str, optional
        Class to explain of every clip; the predicted ones by default.
    methods, metrics : sequence of str
        Registered names; by default the best method for the model with loudness and random as controls, judged by
        insertion − deletion of sounds and the thesis' five metrics.
    settings : mapping, optional
        Fields of the metrics, such as ``runs`` and ``draws``, or ``precision``: the standard error to be reached.

    Returns
    -------
    Scores
        Tidy rows and a table of means.

    Raises
    ------
    UserError
        As :func:`explain`, or if a metric does not suit clips without masks; before anything is explained.

    Notes
    -----
    Metrics that change features (faithfulness correlation) change cells of the mask, those that explain again
    (sensitivity, randomisation) change the recording, and insertion − deletion changes bins of its spectrogram.

    Examples
    --------
    >>> import torch
    >>> from audioxai.domains import LogMel
    >>> from audioxai.models import build
    >>> model = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0)
    >>> scores = evaluate(torch.rand(2, 1, 8000) - 0.5, model, sample_rate=8000, metrics=["sparseness"], budget=8)
    >>> list(scores.rows.columns)
    ['sample', 'target', 'method', 'metric', 'score', 'standard_error']
    """
    known = load_model(model, sample_rate=sample_rate)
    for kind, wanted in (("methods", methods), ("metrics", metrics)):
        if not wanted:
            raise UserError(f"no {kind} were given; give at least one")
    requests = [Request(known, name, domain, budget, seed=seed) for name in methods]
    setting_types(metrics, settings or {})
    for name in metrics:
        if METRICS[name].needs_masks or METRICS[name].needs_change:
            raise UserError(f"metric {name} needs more than clips and a model; use it in a study")
    names, clips = _clips(sounds, sample_rate, known)
    logits = torch.cat([logits_without_gradient(known.fitted(clip).module, clip) for clip in clips])
    chosen = logits.argmax(1).tolist()
    if targets is not None:
        if len(targets) != len(clips):
            raise UserError(f"there are {len(targets)} targets for {len(clips)} clips; give one per clip")
        chosen = [known.index_of(target, logits.shape[1]) for target in targets]

    def judging(request: Request, clip: Tensor) -> _Judging:
        module, made = request.for_clip(clip).bound(clip)
        return _Judging(module, made, clip, metrics, settings or {}, logits.shape[1], seed)

    # Everything is bound once first, so that what cannot be scored is refused before anything is explained.
    for request in requests:
        judging(request, clips[0]).bind()
    rows = [
        {
            "sample": sample,
            "target": known.name_of(target),
            "method": request.entry.name,
            "metric": name,
            "score": score,
            "standard_error": error,
        }
        for request in requests
        for sample, clip, target in zip(names, clips, chosen, strict=True)
        for name, (score, error) in judging(request, clip).scores(target).items()
    ]
    order = {name: place for place, name in enumerate(metrics)}
    frame = pd.DataFrame(rows).astype({"standard_error": float})
    table = frame.sort_values("metric", key=lambda column: column.map(order), kind="stable")
    return Scores(table.reset_index(drop=True))


@dataclass(frozen=True, eq=False)
class _Judging:
    """One method on one clip ``(1, 1, time)``, and the metrics that judge it."""

    model: nn.Module
    made: BoundMethod
    clip: Tensor
    metrics: Sequence[str]
    settings: Mapping[str, Any]
    class_count: int
    seed: int

    def scores(self, target: int) -> dict[str, tuple[float, float | None]]:
        """Score of every metric, and its standard error where the metric states one."""
        targets = torch.tensor([target])
        attributions = self.made.attributions(self.clip, targets)
        found = {}
        for name, judged, metric in self.bind():
            outcome = metric.outcome(Batch(judged.module, judged.inputs, targets), attributions)
            (found[name],) = zip(outcome.scores.tolist(), outcome.errors(), strict=True)
        return found

    def bind(self) -> list[tuple[str, Judged, Any]]:
        """Every metric with what it gets."""
        return [(name, judged, METRICS.bind(name, self._context(judged))) for name, judged in self._judged()]

    def _judged(self) -> Iterator[tuple[str, Judged]]:
        for name in self.metrics:
            parameters = METRICS[name].parameters
            if "stft" in parameters:
                yield name, judged_in_recordings(self.made, self.model, self.clip)
            else:
                yield (
                    name,
                    (judged_in_sounds if "explainer" in parameters else judged_in_features)(self.made, self.clip),
                )

    def _context(self, judged: Judged) -> dict[str, Any]:
        silence = Silence(judged.domain)
        return {
            "alternatives": min(MOST_ALTERNATIVES, self.class_count - 1),
            **self.settings,
            "explainer": judged.explainer,
            "domain": self.made.domain,
            "stft": matching_stft(self.made.domain),
            "removals": removals_of(self.clip, self.made.domain, self.seed),
            "baseline": silence,
            "noise": SignalNoise(silence_value=judged.domain.silence_value),
            "class_count": self.class_count,
            "seed": self.seed,
        }


def _clips(
    sounds: "Sequence[Sound] | str | Path | Tensor", sample_rate: int | None, model: Model
) -> tuple[list[str], list[Tensor]]:
    """Names, and clips ``(1, 1, time)`` of the model's length where it has one."""
    found: list[Any] = sound_files([Path(sounds)]) if isinstance(sounds, str | Path) else list(sounds)
    if not found:
        raise UserError("no clips were given; give at least one")
    clips = [one_clip(read_recording(one, sample_rate, model.sample_rate_hz), model) for one in found]
    return [str(one) if isinstance(one, str | Path) else str(row) for row, one in enumerate(found)], clips
