"""Downloads that resume, are checked, and appear under their name only when complete.

Idea: bytes go to ``<target>.part`` with a note of the server's validator next to it; an interrupted download goes on
from there with HTTP Range and If-Range, and starts again where the server ignores ranges or its file has changed.
Nothing is waited for without end: not a server's answer, not bytes that drip, not the pause that it asks for.
"""

import contextlib
import email.utils
import fcntl
import http.client
import json
import os
import queue
import re
import shutil
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pooch
from tqdm import tqdm

from audioxai.utils.commands import storage_errors
from audioxai.utils.errors import UserError

REACH_DEADLINE_S = 8.0
CHUNK_BYTES = 1 << 18
ATTEMPTS = 4
# Below this speed, over the time that a server may be silent, it is given up on.
SLOWEST_BYTES_PER_S = 1_000
# Longest pause that a server may ask for.
LONGEST_PAUSE_S = 60.0
# What is sent without its length may go on for ever.
MOST_UNANNOUNCED_BYTES = 20 << 30

_OK = 200
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_PASSING_FAILURES = (408, 425, 429, 500, 502, 503, 504)
_AGENT = {"User-Agent": "audioxai", "Accept-Encoding": "identity"}
_BROKEN_OFF = (OSError, http.client.HTTPException)


class DownloadFailed(UserError):  # noqa: N818
    """The network, the server or what it sent was at fault; something else may be tried instead."""


