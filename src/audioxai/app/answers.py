"""What the app asks a model: what it hears in a clip, what it says when a region is erased, and why.

Conventions
-----------
The eraser's cells are those of :class:`~audioxai.domains.Mask` of the first model's clip, ``(bands, frames)``, lowest
band first; a cell is erased or not. Erasing makes x(M) = r + S(M ⊙ Z(x − r)) of a clip x with M = 0 in erased cells, r
being silence or noise: what is heard is what the model gets, and what is removed is x − x(M). Other models get the same
region by time and frequency in cells of their own clips.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioxai.api import Clip, clip_for, explain
from audioxai.app.requests import Describe, Erase, Explain, Explained, Facts, Part, Removal, Request
from audioxai.baselines import Baseline
from audioxai.binding import AUTO, logits_without_gradient, method_entry
from audioxai.clips import Recording, read_recording
from audioxai.core import probabilities_of
from audioxai.domains import Mask, hz_to_mel
from audioxai.models.loading import Model
from audioxai.report.clip.packing import packed_clip, packed_view
from audioxai.report.clip.page import page_of
from audioxai.report.clip.pictures import MEL, Canvas
from audioxai.report.clip.words import (
    heading_of,
    isolated,
    probability_text,
    scale_of_probabilities,
    sentence_of,
    tone_of,
    where,
)
from audioxai.trust import removal_named
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Report
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import MaskedSounds, can_be_in_masks

# Clips whose transforms are kept.
MOST_ERASERS = 16


@dataclass(frozen=True, eq=False)
class Eraser:
    """One model with its clip.

    Attributes
    ----------
    model : Model
        Fitted to the clip.
    clip : Clip
        What it gets of the sound.
    """

    model: Model
    clip: Clip

    @classmethod
    def of(cls, part: Part, model: Model, start_s: float | None) -> "Eraser":
        """The part of a sound that begins at ``start_s``, for a model."""
        clip = clip_for(_recording(part, model.sample_rate_hz), model, start_s)
        return cls(model.fitted(clip.waveform), clip)

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return self.clip.waveform.shape[-1] / self.model.sample_rate_hz

    @cached_property
    def cells(self) -> Mask:
        """What can be erased."""
        return Mask.of(self.model.sample_rate_hz, self.duration_s)

    @cached_property
    def _sounds(self) -> dict[Removal, MaskedSounds]:
        """Those that were needed so far: of long clips they are large."""
        return {}

    def removal(self, name: Removal) -> Baseline:
        """What comes into the place of what is removed."""
        return removal_named(name, self.clip.waveform, self.cells)

    def heard(self, kept: Tensor, removal: Removal) -> Tensor:
        """The clip ``(1, 1, time)`` where ``kept`` ``(bands, frames)`` is 1, and a removal where it is 0."""
        clip = self.clip.waveform
        if removal not in self._sounds:
            self._sounds[removal] = MaskedSounds.of(self.cells, clip, self.removal(removal)(clip))
        return self._sounds[removal](kept.to(clip)[None, None], torch.zeros(1, dtype=torch.int64))

    def probabilities(self, waveform: Tensor) -> list[float]:
        """Of every class, of a clip ``(1, 1, time)``."""
        logits = logits_without_gradient(self.model.module, waveform)
        found: list[float] = probabilities_of(logits, self.model.activation)[0].double().tolist()
        return found

    def from_cells_of(self, other: "Eraser", kept: Tensor) -> Tensor:
        """A mask of another clip of the same sound on these cells; 1 outside that clip."""
        if other is self:
            return kept
        (bands, frames), (theirs_hz, theirs_s) = self.cells.axes(), other.cells.axes()
        ours_mel, theirs_mel = (hz_to_mel(np.array(axis.coordinates)) for axis in (bands, theirs_hz))
        rows = np.abs(ours_mel[:, None] - theirs_mel).argmin(1)
        times_s = np.array(frames.coordinates) + self.clip.first_s - other.clip.first_s
        columns = np.abs(times_s[:, None] - np.array(theirs_s.coordinates)).argmin(1)
        found = kept[rows][:, columns].clone()
        found[:, torch.from_numpy((times_s < 0.0) | (times_s > other.duration_s))] = 1.0
        return found


class Answers:
    """Answers requests about some models.

    Parameters
    ----------
    models : sequence of Model
        One, or two that are compared.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(replace(model, name=_shown_name(model)) for model in models)
        self._erasers: OrderedDict[tuple[str, float | None], tuple[Eraser, ...]] = OrderedDict()

    def answer(self, request: Request, report: Report) -> Any:
        """What a request asks for; ``report`` is told of its passes."""
        match request:
            case Facts():
                return [facts_of(model) for model in self.models]
            case Describe(part):
                return json.dumps(self.description(part), allow_nan=False)
            case Erase():
                return self.erased(request)
            case Explain():
                return self.explained(request, report)

    def erasers(self, part: Part) -> tuple[Eraser, ...]:
        """Every model with its clip of a part, the same stretch of time where it is long."""
        key = (part.file, part.start_s)
        if key not in self._erasers:
            self._forget_what_is_gone()
            first = Eraser.of(part, self.models[0], part.start_s)
            others = (Eraser.of(part, model, _start_of(first, part)) for model in self.models[1:])
            self._erasers[key] = (first, *others)
            while len(self._erasers) > MOST_ERASERS:
                self._erasers.popitem(last=False)
        self._erasers.move_to_end(key)
        return self._erasers[key]

    def _forget_what_is_gone(self) -> None:
        """Keep nothing of sounds that the server keeps no longer."""
        for key in [key for key in self._erasers if not Path(key[0]).exists()]:
            del self._erasers[key]

    def description(self, part: Part) -> dict[str, Any]:
        """Pictures and predictions of a part, ready for JSON."""
        erasers = self.erasers(part)
        first, timeline = erasers[0], erasers[0].clip.timeline
        return {
            "name": isolated(part.name),
            "cells": list(first.cells.shape),
            "models": [self._described(part, first, eraser) for eraser in erasers],
            "startS": None if timeline is None else first.clip.first_s,
            "windows": [] if timeline is None else _windows(first.model, first.clip),
            "notes": [*part.notes, *dict.fromkeys(note for eraser in erasers for note in eraser.clip.notes)],
        }

    def _described(self, part: Part, first: Eraser, eraser: Eraser) -> dict[str, Any]:
        clip, model = eraser.clip, eraser.model
        logits = logits_without_gradient(model.module, clip.waveform)[0]
        probabilities = probabilities_of(logits[None], model.activation)[0].double().tolist()
        canvas = Canvas(eraser.cells.stft, MEL)
        return {
            "picture": packed_clip(clip.waveform, canvas, self._shown_from(clip), part.name),
            "names": [isolated(model.name_of(index)) for index in range(len(logits))],
            "probabilities": probabilities,
            "scale": scale_of_probabilities(model, logits),
            "notes": list(model.notes),
            "erasable": _placed(first, eraser),
        }

    def erased(self, request: Erase) -> tuple[dict[str, Any], bytes]:
        """Probabilities by every model with the cells erased, and the first one's clip as float32 where wanted.

        Raises
        ------
        UserError
            If there is not one bit for each cell.
        """
        erasers = self.erasers(request.part)
        first = erasers[0]
        count = first.cells.bands * first.cells.frames
        bits = np.unpackbits(np.frombuffer(request.erased, np.uint8))
        if not count <= len(bits) < count + 8:
            raise UserError(f"{len(bits)} cells are given but the clip has {count}; open it again")
        kept = 1.0 - torch.from_numpy(bits[:count].astype(np.float32)).reshape(first.cells.shape)
        sounds = [eraser.heard(eraser.from_cells_of(first, kept), request.removal) for eraser in erasers]
        said = [eraser.probabilities(sound) for eraser, sound in zip(erasers, sounds, strict=True)]
        content = sounds[0][0, 0].numpy().astype("<f4").tobytes() if request.sound else b""
        return {"probabilities": said}, content

    def explained(self, request: Explain, report: Report) -> Explained:
        """An explanation of a class by one of the models.

        Raises
        ------
        UserError
            As :func:`audioxai.explain` does.
        """
        eraser, part = self.erasers(request.part)[request.model], request.part
        model, clip = self.models[request.model], eraser.clip
        entry = method_entry(request.method, model)
        # Methods that are made for masks have removals of their own.
        options: dict[str, Any] = {} if Mask.name in entry.domains else {"removal": request.removal}
        explained = explain(
            _recording(part, model.sample_rate_hz),
            model,
            target=request.target,
            method=entry.name,
            domain="mask",
            windows=1 if clip.timeline is None else [clip.first_s],
            progress=report,
            **options,
        )
        made = replace(explained, notes=(*part.notes, *explained.notes))
        canvas = Canvas(Canvas.of(made).stft, MEL)
        content = {
            "view": packed_view(made, canvas),
            "model": request.model,
            "target": request.target,
            "label": isolated(made.label),
            "method": ", into ".join([METHODS[made.method].label, *options.values()]),
            "tone": tone_of(made),
            "heading": heading_of(made),
            "sentence": sentence_of(made),
            "where": where(made, self._shown_from(clip)),
        }
        return Explained(json.dumps(content, allow_nan=False), page_of(made))

    def _shown_from(self, clip: Clip) -> float:
        """Where the axis of time begins where silence was put before a short sound, in seconds.

        At 0, as on the explanation's page; before 0 where two models put different silence before the same sound, whose
        times have to agree.
        """
        return clip.first_s if len(self.models) > 1 else max(0.0, clip.first_s)


