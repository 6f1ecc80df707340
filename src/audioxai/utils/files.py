"""Writing files so that nothing half-written is ever taken for complete."""

import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary name next to ``path`` to write to; it becomes ``path`` in one step if the body succeeds, else goes.

    The name is the process's own, also where several machines share the folder; whoever is last wins, whole.

    Raises
    ------
    OSError
        Naming ``path`` where writing failed, also for what safetensors makes of a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        number = _error_number(error)
        if number is None or getattr(error, "filename", None) not in (None, str(temporary)):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes in one step and return the place."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step, keys as given, one entry per line."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """What :func:`write_json` writes."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _error_number(error: OSError | SafetensorError) -> int | None:
    """The system's error number, which safetensors gives in its message only; None where there is none."""
    if isinstance(error, OSError):
        return error.errno
    stated = re.search(r"\(os error (\d+)\)", str(error))
    return None if stated is None else int(stated.group(1))
