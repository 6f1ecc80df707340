"""The preparing script, and a web server that can be made to misbehave."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest
from helpers.dataset_files import script_module

from audioxai.utils.commands import run_command


@pytest.fixture(scope="session")
def preparing() -> ModuleType:
    return script_module("prepare_datasets")


@pytest.fixture
def run_prepare(preparing, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of the script, which finds no dataset but those in a given ``--root``."""
    monkeypatch.delenv("AUDIO_XAI_DATA", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = run_command(preparing.main, [str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@dataclass
class Server:
    """What is served, how it behaves, and what was asked for."""

    content: bytes = b""
    etag: str | None = '"one"'
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    # Status, headers and body that are sent as they are before anything else.
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked_ranges: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked_ranges.append(asked)
            if state.answers:
                status, headers, body = state.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.rstrip("2"), value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(body)
                return
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if self.headers.get("If-Range") not in (None, state.etag):
                start = 0
            if start and start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            body = state.content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.breaks_after:
                body = body[: state.breaks_after.pop(0)]
            # Whoever refuses what is served does not wait for it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}/file"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()
