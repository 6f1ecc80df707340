"""Names, order, colours and number formats that every table and figure of the report shares."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Directions = Mapping[str, bool | None]
"""Metric → whether higher is better; None where neither end is better."""

CONTROL = "random"
MODALITIES = ("audio", "image")


@dataclass(frozen=True)
class MethodStyle:
    """How a method is named and drawn; colours are Okabe–Ito's, told apart in grey by their markers."""

    name: str
    colour: str
    marker: str


@dataclass(frozen=True)
class MetricStyle:
    """How a metric is named: in full, and short for narrow columns."""

    name: str
    short: str


METHODS: dict[str, MethodStyle] = {
    "saliency": MethodStyle("Saliency", "#0072B2", "o"),
    "input_x_gradient": MethodStyle("Input × gradient", "#E69F00", "s"),
    "integrated_gradients": MethodStyle("Integrated Gradients", "#009E73", "^"),
    "guided_grad_cam": MethodStyle("Guided Grad-CAM", "#CC79A7", "D"),
    "deep_lift": MethodStyle("DeepLift", "#D55E00", "v"),
    "occlusion": MethodStyle("Occlusion", "#56B4E9", "P"),
    CONTROL: MethodStyle("Random (control)", "#000000", "x"),
}

METRICS: dict[str, MetricStyle] = {
    "faithfulness_correlation": MetricStyle("Faithfulness correlation", "Faithfulness"),
    "average_sensitivity": MetricStyle("Average sensitivity", "Sensitivity"),
    "sparseness": MetricStyle("Sparseness", "Sparseness"),
    "random_logit": MetricStyle("Random logit (SSIM)", "Random logit"),
    "mprt": MetricStyle("Parameter randomisation (MPRT)", "MPRT"),
}


def method_style(method: str) -> MethodStyle:
    """Style of ``method``; one that is not in the table keeps its own name, in grey."""
    return METHODS.get(method, MethodStyle(method.replace("_", " "), "#777777", "*"))


def metric_style(metric: str) -> MetricStyle:
    """Style of ``metric``; one that is not in the table keeps its own name."""
    plain = metric.replace("_", " ")
    return METRICS.get(metric, MetricStyle(plain, plain))


def arrow(metric: str, directions: Directions) -> str:
    """`` ↑`` where higher is better, `` ↓`` where lower is, nothing where neither is."""
    return {True: " ↑", False: " ↓", None: ""}[directions.get(metric)]


def in_order(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Distinct ``names``: known ones in their order, then the rest by the alphabet, the control last."""
    found, order = set(names), list(known)
    rest = sorted(found - set(order))
    ordered = [name for name in order if name in found and name != CONTROL] + rest
    return ordered + [CONTROL] * (CONTROL in found)


def number(value: float) -> str:
    """``value`` with three decimals, fewer above 10, and a true minus sign; ``n/a`` for NaN."""
    if math.isnan(value):
        return "n/a"
    decimals = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def estimate(mean: float, low: float, high: float) -> str:
    """``mean [low, high]``; the mean alone where there is no interval."""
    ends = "" if math.isnan(low) or math.isnan(high) else f" [{number(low)}, {number(high)}]"
    return number(mean) + ends


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""
