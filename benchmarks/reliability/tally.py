"""What every part of the campaign shares: outcomes and their counts, and children with a time limit.

A case is *used*, or *refused* in one sentence. All else is a fault: a traceback (also a crash), a hang, a result that
is silently wrong, a file written outside its folder, a row that was finished and is gone.
"""

import contextlib
import io
import multiprocessing
import os
import resource
import signal
import subprocess
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from audioxai.utils.commands import USER_ERROR_EXIT, run_command
from audioxai.utils.errors import UserError

Case = TypeVar("Case")
LONGEST_SENTENCE = 2_000
SHOWN_FAULTS = 20
ENDING_S = 2.0
# A child that needs more than this has met a bomb.
MEMORY_BYTES = 8 << 30
# Imported once, so that a child starts in milliseconds.
PRELOADED = ["audioxai.datasets.supply", "audioxai.studies.command", "audioxai.studies.objective2"]


class Verdict(StrEnum):
    """What became of a case; all but the first two are faults."""

    USED = "used"
    REFUSED = "refused with a sentence"
    TRACEBACK = "tracebacks"
    HANG = "hangs"
    WRONG = "silently wrong"
    OUTSIDE = "written outside"
    LOST = "lost rows"


FAULTS = tuple(Verdict)[2:]


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and what was said about it."""

    verdict: Verdict
    said: str = ""


@dataclass(frozen=True)
class Tally:
    """Counts of one part of the campaign.

    Attributes
    ----------
    part : str
        Name of the part.
    counts : mapping of Verdict to int
        Cases by what became of them.
    faults : tuple of str
        Every fault: case, verdict and what was said.
    """

    part: str
    counts: Mapping[Verdict, int]
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: str, outcomes: Iterable[tuple[str, Outcome]]) -> "Tally":
        """Tally of ``(name of the case, outcome)``."""
        counts: Counter[Verdict] = Counter()
        faults = []
        for name, outcome in outcomes:
            counts[outcome.verdict] += 1
            if outcome.verdict in FAULTS:
                faults.append(f"{part}, {name}: {outcome.verdict}: {outcome.said}")
        return cls(part, {verdict: counts[verdict] for verdict in Verdict}, tuple(faults))

    @property
    def tried(self) -> int:
        """Number of cases."""
        return sum(self.counts.values())

    @property
    def is_clean(self) -> bool:
        """Whether something was tried and nothing went wrong."""
        return self.tried > 0 and not any(self.counts[verdict] for verdict in FAULTS)


def in_children(
    act: Callable[[Case], Outcome],
    cases: Sequence[Case],
    limit_s: float,
    *,
    fresh: bool = False,
    memory_bytes: int = MEMORY_BYTES,
) -> Iterator[Outcome]:
    """Outcome of ``act(case)`` of every case, in order, in a child that is replaced after a crash or a hang.

    A ``UserError`` of ``act`` is a refusal, any other exception a traceback.

    Parameters
    ----------
    act : callable
        A function of a module (the child imports it), as cases have to be picklable.
    cases : sequence
        What it is called with.
    limit_s : float
        Longest time for one case in seconds.
    fresh : bool
        Whether every case gets a child of its own.
    memory_bytes : int
        Address space that a child may have.
    """
    child: _Child | None = None
    try:
        for case in cases:
            child = child or _Child(act, memory_bytes)
            outcome = child.outcome(case, limit_s)
            if fresh or outcome.verdict in (Verdict.HANG, Verdict.TRACEBACK):
                child.end()
                child = None
            yield outcome
    finally:
        if child is not None:
            child.end()


def of_action(act: Callable[[], object]) -> Outcome:
    """Outcome of something that returns, or raises; an :class:`Outcome` that it returns stands."""
    try:
        returned = act()
    except UserError as error:
        return refusal(str(error))
    except BaseException:  # noqa: BLE001 (whatever it is, it is a fault of the case and not of the campaign)
        return Outcome(Verdict.TRACEBACK, traceback.format_exc())
    return (
        returned if isinstance(returned, Outcome) else Outcome(Verdict.USED, "" if returned is None else f"{returned}")
    )


def of_main(main: Callable[[list[str]], None], arguments: Sequence[str]) -> Outcome:
    """Outcome of a command line within this process, with all that it prints as a terminal of UTF-8 would take it."""
    written = io.BytesIO()
    with (
        io.TextIOWrapper(written, "utf-8", write_through=True) as out,
        io.TextIOWrapper(written, "utf-8", "backslashreplace", write_through=True) as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = run_command(main, arguments)
        except Exception:  # noqa: BLE001 (whatever it is, it is a fault of the case and not of the campaign)
            return Outcome(Verdict.TRACEBACK, traceback.format_exc())
        return of_exit(code, written.getvalue().decode(errors="replace"))


def of_command(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Outcome of a command line, killed with all its children after ``limit_s`` seconds."""
    with tempfile.TemporaryFile() as written:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        written.seek(0)
        said = written.read().decode(errors="replace")
    return of_exit(code, said)


