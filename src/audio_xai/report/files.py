"""Reports on disk: whole or not at all."""

import os
from pathlib import Path

from audio_xai.utils.errors import UserError


def replace_file(path: Path, content: bytes) -> Path:
    """Write ``content`` under a temporary name and move it to ``path``; nothing half-written is ever seen.

    Raises
    ------
    UserError
        If the folder cannot be made or written to, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {path} ({reason}); free some space or choose another folder") from error
    finally:
        _remove(temporary)
    return path


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself may be what is missing; the first error says so
