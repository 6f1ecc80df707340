"""What Objective 2 set out to reach: every target with what was found, met or missed.

A target that asks something of every dataset × architecture is met where all of them meet it. What was not measured is
said to be so and is neither met nor missed.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from audioxai.report.answer import signed
from audioxai.report.objective2_tables import CLIPS, LEADING, PEERS, REFERENCE, Evidence, audio_methods, prepared
from audioxai.report.style import CONTROL, listed, method_style, metric_style, number

EARLIER_FAILURE, TURNED_ROUND, GAIN, STRICT_P = -0.5, 0.8, 0.15, 0.001
FAITHFUL, RANK, INSIDE = 0.75, 0.8, 0.95
GAP, FEW_GRADIENTS = 0.01, 25
PAIRS, SEEDS, ARCHITECTURES, DATASETS = 300, 3, 2, 2

Record = Mapping[Any, Any]


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes
    ----------
    name, wanted, found : str
        What it is about, what was asked for, and what the rows say.
    met : bool or None
        None where it was not measured.
    """

    name: str
    wanted: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]

    def record(self) -> dict[str, Any]:
        """Flat record with the verdict."""
        return asdict(self) | {"verdict": self.verdict}


def targets(rows: pd.DataFrame, evidence: Evidence) -> list[Target]:
    """All targets, in the order in which the objective states them."""
    return [
        _removal("Plain IG from 0 dB fails as before", "plain", f"≤ {number(EARLIER_FAILURE)}", evidence, _fails),
        _removal("Silence IG turns it round", REFERENCE, f"≥ +{number(TURNED_ROUND)}", evidence, _turns),
        _gain(evidence),
        _peers(evidence),
        *_faithfulness(evidence),
        _mixtures(evidence),
        _cues(evidence),
        *_completeness(evidence),
        _size(rows),
    ]


def p_value(value: float) -> str:
    """``p < 0.001`` or ``p = 0.012``; ``p n/a`` where there is none."""
    if math.isnan(value):
        return "p n/a"
    return "p < 0.001" if value < 0.001 else f"p = {number(value)}"


def interval(record: Record) -> str:
    """``+0.18 [+0.12, +0.24]``; the mean alone where there is no interval."""
    if math.isnan(record["low"]):
        return signed(record["mean"])
    return f"{signed(record['mean'])} [{signed(record['low'])}, {signed(record['high'])}]"


def chance_of(evidence: Evidence, material: str, scope: str, metric: str) -> str:
    """What the random control reaches, in brackets; nothing without it."""
    found = evidence.mean(material, scope, CONTROL, metric)
    return f" (chance {number(found['mean'])})" if found else ""


def best_of(evidence: Evidence, material: str, scope: str, metric: str) -> Record:
    """The record of the audio IG, or silence IG, with the highest mean; nothing where none was measured."""
    own = evidence.by_method(material, scope, metric)
    own = own[own["method"].isin([REFERENCE, *audio_methods(list(own["method"]))]) & own["mean"].notna()]
    return dict(own.sort_values("mean", kind="stable").iloc[-1]) if len(own) else {}


def _scoped(name: str, wanted: str, found: Iterable[tuple[str, str, bool]]) -> Target:
    """A target over scopes, from (scope, what was found, whether that is enough)."""
    entries = list(found)
    if not entries:
        return Target(name, wanted, "not measured", None)
    told = "; ".join(f"{scope}: {text}" for scope, text, _ in entries)
    return Target(name, wanted, told, all(enough for *_, enough in entries))


def _fails(mean: float) -> bool:
    return mean <= EARLIER_FAILURE


def _turns(mean: float) -> bool:
    return mean >= TURNED_ROUND


def _removal(name: str, method: str, wanted: str, evidence: Evidence, enough: Callable[[float], bool]) -> Target:
    found = [
        (scope, interval(record), enough(record["mean"]))
        for scope in evidence.scopes()
        for record in [evidence.mean(CLIPS, scope, method, "removal_silence")]
        if record
    ]
    return _scoped(name, f"insertion − deletion under silence {wanted}", found)


def _gain(evidence: Evidence) -> Target:
    found = [
        (
            scope,
            f"{interval(record)}, Holm {p_value(record['p_holm'])}",
            bool(record["mean"] >= GAIN and record["p_holm"] < STRICT_P),
        )
        for scope in (evidence.scopes() if evidence.best else [])
        for record in [evidence.gain(scope, str(evidence.best))]
        if record
    ]
    wanted = f"≥ +{number(GAIN)} above silence IG under the worse removal at equal gradients, Holm p < {STRICT_P}"
    return _scoped(f"Gain of the best audio IG ({_best_name(evidence)})", wanted, found)