def of_exit(code: int | None, said: str) -> Outcome:
    """Outcome of a command line by its exit code (None: it did not end) and all that it printed."""
    if code is None:
        return Outcome(Verdict.HANG, said)
    if "Traceback (most recent call last)" in said:
        return Outcome(Verdict.TRACEBACK, said)
    if code == 0:
        return Outcome(Verdict.USED, said)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if code == USER_ERROR_EXIT and len(errors) == 1:
        return refusal(errors[0])
    return Outcome(Verdict.TRACEBACK, f"exit code {code}: {said}")


def refusal(sentence: str) -> Outcome:
    """Outcome of a refusal, which has to be a sentence that can be shown."""
    if not sentence.strip() or len(sentence) > LONGEST_SENTENCE:
        return Outcome(Verdict.TRACEBACK, f"no sentence: {sentence[:300]!a}")
    return Outcome(Verdict.REFUSED, sentence)


def written_outside(folder: Path, *allowed: Path) -> Callable[[], list[str]]:
    """Function that names what has appeared, changed or gone in ``folder``, apart from ``allowed``, since this call."""

    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for parent, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if Path(parent, name) not in allowed]
            for name in (*folders, *files):
                place = Path(parent, name)
                status = place.lstat()
                # The time of a folder changes with what is allowed in it.
                found[str(place)] = (status.st_size, status.st_mtime_ns) if name in files else (0, 0)
        return found

    before = state()

    def changes() -> list[str]:
        now = state()
        return sorted(place for place in before.keys() | now.keys() if before.get(place) != now.get(place))

    return changes


def how_many(full: int, scale: float) -> int:
    """Number of cases at a scale, at least one."""
    return max(1, round(full * scale))


class _Child:
    """A process that does one case after the other."""

    def __init__(self, act: Callable[[Any], Outcome], memory_bytes: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, act, memory_bytes), daemon=True)
        self._process.start()
        theirs.close()
        # Whatever it takes to import the part is not the case's.
        self._connection.recv()

    def outcome(self, case: object, limit_s: float) -> Outcome:
        self._connection.send(case)
        if not self._connection.poll(limit_s):
            return Outcome(Verdict.HANG, f"more than {limit_s:g} s")
        try:
            outcome: Outcome = self._connection.recv()
        except EOFError:
            self._process.join()
            return Outcome(Verdict.TRACEBACK, f"died with exit code {self._process.exitcode}")
        return outcome

    def end(self) -> None:
        self._connection.close()
        # A child that waits for its next case ends by itself.
        self._process.join(ENDING_S)
        self._process.kill()
        self._process.join()
        self._process.close()


def _serve(connection: "Connection[Any, Any]", act: Callable[[Any], Outcome], memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send(None)
    while True:
        try:
            case = connection.recv()
        except EOFError:
            return
        connection.send(of_action(partial(act, case)))
