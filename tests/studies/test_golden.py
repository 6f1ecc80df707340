"""Rows of both objectives on tiny data, every method and metric, against those of before the studies became data.

Scores depend on the weights, and those on the processor that trained them: where training comes to other weights than
those of ``weights.json``, there is nothing to compare with.

``PYTHONPATH=src:tests python tests/studies/test_golden.py`` writes the rows anew and prints what has changed: that has
to be methods and metrics alone whose revision was raised.
"""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.tiny_data import write_digit_images, write_spoken_digits

from audioxai.experiment import Plan, results_of, run
from audioxai.results import ResultSet
from audioxai.studies import objective1, objective2
from audioxai.studies.options import run_options

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
KEYS = [
    *("study", "material", "dataset", "model", "resolution", "training_seed"),
    *("method", "map_passes", "metric", "sample"),
]
OBJECTIVE_1 = objective1.Objective1Config(
    images="digits_8x8",
    audio="spoken_digits",
    image_resolutions=(28, 32),
    image_epochs=(2, 1),
    audio_resolutions=(32,),
    audio_epochs=(2,),
    samples_per_seed=4,
    metrics=(
        *("faithfulness_correlation", "faithfulness_estimate", "deletion", "insertion", "road", "infidelity"),
        *("contribution_infidelity", "comprehensiveness", "sufficiency", "average_increase", "average_drop"),
        *("average_gain", "mask_faithfulness", "input_fidelity", "average_sensitivity", "maximum_sensitivity"),
        *("local_lipschitz", "relative_input_stability", "sparseness", "complexity", "effective_complexity"),
        *("random_logit", "mprt", "smooth_mprt", "efficient_mprt", "completeness", "non_sensitivity"),
        "input_invariance",
    ),
    faithfulness_runs=6,
    sensitivity_draws=1,
    alternatives=2,
    device="cpu",
    threads=1,
)
OBJECTIVE_2 = objective2.Objective2Config(
    datasets=("spoken_digits",),
    resolution=32,
    epochs=2,
    limit=None,
    clips_per_seed=4,
    ground_truth_per_seed=3,
    gradients=(8, 12),
    ground_truth_gradients=8,
    references=6,
    curve_steps=3,
    faithfulness_runs=6,
    faithfulness_patches=(1, 8),
    sensitivity_draws=1,
    alternatives=1,
    device="cpu",
    threads=1,
)


@pytest.mark.slow
@pytest.mark.usefixtures("data")
def test_rows_are_those_of_before(tmp_path: Path) -> None:
    found, golden = rows_of_both(tmp_path), golden_rows()
    both = beside(golden, found)
    assert set(both["_merge"]) == {"both"}
    assert len(both) == len(golden) == len(found) > 4000
    assert (both["label"] == both["label_now"]).all()
    assert (both["prediction"] == both["prediction_now"]).all()
    assert (both["score"].isna() == both["score_now"].isna()).all()
    assert (both["score"] - both["score_now"]).abs().max() <= 1e-6


def rows_of_both(folder: Path) -> pd.DataFrame:
    """Rows of both objectives, whose results and checkpoints go into this folder."""
    results, checkpoints = str(folder / "results"), str(folder / "checkpoints")
    first = replace(OBJECTIVE_1, results=results, checkpoints=checkpoints)
    second = replace(OBJECTIVE_2, results=results, checkpoints=checkpoints)
    plans = [
        Plan(objective1.declare(first), run_options(first)),
        Plan(objective2.declare(second), run_options(second)),
    ]
    for plan in plans:
        run(plan, "train")
    require_golden_weights(folder / "checkpoints")
    return pd.concat([rows_after_run(plan).rows for plan in plans], ignore_index=True)


def golden_rows() -> pd.DataFrame:
    """The stored rows, with text for categories."""
    golden = pd.read_parquet(GOLDEN / "rows.parquet")
    texts = [name for name in KEYS if isinstance(golden[name].dtype, pd.CategoricalDtype)]
    return golden.astype(dict.fromkeys(texts, str))


def beside(golden: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Stored rows and those found now, in the order of the stored ones."""
    columns = [*KEYS, "score", "label", "prediction"]
    return golden[columns].merge(found[columns], on=KEYS, how="outer", suffixes=("", "_now"), indicator=True)


def rows_after_run(plan: Plan) -> ResultSet:
    """Results of a plan that is carried out."""
    run(plan)
    return results_of(plan)


def require_golden_weights(folder: Path) -> None:
    """Skip where training came to other weights; weights of one name and another hash are those of another recipe."""
    trained: dict[str, set[str]] = {}
    for card in folder.glob("*.json"):
        content = json.loads(card.read_text(encoding="utf-8"))
        trained.setdefault(card.stem.rsplit("-", 1)[0], set()).add(content["weights_sha256"])
    golden = json.loads((GOLDEN / "weights.json").read_text(encoding="utf-8"))
    other = [name for name, digest in golden.items() if digest not in trained[name]]
    if other:
        pytest.skip(f"this processor trains other weights than those of the golden rows: {', '.join(other)}")


def store(folder: Path) -> None:
    """Write the rows anew, in the order and the types of the stored ones, and print what has changed."""
    write_spoken_digits(folder / "data" / "spoken_digits")
    write_digit_images(folder / "data" / "digits_8x8")
    os.environ["AUDIO_XAI_DATA"] = str(folder / "data")
    stored = pd.read_parquet(GOLDEN / "rows.parquet")
    both = golden_rows().merge(rows_of_both(folder)[[*KEYS, "score"]], on=KEYS, how="left", suffixes=("", "_now"))
    same = (both["score"] == both["score_now"]) | (both["score"].isna() & both["score_now"].isna())
    print(both[~same].groupby(["metric", "method"], observed=True).size().to_string())
    stored.assign(score=both["score_now"].to_numpy()).to_parquet(GOLDEN / "rows.parquet", compression="zstd")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        store(Path(folder))
