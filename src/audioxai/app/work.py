"""Processes that hold the models, so that the server never runs one.

Idea
----
One process answers what a reader waits for (predictions, the eraser), another one explains. Each has models of its own:
a method that hooks into a model does not disturb the eraser's passes, a model that holds Python's lock or crashes does
not hold the server, and an explanation can be stopped at any moment. Where it does not stop by itself after its next
pass, its process is killed and started again.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from audioxai.utils.errors import UserError
from audioxai.utils.progress import Report

if TYPE_CHECKING:
    from audioxai.models.loading import Model

    Loader = Callable[[], Model]

# An explanation that is stopped has this long to end by itself.
STOP_S = 2.0
NICE = 10
# A fresh interpreter: forked ones inherit locks that threads may hold.
_context = multiprocessing.get_context("spawn")


class StoppedError(Exception):
    """An explanation was stopped."""


class Worker:
    """A process that answers one request after the other, in their order.

    Parameters
    ----------
    loaders : sequence of callable
        Each returns a model; they are called in the process.
    niceness : int
        How much it yields to other processes.
    """

    def __init__(self, loaders: "Sequence[Loader]", niceness: int = 0) -> None:
        self._loaders, self._niceness = tuple(loaders), niceness
        self._turn = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    async def ask(self, request: Any, report: Report | None = None) -> Any:
        """The answer to a request; when the caller is cancelled, so is the work.

        Parameters
        ----------
        request : Request
            As :meth:`audioxai.app.answers.Answers.answer` takes it.
        report : callable, optional
            Is called in the event loop with the passes that are done, and all of them.

        Raises
        ------
        UserError
            What was wrong with the request, or that the process has ended.
        RuntimeError
            With the traceback of anything else.
        """
        async with self._turn:
            loop = asyncio.get_running_loop()

            def tell(done: int, total: int) -> None:
                if report is not None:
                    loop.call_soon_threadsafe(report, done, total)

            exchange = asyncio.create_task(asyncio.to_thread(self._exchange, request, tell))
            try:
                return await asyncio.shield(exchange)
            except asyncio.CancelledError:
                await asyncio.shield(self._stopped(exchange))
                raise

    async def close(self) -> None:
        """End the process."""
        await asyncio.to_thread(self._kill)

    async def _stopped(self, exchange: "asyncio.Task[Any]") -> None:
        connection = self._connection
        with contextlib.suppress(OSError):
            if connection is not None:
                connection.send(None)
        done, _ = await asyncio.wait([exchange], timeout=STOP_S)
        # Killing the process ends the exchange; it may be about to start.
        while not done:
            if self._process is not None:
                self._process.kill()
            done, _ = await asyncio.wait([exchange], timeout=0.1)
        exchange.exception()

    def _exchange(self, request: Any, tell: Report) -> Any:
        if self._process is None or not self._process.is_alive():
            self._start()
        connection = self._connection
        assert connection is not None
        try:
            connection.send(request)
            while True:
                kind, *content = connection.recv()
                if kind == "passes":
                    tell(*content)
                else:
                    break
        except (EOFError, OSError) as error:
            self._kill()
            raise UserError("the model's process has ended, maybe for lack of memory; try again") from error
        (outcome,) = content
        if kind == "answer":
            return outcome
        if kind == "refused":
            raise UserError(outcome)
        if kind == "stopped":
            raise StoppedError
        raise RuntimeError(outcome)

    def _start(self) -> None:
        self._kill()
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(
            target=_serve, args=(theirs, self._loaders, self._niceness), daemon=True, name="audioxai model"
        )
        self._process.start()
        theirs.close()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _serve(connection: Connection, loaders: "Sequence[Loader]", niceness: int) -> None:
    """What the process does: load the models at the first request, then answer until the server is gone."""
    # Ctrl-C is for the server, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    answers: Any = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = connection.recv()
            if request is None:  # to stop what has been answered meanwhile
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
    def report(done: int, total: int) -> None:
        if connection.poll():
            connection.recv()
            raise StoppedError
        connection.send(("passes", done, total))

    return report
