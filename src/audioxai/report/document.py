"""What a study says, before it becomes a page: paragraphs, tables and figures with their captions, in sections.

A study makes one :class:`Document` of its results; the renderers make Markdown, text for a terminal, HTML, LaTeX with
CSV and JSON of it. A caption belongs to its table or figure and is written once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as MatplotlibFigure


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    value : float or None
        What it is sorted by; None sorts by the text, and NaN comes last.
    strong : bool
        Whether it is set in bold.
    link : str
        Relative address that an HTML page links the text to; empty for none.
    """

    text: str
    value: float | None = None
    strong: bool = False
    link: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Running text in Markdown."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list, one Markdown text per item."""

    items: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """A table with its caption.

    Attributes
    ----------
    name : str
        Unique in the document; stem of its files.
    title, caption : str
        What it is, and what a reader has to know of it: n, clusters, what bold means.
    columns : tuple of str
        Headings.
    rows : tuple of tuple of Cell
        One cell per heading.
    key_columns : int
        How many of the first columns tell rows apart.
    frame : DataFrame or None
        The same numbers at full precision, for CSV and JSON; made of the cells' texts if None.
    terminal : str or None
        Line below the table where it is printed in a terminal; None keeps it from being printed there.

    Headings ``group: column`` that follow each other share their group where there is room for two lines. A cell that
    ends in ``*`` is marked.
    """

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    key_columns: int = 1
    frame: "pd.DataFrame | None" = None
    terminal: str | None = None


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure with its caption, drawn when it is rendered.

    Attributes
    ----------
    name : str
        Unique in the document; stem of its files.
    title, caption : str
        What it is, and how to read it; the caption is also what a screen reader says.
    draw : callable
        ``draw(width_inches)`` returns the Matplotlib figure.
    wide : bool
        Whether it takes both columns of a page.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[float], "MatplotlibFigure"]
    wide: bool = True


Block = Paragraph | Bullets | Table | Figure
Kind = TypeVar("Kind", Paragraph, Bullets, Table, Figure)


@dataclass(frozen=True, eq=False)
class Section:
    """Blocks under a heading.

    Attributes
    ----------
    name : str
        Unique in the document; address of the section on the page. Sections named ``answer`` and ``limits`` are opened
        first by every renderer.
    title : str
        Heading.
    blocks : sequence of Block
        In reading order.
    """

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, eq=False)
class Document:
    """Everything that one study found.

    Attributes
    ----------
    name : str
        The study's name; stem of its files.
    title, question : str
        Heading, and what was asked.
    sections : sequence of Section
        The answer first.
    stand_ins : mapping of str to str
        Stand-in data set → the real one that it stands in for; named wherever their numbers are shown.
    data : mapping
        Numbers for programs, by name: a frame, or anything that JSON can hold.
    context : mapping
        Where the numbers come from: command, profile, commit, version, settings.
    shown : tuple of str
        Methods whose attributions a gallery offers, those that it opens with first; empty leaves the choice to it.
    """

    name: str
    title: str
    question: str
    sections: Sequence[Section]
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)
    shown: tuple[str, ...] = ()

    def blocks(self, kind: type[Kind]) -> Iterator[Kind]:
        """Blocks of one kind, in reading order."""
        return (block for section in self.sections for block in section.blocks if isinstance(block, kind))
