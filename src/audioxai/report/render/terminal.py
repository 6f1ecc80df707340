"""A document as plain text for a terminal: the tables that are meant for it and the answer, at most 110 columns."""

import sys
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import TextIO

from audioxai.report.document import Bullets, Document, Paragraph, Table
from audioxai.report.render.markdown import plain, stand_in_notice

WIDTH = 110
NARROWEST = 8


def print_document(document: Document, stream: TextIO | None = None) -> None:
    """Print :func:`terminal_text` to ``stream``, standard output where none is given."""
    print(terminal_text(document), file=stream or sys.stdout)


def terminal_text(document: Document) -> str:
    """Title, stand-in notice, tables with a line for the terminal, those lines, then the answer."""
    tables = [table for table in document.blocks(Table) if table.terminal is not None]
    notes = dict.fromkeys(table.terminal or "" for table in tables)
    parts = [
        "\n".join(
            [document.title, *(f"profile: {document.context[key]}" for key in ("profile",) if key in document.context)]
        ),
        *(fill(plain(text.removeprefix("> ")), WIDTH) for text in stand_in_notice(document)),
        *(_table(table) for table in tables),
        *(fill(note, WIDTH, break_on_hyphens=False, replace_whitespace=False) for note in notes if note),
        *_answer(document),
    ]
    return "\n\n".join(parts)


def _answer(document: Document) -> Iterator[str]:
    for section in document.sections:
        if section.name == "answer":
            for block in section.blocks:
                if isinstance(block, Paragraph):
                    yield fill(plain(block.text), WIDTH)
                elif isinstance(block, Bullets):
                    items = (
                        fill(plain(item), WIDTH, subsequent_indent="  ", initial_indent="- ") for item in block.items
                    )
                    yield "\n".join(items)


def _table(table: Table) -> str:
    """Title, headings and rows; columns that do not fit follow below, with the key columns repeated."""
    keys = table.key_columns
    widths = [_width(table, column) for column in range(len(table.columns))]
    room = WIDTH - sum(widths[:keys])
    parts: list[list[int]] = [[]]
    used: list[int] = []
    for group in _groups(table.columns[keys:], keys):
        own = sum(widths[column] for column in group) + 1
        if parts[-1] and sum(widths[column] for column in parts[-1]) + len(used) + own > room:
            parts.append([])
            used = []
        parts[-1] += group
        used.append(group[0])
    blocks = [_lines(table, [*range(keys), *columns], widths) for columns in parts]
    return "\n".join([table.title, "\n\n".join(blocks)])


def _lines(table: Table, columns: Sequence[int], widths: Sequence[int]) -> str:
    split = {column: table.columns[column].rpartition(": ") for column in columns}
    last = {group[-1] for group in _groups([table.columns[column] for column in columns], 0, columns)}
    lines = []
    if any(group for group, _, _ in split.values()):
        top = ""
        for column in columns:
            top += "" if column < table.key_columns else " " * widths[column]
            group = split[column][0]
            if column < table.key_columns:
                top += table.columns[column].ljust(widths[column])
            elif column in last:
                top = top[: len(top) - len(group)] + group + " "
        lines.append(top)
    names = [name for _, _, name in split.values()]
    if lines:
        names[: table.key_columns] = [""] * table.key_columns
    for texts in (names, *([row[column].text for column in columns] for row in table.rows)):
        line = ""
        for column, text in zip(columns, texts, strict=True):
            if column < table.key_columns:
                line += text.ljust(widths[column])
            else:
                marked = text.endswith("*")
                line += text.removesuffix("*").rjust(widths[column]) + ("*" if marked else " " * (column in last))
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def _groups(headings: Sequence[str], start: int, columns: Sequence[int] | None = None) -> list[list[int]]:
    """Columns that share the group of their headings, in their order."""
    places = range(start, start + len(headings)) if columns is None else columns
    found: list[list[int]] = []
    earlier = None
    for column, heading in zip(places, headings, strict=True):
        group = heading.rpartition(": ")[0]
        if group and group == earlier:
            found[-1].append(column)
        else:
            found.append([column])
        earlier = group
    return found


def _width(table: Table, column: int) -> int:
    longest = max((len(row[column].text.removesuffix("*")) for row in table.rows), default=0)
    group, _, name = table.columns[column].rpartition(": ")
    if column < table.key_columns:
        return max(longest, len(name)) + 1
    members = sum(heading.startswith(f"{group}: ") for heading in table.columns) if group else 1
    return max(NARROWEST, longest + 2, len(name) + 2, -(-(len(group) + 2) // members))