def facts_of(model: Model) -> dict[str, Any]:
    """What the page has to know of a model before there is a clip."""
    usable = [entry for entry in METHODS.values() if can_be_in_masks(entry) and (model.gradient or not entry.gradients)]
    chosen = method_entry(AUTO, model)
    ordered = sorted(usable, key=lambda entry: (entry.name != chosen.name, entry.role == "control"))
    return {
        "name": model.name,
        "methods": [
            {
                "name": entry.name,
                "label": f"{entry.label} (control)" if entry.role == "control" else entry.label,
                "bothRemovals": Mask.name in entry.domains,
            }
            for entry in ordered
        ],
    }


def _shown_name(model: Model) -> str:
    """Of a file its own name: where it lies on this machine is nobody's business."""
    return (Path(model.name).name if Path(model.name).is_absolute() else model.name) or "unnamed model"


def _recording(part: Part, rate_hz: int) -> Recording:
    """The sound of a part at a model's rate."""
    return read_recording(np.load(part.file, allow_pickle=False), part.rate_hz, rate_hz, name=part.name)


def _start_of(first: Eraser, part: Part) -> float | None:
    """Where the same stretch begins for the other models; None where the first model takes all of the sound."""
    return part.start_s if first.clip.timeline is None else first.clip.first_s


def _windows(model: Model, clip: Clip) -> list[dict[str, Any]]:
    """Parts of a long sound that can be opened, and what the model hears in each."""
    timeline = clip.timeline
    assert timeline is not None
    likeliest = timeline.probabilities.max(1)
    rows = zip(timeline.starts_s.tolist(), likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
    return [
        {
            "startS": start_s,
            "text": f"{start_s:.2f}–{start_s + timeline.window_s:.2f} s: "
            f"{isolated(model.name_of(index))} ({probability_text(probability)})",
        }
        for start_s, probability, index in rows
    ]


def _placed(first: Eraser, eraser: Eraser) -> list[float]:
    """Where the first model's picture lies in another one's: left, top, right and bottom as shares of it."""
    left = (first.clip.first_s - eraser.clip.first_s) / eraser.duration_s
    tops = hz_to_mel(np.array([first.model.sample_rate_hz / 2.0, eraser.model.sample_rate_hz / 2.0]))
    return [left, 1.0 - float(tops[0] / tops[1]), left + first.duration_s / eraser.duration_s, 1.0]
