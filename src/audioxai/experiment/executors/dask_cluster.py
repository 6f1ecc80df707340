"""Jobs on a Dask cluster: on this machine, or wherever a scheduler's workers are (Slurm, Kubernetes, SSH)."""

import contextlib
import sys
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from audioxai.experiment.executors.protocol import ATTEMPTS, Receipt, batches, carry_out_by, receipts_of
from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import Job
from audioxai.experiment.study import LOCAL
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Progress

CONNECT_S = 30.0
# How long a scheduler that went away is waited for.
RECONNECT_S = 600.0
WAIT_S = 1.0
BATCHES_PER_WORKER = 4


@dataclass(frozen=True)
class DaskCluster:
    """A Dask cluster.

    Attributes
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; ``local`` for a cluster on this machine.
    workers : int
        Processes of a local cluster.
    """

    address: str
    workers: int = 1

    def __post_init__(self) -> None:
        try:
            import distributed  # noqa: F401 (whether it is there)
        except ImportError as error:
            raise UserError("dask is not installed; install audioxai[dask]") from error

    def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
        """Carry out all jobs; see :class:`~audioxai.experiment.executors.protocol.Executor`."""
        cluster_of: Any = import_module("distributed").LocalCluster
        if self.address != LOCAL:
            carry_out_by(_Pool(plan, jobs, self.address), jobs, progress)
            return
        with cluster_of(
            n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            carry_out_by(_Pool(plan, jobs, cluster.scheduler_address), jobs, progress)


class _Pool:
    """Workers of a scheduler."""

    def __init__(self, plan: Plan, jobs: Sequence[Job], address: str) -> None:
        self._plan, self._jobs, self._address = _anywhere(plan), jobs, address
        self._under_way: dict[Any, list[int]] = {}
        self._client = _connected(address, CONNECT_S)

    def submit(self, numbers: Sequence[int]) -> None:
        """Send jobs to the scheduler, in batches of one cell."""
        wanted = BATCHES_PER_WORKER * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        for batch in batches(self._jobs, numbers, wanted):
            numbered = [(number, self._jobs[number]) for number in batch]
            # Whether a job is done is known by the store alone, so no earlier result may be taken for a new one.
            future = self._client.submit(receipts_of, self._plan, numbered, pure=False)
            self._under_way[future] = batch

    def receipts(self) -> list[Receipt]:
        """Receipts of jobs that have ended; where the scheduler is lost, all that are under way are lost with it."""
        wait: Any = import_module("distributed").wait
        found: list[Receipt] = []
        try:
            with contextlib.suppress(TimeoutError), self._client.as_current():
                wait(list(self._under_way), WAIT_S, return_when="FIRST_COMPLETED")
            for future in [future for future in self._under_way if future.done()]:
                self._require_scheduler(future)
                found += self._receipts_in(future, self._under_way[future])
                del self._under_way[future]
            self._require_scheduler()
        except (OSError, CancelledError):
            # What the scheduler knew is gone with it; what was computed is in the store.
            found += self._cluster_lost()
        return found

    def close(self) -> None:
        """Cancel what is under way, and leave the cluster as it was."""
        with contextlib.suppress(OSError, TimeoutError):
            self._client.cancel(list(self._under_way))
        self._client.close(timeout=CONNECT_S)

    def _require_scheduler(self, future: Any = None) -> None:
        """Refuse what a client says whose scheduler is gone."""
        if self._client.status != "running" or (future is not None and future.status in ("lost", "cancelled")):
            raise ConnectionError(f"the scheduler at {self._address} is gone")

    def _receipts_in(self, future: Any, batch: Sequence[int]) -> list[Receipt]:
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            # Dask itself has tried it as often: only the first job of the batch that is not done can be to blame.
            return [
                *[Receipt(batch[0], "worker lost")] * (ATTEMPTS if len(batch) == 1 else 1),
                *[Receipt(number, "cluster lost") for number in batch[1:]],
            ]
        if isinstance(error, CancelledError | OSError):
            raise error
        if error is not None:
            return [Receipt(batch[0], "failed", f"{type(error).__name__}: {error}")]
        receipts: list[Receipt] = future.result()
        missing = batch[len(receipts) :]
        return receipts + [Receipt(number, "cluster lost") for number in missing]

    def _cluster_lost(self) -> list[Receipt]:
        lost = [number for batch in self._under_way.values() for number in batch]
        self._under_way.clear()
        print(f"the scheduler at {self._address} is gone; waiting for it to return", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close(timeout=1)
        self._client = _connected(self._address, RECONNECT_S)
        return [Receipt(number, "cluster lost") for number in lost]


def _anywhere(plan: Plan) -> Plan:
    """The plan with folders that are the same whatever folder a worker was started in."""
    options = plan.options
    return replace(
        plan,
        options=replace(options, results=options.results.absolute(), checkpoints=options.checkpoints.absolute()),
    )


def _connected(address: str, within_s: float) -> Any:
    """A client of the scheduler.

    Raises
    ------
    UserError
        If there is none at that address in time.
    """
    connect: Any = import_module("distributed").Client
    until = time.monotonic() + within_s
    while True:
        try:
            return connect(address, timeout=min(5.0, within_s), set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            if isinstance(error, ValueError) or time.monotonic() >= until:
                raise UserError(
                    f"no Dask scheduler answers at {address}; start one, or correct the address (tcp://host:8786)"
                ) from error
            time.sleep(1.0)
