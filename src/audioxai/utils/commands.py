"""What every command line does alike: one line and exit code 2 for what the user can mend, 130 when interrupted."""

import argparse
import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from audioxai.utils.errors import UserError

USER_ERROR_EXIT = 2
INTERRUPTED_EXIT = 130

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class OneLineParser(argparse.ArgumentParser):
    """Argument parser whose complaints are user errors (one line) instead of the usage text and an exit."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint; ``--help`` prints the usage."""
        raise UserError(f"{message}; see --help")


def run_command(main: Callable[[list[str]], None], argv: Sequence[str] | None = None) -> int:
    """Exit code of ``main(arguments)``: 0, 2 for what the user can mend, 130 when interrupted.

    ``--debug`` anywhere in the arguments is taken out before ``main`` sees them and lets every exception through.
    Use as ``raise SystemExit(run_command(main))``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--debug" in arguments:
        main([argument for argument in arguments if argument != "--debug"])
        return 0
    try:
        with storage_errors():
            main(arguments)
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return USER_ERROR_EXIT
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on where it stopped", file=sys.stderr)
        return INTERRUPTED_EXIT
    return 0


@contextmanager
def storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turn an unusable place for files into a ``UserError`` naming ``path`` (or the path in the error).

    Raises
    ------
    UserError
        For a full disk, an exceeded quota, a forbidden or a read-only place, or a file where a folder has to be; other
        errors pass as they are.
    """
    try:
        yield
    except OSError as error:
        message = _storage_message(error, path)
        if message is None:
            raise
        raise UserError(message) from error


def _storage_message(error: OSError, path: Path | None) -> str | None:
    place = error.filename if error.filename is not None else path
    where = "the disk" if place is None else str(place)
    if error.errno in _FULL:
        return f"no space is left for {where}; free some space or choose a folder on another disk"
    if error.errno in _NO_FOLDER:
        return f"{where} is a file where a folder is needed; choose another folder"
    if error.errno in _FORBIDDEN:
        return f"no permission to use {where} ({error.strerror}); change its permissions or choose another folder"
    return None
