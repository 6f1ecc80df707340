"""The index of a folder of explained clips: one table that sorts, with a link to every page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from audioxai.report.clip.words import HEADINGS, isolated, probability_text
from audioxai.report.document import Cell, Table
from audioxai.report.render.html.shell import assembled
from audioxai.report.style import counted, signed

TITLE = "Explained clips"
NAN = float("nan")
VERDICTS = ("do not rely", "caution", "rely")


@dataclass(frozen=True)
class Entry:
    """One explained clip.

    Attributes
    ----------
    file, prediction, explained : str
        Name of the recording, and of the predicted and the explained class.
    probability : float
        Of the explained class.
    link : str
        Address of its page, relative to the index; percent signs are taken as those of an encoded address.
    verdict : str
        ``rely``, ``caution`` or ``do not rely``; empty where trust was not measured.
    score, loudness : float
        Insertion − deletion of the map and of loudness under the worse removal; NaN where trust was not measured.
    start_s : float
        Where the explained clip begins in the recording.
    """

    file: str
    prediction: str
    explained: str
    probability: float
    link: str
    verdict: str = ""
    score: float = NAN
    loudness: float = NAN
    start_s: float = 0.0

    @classmethod
    def of(cls, facts: Mapping[str, Any], link: str) -> "Entry":
        """Entry of an explanation's facts, as :meth:`Explanation.facts` returns and ``explanation.json`` keeps them."""
        trust = facts["trust"]
        scores = {} if trust is None else trust["insertion_minus_deletion"]
        return cls(
            file=facts["source"],
            prediction=facts["prediction"],
            explained=facts["target"],
            probability=facts["probability"],
            link=link,
            verdict="" if trust is None else trust["verdict"],
            score=_number(scores["method"]["worse"]) if scores else NAN,
            loudness=_number(scores["energy"]["worse"]) if scores else NAN,
            start_s=facts["start_s"],
        )

    @property
    def lead(self) -> float:
        """How far the map is above loudness; NaN where it was not measured."""
        return self.score - self.loudness


def _number(stored: float | None) -> float:
    """JSON has no NaN."""
    return NAN if stored is None else stored


def index_of(entries: Sequence[Entry], refused: Mapping[str, str] | None = None, title: str = TITLE) -> str:
    """A self-contained HTML page with a table of explained clips.

    Parameters
    ----------
    entries : sequence of Entry
        The clips, in the order in which they are listed.
    refused : mapping of str to str, optional
        File that could not be explained → why.
    title : str
        Heading of the page.

    Examples
    --------
    >>> entry = Entry("bark.wav", "dog", "dog", 0.93, "bark/index.html", "rely", 0.81, 0.42)
    >>> '<a href="bark/index.html">bark.wav</a>' in index_of([entry])
    True
    """
    refused = dict(refused or {})
    return assembled(
        "clips.html",
        title=title,
        tallies=[
            (HEADINGS[verdict].replace("this explanation", ""), verdict.replace(" ", "-"), count)
            for verdict in reversed(VERDICTS)
            if (count := sum(entry.verdict == verdict for entry in entries))
        ],
        summary=_summary(entries, refused),
        table=_table(entries),
        refused=refused,
    )


def _summary(entries: Sequence[Entry], refused: Mapping[str, str]) -> str:
    text = f"{counted(len(entries), 'clip')} explained"
    return text + (f", {len(refused)} not explained" if refused else "")


def _table(entries: Sequence[Entry]) -> Table:
    columns = (
        "File",
        "Prediction",
        "Explained",
        "Probability",
        "Verdict",
        "Insertion − deletion ↑",
        "Above loudness ↑",
    )
    caption = (
        "Verdict and scores are measured on each clip: insertion − deletion under the worse of two removals, and how "
        "far it is above that of loudness alone. A click on a heading sorts by it."
    )
    return Table("clips", "All clips", caption, columns, tuple(_row(entry) for entry in entries))


def _row(entry: Entry) -> tuple[Cell, ...]:
    order = VERDICTS.index(entry.verdict) if entry.verdict in VERDICTS else NAN
    return (
        # A scheme such as javascript: cannot stand in an address without a colon.
        Cell(isolated(entry.file), link=quote(entry.link, safe="/%")),
        Cell(isolated(entry.prediction)),
        Cell(isolated(entry.explained)),
        Cell(probability_text(entry.probability), entry.probability),
        Cell(entry.verdict or "not measured", float(order)),
        Cell(signed(entry.score), entry.score),
        Cell(signed(entry.lead), entry.lead, strong=entry.lead > 0),
    )
