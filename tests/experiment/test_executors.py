"""Workers of every kind make what one process makes, whoever of them is lost; what cannot be done is one sentence."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.tiny_studies import model_of, options_in, sorted_rows, study_of

from audioxai.experiment import Cell, Plan, Study, execution, results_of, run
from audioxai.experiment.executors import dask_cluster, executor_of, processes, protocol
from audioxai.experiment.executors.protocol import ATTEMPTS, Receipt, batches, carry_out_by
from audioxai.experiment.executors.slurm import Slurm, _lost
from audioxai.experiment.runner import Job, jobs_of
from audioxai.experiment.study import RunOptions
from audioxai.results import Store
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Lines


def small_study(folder: Path, **changes: Any) -> Study:
    """Two models, one of them with mixtures too."""
    models = [model_of(folder, seed) for seed in (0, 1)]
    cells = (
        Cell(models[0], 0, 3, gradients=(8,)),
        Cell(models[1], 1, 3, gradients=(8,)),
        Cell(models[0], 0, 2, "mixtures"),
    )
    return study_of(folder, **({"cells": cells} | changes))


@pytest.fixture(scope="module")
def expected(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    plan = Plan(small_study(sounds_folder), options_in(tmp_path_factory.mktemp("one"), threads=1))
    run(plan)
    return sorted_rows(results_of(plan).rows)


def rows_by(study: Study, folder: Path, **engine: Any) -> pd.DataFrame:
    plan = Plan(study, options_in(folder, threads=1, **engine))
    run(plan)
    return sorted_rows(results_of(plan).rows)


def all_jobs(plan: Plan) -> list[Job]:
    return jobs_of(plan, list(plan.tasks()))


def test_every_task_is_in_one_job_after_the_training_that_it_needs(sounds_folder: Path, tmp_path: Path) -> None:
    plan = Plan(small_study(sounds_folder), options_in(tmp_path))
    jobs = all_jobs(plan)
    done = [repr(task) for job in jobs for task in job.tasks if task.kind != "train"]
    assert sorted(done) == sorted(repr(task) for task in plan.tasks("explain", "score"))
    training = [job for job in jobs if job.tasks[0].kind == "train"]
    assert [job.cell.model for job in training] == [cell.model for cell in plan.cells[:2]]
    for place, job in enumerate(jobs):
        if job not in training:
            (needed,) = job.needs
            assert needed < place
            assert jobs[needed].cell.model == job.cell.model
            assert job.tasks[0].kind == "explain"


def test_batches_are_of_one_cell_and_about_as_many_as_asked_for(sounds_folder: Path, tmp_path: Path) -> None:
    jobs = all_jobs(Plan(small_study(sounds_folder), options_in(tmp_path)))
    for wanted in (1, 2, 5, 100):
        made = batches(jobs, range(len(jobs)), wanted)
        assert [number for batch in made for number in batch] == list(range(len(jobs)))
        assert all(len({jobs[number].cell for number in batch}) == 1 for batch in made)
        assert len(made) >= min(wanted, len(jobs))
        assert max(map(len, made)) <= -(-len(jobs) // wanted)


class Pretended:
    """A pool that ends jobs as a script says: states of each job's attempts, ``done`` once these are used up."""

    def __init__(self, jobs: Sequence[Job], ends: dict[int, list[protocol.State]]) -> None:
        self.jobs, self.ends = jobs, ends
        self.waiting: list[int] = []
        self.order: list[int] = []
        self.closed = False

    def submit(self, numbers: Sequence[int]) -> None:
        self.waiting += numbers

    def receipts(self) -> list[Receipt]:
        number = self.waiting.pop()
        self.order.append(number)
        left = self.ends.get(number, [])
        return [Receipt(number, left.pop(0) if left else "done", "because")]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def jobs(sounds_folder: Path, tmp_path: Path) -> list[Job]:
    return all_jobs(Plan(small_study(sounds_folder), options_in(tmp_path)))


def silent() -> Lines:
    return Lines(1, "test")


