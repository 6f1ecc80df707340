"""What is written of one explanation: the page, and the picture, sounds, facts and arrays beside it."""

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from audioxai.listening.sounds import encoded
from audioxai.report.clip.packing import opening_percent
from audioxai.report.clip.page import page_of
from audioxai.utils.files import write_bytes

if TYPE_CHECKING:
    from audioxai.explanation import Explanation

PAGE = "index.html"
PICTURE_DPI = 200


def write_page(explanation: "Explanation", folder: Path) -> list[Path]:
    """Write an explanation into a folder, which is made; the places of all files, the page first.

    ``index.html``; ``explanation.png``, the picture; ``explanation.json``, facts, axes, map and the share that the
    sounds keep; ``explanation.npz``, map, input and waveform; ``original.wav``, ``kept.wav`` and ``removed.wav``
    (24 bits), of which the last two add up to the first. Everything is made before anything is written.

    Raises
    ------
    UserError
        If the explanation's domain is not one of sound; nothing is written.
    OSError
        If a file cannot be written; no partial file is left.
    """
    share = opening_percent(explanation) / 100.0
    contents = {
        PAGE: page_of(explanation).encode(),
        "explanation.png": _picture(explanation),
        "explanation.json": _facts(explanation, share),
        "explanation.npz": _arrays(explanation),
        **_sounds(explanation, share),
    }
    return [write_bytes(folder / name, content) for name, content in contents.items()]


def _picture(explanation: "Explanation") -> bytes:
    content = BytesIO()
    explanation.plot().savefig(content, format="png", dpi=PICTURE_DPI, metadata={"Software": None})
    return content.getvalue()


def _facts(explanation: "Explanation", share: float) -> bytes:
    """JSON, one entry per line: a map of one number per line would be mostly spaces."""
    axes = [
        {"name": axis.name, "unit": axis.unit, "coordinates": list(axis.coordinates)}
        for axis in explanation.domain.axes()
    ]
    written = {
        **explanation.facts(),
        "kept_share_of_sounds": share,
        "axes": axes,
        "map": explanation.attributions[0, 0].tolist(),
    }
    lines = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in written.items()
    )
    return f"{{\n{lines}\n}}\n".encode()


def _arrays(explanation: "Explanation") -> bytes:
    content = BytesIO()
    np.savez_compressed(content, allow_pickle=False, **explanation.arrays())
    return content.getvalue()


def _sounds(explanation: "Explanation", share: float) -> dict[str, bytes]:
    """WAV by name, all divided by one number where one of them would exceed full scale, so that they still add up."""
    kept = explanation.kept(share)
    parts = {"original": explanation.waveform, "kept": kept, "removed": explanation.waveform - kept}
    peak = max(1.0, *(float(part.abs().max()) for part in parts.values()))
    rate_hz = explanation.model.sample_rate_hz
    return {f"{name}.wav": encoded(torch.div(part[0], peak), rate_hz, "wav") for name, part in parts.items()}
