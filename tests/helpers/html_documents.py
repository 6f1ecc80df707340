"""A small report in which everything is known: who is where in every table, and what every sound sounds like."""

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure as MatplotlibFigure

from audioxai.report.canvas import new_figure
from audioxai.report.document import Bullets, Cell, Document, Figure, Paragraph, Section, Table
from audioxai.report.gallery import GalleryClip, Parts, Sounds
from audioxai.report.overlays import Overlay
from audioxai.report.render.html.page import render

RATE_HZ = 8_000
DURATION_S = 1.2
ROWS, COLUMNS = 8, 13
LABELS = {"silence": "Silence IG", "dual": "Dual IG", "random": "Random (control)"}
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
    sounds = Sounds(RATE_HZ, tone(200.0), parts)
    return GalleryClip(group, shown, (-80.0, 0.0), LABELS, sounds, opening=("silence", "dual"))


def image(title: str) -> GalleryClip:
    """Something to see that makes no sound."""
    shown = overlay(title, unit="pixel")
    return GalleryClip("Images", replace(shown, notes={}), (-80.0, 0.0), LABELS, opening=("dual",))


def table(count: int = 14) -> Table:
    """Rows whose values are shuffled; one has none."""
    rows = [
        (Cell(f"Method {index}", float(index)), Cell(f"scope {index % 3}"), Cell(f"{value} [0, 9]", float(value)))
        for index, value in enumerate((index * 5) % count for index in range(count))
    ]
    columns = ("Method", "Models", "Score ↑")
    return Table("o1_scores", "Scores", "Mean [95 % interval].", columns, (*rows, _undefined()), key_columns=2)


def _undefined() -> tuple[Cell, ...]:
    return Cell("Method x", 99.0), Cell("scope 0"), Cell("n/a", float("nan"), strong=True)


def picture(name: str = "o1_heatmap", caption: str = "What the heat map shows") -> Figure:
    """A grey page."""
    return Figure(name, "Heat map", caption, _grey)


def _grey(width_inches: float) -> MatplotlibFigure:
    figure = new_figure(0.5, width_inches)
    figure.set_facecolor("#c8c8c8")
    return figure


@dataclass(frozen=True, eq=False)
class Page:
    """What a page is made of."""

    title: str
    documents: tuple[Document, ...]
    clips: tuple[GalleryClip, ...] = ()
    cards: tuple[Document, ...] = ()

    def text(self) -> str:
        return render(self.title, self.documents, self.clips, self.cards)


def first_document() -> Document:
    """An answer with a table and a figure."""
    sections = [
        Section(
            "answer",
            "Answer",
            [Bullets(("**Use** it: it is *well*.", "**Avoid** the rest.")), Paragraph("So *be* it.")],
        ),
        Section("scores", "Scores", [table(), picture()]),
        Section("limits", "How far this goes", [Bullets(("Not **all** of it.",))]),
    ]
    context = {"command": "python make.py --with <care>", "configuration": {"seed": 0}}
    return Document(
        "objective1", "Objective 1: sounds", "How is it?", sections, {"spoken_digits": "audio_mnist"}, {}, context
    )


def page(clips: tuple[GalleryClip, ...] | None = None) -> Page:
    """Two documents, two recordings, an image, two cards."""
    second = Document(
        "objective2", "Objective 2: more", "And how else?", [Section("answer", "Answer", [Bullets(("Better.",))])]
    )
    cards = (
        Document(
            "model_card", "Model card", "", [Section("m", "", [Paragraph("| a | b |\n| :-- | --: |\n| x | 1 |")])]
        ),
        Document("data_card", "Data card", "", [Section("d", "Where from", [Bullets(("there",))])]),
    )
    shown = (clip("digit 1"), clip("digit 2"), image("a picture")) if clips is None else clips
    return Page("A report", (first_document(), second), shown, cards)
