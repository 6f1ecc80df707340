"""What the page says in words."""

import unicodedata
from typing import TYPE_CHECKING, Any

from audioxai.report.clip.pictures import MOST, span_of_relevance
from audioxai.report.style import number, signed

if TYPE_CHECKING:
    from torch import Tensor

    from audioxai.explanation import Explanation
    from audioxai.models.loading import Model

# Verdict → what to do, and the class by which the banner is styled.
HEADINGS = {
    "rely": "You can rely on this explanation",
    "caution": "Use this explanation with caution",
    "do not rely": "Do not rely on this explanation",
}
# Letters from right to left and marks that change the direction.
_DIRECTED = ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI")
NOT_MEASURED = "How far to trust this explanation was not measured"
NOT_MEASURED_REMEDY = "Explain the clip again with trust before you draw conclusions from the map."


def heading_of(explanation: "Explanation") -> str:
    """What to do with an explanation."""
    return NOT_MEASURED if explanation.trust is None else HEADINGS[explanation.trust.verdict]


def tone_of(explanation: "Explanation") -> str:
    """Class by which the banner is styled."""
    return "unmeasured" if explanation.trust is None else explanation.trust.verdict.replace(" ", "-")


def scale_of_probabilities(model: "Model", logits: "Tensor") -> str:
    """What a reader has to know of the probabilities of logits ``(classes,)`` that are no shares of one whole."""
    if len(logits) == 1:
        return f"The model gives one score, {signed(float(logits[0]))}; the probability is its sigmoid."
    if are_independent(model, logits):
        return "Labels do not exclude each other: each probability stands alone, and they need not add up to 1."
    return ""


def are_independent(model: "Model", logits: "Tensor") -> bool:
    """Whether each class has a probability of its own."""
    return model.activation == "sigmoid" or len(logits) == 1


def sentence_of(explanation: "Explanation") -> str:
    """Why."""
    return NOT_MEASURED_REMEDY if explanation.trust is None else explanation.trust.sentence


def where(explanation: "Explanation", start_s: float) -> str:
    """Where what speaks for the class lies, of a clip that begins at ``start_s`` of its recording."""
    found, name = span_of_relevance(explanation), isolated(explanation.label)
    if found is None:
        return f"Nothing in the map speaks for {name}."
    (first_s, last_s), (low_hz, high_hz) = found
    between = f"between {start_s + first_s:.2f} and {start_s + last_s:.2f} s"
    lies = f"{100 * MOST:.0f} % of what speaks for {name} lies {between}"
    if len(explanation.domain.axes()) == 1:
        return f"{lies}."
    return f"{lies}, and as much between {hertz(low_hz)} and {hertz(high_hz)}."


def isolated(name: str) -> str:
    """A name that leaves the direction of the text around it alone, whatever letters and marks it holds."""
    return f"\u2068{name}\u2069" if any(unicodedata.bidirectional(letter) in _DIRECTED for letter in name) else name


def hertz(frequency_hz: float) -> str:
    """``250 Hz`` or ``1.94 kHz``."""
    rounded = round(frequency_hz)
    return f"{rounded} Hz" if rounded < 1000 else f"{round(frequency_hz / 1000, 2):g} kHz"


def probability_text(probability: float) -> str:
    """Two decimals; ``< 0.01`` and ``> 0.99`` where these would say 0 and 1."""
    if 0.0 < probability < 0.005:
        return "< 0.01"
    if 0.995 <= probability < 1.0:
        return "> 0.99"
    return f"{probability:.2f}"


def percent(share: float | None) -> str:
    """``6 %``, ``< 1 %``, or ``all of it`` for None."""
    if share is None:
        return "all of it"
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def seconds(value: float) -> str:
    """``0.50``, or ``1:02:03.5`` from a minute on."""
    if value < 60.0:
        return f"{value:.2f} s"
    minutes, rest = divmod(value, 60.0)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f} min"


def gap_text(gap: float | None) -> str:
    """The completeness gap, with what it means."""
    if gap is None:
        return "not claimed by this method"
    meaning = "values add up to the score" if gap < 0.1 else "read where it points, not how much"
    return f"{number(100 * gap)} % of the change of the score ({meaning})"


def movement_text(movement: float) -> str:
    """How far the map moves under inaudible noise, with what it means."""
    if movement != movement:
        return "undefined: all values of the map are equal"
    meaning = "the same map" if movement < 0.1 else "much the same map" if movement < 0.5 else "another map"
    return f"{number(movement)} ({meaning}; 0 is no movement, 1 an unrelated map)"


def settings_text(known: Any, whole: bool = False) -> str:
    """A configuration as ``Name(field=value, …)``; its domains, which repeat each other, only where it is ``whole``."""
    if isinstance(known, dict):
        fields = [
            f"{key}={settings_text(value, whole)}"
            for key, value in known.items()
            if key != "name" and (whole or key not in ("domain", "cells"))
        ]
        return f"{known.get('name', '')}({', '.join(fields)})"
    if isinstance(known, list | tuple):
        return f"[{', '.join(settings_text(value, whole) for value in known)}]"
    return f"{known}"
