import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.objective2_rows import LEVELS, make_objective2_rows, make_proofs
from scipy import stats

from audioxai.report.objective2 import write_summary
from audioxai.report.objective2_tables import ALL, CLIPS, LEADING, gather
from audioxai.report.objective2_targets import targets
from audioxai.utils.errors import UserError
from audioxai.utils.statistics import holm

CONTEXT = {"command": "make demo", "profile": "quick", "commit": "0123abc"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return make_objective2_rows()


@pytest.fixture
def summary_of(tmp_path: Path):
    def summary(rows: pd.DataFrame) -> tuple[str, dict[str, Any]]:
        text, content = write_summary(rows, make_proofs(), [], CONTEXT, tmp_path)
        return text.read_text(), json.loads(content.read_text())

    return summary


def answer_of(text: str) -> str:
    return text.split("## Answer")[1].split("## Targets")[0]


def verdicts(rows: pd.DataFrame) -> dict[str, str]:
    return {target.name: target.verdict for target in targets(rows, gather(rows))}


def test_the_short_answer_names_the_best_audio_ig_and_its_gain(rows: pd.DataFrame, summary_of) -> None:
    text, content = summary_of(rows)
    answer = answer_of(text)
    assert "The best audio IG is **Dual IG**: at 32 gradients a map" in answer
    assert "over all datasets and architectures: better than silence IG." in answer
    assert content["best"] == "dual"
    own = rows[(rows["metric"] == LEADING) & (rows["map_passes"] == 32)]
    means = own.groupby("method")["score"].mean()
    record = next(
        row for row in content["gains"] if (row["scope"], row["first"], row["gradients"]) == (ALL, "dual", 32)
    )
    assert record["mean"] == pytest.approx(means["dual"] - means["silence"], abs=1e-12)
    assert f"At equal gradients that is +{record['mean']:.3f} [" in answer


def test_a_control_that_beats_every_ig_where_relevance_is_known_is_named(rows: pd.DataFrame, summary_of) -> None:
    answer = answer_of(summary_of(rows)[0])
    assert ", which" not in answer.split("**Where it is known")[1]
    own = (
        rows["dataset"].str.endswith("_mixtures") & (rows["metric"] == "relevance_rank") & (rows["method"] == "energy")
    )
    told = answer_of(summary_of(rows.assign(score=rows["score"].mask(own, 0.95)))[0])
    assert "Two digits at once" in told
    line = next(line for line in told.splitlines() if "Two digits at once" in line)
    assert "], which Energy (control) (0.950) is above; relevance mass" in line


def test_what_did_not_help_is_said(rows: pd.DataFrame, summary_of) -> None:
    answer = answer_of(summary_of(rows)[0])
    assert "Better than silence IG: Dual IG (+0." in answer
    assert "worse than silence IG: Contrastive fade-in IG (−0." in answer
    assert "not told apart from silence IG: Fade-in IG (" in answer
    assert "it is ahead of Expected gradients" in answer
    assert "It is ahead of every peer." in answer


def test_a_peer_that_leads_is_admitted(summary_of) -> None:
    rows = make_objective2_rows({**LEVELS, "idgi": 0.9})
    answer = answer_of(summary_of(rows)[0])
    assert "The best audio IG is **Dual IG**" in answer
    assert "behind IDGI" in answer
    assert "So it is **not** above every peer." in answer
    assert verdicts(rows)["Best audio IG (Dual IG) beside its peers"] == "missed"


def test_a_control_that_leads_is_admitted(summary_of) -> None:
    rows = make_objective2_rows({**LEVELS, "dual": 0.28, "amplitude": 0.1})
    assert "It is not clearly above Energy (control)" in answer_of(summary_of(rows)[0])


def test_differences_are_those_of_a_t_test_over_speakers_and_corrected_by_holm(rows: pd.DataFrame) -> None:
    gains = gather(rows).gains
    own = gains[(gains["scope"] == "fsdd, alexnet") & (gains["gradients"] == 16)]
    part = rows.query("dataset == 'fsdd' and model == 'alexnet' and metric == @LEADING and map_passes in (0, 16)")
    scores = part.pivot_table(index="speaker", columns="method", values="score")
    for row in own.to_dict("records"):
        expected = stats.ttest_rel(scores[row["first"]], scores["silence"])
        low, high = expected.confidence_interval()
        assert row["p"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-9)
    assert len(own) == len(LEVELS) + 2 - 1
    assert own["p_holm"].to_numpy() == pytest.approx(holm(own["p"]))
    assert (own["p_holm"] >= own["p"]).all()


def test_leads_are_the_best_minus_the_other(rows: pd.DataFrame) -> None:
    evidence = gather(rows)
    lead = evidence.leads.query("scope == 'fsdd, small_cnn' and second == 'idgi'").iloc[0]
    best, other = (evidence.mean(CLIPS, "fsdd, small_cnn", name, LEADING)["mean"] for name in ("dual", "idgi"))
    assert lead["mean"] == pytest.approx(best - other)
    assert lead["low"] < lead["mean"] < lead["high"]
    assert lead["d_z"] > 0
    assert lead["superiority"] > 0.5


def test_pooled_means_count_datasets_alike(rows: pd.DataFrame) -> None:
    few = rows[(rows["dataset"] != "fsdd") | (rows["speaker"] < "s03")]
    evidence = gather(few)
    own = few.query("metric == @LEADING and method == 'dual' and map_passes == 32")
    expected = own.groupby("dataset")["score"].mean().mean()
    assert evidence.mean(CLIPS, ALL, "dual", LEADING)["mean"] == pytest.approx(expected)


def test_targets_are_met_and_missed_by_the_numbers(rows: pd.DataFrame) -> None:
    found = verdicts(rows)
    assert found["Plain IG from 0 dB fails as before"] == "met"
    assert found["Silence IG turns it round"] == "missed"
    assert found["Gain of the best audio IG (Dual IG)"] == "met"
    assert found["Best audio IG (Dual IG) beside its peers"] == "met"
    assert found["Mixtures: relevance rank accuracy of the best"] == "met"
    assert found["Planted cues: relevance mass"] == "missed"
    assert found["Completeness gap of Silence IG"] == "met"
    assert found["Size of the study"] == "missed"
    weaker = verdicts(make_objective2_rows({**LEVELS, "dual": 0.52}))
    assert weaker["Gain of the best audio IG (Dual IG)"] == "missed"


def test_one_scope_below_the_mark_misses_the_target(rows: pd.DataFrame) -> None:
    silent = rows["metric"].eq("removal_silence") & rows["method"].eq("plain")
    one = silent & rows["dataset"].eq("fsdd") & rows["model"].eq("alexnet")
    changed = rows.assign(score=rows["score"].mask(one, -0.1))
    assert verdicts(changed)["Plain IG from 0 dB fails as before"] == "missed"


def test_stand_ins_are_named_wherever_shown(summary_of) -> None:
    text, content = summary_of(make_objective2_rows(datasets=("spoken_digits",), stand_in_for="audio_mnist"))
    assert text.splitlines()[2].startswith("> **STAND-IN data: spoken_digits in place of audio_mnist.**")
    captions = [line for line in text.splitlines() if line.startswith("*") and " gradients: " in line]
    assert len(captions) > 10
    assert all(line.startswith("*spoken_digits (STAND-IN for audio_mnist)") for line in captions)
    assert content["stand_in"] == {"spoken_digits": "audio_mnist"}
    assert "STAND-IN" not in summary_of(make_objective2_rows(seeds=(0,)))[0]


def test_one_budget_one_seed_one_model(summary_of) -> None:
    rows = make_objective2_rows(datasets=("fsdd",), models=("small_cnn",), seeds=(0,), budgets=(8,), ground_truth=False)
    text, content = summary_of(rows)
    assert "at 8 gradients a map" in answer_of(text)
    assert ", on fsdd, small_cnn: better than silence IG." in answer_of(text)
    assert "One training seed" in text
    assert content["main_budget"] == 8
    assert {row["scope"] for row in content["means"]} == {"fsdd, small_cnn"}
    assert verdicts(rows)["Planted cues: relevance mass"] == "not measured"


def test_one_speaker_has_clips_as_clusters_and_says_so(rows: pd.DataFrame, summary_of) -> None:
    text, content = summary_of(
        rows.assign(speaker=rows["speaker"].mask(rows["dataset"].str.startswith("fsdd"), "nicolas"))
    )
    assert "fsdd has one test speaker: its clips are the clusters" in text
    own = next(row for row in content["gains"] if (row["scope"], row["first"]) == ("fsdd, small_cnn", "dual"))
    assert own["clusters"] == 12
    assert own["p"] == own["p_clips"]


@pytest.mark.parametrize(
    "kept",
    [
        "metric == 'removal_silence'",
        "metric != 'removal_worst'",
        "method in ('plain', 'random')",
        "method == 'dual'",
        "method != 'random'",
        "speaker == 's00'",
        "metric != 'relevance_mass' and method != 'idgi' and method != 'expected'",
    ],
)
def test_what_is_missing_is_left_open(rows: pd.DataFrame, summary_of, kept: str) -> None:
    text, content = summary_of(rows.query(kept))
    assert "nan" not in text.lower().split("## targets")[1].replace("(nan)", "")
    assert "NaN" not in json.dumps(content["means"])


def test_undefined_scores_are_counted(rows: pd.DataFrame, summary_of) -> None:
    holes = rows.assign(score=rows["score"].mask(rows["metric"].eq(LEADING) & rows["speaker"].eq("s03")))
    text, _ = summary_of(holes)
    assert "Undefined scores (NaN): " in text


def test_same_rows_in_any_order_give_the_same_bytes(rows: pd.DataFrame, tmp_path: Path) -> None:
    first = write_summary(rows, make_proofs(), [], CONTEXT, tmp_path / "first")
    again = rows.sample(frac=1, random_state=np.random.default_rng(3))
    second = write_summary(again, make_proofs()[::-1], [], dict(reversed(CONTEXT.items())), tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_cue_proofs_and_provenance_are_told(rows: pd.DataFrame, summary_of) -> None:
    text, content = summary_of(rows)
    assert (
        "| Dataset | Model | Training seed | Clips | With the cue | Without it | Follows another's | Chance |" in text
    )
    assert "| fsdd | small_cnn | 0 | 100 | 0.990 | 0.110 | 0.980 | 0.100 |" in text
    assert [proof["training_seed"] for proof in content["cue_proofs"]] == [0, 1]
    assert "- Command: `make demo`" in text


def test_rows_without_recordings_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="ground truth only"):
        gather(rows[rows["dataset"].str.endswith("_cues")])
    with pytest.raises(UserError, match="no result rows"):
        gather(rows.iloc[:0])
    with pytest.raises(UserError, match="'map_passes'"):
        gather(rows.drop(columns="map_passes"))
