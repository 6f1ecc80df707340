"""The reliability campaign: thousands of damaged, hostile and interrupted inputs, and what became of each.

Everything is used or refused in one sentence; a traceback, a hang, something silently wrong, a file outside its folder
or a lost row makes the campaign fail. The same seed tries the same cases.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import reliability
from benchmarks.reliability.tally import SHOWN_FAULTS, Tally, Verdict

PARTS = tuple(module.name for module in pkgutil.iter_modules(reliability.__path__) if module.name != "tally")
LONGEST_SHOWN = 400
EXAMPLES = """examples:
  python benchmarks/campaign.py                                 # everything, an hour or so on two cores
  python benchmarks/campaign.py --scale 0.01                    # a small one, minutes
  python benchmarks/campaign.py --parts archives --seed 7 --json out.json"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and print the table; 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--scale", type=_scale, default=1.0, help="share of the full number of cases (1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases (0)")
    parser.add_argument("--json", type=Path, help="file for the counts and every fault")
    parser.add_argument("--folder", type=Path, help="folder for the cases' files; by default one that goes afterwards")
    options = parser.parse_args(argv)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="campaign_", dir=options.folder) as folder:
        for part in options.parts:
            tallies.append(_run(part, options.scale, options.seed, Path(folder, part)))
    print(table(tallies))
    if options.json is not None:
        options.json.write_text(json.dumps(_plain(tallies, options.scale, options.seed), indent=1) + "\n")
    return 0 if all(tally.is_clean for tally in tallies) else 1


def table(tallies: Sequence[Tally]) -> str:
    """One row per part, then all of them."""
    heads = ("part", "tried", *Verdict)
    rows = [(tally.part, tally.tried, *(tally.counts[verdict] for verdict in Verdict)) for tally in tallies]
    rows.append(("all", *(sum(row[column] for row in rows) for column in range(1, len(heads)))))  # type: ignore[misc]
    widths = [max(len(head), 9) for head in heads]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" if isinstance(cell, str) else f"{cell:>{width},}" for cell, width in pairs)
        for pairs in (list(zip(row, widths, strict=True)) for row in (heads, *rows))
    )


def _run(part: str, scale: float, seed: int, folder: Path) -> Tally:
    folder.mkdir()
    started = time.monotonic()
    tally: Tally = importlib.import_module(f"benchmarks.reliability.{part}").run(scale, seed, folder)
    print(
        f"{part}: {tally.tried:,} cases in {time.monotonic() - started:.0f} s, {len(tally.faults)} faults", flush=True
    )
    for fault in tally.faults[:SHOWN_FAULTS]:
        print(f"  {_shown(fault)}", flush=True)
    return tally


def _shown(fault: str) -> str:
    """One line of a fault, which may be a traceback and hold any bytes."""
    line = ascii(fault)[1:-1]
    return line if len(line) <= LONGEST_SHOWN else f"{line[:100]} … {line[100 - LONGEST_SHOWN :]}"


def _scale(text: str) -> float:
    scale = float(text)
    if not 0 < scale <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no positive share; give 1 for the full number of cases")
    return scale


def _plain(tallies: Sequence[Tally], scale: float, seed: int) -> dict[str, object]:
    return {
        "scale": scale,
        "seed": seed,
        "parts": {
            tally.part: {
                "tried": tally.tried,
                **{str(key): count for key, count in tally.counts.items()},
                "faults": tally.faults,
            }
            for tally in tallies
        },
    }


if __name__ == "__main__":
    sys.exit(main())
