"""What a file of a model says of itself, whatever its format."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from audioxai.models.checkpoints import file_sha256
from audioxai.models.layouts import declared
from audioxai.models.trials import Candidate
from audioxai.utils.errors import UserError

# Digits of a digest that are shown.
SHORT = 12
# How inputs for the sample rate are called.
RATE_NAMES = ("sr", "fs", "rate", "sample_rate", "sampling_rate", "samplerate", "sample_rate_hz")


@dataclass(frozen=True, eq=False)
class Opened:
    """A model and what is known of it before it is tried.

    Attributes
    ----------
    candidates : tuple of Candidate
        Ways of calling it, in the order in which they are tried.
    samples : int or None
        The one number of samples that it takes.
    one_by_one : bool
        Whether it takes one clip at a time only.
    sample_rate_hz : int or None
        Rate that it states.
    revision : str
        Digest of its file or weights, hexadecimal.
    notes : tuple of str
        What a reader has to know of it.
    given : dict
        Further arguments of its ``forward``.
    """

    candidates: tuple[Candidate, ...]
    samples: int | None = None
    one_by_one: bool = False
    sample_rate_hz: int | None = None
    revision: str = ""
    notes: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)


def of_declared(module: nn.Module, shape: list[Any], path: Path | None, **facts: Any) -> Opened:
    """A model that states the shape of its input, and the file that it is from.

    Raises
    ------
    UserError
        If that is no shape of waveforms, or of a batch of another size than 1.
    """
    layouts, samples, batch = declared(shape)
    if batch not in (None, 1):
        name = "the program" if path is None else f"model {path}"
        raise UserError(f"{name} takes batches of {batch} clips only; export it for batches of 1 or of any size")
    candidates = tuple(Candidate(module, layout) for layout in layouts)
    alone = facts.pop("one_by_one", False) or batch == 1
    return Opened(candidates, samples, alone, revision="" if path is None else revision_of(path), **facts)


def revision_of(path: Path) -> str:
    """Short digest of a file."""
    return file_sha256(path)[:SHORT]


def require_rate(path: Path | None, name: str, sample_rate: int | None) -> int:
    """The sample rate that a model takes as an input; asked for where it is not given."""
    if sample_rate is None:
        shown = "the model" if path is None else f"model {path}"
        raise UserError(f"{shown} takes the sample rate as its input {name!r}; give sample_rate in Hz")
    return sample_rate


def unreadable(path: Path, kind: str, error: Exception) -> UserError:
    """The one sentence on a file that a library cannot read."""
    reason = " ".join(str(error).split())[:160]
    return UserError(f"model {path} cannot be read as {kind} ({reason}); export it again")
