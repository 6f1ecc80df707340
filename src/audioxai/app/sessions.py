"""What open pages have on the server: sounds, explanations and work, within limits.

Idea
----
A session is one open page: it begins with the page's socket and ends with it. Sounds and explanations are known by
random tokens, which are keys of tables here and never parts of paths that a browser chose. Where there is more than may
be kept, the oldest go.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from starlette.websockets import WebSocketDisconnect

from audioxai.app.decoding import Decoded
from audioxai.app.guard import new_token
from audioxai.utils.errors import UserError

MOST_SESSIONS = 128
SOUNDS_PER_SESSION, PAGES_PER_SESSION, JOBS_PER_SESSION = 8, 16, 4
MOST_STORED_BYTES = 512 << 20
LONGEST_NAME = 120

Value = TypeVar("Value")


class Newest(Generic[Value]):
    """A place for one value: what is put replaces what has not been taken yet."""

    def __init__(self) -> None:
        self._value: Value | None = None
        self._is_there = asyncio.Event()

    def put(self, value: Value) -> Value | None:
        """Put a value; the one that it replaces, if any."""
        replaced, self._value = self._value, value
        self._is_there.set()
        return replaced

    async def take(self) -> Value:
        """Wait for a value and take it away."""
        await self._is_there.wait()
        self._is_there.clear()
        assert self._value is not None
        value, self._value = self._value, None
        return value


class Socket(Protocol):
    """What answers are sent through."""

    async def send_text(self, data: str) -> None:
        """Send text."""

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes."""


@dataclass(frozen=True)
class Stored:
    """A file that is kept for a page; the oldest of all has the lowest ``order``."""

    token: str
    file: Path
    name: str
    size_bytes: int
    order: int


@dataclass(frozen=True)
class Sound(Stored):
    """A decoded upload: an array of numpy at its own rate, with what a reader has to know of it."""

    rate_hz: int
    notes: tuple[str, ...]


Shelf = OrderedDict[str, Any]
"""Token → :class:`Stored`, the oldest first."""


@dataclass(eq=False)
class Session:
    """One open page.

    Attributes
    ----------
    socket : Socket
        To the page.
    token : str
        What the page's requests are told by.
    sounds, pages : mapping
        Token → a sound, or an explanation's page; the oldest first.
    jobs : dict
        The page's number of an explanation → the task that makes it.
    is_open : bool
        Whether the page is still there.
    """

    socket: Socket
    token: str = field(default_factory=new_token)
    sounds: "OrderedDict[str, Sound]" = field(default_factory=OrderedDict)
    pages: "OrderedDict[str, Stored]" = field(default_factory=OrderedDict)
    jobs: "dict[int, asyncio.Task[None]]" = field(default_factory=dict)
    is_open: bool = True
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, text: str, content: bytes = b"") -> None:
        """Send a message, and the bytes that belong to it right behind it; nothing to a page that has gone."""
        async with self._sending:
            if not self.is_open:
                return
            try:
                await self.socket.send_text(text)
                if content:
                    await self.socket.send_bytes(content)
            except WebSocketDisconnect:
                self.is_open = False

    def sound(self, token: object) -> Sound:
        """A sound that is kept.

        Raises
        ------
        UserError
            If it is not, or never was.
        """
        found = self.sounds.get(token) if isinstance(token, str) else None
        if found is None:
            raise UserError("the server no longer keeps this sound; open it again")
        return found


class Sessions:
    """All open pages.

    Parameters
    ----------
    folder : Path
        Where sounds and pages are stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Session] = {}
        self._count = count()

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._open.values()))

    def start(self, socket: Socket) -> Session:
        """A session of a page that was opened.

        Raises
        ------
        UserError
            If there are as many as there may be.
        """
        if len(self._open) >= MOST_SESSIONS:
            raise UserError(f"{MOST_SESSIONS} pages are open already; close one, then load this page again")
        session = Session(socket)
        self._open[session.token] = session
        return session

    def of(self, token: str) -> Session:
        """The session of a token.

        Raises
        ------
        UserError
            If there is none.
        """
        if token not in self._open:
            raise UserError("the page has lost its connection; load it again")
        return self._open[token]

    def end(self, session: Session) -> None:
        """Stop the work of a page that is gone, and forget what it had."""
        self._open.pop(session.token, None)
        session.is_open = False
        for job in session.jobs.values():
            job.cancel()
        for shelf in _shelves(session):
            while shelf:
                _drop_oldest(shelf)

    def keep_sound(self, session: Session, decoded: Decoded, name: str) -> Sound:
        """Store a sound; the oldest ones of its session go, and then the oldest of all."""
        token = new_token()
        file = self._folder / f"{token}.npy"
        # At once rather than in a thread: at most 46 MB, and the page cannot go meanwhile.
        np.save(file, decoded.waveform, allow_pickle=False)
        size_bytes, order = decoded.waveform.nbytes, next(self._count)
        sound = Sound(token, file, shown_name(name), size_bytes, order, decoded.rate_hz, decoded.notes)
        self._keep(session.sounds, sound, SOUNDS_PER_SESSION)
        return sound

    def keep_page(self, session: Session, page: str, name: str) -> Stored:
        """Store the page of an explanation, likewise."""
        token, content = new_token(), page.encode()
        stored = Stored(token, self._folder / f"{token}.html", name, len(content), next(self._count))
        stored.file.write_bytes(content)
        self._keep(session.pages, stored, PAGES_PER_SESSION)
        return stored

    def page(self, token: str) -> Stored | None:
        """An explanation's page; None if it is not kept."""
        return next((session.pages[token] for session in self if token in session.pages), None)

    def _keep(self, shelf: Shelf, stored: Stored, most: int) -> None:
        shelf[stored.token] = stored
        while len(shelf) > most:
            _drop_oldest(shelf)
        self._make_room()

    def _make_room(self) -> None:
        """Drop the oldest of what all pages have, but not the last one."""
        shelves = [shelf for session in self for shelf in _shelves(session)]
        kept = sorted((stored.order, stored.size_bytes, shelf) for shelf in shelves for stored in shelf.values())
        surplus = sum(size_bytes for _, size_bytes, _ in kept) - MOST_STORED_BYTES
        for _, size_bytes, shelf in kept[:-1]:
            if surplus <= 0:
                return
            _drop_oldest(shelf)
            surplus -= size_bytes


def shown_name(name: str) -> str:
    """A name that is shown: one line of what can be printed, and not too long."""
    line = "".join(sign for sign in " ".join(name.split()) if sign.isprintable())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def _shelves(session: Session) -> tuple[Shelf, Shelf]:
    return session.sounds, session.pages


def _drop_oldest(shelf: Shelf) -> None:
    _, stored = shelf.popitem(last=False)
    stored.file.unlink(missing_ok=True)
