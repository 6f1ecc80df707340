"""A small report in which everything is known: who is where in every table, and what every sound sounds like."""

from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image

from audioxai.report.figures import Overlay
from audioxai.report.html import Answer, Document, GalleryClip, Parts, Picture, Sounds
from audioxai.report.html.tables import Cell, Table

RATE_HZ = 8_000
DURATION_S = 1.2
ROWS, COLUMNS = 8, 13
HOSTILE = "</script><img src=x onerror=alert(1)> & \"quoted\" 'name'"


def tone(pitch_hz: float, level: float = 0.5) -> np.ndarray:
    """A sine of the clips' length."""
    return level * np.sin(2 * np.pi * pitch_hz * np.arange(round(DURATION_S * RATE_HZ)) / RATE_HZ)


def overlay(title: str, methods: tuple[str, ...] = ("silence", "dual", "random"), unit: str = "Hz") -> Overlay:
    """Levels that rise with the column; each map has one positive and one negative cell of its own."""
    levels = np.broadcast_to(np.linspace(-80.0, 0.0, COLUMNS), (ROWS, COLUMNS)).copy()
    maps = {}
    for position, method in enumerate(methods):
        maps[method] = np.zeros((ROWS, COLUMNS))
        maps[method][position, position] = 1.0
        maps[method][position, position + 1] = -1.0
    rows = tuple(np.linspace(100.0, 3900.0, ROWS)) if unit == "Hz" else tuple(map(float, range(ROWS)))
    times = tuple(np.arange(COLUMNS) * 0.1)
    columns = ("time", "s", times) if unit == "Hz" else ("column", "pixel", tuple(map(float, range(COLUMNS))))
    return Overlay(
        title=title,
        inputs=levels,
        attributions=maps,
        row_axis=("frequency" if unit == "Hz" else "row", unit, rows),
        column_axis=columns,
        value_unit="dB" if unit == "Hz" else "brightness",
        notes={methods[0]: "ΔF = 2.500, gap 0.4 %"},
    )


def clip(title: str, group: str = "Recordings") -> GalleryClip:
    """A recording whose sounds are tones: 200 Hz itself, 400 Hz and more what is kept, 1,000 Hz and more the rest."""
    shown = overlay(title)
    parts = {
        method: Parts(tone(400.0 + 50 * index), tone(1000.0 + 50 * index), f"Loudness of {method}.")
        for index, method in enumerate(shown.attributions)
    }
    return GalleryClip(group, shown, (-80.0, 0.0), Sounds(RATE_HZ, tone(200.0), parts), opening=("silence", "dual"))


def image(title: str) -> GalleryClip:
    """Something to see that makes no sound."""
    shown = overlay(title, unit="pixel")
    return GalleryClip("Images", replace(shown, notes={}), (-80.0, 0.0), opening=("dual",))


def table(count: int = 14) -> Table:
    """Rows whose values are shuffled; one has none."""
    rows = [
        (Cell(f"Method {index}", float(index)), Cell(f"scope {index % 3}"), Cell(f"{value} [0, 9]", float(value)))
        for index, value in enumerate((index * 5) % count for index in range(count))
    ]
    return Table("Scores", "Mean [95 % interval].", ("Method", "Models", "Score ↑"), (*rows, _undefined()), names=2)


def _undefined() -> tuple[Cell, ...]:
    return Cell("Method x", 99.0), Cell("scope 0"), Cell("n/a", float("nan"), strong=True)


def picture(name: str = "heatmap") -> Picture:
    """A PNG of 30 × 20 pixels."""
    content = BytesIO()
    Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(content, "PNG")
    return Picture(name, f"What {name} shows", content.getvalue())


def document(clips: tuple[GalleryClip, ...] | None = None) -> Document:
    """Both questions answered, two recordings, an image, a figure, two cards."""
    first = Answer(
        "objective1",
        "Research question 1",
        "How is it?",
        paragraphs=["**In short.** It is *well*.", "- one\n- two"],
        caveats=["Not **all** of it."],
        tables=[table()],
        pictures=[picture()],
        provenance={"command": "python make.py --with <care>"},
    )
    second = Answer("objective2", "Research question 2", "And how else?", paragraphs=["**In short.** Better."])
    return Document(
        "A report",
        [first, second],
        stand_ins={"spoken_digits": "audio_mnist"},
        clips=(clip("digit 1"), clip("digit 2"), image("a picture")) if clips is None else clips,
        cards={"Model card": "| a | b |\n| :-- | --: |\n| x | 1 |\n", "Data card": "### Where from\n\n- there\n"},
    )
