"""Pieces of maps, each cut out at a place of its own."""

from collections.abc import Sequence

from torch import Tensor


def windows_at(maps: Tensor, rows: Tensor, starts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Pieces ``(n, channels, *sizes)`` of maps ``(batch, channels, …)``.

    Parameters
    ----------
    maps : Tensor
        What is cut.
    rows : Tensor
        Which of the maps each piece is from, ``(n,)``.
    starts : sequence of Tensor
        First feature of each piece along each axis, ``(n,)``.
    sizes : sequence of int
        Features of a piece along each axis.

    Examples
    --------
    >>> import torch
    >>> maps = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> windows_at(maps, torch.tensor([0]), [torch.tensor([1]), torch.tensor([2])], (2, 2))[0, 0].tolist()
    [[6.0, 7.0], [10.0, 11.0]]
    """
    views = maps
    for axis, size in enumerate(sizes, start=2):
        views = views.unfold(axis, size, 1)
    places: tuple[Tensor | slice, ...] = (rows, slice(None), *starts)
    pieces: Tensor = views[places]
    return pieces
