"""What every command line does alike: one line and exit code 2 for bad input, 130 when interrupted."""

import argparse
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from audioxai.utils.errors import UserError

USER_ERROR_EXIT = 2
INTERRUPTED_EXIT = 130
CLOSED_PIPE_EXIT = 141
# Longer complaints, as of a value of a megabyte, lose their middle.
LONGEST_LINE = 1_000

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class OneLineParser(argparse.ArgumentParser):
    """Argument parser whose complaints are user errors (one line) instead of the usage text and an exit."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint; ``--help`` prints the usage."""
        raise UserError(f"{message}; see --help")


def run_command(main: Callable[[list[str]], None], argv: Sequence[str] | None = None) -> int:
    """Exit code of ``main(arguments)``: 0, 2 for bad input or an unusable place for files, 130 when interrupted.

    141 when whatever reads standard output has closed it, as ``| head`` does.

    ``--debug`` anywhere in the arguments is taken out before ``main`` sees them and lets every exception through.
    Use as ``raise SystemExit(run_command(main))``.
    """
    _accept_every_letter()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--debug" in arguments:
        main([argument for argument in arguments if argument != "--debug"])
        return 0
    try:
        with storage_errors():
            main(arguments)
            sys.stdout.flush()  # here, and not when the process ends, where a closed pipe cannot be handled
    except BrokenPipeError:
        if not _stdout_is_closed():
            raise
        return CLOSED_PIPE_EXIT
    except UserError as error:
        print("error: " + printable(str(error)), file=sys.stderr)
        return USER_ERROR_EXIT
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on where it stopped", file=sys.stderr)
        return INTERRUPTED_EXIT
    return 0


def printable(message: str) -> str:
    r"""A message in one line, with what would steer a terminal (in names of files) written out, and not too long.

    Examples
    --------
    >>> printable("no \x1b[31m colours,\n one line, é as it is")
    'no \\x1b[31m colours, one line, é as it is'
    """
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(message.split()))
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"


def _accept_every_letter() -> None:
    r"""Let output in another encoding than UTF-8 show what it lacks as ``\u2212``, not fail when all work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stdout_is_closed() -> bool:
    """Whether the reader of standard output is gone; what is left in its buffer is then dropped."""
    place = sys.stdout.fileno()
    poll = select.poll()
    poll.register(place, 0)
    closed = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), place)
    return closed


def completion_script(program: str, parsers: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """Script that makes a shell complete a program's commands, their options and the choices of these.

    Parameters
    ----------
    program : str
        The command that is typed.
    parsers : mapping
        Parser of every command; words of two parts, such as ``run objective1``, are a command and its subcommand.
    shell : {"bash", "zsh"}
        The shell that reads the script.

    Raises
    ------
    UserError
        If shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise UserError("shell completion needs shtab; install audioxai[completion]") from error
    tree = argparse.ArgumentParser(prog=program)
    levels = {"": tree.add_subparsers()}
    for name, parser in parsers.items():
        above, _, own = name.rpartition(" ")
        # shtab leaves out subcommands without a help text.
        added = levels[above].add_parser(own, parents=[parser], add_help=False, help=parser.description or own)
        if any(other.startswith(f"{name} ") for other in parsers):
            levels[name] = added.add_subparsers()
    script: str = shtab.complete(tree, shell)
    return script


@contextmanager
def storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turn an unusable place for files into a ``UserError`` naming ``path`` (or the path in the error).

    Raises
    ------
    UserError
        For a full disk, an exceeded quota or limit of a file's size, a forbidden or a read-only place, a file where a
        folder has to be, or a name that is too long; other errors pass as they are.
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
    if error.errno == errno.EISDIR:
        return f"{where} is a folder where a file is needed; choose another name"
    if error.errno == errno.EFBIG:
        return f"{where} is larger than a file may be here; raise the limit (ulimit -f) or choose another disk"
    if error.errno in _NO_NAME:
        return f"{where[:200]} is a name that cannot be used ({error.strerror}); choose a shorter one"
    if error.errno in _NO_FOLDER:
        return f"{where} is a file where a folder is needed; choose another folder"
    if error.errno in _FORBIDDEN:
        return f"no permission to use {where} ({error.strerror}); change its permissions or choose another folder"
    return None
