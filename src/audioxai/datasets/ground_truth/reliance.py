"""Proof that a model uses the cue: what it says with the cue, without it, and with another in its place."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.datasets.ground_truth.cues import CuedClips
from audioxai.datasets.records import Dataset
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices

_CLIPS_PER_CALL = 64


@dataclass(frozen=True)
class CueReliance:
    """Fractions of clips, all in [0, 1], of one part of the split.

    A model that uses the cue and nothing else is right with it, at chance without it, and follows another one.

    Attributes
    ----------
    samples : int
        Clips.
    with_cue : float
        Predicted as the class of their cue.
    without_cue : float
        Predicted as that class with the cue taken out.
    follows_swap : float
        Predicted as the class of the cue that was put in its place.
    chance : float
        Share of the most frequent class: accuracy of a model that ignores its input.
    """

    samples: int
    with_cue: float
    without_cue: float
    follows_swap: float
    chance: float


def cue_reliance(model: Callable[[Tensor], Tensor], cued: CuedClips, part: str = "test") -> CueReliance:
    """How much the predictions of a model hang on the cue.

    Parameters
    ----------
    model : callable
        Waveforms ``(batch, 1, time)`` → logits ``(batch, classes)``; a module has to be in evaluation mode.
    cued : CuedClips
        Clips with their cues.
    part : str
        ``train``, ``validation`` or ``test``.

    Raises
    ------
    UserError
        If the part is empty or a module is in training mode.
    """
    if getattr(model, "training", False):
        raise UserError("the model is in training mode, where it predicts at random; call its eval() first")
    with_cue = cued.dataset.part(part)
    if not len(with_cue):
        raise UserError(f"the {part} part of {cued.dataset.name} is empty; choose another part or split")
    others = cued.without_cue().part(part), cued.with_swapped_cue().part(part)
    right, right_without, right_swapped = (_accuracy(model, clips) for clips in (with_cue, *others))
    chance = float(with_cue.labels.bincount().max()) / len(with_cue)
    return CueReliance(len(with_cue), right, right_without, right_swapped, chance)


def _accuracy(model: Callable[[Tensor], Tensor], clips: Dataset) -> float:
    with torch.inference_mode():
        right = [
            int((model(clips.inputs[rows]).argmax(1) == clips.labels[rows]).sum())
            for rows in slices(len(clips), _CLIPS_PER_CALL)
        ]
    return sum(right) / len(clips)
