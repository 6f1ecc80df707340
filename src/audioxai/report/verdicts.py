"""Verdicts: records from which sentences, bold cells, markers and target lines are all made.

A verdict is an estimate, the rule that it is judged by, and the outcome. *Better*, *worse*, *higher* and *lower* are
said only where the rule decides; all else is undecided.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd
from scipy.stats import binom

from audioxai.report.document import Cell
from audioxai.report.style import Style, interval_text, listed, signed

Outcome = Literal["better", "worse", "higher", "lower", "undecided"]
Rule = Literal["interval", "holm"]
# Rule → how it is said in captions.
RULES: dict[Rule, str] = {
    "interval": "bold: the 95 % interval excludes zero",
    "holm": "bold: p < 0.05 after Holm's correction",
}
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What an estimated difference says.

    Attributes
    ----------
    subject : mapping
        What is judged: method, metric, resolution and the like.
    mean, low, high : float
        The difference with its 95 % interval; NaN where there is none.
    rule : {"interval", "holm"}
        Whether the interval or Holm's p decides.
    outcome : {"better", "worse", "higher", "lower", "undecided"}
        ``better`` and ``worse`` for metrics with a direction, ``higher`` and ``lower`` for the others.
    undefined : int
        Pairs that were left out.
    """

    subject: Mapping[Any, Any]
    mean: float
    low: float
    high: float
    rule: Rule
    outcome: Outcome
    undefined: int = 0

    @property
    def decided(self) -> bool:
        """Whether the rule decides."""
        return self.outcome != "undecided"

    @property
    def marker(self) -> str:
        """``*`` where the rule decides."""
        return "*" if self.decided else ""

    @property
    def cell(self) -> Cell:
        """Difference with its interval, bold where the rule decides."""
        undefined = f" ({self.undefined} undef.)" if self.undefined else ""
        return Cell(interval_text(self.mean, self.low, self.high) + undefined, self.mean, self.decided)

    @property
    def text(self) -> str:
        """``+0.18 [+0.12, +0.24]``; the mean alone where there is no interval."""
        if math.isnan(self.low):
            return signed(self.mean)
        return f"{signed(self.mean)} [{signed(self.low)}, {signed(self.high)}]"


@dataclass(frozen=True)
class Target:
    """What a study set out to reach.

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
    def outcome(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Line of a table: name, wanted, found, outcome."""
        return Cell(self.name), Cell(self.wanted), Cell(self.found), Cell(self.outcome, strong=bool(self.met))

    def record(self) -> dict[str, Any]:
        """Flat record with the outcome as ``verdict``."""
        return asdict(self) | {"verdict": self.outcome}


def outcome(low: float, high: float, higher_is_better: bool | None) -> Outcome:
    """What an interval of a difference says; undecided where it holds zero or is none."""
    if not (low > 0 or high < 0):
        return "undecided"
    if higher_is_better is None:
        return "higher" if low > 0 else "lower"
    return "better" if (low > 0) == higher_is_better else "worse"


def verdict(record: Mapping[Hashable, Any], higher_is_better: bool | None, rule: Rule = "interval") -> Verdict:
    """Verdict on one record of a contrast or trend; the rule ``"holm"`` needs its ``p_holm``."""
    mean, low, high = (float(record[name]) for name in ("mean", "low", "high"))
    ends = (low, high)
    if rule == "holm":
        decided = record["p_holm"] is not None and record["p_holm"] < LEVEL
        ends = (mean, mean) if decided else (-1.0, 1.0)
    found = outcome(*ends, higher_is_better)
    subject = {name: value for name, value in record.items() if name not in ("mean", "low", "high")}
    return Verdict(subject, mean, low, high, rule, found, int(record.get("undefined", 0)))


def verdicts(table: pd.DataFrame, style: Style, rule: Rule = "interval") -> list[Verdict]:
    """Verdict on every row of a contrast or trend that has the column ``metric``."""
    return [verdict(record, style.direction(record["metric"]), rule) for record in table.to_dict("records")]


def with_outcomes(table: pd.DataFrame, style: Style, rule: Rule = "interval") -> pd.DataFrame:
    """A contrast or trend with the column ``outcome``."""
    return table.assign(outcome=[one.outcome for one in verdicts(table, style, rule)])


def within_chance(decided: int, count: int) -> bool:
    """Whether so many or more of ``count`` independent 95 % intervals would miss zero with a chance above 5 %."""
    return bool(binom.sf(decided - 1, count, LEVEL) > LEVEL)


@dataclass(frozen=True)
class Tally:
    """How verdicts on several cells came out.

    Attributes
    ----------
    outcomes : mapping of str to int
        Outcome → how often.
    """

    outcomes: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.outcomes.get(name, 0)

    @property
    def count(self) -> int:
        """Verdicts in all."""
        return sum(self.outcomes.values())

    @property
    def decided(self) -> int:
        """Verdicts that are not undecided."""
        return self.count - self["undecided"]

    @property
    def is_chance(self) -> bool:
        """Whether so many could be decided by chance alone."""
        return within_chance(self.decided, self.count)

    @property
    def majority(self) -> str | None:
        """Outcome of more than half of them; None if there is none or it is undecided."""
        found = [name for name, count in self.outcomes.items() if 2 * count > self.count and name != "undecided"]
        return found[0] if found else None


def tally(found: Iterable[Verdict]) -> Tally:
    """Count outcomes."""
    outcomes = [one.outcome for one in found]
    return Tally({name: outcomes.count(name) for name in dict.fromkeys(outcomes)})


def named(found: Sequence[Verdict], wanted: str, style: Style, where: str = "resolution") -> str:
    """Methods with an outcome, as text: ``Saliency and Occlusion (at 28 and 64)``, or ``every method``.

    ``where`` is the field of the subject that tells the cells of one method apart; it is named where the outcome does
    not hold in all of them.
    """
    everywhere = list(dict.fromkeys(str(one.subject.get(where, "")) for one in found))
    own: dict[str, list[str]] = {}
    for one in found:
        if one.outcome == wanted:
            own.setdefault(_method_of(one), []).append(str(one.subject.get(where, "")))
    if own and sum(map(len, own.values())) == len(found):
        return "every method" if len(own) > 1 else style.method(next(iter(own)))
    return listed(
        [style.method(name) + ("" if at == everywhere else f" (at {listed(at)})") for name, at in own.items()]
    )


def _method_of(one: Verdict) -> str:
    return str(one.subject["method"] if "method" in one.subject else one.subject["first"])
