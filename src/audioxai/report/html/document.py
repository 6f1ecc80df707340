"""What a report says, before it becomes a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audioxai.report.html.gallery import GalleryClip
from audioxai.report.html.tables import Table


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure that exists as PNG.

    Attributes
    ----------
    name, caption : str
        Its file's stem, and what it shows; the caption is also what a screen reader says.
    content : bytes
        The PNG file.
    """

    name: str
    caption: str
    content: bytes


@dataclass(frozen=True, eq=False)
class Answer:
    """A research question with what the study found.

    Attributes
    ----------
    name : str
        Short and unique in the document; part of the section's address.
    title, question : str
        What stands above it, and what is asked.
    paragraphs : sequence of str
        Markdown, the short answer first; empty where the study has not been run.
    caveats : sequence of str
        How far it goes, Markdown.
    tables : sequence of Table
        What it rests on.
    pictures : sequence of Picture
        Its figures.
    provenance : mapping of str to str
        Where the numbers come from.
    remedy : str
        What to run where there is no answer yet.
    """

    name: str
    title: str
    question: str
    paragraphs: Sequence[str] = ()
    caveats: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class Document:
    """The whole report.

    Attributes
    ----------
    title : str
        Its heading.
    answers : sequence of Answer
        One a research question, in their order.
    stand_ins : mapping of str to str
        Stand-in dataset → the real one that it stands for.
    clips : sequence of GalleryClip
        What can be looked at and heard.
    cards : mapping of str to str
        Title → Markdown of the model card and of the data card.
    """

    title: str
    answers: Sequence[Answer]
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    clips: Sequence[GalleryClip] = ()
    cards: Mapping[str, str] = field(default_factory=dict)
