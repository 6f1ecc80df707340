"""Progress bars with the time left, silent where nobody watches."""

from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def bar(total: int, description: str, unit: str = "it") -> "tqdm[Any]":
    """Progress bar on stderr, to be advanced by ``update``; shows nothing where stderr is no terminal."""
    return tqdm(total=total, desc=description, unit=unit, disable=None, leave=False)


def track(items: Iterable[Item], total: int | None, description: str, unit: str = "it") -> Iterable[Item]:
    """``items`` themselves, with a progress bar on stderr."""
    return tqdm(items, total=total, desc=description, unit=unit, disable=None, leave=False)
