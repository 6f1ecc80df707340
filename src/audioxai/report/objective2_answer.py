"""Research question 2 answered in sentences made from the tables.

*Better* and *worse* are said of differences whose Holm-corrected p lies below 5 %; all others are called undecided.
Beside peers and controls, *ahead*, *behind* and *above* are said where the 95 % interval excludes zero: to be above
every one of them at once needs no correction, since each has to be passed (an intersection–union test).
"""

from collections.abc import Sequence

import pandas as pd

from audioxai.report.answer import bullets, counted, signed
from audioxai.report.objective2_tables import (
    ALL,
    CLIPS,
    CONTROLS,
    LEADING,
    PEERS,
    REFERENCE,
    TRUTHS,
    Evidence,
    audio_methods,
    clustered_by_clips,
    prepared,
)
from audioxai.report.objective2_targets import Target, best_of, chance_of, interval, p_value
from audioxai.report.style import CONTROL, in_order, listed, method_style, metric_style, number

QUESTION = "How can Integrated Gradients be improved for audio?"
LEVEL = 0.05
FEW_SPEAKERS = 10


def answer(rows: pd.DataFrame, evidence: Evidence, found: Sequence[Target]) -> list[str]:
    """Research question 2 in paragraphs and bullet lists, Markdown: the short answer first."""
    return [
        _in_short(evidence),
        *_by_scope(evidence),
        *_turned_round(evidence),
        *_beside_peers(evidence),
        *_what_helped(evidence),
        *_against_controls(evidence),
        *_ground_truth(evidence),
        _met(found),
        _compared(rows, evidence),
    ]


def caveats(rows: pd.DataFrame, evidence: Evidence) -> list[str]:
    """What the numbers do not say, one sentence or two each."""
    tidy = prepared(rows)
    clips = tidy[tidy["material"] == CLIPS]
    found = [
        "Means weigh every speaker alike, and pooled ones every dataset; intervals are Student's t over speakers "
        "(95 %). They are conditional on the models that were trained: seeds and architectures are not resampled.",
        "Differences are paired by clip, training seed and architecture. Holm's correction is over all methods "
        "compared within one dataset × architecture and budget, controls included.",
        "The best audio IG was picked from the numbers that it is judged by, over all models, so its lead is on the "
        "high side; Holm's correction covers the pick against silence IG, not against peers and controls.",
        "Effect sizes d_z are mean over standard deviation of the speakers' mean differences.",
    ]
    for name in clustered_by_clips(clips):
        found.append(
            f"{name} has one test speaker: its clips are the clusters, and its intervals and p values speak of that "
            "speaker alone."
        )
    speakers = clips.groupby("recordings")["cluster"].nunique()
    for recordings, count in speakers[speakers < FEW_SPEAKERS].items():
        floor = 2.0 ** (1 - int(count))
        found.append(
            f"{recordings} has {counted(int(count), 'cluster')} only: Wilcoxon's signed-rank p cannot fall below "
            f"{floor:.2g} there, before any correction."
        )
    seeds = clips.groupby("scope")["training_seed"].nunique()
    if seeds.min() < 2:
        found.append("One training seed: what another training would give is not known.")
    undefined = int(evidence.means["undefined"].sum())
    if undefined:
        found.append(f"Undefined scores (NaN): {undefined} over all tables, left out of the means.")
    return found


def _in_short(evidence: Evidence) -> str:
    scope: str = evidence.overall()
    best = evidence.best
    if best is None:
        return "**In short.** The rows hold no audio IG that was judged under both removals; the question stays open."
    own = evidence.mean(CLIPS, scope, best, LEADING)
    text = (
        f"**In short.** The best audio IG is **{method_style(best).name}**: at {evidence.main_budget} gradients a map "
        f"it reaches {interval(own)} (insertion − deletion, −1 to 1) under the worse of two removals, silence and noise"
    )
    gain = evidence.gain(scope, best)
    if not gain:
        return f"{text}. Silence IG was not measured beside it."
    silence = evidence.mean(CLIPS, scope, REFERENCE, LEADING)
    return (
        f"{text}; silence IG reaches {interval(silence)}. At equal gradients that is {interval(gain)} "
        f"({_tested(gain)}), {_over(scope)}: {_verdict(gain)}."
    )


