"""The same rows from every engine, whoever dies, and what two workers gain.

    AUDIO_XAI_DATA=… python benchmarks/executors.py --json out.json
    AUDIO_XAI_DATA=… python benchmarks/executors.py --parts dask slurm --json out.json

Runs a small study of FSDD (two small CNNs, eight methods, four metrics) in one process, then

* *processes*: two local workers, one of them killed by SIGKILL in the middle; and, with trained models, one worker and
  two workers in turns, the medians of which give the speed-up;
* *dask*: a scheduler and three workers on this machine, one worker killed in the middle; then again with the scheduler
  killed and started anew, as a service manager does;
* *slurm*: an array on the Slurm of this machine (``benchmarks/slurm_node.sh`` starts one of one node), one of whose
  jobs is cancelled while it runs.

``same`` says whether all scores are those of one process, bit for bit.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Plan, RunOptions, Study, results_of, run
from audioxai.results import ROW_COLUMNS
from audioxai.studies.options import training
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text

PARTS = ("processes", "dask", "slurm")
METHODS = ("saliency", "input_x_gradient", "silence", "expected", "two_missingness", "ordered", "energy", "random")
METRICS = ("removal_worst", "faithfulness_correlation", "average_sensitivity", "mprt")
DASK_WORKERS = 3
KEYS = ["dataset", "model", "training_seed", "method", "gradients", "metric", "sample"]


def study(samples: int) -> Study:
    """Two models, eight methods, four metrics."""
    models = [
        ModelSpec(DataSpec("fsdd", limit=300), "small_cnn", (32, 32), training("small_cnn", 2, seed, "audio"))
        for seed in (0, 1)
    ]
    return Study(
        name="engines",
        title="Engines",
        question="Do all engines give the same rows?",
        cells=tuple(Cell(model, place, samples, gradients=(16,)) for place, model in enumerate(models)),
        methods=METHODS,
        metrics=tuple(MetricSpec(name) for name in METRICS),
        settings={"runs": 50, "draws": 3, "steps": 10},
        references=128,
        level_noise=True,
    )


def options(folder: Path, **engine: Any) -> RunOptions:
    """Everything below one folder, one thread per process."""
    return RunOptions(folder / "results", folder / "checkpoints", device="cpu", threads=1, **engine)


def carried_out(folder: Path, samples: int, **engine: Any) -> tuple[float, pd.DataFrame]:
    """Seconds of a run and its scores in an order of their own."""
    plan = Plan(study(samples), options(folder, **engine))
    started = time.perf_counter()
    run(plan)
    seconds = time.perf_counter() - started
    rows = results_of(plan).rows[[name for name in ROW_COLUMNS if name != "seconds"]]
    return seconds, rows.sort_values(KEYS, ignore_index=True)


@contextmanager
def disturbed(folder: Path, shards: int, disturb: Callable[[], None]) -> Iterator[None]:
    """Disturb once as soon as so many shards of scores are there."""
    over, came = threading.Event(), list[bool]()

    def watch() -> None:
        while not over.is_set():
            if len(list((folder / "results").rglob("*.parquet"))) >= shards:
                came.append(True)
                disturb()
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        # Or what it starts would outlive a run that failed meanwhile.
        over.set()
        watcher.join()
    if not came:
        raise UserError(
            f"the run ended before {shards} shards were there, so nothing was disturbed; ask for more samples"
        )


def judged(rows: pd.DataFrame, expected: pd.DataFrame, seconds: float, what: str) -> dict[str, Any]:
    """One row of figures."""
    return {"disturbed by": what, "same": bool(rows.equals(expected)), "rows": len(rows), "seconds": round(seconds, 1)}


def with_processes(home: Path, samples: int, expected: pd.DataFrame) -> list[dict[str, Any]]:
    """Two workers, one killed; then the speed-up of two over one."""

    def kill_a_worker() -> None:
        children = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"], capture_output=True, text=True)
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)

    with disturbed(home / "killed", 8, kill_a_worker):
        seconds, rows = carried_out(home / "killed", samples, workers=2)
    found = [judged(rows, expected, seconds, "SIGKILL of one of 2 processes")]
    spent: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(3):
        for workers, own in spent.items():
            folder = home / f"turn{turn}-{workers}"
            run(Plan(study(samples), options(folder)), "train")
            seconds, rows = carried_out(folder, samples, workers=workers)
            own.append(seconds)
            print(f"{workers} workers, turn {turn}: {seconds:.1f} s", flush=True)
            found += [] if rows.equals(expected) else [judged(rows, expected, seconds, f"{workers} workers")]
    gain = median(spent[1]) / median(spent[2])
    return [*found, {"seconds of 1 worker": median(spent[1]), "of 2": median(spent[2]), "speed-up": round(gain, 2)}]


def with_dask(home: Path, samples: int, expected: pd.DataFrame) -> list[dict[str, Any]]:
    """Three workers, one killed; then the scheduler killed and started anew with its workers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.{arguments[0]}", *arguments[1:], "--no-dashboard"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home))
        return started[-1]

    def start_all() -> list["subprocess.Popen[bytes]"]:
        scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
        worker = ("dask_worker", address, "--nthreads", "1", "--no-nanny")
        return [scheduler, *(start(*worker) for _ in range(DASK_WORKERS))]

    def restart(cluster: list["subprocess.Popen[bytes]"]) -> None:
        for process in cluster:
            process.kill()
            process.wait()
        start_all()

    try:
        cluster = start_all()
        with disturbed(home / "worker", 8, cluster[1].kill):
            seconds, rows = carried_out(home / "worker", samples, dask=address)
        made = [judged(rows, expected, seconds, f"SIGKILL of one of {DASK_WORKERS} Dask workers")]
        with disturbed(home / "scheduler", 8, lambda: restart(cluster)):
            seconds, rows = carried_out(home / "scheduler", samples, dask=address)
        return [*made, judged(rows, expected, seconds, "SIGKILL and restart of the Dask scheduler")]
    finally:
        for process in started:
            process.kill()
            process.wait()


def with_slurm(home: Path, samples: int, expected: pd.DataFrame) -> list[dict[str, Any]]:
    """An array, one of whose jobs is cancelled while it runs."""
    cancelled: list[str] = []

    def cancel_a_job() -> None:
        while not cancelled:
            listed = subprocess.run(
                ["squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i"], capture_output=True, text=True
            )
            cancelled.extend(listed.stdout.split()[:1])
            time.sleep(0.2)
        subprocess.run(["scancel", cancelled[0]], check=True)

    with disturbed(home / "slurm", 4, cancel_a_job):
        seconds, rows = carried_out(home / "slurm", samples, slurm="parallel=4,time=30,cpus=1")
    return [judged(rows, expected, seconds, f"scancel of job {cancelled[0]} of an array")]


WAYS = {"processes": with_processes, "dask": with_dask, "slurm": with_slurm}


def main(argv: list[str]) -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--samples", type=int, default=12, help="clips per model (default 12)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--folder", type=Path, help="where results go; a temporary folder if not given")
    given = parser.parse_args(argv)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = given.folder or Path(temporary)
        seconds, expected = carried_out(home / "one", given.samples)
        print(f"one process: {len(expected)} rows in {seconds:.1f} s", flush=True)
        for part in given.parts:
            (home / part).mkdir(parents=True, exist_ok=True)
            found[part] = WAYS[part](home / part, given.samples, expected)
            print(f"{part}: {json.dumps(found[part], ensure_ascii=False)}", flush=True)
    if given.json is not None:
        write_text(given.json, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
