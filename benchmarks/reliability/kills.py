"""A study killed again and again, in training too: it goes on where it was and ends with the rows of a quiet run.

Every folder is a chain of kills, each at a random moment of what is left, and then a run that nobody disturbs. The
processes are forked from one that has imported everything, so that a moment is one of the study and not of an import.
"""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.reliability.tally import PRELOADED, Outcome, Tally, Verdict, how_many, in_children

from audioxai.utils.commands import INTERRUPTED_EXIT

KILLS, KILLS_A_CHAIN = 60, 5
LIMIT_S = 300.0
STUDY = """\
name: killed
data: {folder: sounds}
model: {architecture: small_cnn, bands: 32, frames: 24, epochs: 4, batch_size: 4}
seeds: [0, 1]
samples: 3
methods: [saliency, silence, random]
metrics: [faithfulness_correlation, sparseness, mprt]
gradients: [8]
settings: {runs: 6}
references: 16
device: cpu
threads: 1
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# What a kill waits for before its random delay; the first two are in training.
MOMENTS = ("training", "training of the second model", "a half-written file", "explaining", "scoring", "any moment")


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Chains of kills, whole and in parts, and what is left after each."""
    quiet = _Folder(folder / "quiet")
    started = time.monotonic()
    code, said = quiet.start().ended(LIMIT_S)
    if code != 0:
        return Tally.of("kills", [("a quiet run", Outcome(Verdict.HANG if code is None else Verdict.TRACEBACK, said))])
    duration_s, chance = time.monotonic() - started, random.Random(seed)
    outcomes: list[tuple[str, Outcome]] = []
    numbers = range(how_many(KILLS, scale))
    for chain, first in enumerate(numbers[::KILLS_A_CHAIN]):
        place = _Folder(folder / f"chain{chain}", twice=chain % 3 == 2)
        kills = [_kill(place, number, chance, duration_s) for number in numbers[first : first + KILLS_A_CHAIN]]
        ending = Outcome(Verdict.TRACEBACK, f"the last run did not end well: {place.said}")
        if _quietly(place):
            (ending,) = in_children(_compared, [(str(place.root), str(quiet.root))], LIMIT_S)
        # Every kill of a chain answers for its end.
        outcomes += [(name, own if own.verdict is not Verdict.USED else ending) for name, own in kills]
        shutil.rmtree(place.root)
    return Tally.of("kills", outcomes)


@dataclass
class _Process:
    """A run of the study in a process of its own."""

    process: Any
    output: Path

    def ended(self, limit_s: float) -> tuple[int | None, str]:
        """Exit code, None if it does not end, and what was printed to standard error."""
        self.process.join(limit_s)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        return code, self.output.read_text(encoding="utf-8", errors="replace") if self.output.exists() else ""


@dataclass
class _Folder:
    """Where one study lies and runs."""

    root: Path
    twice: bool = False
    said: str = field(default="", init=False)

    def __post_init__(self) -> None:
        from helpers.tiny_data import write_class_folders

        write_class_folders(self.root / "sounds")
        (self.root / "study.yaml").write_text(STUDY, encoding="utf-8")

    def start(self, *more: str) -> _Process:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        output = self.root / f"said{'-'.join(more).replace('/', '-')}.txt"
        output.unlink(missing_ok=True)
        process = context.Process(target=_carry_out, args=(str(self.root / "study.yaml"), more, str(output)))
        process.start()
        return _Process(process, output)

    def reached(self, moment: str) -> bool:
        """Whether a run is where a kill waits for it."""
        results, checkpoints = self.root / "results", self.root / "checkpoints"
        cards = len(list(checkpoints.glob("*.json")))
        return {
            "training": bool(list(checkpoints.glob("*.training"))),
            "training of the second model": cards == 1 and bool(list(checkpoints.glob("*.training"))),
            "a half-written file": any(self.root.rglob(".*.partial")),
            "explaining": any(results.glob("attributions/*/*-*.safetensors")),
            "scoring": any(results.rglob("*.parquet")),
            "any moment": True,
        }[moment]

    def finished_files(self) -> dict[Path, bytes]:
        """Everything that is done for good: shards, weights and cards."""
        kinds = ("*.parquet", "attributions/*/*.safetensors")
        found = [path for kind in kinds for path in (self.root / "results").rglob(kind)]
        found += [*(self.root / "checkpoints").glob("*.safetensors"), *(self.root / "checkpoints").glob("*.json")]
        return {path: path.read_bytes() for path in found if not path.name.startswith(".")}


