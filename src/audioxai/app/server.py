"""The server of the app: a page, a socket for each open page, uploads, and pages to take away.

Notes
-----
Starlette and uvicorn, because brushing is a stream of small messages, of which only the newest counts, and because
uploads, sockets and processes need limits that are set here; toolkits that draw the page as well hide both. The event
loop only passes messages and stores what came: files are decoded and models run in processes of their own
(:mod:`audioxai.app.decoding`, :mod:`audioxai.app.work`).
"""

import asyncio
import base64
import contextlib
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioxai.app.decoding import LONGEST_S, Decoded, decoded, prepare
from audioxai.app.guard import Guard, new_token
from audioxai.app.requests import REMOVALS, Describe, Erase, Explain, Facts, Part, Removal
from audioxai.app.sessions import JOBS_PER_SESSION, Newest, Session, Sessions, Sound, shown_name
from audioxai.app.work import StoppedError, Worker
from audioxai.report.render.html.packing import packed_palettes
from audioxai.report.render.html.shell import assembled, json_in_html
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from audioxai.app.work import Loader

LOG = logging.getLogger("audioxai.app")
MOST_UPLOAD_BYTES = 32 << 20
UPLOAD_S = 60.0
UPLOADS_AT_ONCE, DECODED_AT_ONCE = 16, 2
# For predictions or an answer of the eraser; models of hundreds of millions of parameters take seconds for a pass.
ANSWER_S = 600.0
MOST_MODELS = 2
ANSWERING, EXPLAINING = "audioxai answering", "audioxai explaining"
# Explanations leave the processor to what readers wait for.
EXPLAINING_NICENESS = 10
# The largest message is a mask of 64 × 640 cells, which is 7 kB long.
MOST_MESSAGE_BYTES = 1 << 16
# In place of a message's number that could not be read.
NO_NUMBER = -1
EXAMPLE = "example clip"
SCRIPTS = ("stft.js", "sounds.js", "recorder.js", "eraser.js", "app.js")


Questions = Newest[tuple[int, Describe | Erase]]
"""What a page asks about a clip, under the page's number: of these only the newest is answered."""


