"""Answers with their tables, from the summaries that the studies leave as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from audioxai.report.answer import QUESTION as QUESTION_1
from audioxai.report.html.document import Answer, Picture
from audioxai.report.html.tables import (
    Cell,
    Key,
    Table,
    by_metric,
    by_record,
    estimate_cell,
    excludes_zero,
    float_cell,
    method_key,
    metric_key,
    number_key,
    text_key,
)
from audioxai.report.objective2_answer import LEVEL
from audioxai.report.objective2_answer import QUESTION as QUESTION_2
from audioxai.report.objective2_tables import CLIPS, TRUTHS
from audioxai.report.objective2_targets import p_value
from audioxai.report.style import CONTROL, method_style, number

Content = Mapping[str, Any]
STRONG_WITHOUT_ZERO = "Bold where the 95 % interval excludes zero."
STRONG_HOLM = "Bold where Holm's p lies below 0.05."


def objective1_answer(content: Content | None, pictures: Sequence[Picture]) -> Answer:
    """Research question 1 from the content of ``objective1.json``; None where it has not been written."""
    return _answer("1", QUESTION_1, content, pictures, _tables1, "python scripts/run_demo.py")


def objective2_answer(content: Content | None, pictures: Sequence[Picture]) -> Answer:
    """Research question 2 from the content of ``objective2.json``; None where it has not been written."""
    commands = "python experiments/objective2/audio_adapted_ig.py, then evaluate_adaptations.py beside it"
    return _answer("2", QUESTION_2, content, pictures, _tables2, commands)


def _answer(
    number_of_question: str,
    question: str,
    content: Content | None,
    pictures: Sequence[Picture],
    tables_of: Any,
    remedy: str,
) -> Answer:
    name, title = f"objective{number_of_question}", f"Research question {number_of_question}"
    if content is None:
        return Answer(name, title, question, pictures=pictures, remedy=remedy)
    told = {key: content["context"][key] for key in ("profile", "command", "commit") if key in content["context"]}
    return Answer(
        name,
        title,
        question,
        paragraphs=content["answer"],
        caveats=content["caveats"],
        tables=[table for table in tables_of(content) if table.rows],
        pictures=pictures,
        provenance=told,
    )


def _tables1(content: Content) -> list[Table]:
    directions = content["directions"]
    cell_keys = (text_key("modality", "Modality"), number_key("resolution", "Resolution"), method_key())
    matched = (number_key("audio_resolution", "Audio"), number_key("image_resolution", "Image"), method_key())
    trend_keys = (text_key("scope", "Scope"), method_key())
    interval = "Mean [95 % interval]."
    control = method_style(CONTROL).name
    oriented = [record for record in content["contrasts"] if directions.get(record["metric"]) is not None]
    return [
        by_metric("Mean scores", interval, content["cells"], cell_keys, directions),
        by_metric("Audio − image", STRONG_WITHOUT_ZERO, content["differences"], matched, directions, excludes_zero),
        by_metric(
            "Change per doubling of the resolution",
            STRONG_WITHOUT_ZERO,
            content["trends"],
            trend_keys,
            directions,
            excludes_zero,
        ),
        _leaders(content),
        by_metric(f"Method − {control}", STRONG_WITHOUT_ZERO, oriented, cell_keys, directions, excludes_zero),
        _models(content),
    ]


def _leaders(content: Content) -> Table:
    records = [
        record | {"lead": record, "best": (record["method"], record["score"]), "next": _second(record)}
        for record in content["leaders"]
    ]
    return by_record(
        "Best methods",
        "Best and second method with the lead on the same samples [95 % interval], bold where it excludes zero.",
        records,
        (
            text_key("modality", "Modality"),
            number_key("resolution", "Resolution"),
            metric_key(content["directions"]),
        ),
        (
            Key("best", "Best", _method_with_score),
            Key("next", "Second", _method_with_score),
            Key("lead", "Lead", lambda record: estimate_cell(record, record["separated"])),
        ),
    )


def _second(record: Content) -> tuple[str, float]:
    return record["second"], record["second_score"]


def _method_with_score(found: tuple[str, float]) -> Cell:
    method, score = found
    return Cell(f"{method_style(method).name} {number(score)}")


def _models(content: Content) -> Table:
    parts = ("train", "validation", "test")
    return by_record(
        "Models",
        "Accuracy of the explained models in each part of the data.",
        content["models"],
        (
            text_key("dataset", "Dataset"),
            text_key("architecture", "Architecture"),
            number_key("resolution", "Resolution"),
            number_key("seed", "Seed"),
        ),
        [Key(part, part.capitalize(), float_cell(_percent)) for part in parts],
    )


def _tables2(content: Content) -> list[Table]:
    return [
        _targets(content),
        *_means(content),
        _compared(content, "gains", "Method − silence IG under the worse removal", "first"),
        _compared(content, "leads", "Best audio IG − peers and controls under the worse removal", "second"),
        _gaps(content),
        _proofs(content),
        _models(content),
    ]


def _targets(content: Content) -> Table:
    columns = (text_key("wanted", "Wanted"), text_key("found", "Found"), Key("verdict", "Verdict", _verdict))
    return by_record(
        "Targets", "What the study set out to reach.", content["targets"], (text_key("name", "Target"),), columns
    )


def _verdict(verdict: str) -> Cell:
    return Cell(verdict, strong=verdict == "met")


def _means(content: Content) -> list[Table]:
    titles = {CLIPS: "Recordings"} | {material: f"Ground truth: {name}" for material, name in TRUTHS.items()}
    keys = (text_key("scope", "Models"), number_key("gradients", "Gradients"), method_key())
    return [
        by_metric(
            title,
            "Mean [95 % interval] of every method at every number of gradients a map.",
            [record for record in content["means"] if record["material"] == material],
            keys,
            content["directions"],
        )
        for material, title in titles.items()
    ]


def _compared(content: Content, name: str, title: str, method: str) -> Table:
    records = [record | {"difference": record, "effect": record} for record in content[name]]
    p_values = (
        ("p_holm", "p (Holm)"),
        ("signed_rank_p_holm", "Signed-rank p (Holm)"),
        ("p_clips_holm", "p over clips (Holm)"),
    )
    return by_record(
        title,
        f"Difference [95 % interval] on the same clips. {STRONG_HOLM}",
        records,
        (text_key("scope", "Models"), number_key("gradients", "Gradients"), method_key(method)),
        (
            Key("difference", "Difference", _difference),
            *(Key(field, heading, float_cell(_p)) for field, heading in p_values),
            Key("effect", "d_z", _effect),
            Key("superiority", "P(better)", float_cell(number)),
        ),
    )


def _difference(record: Content) -> Cell:
    return estimate_cell(record, record["p_holm"] is not None and record["p_holm"] < LEVEL)


def _effect(record: Content) -> Cell:
    return estimate_cell({"mean": record["d_z"], "low": record["d_z_low"], "high": record["d_z_high"]})


def _p(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ")


def _gaps(content: Content) -> Table:
    return by_record(
        "Completeness",
        "|ΣA − ΔF| / |ΔF| over the recordings, by what was spent on a map.",
        content["gaps"],
        (text_key("scope", "Models"), number_key("gradients", "Gradients"), method_key()),
        (
            Key("median", "Median gap ↓", float_cell(_percent)),
            Key("p95", "95th percentile ↓", float_cell(_percent)),
            number_key("n", "Clips"),
        ),
    )


def _proofs(content: Content) -> Table:
    shares = {
        "with_cue": "With the cue",
        "without_cue": "Without it",
        "follows_swap": "Follows another's",
        "chance": "Chance",
    }
    return by_record(
        "Do the models go by the planted cue?",
        "Share of test clips predicted as the class of the cue.",
        content["cue_proofs"],
        (
            text_key("dataset", "Dataset"),
            text_key("model", "Architecture"),
            number_key("training_seed", "Seed"),
        ),
        (
            number_key("samples", "Clips"),
            *(Key(field, heading, float_cell(_percent)) for field, heading in shares.items()),
        ),
    )


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.2f} %"
