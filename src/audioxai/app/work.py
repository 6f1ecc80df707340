"""Processes that hold the models, so that the server never runs one.

Idea
----
One process answers what a reader waits for (predictions, the eraser), another one explains. Each has models of its own:
a method that hooks into a model does not disturb the eraser's passes, a model that holds Python's lock or crashes does
not hold the server, and an explanation can be stopped at any moment. Where it does not stop by itself after its next
pass, its process is killed, and the next request starts another one.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from audioxai.utils.errors import UserError
from audioxai.utils.progress import Report

if TYPE_CHECKING:
    from audioxai.models.loading import Model

    Loader = Callable[[], Model]

# Work that is stopped has this long to end by itself.
STOP_S = 2.0
# A fresh interpreter: forked ones inherit locks that threads may hold.
_context = multiprocessing.get_context("spawn")


class StoppedError(Exception):
    """What was asked for was stopped."""


@dataclass(frozen=True, eq=False)
class _Child:
    """A process that was started, and the way to it."""

    process: BaseProcess
    connection: Connection

    def end(self) -> None:
        """Kill the process and wait until it has ended."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Worker:
    """A process that answers one request after the other, in their order.

    Parameters
    ----------
    loaders : sequence of callable
        Each returns a model; they are called in the process.
    name : str
        What the process is for.
    niceness : int
        How much it yields to other processes.
    """

    def __init__(self, loaders: "Sequence[Loader]", name: str, niceness: int = 0) -> None:
        self._loaders, self._name, self._niceness = tuple(loaders), name, niceness
        # Whoever has the turn is the only one to start, ask or end the process; anybody may kill it.
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    async def ask(self, request: Any, report: Report | None = None, longest_s: float | None = None) -> Any:
        """The answer to a request; when the caller is cancelled, so is the work.

        Parameters
        ----------
        request : Request
            As :meth:`audioxai.app.answers.Answers.answer` takes it.
        report : callable, optional
            Is called in the event loop with the passes that are done, and all of them.
        longest_s : float, optional
            Seconds after which it is given up, counted from its turn; any time if not given.

        Raises
        ------
        UserError
            What was wrong with the request, that it took too long, or that the process has ended.
        StoppedError
            If the worker is closed.
        RuntimeError
            With the traceback of anything else.
        """
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            if report is not None:
                loop.call_soon_threadsafe(report, done, total)

        async with self._turn:
            child = await self._started()
            exchange = asyncio.create_task(asyncio.to_thread(self._exchange, child, request, tell))
            try:
                async with asyncio.timeout(longest_s):
                    return await asyncio.shield(exchange)
            except TimeoutError as error:
                await _to_its_end(_stopped(child, exchange))
                raise UserError(
                    f"the model has not answered within {longest_s:g} s; give a shorter sound, or a faster model"
                ) from error
            except asyncio.CancelledError:
                await _to_its_end(_stopped(child, exchange))
                raise

    async def close(self) -> None:
        """End the process, whatever it does; what is asked from now on is stopped."""
        self._is_closed = True
        if self._child is not None:
            self._child.process.kill()
        async with self._turn:
            if self._child is not None:
                await _to_its_end(asyncio.to_thread(self._child.end))
            self._child = None

    async def _started(self) -> _Child:
        """The process, which is started where there is none any more."""
        if not self._is_closed and (self._child is None or not self._child.process.is_alive()):
            await _to_its_end(asyncio.to_thread(self._start))
        # It may have been closed meanwhile.
        if self._is_closed or self._child is None:
            raise StoppedError
        return self._child

    def _start(self) -> None:
        if self._child is not None:
            self._child.end()
        ours, theirs = _context.Pipe()
        process = _context.Process(
            target=_serve, args=(theirs, self._loaders, self._niceness), daemon=True, name=self._name
        )
        with theirs:
            process.start()
        self._child = _Child(process, ours)

    def _exchange(self, child: _Child, request: Any, tell: Report) -> Any:
        """One request and its answer, in a thread."""
        try:
            child.connection.send(request)
            while (message := child.connection.recv())[0] == "passes":
                tell(*message[1:])
        except (EOFError, OSError) as error:
            child.end()
            raise UserError("the model's process has ended, maybe for lack of memory; try again") from error
        kind, outcome = message
        match kind:
            case "answer":
                return outcome
            case "refused":
                raise UserError(outcome)
            case "stopped":
                raise StoppedError
        raise RuntimeError(outcome)


async def _stopped(child: _Child, exchange: "asyncio.Task[Any]") -> None:
    """Stop what a process does, and kill the process where that takes long."""
    with contextlib.suppress(OSError):
        child.connection.send(None)
    done, _ = await asyncio.wait([exchange], timeout=STOP_S)
    if not done:
        child.process.kill()
        await asyncio.wait([exchange])
    # Nobody wants to know any more what came of it.
    if not exchange.cancelled():
        exchange.exception()


async def _to_its_end(work: "Coroutine[Any, Any, None]") -> None:
    """Wait for work until it is done, also where the waiting task is cancelled meanwhile; then it is so afterwards."""
    task, is_cancelled = asyncio.create_task(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    task.result()


def _serve(connection: Connection, loaders: "Sequence[Loader]", niceness: int) -> None:
    """What the process does: load the models at the first request, then answer until the server is gone."""
    # Ctrl-C is for the server, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    answers: Any = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = connection.recv()
            if request is None:  # to stop what was answered before this came
                continue
            try:
                if answers is None:
                    from audioxai.app.answers import Answers

                    answers = Answers([load() for load in loaders])
                outcome = ("answer", answers.answer(request, _reporting(connection)))
            except UserError as error:
                outcome = ("refused", str(error))
            except StoppedError:
                outcome = ("stopped", None)
            except Exception:  # noqa: BLE001 - whatever a model does is told to the server, which logs it
                outcome = ("failed", traceback.format_exc())
            connection.send(outcome)


def _reporting(connection: Connection) -> Report:
    """Tells the server of passes, and ends the work at the next pass after the server has sent anything."""

    def report(done: int, total: int) -> None:
        if connection.poll():
            connection.recv()
            raise StoppedError
        connection.send(("passes", done, total))

    return report
