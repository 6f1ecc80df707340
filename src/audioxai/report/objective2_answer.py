"""Research question 2 answered: what to do, why, and what the numbers do not say, in sentences made from verdicts.

*Better* and *worse* are said of differences whose Holm-corrected p lies below 5 %. Against peers and controls, *ahead*,
*behind* and *above* are said where the 95 % interval excludes zero: to be above every one of them at once needs no
correction, since each has to be passed (an intersection–union test).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from audioxai.report.blocks import Record
from audioxai.report.document import Block, Bullets, Paragraph
from audioxai.report.objective2_estimates import ALL, CHANCE, CLIPS, LEADING, PLAIN, REFERENCE, TRUTHS, Evidence
from audioxai.report.objective2_measures import gains_and_costs, judged, measures_text, named
from audioxai.report.objective2_targets import chance_of, interval, short_percent
from audioxai.report.style import capitalised, counted, listed, number, p_value, signed
from audioxai.report.verdicts import Outcome, Target, verdict

FEW_CLUSTERS = 10


@dataclass(frozen=True)
class Advice:
    """What the verdicts come to, over all models under the worse removal.

    Attributes
    ----------
    start : {"silence", "0 dB"} or None
        Where a path should start; None while that is undecided.
    use : str or None
        Method to use where the order of the bins matters: the best one made for audio if it is better than silence IG,
        else silence IG; None if neither was scored.
    outcome : {"better", "worse", "undecided"}
        Of the best method made for audio against silence IG.
    adds_up : str or None
        Which of the two to use where attributions have to add up; None where their gaps are alike or not known.
    avoid : tuple of str
        Methods that are worse than silence IG, the worst first; controls are no methods.
    ahead : tuple of str
        Peers that are ahead of the best method made for audio.
    not_beaten : tuple of str
        Controls that it is not clearly above.
    pays, costs : tuple of str
        The mission's measures by which it is better, and worse, than silence IG.
    """

    start: str | None
    use: str | None
    outcome: Outcome
    adds_up: str | None
    avoid: tuple[str, ...]
    ahead: tuple[str, ...]
    not_beaten: tuple[str, ...]
    pays: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()


def advice(evidence: Evidence) -> Advice:
    """What to do, as far as the verdicts carry it."""
    scope, best = evidence.overall(), evidence.best
    plain, silence = (evidence.mean(CLIPS, scope, method, "removal_silence") for method in (PLAIN, REFERENCE))
    from_0_db = _outcome(evidence.gain(scope, PLAIN))
    undone = bool(plain and silence) and plain["high"] < 0 < silence["low"]
    outcome = _outcome(evidence.gain(scope, best))
    gaps = [evidence.gap(scope, method, evidence.main_budget) for method in (REFERENCE, best or "")]
    texts = [short_percent(row["median"]) for row in gaps if row]
    gains = evidence.gains_at(scope)
    worse = [
        row
        for row in gains.to_dict("records")
        if _outcome(row) == "worse" and row["first"] not in evidence.of_role("control")
    ]
    peers, controls = (evidence.leads_over(scope, role).to_dict("records") for role in ("peer", "control"))
    measured = judged(evidence, scope, best or "")
    return Advice(
        start="silence" if undone or from_0_db == "worse" else "0 dB" if from_0_db == "better" else None,
        use=best if outcome == "better" else REFERENCE if silence else None,
        outcome=outcome,
        adds_up=min(gaps, key=lambda row: float(row["median"]))["method"] if len(set(texts)) == 2 else None,
        avoid=tuple(row["first"] for row in sorted(worse, key=lambda row: float(row["mean"]))),
        ahead=tuple(row["second"] for row in peers if row["high"] < 0),
        not_beaten=tuple(row["second"] for row in controls if not row["low"] > 0),
        pays=tuple(named(measured, "better")),
        costs=tuple(named(measured, "worse")),
    )


def answer(evidence: Evidence, reached: Sequence[Target]) -> list[Block]:
    """What to do, in a few lines; which targets were met; what was compared."""
    advised = advice(evidence)
    steps = [*_start(evidence, advised), *_use(evidence, advised), *gains_and_costs(evidence)]
    steps += _avoid(evidence, advised)
    return [Bullets(tuple(steps)), Paragraph(_met(reached)), Paragraph(_compared(evidence))]


def reasons(evidence: Evidence) -> list[Paragraph | Bullets]:
    """Why, with the numbers."""
    return [
        *_baselines(evidence),
        *_gains(evidence),
        *_against_peers(evidence),
        *_against_controls(evidence, advice(evidence)),
        *measures_text(evidence),
        *_what_helped(evidence),
        *_ground_truth(evidence),
    ]


def limits(evidence: Evidence) -> list[str]:
    """What the numbers do not say, one sentence or two each."""
    clips, group = evidence.clips, evidence.group_name
    clusters = clips.groupby("recordings")["cluster"].nunique()
    few = clusters[clusters < FEW_CLUSTERS]
    undefined = int(evidence.means["undefined"].sum())
    return [
        f"Means weigh every {group} alike, and pooled ones every data set; intervals are Student's t over the {group}s "
        "(95 %). They are conditional on the models that were trained: seeds and architectures are not resampled.",
        "Differences are paired by clip, training seed and architecture. Holm's correction is over all methods "
        "compared within one data set × architecture and budget, controls included.",
        "The best audio IG was picked from the numbers that it is judged by, over all models, so its lead is on the "
        "high side; Holm's correction covers the pick against silence IG, not against peers and controls.",
        *(
            f"{name} has fewer than two known test {group}s: its clips are the clusters, and its intervals and p "
            f"values do not tell what another {group} would change."
            for name in evidence.clustered_by_clips()
        ),
        *(
            f"{name} has {counted(int(count), 'cluster')} only: Wilcoxon's signed-rank p cannot fall below "
            f"{2.0 ** (1 - int(count)):.2g} there, before any correction."
            for name, count in few.items()
        ),
        *(
            ["One training seed: what another training would give is not known."]
            if clips.groupby("scope")["training_seed"].nunique().min() < 2
            else []
        ),
        *([f"Undefined scores (NaN): {undefined} over all tables, left out of the means."] if undefined else []),
    ]


def terms(evidence: Evidence) -> list[str]:
    """Words and symbols that a reader meets in the answer and the tables."""
    group = evidence.group_name
    return [
        "Scores are *insertion − deletion*, from −1 to 1: the probability of the explained class as time–frequency "
        "bins come in the order of the attributions, minus that as they go; a random order scores about 0. Bins that "
        "are absent are silent, or speech-shaped noise; the *worse removal* is the lower score of each clip.",
        f"Numbers in brackets are 95 % intervals. A *cluster* is one {group}, since clips of one {group} are alike, or "
        f"one clip where a data set has a single {group}; n counts scores.",
        "*Holm p* is corrected for all methods compared within one data set × architecture and budget. *d_z* is the "
        "mean difference of the clusters divided by its standard deviation: 0.2 is small, 0.8 large. *P(better)* is "
        "the share of pairs in which the first method scores higher, ties half.",
        "*undef.* counts scores that do not exist (NaN), such as the share of relevance in a region where a map is "
        "zero everywhere; means leave them out.",
        "A *gradient* is one forward and backward pass; methods are compared at equal gradients per map. The "
        "*completeness gap* is |ΣA − ΔF| / |ΔF|: attributions should add up to the change of the score.",
    ]


def _start(evidence: Evidence, advised: Advice) -> list[str]:
    scope = evidence.overall()
    plain, silence = (evidence.mean(CLIPS, scope, method, "removal_silence") for method in (PLAIN, REFERENCE))
    if not plain or not silence:
        return []
    numbers = f"from 0 dB Integrated Gradients scores {signed(plain['mean'])} where absent bins are silent, from "
    numbers += f"silence {signed(silence['mean'])}"
    if advised.start is None:
        return [f"**Silence or 0 dB as the baseline: undecided in these data.** {capitalised(numbers)}."]
    if advised.start == "0 dB":
        return [f"**Start the path from 0 dB: these data favour it over silence.** {capitalised(numbers)}."]
    worse = ", and below 0 is worse than a random order" if plain["high"] < 0 else ""
    return [f"**Start the path from silence, not from 0 dB**, the loudest level in decibels: {numbers}{worse}."]


def _use(evidence: Evidence, advised: Advice) -> list[str]:
    best, scope, budget, name = evidence.best, evidence.overall(), evidence.main_budget, evidence.style.method
    if best is None:
        return ["**No method made for audio was scored under both removals**, so none can be recommended."]
    own, silence = (evidence.mean(CLIPS, scope, method, LEADING) for method in (best, REFERENCE))
    score = f"{signed(own['mean'])} under the worse removal"
    if not silence:
        return [f"**Whether {name(best)} is better than silence IG is not known**: {score}, silence IG has no score."]
    same = own["cost"] == silence["cost"]
    cost = "at the same cost of" if same else f"where silence IG takes {silence['cost']} model passes per map and it"
    score += f", silence IG {signed(silence['mean'])}, {cost} {own['cost']}{' model passes per map' if same else ''}"
    if advised.outcome == "better":
        steps = [f"**Use {name(best)} where the order of the bins matters**: {score}."]
    else:
        shown = "is worse" if advised.outcome == "worse" else "is not shown to be better"
        steps = [f"**Stay with silence IG**: {name(best)}, the best of the methods made for audio, {shown}: {score}."]
    if advised.adds_up is not None:
        other = best if advised.adds_up == REFERENCE else REFERENCE
        first, second = (evidence.gap(scope, method, budget) for method in (advised.adds_up, other))
        steps.append(
            f"**Use {name(advised.adds_up)} where attributions have to add up**: its median completeness gap is "
            f"{short_percent(first['median'])}, that of {name(other)} {short_percent(second['median'])}, at "
            f"{first['gradients']} gradients."
        )
    if advised.ahead:
        ahead = listed([name(method) for method in advised.ahead])
        steps.append(f"**Try {ahead} first**: from the literature, and ahead of {name(best)} under the worse removal.")
    if advised.not_beaten:
        controls = listed([name(method) for method in advised.not_beaten])
        steps.append(f"**Do not trust {name(best)} by these scores alone**: it is not clearly above {controls}.")
    return steps


def _avoid(evidence: Evidence, advised: Advice) -> list[str]:
    gains = evidence.gains_at(evidence.overall())
    if gains.empty:
        return []
    if not advised.avoid:
        return ["**Nothing is shown to be worse than silence IG**, so these numbers rule no method out."]
    worse = gains.set_index("first").loc[list(advised.avoid)].reset_index()
    verb = "they are" if len(worse) > 1 else "it is"
    return [f"**Avoid {listed(_named(evidence, worse))}**, because {verb} worse than silence IG at equal cost."]


def _baselines(evidence: Evidence) -> list[Paragraph | Bullets]:
    scope = evidence.overall()
    plain, silence = (evidence.mean(CLIPS, scope, method, "removal_silence") for method in (PLAIN, REFERENCE))
    if not plain or not silence:
        return []
    verb = "is undone" if plain["high"] < 0 < silence["low"] else "is not clearly undone"
    numbers = f"IG from 0 dB scores {interval(plain)} and silence IG {interval(silence)}"
    text = f"Under silence, {_over(scope)}, {numbers}: the failure of 0 dB {verb} by a baseline that is silent."
    return [Paragraph(f"**From 0 dB to silence.** {text}")]


def _gains(evidence: Evidence) -> list[Paragraph | Bullets]:
    """The best audio IG against silence IG, everywhere and by data set and architecture."""
    best, overall = evidence.best or "", evidence.overall()
    lines = [
        f"{capitalised(_over(scope))}: {interval(evidence.mean(CLIPS, scope, best, LEADING))}, silence IG "
        f"{interval(evidence.mean(CLIPS, scope, REFERENCE, LEADING))}; paired difference {interval(gain)} "
        f"({_tested(gain)}, over clips {p_value(gain['p_clips_holm'])}): {_outcome(gain)}."
        for scope in dict.fromkeys([overall, *evidence.scopes()])
        for gain in [evidence.gain(scope, best)]
        if gain
    ]
    at = [(budget, evidence.mean(CLIPS, overall, best, LEADING, budget)) for budget in evidence.budgets]
    spent = listed([f"{signed(record['mean'])} with {budget}" for budget, record in at if record])
    head = (
        f"**{evidence.style.method(best)} against silence IG** at {evidence.main_budget} gradients per map, under the "
    )
    tail = f"worse removal; by gradients it scores {spent}:"
    return [Paragraph(head + tail), Bullets(tuple(lines))] if lines else []


def _against_peers(evidence: Evidence) -> list[Paragraph | Bullets]:
    scope = evidence.overall()
    own = evidence.leads_over(scope, "peer")
    if own.empty:
        return []
    ahead, behind = own[own["low"] > 0], own[own["high"] < 0]
    parts = {"ahead of": ahead, "not told apart from": own.drop([*ahead.index, *behind.index]), "behind": behind}
    clauses = [f"{words} {listed(_named(evidence, part, 'second'))}" for words, part in parts.items() if len(part)]
    every = "ahead of every peer" if len(ahead) == len(own) else "**not** above every peer"
    name = evidence.style.method(evidence.best or "")
    return [Paragraph(f"**Against peers**, {_over(scope)}, {name} is {'; '.join(clauses)}. So it is {every}.")]


def _against_controls(evidence: Evidence, advised: Advice) -> list[Paragraph | Bullets]:
    own = evidence.leads_over(evidence.overall(), "control")
    if own.empty:
        return []
    name = evidence.style.method
    clauses = [f"{name(row['second'])} {interval(row)}" for row in own.to_dict("records")]
    missed = listed([name(method) for method in advised.not_beaten])
    every = f"not clearly above {missed}" if missed else "above every control"
    text = f"which explain nothing, {name(evidence.best or '')} minus: {'; '.join(clauses)}. It is {every}."
    return [Paragraph(f"**Against controls**, {text}")]


def _what_helped(evidence: Evidence) -> list[Paragraph | Bullets]:
    scope = evidence.overall()
    table = evidence.gains_at(scope)
    if table.empty:
        return []
    own = table[table["first"].isin(evidence.of_role("ours"))].dropna(subset=["mean"])
    outcomes = pd.Series([_outcome(row) for row in own.to_dict("records")], index=own.index, dtype=object)
    words = {
        "better": "Better than silence IG",
        "worse": "Did **not** help, worse than silence IG",
        "undecided": "Did **not** help, not told apart from silence IG",
    }
    lines = [
        f"{text}: {listed(_named(evidence, part.sort_values('mean', ascending=False, kind='stable')))}."
        for outcome, text in words.items()
        for part in [own[outcomes == outcome]]
        if len(part)
    ]
    head = f"**What helped and what did not**, under the worse removal at {evidence.main_budget} gradients, "
    return [Paragraph(f"{head}{_over(scope)}, after Holm's correction:"), Bullets(tuple(lines))] if lines else []


def _ground_truth(evidence: Evidence) -> list[Paragraph | Bullets]:
    lines = []
    for material in evidence.materials:
        scope = evidence.overall(material)
        clauses = [
            _located(evidence, material, scope, metric, best)
            for metric in evidence.style.metrics
            for best in [evidence.best_located(material, scope, metric)]
            if best
        ]
        if clauses:
            lines.append(f"{capitalised(TRUTHS[material])}, {_over(scope)}: {'; '.join(clauses)}.")
    head = Paragraph("**Where it is known which bins are relevant**, the best of the IG methods:")
    return [head, Bullets((*lines, *_missing_the_cue(evidence)))] if lines else []


def _located(evidence: Evidence, material: str, scope: str, metric: str, best: Record) -> str:
    """The best IG method by one metric, the pick of the recordings and silence IG, and who is above them."""
    name, own = evidence.style.method, evidence.by_method(material, scope, metric)
    others = [
        f"{name(method)} {number(record['mean'])}"
        for method in dict.fromkeys([evidence.best or "", REFERENCE])
        for record in [evidence.mean(material, scope, method, metric)]
        if record and method != best["method"]
    ]
    above = own[own["method"].isin(evidence.of_role("peer", "control")) & (own["mean"] > best["mean"])]
    named = [
        f"{name(row['method'])} ({number(row['mean'])})"
        for row in above.sort_values("mean", ascending=False, kind="stable").to_dict("records")
    ]
    text = f"{evidence.style.in_sentence(metric)} {number(best['mean'])} by {name(best['method'])}"
    text += chance_of(evidence, material, scope, metric) + (f" [{', '.join(others)}]" if others else "")
    return text + (f", which {listed(named)} {'is' if len(named) == 1 else 'are'} above" if named else "")


def _missing_the_cue(evidence: Evidence) -> list[str]:
    """Methods that put no more positive relevance into planted cues than chance does."""
    if "cues" not in evidence.materials:
        return []
    own = evidence.by_method("cues", evidence.overall("cues"), "relevance_mass")
    chance = own.loc[own["method"] == CHANCE, "mean"]
    if chance.empty:
        return []
    missed = own[(own["method"] != CHANCE) & ~(own["low"] > float(chance.iloc[0]))]
    if missed.empty:
        return ["Every method puts more relevance into the cue than chance does."]
    named = listed(_named(evidence, missed, "method"))
    return [f"Miss the cue (relevance inside it not clearly above chance): {named}."]


def _met(reached: Sequence[Target]) -> str:
    groups = {
        outcome: [target.name for target in reached if target.outcome == outcome]
        for outcome in ("met", "missed", "not measured")
    }
    told = [f"{capitalised(outcome)} ({len(names)}): {'; '.join(names)}." for outcome, names in groups.items() if names]
    return f"**Targets**, {len(reached)} of them, each with its numbers in the table of targets. {' '.join(told)}"


def _compared(evidence: Evidence) -> str:
    parts = [
        f"{scope}: {counted(part['pair'].nunique(), 'pair')} of clip and model, "
        f"{counted(part['group'].nunique(), evidence.group_name)}, "
        f"{counted(part['training_seed'].nunique(), 'training seed')}"
        for scope, part in evidence.clips.groupby("scope")
    ]
    methods = counted(evidence.clips["method"].nunique(), "method")
    budgets = listed([str(budget) for budget in evidence.budgets])
    return f"**What was compared.** {'; '.join(parts)}. {methods}, controls included; {budgets} gradients per map."


def _named(evidence: Evidence, table: pd.DataFrame, column: str = "first") -> list[str]:
    means = zip(table[column], table["mean"], strict=True)
    return [f"{evidence.style.method(method)} ({signed(mean)})" for method, mean in means]


def _outcome(gain: Record) -> Outcome:
    """``better``, ``worse`` or ``undecided`` against silence IG, by Holm's p."""
    return verdict(gain, True, "holm").outcome if gain else "undecided"


def _tested(gain: Record) -> str:
    return f"Holm {p_value(gain['p_holm'])}, d_z {number(gain['d_z'])}"


def _over(scope: str) -> str:
    return "over all data sets and architectures" if scope == ALL else f"on {scope}"
