"""Jobs as arrays of Slurm; those that are cancelled, preempted or out of time are queued again."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioxai.experiment.executors.protocol import Receipt, batches, carry_out_by, receipts_of
from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import Job
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Progress

POLL_S = 2.0
# Slurm forgets a job before a shared folder shows what it wrote.
GRACE_S = 20.0
DEFAULT_PARALLEL = 64
DEFAULT_TIME_MIN = 240
# Setting → what submitit calls it.
SETTINGS = {
    "partition": "slurm_partition",
    "account": "slurm_account",
    "qos": "slurm_qos",
    "constraint": "slurm_constraint",
    "gpus": "gpus_per_node",
    "cpus": "cpus_per_task",
    "memory_gb": "mem_gb",
    "time": "timeout_min",
    "parallel": "slurm_array_parallelism",
}
# States after which Slurm does nothing more with a job; those of them that are no job's own fault.
INNOCENT = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL"}
ENDED = INNOCENT | {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"}
NUMBERS = ("gpus", "cpus", "memory_gb", "time", "parallel")


@dataclass(frozen=True)
class Slurm:
    """Arrays of jobs on a Slurm cluster, by submitit.

    Attributes
    ----------
    settings : mapping
        Of :data:`SETTINGS`, such as ``{"partition": "gpu", "gpus": 1, "time": 120}``, the time in minutes.
    folder : Path
        On a file system that the cluster shares; gets scripts and logs of the jobs.
    """

    settings: Mapping[str, str | int]
    folder: Path

    @classmethod
    def of(cls, written: str, folder: Path) -> "Slurm":
        """From settings as they are written on a command line, ``partition=gpu,gpus=1,time=120``.

        Raises
        ------
        UserError
            If one is not known, not a number where one is due, or submitit is not installed.
        """
        try:
            import submitit  # noqa: F401 (whether it is there)
        except ImportError as error:
            raise UserError("submitit is not installed; install audioxai[slurm]") from error
        settings: dict[str, str | int] = {}
        for one in filter(None, (part.strip() for part in written.split(","))):
            name, _, value = one.partition("=")
            if name not in SETTINGS or not value:
                raise UserError(f"slurm has {one!r}; write NAME=VALUE with names among {', '.join(SETTINGS)}")
            if name in NUMBERS and not (value.isdecimal() and int(value) > 0):
                raise UserError(f"slurm has {one!r}; {name} is a positive whole number")
            settings[name] = int(value) if name in NUMBERS else value
        return cls(settings, folder)

    def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
        """Carry out all jobs; see :class:`~audioxai.experiment.executors.protocol.Executor`."""
        carry_out_by(_Pool(plan, jobs, self), jobs, progress)


@dataclass(frozen=True)
class _Requeued:
    """What a job of an array does; queued again where its time is up or it is preempted, since jobs are idempotent."""

    def __call__(self, plan: Plan, numbered: Sequence[tuple[int, Job]]) -> list[Receipt]:
        return receipts_of(plan, numbered)

    def checkpoint(self, plan: Plan, numbered: Sequence[tuple[int, Job]]) -> Any:
        """The same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, plan, numbered)


@dataclass(eq=False)
class _Submitted:
    """A job of an array, the positions that it works on, its last state, and since when Slurm is done with it."""

    job: Any
    batch: list[int]
    state: str = ""
    gone_since_s: float | None = None


class _Pool:
    """Arrays that are in Slurm's queue."""

    def __init__(self, plan: Plan, jobs: Sequence[Job], slurm: Slurm) -> None:
        import submitit

        self._plan, self._jobs = plan, jobs
        self._under_way: list[_Submitted] = []
        given = {SETTINGS[name]: value for name, value in slurm.settings.items()}
        self._parallel = int(slurm.settings.get("parallel", DEFAULT_PARALLEL))
        slurm.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._executor = submitit.AutoExecutor(folder=slurm.folder, cluster="slurm")
        except RuntimeError as error:
            raise UserError("there is no Slurm here (sbatch is not found); log in to a node of the cluster") from error
        self._executor.update_parameters(
            name=f"audioxai-{plan.study.name}",
            **{SETTINGS["time"]: DEFAULT_TIME_MIN, SETTINGS["parallel"]: DEFAULT_PARALLEL, **given},
        )

    def submit(self, numbers: Sequence[int]) -> None:
        """Put jobs into the queue as one array, in batches of one cell."""
        chosen = batches(self._jobs, numbers, self._parallel)
        numbered = [[(number, self._jobs[number]) for number in batch] for batch in chosen]
        made = self._executor.map_array(_Requeued(), [self._plan] * len(numbered), numbered)
        self._under_way += [_Submitted(job, batch) for job, batch in zip(made, chosen, strict=True)]

    def receipts(self) -> list[Receipt]:
        """Receipts of jobs that have ended; those that Slurm is done with and that have no result are lost."""
        time.sleep(POLL_S)
        states = _states([one.job.job_id for one in self._under_way])
        found: list[Receipt] = []
        for one in list(self._under_way):
            one.state = states.get(one.job.job_id, one.state)
            if one.job.paths.result_pickle.exists():
                self._under_way.remove(one)
                found += _receipts_in(one)
            elif one.job.job_id in states and one.state not in ENDED:
                one.gone_since_s = None
            elif one.gone_since_s is None:
                one.gone_since_s = time.monotonic()
            elif time.monotonic() - one.gone_since_s > GRACE_S:
                self._under_way.remove(one)
                found += _lost(one.batch, one.state)
        return found

    def close(self) -> None:
        """Take what is left out of the queue."""
        for one in self._under_way:
            one.job.cancel(check=False)
        self._under_way.clear()


def _receipts_in(one: _Submitted) -> list[Receipt]:
    try:
        receipts: list[Receipt] = one.job.result()
    except Exception as error:  # noqa: BLE001 (submitit has classes of its own for what went wrong outside of the job)
        return [Receipt(one.batch[0], "failed", f"{type(error).__name__}: {error}")]
    return receipts + _lost(one.batch[len(receipts) :])


def _lost(batch: Sequence[int], state: str = "") -> list[Receipt]:
    """Receipts of a batch whose worker is lost: only the first that is not done can be to blame, if any is."""
    blamed = None if state in INNOCENT else 0
    return [Receipt(number, "worker lost" if place == blamed else "cluster lost") for place, number in enumerate(batch)]


def _states(job_ids: Sequence[str]) -> dict[str, str]:
    """States of those of these jobs that Slurm still knows, of all where it does not answer; needs no accounting."""
    if not job_ids:
        return {}
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--jobs={','.join(job_ids)}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    # An invalid job id is what Slurm says of jobs that it has forgotten; its controller may be down for a while, too.
    if listed.returncode and "nvalid job id" not in listed.stderr:
        return dict.fromkeys(job_ids, "")
    return dict(line.split(maxsplit=1) for line in listed.stdout.splitlines() if line.strip())
