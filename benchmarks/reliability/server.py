"""Servers that misbehave: a download is what was served, whole, or it is refused.

Every behaviour is tried without a checksum and with one. What a careful client can have has to be had; of all else
nothing may be left under the file's name.
"""

import contextlib
import email.utils
import gzip
import hashlib
import itertools
import json
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from benchmarks.reliability.tally import Outcome, Tally, Verdict, how_many, in_children, written_outside

from audioxai.datasets import download as module
from audioxai.datasets.download import download
from audioxai.utils.errors import UserError

TIMEOUT_S, PAUSE_S = 3.0, 0.05
# Four attempts, each as slow as it may be, on a machine that may be busy.
LIMIT_S = 60.0
BODY = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)
CHECKSUM = "sha256:" + hashlib.sha256(BODY).hexdigest()
BREAK = 70_000
MOST_BYTES = 4 << 20
TAG, ANOTHER_TAG = '"a"', '"b"'


@dataclass(frozen=True)
class Case:
    """One behaviour, with or without a checksum; or a state of the folder in which a good server is met."""

    folder: Path
    server: str
    behaviour: str
    checksum: str | None
    state: str = ""

    @property
    def name(self) -> str:
        """What it is called where it goes wrong."""
        return f"{self.behaviour}{', ' if self.state else ''}{self.state}{', checksum' if self.checksum else ''}"


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Every behaviour and every state of the folder."""
    with _serving() as address:
        cases = [Case(folder, address, name, checksum) for name in BEHAVIOURS for checksum in (None, CHECKSUM)]
        cases += [Case(folder, address, "as it should be", None, state) for state in STATES]
        if scale < 1:
            cases = random.Random(seed).sample(cases, how_many(len(cases), scale))
        outcomes = in_children(try_case, cases, LIMIT_S)
        return Tally.of("server", zip((case.name for case in cases), outcomes, strict=True))


def try_case(case: Case) -> Outcome:
    """Download and compare what is there with what was served."""
    module.MOST_UNANNOUNCED_BYTES = MOST_BYTES
    number = list(BEHAVIOURS).index(case.behaviour)
    key = f"{number}-{'sum' if case.checksum else 'none'}-{list(STATES).index(case.state) if case.state else ''}"
    place = case.folder / key
    place.mkdir()
    target = place / "file"
    url = f"{case.server}/{key}/{PATHS.get(case.behaviour, 'file')}"
    if case.state:
        STATES[case.state](target, url)
    changes = written_outside(case.folder, place)
    refused: ValueError | None = None
    try:
        download(url, target, case.checksum, timeout_s=TIMEOUT_S, pause_s=PAUSE_S)
    except UserError as error:
        refused = error
    if changes():
        return Outcome(Verdict.OUTSIDE, f"{changes()}")
    wrong = _wrong(case, target, refused)
    if wrong is not None:
        return Outcome(Verdict.WRONG, f"{wrong} ({refused})")
    if refused is not None:
        raise refused
    return Outcome(Verdict.USED)


def _wrong(case: Case, target: Path, refused: ValueError | None) -> str | None:
    if refused is None:
        content = target.read_bytes()
        allowed = (BODY,) if case.checksum else (BODY, *OTHERS_SERVED.get(case.behaviour, ()))
        return None if content in allowed else f"{len(content)} bytes that were not served, or are not all"
    if case.behaviour in TO_BE_HAD and case.state not in IN_THE_WAY:
        return "refused though it could be had"
    if target.is_file() and case.state != "the file of another address":
        return "refused, and there under its name all the same"
    return None


class _Handler(BaseHTTPRequestHandler):
    """Answers by what the address says; counts how often it was asked for each."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[defaultdict[str, "itertools.count[int]"]] = defaultdict(lambda: itertools.count(1))

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, key, *_ = self.path.split("/")
        act = list(BEHAVIOURS.values())[int(key.split("-")[0])]
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            act(self, next(self.asked[key]), start)

    def head(self, status: int, **headers: object) -> None:
        """Status and headers, with ``_`` for ``-``."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), f"{value}")
        self.end_headers()

    def send(self, content: bytes, start: int = 0, end: int | None = None, **headers: object) -> None:
        """A file from ``start``, broken off before ``end`` if that is given."""
        rest = content[start:]
        told: dict[str, object] = {"Content_Length": len(rest), "ETag": TAG}
        if start:
            told["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        told = {name: value for name, value in {**told, **headers}.items() if value is not None}
        self.head(206 if start else 200, **told)
        self.wfile.write(rest[:end])
        if end is not None:
            self.stop()

    def stop(self, reset: bool = False) -> None:
        """End of the connection, in order or by a reset."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def chunks(self, content: bytes, size: int = 10_000) -> None:
        """Chunks of a content of unknown length, without the last one."""
        for start in range(0, len(content), size):
            piece = content[start : start + size]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Threads that wait for clients which are gone are left behind.
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Clients that go away are no error."""


@contextlib.contextmanager
def _serving() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


Behaviour = Callable[[_Handler, int, int], None]
BEHAVIOURS: dict[str, Behaviour] = {}
TO_BE_HAD: set[str] = set()
PATHS: dict[str, str] = {}
# What is whole by what the server says, though it is not the file.
OTHERS_SERVED: dict[str, tuple[bytes, ...]] = {}


def behaviour(name: str, to_be_had: bool = False, others: tuple[bytes, ...] = ()) -> Callable[[Behaviour], Behaviour]:
    """Register a behaviour; ``others`` are contents besides the file that the server says are the file."""

    def register(act: Behaviour) -> Behaviour:
        BEHAVIOURS[name] = act
        if to_be_had:
            TO_BE_HAD.add(name)
        OTHERS_SERVED[name] = others
        return act

    return register


def _simple(name: str, act: Behaviour, to_be_had: bool = False, others: tuple[bytes, ...] = ()) -> None:
    behaviour(name, to_be_had, others)(act)


def _breaks(times: int, **headers: object) -> Behaviour:
    """Breaks off so often."""
    return lambda own, n, start: own.send(BODY, start, BREAK if n <= times else None, **headers)


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
_simple("as it should be", _breaks(0), True)
_simple("breaks off once", _breaks(1), True)
_simple("breaks off three times", _breaks(3), True)
_simple("breaks off always", _breaks(99))
_simple("breaks off, weak validator", _breaks(2, ETag='W/"x"'), True)
_simple("breaks off, no validator", _breaks(2, ETag=None), True)
_simple("breaks off, date only", _breaks(2, ETag=None, Last_Modified=DATE), True)
_simple("breaks off, knows no ranges", lambda own, n, _: own.send(BODY, 0, BREAK if n < 3 else None), True)
_simple("breaks off before the first byte", lambda own, n, start: own.send(BODY, start, 0 if n < 3 else None), True)
_simple("breaks off one byte before the end", lambda own, n, start: own.send(BODY, start, -1 if n < 2 else None), True)
_simple("an empty file", lambda own, *_: own.head(200, Content_Length=0))
_simple(
    "a validator that is no ASCII", lambda own, n, start: own.send(BODY, start, BREAK if n < 2 else None, ETag='"é"')
)
_simple(
    "a long validator", lambda own, n, start: own.send(BODY, start, BREAK if n < 2 else None, ETag=f'"{"x" * 9_000}"')
)


@behaviour("says less than it sends", others=(BODY[:100_000],))
def _(own: _Handler, *_: int) -> None:
    own.head(200, Content_Length=100_000, ETag=TAG)
    own.wfile.write(BODY)
    own.stop()


@behaviour("says more than it sends")
def _(own: _Handler, *_: int) -> None:
    own.head(200, Content_Length=400_000, ETag=TAG)
    own.wfile.write(BODY)
    own.stop()


def _with_length(length: object, sent: bytes = BODY) -> Behaviour:
    def act(own: _Handler, *_: int) -> None:
        own.head(200, **({} if length is None else {"Content_Length": length}), ETag=TAG, Connection="close")
        own.wfile.write(sent)
        own.stop()

    return act


_simple("says no length", _with_length(None))
_simple("says no length and breaks off", _with_length(None, BODY[:BREAK]))
_simple("a length that is no number", _with_length("abc", BODY[:BREAK]))
_simple("a negative length", _with_length("-5", BODY[:BREAK]))
_simple("a length of a petabyte", _with_length(10**15, BODY[:1_000]))
_simple("a length of many digits", _with_length("9" * 4_500, BODY[:1_000]))
_simple("a length with a sign", _with_length("+300000", BODY[:BREAK]))
_simple("a length with a blank", _with_length("300 000", BODY[:BREAK]))
_simple("two lengths in one", _with_length("5, 300000"))


@behaviour("two lengths")
def _(own: _Handler, *_: int) -> None:
    own.send_response(200)
    own.send_header("Content-Length", "5")
    own.send_header("Content-Length", f"{len(BODY)}")
    own.end_headers()
    own.wfile.write(BODY)
    own.stop()


def _chunked(complete_from: int, **headers: object) -> Behaviour:
    def act(own: _Handler, n: int, _: int) -> None:
        own.head(200, Transfer_Encoding="chunked", ETag=TAG, **headers)
        own.chunks(BODY if n >= complete_from else BODY[:BREAK])
        if n >= complete_from:
            own.wfile.write(b"0\r\n\r\n")
        own.stop()

    return act


_simple("chunks", _chunked(1), True)
_simple("chunks that break off", _chunked(2), True)
_simple("chunks that always break off", _chunked(99))
_simple("chunks and a length", _chunked(1, Content_Length=1_000), True)


def _raw(content: bytes, reset: bool = False) -> Behaviour:
    def act(own: _Handler, *_: int) -> None:
        own.wfile.write(content)
        own.stop(reset)

    return act


def _answers(status: int, content: bytes, **headers: object) -> Behaviour:
    def act(own: _Handler, *_: int) -> None:
        own.head(status, Content_Length=len(content), **headers)
        own.wfile.write(content)

    return act


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_simple("chunks of no number", _raw(CHUNKED + b"zz\r\nabc\r\n"))
_simple("a chunk of a petabyte", _raw(CHUNKED + b"4000000000000\r\nabc\r\n"))
_simple("a chunk of a negative size", _raw(CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n"))
_simple("a long line of a chunk", _raw(CHUNKED + b"5;" + b"x" * 100_000 + b"\r\nabcde\r\n0\r\n\r\n"))
_simple("no HTTP", _raw(b"\0\1garbage\r\n\r\n"))
_simple("nothing", _raw(b""))
_simple("a reset", _raw(b"", True))
_simple("a reset in the headers", _raw(OK + b"Content-Le", True))
_simple("a reset in the content", _raw(OK + b'Content-Length: 300000\r\nETag: "a"\r\n\r\n' + BODY[:BREAK], True))
_simple("a status of words", _raw(b"HTTP/1.1 fine OK\r\n\r\n"))
_simple("a status of 999", _raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"))
_simple("a status of -200", _raw(b"HTTP/1.1 -200 Odd\r\nContent-Length: 0\r\n\r\n"))
_simple("a long header", _raw(OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n"))
_simple("many headers", _raw(OK + b"".join(b"X%d: a\r\n" % number for number in range(500)) + b"\r\n"))
_simple("headers without an end", _raw(OK + b"Content-Length: 5\r\n"))
_simple("HTTP/0.9", _raw(BODY[:1_000]))
_simple("HTTP/3", _raw(b"HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nabcde"), others=(b"abcde",))


@behaviour("informed first", True)
def _(own: _Handler, _: int, start: int) -> None:
    own.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    own.send(BODY, start)


_simple("informed for ever", lambda own, *_: _drip(own, b"HTTP/1.1 100 Continue\r\n\r\n", 0.05))


def _drip(own: _Handler, piece: bytes, pause_s: float) -> None:
    for _ in range(round(LIMIT_S / pause_s)):
        own.wfile.write(piece)
        own.wfile.flush()
        time.sleep(pause_s)


@behaviour("drips bytes")
def _(own: _Handler, *_: int) -> None:
    own.head(200, Content_Length=len(BODY), ETag=TAG)
    _drip(own, b"x", 0.1)


@behaviour("drips chunks")
def _(own: _Handler, *_: int) -> None:
    own.head(200, Transfer_Encoding="chunked")
    _drip(own, b"1\r\nx\r\n", 0.1)


@behaviour("drips a chunk's line")
def _(own: _Handler, *_: int) -> None:
    own.head(200, Transfer_Encoding="chunked")
    _drip(own, b"0", 0.1)


@behaviour("drips headers")
def _(own: _Handler, *_: int) -> None:
    own.wfile.write(OK)
    _drip(own, b"X", 0.1)


@behaviour("drips, then breaks off and is well")
def _(own: _Handler, n: int, start: int) -> None:
    if n > 1:
        own.send(BODY, start)
        return
    own.head(200, Content_Length=len(BODY), ETag=TAG)
    for place in range(60):
        own.wfile.write(BODY[place : place + 1])
        time.sleep(0.1)
    own.stop()


def _silent(sent: bytes) -> Behaviour:
    def act(own: _Handler, *_: int) -> None:
        own.wfile.write(sent)
        own.wfile.flush()
        time.sleep(5 * TIMEOUT_S)

    return act


_simple("silent at once", _silent(b""))
_simple("silent in the headers", _silent(OK + b"Content-Length: 5\r\n"))
_simple("silent after the headers", _silent(OK + b"Content-Length: 300000\r\n\r\n"))
_simple("silent in the content", _silent(OK + b'Content-Length: 300000\r\nETag: "a"\r\n\r\n' + BODY[:BREAK]))
_simple("silent in a chunk", _silent(CHUNKED + b"2710\r\n" + BODY[:500]))


@behaviour("silent once")
def _(own: _Handler, n: int, start: int) -> None:
    if n == 1:
        _silent(b"")(own, n, start)
    else:
        own.send(BODY, start)


@behaviour("sends without end")
def _(own: _Handler, *_: int) -> None:
    own.head(200, Transfer_Encoding="chunked")
    for _unused in range(200):
        own.chunks(bytes(100_000), 100_000)


@behaviour("416, the file has changed", True)
def _(own: _Handler, n: int, start: int) -> None:
    if start:
        own.head(416, Content_Range=f"bytes */{len(BODY)}", Content_Length=0)
    else:
        own.send(BODY, 0, BREAK if n < 2 else None)


@behaviour("416 says that what is there is all")
def _(own: _Handler, _: int, start: int) -> None:
    if start:
        own.head(416, Content_Range=f"bytes */{start}", Content_Length=0)
    else:
        own.send(BODY, 0, BREAK)


@behaviour("416 without a length", True)
def _(own: _Handler, n: int, start: int) -> None:
    if start:
        own.head(416, Content_Length=0)
    else:
        own.send(BODY, 0, BREAK if n < 2 else None)


def _then(later: Behaviour) -> Behaviour:
    """Breaks off at first, then something else."""
    return lambda own, n, start: own.send(BODY, start, BREAK) if n == 1 else later(own, n, start)


def _range(first: int, last: int, total: object, content: bytes, tag: str | None = TAG) -> Behaviour:
    """A part at a place relative to what was asked for; counts from the end where negative."""

    def act(own: _Handler, _: int, start: int) -> None:
        own.head(
            206,
            **({} if tag is None else {"ETag": tag}),
            Content_Range=f"bytes {start + first}-{start + last}/{total}",
            Content_Length=len(content),
        )
        own.wfile.write(content)

    return act


REST = len(BODY) - BREAK
_simple("another file, another tag", _then(lambda own, *_: own.send(OTHER, 0, ETag=ANOTHER_TAG)), others=(OTHER,))
_simple(
    "a part of another file", _then(lambda own, _, start: own.send(OTHER, start, ETag=ANOTHER_TAG)), others=(OTHER,)
)
_simple("a part of another length", _then(_range(0, 99, BREAK + 100, b"z" * 100)))
_simple("a part of unknown length", _then(_range(0, REST - 1, "*", BODY[BREAK:])))
_simple("a part that begins before", _then(_range(-10, REST - 1, len(BODY), BODY[BREAK - 10 :])))
_simple("a part that begins later", _then(_range(10, REST - 1, len(BODY), BODY[BREAK + 10 :])))
_simple("a part that ends early", _then(_range(0, 999, len(BODY), BODY[BREAK : BREAK + 1_000])))
_simple("a part with no range", _then(_answers(206, b"abc", ETag=TAG)))
_simple("a range of words", _then(_range(0, REST - 1, "all", BODY[BREAK:])))
_simple("a range that ends before it begins", _then(_range(0, -5, len(BODY), BODY[BREAK:])))
_simple("a range of other bytes than it says", _then(_range(0, REST - 1, len(BODY), BODY[BREAK:-500])))
_simple("a part without a tag", _then(_range(0, REST - 1, len(BODY), BODY[BREAK:], None)))
_simple("a part that was not asked for", _range(0, 999, len(BODY), BODY[:1_000]))
_simple("several parts", _then(lambda own, *_: _multipart(own)))
_simple("204", lambda own, *_: own.head(204))
_simple("204 after it broke off", _then(lambda own, *_: own.head(204)))
_simple("205", lambda own, *_: own.head(205, Content_Length=0))
_simple("203", _answers(203, b"text"))
_simple("a short file after it broke off", _then(lambda own, *_: own.send(b"tiny", 0)), others=(b"tiny",))
_simple("another content all the time", lambda own, _, start: own.send(OTHER, start), others=(OTHER,))


def _multipart(own: _Handler) -> None:
    body = b"--x\r\nContent-Range: bytes 0-9/300000\r\n\r\n" + BODY[:10] + b"\r\n--x--\r\n"
    own.head(206, Content_Type="multipart/byteranges; boundary=x", Content_Length=len(body))
    own.wfile.write(body)


def _encoded(name: str, body: bytes) -> Behaviour:
    def act(own: _Handler, *_: int) -> None:
        own.head(200, Content_Length=len(body), Content_Encoding=name, ETag=TAG)
        own.wfile.write(body)

    return act


_simple("gzip", _encoded("gzip", gzip.compress(BODY, 1)))
_simple("deflate", _encoded("deflate", BODY))
_simple("br", _encoded("br", BODY))
_simple("an encoding by another name", _encoded("x-gzip", gzip.compress(BODY, 1)))
_simple("two encodings", _encoded("gzip, identity", gzip.compress(BODY, 1)))
_simple("identity", _encoded("identity", BODY), True)
_simple("identity in capitals", _encoded("Identity", BODY), True)


def _leads(where: str, status: int = 302) -> Behaviour:
    return lambda own, *_: own.head(status, Location=where, Content_Length=0)


def _leads_once(status: int) -> Behaviour:
    """To another address of the same file; the same one, as far as this server is concerned."""

    def act(own: _Handler, n: int, start: int) -> None:
        if n == 1:
            own.head(status, Location=f"{own.path}?again", Content_Length=0)
        else:
            own.send(BODY, start)

    return act


for _status in (301, 302, 303, 307, 308):
    _simple(f"leads elsewhere by {_status}", _leads_once(_status), True)
_simple("leads to itself", lambda own, *_: own.head(302, Location=own.path, Content_Length=0))
_simple("leads on and on", lambda own, n, _: own.head(302, Location=f"{own.path}x{n}", Content_Length=0))
_simple("leads to a file", _leads("file:///etc/passwd"))
_simple("leads to FTP", _leads("ftp://127.0.0.1:9/x"))
_simple("leads to data", _leads("data:text/plain,hello"))
_simple("leads to gopher", _leads("gopher://127.0.0.1:9/x"))
_simple("leads to JavaScript", _leads("javascript:alert(1)"))
_simple("leads to no address", _leads("http://[::1"))
_simple("leads to no port", _leads("http://127.0.0.1:99999999/x"))
_simple("leads to a closed port", _leads("http://127.0.0.1:9/x"))
_simple("leads to nobody", _leads("http:///x"))
_simple("leads nowhere", lambda own, *_: own.head(302, Content_Length=0))
_simple("leads to a long name", _leads("/" + "x" * 60_000))
_simple(
    "leads to letters that are none", _raw(b"HTTP/1.1 302 F\r\nLocation: /\xff\xfe \x01\r\nContent-Length: 0\r\n\r\n")
)
_simple("300", lambda own, *_: own.head(300, Content_Length=0))
_simple("304", lambda own, *_: own.head(304))
_simple("401", lambda own, *_: own.head(401, WWW_Authenticate='Basic realm="x"', Content_Length=0))
_simple("403", lambda own, *_: own.head(403, Content_Length=0))
_simple("404", lambda own, *_: own.head(404, Content_Length=0))
_simple("407", lambda own, *_: own.head(407, Content_Length=0))
_simple("410 with a page", _answers(410, b"gone"))
_simple("500 always", lambda own, *_: own.head(500, Content_Length=0))
_simple("a reason of many lines", _raw(b"HTTP/1.1 404 " + b"no " * 15_000 + b"\r\nContent-Length: 0\r\n\r\n"))
_PAGE = b"<html>Log in to the network of this hotel</html>"
_simple("a page to log in", _answers(200, _PAGE), others=(_PAGE,))


def _busy(after: object, status: int = 503, times: int = 1) -> Behaviour:
    """Is busy so often, and says when to come again."""

    def act(own: _Handler, n: int, start: int) -> None:
        told = after() if callable(after) else after
        if n <= times:
            own.head(status, **({} if told is None else {"Retry_After": told}), Content_Length=0)
        else:
            own.send(BODY, start)

    return act


def _in(seconds: float) -> Callable[[], str]:
    return lambda: email.utils.formatdate(time.time() + seconds, usegmt=True)


for _status in (408, 425, 429, 500, 502, 503, 504):
    _simple(f"{_status} once", _busy(None, _status), True)
_simple("busy for 1 s", _busy("1"), True)
_simple("busy until a date", _busy(_in(2)), True)
_simple("busy until a date that is gone", _busy("Wed, 21 Oct 2015 07:28:00 GMT"), True)
_simple("busy for -5 s", _busy("-5"), True)
_simple("busy for a word", _busy("soon"), True)
_simple("busy for half a second", _busy("0.5"), True)
_simple("busy for an hour", _busy("3600"))
_simple("busy for ever", _busy("9" * 400))
_simple("busy until the year 9999", _busy("Fri, 31 Dec 9999 23:59:59 GMT"))
_simple("busy until no date", _busy("Wed, 99 Foo 20155 27:28:00 GMT"), True)
_simple("busy always", _busy(None, times=99))

PATHS |= {
    "a long name": "x" * 20_000,
    "a name of other letters": "%C3%A9%FF",
    "a name that climbs": "../../../../etc/evil",
    "a question": "file?a=b&c=../..",
}
for _name in PATHS:
    _simple(_name, _breaks(0), _name != "a long name")


def _noted(target: Path, content: bytes) -> None:
    target.with_name(f"{target.name}.note.json").write_bytes(content)


def _note(url: str, **fields: object) -> bytes:
    return json.dumps({"url": url, "validator": TAG, "total": f"{len(BODY)}", **fields}).encode()


def _part(target: Path, content: bytes) -> None:
    target.with_name(f"{target.name}.part").write_bytes(content)


def _partly(target: Path, content: bytes, note: bytes) -> None:
    _part(target, content)
    _noted(target, note)


def _file(target: Path, content: bytes, note: bytes | None = None) -> None:
    target.write_bytes(content)
    if note is not None:
        _noted(target, note)


STATES: dict[str, Callable[[Path, str], None]] = {
    "a part": lambda target, url: _partly(target, BODY[:1_000], _note(url)),
    "all of it as a part": lambda target, url: _partly(target, BODY, _note(url)),
    "more than all of it": lambda target, url: _partly(target, BODY + b"x", _note(url)),
    "a part of another version": lambda target, url: _partly(target, OTHER[:1_000], _note(url, validator=ANOTHER_TAG)),
    "a part of another address": lambda target, url: _partly(target, OTHER[:1_000], _note(url + "x")),
    "a part without a note": lambda target, _: _part(target, OTHER[:1_000]),
    "an empty part": lambda target, url: _partly(target, b"", _note(url)),
    "a broken note": lambda target, _: _partly(target, OTHER[:1_000], b"{broken"),
    "an empty note": lambda target, _: _partly(target, OTHER[:1_000], b""),
    "a note of a list": lambda target, _: _partly(target, OTHER[:1_000], b"[1]"),
    "a note of numbers": lambda target, _: _partly(target, OTHER[:1_000], b'{"url": 1, "validator": 2}'),
    "a note that is no UTF-8": lambda target, _: _partly(target, OTHER[:1_000], b"\xff\xfe"),
    "a note 1,000 levels deep": lambda target, _: _partly(target, OTHER[:1_000], b"[" * 100_000),
    "a validator of two lines": lambda target, url: _partly(target, BODY[:1_000], _note(url, validator="a\r\nX: 1")),
    "a validator that is no ASCII": lambda target, url: _partly(target, BODY[:1_000], _note(url, validator="é€")),
    "the file of another address": lambda target, url: _file(target, OTHER, _note(url + "x")),
    "a cut file": lambda target, url: _file(target, BODY[:500], _note(url)),
    "the file without a note": lambda target, _: _file(target, OTHER),
    "a lock that nobody holds": lambda target, _: target.with_name(f"{target.name}.lock").touch(),
    "a folder for the file": lambda target, _: target.mkdir(),
    "a folder for the part": lambda target, _: target.with_name(f"{target.name}.part").mkdir(),
    "a folder for the note": lambda target, _: target.with_name(f"{target.name}.note.json").mkdir(),
}
IN_THE_WAY = ("a folder for the file", "a folder for the part", "a folder for the note")
