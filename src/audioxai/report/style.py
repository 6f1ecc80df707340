"""Names, order, colours and number formats that every table and figure of the report shares.

Everything is derived from what the results say of their methods and metrics, so that any method has a colour and any
metric a heading.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from audioxai.registry import MethodEntry, MetricEntry

# Okabe and Ito's colours that stand out from white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">", "p", "h", "X", "*")
CONTROL_COLOURS = ("#000000", "#666666", "#999999")
CONTROL_MARKERS = ("x", "+", "1", "2", "3", "4")
RANDOM, LOUDNESS = "random", "energy"


@dataclass(frozen=True, eq=False)
class Style:
    """How the methods and metrics of one study are named, ordered and drawn.

    Attributes
    ----------
    methods, metrics : mapping of str to entry
        What the results know of them, in the study's order. Others keep their own names and come last.
    """

    methods: Mapping[str, MethodEntry]
    metrics: Mapping[str, MetricEntry]

    def method(self, name: str) -> str:
        """Label of a method."""
        return self.methods[name].label if name in self.methods else name.replace("_", " ")

    def metric(self, name: str, short: bool = False) -> str:
        """Label of a metric."""
        if name not in self.metrics:
            return name.replace("_", " ")
        entry = self.metrics[name]
        return (entry.short or entry.label) if short else entry.label

    def in_sentence(self, metric: str) -> str:
        """Label of a metric inside a sentence: its first letter small unless it is an abbreviation."""
        label = self.metric(metric)
        return label if label[:2].isupper() else label[0].lower() + label[1:]

    def heading(self, metric: str, short: bool = False) -> str:
        """Label with ``↑`` where higher is better, ``↓`` where lower is, neither where neither end is."""
        return self.metric(metric, short) + {True: " ↑", False: " ↓", None: ""}[self.direction(metric)]

    def direction(self, metric: str) -> bool | None:
        """Whether higher is better; None where neither end is."""
        return self.metrics[metric].higher_is_better if metric in self.metrics else None

    def is_control(self, method: str) -> bool:
        """Whether a method explains nothing and every other has to beat it."""
        return method in self.methods and self.methods[method].role == "control"

    def ordered_methods(self, names: Iterable[str]) -> list[str]:
        """Distinct methods in the study's order, controls last and the random one at the very end."""
        found = in_order(names, self.methods)
        return sorted(found, key=lambda name: (self.is_control(name), name == RANDOM))

    def ordered_metrics(self, names: Iterable[str]) -> list[str]:
        """Distinct metrics in the study's order."""
        return in_order(names, self.metrics)

    def controls(self, names: Iterable[str]) -> list[str]:
        """Controls among ``names``, random attributions first and loudness second."""
        found = [name for name in in_order(names, self.methods) if self.is_control(name)]
        return sorted(found, key=lambda name: (name != RANDOM, name != LOUDNESS))

    def colour(self, method: str) -> str:
        """Colour of a method: its own where there are few, else its family's; black and grey for controls."""
        return self._drawn.get(method, ("#777777", "*"))[0]

    def marker(self, method: str) -> str:
        """Marker of a method, which tells it apart within its colour and in grey."""
        return self._drawn.get(method, ("#777777", "*"))[1]

    @cached_property
    def _drawn(self) -> dict[str, tuple[str, str]]:
        shown = [entry for entry in self.methods.values() if entry.role != "control"]
        controls = [entry for entry in self.methods.values() if entry.role == "control"]
        controls.sort(key=lambda entry: entry.name != RANDOM)
        families = list(dict.fromkeys(entry.family or entry.name for entry in shown))
        drawn = {
            entry.name: (CONTROL_COLOURS[place % len(CONTROL_COLOURS)], CONTROL_MARKERS[place % len(CONTROL_MARKERS)])
            for place, entry in enumerate(controls)
        }
        members: dict[str, int] = {}
        for place, entry in enumerate(shown):
            family = entry.family or entry.name
            own = members[family] = members.get(family, -1) + 1
            # Every family starts at another marker, so that the first of each are told apart in grey.
            colour, marker = (place, place) if len(shown) <= len(COLOURS) else (families.index(family),) * 2
            marker += own if len(shown) > len(COLOURS) else 0
            drawn[entry.name] = (COLOURS[colour % len(COLOURS)], MARKERS[marker % len(MARKERS)])
        return drawn


def in_order(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Distinct ``names``: known ones in their order, then the rest by the alphabet."""
    found, order = set(names), list(known)
    return [name for name in order if name in found] + sorted(found - set(order))


def number(value: float | None) -> str:
    """``value`` with three decimals, fewer above 10, and a true minus sign; ``n/a`` for NaN and None."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    decimals = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    text = f"{value:.{decimals}f}" if abs(value) < 1e6 else f"{value:.2e}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def signed(value: float) -> str:
    """``value`` with its sign, plus too."""
    text = number(value)
    return text if text.startswith(("−", "n")) else f"+{text}"


def interval_text(mean: float, low: float, high: float) -> str:
    """``mean [low, high]``; the mean alone where there is no interval."""
    ends = "" if math.isnan(low) or math.isnan(high) else f" [{number(low)}, {number(high)}]"
    return number(mean) + ends


def percent(share: float | None) -> str:
    """A share with two decimals, ``97.50 %``; ``n/a`` for NaN and None."""
    return "n/a" if share is None or math.isnan(share) else f"{100 * share:.2f} %"


def p_value(value: float) -> str:
    """``p < 0.001`` or ``p = 0.012``; ``p n/a`` where there is none."""
    if math.isnan(value):
        return "p n/a"
    return "p < 0.001" if value < 0.001 else f"p = {number(value)}"


def counted(count: int, noun: str) -> str:
    """``1 speaker`` or ``6 speakers``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def span(values: Iterable[int]) -> str:
    """``10`` where all are equal, else ``8–10``."""
    known = sorted(values)
    return str(known[0]) if known[0] == known[-1] else f"{known[0]}–{known[-1]}"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def capitalised(text: str) -> str:
    """``text`` with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]