def _by_scope(evidence: Evidence) -> list[str]:
    best, scopes = evidence.best, evidence.scopes()
    found = [(scope, evidence.gain(scope, best)) for scope in scopes] if best else []
    lines = [
        f"{scope}: {interval(evidence.mean(CLIPS, scope, str(best), LEADING))}; {interval(gain)} against silence IG "
        f"({_tested(gain)}, over clips {p_value(gain['p_clips_holm'])}): {_verdict(gain)}"
        for scope, gain in found
        if gain
    ]
    return [f"{method_style(str(best)).name} by dataset and architecture:", bullets(lines)] if lines else []


def _turned_round(evidence: Evidence) -> list[str]:
    scope = evidence.overall()
    plain, silence = (evidence.mean(CLIPS, scope, method, "removal_silence") for method in ("plain", REFERENCE))
    if not plain or not silence:
        return []
    verb = "is undone" if plain["high"] < 0 < silence["low"] else "is not clearly undone"
    return [
        f"**From 0 dB to silence.** Under silence, plain IG from 0 dB reaches {interval(plain)} and silence IG "
        f"{interval(silence)}, {_over(scope)}: the earlier failure {verb} by a baseline that is silent."
    ]


def _beside_peers(evidence: Evidence) -> list[str]:
    table = evidence.leads
    if table.empty:
        return []
    own = table[(table["scope"] == evidence.overall()) & table["second"].isin(PEERS)]
    if own.empty:
        return []
    ahead, behind = own[own["low"] > 0], own[own["high"] < 0]
    rest = own.drop([*ahead.index, *behind.index])
    clauses = [
        f"{words} {listed(_named(part, 'second'))}"
        for words, part in (("it is ahead of", ahead), ("not told apart from", rest), ("behind", behind))
        if len(part)
    ]
    every = " It is ahead of every peer." if len(ahead) == len(own) else " So it is **not** above every peer."
    return [f"**Beside its peers**, {_over(evidence.overall())}, {'; '.join(clauses)}.{every}"]


def _what_helped(evidence: Evidence) -> list[str]:
    table = evidence.gains
    if table.empty:
        return []
    own = table[(table["scope"] == evidence.overall()) & (table["gradients"] == evidence.main_budget)]
    own = own[own["first"].isin(audio_methods(list(own["first"])))].dropna(subset=["mean"])
    if own.empty:
        return []
    decided = own["p_holm"] < LEVEL
    parts = {
        "Better than silence IG": own[decided & (own["mean"] > 0)],
        "Did **not** help, worse than silence IG": own[decided & (own["mean"] < 0)],
        "Did **not** help, not told apart from silence IG": own[~decided],
    }
    lines = [
        f"{words}: {listed(_named(part.sort_values('mean', ascending=False), 'first'))}."
        for words, part in parts.items()
        if len(part)
    ]
    return [
        f"**What helped and what did not**, under the worse removal at {evidence.main_budget} gradients, "
        f"{_over(evidence.overall())}, after Holm's correction:",
        bullets(lines),
    ]


def _against_controls(evidence: Evidence) -> list[str]:
    table = evidence.leads
    own = table[(table["scope"] == evidence.overall()) & table["second"].isin(CONTROLS)] if len(table) else table
    if own.empty:
        return []
    clauses = [f"{method_style(row['second']).name} {interval(row)}" for row in own.to_dict("records")]
    missed = _named(own[~(own["low"] > 0)], "second")
    verdict = f"It is not clearly above {listed(missed)}." if missed else "It is above every control."
    return [f"**Against the controls**, {method_style(str(evidence.best)).name} minus: {'; '.join(clauses)}. {verdict}"]


