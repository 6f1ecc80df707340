"""Explained samples to look at and to hear, from a result set alone: no model, data or checkpoint is touched."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioxai.listening import Heard, SoftMask, loudness_matched, separate
from audioxai.report.overlays import Overlay, of_different_titles, overlay
from audioxai.report.style import Style, signed

if TYPE_CHECKING:
    from audioxai.results import ExplainedCell

IMAGES_SHOWN = 2
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Parts:
    """What one explanation keeps of a clip and what it removes.

    Attributes
    ----------
    kept, removed : ndarray, shape (time,)
        In [−1, 1].
    note : str
        What a listener has to know of them.
    """

    kept: Floats
    removed: Floats
    note: str = ""


@dataclass(frozen=True, eq=False)
class Sounds:
    """A clip as it is, shape (time,) in [−1, 1], and method → its parts."""

    sample_rate_hz: int
    original: Floats
    parts: Mapping[str, Parts]


@dataclass(frozen=True, eq=False)
class GalleryClip:
    """One clip or image with its explanations.

    Attributes
    ----------
    group : str
        The heading under which it is offered.
    overlay : Overlay
        Title, input, attributions and axes.
    value_range : tuple of float
        Value drawn lightest, and value drawn darkest.
    labels : mapping of str to str
        Method → what it is called, in the order in which they are offered.
    sounds : Sounds or None
        None for images.
    opening : tuple of str
        One or two methods that are shown first; those that have no map are left out.
    """

    group: str
    overlay: Overlay
    value_range: tuple[float, float]
    labels: Mapping[str, str]
    sounds: Sounds | None = None
    opening: tuple[str, ...] = ()


def gallery_clips(
    cells: Sequence["ExplainedCell"],
    style: Style,
    study: str,
    count: int,
    methods: Collection[str],
    opening: Sequence[str] = (),
) -> list[GalleryClip]:
    """The first ``count`` differently titled samples of every cell (two of images), with ``methods`` where they exist.

    ``study`` is what the groups' names begin with. The gallery opens with the methods of ``opening``. Cells of waveform
    models are left out: their maps are no pictures.
    """
    clips = []
    for cell in cells:
        if len(cell.domain.shape) == 1:
            continue
        data = cell.dataset + (f" (STAND-IN for {cell.stand_in_for})" if cell.stand_in_for else "")
        name = f"{study}: {data}, {cell.model}, resolution {cell.resolution}, seed {cell.training_seed}"
        for sample in of_different_titles(cell, min(count, IMAGES_SHOWN) if cell.modality == "image" else count):
            shown = overlay(cell, sample, [method for method in methods if method in cell.budgets])
            chosen = style.ordered_methods(shown.attributions)
            clips.append(
                GalleryClip(
                    name,
                    replace(shown, title=shown.title.removeprefix(f"{data}: ")),
                    cell.domain.value_range,
                    {method: style.method(method) for method in chosen},
                    _sounds(cell, sample, chosen),
                    tuple(opening),
                )
            )
    return clips


def heard(cell: "ExplainedCell", sample: int, method: str) -> Heard:
    """One recording, what a method keeps of it and what it removes, all as loud as the recording."""
    waveform = cell.inputs()["waveforms"][sample : sample + 1]
    maps = cell.attributions(method)
    return loudness_matched(separate(waveform, maps.values[sample : sample + 1], SoftMask(maps.domain)))


def _sounds(cell: "ExplainedCell", sample: int, methods: Sequence[str]) -> Sounds | None:
    if cell.modality != "audio" or "waveforms" not in cell.inputs() or not methods:
        return None
    found = {method: heard(cell, sample, method) for method in methods}
    first = next(iter(found.values()))
    return Sounds(
        first.sample_rate_hz,
        first.sounds.original[0, 0].numpy(),
        {
            method: Parts(one.sounds.kept[0, 0].numpy(), one.sounds.removed[0, 0].numpy(), _sound_note(one))
            for method, one in found.items()
        },
    )


def _sound_note(one: Heard) -> str:
    if bool(one.nothing_kept[0]):
        return "No bin speaks for the class, so what is kept is silence."
    original = one.gains_db.original[0]
    kept, removed = (float(gain[0] - original) for gain in (one.gains_db.kept, one.gains_db.removed))
    return f"Made as loud as the original: kept by {_decibels(kept)} dB, removed by {_decibels(removed)} dB."


def _decibels(value: float) -> str:
    return signed(round(value, 1)).rstrip("0").rstrip(".")
