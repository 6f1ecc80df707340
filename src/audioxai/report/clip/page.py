"""The page of one explained clip: what to do with the explanation, why, the clip to see and hear, and the figures."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioxai.core import configuration_of
from audioxai.report.clip.packing import LEAST_PERCENT, packed
from audioxai.report.clip.words import (
    are_independent,
    gap_text,
    heading_of,
    isolated,
    movement_text,
    percent,
    probability_text,
    scale_of_probabilities,
    seconds,
    sentence_of,
    settings_text,
    tone_of,
    where,
)
from audioxai.report.document import Cell, Table
from audioxai.report.render.html.shell import assembled, json_in_html
from audioxai.report.style import signed

if TYPE_CHECKING:
    from audioxai.explanation import Explanation
    from audioxai.trust import Trust

MOST_PREDICTIONS = 6
FRAME_PIXELS = 900
JUDGED = {"method": "This map", "energy": "Loudness alone (control)", "random": "Random map (control)"}
REMOVALS = {"silence": "Into silence ↑", "noise": "Into noise ↑", "worse": "Worse of both ↑"}
SCORES_CAPTION = (
    "Insertion − deletion: how much more the model says the class when sound goes in by the map, most relevant first, "
    "than when it goes out by it; −1 to 1. A map explains something where it is above both controls."
)


@dataclass(frozen=True)
class Prediction:
    """One class with its probability, as text and in per cent of the bar's length."""

    name: str
    text: str
    width: float
    explained: bool


@dataclass(frozen=True, eq=False)
class View:
    """What the page says of one explained clip of the recording."""

    place: int
    span: str
    tone: str
    heading: str
    sentence: str
    label: str
    predictions: tuple[Prediction, ...]
    scale: str
    more_classes: int
    where: str
    scores: Table | None
    figures: dict[str, str]
    rivals: tuple[str, ...]
    made: dict[str, str]


def page_of(explanation: "Explanation") -> str:
    """A self-contained HTML page of an explanation; the same explanation gives the same text.

    Other classes stand beside the explained one (``alternatives``), and the windows of a long recording can be chosen
    from its predictions over time.

    Raises
    ------
    UserError
        If its domain is not one of sound.
    """
    views = sorted(explanation.windows or (explanation,), key=lambda view: view.start_s)
    opened = _place_of(explanation, views)
    return assembled(
        "clip.html",
        ["stft.js", "sounds.js", "clip.js"],
        title=f"Why {isolated(explanation.label)}? {isolated(explanation.source)}",
        label=isolated(explanation.label),
        summary=_summary(explanation),
        views=[_view(place, view) for place, view in enumerate(views)],
        opened=opened,
        most_classes=max(1 + len(view.alternatives) for view in views),
        timeline=explanation.timeline,
        notes=tuple(dict.fromkeys((*explanation.notes, *explanation.model.notes))),
        least_percent=LEAST_PERCENT,
        code=("Command", "Revision", "Settings", "Where the map lives"),
        data=json_in_html({**packed(views, explanation.timeline), "opened": opened}),
    )


def frame_of(explanation: "Explanation") -> str:
    """The page in a frame, so that it and a notebook leave each other's styles alone."""
    page = html.escape(page_of(explanation), quote=True)
    return (
        f'<iframe srcdoc="{page}" title="{html.escape(explanation.title, quote=True)}" sandbox="allow-scripts" '
        f'width="100%" height="{FRAME_PIXELS}" style="border: 0"></iframe>'
    )


def _place_of(explanation: "Explanation", views: Sequence["Explanation"]) -> int:
    own = (explanation.start_s, explanation.target)
    return next((place for place, view in enumerate(views) if (view.start_s, view.target) == own), 0)


def _view(place: int, view: "Explanation") -> View:
    trust = view.trust
    return View(
        place=place,
        span=_span(view),
        tone=tone_of(view),
        heading=heading_of(view),
        sentence=sentence_of(view),
        label=isolated(view.label),
        predictions=_predictions(view),
        scale=scale_of_probabilities(view.model, view.logits),
        more_classes=max(0, len(view.logits) - len(_predictions(view))),
        where=where(view, view.start_s),
        scores=None if trust is None else _scores_table(f"scores-{place}", trust),
        figures={} if trust is None else _figures(trust),
        rivals=tuple(_rival(view, other) for other in view.alternatives),
        made=_made(view),
    )


