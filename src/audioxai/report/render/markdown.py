"""A document as Markdown, for summaries that are read as text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from audioxai.report.canvas import rendered
from audioxai.report.document import Block, Bullets, Document, Figure, Paragraph, Table
from audioxai.report.style import listed
from audioxai.utils.files import write_bytes


def write_markdown(document: Document, folder: Path, figures: str | None = None) -> Path:
    """Write ``<name>.md``; ``figures`` is the folder of the figures' PNG, relative to it."""
    return write_bytes(folder / f"{document.name}.md", markdown(document, figures).encode())


def write_figures(document: Document, folder: Path) -> list[Path]:
    """Write every figure as ``<name>.png`` and ``<name>.pdf``."""
    return [
        write_bytes(folder / f"{figure.name}.{kind}", content)
        for figure in document.blocks(Figure)
        for kind, content in rendered(figure, ("png", "pdf")).items()
    ]


def markdown(document: Document, figures: str | None = None) -> str:
    """The whole document; figures are shown where their folder is given, else their captions alone."""
    parts = [f"# {document.title}", *stand_in_notice(document)]
    parts += [f"*{document.question}*"] if document.question else []
    for section in document.sections:
        parts += [f"## {section.title}", *(text for block in section.blocks for text in block_markdown(block, figures))]
    if document.context:
        parts += ["## Where the numbers come from", bullets(provenance(document.context))]
    return "\n\n".join(parts) + "\n"


def stand_in_notice(document: Document) -> list[str]:
    """Paragraph that opens a summary where stand-in data were used; nothing otherwise."""
    if not document.stand_ins:
        return []
    replaced = listed([f"{stand_in} in place of {real}" for stand_in, real in document.stand_ins.items()])
    return [
        f"> **STAND-IN data: {replaced}.** The numbers below show that the experiment runs; they are no result "
        f"about {listed(sorted(set(document.stand_ins.values())))}."
    ]


def table_text(header: Sequence[str], lines: Iterable[Sequence[str]], left_columns: int = 1) -> str:
    """A Markdown table, the first columns left-aligned and the others right-aligned."""
    rule = [*[":--"] * left_columns, *["--:"] * (len(header) - left_columns)]
    escaped = [[entry.replace("|", r"\|") for entry in line] for line in (header, *lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (escaped[0], rule, *escaped[1:]))


def bullets(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def provenance(context: Mapping[str, object]) -> list[str]:
    """What made the numbers, one item per fact, by the alphabet."""
    return [f"{key.replace('_', ' ').capitalize()}: `{context[key]}`" for key in sorted(context)]


def plain(text: str) -> str:
    """Markdown of one line without its marks."""
    return re.sub(r"\*\*|`|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)", "", text)


def block_markdown(block: Block, figures: str | None = None) -> Iterator[str]:
    """Paragraphs of one block: headings, captions and tables; figures as links where their folder is given."""
    if isinstance(block, Paragraph):
        yield block.text
    elif isinstance(block, Bullets):
        yield bullets(block.items)
    elif isinstance(block, Table):
        lines = [[f"**{cell.text}**" if cell.strong else cell.text for cell in row] for row in block.rows]
        yield from (f"### {block.title}", f"*{block.caption}*", table_text(block.columns, lines, block.key_columns))
    else:
        yield from (f"### {block.title}", f"*{block.caption}*")
        if figures is not None:
            yield f"![{block.title}]({figures}/{block.name}.png)"
