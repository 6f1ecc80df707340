"""What open pages have on the server: sounds, explanations and work, within limits.

Idea
----
A session is one open page: it begins with the page's socket and ends with it. Sounds and explanations are known by
random tokens, which are keys of tables here and never parts of paths that a browser chose. Where there are more sounds
than may be kept, the oldest go.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

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

    def put(self, value: Value) -> None:
        """Put a value."""
        self._value = value
        self._is_there.set()

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
class Sound:
    """A decoded upload, stored where the server chose; the oldest of all has the lowest ``order``."""

    token: str
    file: Path
    rate_hz: int
    name: str
    notes: tuple[str, ...]
    order: int


@dataclass(eq=False)
class Session:
    """One open page.

    Attributes
    ----------
    socket : Socket
        To the page.
    sounds : mapping
        Token → sound, the oldest first.
    pages : mapping
        Token → file of an explanation's page and its name.
    jobs : dict
        The page's number of an explanation → the task that makes it.
    """

    socket: Socket
    token: str = field(default_factory=new_token)
    sounds: "OrderedDict[str, Sound]" = field(default_factory=OrderedDict)
    pages: "OrderedDict[str, tuple[Path, str]]" = field(default_factory=OrderedDict)
    jobs: "dict[int, asyncio.Task[None]]" = field(default_factory=dict)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, text: str, content: bytes = b"") -> None:
        """Send a message, and the bytes that belong to it right behind it."""
        async with self._sending:
            await self.socket.send_text(text)
            if content:
                await self.socket.send_bytes(content)

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
        for job in session.jobs.values():
            job.cancel()
        for file in chain(
            (sound.file for sound in session.sounds.values()), (file for file, _ in session.pages.values())
        ):
            file.unlink(missing_ok=True)
        session.sounds.clear()
        session.pages.clear()

    def keep_sound(self, session: Session, decoded: Decoded, name: str) -> Sound:
        """Store a sound; the oldest ones of its session go, and then the oldest of all."""
        token = new_token()
        file = self._folder / f"{token}.npy"
        sound = Sound(token, file, decoded.rate_hz, shown_name(name), decoded.notes, next(self._count))
        np.save(sound.file, decoded.waveform, allow_pickle=False)
        session.sounds[token] = sound
        while len(session.sounds) > SOUNDS_PER_SESSION:
            _drop(session)
        self._make_room()
        return sound

    def _make_room(self) -> None:
        """Drop the oldest sounds of all pages, but not the last one."""
        kept = sorted(
            (
                (sound.order, sound.file.stat().st_size, session)
                for session in self
                for sound in session.sounds.values()
            ),
            key=lambda one: one[0],
        )
        stored = sum(size for _, size, _ in kept)
        for _, size, session in kept[:-1]:
            if stored <= MOST_STORED_BYTES:
                return
            _drop(session)
            stored -= size

    def keep_page(self, session: Session, page: str, name: str) -> str:
        """Store the page of an explanation; its token."""
        token = new_token()
        file = self._folder / f"{token}.html"
        file.write_text(page, encoding="utf-8")
        session.pages[token] = (file, name)
        while len(session.pages) > PAGES_PER_SESSION:
            _, (oldest, _) = session.pages.popitem(last=False)
            oldest.unlink(missing_ok=True)
        return token

    def page(self, token: str) -> tuple[Path, str] | None:
        """File and name of an explanation's page; None if it is not kept."""
        return next((session.pages[token] for session in self if token in session.pages), None)


def shown_name(name: str) -> str:
    """A name that is shown: one line of what can be printed, and not too long."""
    line = "".join(sign for sign in " ".join(name.split()) if sign.isprintable())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def _drop(session: Session) -> None:
    _, sound = session.sounds.popitem(last=False)
    sound.file.unlink(missing_ok=True)
