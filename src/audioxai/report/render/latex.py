"""Documents as a folder for a thesis: figures, tables and captions that compile with LaTeX.

Conventions
-----------
A figure is ``<name>.pdf`` (vector) and ``<name>.png`` (200 dpi) at its natural size, one column (3.35 in) or two
(6.9 in) wide, with its caption in ``<name>.caption.tex`` and ``.caption.txt``. A table is ``<name>.tex``, a whole
float, and ``<name>.csv`` with all digits. ``thesis.tex`` holds them all, one float after the other, but for tables that
are longer than a page. The same documents give the same bytes. Whatever stands in a name is shown, never obeyed. What
is written needs ``graphicx``, ``booktabs`` and UTF-8 input, which is the default since 2018.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from audioxai.report.canvas import rendered
from audioxai.report.document import Document, Figure, Table
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes

# Tables with more columns are scaled to the width of the page.
MOST_COLUMNS = 7
NARROW_COLUMNS = 4
# Lines of a table that fit on a page.
MOST_LINES = 70

# Characters that LaTeX obeys, then those that text fonts lack or that are mathematics.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",
    "]": "{]}",
    "\u00a0": "~",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "τ": r"$\tau$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "’": "'",
}
_TABLE = str.maketrans(_SPECIAL)


def write_thesis(documents: Sequence[Document], folder: Path) -> list[Path]:
    """Write every figure and table with its caption, and ``thesis.tex``; return their places, in reading order.

    Raises
    ------
    UserError
        If two blocks share a name, or a file cannot be written.
    """
    blocks = [
        (block, f"{block.caption}{_command(document)}")
        for document in documents
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Figure | Table)
    ]
    names = [block.name for block, _ in blocks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two tables or figures are called {twice!r}; give every one a name of its own")
    written = [place for block, caption in blocks for place in _write(block, caption, folder)]
    shown = [one for one in blocks if isinstance(one[0], Figure) or len(one[0].rows) <= MOST_LINES]
    whole = "\n".join(_float_of(block, caption) for block, caption in shown)
    return [*written, write_bytes(folder / "thesis.tex", whole.encode())]


def escaped(text: str) -> str:
    r"""``text`` as LaTeX shows it; control characters and line ends become blanks.

    Double hyphens, as in options, keep apart: text fonts would make a dash of them.
    """
    printable = "".join(letter if letter.isprintable() or letter == "\u00a0" else " " for letter in text)
    return "{}".join(part.translate(_TABLE) for part in re.split(r"(?<=-)(?=-)", printable))


def tabular(header: Sequence[str], lines: Iterable[Sequence[str]], left_columns: int = 1) -> str:
    """A ``tabular`` with ``booktabs`` rules, the first columns left-aligned and the others right-aligned.

    A value repeated from the line above in the left columns but the last is left out, with a little room before a new
    one.
    """
    rows = [[escaped(entry) for entry in line] for line in lines]
    columns = "l" * left_columns + "r" * (len(header) - left_columns)
    body: list[str] = []
    for position, row in enumerate(rows):
        above = rows[position - 1] if position else None
        repeated = _repeated(row, above, left_columns - 1)
        if above is not None and left_columns > 1 and not repeated:
            body.append(r"\addlinespace")
        body.append(" & ".join([""] * repeated + row[repeated:]) + r" \\")
    top = " & ".join(escaped(name) for name in header) + r" \\"
    parts = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", top, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*parts, r"\end{tabular}"])


def floating(kind: str, content: str, caption: str, label: str) -> str:
    """A float (``figure``, ``figure*``, ``table``, ``table*``) with its caption: below a figure, above a table."""
    words = [rf"\caption{{{escaped(caption)}}}", rf"\label{{{label}}}"]
    small = [r"\scriptsize", r"\setlength{\tabcolsep}{3.5pt}"]
    parts = [*words, *small, content] if kind.startswith("table") else [content, *words]
    return "\n".join([rf"\begin{{{kind}}}[tbp]", r"\centering", *parts, rf"\end{{{kind}}}"]) + "\n"


def _repeated(row: Sequence[str], above: Sequence[str] | None, most: int) -> int:
    count = 0
    while above is not None and count < most and row[count] == above[count]:
        count += 1
    return count


def _command(document: Document) -> str:
    return f" Command: {document.context['command']}" if "command" in document.context else ""


def _write(block: Figure | Table, caption: str, folder: Path) -> list[Path]:
    if isinstance(block, Table):
        frame = _frame(block) if block.frame is None else block.frame
        contents = {
            "tex": _float_of(block, caption).encode(),
            "csv": frame.to_csv(index=False, lineterminator="\n").encode(),
        }
    else:
        contents = {
            **rendered(block, ("png", "pdf")),
            "caption.tex": (escaped(caption) + "\n").encode(),
            "caption.txt": (caption + "\n").encode(),
        }
    return [write_bytes(folder / f"{block.name}.{kind}", content) for kind, content in contents.items()]


def _frame(table: Table) -> pd.DataFrame:
    return pd.DataFrame([[cell.text for cell in row] for row in table.rows], columns=list(table.columns))


def _float_of(block: Figure | Table, caption: str) -> str:
    if isinstance(block, Figure):
        star = "*" if block.wide else ""
        return floating(f"figure{star}", rf"\includegraphics{{{block.name}.pdf}}", caption, f"fig:{block.name}")
    content = tabular(block.columns, [[cell.text for cell in row] for row in block.rows], block.key_columns)
    if len(block.columns) > MOST_COLUMNS:
        content = f"\\resizebox{{\\textwidth}}{{!}}{{%\n{content}}}"
    return floating(f"table{'*' if len(block.columns) > NARROW_COLUMNS else ''}", content, caption, f"tab:{block.name}")
