"""What a study advises: methods to use, methods to avoid, and the numbers that say so.

A *setting* is one combination of keys (data set, model, resolution). By the leading metric, the first of the study that
has a direction, a method is *among the best* of a setting where it leads or its paired difference from the leader has
an interval with zero in it. It *holds its own* where it is better than every control. Used are the methods that hold
their own in more than half of the settings and are among the best most often; to be avoided are those that hold their
own in half of the settings or fewer while others do better, and those that are decidedly worse than a control more
often than not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from audioxai.report.estimates import contrast, groups
from audioxai.report.style import Style, capitalised, listed, number
from audioxai.report.verdicts import verdict


@dataclass(frozen=True)
class Standing:
    """How a method does by the leading metric.

    Attributes
    ----------
    method : str
        Its name.
    settings : int
        In how many it was scored.
    best, beats, worse : int
        In how many it is among the best, better than every control, and worse than some control.
    lowest, highest : float
        Range of its means.
    mean_rank : float
        Mean over the settings of its rank by the mean, 1 = best.
    """

    method: str
    settings: int
    best: int
    beats: int
    worse: int
    lowest: float
    highest: float
    mean_rank: float


@dataclass(frozen=True)
class Advice:
    """What to use and what to avoid.

    Attributes
    ----------
    metric : str
        The leading metric.
    controls : tuple of str
        Controls that were run.
    standings : tuple of Standing
        Best first, without controls.
    control_means : tuple of (str, float, float)
        Control with the range of its means.
    use, avoid : tuple of str
        Methods; both may be empty.
    """

    metric: str
    controls: tuple[str, ...]
    standings: tuple[Standing, ...]
    control_means: tuple[tuple[str, float, float], ...]
    use: tuple[str, ...]
    avoid: tuple[str, ...]


def leading_metric(metrics: Sequence[str], style: Style) -> str | None:
    """The first metric of the study that has a direction; None if there is none."""
    return next((name for name in style.ordered_metrics(metrics) if style.direction(name) is not None), None)


def advise(tidy: pd.DataFrame, keys: Sequence[str], style: Style) -> Advice | None:
    """Advice from the rows of the leading metric; None where no metric has a direction or nothing is defined."""
    metric = leading_metric(list(tidy["metric"].unique()), style)
    own = tidy[tidy["metric"] == metric]
    if metric is None or own["score"].isna().all():
        return None
    sign = 1 if style.direction(metric) else -1
    controls = style.controls(own["method"])
    found: dict[str, list[tuple[bool, bool, bool, float, float]]] = {}
    control_means: dict[str, list[float]] = {name: [] for name in controls}
    for _, part in groups(own, keys):
        means = part.groupby("method")["score"].mean().dropna()
        for name in controls:
            control_means[name] += [float(means[name])] if name in means else []
        shown = means[[not style.is_control(str(name)) for name in means.index]]
        if shown.empty:
            continue
        ranks = (-sign * shown).rank()
        best = min(shown.index, key=lambda name: (-sign * shown[name], str(name)))
        behind = _outcomes(part, ["metric"], str(best), style)
        against = [_outcomes(part, ["metric"], control, style) for control in controls if control in means]
        for name in map(str, shown.index):
            outcomes = [outcome.get(name, "undecided") for outcome in against]
            found.setdefault(name, []).append(
                (
                    name == best or behind.get(name) == "undecided",
                    all(one == "better" for one in outcomes),
                    any(one == "worse" for one in outcomes),
                    float(shown[name]),
                    float(ranks[name]),
                )
            )
    standings = [_standing(name, entries) for name, entries in found.items()]
    standings.sort(key=lambda one: (-one.best / one.settings, -one.beats / one.settings, one.mean_rank, one.method))
    return Advice(
        metric,
        tuple(controls),
        tuple(standings),
        tuple((name, min(means), max(means)) for name, means in control_means.items() if means),
        *_chosen(standings),
    )


def advice_items(advice: Advice, style: Style, where: str = "") -> list[str]:
    """Sentences in Markdown: use, avoid, because; ``where`` stands before each, ``On audio, `` for one."""
    metric, by = style.in_sentence(advice.metric), {one.method: one for one in advice.standings}
    controls = listed([style.method(name) for name in advice.controls])
    if not advice.use:
        reason = f"is better than {controls} in more than half of the settings" if controls else "leads anywhere"
        words = [f"{where}**no method can be advised**: by {metric}, none {reason}."]
    else:
        one = by[advice.use[0]]
        leads = f"among the best by {metric} in {_of(one.best, one.settings)}"
        beats = f" and better than {controls} in {_of(one.beats, one.settings)}" if controls else ""
        more = "each " if len(advice.use) > 1 else ""
        words = [f"{where}**use {listed([style.method(name) for name in advice.use])}**: {more}{leads}{beats}."]
    if advice.avoid:
        reasons: dict[str, list[str]] = {}
        for name in advice.avoid:
            reasons.setdefault(_against(by[name]), []).append(style.method(name))
        words.append(f"{where}**avoid** {listed([f'**{listed(names)}** ({why})' for why, names in reasons.items()])}.")
    shown = [*advice.use[:2], *[name for name in advice.avoid if name not in advice.use][:2]] or [
        one.method for one in advice.standings[:2]
    ]
    ranges = [f"{style.method(name)} {_range(by[name].lowest, by[name].highest)}" for name in shown]
    ranges += [f"{style.method(name)} {_range(low, high)}" for name, low, high in advice.control_means]
    better = "higher is better" if style.direction(advice.metric) else "lower is better"
    words.append(f"{where}**because** mean {metric} ({better}) is: {'; '.join(ranges)}.")
    return [text[:2] + text[2].upper() + text[3:] if text.startswith("**") else capitalised(text) for text in words]


def _outcomes(part: pd.DataFrame, keys: Sequence[str], reference: str, style: Style) -> dict[str, str]:
    table = contrast(part, keys, reference)
    return {row["first"]: verdict(row, style.direction(row["metric"])).outcome for row in table.to_dict("records")}


def _standing(name: str, entries: Sequence[tuple[bool, bool, bool, float, float]]) -> Standing:
    best, beats, worse, means, ranks = zip(*entries, strict=True)
    return Standing(
        name, len(entries), sum(best), sum(beats), sum(worse), min(means), max(means), sum(ranks) / len(ranks)
    )


def _chosen(standings: Sequence[Standing]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    holding = [one for one in standings if 2 * one.beats > one.settings]
    most = max((one.best / one.settings for one in holding), default=0.0)
    use = [one for one in holding if one.best / one.settings == most and most > 0]
    # Where several are alike, those whose record against the controls is the best.
    surest = max((one.beats / one.settings for one in use), default=0.0)
    use = [one for one in use if one.beats / one.settings == surest]
    avoid = [
        one
        for one in standings
        if one not in use and (2 * one.worse > one.settings or (holding and 2 * one.beats <= one.settings))
    ]
    return tuple(one.method for one in use), tuple(one.method for one in reversed(avoid))


def _against(one: Standing) -> str:
    if 2 * one.worse > one.settings:
        return f"worse than a control in {_of(one.worse, one.settings)}"
    return f"better than every control in {'only ' if one.beats else ''}{_of(one.beats, one.settings)}"


def _of(count: int, settings: int) -> str:
    if settings == 1:
        return "the one setting" if count else "no setting"
    return f"all {settings} settings" if count == settings else f"{count or 'none'} of {settings} settings"


def _range(low: float, high: float) -> str:
    return number(low) if math.isclose(low, high) or number(low) == number(high) else f"{number(low)} to {number(high)}"
