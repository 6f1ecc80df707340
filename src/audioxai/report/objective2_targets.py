"""What Objective 2 set out to reach: every target with what was found, met or missed.

A target that asks something of every data set × architecture is met where all of them meet it. What was not measured is
neither met nor missed.
"""

from collections.abc import Callable
from functools import partial

from audioxai.report.blocks import Record
from audioxai.report.objective2_estimates import CHANCE, CLIPS, LEADING, PLAIN, REFERENCE, Evidence
from audioxai.report.style import counted, listed, number, p_value
from audioxai.report.verdicts import Target, verdict

EARLIER_FAILURE, TURNED_ROUND, GAIN, STRICT_P = -0.5, 0.8, 0.15, 0.001
FAITHFUL, RANK, INSIDE = 0.75, 0.8, 0.95
SMALL_GAP, FEW_GRADIENTS = 0.01, 25
PAIRS, SEEDS, ARCHITECTURES, DATASETS = 300, 3, 2, 2

# Scope → what was found there and whether it is enough; None where nothing was measured.
Find = Callable[[str], tuple[str, bool] | None]


def targets(evidence: Evidence) -> list[Target]:
    """All targets, in the order in which the objective states them."""
    scopes, best = evidence.scopes(), evidence.best or ""
    name = evidence.style.method(best) if best else "none"
    silent, metrics = "insertion − deletion under silence", [*evidence.style.metrics, "faithfulness_correlation"]
    faithful = [metric for metric in metrics if metric.startswith("faithfulness_correlation")]
    return [
        _scoped(
            "Plain IG from 0 dB fails as before",
            f"{silent} ≤ {number(EARLIER_FAILURE)}",
            scopes,
            partial(_mean, evidence, PLAIN, "removal_silence", lambda mean: mean <= EARLIER_FAILURE),
        ),
        _scoped(
            "Silence IG turns it round",
            f"{silent} ≥ +{number(TURNED_ROUND)}",
            scopes,
            partial(_mean, evidence, REFERENCE, "removal_silence", lambda mean: mean >= TURNED_ROUND),
        ),
        _scoped(
            f"Gain of the best audio IG ({name})",
            f"≥ +{number(GAIN)} above silence IG under the worse removal at equal gradients, Holm p < {STRICT_P}",
            scopes,
            partial(_gain, evidence),
        ),
        _scoped(
            f"Best audio IG ({name}) against its peers",
            "above every peer under the worse removal, with a 95 % interval above zero",
            scopes,
            partial(_peers, evidence),
        ),
        *(
            _scoped(
                f"{evidence.style.metric(metric)} of {name}",
                f"≥ {number(FAITHFUL)}",
                scopes,
                partial(_mean, evidence, best, metric, lambda mean: mean >= FAITHFUL),
            )
            for metric in faithful[:-1] or faithful
        ),
        _scoped(
            "Mixtures: relevance rank accuracy of the best",
            f"≥ {number(RANK)}",
            evidence.scopes("mixtures"),
            partial(_mixtures, evidence),
        ),
        _scoped(
            "Planted cues: relevance mass",
            f"≥ {number(INSIDE)} of positive relevance inside the cue for at least one method",
            evidence.scopes("cues"),
            partial(_cues, evidence),
        ),
        *(
            _scoped(
                f"Completeness gap of {evidence.style.method(method)}",
                f"median ≤ {100 * SMALL_GAP:g} % with at most {FEW_GRADIENTS} gradients",
                scopes,
                partial(_gap, evidence, method),
            )
            for method in dict.fromkeys([REFERENCE, best or REFERENCE])
        ),
        _size(evidence),
    ]


def interval(record: Record) -> str:
    """``+0.18 [+0.12, +0.24]``; the mean alone where there is no interval."""
    return verdict(record, None).text


def chance_of(evidence: Evidence, material: str, scope: str, metric: str) -> str:
    """What random attributions reach, in brackets; nothing without them."""
    found = evidence.mean(material, scope, CHANCE, metric)
    return f" (chance {number(found['mean'])})" if found else ""