class Service:
    """What answers the pages.

    Parameters
    ----------
    loaders : sequence of callable
        One that returns a model, or two that return models to compare; called in other processes.
    folder : Path
        Where sounds and pages are stored while the app runs.
    example : Decoded
        A sound to try everything on.
    """

    def __init__(self, loaders: "Sequence[Loader]", folder: Path, example: Decoded) -> None:
        if not 1 <= len(loaders) <= MOST_MODELS:
            raise UserError(f"{len(loaders)} models are given; give one, or two to compare")
        self._folder, self._example = folder, example
        self.sessions = Sessions(folder)
        self.answering = Worker(loaders, ANSWERING)
        self.explaining = Worker(loaders, EXPLAINING, EXPLAINING_NICENESS)
        self._facts: list[dict[str, Any]] = []
        self._queue: list[Newest[dict[str, Any]]] = []
        self._uploading, self._decoding = asyncio.Semaphore(UPLOADS_AT_ONCE), asyncio.Semaphore(DECODED_AT_ONCE)
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Load the models.

        Raises
        ------
        UserError
            If one cannot be loaded.
        """
        if not self._facts:
            prepare()
            self._facts = await self.answering.ask(Facts())
            # The other process may take its time.
            self._in_background(self.explaining.ask(Facts()))

    async def close(self) -> None:
        """End all work and both processes."""
        for session in self.sessions:
            self.sessions.end(session)
        tasks = tuple(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(self.answering.close(), self.explaining.close())
        await asyncio.gather(*tasks, return_exceptions=True)

    def app(self, host: str = "127.0.0.1", token: str = "") -> Guard:
        """The ASGI application, guarded for a server that is bound to ``host``; the service has to be started."""
        routes = [
            Route("/", self._page),
            Route("/sounds", self._upload, methods=["POST"]),
            Route("/example", self._open_example, methods=["POST"]),
            Route("/pages/{token}", self._download),
            WebSocketRoute("/live", self._live),
        ]
        return Guard(Starlette(routes=routes), host, token)

    # --- Pages and uploads --------------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(_page_for(request.headers["host"]))

    async def _download(self, request: Request) -> Response:
        found = self.sessions.page(request.path_params["token"])
        if found is None:
            return PlainTextResponse("The server no longer keeps this page; explain the sound again.", 404)
        return FileResponse(found.file, media_type="text/html", filename=found.name)

    async def _open_example(self, request: Request) -> Response:
        async def sound(session: Session) -> Sound:
            return self.sessions.keep_sound(session, self._example, EXAMPLE)

        return await self._described(request, sound)

    async def _upload(self, request: Request) -> Response:
        async def sound(session: Session) -> Sound:
            name = shown_name(unquote(request.headers.get("x-name", ""))) or "sound"
            file = self._folder / f"{new_token()}.upload"
            try:
                async with self._uploading:
                    await _stored(request, file)
                async with self._decoding:
                    found = await asyncio.to_thread(decoded, file, name)
            finally:
                file.unlink(missing_ok=True)
            # The page may have gone meanwhile.
            return self.sessions.keep_sound(self.sessions.of(session.token), found, name)

        return await self._described(request, sound)

    async def _described(self, request: Request, sound: Callable[[Session], Awaitable[Sound]]) -> Response:
        try:
            found = await sound(self.sessions.of(request.headers.get("x-session", "")))
            description = await self._asked(Describe(_part(found, None)))
        except UserError as error:
            # What is left of an upload is not read.
            return JSONResponse({"error": str(error)}, 422, {"Connection": "close"})
        except ClientDisconnect:
            return PlainTextResponse("gone", 499)
        except Exception:  # noqa: BLE001 - told to the page in one sentence, and logged
            return JSONResponse({"error": logged_fault("opening a sound")}, 500)
        return Response(_with_facts({"sound": found.token}, description), media_type="application/json")

    # --- The socket of a page -----------------------------------------------------------------------------------------

    async def _live(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            session = self.sessions.start(socket)
        except UserError as error:
            with contextlib.suppress(WebSocketDisconnect):
                await socket.send_json({"is": "refused", "text": str(error)})
                await socket.close()
            return
        questions: Questions = Newest()
        answering = asyncio.create_task(self._answer(session, questions))
        try:
            hello = {"is": "session", "session": session.token, "models": self._facts}
            await session.send(json.dumps({**hello, "mostBytes": MOST_UPLOAD_BYTES, "longestS": LONGEST_S}))
            async for text in _texts(socket):
                await self._received(session, text, questions)
        finally:
            answering.cancel()
            self.sessions.end(session)

    async def _received(self, session: Session, text: str, questions: Questions) -> None:
        """Begin what a message asks for, or say why not."""
        number = NO_NUMBER
        try:
            message = Message.of(text)
            number = message.whole("number")
            match message.text("do"):
                case "describe":
                    await _ask(session, questions, number, Describe(_asked_part(session, message)))
                case "erase":
                    await _ask(session, questions, number, _erase(session, message))
                case "explain":
                    self._queued(session, number, _explain(session, message, len(self._facts)))
                case "stop":
                    if job := session.jobs.pop(number, None):
                        job.cancel()
                        await session.send(json.dumps({"is": "stopped", "number": number}))
                case other:
                    raise UserError(f"do is {other[:20]!r}, which this server does not know; load the page again")
        except UserError as error:
            await session.send(_failed(number, str(error)))

    async def _answer(self, session: Session, questions: Questions) -> None:
        """Answer the newest of what a page asks about a clip, for as long as the page is there."""
        while session.is_open:
            number, request = await questions.take()
            content = b""
            try:
                answer = await self._asked(request)
                if isinstance(request, Describe):
                    text = _with_facts({"is": "described", "number": number}, answer)
                else:
                    found, content = answer
                    text = json.dumps({"is": "erased", "number": number, "hasSound": bool(content), **found})
            except UserError as error:
                text = _failed(number, str(error))
            except Exception:  # noqa: BLE001 - told to the page in one sentence, and logged
                text = _failed(number, logged_fault("asking the model"))
            await session.send(text, content)

    # --- Explanations -------------------------------------------------------------------------------------------------

    def _queued(self, session: Session, number: int, request: Explain) -> None:
        if len(session.jobs) >= JOBS_PER_SESSION:
            raise UserError(f"{JOBS_PER_SESSION} explanations are waiting already; stop one first")
        if number in session.jobs:
            raise UserError(f"explanation {number} is being made already; load the page again")
        session.jobs[number] = self._in_background(self._explained(session, number, request))

    async def _explained(self, session: Session, number: int, request: Explain) -> None:
        """Make an explanation when its turn comes, and tell the page how far it is."""
        state: Newest[dict[str, Any]] = Newest()
        telling = asyncio.create_task(_tell(session, number, state))
        self._queue.append(state)
        state.put({"is": "queued", "ahead": len(self._queue) - 1})

        def report(done: int, total: int) -> None:
            state.put({"is": "passes", "done": done, "total": total})

        try:
            made = await self.explaining.ask(request, report)
            name = f"why-{_file_stem(request.part.name)}.html"
            page = self.sessions.keep_page(self.sessions.of(session.token), made.page, name)
            text = _with_facts({"is": "explained", "number": number, "page": page.token}, made.content)
        except UserError as error:
            text = _failed(number, str(error))
        except StoppedError:
            return
        except Exception:  # noqa: BLE001 - told to the page in one sentence, and logged
            text = _failed(number, logged_fault("explaining"))
        finally:
            telling.cancel()
            was_first = self._queue[0] is state
            self._queue.remove(state)
            for ahead, waiting in enumerate(self._queue):
                # One that is being made already is told nothing of those behind it.
                if ahead or was_first:
                    waiting.put({"is": "queued", "ahead": ahead})
            if session.jobs.get(number) is asyncio.current_task():
                session.jobs.pop(number)
        await session.send(text)

    async def _asked(self, request: Describe | Erase) -> Any:
        """The answer of the process for what is waited for; a page that goes does not cost it its models."""
        return await asyncio.shield(self._in_background(self.answering.ask(request, longest_s=ANSWER_S)))

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task that ends with the service at the latest."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        # What nobody waits for any more may fail.
        task.add_done_callback(lambda one: one.cancelled() or one.exception())
        return task


class Message:
    """What a page sent, read with care.

    Parameters
    ----------
    content : mapping
        Of a JSON object.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    @classmethod
    def of(cls, text: str) -> "Message":
        """From JSON.

        Raises
        ------
        UserError
            If it is no JSON object.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise UserError("a message is no JSON object; load the page again")
        return cls(content)

    def text(self, name: str) -> str:
        """A text."""
        return str(self._of(name, str))

    def whole(self, name: str) -> int:
        """A whole number from 0 to 2³¹ − 1."""
        value: int = self._of(name, int)
        if not 0 <= value < 2**31:
            raise UserError(f"{name} is {str(value)[:20]}, which is out of range; load the page again")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        return bool(self._of(name, bool))

    def seconds(self, name: str) -> float | None:
        """A time, or None."""
        value = self._of(name, float | int | None)
        if value is not None and not (abs(value) < 2**31):
            raise UserError(f"{name} is {str(value)[:20]}, which is out of range; load the page again")
        return None if value is None else float(value)

    def one_of(self, name: str, choices: Sequence[Any]) -> Any:
        """One of several texts."""
        value = self.text(name)
        if value not in choices:
            raise UserError(f"{name} is {value[:20]!r}; choose {' or '.join(choices)}")
        return value

    def _of(self, name: str, kind: Any) -> Any:
        value = self._content.get(name)
        # True is a whole number to Python.
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise UserError(f"{name} is missing or of the wrong kind; load the page again")
        return value


def _asked_part(session: Session, message: Message) -> Part:
    """What a message asks about."""
    return _part(session.sound(message.text("sound")), message.seconds("startS"))


def _part(sound: Sound, start_s: float | None) -> Part:
    return Part(str(sound.file), sound.rate_hz, sound.name, start_s, sound.notes)


def _erase(session: Session, message: Message) -> Erase:
    removal: Removal = message.one_of("removal", REMOVALS)
    packed = message.text("erased")
    try:
        erased = base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise UserError("erased is no base64; load the page again") from error
    return Erase(_asked_part(session, message), erased, removal, message.flag("hear"))


def _explain(session: Session, message: Message, models: int) -> Explain:
    model = message.whole("model")
    if model >= models:
        raise UserError(f"model is {model} but models are counted from 0 to {models - 1}; load the page again")
    return Explain(
        _asked_part(session, message),
        model,
        message.whole("target"),
        message.text("method"),
        message.one_of("removal", REMOVALS),
    )


async def _texts(socket: WebSocket) -> AsyncIterator[str]:
    """What a page sends until it is gone; of bytes, which no page sends, an empty text."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        yield message.get("text") or ""


