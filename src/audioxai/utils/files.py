"""Writing files so that nothing half-written is ever taken for complete."""

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from audioxai.utils.errors import UserError

# Of a name, with room for machine and process in the 255 bytes that a file system allows.
_LONGEST_PART_BYTES = 120


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary name next to ``path`` to write to; it becomes ``path`` in one step if the body succeeds, else goes.

    The name is the process's own, also where several machines share the folder; whoever is last wins, whole. What
    killed processes of this machine left in the folder goes, too.

    Raises
    ------
    OSError
        Naming ``path`` where writing failed, also for what safetensors makes of a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    temporary = path.with_name(f".{_short(path.name)}{_own_suffix(os.getpid())}")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        number = _error_number(error)
        if number is None or getattr(error, "filename", None) not in (None, str(temporary)):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        # Where not even the temporary name could be had, that is not to be removed either.
        with contextlib.suppress(OSError):
            temporary.unlink()


@functools.cache
def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes of this machine were writing in a folder; once a process."""
    pattern = re.compile(re.escape(_own_suffix("PROCESS")).replace("PROCESS", r"(\d+)"))
    with os.scandir(folder) as entries:
        for entry in entries:
            of_process = pattern.search(entry.name)
            if of_process is not None and of_process.end() == len(entry.name) and not runs(int(of_process[1])):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def runs(process: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _own_suffix(process: object) -> str:
    return f".{platform.node()}.{process}.partial"


def _short(name: str) -> str:
    """A name as it is, or its digest where it is long."""
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_PART_BYTES else hashlib.blake2b(raw, digest_size=16).hexdigest()


def plain(text: str) -> str:
    r"""Text of a name that is not UTF-8 (an old archive) with its odd bytes written out, all else as it is.

    Names keep such bytes as halves of surrogate pairs, which no file of text can hold.

    Examples
    --------
    >>> plain("jos\udce9.wav")
    'jos\\xe9.wav'
    >>> plain("josé.wav")
    'josé.wav'
    """
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves that no name of a file has
        raw = text.encode("utf-8", "surrogatepass")
    return raw.decode("utf-8", "backslashreplace")


def require_folder(what: str, folder: Path) -> None:
    """Refuse a folder that can neither be there nor be made.

    Raises
    ------
    UserError
        If its name is none that the system takes, or there is a file in its place or on the way to it.
    """
    try:
        if folder.stat() and folder.is_dir():
            return
        reason = "it is a file"
    except FileNotFoundError:
        return
    except UnicodeEncodeError:
        reason = "the locale has no such letters; set PYTHONUTF8=1"
    except ValueError as error:  # a NUL
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    raise UserError(f"{what} is {str(folder)!r}, which cannot be used ({reason}); choose another folder")


def require_file(what: str, file: Path) -> None:
    """Refuse a file that can neither be there nor be made; raises as :func:`require_folder` does."""
    require_folder(what, file.parent)
    if file.is_dir():
        raise UserError(f"{what} is {str(file)!r}, which is a folder; name a file")


def storable(text: str) -> str:
    r"""Text that UTF-8 can hold: what stands for a byte of a name that is not UTF-8 becomes an escape, as in JSON.

    So JSON stays what it was, where :func:`plain` writes what is to be read.

    Examples
    --------
    >>> storable("jos\udce9")
    'jos\\udce9'
    """
    return text.encode(errors="backslashreplace").decode()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step; a path in it that is not UTF-8 is written as :func:`storable` does."""
    write_bytes(path, storable(text).encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes in one step and return the place.

    What is there already is not written again, so that finished results can lie in a read-only folder.
    """
    if not path.is_file() or path.stat().st_size != len(content) or path.read_bytes() != content:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return path


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step, keys as given, one entry per line."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """What :func:`write_json` writes."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def digest_of_json(content: Any) -> str:
    """Hexadecimal hash of JSON-able content as it will be read, whatever the order of its keys."""
    read = json.loads(json.dumps(content))
    return hashlib.blake2b(json.dumps(read, sort_keys=True).encode(), digest_size=16).hexdigest()


def _error_number(error: OSError | SafetensorError) -> int | None:
    """The system's error number, which safetensors gives in its message only; None where there is none."""
    if isinstance(error, OSError):
        return error.errno
    stated = re.search(r"\(os error (\d+)\)", str(error))
    return None if stated is None else int(stated.group(1))
