"""Seconds from the shell to the end: help, and the explanation of the example's clip with the example's model.

    python benchmarks/start_time.py --json out.json

Every time is that of a process of its own, taken from outside; commands take turns, and the median round counts. The
example is written first, which is not timed. ``import torch`` is what no explanation can be faster than.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text

PROGRAM = (sys.executable, "-m", "audioxai.cli")
EXPLAIN = "explain example/clip.wav --model example/model.safetensors --out example/page"
COMMANDS = {
    "audioxai --help": (*PROGRAM, "--help"),
    "audioxai explain": (*PROGRAM, *EXPLAIN.split()),
    "import torch": (sys.executable, "-c", "import torch"),
}


def seconds(command: tuple[str, ...], folder: Path) -> float:
    """What one process takes."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every command in every round."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run((*PROGRAM, "example"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
        # Once without a clock, so that files are in memory for all alike.
        for number in range(rounds + 1):
            for name, command in COMMANDS.items():
                spent = seconds(command, Path(folder))
                if number:
                    found[name].append(spent)
    return found


def main(argv: list[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each command (default 5)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        raise UserError(f"rounds is {options.rounds}; give at least 1")
    found = measure(options.rounds)
    for name, times in found.items():
        print(f"{name:<18} {median(times):.2f} s  ({min(times):.2f} … {max(times):.2f}, {len(times)} rounds)")
    if options.json is not None:
        versions = {"python": platform.python_version(), "torch": version("torch")}
        figures = {"seconds": found, "cores": os.cpu_count(), "versions": versions}
        write_text(options.json, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
