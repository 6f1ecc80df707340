"""Progress of long work on standard error: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from types import TracebackType
from typing import Protocol, Self, TypeVar

Item = TypeVar("Item")
Report = Callable[[int, int], object]
"""Is called with the number of units that are done, and of all."""

# Seconds between two lines where standard error is no terminal; work that takes less prints nothing.
LINE_INTERVAL_S = 30.0
# Share of the work that has to be done before the time left is estimated from it.
LEAST_SHARE = 0.02


class Progress(Protocol):
    """How far a piece of work is; a context manager that ends its display."""

    def update(self, n: int = 1) -> object:
        """Count ``n`` more units as done."""

    def set_postfix_str(self, s: str = "") -> object:
        """Say what is being done."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> object:
        """End."""


def bar(total: int | None, description: str, unit: str = "item", initial: int = 0) -> Progress:
    """Progress of ``total`` units with the time left, to be advanced by ``update``.

    Parameters
    ----------
    total : int or None
        Units in all; None if that is not known.
    description : str
        What is done.
    unit : str
        Name of one unit.
    initial : int
        Units that were done earlier; they do not count for the time left.
    """
    if not sys.stderr.isatty():
        return Lines(total, description, unit, initial)
    from tqdm import tqdm

    shown: Progress = tqdm(total=total, desc=description, unit=unit, initial=initial, leave=False)
    return shown


def track(items: Iterable[Item], total: int | None, description: str, unit: str = "item") -> Iterator[Item]:
    """``items`` themselves, with their progress; ``total`` may be None where items know their number or nobody does."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(total, description, unit) as progress:
        for item in items:
            yield item
            progress.update(1)


class Reported:
    """Progress for a program, not a reader.

    Parameters
    ----------
    total : int
        Units in all.
    report : callable
        Is called with the units that are done and ``total`` after every update.
    """

    def __init__(self, total: int, report: Report) -> None:
        self._total, self._report, self._done = total, report, 0

    def update(self, n: int = 1) -> None:
        """Count ``n`` more units as done, and report them."""
        self._done += n
        self._report(self._done, self._total)

    def set_postfix_str(self, s: str = "") -> None:
        """Leave out what is being done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is shown, so nothing ends."""


class Lines:
    """A line on standard error every half minute: ``metrics: 40 % (1,200/3,000 passes), about 3 min left``.

    Parameters
    ----------
    total, description, unit, initial
        As in :func:`bar`.
    clock : callable
        Seconds from any start.
    """

    def __init__(
        self,
        total: int | None,
        description: str,
        unit: str = "item",
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._description = description
        self._units = f"{unit}es" if unit.endswith("s") else f"{unit}s"
        self._initial = self._done = initial
        self._clock = clock
        self._started = self._printed = clock()
        self._doing = ""

    def update(self, n: int = 1) -> None:
        """Count ``n`` more units as done; print a line if the last one is half a minute old."""
        self._done += n
        now = self._clock()
        if now - self._printed >= LINE_INTERVAL_S:
            self._printed = now
            print(self._line(now - self._started), file=sys.stderr, flush=True)

    def set_postfix_str(self, s: str = "") -> None:
        """Say what is being done, at the end of the next line."""
        self._doing = s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._printed > self._started:
            passed = duration(self._clock() - self._started)
            print(f"{self._description}: {self._count()} in {passed}", file=sys.stderr, flush=True)

    def _line(self, passed: float) -> str:
        parts = [f"{self._description}: {self._count()}, {duration(passed)} so far"]
        if self._total:
            done = self._done - self._initial
            parts = [f"{self._description}: {self._done / self._total:.0%} ({self._count()})".replace("%", " %")]
            if done >= LEAST_SHARE * self._total:
                parts.append(f"about {duration(passed / done * max(0, self._total - self._done))} left")
        return ", ".join([*parts, self._doing] if self._doing else parts)

    def _count(self) -> str:
        return f"{self._done:,}{f'/{self._total:,}' if self._total else ''} {self._units}"


def duration(seconds: float) -> str:
    """Seconds in words of one unit up to a day: ``40 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
