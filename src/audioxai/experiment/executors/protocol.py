"""What an executor is, and what executors with workers share."""

import threading
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import Job, perform
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.progress import Progress

# A job whose workers are lost so often is given up: most probably it takes more memory than there is.
ATTEMPTS = 3

State = Literal["done", "refused", "failed", "worker lost", "cluster lost"]


class Executor(Protocol):
    """A way to carry out jobs."""

    def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
        """Carry out all jobs, each after those that it needs.

        Raises
        ------
        UserError
            If a job is refused, or loses its workers again and again; what other jobs have done is kept.
        """
        ...


@dataclass(frozen=True)
class Receipt:
    """What became of a job: all that travels back from a worker, results being in the store.

    Attributes
    ----------
    number : int
        Position of the job.
    state : str
        ``done``; ``refused`` for bad input; ``failed`` for an error of the program; or who was lost with it.
    message : str
        The sentence of a refusal, or the traceback of a failure.
    """

    number: int
    state: State
    message: str = ""


class Pool(Protocol):
    """Workers of one cluster, for the jobs of one plan."""

    def submit(self, numbers: Sequence[int]) -> None:
        """Have the jobs at these positions carried out, in any order."""
        ...

    def receipts(self) -> list[Receipt]:
        """Receipts of jobs that have ended since the last call; waits for one, and returns none now and then."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


def carry_out_by(pool: Pool, jobs: Sequence[Job], progress: Progress) -> None:
    """Carry out jobs by the workers of a pool, those again whose workers are lost, and close the pool.

    Raises
    ------
    UserError
        As :meth:`Executor.carry_out` does.
    RuntimeError
        If a job failed, with the worker's traceback.
    """
    waiting, done, lost = list(range(len(jobs))), set[int](), Counter[int]()
    try:
        while len(done) < len(jobs):
            ready = [number for number in waiting if done.issuperset(jobs[number].needs)]
            waiting = [number for number in waiting if number not in ready]
            if ready:
                pool.submit(ready)
            for receipt in pool.receipts():
                job = jobs[receipt.number]
                if receipt.state == "done":
                    done.add(receipt.number)
                    progress.set_postfix_str(job.label)
                    progress.update(job.passes)
                    continue
                _raise_if_final(receipt, job)
                lost[receipt.number] += receipt.state == "worker lost"
                if lost[receipt.number] >= ATTEMPTS:
                    raise UserError(
                        f"{job.label} has lost its worker {ATTEMPTS} times, most probably for want of memory; give "
                        "workers more memory or take fewer of them, and run the same command again to go on"
                    )
                waiting.append(receipt.number)
    finally:
        pool.close()


def _raise_if_final(receipt: Receipt, job: Job) -> None:
    if receipt.state == "refused":
        raise UserError(receipt.message)
    if receipt.state == "failed":
        raise RuntimeError(f"{job.label} failed in a worker:\n{receipt.message}")


# Models are set to evaluation mode and restored around calls, which two threads of one worker must not do at once.
_ONE_AT_A_TIME = threading.Lock()


def receipts_of(plan: Plan, numbered: Sequence[tuple[int, Job]], threads: int | None = None) -> list[Receipt]:
    """Carry out jobs one after the other in this process, which is a worker's, until one is refused or fails."""
    import torch

    with _ONE_AT_A_TIME:
        keep_freed_memory()
        if (threads or plan.options.threads) is not None:
            torch.set_num_threads(threads or plan.options.threads or 1)
        receipts = []
        for number, job in numbered:
            receipts.append(_receipt_of(plan, number, job))
            if receipts[-1].state != "done":
                break
        return receipts


def _receipt_of(plan: Plan, number: int, job: Job) -> Receipt:
    try:
        perform(plan, job)
    except UserError as error:
        return Receipt(number, "refused", str(error))
    except Exception:  # noqa: BLE001 (raised again by the process that asked for it)
        return Receipt(number, "failed", traceback.format_exc())
    return Receipt(number, "done")


def batches(jobs: Sequence[Job], numbers: Sequence[int], wanted: int) -> list[list[int]]:
    """Jobs in about so many batches, each of one cell, so that a worker loads a model and its samples once.

    Examples
    --------
    Of six jobs of one cell and two of another, in four batches::

        [[0, 1], [2, 3], [4, 5], [6, 7]]
    """
    size = -(-len(numbers) // max(1, wanted))
    found: list[list[int]] = []
    for number in numbers:
        last = found[-1] if found else []
        if last and len(last) < size and jobs[last[0]].cell == jobs[number].cell:
            last.append(number)
        else:
            found.append([number])
    return found