def _carry_out(study: str, more: tuple[str, ...], output: str) -> None:
    """The command line, in a child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from audioxai.studies import command
    from audioxai.utils.commands import run_command

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # From here on it may be killed.
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    code = run_command(lambda argv: command.run_file(Path(study), argv, [command.everything]), list(more))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.flush()
    os._exit(code)


def _kill(place: _Folder, number: int, chance: random.Random, duration_s: float) -> tuple[str, Outcome]:
    """Start a run, kill it at a moment, and judge what it left."""
    before = place.finished_files()
    which, moment = SIGNALS[(number + number // len(MOMENTS)) % len(SIGNALS)], MOMENTS[number % len(MOMENTS)]
    delay_s = chance.uniform(0.0, duration_s) if moment == "any moment" else chance.uniform(0.0, 0.03)
    running = [place.start() for _ in range(2 if place.twice else 1)]
    _wait(lambda: all(one.output.exists() for one in running), running)
    _wait(lambda: place.reached(moment), running)
    time.sleep(0.0 if moment == "a half-written file" else delay_s)
    in_training = bool(list((place.root / "checkpoints").glob("*.training")))
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.process.pid, which)
    ends = [one.ended(LIMIT_S) for one in running]
    name = f"kill {number}, {which.name} {'in' if in_training else 'out of'} training, waited for {moment}"
    return name, next((fault for fault in _faults(place, before, which, ends)), Outcome(Verdict.USED))


def _wait(reached: Callable[[], bool], running: list[_Process]) -> None:
    """Until it is so, or nothing runs any more."""
    while not reached() and any(one.process.is_alive() for one in running):
        time.sleep(0.002)


def _faults(
    place: _Folder, before: dict[Path, bytes], which: signal.Signals, ends: list[tuple[int | None, str]]
) -> Iterator[Outcome]:
    for code, said in ends:
        if code is None:
            yield Outcome(Verdict.HANG, f"lives on after {which.name}")
        expected = INTERRUPTED_EXIT if which is signal.SIGINT else -which
        # Before its last line a slow run says how far it is.
        told = said.rstrip().rpartition("\n")[2].startswith("interrupted") or code == 0 or which is not signal.SIGINT
        if code not in (expected, 0) or not told or "Traceback" in said:
            yield Outcome(Verdict.TRACEBACK, f"exit code {code} after {which.name}: {said}")
    after = place.finished_files()
    for path, content in before.items():
        if after.get(path) != content:
            yield Outcome(
                Verdict.LOST, f"{path.relative_to(place.root)} was there and is {'other' if path in after else 'gone'}"
            )


def _quietly(place: _Folder) -> bool:
    """Whether a run that nobody disturbs ends well."""
    code, place.said = place.start().ended(LIMIT_S)
    return code == 0 and not place.said


def _compared(case: tuple[str, str]) -> Outcome:
    """Whether rows, tensors and log of a chain are those of the quiet run."""
    from helpers.tiny_studies import sorted_rows

    from audioxai.experiment.models import forget
    from audioxai.results import ResultSet

    forget()
    found, quiet = (ResultSet.open(Path(root) / "results", "killed") for root in case)
    if found.missing or len(found.rows) != len(quiet.rows):
        return Outcome(Verdict.LOST, f"{len(found.rows)} rows of {len(quiet.rows)}")
    if not sorted_rows(found.rows).equals(sorted_rows(quiet.rows)):
        return Outcome(Verdict.WRONG, "other rows than those of a quiet run")
    for cell in found.cells:
        cell.inputs()
        for method in cell.budgets:
            cell.attributions(method)
    root = Path(case[0])
    for line in (root / "results" / "logs" / "killed.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)
    left = [path.name for path in root.rglob("*.partial")] + [path.name for path in root.rglob("*.training")]
    return Outcome(Verdict.WRONG, f"{left} are left") if left else Outcome(Verdict.USED)
