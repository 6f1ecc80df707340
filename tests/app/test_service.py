"""The server as programs see it: uploads, the socket, limits, the queue, and what happens when pages go."""

import asyncio
import base64
import contextlib
import html
import json
import multiprocessing
import socket as sockets
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from helpers.app import Running, bands, gated, refused, sound_file
from helpers.explained import NAMES, RATE_HZ, recording
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from audioxai.app import connections, server, sessions, work
from audioxai.app.command import run
from audioxai.app.decoding import Decoded
from audioxai.app.requests import Erase, Explain, Facts, Part
from audioxai.app.sessions import Newest, Sessions, shown_name
from audioxai.app.work import StoppedError, Worker, _reporting
from audioxai.utils.errors import UserError

Result = TypeVar("Result")
# Longer than any answer takes, on any machine.
PATIENCE_S = 300.0


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what happens in other threads and processes."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Page:
    """What an open page does."""

    def __init__(self, served: Running, socket: ClientConnection) -> None:
        self.served, self.socket = served, socket
        self.hello = self.next()
        self.token = self.hello.get("session", "")

    def next(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=PATIENCE_S))

    def until(self, kind: str) -> dict[str, Any]:
        while (message := self.next())["is"] != kind:
            assert message["is"] in ("queued", "passes"), message
        return message

    def until_passes(self) -> dict[str, Any]:
        """An explanation is under way."""
        while (message := self.next())["is"] != "passes":
            assert message["is"] == "queued", message
        return message

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def upload(self, content: Any, name: str = "bird.wav", **headers: str) -> httpx.Response:
        own = {"origin": self.served.origin, "x-session": self.token, "x-name": name, **headers}
        return httpx.post(f"{self.served.address}sounds", content=content, headers=own, timeout=PATIENCE_S)

    def opened(self) -> dict[str, Any]:
        answer = self.upload(sound_file())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def erase(self, clip: dict[str, Any], number: int, bits: int = 0, hear: bool = True, **other: Any) -> None:
        count = clip["cells"][0] * clip["cells"][1]
        erased = base64.b64encode(np.packbits(np.full(count, bits, np.uint8)).tobytes()).decode()
        message = {"do": "erase", "sound": clip["sound"], "startS": None, "removal": "silence", "hear": hear}
        self.send(**{**message, "number": number, "erased": erased, **other})

    def explain(self, clip: dict[str, Any], number: int, **other: Any) -> None:
        message = {"do": "explain", "sound": clip["sound"], "startS": None, "model": 0, "target": 1, "method": "auto"}
        self.send(**{**message, "number": number, "removal": "silence", **other})


@contextlib.contextmanager
def page_of(served: Running) -> Iterator[Page]:
    with connect(served.live, origin=Origin(served.origin), open_timeout=PATIENCE_S) as socket:
        yield Page(served, socket)


@pytest.fixture
def page(served: Running) -> Iterator[Page]:
    with page_of(served) as found:
        yield found


def test_predictions_come_with_the_upload(page: Page) -> None:
    clip = page.opened()
    assert clip["name"] == "bird.wav"
    assert clip["models"][0]["names"] == list(NAMES)
    assert max(clip["models"][0]["probabilities"]) == clip["models"][0]["probabilities"][1]


def test_the_eraser_answers_with_probabilities_and_sound(page: Page) -> None:
    clip = page.opened()
    page.erase(clip, 1, bits=1)
    found = page.next()
    assert found["is"] == "erased"
    assert page.socket.recv(timeout=PATIENCE_S) == bytes(4 * clip["models"][0]["picture"]["stft"]["samples"])
    page.erase(clip, 2, bits=0, hear=False)
    found = page.next()
    np.testing.assert_allclose(found["probabilities"][0], clip["models"][0]["probabilities"], atol=1e-5)
    assert not found["hasSound"]


