"""What the server asks a model's process, as plain data that loads quickly."""

from dataclasses import dataclass
from typing import Literal, get_args

Removal = Literal["silence", "noise"]
REMOVALS: tuple[Removal, ...] = get_args(Removal)


@dataclass(frozen=True)
class Part:
    """A part of a decoded sound.

    Attributes
    ----------
    file : str
        Where its waveform lies, as an array of numpy.
    rate_hz : int
        Its rate.
    name : str
        What the reader calls it.
    start_s : float or None
        Where the part of a long sound begins; where a class is most probable if None.
    notes : tuple of str
        What a reader has to know of the sound.
    """

    file: str
    rate_hz: int
    name: str
    start_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Ask what the models are."""


@dataclass(frozen=True)
class Describe:
    """Ask for pictures and predictions of a part."""

    part: Part


@dataclass(frozen=True)
class Erase:
    """Ask what the models say to a part of which cells are erased.

    Attributes
    ----------
    part : Part
        Of a sound.
    erased : bytes
        One bit for each cell, row by row.
    removal : {"silence", "noise"}
        What comes into their place.
    sound : bool
        Whether the sound itself is wanted, too.
    """

    part: Part
    erased: bytes
    removal: Removal
    sound: bool


@dataclass(frozen=True)
class Explain:
    """Ask why one of the models gives a part a class."""

    part: Part
    model: int
    target: int
    method: str
    removal: Removal


@dataclass(frozen=True)
class Explained:
    """An explanation as JSON for the app's page, and as a page of its own."""

    content: str
    page: str


Request = Facts | Describe | Erase | Explain
