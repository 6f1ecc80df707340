"""How clips with their maps and sounds are packed into the page."""

from collections.abc import Sequence
from typing import Any

from audioxai.report.gallery import GalleryClip
from audioxai.report.overlays import shares_of
from audioxai.report.render.html.packing import (
    packed_axis,
    packed_levels,
    packed_map,
    packed_palettes,
    packed_sound,
)
from audioxai.utils.errors import UserError


def packed(clips: Sequence[GalleryClip]) -> dict[str, Any]:
    """Everything that the gallery's script is given, ready for JSON.

    Raises
    ------
    UserError
        If a map does not have its clip's shape, or a sound exceeds full scale or is not finite.
    """
    return {"palettes": packed_palettes(), "clips": [_packed_clip(clip) for clip in clips]}


def _packed_clip(clip: GalleryClip) -> dict[str, Any]:
    overlay, sounds = clip.overlay, clip.sounds
    methods = list(clip.labels)
    return {
        "title": overlay.title,
        "group": clip.group,
        "shape": list(overlay.inputs.shape),
        "levels": packed_levels(overlay.inputs, clip.value_range),
        "valueUnit": overlay.value_unit,
        "valueRange": list(clip.value_range),
        "rows": packed_axis(overlay.row_axis),
        "columns": packed_axis(overlay.column_axis),
        "upwards": overlay.row_axis[1] == "Hz",
        "original": None if sounds is None else packed_sound(sounds.original, sounds.sample_rate_hz, overlay.title),
        "methods": [_packed_method(method, clip) for method in methods],
        "opening": [methods.index(method) for method in clip.opening if method in methods][:2] or [0],
    }


def _packed_method(method: str, clip: GalleryClip) -> dict[str, Any]:
    overlay = clip.overlay
    attributions = overlay.attributions[method]
    if attributions.shape != overlay.inputs.shape:
        raise UserError(
            f"the map of {method} has shape {attributions.shape} but {overlay.title} has {overlay.inputs.shape}; "
            "show maps that have a clip's bins"
        )
    return {
        "name": clip.labels[method],
        "note": overlay.notes.get(method, ""),
        "map": packed_map(shares_of(attributions)),
        **_packed_parts(method, clip),
    }


def _packed_parts(method: str, clip: GalleryClip) -> dict[str, Any]:
    if clip.sounds is None or method not in clip.sounds.parts:
        return {"kept": None, "removed": None, "soundNote": ""}
    parts, rate_hz = clip.sounds.parts[method], clip.sounds.sample_rate_hz
    kept, removed = (packed_sound(one, rate_hz, clip.overlay.title) for one in (parts.kept, parts.removed))
    return {"kept": kept, "removed": removed, "soundNote": parts.note}
