"""How long a large study takes on 1, 10 and 100 workers, simulated with measured times of its jobs.

    python benchmarks/scaling.py results --study objective2 --json out.json

Reads a finished results folder: seconds of every explanation and of every score, by method, at the largest budget. From
these it makes the jobs of a study of 30,000 clips × all methods × 3 training seeds (one job per method and cell, as
``audioxai run`` does) and deals them in the plan's order to workers as they become idle. Every job that a worker takes
from another cell than its last costs the start-up (loading recordings and model). The price per hour of a worker is an
assumption, stated with the result.
"""

import argparse
import heapq
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audioxai.results import ResultSet
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text

CLIPS = 30_000
SEEDS = 3
WORKERS = (1, 10, 100)
CLIPS_PER_CELL = (30_000, 3_000, 300)
PRICE_PER_HOUR = 0.05


@dataclass(frozen=True)
class Job:
    """One method on one cell."""

    cell: int
    method: str
    seconds: float


def seconds_per_clip(root: Path, study: str) -> pd.DataFrame:
    """Columns ``explaining`` and ``scoring`` by method, in seconds per clip, at each method's largest budget."""
    results = ResultSet.open(root, study)
    rows = results.rows[results.rows["material"] == "clips"]
    rows = rows[rows["gradients"] == rows.groupby("method")["gradients"].transform("max")]
    # Of metrics that are scored together, each row has the time of all.
    once = rows[~rows["metric"].isin(["removal_noise", "removal_worst"])]
    per_metric = once.groupby(["method", "metric"])["seconds"].mean()
    log = root / "logs" / f"{study}.jsonl"
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    made = pd.DataFrame([event for event in events if event["event"] == "explained"])
    labels = rows[["dataset", "model", "resolution", "training_seed"]].drop_duplicates()
    names = [f"{one.dataset} {one.model} {one.resolution} seed {one.training_seed}" for one in labels.itertuples()]
    clips = rows.groupby(["dataset", "model", "resolution", "training_seed"])["sample"].nunique().median()
    made = made[made["cell"].isin(names)]
    made = made[made["gradients"] == made.groupby("method")["gradients"].transform("max")]
    explaining = made.groupby("method")["seconds"].mean() / clips
    scoring = per_metric.groupby("method").sum()
    return pd.DataFrame({"explaining": explaining, "scoring": scoring}).dropna().sort_values("scoring")


def jobs_of(costs: pd.DataFrame, clips_per_cell: int) -> list[Job]:
    """Jobs in the order of the plan: cell by cell, method by method."""
    cells = SEEDS * -(-CLIPS // clips_per_cell)
    total = costs["explaining"] + costs["scoring"]
    return [
        Job(cell, str(method), clips_per_cell * float(total[method])) for cell in range(cells) for method in total.index
    ]


def makespan_s(jobs: Sequence[Job], workers: int, start_up_s: float) -> float:
    """Seconds until the last worker is idle; an idle worker takes a job of its last cell where one is left."""
    left: dict[int, list[Job]] = {}
    for job in jobs:
        left.setdefault(job.cell, []).append(job)
    idle = [(0.0, worker, -1) for worker in range(workers)]
    heapq.heapify(idle)
    on_cell: dict[int, int] = dict.fromkeys(left, 0)
    end = 0.0
    while left:
        now, worker, last = heapq.heappop(idle)
        cell = last if last in left else min(left, key=lambda cell: (on_cell[cell], cell))
        on_cell[cell] += cell != last
        job = left[cell].pop(0)
        if not left[cell]:
            del left[cell]
        finished = now + job.seconds + (start_up_s if cell != last else 0.0)
        end = max(end, finished)
        heapq.heappush(idle, (finished, worker, cell))
    return end


def simulated(costs: pd.DataFrame, start_up_s: float) -> list[dict[str, Any]]:
    """One row per size of a cell and number of workers."""
    found = []
    for clips in CLIPS_PER_CELL:
        jobs = jobs_of(costs, clips)
        work_s = sum(job.seconds for job in jobs)
        for workers in WORKERS:
            span_s = makespan_s(jobs, workers, start_up_s)
            found.append(
                {
                    "clips per cell": clips,
                    "jobs": len(jobs),
                    "workers": workers,
                    "hours": round(span_s / 3600, 2),
                    "share of workers' time at work": round(work_s / (workers * span_s), 2),
                    "price": round(workers * span_s / 3600 * PRICE_PER_HOUR, 2),
                }
            )
    return found


def main(argv: list[str]) -> None:
    """Simulate, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of finished results")
    parser.add_argument("--study", default="objective2", help="study whose times are taken (objective2)")
    parser.add_argument("--start-up", type=float, default=30.0, metavar="S", help="start-up of a cell in seconds (30)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    if options.start_up < 0:
        raise UserError(f"start-up is {options.start_up}; give seconds of at least 0")
    costs = seconds_per_clip(options.results, options.study)
    print("Seconds per clip, one process:\n")
    print(costs.round(3).to_string())
    rows = simulated(costs, options.start_up)
    print(f"\n{CLIPS:,} clips × {len(costs)} methods × {SEEDS} seeds; {PRICE_PER_HOUR} per hour of a worker assumed:\n")
    print(pd.DataFrame(rows).to_string(index=False))
    if options.json is not None:
        content = {"seconds_per_clip": costs.reset_index().to_dict("records"), "makespan": rows}
        write_text(options.json, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
