"""Count what every method and metric makes of models as they are found: right, refused or wrong.

``python benchmarks/model_zoo.py`` prints one row per model, and every wrong outcome; it ends with 1 if there is one.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.model_zoo import ZOO, survey


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.parse_args(argv)
    outcomes: dict[tuple[str, str, str], str] = survey()
    kinds = ("method", "metric")
    print(f"{'model':24}" + "".join(f"{f'{kind}s right':>16}{'refused':>9}{'wrong':>7}" for kind in kinds))
    for model in (*ZOO, "all"):
        row = f"{model:24}"
        for kind in kinds:
            counts = Counter(
                outcome if outcome in ("right", "refused") else "wrong"
                for (own, of, _), outcome in outcomes.items()
                if of == kind and model in (own, "all")
            )
            row += f"{counts['right']:16}{counts['refused']:9}{counts['wrong']:7}"
        print(row)
    wrong = {place: outcome for place, outcome in outcomes.items() if outcome not in ("right", "refused")}
    for (model, _, name), outcome in wrong.items():
        print(f"{model}, {name}: {outcome}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