def test_an_explanation_comes_with_its_page(page: Page) -> None:
    clip = page.opened()
    page.explain(clip, 7, method="silence")
    found = page.until("explained")
    assert (found["number"], found["label"]) == (7, "whistle")
    answer = httpx.get(f"{page.served.address}pages/{found['page']}")
    assert "attachment" in answer.headers["content-disposition"]
    assert "why-bird.html" in answer.headers["content-disposition"]
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "content", [b"", b"no sound", b"RIFF", sound_file()[:4_000], bytes(100_000), sound_file(61.0)], ids=range(6)
)
def test_what_is_no_sound_is_refused_in_a_sentence(page: Page, content: bytes) -> None:
    answer = page.upload(content)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert page.opened()["name"] == "bird.wav"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a%2F..%2F..%2Fb", "<img src=x onerror=alert(1)>", "%00%0a%1b[31m", "x" * 5_000, "%ff"]
)
def test_names_are_shown_and_are_no_paths(page: Page, name: str) -> None:
    before = set(page.served.service._folder.parent.iterdir())
    clip = page.upload(sound_file(), name).json()
    assert len(clip["name"]) <= sessions.LONGEST_NAME
    assert clip["name"].isprintable()
    page.explain(clip, 1, method="energy")
    found = page.until("explained")
    assert httpx.get(f"{page.served.address}pages/{found['page']}").status_code == 200
    assert set(page.served.service._folder.parent.iterdir()) == before
    assert all(file.suffix in (".npy", ".html") for file in page.served.service._folder.iterdir())


def test_too_large_a_file_is_given_up_while_it_comes(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_UPLOAD_BYTES", 1 << 20)
    sent = 0

    def blocks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1_024):
            sent += 1
            yield bytes(1 << 18)

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        answer = page.upload(blocks())
        assert "larger than 1 MiB" in answer.json()["error"]
    assert sent < 1_024
    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        assert page.upload(bytes(2 << 20)).status_code == 422
    assert not list(page.served.service._folder.glob("*.upload"))


@pytest.mark.parametrize("token", ["%2e%2e%2fetc", "x", "0" * 32])
def test_only_known_pages_are_given(served: Running, token: str) -> None:
    assert httpx.get(f"{served.address}pages/{token}").status_code == 404


def test_the_page_loads_nothing_from_elsewhere(served: Running) -> None:
    text = html.unescape(httpx.get(served.address).text)
    policy = text.split("<style>")[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        "{" * 50_000,
        "{}",
        '{"number": -1, "do": "erase"}',
        '{"number": 1e99, "do": "erase"}',
        '{"number": true, "do": "erase"}',
        '{"number": 1, "do": "erase", "removal": "silence", "erased": "", "hear": 1}',
        '{"number": 1, "do": "eval"}',
        '{"number": 1, "do": "erase", "removal": "silence", "erased": "é", "hear": true}',
        '{"number": 1, "do": "erase", "removal": "../noise", "erased": "", "hear": true}',
        '{"number": 1, "do": "describe", "sound": "../../etc/passwd", "startS": 0}',
        '{"number": 1, "do": "describe", "sound": ["x"], "startS": 0}',
        '{"number": 1, "do": "explain", "model": 9}',
    ],
    ids=range(15),
)
def test_messages_of_any_kind_are_answered_with_a_sentence(page: Page, message: str) -> None:
    page.socket.send(message)
    found = page.next()
    assert found["is"] == "failed"
    assert found["text"]
    # The page goes on.
    page.erase(page.opened(), 3, hear=False)
    assert page.next()["is"] == "erased"


def test_explanations_that_cannot_be_made_say_why(page: Page) -> None:
    clip = page.opened()
    for other in ({"target": 99}, {"method": "no_such"}):
        page.explain(clip, 5, **other)
        assert page.until("failed")["number"] == 5
    page.erase({**clip, "cells": [2, 2]}, 6)
    assert "open it again" in page.until("failed")["text"]


