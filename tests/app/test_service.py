"""The server as programs see it: uploads, the socket, limits, the queue, and what happens when pages go."""

import asyncio
import base64
import contextlib
import html
import json
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from helpers.app import Running, bands, refused, sound_file
from helpers.explained import NAMES
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from audioxai.app import server, sessions
from audioxai.app.command import run
from audioxai.app.decoding import Decoded
from audioxai.app.requests import Erase
from audioxai.app.sessions import Newest, Sessions, shown_name
from audioxai.app.work import StoppedError, Worker
from audioxai.utils.errors import UserError

Result = TypeVar("Result")


class Page:
    """What an open page does."""

    def __init__(self, served: Running, socket: ClientConnection) -> None:
        self.served, self.socket = served, socket
        self.hello = self.next()
        self.token = self.hello.get("session", "")

    def next(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=30))

    def until(self, kind: str) -> dict[str, Any]:
        while (message := self.next())["is"] != kind:
            assert message["is"] in ("queued", "passes"), message
        return message

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def upload(self, content: Any, name: str = "bird.wav", **headers: str) -> httpx.Response:
        own = {"origin": self.served.origin, "x-session": self.token, "x-name": name, **headers}
        return httpx.post(f"{self.served.address}sounds", content=content, headers=own, timeout=60)

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
    with connect(served.live, origin=Origin(served.origin)) as socket:
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
    assert page.socket.recv(timeout=30) == bytes(4 * clip["models"][0]["picture"]["stft"]["samples"])
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
        '{"number": 1, "do": "eval"}',
        '{"number": 1, "do": "erase", "removal": "silence", "erased": "é", "hear": true}',
        '{"number": 1, "do": "erase", "removal": "../noise", "erased": "", "hear": true}',
        '{"number": 1, "do": "describe", "sound": "../../etc/passwd", "startS": 0}',
        '{"number": 1, "do": "describe", "sound": ["x"], "startS": 0}',
        '{"number": 1, "do": "explain", "model": 9}',
    ],
    ids=range(14),
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
    for _ in range(100):
        if not kept() - before:
            return
        time.sleep(0.05)
    raise AssertionError("a sound is left")


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


def test_a_long_explanation_keeps_neither_predictions_nor_the_eraser_waiting(sluggish: Running) -> None:
    with page_of(sluggish) as page, page_of(sluggish) as other:
        clip = page.opened()
        page.explain(clip, 1, method="silence")
        while page.next()["is"] != "passes":
            pass
        other.erase(other.opened(), 1, hear=False)
        assert other.next()["is"] == "erased"
        other.explain(clip, 9)
        assert "no longer keeps" in other.next()["text"]
        # It is still being made.
        assert page.next()["is"] == "passes"
        page.send(do="stop", number=1)
        assert page.until("stopped")["number"] == 1


def test_explanations_are_made_in_turn_and_stop_when_they_are_told_to(sluggish: Running) -> None:
    with page_of(sluggish) as page, page_of(sluggish) as other:
        first, second = page.opened(), other.opened()
        page.explain(first, 1, method="silence")
        while page.next()["is"] != "passes":
            pass
        other.explain(second, 2, method="energy")
        assert other.next() == {"number": 2, "is": "queued", "ahead": 1}
        for number in range(3, 3 + sessions.JOBS_PER_SESSION):
            other.explain(second, number, method="energy")
        assert "waiting already" in other.until("failed")["text"]
        # The first page goes, and with it its explanation; the second one's turn has come.
        page.socket.close()
        began = time.monotonic()
        assert other.until("explained")["number"] == 2
        assert time.monotonic() - began < 20


def ran(scenario: Coroutine[Any, Any, Result]) -> Result:
    """What a scenario returns; in a thread, since tests in browsers leave a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, scenario).result()


class Gate:
    """Answers erasing when it is let, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Erase] = []
        self.open = asyncio.Event()

    async def ask(self, request: Any) -> Any:
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
        while len(socket.texts) < 2:
            await asyncio.sleep(0)
        answering.cancel()
        return gate, socket

    gate, socket = ran(scenario())
    assert [len(request.erased) for request in gate.asked] == [0, 19]
    assert [text["number"] for text in socket.texts] == [0, 19]


# --- Processes -------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced_and_faults_are_told_apart(page: Page) -> None:
    clip = page.opened()
    process = page.served.service.answering._process
    assert process is not None
    process.kill()
    process.join()
    page.erase(clip, 1, hear=False)
    assert page.next()["is"] == "erased"


def test_models_that_are_refused_are_refused_when_the_app_starts(tmp_path: Path) -> None:
    async def ask() -> None:
        worker = Worker([refused])
        try:
            from audioxai.app.requests import Facts

            await worker.ask(Facts())
        finally:
            await worker.close()

    with pytest.raises(UserError, match="correct the path"):
        ran(ask())


def test_unexpected_faults_are_a_sentence_and_a_traceback_in_the_log(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clip = page.opened()

    async def fail(*_: object) -> None:
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


def test_stopping_is_no_fault() -> None:
    assert issubclass(StoppedError, Exception)
    assert not issubclass(StoppedError, UserError)
