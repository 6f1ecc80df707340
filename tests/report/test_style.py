"""Names, order, colours and number formats."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from helpers.synthetic_results import method_entries
from matplotlib.colors import to_rgb

from audioxai.report.style import Style, counted, interval_text, listed, number, p_value, percent, signed, span


def luma(colour: str) -> float:
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_few_methods_have_a_colour_and_a_marker_each(style: Style) -> None:
    shown = list(style.methods)
    assert len({style.colour(name) for name in shown}) == len(shown)
    assert len({style.marker(name) for name in shown}) == len(shown)
    assert style.colour("random") == "#000000"


def test_many_methods_share_their_familys_colour_and_differ_by_marker() -> None:
    names = [f"m{place}" for place in range(30)]
    entries = {
        name: replace(entry, family=f"family {place % 5}")
        for place, (name, entry) in enumerate(method_entries(names).items())
    }
    style = Style(entries | method_entries(("energy", "random")), {})
    drawn = {name: (style.colour(name), style.marker(name)) for name in style.methods}
    assert len(set(drawn.values())) == len(drawn)
    assert len({style.colour(name) for name in names}) == 5
    assert style.colour("m0") == style.colour("m5")
    for first, second in combinations(names[:5], 2):
        apart = abs(luma(style.colour(first)) - luma(style.colour(second))) > 0.05
        assert style.marker(first) != style.marker(second) or apart


def test_methods_that_are_not_known_keep_their_names(style: Style) -> None:
    assert style.method("my_method") == "my method"
    assert style.metric("my_metric") == "my metric"
    assert style.direction("my_metric") is None
    assert style.colour("my_method").startswith("#")


def test_the_studys_order_holds_with_controls_last(style: Style) -> None:
    found = style.ordered_methods(["random", "zeta", "energy", "occlusion", "saliency"])
    assert found == ["saliency", "occlusion", "zeta", "energy", "random"]
    assert style.controls(["energy", "saliency", "random"]) == ["random", "energy"]
    assert style.ordered_metrics(["mprt", "alpha", "faithfulness_correlation"]) == [
        "faithfulness_correlation",
        "mprt",
        "alpha",
    ]


def test_headings_say_which_end_is_better(style: Style) -> None:
    assert style.heading("faithfulness_correlation", short=True) == "Faithfulness ↑"
    assert style.heading("mprt") == "Parameter randomisation (MPRT) ↓"
    assert style.heading("sparseness") == "Sparseness"
    assert style.in_sentence("random_logit") == "random logit (SSIM)"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1234, "0.123"), (-0.0001, "0.000"), (-12.345, "−12.35"), (123.45, "123.5"), (math.nan, "n/a"), (None, "n/a")],
)
def test_numbers(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_texts() -> None:
    assert (signed(0.5), signed(-0.5), signed(math.nan)) == ("+0.500", "−0.500", "n/a")
    assert interval_text(0.5, math.nan, math.nan) == "0.500"
    assert interval_text(0.5, -0.1, 1.1) == "0.500 [−0.100, 1.100]"
    assert (percent(0.975), percent(None)) == ("97.50 %", "n/a")
    assert (p_value(0.0004), p_value(0.012), p_value(math.nan)) == ("p < 0.001", "p = 0.012", "p n/a")
    assert (counted(1, "clip"), counted(1200, "clip")) == ("1 clip", "1,200 clips")
    assert (span([3, 3]), span([5, 3])) == ("3", "3–5")
    assert (listed([]), listed(["a"]), listed(["a", "b", "c"])) == ("", "a", "a, b and c")