def test_lost_jobs_are_done_again_and_nothing_runs_before_what_it_needs(jobs: list[Job]) -> None:
    lost: dict[int, list[protocol.State]] = {
        1: ["worker lost", "cluster lost", "cluster lost", "cluster lost", "worker lost"],
        0: ["cluster lost"],
    }
    pool = Pretended(jobs, lost)
    carry_out_by(pool, jobs, silent())
    assert pool.closed
    assert pool.order.count(1) == 6
    assert set(pool.order) == set(range(len(jobs)))
    last = {number: place for place, number in enumerate(pool.order)}
    first = {number: place for place, number in reversed(list(enumerate(pool.order)))}
    assert all(last[needed] < first[number] for number, job in enumerate(jobs) for needed in job.needs)


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        (["worker lost"] * ATTEMPTS, UserError),
        (["refused"], UserError),
        (["failed"], RuntimeError),
    ],
)
def test_what_cannot_be_done_ends_the_run_and_closes_the_pool(
    ends: list[protocol.State], error: type[Exception], jobs: list[Job]
) -> None:
    pool = Pretended(jobs, {0: ends})
    with pytest.raises(error, match=r"because|memory"):
        carry_out_by(pool, jobs, silent())
    assert pool.closed


def killing(when: Callable[[], int | None]) -> threading.Thread:
    """A thread that kills the first process that ``when`` names."""

    def kill() -> None:
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            victim = when()
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_the_job_of_a_killed_process_is_done_by_another(
    expected: pd.DataFrame, sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[processes._Pool] = []
    start = processes._Pool.__init__

    def noted(self: processes._Pool, *given: Any) -> None:
        start(self, *given)
        pools.append(self)

    monkeypatch.setattr(processes._Pool, "__init__", noted)

    def at_work() -> int | None:
        shards = len(list((tmp_path / "results").rglob("*.parquet")))
        busy = [worker.process.pid for pool in pools for worker in pool._workers if worker.busy]
        return busy[0] if busy and shards >= 3 else None

    thread = killing(at_work)
    made = rows_by(small_study(sounds_folder), tmp_path, workers=2)
    thread.join()
    assert not thread.is_alive()
    pd.testing.assert_frame_equal(made, expected, check_exact=True)


@pytest.mark.slow
def test_bad_input_in_a_worker_is_one_sentence_and_leaves_what_was_done(sounds_folder: Path, tmp_path: Path) -> None:
    study = small_study(sounds_folder)
    plan = Plan(study, options_in(tmp_path, threads=1, workers=2))
    run(plan, "train")
    (plan.place(study.cells[1]).weights).write_bytes(b"no weights")
    with pytest.raises(UserError, match=plan.place(study.cells[1]).weights.name):
        run(plan)
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a Dask scheduler, or a worker of one, as a process of its own."""
    pytest.importorskip("distributed")
    import subprocess
    import sys

    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
        with (tmp_path / f"{arguments[0]}{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_makes_what_one_process_makes(
    expected: pd.DataFrame, sounds_folder: Path, tmp_path: Path, scheduler: Callable[..., Any]
) -> None:
    from helpers.ports import free_port

    port = free_port()
    scheduler("dask_scheduler", "--port", str(port), "--host", "127.0.0.1", "--no-dashboard", "--no-show")
    address = f"tcp://127.0.0.1:{port}"
    workers = [scheduler("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)]
    results = tmp_path / "results"
    thread = killing(lambda: workers[0].pid if len(list(results.rglob("*.parquet"))) >= 3 else None)
    made = rows_by(small_study(sounds_folder), tmp_path, dask=address)
    thread.join()
    pd.testing.assert_frame_equal(made, expected, check_exact=True)


class PretendedClient:
    """A client of Dask that carries out nothing; its scheduler goes away when ``status`` says so."""

    def __init__(self) -> None:
        self.status, self.submitted, self.closed = "running", 0, False

    def scheduler_info(self, **_: object) -> dict[str, Any]:
        return {"workers": {"one": {}}}

    def submit(self, _: object, __: Plan, numbered: Sequence[tuple[int, Job]], **___: object) -> "PretendedFuture":
        self.submitted += len(numbered)
        receipts = [Receipt(number, "done") for number, _ in numbered]
        return PretendedFuture(receipts)

    def as_current(self) -> nullcontext[None]:
        return nullcontext()

    def cancel(self, _: object) -> None:
        raise OSError("gone")

    def close(self, **_: object) -> None:
        self.closed = True


@dataclass(eq=False)
class PretendedFuture:
    """A future that is done."""

    receipts: list[Receipt]
    status: str = "finished"

    def done(self) -> bool:
        return True

    def exception(self) -> None:
        return None

    def result(self) -> list[Receipt]:
        return self.receipts


def test_a_scheduler_that_returns_gets_what_was_under_way_again(
    sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    distributed = pytest.importorskip("distributed")
    clients = [PretendedClient(), PretendedClient()]
    waited: list[float] = []

    def connected(_: str, within_s: float) -> PretendedClient:
        waited.append(within_s)
        return clients[len(waited) - 1]

    monkeypatch.setattr(dask_cluster, "_connected", connected)
    monkeypatch.setattr(distributed, "wait", lambda *_, **__: None)
    plan = Plan(small_study(sounds_folder), options_in(tmp_path))
    jobs = all_jobs(plan)
    pool = dask_cluster._Pool(plan, jobs, "tcp://here:1")
    pool.submit([0, 1])
    clients[0].status = "closed"
    lost = pool.receipts()
    assert sorted((receipt.number, receipt.state) for receipt in lost) == [(0, "cluster lost"), (1, "cluster lost")]
    assert clients[0].closed
    assert waited == [dask_cluster.CONNECT_S, dask_cluster.RECONNECT_S]
    assert capsys.readouterr().err.count("tcp://here:1") == 1
    carry_out_by(pool, jobs, silent())
    assert clients[1].submitted == len(jobs)
    assert clients[1].closed


def test_no_scheduler_is_one_sentence(sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.2)
    plan = Plan(small_study(sounds_folder), options_in(tmp_path, dask="tcp://127.0.0.1:9"))
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9"):
        run(plan)


@pytest.mark.parametrize("missing", ["distributed", "submitit"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    given = {"distributed": {"dask": "local"}, "submitit": {"slurm": ""}}[missing]
    with pytest.raises(UserError, match=r"audioxai\[(dask|slurm)\]"):
        executor_of(RunOptions(**given))  # type: ignore[arg-type]


def test_settings_of_slurm_are_read_and_refused(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    assert Slurm.of("partition=gpu, gpus=1,time=120", tmp_path).settings == {"partition": "gpu", "gpus": 1, "time": 120}
    assert Slurm.of("", tmp_path).settings == {}
    for wrong in ("gpu", "queue=gpu", "gpus=", "gpus=0", "time=1.5", "partition"):
        with pytest.raises(UserError, match=wrong):
            Slurm.of(wrong, tmp_path)
    assert [receipt.state for receipt in _lost([4, 5], "OUT_OF_MEMORY")] == ["worker lost", "cluster lost"]
    assert [receipt.state for receipt in _lost([4, 5], "PREEMPTED")] == ["cluster lost", "cluster lost"]


def test_workers_that_write_elsewhere_are_noticed(
    sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: object) -> None:
            """Say that all is done, as workers do whose folder of that name is another."""

    monkeypatch.setattr(execution, "executor_of", lambda _: Elsewhere())
    monkeypatch.setattr(execution, "SHOWN_WITHIN_S", 0.0)
    with pytest.raises(UserError, match=tmp_path.name):
        run(Plan(small_study(sounds_folder), options_in(tmp_path)))


def test_a_cluster_gets_folders_that_do_not_depend_on_where_a_worker_was_started(
    sounds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(small_study(sounds_folder), RunOptions())
    sent = dask_cluster._anywhere(plan).options
    assert (sent.results, sent.checkpoints) == (tmp_path / "results", tmp_path / "checkpoints")


def test_whatever_carries_it_out_has_the_same_place(sounds_folder: Path, tmp_path: Path) -> None:
    study = small_study(sounds_folder)
    plan = Plan(study, options_in(tmp_path))
    elsewhere = Plan(study, replace(plan.options, workers=3))
    assert [plan.place(cell).weights for cell in plan.cells] == [elsewhere.place(cell).weights for cell in plan.cells]
    assert Store(tmp_path, study.name).rows_path("a", "b").name == "b.parquet"
