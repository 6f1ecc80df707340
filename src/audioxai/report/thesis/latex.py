"""Text and tables as LaTeX that compiles: whatever stands in a name is shown, never obeyed.

What is written needs ``graphicx``, ``booktabs`` and UTF-8 input, which is the default since 2018.
"""

import re
from collections.abc import Iterable, Sequence

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
    told = [rf"\caption{{{escaped(caption)}}}", rf"\label{{{label}}}"]
    small = [r"\scriptsize", r"\setlength{\tabcolsep}{3.5pt}"]
    parts = [*told, *small, content] if kind.startswith("table") else [content, *told]
    return "\n".join([rf"\begin{{{kind}}}[tbp]", r"\centering", *parts, rf"\end{{{kind}}}"]) + "\n"


def _repeated(row: Sequence[str], above: Sequence[str] | None, most: int) -> int:
    count = 0
    while above is not None and count < most and row[count] == above[count]:
        count += 1
    return count
