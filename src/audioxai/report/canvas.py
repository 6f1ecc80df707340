"""What every figure is drawn on: one style, a page's widths, and files that are the same bytes for the same drawing.

Figures are drawn on the Agg and PDF canvases without pyplot and carry neither date nor version.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from audioxai.utils.files import write_bytes

WIDTH_INCHES = 6.3
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


def settings() -> AbstractContextManager[None]:
    """The style, inside; Matplotlib's settings as they were, outside."""
    return mpl.rc_context(SETTINGS)


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> Figure:
    """Empty figure with constrained layout."""
    figure = Figure(figsize=(width_inches, height_inches), dpi=PNG_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(draw: Callable[[], Figure], stem: Path) -> list[Path]:
    """Write one figure as ``stem`` with ``.png`` and ``.pdf`` and return both places."""
    written = []
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": {"Creator": None, "CreationDate": None, "Producer": None},
    }
    with settings():
        figure = draw()
        # Laid out once, so that both formats look the same.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for kind, told in metadata.items():
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=told)
            written.append(write_bytes(stem.with_name(f"{stem.name}.{kind}"), buffer.getvalue()))
    return written
