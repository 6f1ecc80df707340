"""Jobs in processes on this machine; one that is killed is replaced and its job is done by another."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from audioxai.experiment.executors.protocol import Receipt, carry_out_by, receipts_of
from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import Job
from audioxai.utils.progress import Progress

WAIT_S = 1.0


@dataclass(frozen=True)
class Processes:
    """Worker processes on this machine.

    Attributes
    ----------
    workers : int
        How many.
    """

    workers: int

    def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
        """Carry out all jobs; see :class:`~audioxai.experiment.executors.protocol.Executor`."""
        count = min(self.workers, len(jobs))
        threads = plan.options.threads or max(1, (os.cpu_count() or 1) // count)
        carry_out_by(_Pool(plan, jobs, count, threads), jobs, progress)


@dataclass(eq=False)
class _Worker:
    """A process, this end of the pipe to it, its last job and whether it is at work."""

    process: BaseProcess
    connection: Connection
    last: int | None = None
    busy: bool = False


class _Pool:
    """Processes that are started when there is a job for them."""

    def __init__(self, plan: Plan, jobs: Sequence[Job], count: int, threads: int) -> None:
        self._plan, self._jobs, self._threads = plan, jobs, threads
        # Forked processes inherit locks that threads of PyTorch may hold.
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._workers: list[_Worker] = []
        self._queue: list[int] = []

    def submit(self, numbers: Sequence[int]) -> None:
        """Have jobs carried out by the next idle workers."""
        self._queue += numbers
        self._assign()

    def receipts(self) -> list[Receipt]:
        """Receipts of jobs that have ended."""
        found = []
        for connection in wait([worker.connection for worker in self._workers], WAIT_S):
            worker = next(worker for worker in self._workers if worker.connection is connection)
            try:
                found.append(worker.connection.recv())
                worker.busy = False
            except (EOFError, OSError):
                found += self._lost(worker)
        self._assign()
        return found

    def close(self) -> None:
        """End all processes; what they write is written in one step, so nothing is half done."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _lost(self, worker: _Worker) -> list[Receipt]:
        self._workers.remove(worker)
        worker.process.join()
        worker.connection.close()
        return [Receipt(worker.last, "worker lost")] if worker.busy and worker.last is not None else []

    def _assign(self) -> None:
        while self._queue:
            idle = [worker for worker in self._workers if not worker.busy]
            if not idle and len(self._workers) >= self._count:
                return
            worker = idle[0] if idle else self._started()
            number = min(self._queue, key=lambda number: self._fit(worker, number))
            try:
                worker.connection.send((number, self._jobs[number]))
            except OSError:
                self._lost(worker)
                continue
            self._queue.remove(number)
            worker.last, worker.busy = number, True

    def _fit(self, worker: _Worker, number: int) -> tuple[bool, bool, int, int]:
        """How badly a job suits a worker: best of the cell or model that it has loaded, then of one that few have."""
        cell = self._jobs[number].cell
        last = None if worker.last is None else self._jobs[worker.last].cell
        loaded = Counter(self._jobs[other.last].cell for other in self._workers if other.last is not None)
        return cell != last, last is None or cell.model != last.model, loaded[cell], number

    def _started(self) -> _Worker:
        own, other = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(other, self._plan, self._threads), daemon=True)
        process.start()
        # Or the end of the process would not end the pipe.
        other.close()
        self._workers.append(_Worker(process, own))
        return self._workers[-1]


def _serve(connection: Connection, plan: Plan, threads: int) -> None:
    """A worker: jobs come, receipts go, until the pipe ends."""
    # An interrupt from the keyboard reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            numbered = connection.recv()
        except EOFError:
            return
        (receipt,) = receipts_of(plan, [numbered], threads)
        connection.send(receipt)