class _TryAgain(Exception):  # noqa: N818
    """A download broke off in a way that another attempt may mend, after the pause that the server asks for."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Redirects within the web, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request for where it leads; refused before it is tried if that is elsewhere."""
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and scheme != req.type:
            raise DownloadFailed(f"{req.full_url} leads to {newurl}, of another scheme; check the address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        """The answer from where it leads; the connection is closed if it leads nowhere."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except urllib.error.HTTPError:
            # It holds the connection.
            raise
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _web() -> urllib.request.OpenerDirector:
    """What opens addresses of the web, and knows no others."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _WebOnly,
    ):
        opener.add_handler(handler())
    return opener


@dataclass(frozen=True)
class _Job:
    url: str
    part: Path
    note: Path
    lock: Path
    checksum: str | None
    timeout_s: float


def download(
    url: str, target: Path, checksum: str | None = None, timeout_s: float = 30.0, pause_s: float = 1.0
) -> Path:
    """Download ``url`` to ``target`` (returned), going on where an earlier attempt stopped.

    Parameters
    ----------
    checksum : str, optional
        ``md5:…`` or ``sha256:…``; a file that differs is removed.
    timeout_s : float
        Longest time without an answer, or without 1 kB for every second of it, in seconds.
    pause_s : float
        Pause before the second of four attempts, doubled before each further one; longer where the server asks for up
        to a minute.

    Raises
    ------
    DownloadFailed
        If the address is none of the web, the server refuses, drips or keeps breaking off, or the checksum differs.
    UserError
        If the disk has too little room or must not be written, or another process downloads the same.
    """
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise DownloadFailed(f"{url} is no address ({error}); check it") from error
    if scheme not in ("http", "https"):
        raise DownloadFailed(f"{url} is not an http or https address; give one, a folder or an archive")
    with storage_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    part, note, lock = (target.with_name(f"{target.name}.{what}") for what in ("part", "note.json", "lock"))
    job = _Job(url, part, note, lock, checksum, timeout_s)
    for place in (target, part, note, lock):
        with storage_errors(place):
            is_folder = place.is_dir()
        if is_folder:
            raise UserError(f"{place} is a folder, where a file is to be downloaded to; move it away")
    with _alone(job):
        if _is_there(target, job):
            return target
        _fetch_patiently(job, pause_s)
        _verify(job)
        with storage_errors(target):
            os.replace(job.part, target)
    return target


def _is_there(target: Path, job: _Job) -> bool:
    """Whether an earlier download of the same address was finished, and is still as long as it was."""
    note = _noted(job)
    if not target.is_file() or note.get("url") != job.url:
        return False
    return note.get("total") == str(target.stat().st_size) and _has_checksum(target, job.checksum)


@contextlib.contextmanager
def _alone(job: _Job) -> Iterator[None]:
    """Only one process at a time writes a part; a lock goes with the process that holds it."""
    with storage_errors(job.lock):
        file = job.lock.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{job.url} is being downloaded to {job.part} by another process; wait for it") from error
        try:
            yield
        finally:
            job.lock.unlink(missing_ok=True)


def file_checksum(file: Path, algorithm: str) -> str:
    """Hexadecimal hash of a file's bytes."""
    return str(pooch.file_hash(str(file), alg=algorithm))


def check_free_space(folder: Path, needed_bytes: int) -> None:
    """Check that ``folder`` (which has to exist) has room.

    Raises
    ------
    UserError
        If it has not.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise UserError(
            f"{folder} has {free_bytes / 1e9:.2f} GB free but {needed_bytes / 1e9:.2f} GB are needed; "
            "free some space or choose a folder on another disk"
        )


def reachable(urls: Iterable[str], deadline_s: float = REACH_DEADLINE_S) -> frozenset[str]:
    """Those of ``urls`` whose server answers anything at all, found out for all together within ``deadline_s``.

    Name look-ups cannot be given a time limit, so each server is asked in a thread of its own that is left behind.
    Proxies from the environment are used, as they are by :func:`download`.
    """
    wanted = tuple(urls)
    servers = {_server_of(url) for url in wanted}
    answers: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
    for server in servers:
        # Bound as arguments, so that a thread left behind holds nothing else.
        threading.Thread(target=_ask, args=(server, deadline_s, answers), daemon=True).start()
    ends_at = time.monotonic() + deadline_s
    answering: set[str] = set()
    for _ in servers:
        try:
            server, answered = answers.get(timeout=max(0.0, ends_at - time.monotonic()))
        except queue.Empty:
            break
        if answered:
            answering.add(server)
    return frozenset(url for url in wanted if _server_of(url) in answering)


def _server_of(url: str) -> str:
    address = urllib.parse.urlsplit(url)
    return f"{address.scheme}://{address.netloc}/"


def _ask(server: str, timeout_s: float, answers: "queue.SimpleQueue[tuple[str, bool]]") -> None:
    request = urllib.request.Request(server, headers=_AGENT, method="HEAD")
    try:
        with _web().open(request, timeout=timeout_s):
            answers.put((server, True))
    except urllib.error.HTTPError as error:
        # Whatever the status, somebody is there.
        error.close()
        answers.put((server, True))
    except DownloadFailed:
        # It leads elsewhere, which the download itself judges.
        answers.put((server, True))
    except (OSError, http.client.HTTPException, ValueError):
        answers.put((server, False))


def _fetch_patiently(job: _Job, pause_s: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _fetch(job)
        except _TryAgain as error:
            reason, asked_s = str(error), error.pause_s
        if asked_s > LONGEST_PAUSE_S:
            raise DownloadFailed(f"{job.url} asks to wait {asked_s:,.0f} s ({reason}); run the same command again then")
        if attempt + 1 < ATTEMPTS:
            time.sleep(max(pause_s * 2**attempt, asked_s))
    raise DownloadFailed(f"{job.url} could not be downloaded ({reason}); run the same command again to go on")


def _fetch(job: _Job) -> None:
    offset, validator = _resume_point(job)
    headers = dict(_AGENT)
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    try:
        response = _answer(urllib.request.Request(job.url, headers=headers), job.timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            _refused(job, error, offset)
    except _BROKEN_OFF as error:
        raise _TryAgain(_plain(error)) from error
    except DownloadFailed:
        raise
    except (ValueError, UnicodeError) as error:
        raise DownloadFailed(f"{job.url} leads to no address of the web ({error}); check the address") from error
    else:
        with response:
            _receive(job, response, offset)


def _answer(request: urllib.request.Request, timeout_s: float) -> Any:
    """The server's answer, its headers read; what takes longer than ``timeout_s`` in all is left behind in its thread.

    A limit for every read of a socket is none for a server that sends a byte now and then.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def ask() -> None:
        try:
            answer = _web().open(request, timeout=timeout_s)
        except Exception as error:  # noqa: BLE001 (raised again by whoever waits)
            answers.put(error)
            return
        answers.put(answer)
        if given_up.is_set():
            answer.close()

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        given_up.set()
        raise TimeoutError(f"no answer in {timeout_s:g} s") from None
    if not isinstance(answer, Exception):
        return answer
    try:
        raise answer
    finally:
        # Its traceback holds this frame: connections would be closed whenever the cycle is found.
        del answer


def _resume_point(job: _Job) -> tuple[int, str | None]:
    """Bytes that can be kept and the server's validator for them.

    Without a validator only a checksum tells whether the two halves belong together.
    """
    note = _noted(job)
    validator = note.get("validator")
    if job.part.is_file() and note.get("url") == job.url and (validator or job.checksum):
        return job.part.stat().st_size, validator
    return 0, None


def _noted(job: _Job) -> dict[str, str]:
    """The address that the bytes at hand come from, and the server's validator; empty if nothing is at hand."""
    if not job.note.is_file():
        return {}
    try:
        note = json.loads(job.note.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        # As good as none: it is written anew.
        return {}
    strings = note.items() if isinstance(note, dict) else ()
    return {key: value for key, value in strings if isinstance(value, str) and _goes_into_a_header(value)}


def _goes_into_a_header(text: str) -> bool:
    return text.isprintable() and all(ord(sign) < 256 for sign in text)


def _refused(job: _Job, error: urllib.error.HTTPError, offset: int) -> None:
    reason = " ".join(str(error.reason).split())[:200]
    if error.code == _RANGE_NOT_SATISFIABLE and offset:
        whole = error.headers.get("Content-Range", "").endswith(f"/{offset}")
        if whole and _noted(job).get("total", f"{offset}") == f"{offset}":
            return
        with storage_errors(job.part):
            job.part.unlink(missing_ok=True)
        raise _TryAgain("the file on the server has changed")
    if error.code in _PASSING_FAILURES:
        raise _TryAgain(f"the server answered {error.code} {reason}", _asked_pause_s(error.headers.get("Retry-After")))
    raise DownloadFailed(
        f"{job.url} cannot be downloaded: the server answered {error.code} {reason}; check the address"
    )


def _asked_pause_s(text: str | None) -> float:
    """Seconds to wait by ``Retry-After``, which gives their number or a date; 0 if it says nothing that makes sense."""
    if text is None:
        return 0.0
    if text.strip().isascii() and text.strip().isdecimal():
        return float(text[:20])
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _receive(job: _Job, response: http.client.HTTPResponse, offset: int) -> None:
    start, total = _range_of(job, response, offset)
    if total is None and not response.chunked and not job.checksum:
        raise DownloadFailed(
            f"{job.url} is served without its length, so that it cannot be told whether it is whole; fetch it by other "
            "means and give the file"
        )
    check_free_space(job.part.parent, 0 if total is None else total - start)
    with storage_errors(job.part):
        _write_note(job, response, total)
        file = job.part.open("ab" if start else "wb")
    most = MOST_UNANNOUNCED_BYTES if total is None else total
    bar = tqdm(total=total, initial=start, desc=job.part.stem, unit="B", unit_scale=True, disable=None, leave=False)
    received = start
    with file, bar:
        for chunk in _chunks(response, job.timeout_s):
            received += len(chunk)
            if received > most:
                _discard(job)
                raise DownloadFailed(f"{job.url} sends more than {most:,} bytes; fetch it by other means")
            with storage_errors(job.part):
                file.write(chunk)
            bar.update(len(chunk))
        with storage_errors(job.part):
            file.flush()
    if total is not None and received > total:
        _discard(job)
    if total is not None and received != total:
        raise _TryAgain(f"it broke off after {received} of {total} bytes")
    if not received:
        raise DownloadFailed(f"{job.url} is empty; check the address")
    with storage_errors(job.part):
        _write_note(job, response, received)


def _chunks(response: http.client.HTTPResponse, timeout_s: float) -> Iterator[bytes]:
    """What arrives, as it arrives.

    A limit for every read of a socket is none for a server that drips, so a thread looks at how much has come.

    Raises
    ------
    _TryAgain
        If it breaks off, or is too slow.
    """
    arrived, ended, too_slow = 0, threading.Event(), threading.Event()

    def watch() -> None:
        seen = 0
        while not ended.wait(timeout_s):
            if arrived - seen < SLOWEST_BYTES_PER_S * timeout_s:
                too_slow.set()
                _hang_up(response)
                return
            seen = arrived

    threading.Thread(target=watch, daemon=True).start()
    try:
        while chunk := _read_chunk(response):
            arrived += len(chunk)
            yield chunk
    except _TryAgain:
        if not too_slow.is_set():
            raise
    finally:
        ended.set()
    if too_slow.is_set():
        raise _TryAgain(f"the server sent less than {SLOWEST_BYTES_PER_S:,} bytes a second for {timeout_s:g} s")


def _hang_up(response: http.client.HTTPResponse) -> None:
    """End the connection under a read that waits; closing would wait for that read."""
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(response.fileno())) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _range_of(job: _Job, response: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where the bytes that come belong, and the length of the whole file if it is known.

    Raises
    ------
    _TryAgain
        If they are not what was asked for; the next attempt starts from the beginning.
    DownloadFailed
        If they are no file as it lies on the server.
    """
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise DownloadFailed(f"{job.url} is sent {encoding}-encoded though not asked for; fetch it by other means")
    if len(set(response.headers.get_all("Content-Length", []))) > 1:
        raise DownloadFailed(f"{job.url} is sent with two lengths; fetch it by other means")
    if response.status == _OK:
        return 0, None if response.chunked else _number(response.headers.get("Content-Length"))
    if response.status != _PARTIAL_CONTENT:
        raise DownloadFailed(f"{job.url} cannot be downloaded: the server answered {response.status}, with no file")
    described = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    noted = _noted(job)
    same = (
        _validator(response) in (None, noted.get("validator"))
        and described is not None
        and int(described[1]) == offset
        and described[3] in ("*", noted.get("total", "*"))
    )
    if not offset or described is None or not same:
        _discard(job)
        raise _TryAgain("the server sent another range or file than asked for")
    return offset, _number(described[3]) or int(described[2]) + 1


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _discard(job: _Job) -> None:
    with storage_errors(job.part):
        job.part.unlink(missing_ok=True)
        job.note.unlink(missing_ok=True)


def _read_chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)
    except _BROKEN_OFF as error:
        raise _TryAgain(_plain(error)) from error


def _write_note(job: _Job, response: http.client.HTTPResponse, total: int | None) -> None:
    validator = _validator(response)
    temporary = job.note.with_name(job.note.name + ".tmp")
    temporary.write_text(
        json.dumps({"url": job.url, "validator": validator, "total": None if total is None else str(total)}),
        encoding="utf-8",
    )
    os.replace(temporary, job.note)


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What tells one version of the file from another; If-Range takes strong tags only."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _plain(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return " ".join(str(reason or error or type(error).__name__).split())


def _verify(job: _Job) -> None:
    if _has_checksum(job.part, job.checksum):
        return
    algorithm = str(job.checksum).partition(":")[0]
    found = file_checksum(job.part, algorithm)
    _discard(job)
    raise DownloadFailed(
        f"{job.url} arrived with {algorithm}:{found} instead of {job.checksum} and was removed; "
        "try again or take the file from another place"
    )


def _has_checksum(file: Path, checksum: str | None) -> bool:
    if checksum is None:
        return True
    algorithm, _, expected = checksum.partition(":")
    return file_checksum(file, algorithm) == expected
