"""What every figure is drawn on: one style, a page's widths, and files that are the same bytes for the same drawing.

Figures are drawn on the Agg and PDF canvases without pyplot and carry neither date nor version.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from textwrap import fill
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MatplotlibFigure

from audioxai.report.document import Figure

SINGLE_INCHES = 3.35
DOUBLE_INCHES = 6.9
PNG_DPI = 200
SETTINGS: Any = {  # Any: Matplotlib types the keys one by one
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "pdf.fonttype": 42,
    "savefig.bbox": None,
}
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "CreationDate": None, "Producer": None},
}


# Files of the figures whose documents are still there: a summary and a report of one run show the same ones.
_FILES: "WeakKeyDictionary[Figure, dict[str, bytes]]" = WeakKeyDictionary()


def settings() -> AbstractContextManager[None]:
    """The style, inside; Matplotlib's settings as they were, outside."""
    return mpl.rc_context(SETTINGS)


def new_figure(height_inches: float, width_inches: float) -> MatplotlibFigure:
    """Empty figure with constrained layout."""
    figure = MatplotlibFigure(figsize=(width_inches, height_inches), dpi=PNG_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def add_title(figure: MatplotlibFigure, *lines: str) -> None:
    """Title above everything, broken where it would be wider than the figure."""
    letters = round(13.3 * figure.get_size_inches()[0])
    figure.suptitle("\n".join(fill(line, letters) for line in lines))


def rendered(block: Figure, kinds: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Files of a figure, by kind: ``png`` (200 dpi) and ``pdf``; two columns of a page wide, or one."""
    files = _FILES.setdefault(block, {})
    missing = [kind for kind in kinds if kind not in files]
    if missing:
        files |= _drawn(block, missing)
    return {kind: files[kind] for kind in kinds}


def _drawn(block: Figure, kinds: Sequence[str]) -> dict[str, bytes]:
    with settings():
        figure = block.draw(DOUBLE_INCHES if block.wide else SINGLE_INCHES)
        # Laid out once, so that all formats look the same.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        files = {}
        for kind in kinds:
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=METADATA[kind])
            files[kind] = buffer.getvalue()
        return files
