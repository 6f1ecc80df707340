"""Scores before and after random numbers were drawn differently: whether the means differ by more than chance.

    git show COMMIT:tests/golden/rows.parquet > before.parquet
    python benchmarks/redrawn_rows.py --before before.parquet

Takes the rows of both objectives on tiny data (``tests/golden/rows.parquet``) from before and now. For each metric with
rows that changed it prints the mean of all its rows before, of the difference, and a 95 % interval of the difference
over samples, within which 0 lies nineteen times in twenty if only chance has changed.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from audioxai.statistics.means import cluster_mean
from audioxai.utils.commands import run_command

NOW = Path(__file__).parents[1] / "tests" / "golden" / "rows.parquet"
SAMPLE = ["dataset", "model", "resolution", "training_seed", "sample"]


def compared(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """A row for each metric: samples, mean before, mean difference, its interval, whether 0 lies in it."""
    keys = [name for name in before.columns if name != "score"]
    both = before.astype(dict.fromkeys(keys, str)).merge(
        now.astype(dict.fromkeys(keys, str)), on=keys, suffixes=("", "_now"), validate="one_to_one"
    )
    both["difference"] = both["score_now"] - both["score"]
    # Several maps of one sample share its random numbers, so their mean is one observation.
    samples = both[both["difference"] != 0.0].dropna(subset="difference")
    by_sample = samples.groupby(["metric", *SAMPLE], observed=True)[["score", "difference"]].mean().reset_index()
    rows = []
    for metric, own in by_sample.groupby("metric", observed=True):
        interval = cluster_mean(own["difference"].to_numpy(), own.index.to_numpy()).interval()
        rows.append(
            {
                "metric": metric,
                "samples": len(own),
                "before": own["score"].mean(),
                "difference": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "0 inside": not interval.excludes_zero,
            }
        )
    return pd.DataFrame(rows).set_index("metric")


def main(argv: list[str]) -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="rows before")
    options = parser.parse_args(argv)
    table = compared(pd.read_parquet(options.before), pd.read_parquet(NOW))
    print(table.to_string(float_format=lambda value: f"{value:.3g}"))
    print(f"0 lies inside for {int(table['0 inside'].sum())} of {len(table)} metrics")


if __name__ == "__main__":
    sys.exit(run_command(main))