def _ground_truth(evidence: Evidence) -> list[str]:
    lines = []
    for material in in_order(set(evidence.means["material"]) - {CLIPS}, TRUTHS):
        scope = evidence.overall(material)
        clauses = [
            f"{metric_style(metric).name.lower()} {number(best['mean'])} by {method_style(best['method']).name}"
            + chance_of(evidence, material, scope, metric)
            + _best_and_silence(evidence, material, scope, metric)
            + _above(evidence, material, scope, metric, float(best["mean"]))
            for metric in ("relevance_rank", "relevance_mass", "pointing_game")
            for best in [best_of(evidence, material, scope, metric)]
            if best
        ]
        if clauses:
            lines.append(f"{TRUTHS[material].capitalize()}, {_over(scope)}: {'; '.join(clauses)}.")
    missing = _missing_the_cue(evidence)
    return (
        ["**Where it is known where relevance belongs**, the best of the IG methods:", bullets(lines + missing)]
        if (lines)
        else []
    )


def _best_and_silence(evidence: Evidence, material: str, scope: str, metric: str) -> str:
    others = [
        f"{method_style(method).name} {number(record['mean'])}"
        for method in dict.fromkeys([str(evidence.best), REFERENCE])
        for record in [evidence.mean(material, scope, method, metric)]
        if record
    ]
    return f" [{', '.join(others)}]" if others else ""


def _above(evidence: Evidence, material: str, scope: str, metric: str, mean: float) -> str:
    """Peers and controls that do better than the best of the IG methods."""
    own = evidence.by_method(material, scope, metric)
    better = own[own["method"].isin([*PEERS, *CONTROLS]) & (own["mean"] > mean)]
    named = [
        f"{method_style(row['method']).name} ({number(row['mean'])})"
        for row in better.sort_values("mean", ascending=False, kind="stable").to_dict("records")
    ]
    return f", which {listed(named)} {'is' if len(named) == 1 else 'are'} above" if named else ""


def _missing_the_cue(evidence: Evidence) -> list[str]:
    """Methods that put no more positive relevance into planted cues than chance does."""
    if "cues" not in set(evidence.means["material"]):
        return []
    own = evidence.by_method("cues", evidence.overall("cues"), "relevance_mass")
    chance = own.loc[own["method"] == CONTROL, "mean"]
    if chance.empty:
        return []
    missed = own[(own["method"] != CONTROL) & ~(own["low"] > float(chance.iloc[0]))]
    if missed.empty:
        return ["Every method puts more relevance into the cue than chance does."]
    return [f"Miss the cue (relevance inside it not clearly above chance): {listed(_named(missed, 'method'))}."]


def _met(found: Sequence[Target]) -> str:
    groups = {
        verdict: [f"{target.name}" for target in found if target.verdict == verdict]
        for verdict in ("met", "missed", "not measured")
    }
    told = [f"{verdict} ({len(names)}): {'; '.join(names)}." for verdict, names in groups.items() if names]
    return f"**Targets**, {len(found)} of them, each told in the table below. {' '.join(map(_capital, told))}"


def _compared(rows: pd.DataFrame, evidence: Evidence) -> str:
    tidy = prepared(rows)
    clips = tidy[tidy["material"] == CLIPS]
    parts = [
        f"{scope}: {counted(part['pair'].nunique(), 'pair')} of clip and model, "
        f"{counted(part['speaker'].nunique(), 'speaker')}, {counted(part['training_seed'].nunique(), 'training seed')}"
        for scope, part in clips.groupby("scope")
    ]
    budgets = [str(b) for b in sorted(evidence.means.loc[evidence.means["material"] == CLIPS, "gradients"].unique())]
    return (
        f"**What was compared.** {'; '.join(parts)}. {counted(clips['method'].nunique(), 'method')}, controls "
        f"included; {listed(budgets)} gradients a map."
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _named(table: pd.DataFrame, column: str) -> list[str]:
    means = zip(table[column], table["mean"], strict=True)
    return [f"{method_style(method).name} ({signed(mean)})" for method, mean in means]


def _tested(record: dict[str, object]) -> str:
    return f"Holm {p_value(float(str(record['p_holm'])))}, d_z {number(float(str(record['d_z'])))}"


def _verdict(record: dict[str, object]) -> str:
    mean, p_holm = float(str(record["mean"])), float(str(record["p_holm"]))
    if not p_holm < LEVEL:
        return "undecided"
    return "better than silence IG" if mean > 0 else "worse than silence IG"


def _over(scope: str) -> str:
    return "over all datasets and architectures" if scope == ALL else f"on {scope}"
