"""A document as JSON for programs: its statements and its numbers at full precision."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.report.document import Bullets, Document, Paragraph
from audioxai.utils.files import write_bytes


def write_json(document: Document, folder: Path) -> Path:
    """Write ``<name>.json``."""
    return write_bytes(folder / f"{document.name}.json", json_text(document).encode())


def json_text(document: Document) -> str:
    """Question, stand-ins, answer, caveats, context and the document's data; NaN is null and keys keep their order."""
    content = {
        "question": document.question,
        "stand_in": dict(document.stand_ins),
        "answer": list(_texts(document, "answer")),
        "caveats": list(_texts(document, "limits")),
        "context": {key: document.context[key] for key in sorted(document.context)},
        **{name: _data(value) for name, value in document.data.items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain records of a frame, columns in their order, NaN and missing values as None."""
    plain = json.loads(table.to_json(orient="records", double_precision=15, force_ascii=False))
    return [dict(record) for record in plain]


def _data(value: object) -> object:
    return records(value) if isinstance(value, pd.DataFrame) else value


def _texts(document: Document, name: str) -> Iterator[str]:
    for section in document.sections:
        if section.name == name:
            for block in section.blocks:
                if isinstance(block, Paragraph):
                    yield block.text
                elif isinstance(block, Bullets):
                    yield from block.items
