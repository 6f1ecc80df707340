"""How models take waveforms, and where in what they return the scores are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from audioxai.utils.errors import UserError

AxisName = Literal["batch", "channels", "time"]
# More channels than this are rows of something else.
MOST_CHANNELS = 16
Key = str | int | None
"""Place of the scores in what a model returns: a key, a position, or None for all of it."""


@dataclass(frozen=True)
class Layout:
    """Order of the axes in which a model takes waveforms.

    Attributes
    ----------
    axes : tuple of str
        ``batch``, ``channels`` and ``time``, in the model's order.
    channels : int
        Size of the axis of channels; the sound is the same in all of them.

    Examples
    --------
    >>> import torch
    >>> stereo = Layout(("batch", "time", "channels"), 2)
    >>> str(stereo), tuple(stereo.arranged(torch.zeros(3, 1, 100)).shape)
    ('(batch, time, 2)', (3, 100, 2))
    """

    axes: tuple[AxisName, ...]
    channels: int = 1

    @property
    def batched(self) -> bool:
        """Whether several clips go at once."""
        return "batch" in self.axes

    def arranged(self, waveforms: Tensor) -> Tensor:
        """Waveforms ``(batch, 1, time)`` as the model takes them; without an axis for the batch it has to be 1."""
        if not self.batched:
            return waveforms[0, 0]
        if "channels" not in self.axes:
            return waveforms[:, 0]
        several = waveforms.expand(-1, self.channels, -1) if self.channels > 1 else waveforms
        return several if self.axes == ("batch", "channels", "time") else several.transpose(1, 2)

    def __str__(self) -> str:
        names = [str(self.channels) if axis == "channels" else axis for axis in self.axes]
        return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


MONO = Layout(("batch", "channels", "time"))
FLAT = Layout(("batch", "time"))
SINGLE = Layout(("time",))


def of_modules(channels: int = 2) -> tuple[Layout, ...]:
    """Layouts in the order in which a module is tried."""
    return (MONO, FLAT, Layout(MONO.axes, channels), SINGLE)


OF_FUNCTIONS = (FLAT, SINGLE, MONO, Layout(MONO.axes, 2))
"""Layouts in the order in which a plain function is tried."""


def declared(shape: Sequence[Any]) -> tuple[tuple[Layout, ...], int | None, int | None]:
    """What a file says of its input: layouts that fit, number of samples and size of a batch, None where they are free.

    Parameters
    ----------
    shape : sequence
        Size of every axis; anything but a positive whole number for an axis of any size.

    Raises
    ------
    UserError
        If no waveforms have that shape.
    """
    sizes = [size if isinstance(size, int) and size > 0 else None for size in shape]
    if len(sizes) == 1:
        return (SINGLE,), sizes[0], None
    if len(sizes) == 2:
        return (FLAT,), sizes[1], sizes[0]
    if len(sizes) == 3:
        batch, second, third = sizes
        few = [size is not None and size <= MOST_CHANNELS for size in (second, third)]
        if few[0] and not few[1]:
            return (Layout(MONO.axes, second or 1),), third, batch
        if few[1] and not few[0]:
            return (Layout(("batch", "time", "channels"), third or 1),), second, batch
        if second is None and third is None:
            return (MONO, Layout(("batch", "time", "channels"))), None, batch
    shown = ", ".join("any" if size is None else str(size) for size in sizes)
    raise UserError(
        f"the model's input has shape ({shown}), which is none of waveforms; give a model whose spectrogram is part "
        "of it, or wrap it in a function from waveforms (batch, time) to scores"
    )


def entries_of(output: Any) -> dict[Key, Tensor]:
    """Tensors that a model returned, by key or position; a tensor alone has the key None."""
    if isinstance(output, Tensor):
        return {None: output}
    if isinstance(output, Mapping):
        found: dict[Any, Any] = dict(output)
    elif isinstance(output, list | tuple):
        found = dict(enumerate(output))
    else:
        found = dict(getattr(output, "__dict__", {}))
    return {key: value for key, value in found.items() if isinstance(value, Tensor)}


def key_of(output: Any, batch: int, *, class_count: int | None = None, wanted: Key = None) -> Key:
    """Where in an output the scores of so many clips are.

    That is the wanted entry, else the tensor itself, else ``logits``, else the only tensor of floating-point numbers
    ``(batch, …)`` with one to three axes, of those one with an axis of ``class_count``.

    Raises
    ------
    UserError
        If there is no such entry, or more than one.
    """
    entries = entries_of(output)
    if wanted is not None:
        if wanted not in entries:
            raise UserError(f"output is {wanted!r} but the model returns {_listed(entries)}; give one of these")
        return wanted
    if None in entries:
        return None
    if "logits" in entries:
        return "logits"
    fitting = {
        key: value
        for key, value in entries.items()
        if value.is_floating_point() and 1 <= value.ndim <= 3 and value.shape[0] == batch
    }
    if class_count is not None:
        named = {key: value for key, value in fitting.items() if class_count in value.shape[1:]}
        fitting = named or fitting
    if len(fitting) == 1:
        return next(iter(fitting))
    if not fitting:
        raise UserError(
            f"the model returned {type(output).__name__} with {_listed(entries)}; it has to return scores of shape "
            "(batch, classes), so wrap it in a module that does"
        )
    choices = " or ".join(f"output={key!r}" for key in fitting)
    raise UserError(f"the model returns {_listed(fitting)}, of which several may be its scores; give {choices}")


def entry(output: Any, key: Key) -> Tensor:
    """The tensor under a key that :func:`key_of` found."""
    return entries_of(output)[key]


def _listed(entries: Mapping[Key, Tensor]) -> str:
    shown = (f"{key!r} of shape {tuple(value.shape)}" for key, value in entries.items())
    return ", ".join(shown) or "no tensor"