def _span(view: "Explanation") -> str:
    end_s = view.start_s + view.waveform.shape[-1] / view.model.sample_rate_hz
    return f"{seconds(view.start_s).removesuffix(' s')}–{seconds(end_s)}"


def _predictions(view: "Explanation") -> tuple[Prediction, ...]:
    """The likeliest classes and every explained one, likeliest first."""
    probabilities = view.probabilities.tolist()
    order = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
    explained = [view.target, *(other.target for other in view.alternatives)]
    shown = [index for index in order if index in explained or index in order[:MOST_PREDICTIONS]]
    return tuple(
        Prediction(
            isolated(view.model.name_of(index)),
            probability_text(probabilities[index]),
            round(100 * probabilities[index], 2),
            index in explained,
        )
        for index in shown
    )


def _scores_table(name: str, trust: "Trust") -> Table:
    rows = tuple(
        (
            Cell(JUDGED.get(row, row), strong=row == "method"),
            *(Cell(signed(values[column]), values[column], strong=row == "method") for column in REMOVALS),
        )
        for row, values in trust.contrasts.items()
    )
    return Table(name, "Against loudness and chance", SCORES_CAPTION, ("Map", *REMOVALS.values()), rows)


def _figures(trust: "Trust") -> dict[str, str]:
    return {
        "Sound that keeps half of the probability": f"{percent(trust.kept_share)} by this map, "
        f"{percent(trust.loudness_kept_share)} by loudness",
        "Probability with nothing left": f"{probability_text(trust.removed_probability)} "
        f"({probability_text(trust.probability)} with all of the sound)",
        "Completeness gap": gap_text(trust.completeness_gap),
        "Movement under inaudible noise": movement_text(trust.movement),
        "Passes for these figures": f"{trust.passes:,}",
    }


def _rival(view: "Explanation", other: "Explanation") -> str:
    """One line on another class of the same clip."""
    difference = float(view.logits[view.target] - view.logits[other.target])
    way = "above" if difference >= 0 else "below"
    trusted = "" if other.trust is None else f" {other.trust.sentence}"
    return (
        f"{isolated(other.label)} has a probability of {probability_text(other.score)}; the score of "
        f"{isolated(view.label)} lies "
        f"{abs(difference):.2f} {way} it. {where(other, view.start_s)}{trusted}"
    )


def _summary(explanation: "Explanation") -> str:
    timeline = explanation.timeline
    rate_hz = explanation.model.sample_rate_hz
    length_s = explanation.waveform.shape[-1] / rate_hz if timeline is None else timeline.recording_s
    parts = (isolated(explanation.source), seconds(length_s), explanation.model.name or "a model without a name")
    return " · ".join(parts)


def _made(explanation: "Explanation") -> dict[str, str]:
    """How an explanation was made, for somebody who wants to make it again."""
    model = explanation.model
    passes = f"{explanation.passes:,} for the explanation"
    facts = {
        "Recording": isolated(explanation.source),
        "Clip": f"{_span(explanation)}, {explanation.waveform.shape[-1]:,} samples at {model.sample_rate_hz:,} Hz",
        "Model": model.name or "without a name",
        "Revision": model.revision,
        "Classes": f"{len(explanation.logits):,}, "
        + ("a sigmoid for each" if are_independent(model, explanation.logits) else "a softmax over all"),
        "Explained class": isolated(explanation.label),
        "Method": explanation.facts()["method"]["label"],
        "Gradient": "reaches the waveform" if model.gradient else f"not used: {model.gradient_refused}",
        "Settings": settings_text(configuration_of(explanation.explainer)),
        "Where the map lives": settings_text(configuration_of(explanation.domain), whole=True),
        "Seed": str(explanation.seed),
        "Model passes": passes if explanation.trust is None else f"{passes}, {explanation.trust.passes:,} for trust",
        "Command": explanation.command,
    }
    return {name: value for name, value in facts.items() if value}