def _peers(evidence: Evidence) -> Target:
    found = []
    for scope in evidence.scopes():
        table = evidence.leads
        own = table[(table["scope"] == scope) & table["second"].isin(PEERS)] if len(table) else table
        if len(own):
            least = dict(own.sort_values("mean", kind="stable").iloc[0])
            told = f"least lead {interval(least)}, over {method_style(least['second']).name}"
            found.append((scope, told, bool((own["low"] > 0).all())))
    wanted = "above every peer under the worse removal, with a 95 % interval above zero"
    return _scoped(f"Best audio IG ({_best_name(evidence)}) beside its peers", wanted, found)


def _faithfulness(evidence: Evidence) -> list[Target]:
    metrics = [name for name in dict.fromkeys(evidence.means["metric"]) if name.startswith("faithfulness_correlation")]
    made = []
    for metric in metrics or ["faithfulness_correlation"]:
        found = [
            (scope, interval(record), bool(record["mean"] >= FAITHFUL))
            for scope in (evidence.scopes() if evidence.best else [])
            for record in [evidence.mean(CLIPS, scope, str(evidence.best), metric)]
            if record
        ]
        made.append(_scoped(f"{metric_style(metric).name} of {_best_name(evidence)}", f"≥ {number(FAITHFUL)}", found))
    return made


def _mixtures(evidence: Evidence) -> Target:
    found = [
        (
            scope,
            f"{method_style(record['method']).name} {number(record['mean'])}"
            + chance_of(evidence, "mixtures", scope, "relevance_rank"),
            bool(record["mean"] >= RANK),
        )
        for scope in evidence.scopes("mixtures")
        for record in [best_of(evidence, "mixtures", scope, "relevance_rank")]
        if record
    ]
    return _scoped("Mixtures: relevance rank accuracy of the best", f"≥ {number(RANK)}", found)


def _cues(evidence: Evidence) -> Target:
    found = []
    for scope in evidence.scopes("cues"):
        own = evidence.by_method("cues", scope, "relevance_mass")
        own = own[(own["method"] != CONTROL) & own["mean"].notna()]
        if len(own):
            best = own.sort_values("mean", kind="stable").iloc[-1]
            reach = int((own["mean"] >= INSIDE).sum())
            told = f"{method_style(best['method']).name} {number(best['mean'])}; {reach} of {len(own)} methods reach it"
            found.append((scope, told + chance_of(evidence, "cues", scope, "relevance_mass"), reach > 0))
    wanted = f"≥ {number(INSIDE)} of positive relevance inside the cue for at least one method"
    return _scoped("Planted cues: relevance mass", wanted, found)


def _completeness(evidence: Evidence) -> list[Target]:
    wanted = f"median ≤ {100 * GAP:g} % with at most {FEW_GRADIENTS} gradients"
    made = []
    for method in dict.fromkeys([REFERENCE, *([evidence.best] if evidence.best else [])]):
        table, found = evidence.gaps, []
        own = table[(table["method"] == method) & (table["gradients"] <= FEW_GRADIENTS)] if len(table) else table
        for scope in evidence.scopes() if len(own) else []:
            part = own[own["scope"] == scope].tail(1).to_dict("records")
            found += [
                (scope, f"{100 * row['median']:.2g} % at {row['gradients']}", bool(row["median"] <= GAP))
                for row in part
            ]
        made.append(_scoped(f"Completeness gap of {method_style(method).name}", wanted, found))
    return made


def _size(rows: pd.DataFrame) -> Target:
    own = prepared(rows)
    own = own[(own["material"] == CLIPS) & (own["metric"] == LEADING)]
    wanted = (
        f"≥ {PAIRS} clip × model pairs a dataset × architecture over ≥ {SEEDS} training seeds, "
        f"≥ {ARCHITECTURES} architectures and ≥ {DATASETS} datasets"
    )
    if own.empty:
        return Target("Size of the study", wanted, "not measured", None)
    pairs, seeds = own.groupby("scope")["pair"].nunique(), own.groupby("scope")["training_seed"].nunique()
    datasets, models = own["recordings"].nunique(), own["model"].nunique()
    found = (
        f"≥ {pairs.min()} pairs, ≥ {seeds.min()} seeds, {models} architectures ({listed(sorted(set(own['model'])))}), "
        f"{datasets} datasets ({listed(sorted(set(own['recordings'])))})"
    )
    met = pairs.min() >= PAIRS and seeds.min() >= SEEDS and models >= ARCHITECTURES and datasets >= DATASETS
    return Target("Size of the study", wanted, found, bool(met))


def _best_name(evidence: Evidence) -> str:
    return method_style(evidence.best).name if evidence.best else "none"
