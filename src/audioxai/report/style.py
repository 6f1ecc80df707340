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

FAMILIES: dict[str, tuple[str, str, dict[str, str]]] = {
    # Family → what it is called, its colour and its members' names; a family's members differ by their markers.
    "plain": ("IG from 0 dB", "#D55E00", {"plain": "Plain IG (from 0 dB)"}),
    "silence": (
        "silence as absence",
        "#0072B2",
        {
            "silence": "Silence IG",
            "amplitude": "Fade-in IG",
            "low_energy_mask": "Low-energy mask IG",
            "noisy_silence": "Noisy-silence IG",
            "audible": "Audible IG",
            "smooth": "Shaken silence IG",
            "silence_smoothed": "Silence IG, smoothed",
            "contrastive": "Contrastive fade-in IG",
            "log_odds": "Log-odds fade-in IG",
            "pullback": "Pull-back IG (waveform)",
            "bandwise": "Bandwise IG (waveform)",
        },
    ),
    "references": (
        "typical sound as absence",
        "#E69F00",
        {"expected": "Expected gradients", "mean": "Mean-baseline IG", "median": "Median-baseline IG"},
    ),
    "noise": (
        "noise as absence",
        "#56B4E9",
        {
            "expected_noise": "Expected-noise IG",
            "noise_smoothed": "Expected-noise IG, smoothed",
            "crossfade": "Crossfade IG",
        },
    ),
    "combined": (
        "two kinds of absence",
        "#009E73",
        {
            "dual": "Dual IG",
            "two_missingness": "Two-missingness IG",
            "two_missingness_smoothed": "Two-missingness IG, smoothed",
            "silence_and_noise": "Silence-and-noise IG",
            "silence_and_crossfade": "Silence-and-crossfade IG",
            "ordered": "Ordered IG",
            "ordered_contrastive": "Contrastive ordered IG",
        },
    ),
    "peers": (
        "peers",
        "#CC79A7",
        {"guided": "Guided IG", "idgi": "IDGI", "blur": "Blur IG", "smooth_grad": "SmoothGrad"},
    ),
    "controls": (
        "controls",
        "#666666",
        {"grad_x_level": "Gradient × level (control)", "energy": "Energy (control)", "edges": "Edges (control)"},
    ),
}
# Every family starts at another marker, so that the first of each are told apart in grey.
MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">", "p", "h", "X")
METHODS |= {
    method: MethodStyle(name, colour, marker)
    for start, (_, colour, members) in enumerate(FAMILIES.values())
    for (method, name), marker in zip(members.items(), MARKERS[start:] + MARKERS[:start], strict=False)
}
# Occlusion, a method of Objective 1, is a peer in Objective 2: it stands after the other peers and before the controls.
_LAST = ("occlusion", *FAMILIES["controls"][2])
METHODS = dict(sorted(METHODS.items(), key=lambda method: method[0] in _LAST))

METRICS: dict[str, MetricStyle] = {
    "faithfulness_correlation": MetricStyle("Faithfulness correlation", "Faithfulness"),
    "average_sensitivity": MetricStyle("Average sensitivity", "Sensitivity"),
    "sparseness": MetricStyle("Sparseness", "Sparseness"),
    "random_logit": MetricStyle("Random logit (SSIM)", "Random logit"),
    "mprt": MetricStyle("Parameter randomisation (MPRT)", "MPRT"),
    "removal_silence": MetricStyle("Insertion − deletion, silence", "Silence"),
    "removal_noise": MetricStyle("Insertion − deletion, noise", "Noise"),
    "removal_worst": MetricStyle("Insertion − deletion, worse removal", "Worse"),
    "faithfulness_correlation_1": MetricStyle("Faithfulness correlation, single cells", "Faith. 1"),
    "faithfulness_correlation_8": MetricStyle("Faithfulness correlation, 8 × 8 patches", "Faith. 8"),
    "faithfulness_correlation_16": MetricStyle("Faithfulness correlation, 16 × 16 patches", "Faith. 16"),
    "complexity": MetricStyle("Complexity", "Complexity"),
    "completeness_gap": MetricStyle("Completeness gap", "Gap"),
    "relevance_rank": MetricStyle("Relevance rank accuracy", "Rank"),
    "relevance_mass": MetricStyle("Relevance mass accuracy", "Mass"),
    "pointing_game": MetricStyle("Pointing game", "Pointing"),
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