async def _ask(session: Session, questions: Questions, number: int, request: Describe | Erase) -> None:
    """Put a question, and tell the page which one was not begun and is dropped for it."""
    dropped = questions.put((number, request))
    if dropped is not None:
        await session.send(json.dumps({"is": "dropped", "number": dropped[0]}))


async def _tell(session: Session, number: int, state: "Newest[dict[str, Any]]") -> None:
    """Send how far an explanation is, whenever that changes and the page has taken the last message."""
    while session.is_open:
        await session.send(json.dumps({"number": number, **await state.take()}))


def _failed(number: int, text: str) -> str:
    """The message that something cannot be done."""
    return json.dumps({"is": "failed", "number": number, "text": text})


async def _stored(request: Request, file: Path) -> None:
    """Write the body of a request, which is given up as soon as it is too long or takes too long."""
    too_large = UserError(f"the file is larger than {MOST_UPLOAD_BYTES >> 20} MiB; give a shorter part of it")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > MOST_UPLOAD_BYTES:
        raise too_large
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_S):
            with file.open("wb") as written:
                async for block in request.stream():
                    size += len(block)
                    if size > MOST_UPLOAD_BYTES:
                        raise too_large
                    written.write(block)
    except TimeoutError as error:
        raise UserError(f"the file did not arrive within {UPLOAD_S:.0f} s; try again") from error
    if not size:
        raise UserError("the file is empty; give a sound")


def logged_fault(doing: str) -> str:
    """A sentence for the page about an error that is being handled, whose traceback is logged under its number."""
    number = secrets.token_hex(4)
    LOG.exception("fault %s while %s", number, doing)
    return f"something went wrong while {doing}; the server's log says what, under fault {number}"


def _with_facts(facts: Mapping[str, Any], content: str) -> str:
    """A JSON object, as text, with more entries in front, without reading it."""
    return f"{json.dumps(facts)[:-1]}, {content[1:]}"


def _file_stem(name: str) -> str:
    """The name of a sound as part of the name of a file that any system takes."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in Path(name).stem)[:60] or "sound"


@lru_cache(maxsize=8)
def _page_for(host: str) -> str:
    """The app's page for who asks under a name; not every browser counts its sockets as its own without being told."""
    return assembled(
        "app.html",
        SCRIPTS,
        styles=("app.css",),
        allowed={"connect-src": f"'self' ws://{host} wss://{host}"},
        title="What does the model hear?",
        data=json_in_html({"palettes": packed_palettes()}),
    )