def short_percent(share: float) -> str:
    """A share with two significant digits."""
    return f"{100 * share:.2g} %"


def _scoped(name: str, wanted: str, scopes: list[str], find: Find) -> Target:
    found = [(scope, *one) for scope in scopes for one in [find(scope)] if one]
    if not found:
        return Target(name, wanted, "not measured", None)
    told = "; ".join(f"{scope}: {text}" for scope, text, _ in found)
    return Target(name, wanted, told, all(bool(enough) for *_, enough in found))


def _mean(
    evidence: Evidence, method: str, metric: str, enough: Callable[[float], bool], scope: str
) -> tuple[str, bool] | None:
    record = evidence.mean(CLIPS, scope, method, metric)
    return (interval(record), enough(record["mean"])) if record else None


def _gain(evidence: Evidence, scope: str) -> tuple[str, bool] | None:
    gain = evidence.gain(scope, evidence.best)
    if not gain:
        return None
    text = f"{interval(gain)}, Holm {p_value(gain['p_holm'])}"
    return text, gain["mean"] >= GAIN and gain["p_holm"] < STRICT_P


def _peers(evidence: Evidence, scope: str) -> tuple[str, bool] | None:
    own = evidence.leads_over(scope, "peer")
    if own.empty:
        return None
    least = own.sort_values("mean", kind="stable").iloc[0].to_dict()
    text = f"least lead {interval(least)}, over {evidence.style.method(least['second'])}"
    return text, bool((own["low"] > 0).all())


def _mixtures(evidence: Evidence, scope: str) -> tuple[str, bool] | None:
    record = evidence.best_located("mixtures", scope, "relevance_rank")
    if not record:
        return None
    text = f"{evidence.style.method(record['method'])} {number(record['mean'])}"
    return text + chance_of(evidence, "mixtures", scope, "relevance_rank"), record["mean"] >= RANK


def _cues(evidence: Evidence, scope: str) -> tuple[str, bool] | None:
    own = evidence.by_method("cues", scope, "relevance_mass")
    own = own[(own["method"] != CHANCE) & own["mean"].notna()]
    if own.empty:
        return None
    best = own.sort_values("mean", kind="stable").iloc[-1]
    reach = int((own["mean"] >= INSIDE).sum())
    text = f"{evidence.style.method(best['method'])} {number(best['mean'])}; {reach} of {len(own)} methods reach it"
    return text + chance_of(evidence, "cues", scope, "relevance_mass"), reach > 0


def _gap(evidence: Evidence, method: str, scope: str) -> tuple[str, bool] | None:
    row = evidence.gap(scope, method, FEW_GRADIENTS)
    if not row:
        return None
    return f"{short_percent(row['median'])} at {row['gradients']}", row["median"] <= SMALL_GAP


def _size(evidence: Evidence) -> Target:
    own = evidence.clips[evidence.clips["metric"] == LEADING]
    name = "Size of the study"
    wanted = (
        f"≥ {PAIRS} clip × model pairs per data set × architecture over ≥ {SEEDS} training seeds, "
        f"≥ {ARCHITECTURES} architectures and ≥ {DATASETS} data sets"
    )
    if own.empty:
        return Target(name, wanted, "not measured", None)
    pairs, seeds = (int(own.groupby("scope")[column].nunique().min()) for column in ("pair", "training_seed"))
    models, datasets = sorted(set(own["model"])), sorted(set(own["recordings"]))
    found = (
        f"≥ {counted(pairs, 'pair')}, ≥ {counted(seeds, 'seed')}, {counted(len(models), 'architecture')} "
        f"({listed(models)}), {counted(len(datasets), 'data set')} ({listed(datasets)})"
    )
    met = pairs >= PAIRS and seeds >= SEEDS and len(models) >= ARCHITECTURES and len(datasets) >= DATASETS
    return Target(name, wanted, found, met)