def test_messages_have_a_largest_size(served: Running) -> None:
    with page_of(served) as page:
        page.socket.send("x" * (server.MOST_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            page.next()


def test_one_page_does_not_see_what_is_anothers(served: Running) -> None:
    with page_of(served) as page, page_of(served) as other:
        clip = page.opened()
        other.erase(clip, 1)
        assert "no longer keeps" in other.until("failed")["text"]
        assert "lost its connection" in other.upload(sound_file(), **{"x-session": "guessed"}).json()["error"]


def test_what_a_page_had_goes_with_it(served: Running) -> None:
    def kept() -> set[Path]:
        return set(served.service._folder.iterdir())

    before = kept()
    with page_of(served) as page:
        page.opened()
        assert len(kept() - before) == 1
    eventually(lambda: not kept() - before)


def test_the_oldest_sounds_go(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SOUNDS_PER_SESSION", 2)
    clips = [page.opened() for _ in range(3)]
    page.erase(clips[0], 1)
    assert "no longer keeps" in page.next()["text"]
    page.erase(clips[1], 2, hear=False)
    assert page.next()["is"] == "erased"


def test_sounds_take_no_more_room_than_they_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_STORED_BYTES", 10_000)
    kept = Sessions(tmp_path)
    first, second = (kept.start(None) for _ in range(2))  # type: ignore[arg-type]
    sounds = [
        kept.keep_sound(session, Decoded(np.ones(1_000, np.float32), 8_000), "a")
        for session in (first, second, first, second)
    ]
    assert [sound.file.is_file() for sound in sounds] == [False, False, True, True]
    page = kept.keep_page(first, "x" * 9_000, "why.html")
    assert [stored.file.is_file() for stored in (*sounds, page)] == [False, False, False, False, True]
    kept.end(first)
    assert not list(tmp_path.iterdir())


def test_there_are_no_more_pages_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 1)
    kept = Sessions(tmp_path)
    session = kept.start(None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="1 pages are open"):
        kept.start(None)  # type: ignore[arg-type]
    kept.end(session)
    kept.start(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "shown"), [("a\x00b\n c\u202e", "ab c"), ("é", "é"), ("", "")])
def test_names_are_one_line(name: str, shown: str) -> None:
    assert shown_name(name) == shown


# --- Time ------------------------------------------------------------------------------------------------------------


def test_an_explanation_keeps_neither_predictions_nor_the_eraser_waiting(
    waiting: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STOP_S", 0.05)
    with page_of(waiting) as page, page_of(waiting) as other:
        clip = page.opened()
        page.explain(clip, 1, method="silence")
        page.until_passes()
        other.erase(other.opened(), 1, hear=False)
        assert other.next()["is"] == "erased"
        other.explain(clip, 9)
        assert "no longer keeps" in other.next()["text"]
        # It is still being made, or there would be nothing to stop.
        page.send(do="stop", number=1)
        assert page.until("stopped")["number"] == 1


def test_explanations_are_made_in_turn_and_end_with_their_page(
    waiting: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STOP_S", 0.05)
    with page_of(waiting) as page, page_of(waiting) as other:
        first, second = page.opened(), other.opened()
        page.explain(first, 1, method="silence")
        page.until_passes()
        other.explain(second, 2, method="energy")
        assert other.next() == {"number": 2, "is": "queued", "ahead": 1}
        for number in range(3, 3 + sessions.JOBS_PER_SESSION):
            other.explain(second, number, method="energy")
        assert "waiting already" in other.until("failed")["text"]
        # The first one cannot end by itself. With its page it goes, and the second one's turn has come.
        page.socket.close()
        assert other.until_passes()["number"] == 2
        with opened(waiting.gate):
            assert other.until("explained")["number"] == 2


def test_what_stops_by_itself_keeps_its_process(waiting: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "STOP_S", PATIENCE_S)
    with page_of(waiting) as page:
        clip = page.opened()
        page.explain(clip, 1, method="silence")
        page.until_passes()
        child = waiting.service.explaining._child
        page.send(do="stop", number=1)
        assert page.until("stopped")["number"] == 1
        with opened(waiting.gate):
            page.explain(clip, 2, method="energy")
            assert page.until("explained")["number"] == 2
        assert waiting.service.explaining._child is child


def test_work_ends_at_the_pass_after_it_was_told_to() -> None:
    ours, theirs = multiprocessing.Pipe()
    report = _reporting(theirs)
    report(1, 3)
    ours.send(None)
    with pytest.raises(StoppedError):
        report(2, 3)
    assert ours.recv() == ("passes", 1, 3)
    assert not ours.poll()


def test_an_explanation_whose_process_dies_says_so(waiting: Running) -> None:
    with page_of(waiting) as page:
        clip = page.opened()
        page.explain(clip, 1, method="silence")
        page.until_passes()
        child = waiting.service.explaining._child
        assert child is not None
        child.process.kill()
        assert "process has ended" in page.until("failed")["text"]


@contextlib.contextmanager
def opened(gate: Path) -> Iterator[None]:
    """Explanations of the gated model go on."""
    gate.touch()
    try:
        yield
    finally:
        gate.unlink()


def ran(scenario: Coroutine[Any, Any, Result]) -> Result:
    """What a scenario returns; in a thread, since tests in browsers leave a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, scenario).result()


class Gate:
    """Answers erasing when it is let, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Erase] = []
        self.open = asyncio.Event()

    async def ask(self, request: Any, **_: object) -> Any:
        self.asked.append(request)
        await self.open.wait()
        return {"probabilities": [[float(len(request.erased))]]}, b""


class Kept:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.texts: list[dict[str, Any]] = []

    async def send_text(self, data: str) -> None:
        self.texts.append(json.loads(data))

    async def send_bytes(self, data: bytes) -> None:
        raise AssertionError(f"no sound was asked for, and {len(data)} bytes came")


def test_only_the_newest_state_of_the_brush_is_computed(tmp_path: Path) -> None:
    async def scenario() -> tuple[Gate, Kept]:
        service = server.Service([bands], tmp_path, Decoded(np.ones(10, np.float32), 8_000))
        gate, socket = Gate(), Kept()
        service.answering = gate  # type: ignore[assignment]
        session = service.sessions.start(socket)
        sound = service.sessions.keep_sound(session, Decoded(np.ones(10, np.float32), 8_000), "a")
        newest: Newest[Any] = Newest()
        answering = asyncio.create_task(service._answer(session, newest))
        for number in range(20):
            mask = base64.b64encode(bytes(number)).decode()
            message = {"do": "erase", "number": number, "sound": sound.token, "startS": None, "removal": "noise"}
            await service._received(session, json.dumps({**message, "erased": mask, "hear": False}), newest)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        gate.open.set()
        while [text["is"] for text in socket.texts].count("erased") < 2:
            await asyncio.sleep(0)
        answering.cancel()
        return gate, socket

    gate, socket = ran(scenario())
    assert [len(request.erased) for request in gate.asked] == [0, 19]
    numbers = {kind: [text["number"] for text in socket.texts if text["is"] == kind] for kind in ("erased", "dropped")}
    # Every question is answered, if only by saying that it is dropped.
    assert numbers == {"erased": [0, 19], "dropped": list(range(1, 19))}


def test_a_page_that_has_gone_is_sent_nothing(tmp_path: Path) -> None:
    class Gone(Kept):
        async def send_text(self, data: str) -> None:
            await super().send_text(data)
            raise WebSocketDisconnect

    async def scenario() -> Gone:
        socket = Gone()
        session = Sessions(tmp_path).start(socket)
        for _ in range(2):
            await session.send("{}")
        assert not session.is_open
        return socket

    assert len(ran(scenario()).texts) == 1


# --- Connections -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def plain_connection(served: Running) -> Iterator[sockets.socket]:
    host, _, port = served.origin.removeprefix("http://").partition(":")
    with sockets.create_connection((host, int(port)), timeout=PATIENCE_S) as found:
        yield found


def request_of(served: Running, line: str = "GET / HTTP/1.1", **headers: str) -> bytes:
    fields = {"Host": served.origin.removeprefix("http://"), **headers}
    lines = (f"{name.replace('_', '-')}: {value}" for name, value in fields.items())
    return "\r\n".join([line, *lines, "", ""]).encode()


def all_of(connection: sockets.socket) -> bytes:
    """What comes until the server lets go."""
    blocks = []
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(1 << 16):
            blocks.append(block)
    return b"".join(blocks)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=range(3))
def test_connections_that_ask_nothing_are_let_go(served: Running, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)
    with plain_connection(served) as connection:
        connection.sendall(sent)
        assert all_of(connection) == b""


def test_connections_that_ask_nothing_more_are_let_go(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)
    served_before = httpx.get(served.address, timeout=PATIENCE_S).content
    with plain_connection(served) as connection:
        # The rest of a body that nobody reads, and then the beginning of another request.
        connection.sendall(request_of(served, Content_Length="5") + b"x")
        assert served_before in all_of(connection)


def test_connections_whose_answers_are_not_read_are_let_go(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    eventually(lambda: not served.server.server_state.connections)
    monkeypatch.setattr(connections, "UNREAD_S", 0.1)
    with plain_connection(served) as connection:
        connection.sendall(200 * request_of(served))
        eventually(lambda: len(served.server.server_state.connections) == 1)
        eventually(lambda: not served.server.server_state.connections)


def test_uploads_that_do_not_come_are_refused_in_a_sentence(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UPLOAD_S", 0.1)
    own = {"Origin": page.served.origin, "X_Session": page.token, "Content_Length": "1000"}
    with plain_connection(page.served) as connection:
        connection.sendall(request_of(page.served, "POST /sounds HTTP/1.1", **own) + b"RIFF")
        assert b"did not arrive within" in all_of(connection)
    assert not list(page.served.service._folder.glob("*.upload"))


def test_pages_that_give_no_sign_of_life_are_let_go_and_others_are_not(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server.config, "ws_ping_interval", 0.02)
    with page_of(served) as thoughtful:
        before = set(served.service.sessions)
        monkeypatch.setattr(served.server.config, "ws_ping_timeout", 0.02)
        own = {"Origin": served.origin, "Connection": "Upgrade", "Upgrade": "websocket"}
        key = {"Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec_WebSocket_Version": "13"}
        with plain_connection(served) as silent:
            silent.sendall(request_of(served, "GET /live HTTP/1.1", **own, **key))
            assert b" 101 " in all_of(silent)
        eventually(lambda: set(served.service.sessions) == before)
        assert thoughtful.opened()["name"] == "bird.wav"


# --- Processes -------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced(page: Page) -> None:
    clip = page.opened()
    child = page.served.service.answering._child
    assert child is not None
    child.process.kill()
    child.process.join()
    page.erase(clip, 1, hear=False)
    assert page.next()["is"] == "erased"


def gated_part(folder: Path) -> Part:
    np.save(folder / "sound.npy", recording()[0, 0].numpy())
    return Part(str(folder / "sound.npy"), RATE_HZ, "bird")


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "STOP_S", 0.05)
    explain = Explain(gated_part(tmp_path), 0, 1, "energy", "silence")

    async def scenario() -> None:
        worker = Worker([partial(gated, str(tmp_path / "gate"))], server.EXPLAINING)
        try:
            with pytest.raises(UserError, match=r"not answered within 0\.1 s"):
                await worker.ask(explain, longest_s=0.1)
            assert (await worker.ask(Facts()))[0]["name"] == "tests/gated"
        finally:
            await worker.close()

    ran(scenario())


def test_a_worker_that_is_closed_ends_what_it_does_and_begins_nothing(tmp_path: Path) -> None:
    explain = Explain(gated_part(tmp_path), 0, 1, "silence", "silence")

    async def scenario() -> None:
        worker, begun = Worker([partial(gated, str(tmp_path / "gate"))], server.EXPLAINING), asyncio.Event()
        first = asyncio.create_task(worker.ask(explain, lambda *_: begun.set()))
        second = asyncio.create_task(worker.ask(explain))
        await begun.wait()
        child = worker._child
        assert child is not None
        await worker.close()
        for task, error in ((first, UserError), (second, StoppedError)):
            with pytest.raises(error):
                await task
        with pytest.raises(StoppedError):
            await worker.ask(Facts())
        assert worker._child is None
        assert not child.process.is_alive()

    ran(scenario())


def test_models_that_are_refused_are_refused_when_the_app_starts(tmp_path: Path) -> None:
    async def ask() -> None:
        worker = Worker([refused], server.ANSWERING)
        try:
            await worker.ask(Facts())
        finally:
            await worker.close()

    with pytest.raises(UserError, match="correct the path"):
        ran(ask())


def test_unexpected_faults_are_a_sentence_and_a_traceback_in_the_log(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clip = page.opened()

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(page.served.service.answering, "ask", fail)
    page.erase(clip, 1)
    text = page.until("failed")["text"]
    assert "secret" not in text
    (record,) = [one for one in caplog.records if one.name == "audioxai.app"]
    assert record.args is not None
    assert str(record.args[0]) in text  # type: ignore[index]
    assert "secret detail" in str(record.exc_info)


def test_an_address_that_cannot_be_had_is_one_line(served: Running) -> None:
    port = int(served.origin.rpartition(":")[2])
    with pytest.raises(UserError, match="choose another port"):
        run([bands], "127.0.0.1", port)
    with pytest.raises(UserError, match="choose another port or host"):
        run([bands], "no.such.host.invalid", 0)


def test_three_models_are_too_many(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 models are given"):
        server.Service([bands] * 3, tmp_path, Decoded(np.ones(10, np.float32), 8_000))
