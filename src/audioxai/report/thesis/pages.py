"""What a thesis is given: figures and tables with captions that say what they rest on, written beside each other.

Conventions
-----------
A figure is ``<name>.pdf`` (vector) and ``<name>.png`` (200 dpi) at its natural size, one column (3.35 in) or two
(6.9 in) wide, with its caption in ``<name>.caption.tex`` and ``.caption.txt``. A table is ``<name>.tex``, a whole
float, and ``<name>.csv`` with all digits. ``thesis.tex`` holds them all, one float after the other. The same pages
give the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from audioxai.report.canvas import save
from audioxai.report.style import listed
from audioxai.report.thesis.latex import escaped, floating, tabular
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

SINGLE_INCHES = 3.35
DOUBLE_INCHES = 6.9


@dataclass(frozen=True)
class Source:
    """What every caption of one study ends with.

    Attributes
    ----------
    data : str
        Datasets, stand-ins named as such.
    seeds : tuple of int
        Training seeds.
    command : str
        What makes the numbers and then the figures.
    """

    data: str
    seeds: tuple[int, ...]
    command: str

    def caption(self, told: str, counted: str) -> str:
        """``told``, then data, sample, seeds and command; ``counted`` is the n, such as ``n = 24 clips``."""
        seeds = f"training seed{'s' if len(self.seeds) > 1 else ''} {listed([str(seed) for seed in self.seeds])}"
        return f"{told} Data: {self.data}; {counted}; {seeds}. Command: {self.command}"


@dataclass(frozen=True, eq=False)
class FigurePage:
    """A figure with its name and its whole caption; ``draw`` returns it at its natural size."""

    name: str
    caption: str
    draw: Callable[[], Figure]
    wide: bool = True


@dataclass(frozen=True, eq=False)
class TablePage:
    """A table with its name and its whole caption.

    Attributes
    ----------
    header, lines
        As they are shown.
    frame : DataFrame
        The same and more with all digits.
    left_columns : int
        How many columns name things.
    """

    name: str
    caption: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    frame: pd.DataFrame
    left_columns: int = 1
    wide: bool = True


Page = FigurePage | TablePage


def write_pages(pages: Sequence[Page], destination: Path) -> list[Path]:
    """Write all pages and ``thesis.tex`` and return their places, in the order of the pages.

    Raises
    ------
    UserError
        If two pages share a name, or a file cannot be written.
    """
    names = [page.name for page in pages]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two pages are called {twice!r}; give every page a name of its own")
    written: list[Path] = []
    for page in pages:
        written += _write_figure(page, destination) if isinstance(page, FigurePage) else _write_table(page, destination)
    whole = "\n".join(_float_of(page) for page in pages)
    return [*written, write_bytes(destination / "thesis.tex", whole.encode())]


def resized(figure: Figure, width_inches: float) -> Figure:
    """The figure at another width; its layout follows."""
    figure.set_size_inches(width_inches, figure.get_size_inches()[1])
    return figure


def _write_figure(page: FigurePage, destination: Path) -> list[Path]:
    return [
        *save(page.draw, destination / page.name),
        write_bytes(destination / f"{page.name}.caption.tex", (escaped(page.caption) + "\n").encode()),
        write_bytes(destination / f"{page.name}.caption.txt", (page.caption + "\n").encode()),
    ]


def _write_table(page: TablePage, destination: Path) -> list[Path]:
    return [
        write_bytes(destination / f"{page.name}.tex", _float_of(page).encode()),
        write_bytes(destination / f"{page.name}.csv", page.frame.to_csv(index=False, lineterminator="\n").encode()),
    ]


def _float_of(page: Page) -> str:
    star = "*" if page.wide else ""
    if isinstance(page, FigurePage):
        picture = rf"\includegraphics{{{page.name}.pdf}}"
        return floating(f"figure{star}", picture, page.caption, f"fig:{page.name}")
    content = tabular(page.header, page.lines, page.left_columns)
    return floating(f"table{star}", content, page.caption, f"tab:{page.name}")
