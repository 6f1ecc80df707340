"""Downloads that resume, are checked, and appear under their name only when complete.

Idea: bytes go to ``<target>.part`` with a note of the server's validator next to it; an interrupted download goes on
from there with HTTP Range and If-Range, and starts again where the server ignores ranges or its file has changed.
"""

import http.client
import json
import os
import queue
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pooch
from tqdm import tqdm

from audioxai.utils.commands import storage_errors
from audioxai.utils.errors import UserError

REACH_DEADLINE_S = 8.0
CHUNK_BYTES = 1 << 18
ATTEMPTS = 4

_OK = 200
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_PASSING_FAILURES = (408, 425, 429, 500, 502, 503, 504)
_AGENT = {"User-Agent": "audioxai", "Accept-Encoding": "identity"}
_BROKEN_OFF = (OSError, http.client.HTTPException)


class DownloadFailed(UserError):  # noqa: N818
    """The network, the server or what it sent was at fault; something else may be tried instead."""


class _TryAgain(Exception):  # noqa: N818
    """A download broke off in a way that another attempt may mend."""


@dataclass(frozen=True)
class _Job:
    url: str
    part: Path
    note: Path
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
        Longest time without data from the server, in seconds.
    pause_s : float
        Pause before the second of four attempts, doubled before each further one.

    Raises
    ------
    DownloadFailed
        If the address is none of the web, the server refuses or keeps breaking off, or the checksum differs.
    UserError
        If the disk has too little room or must not be written.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadFailed(f"{url} is not an http or https address; give one, a folder or an archive")
    with storage_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part"), target.with_name(target.name + ".note.json")
    job = _Job(url, *beside, checksum, timeout_s)
    for place in (target, *beside):
        if place.is_dir():
            raise UserError(f"{place} is a folder, where a file is to be downloaded to; move it away")
    if target.is_file() and _noted(job).get("url") == url and _has_checksum(target, checksum):
        return target
    _fetch_patiently(job, pause_s)
    _verify(job)
    with storage_errors(target):
        os.replace(job.part, target)
    return target


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
        with urllib.request.urlopen(request, timeout=timeout_s):
            answers.put((server, True))
    except urllib.error.HTTPError as error:
        # Whatever the status, somebody is there.
        error.close()
        answers.put((server, True))
    except (OSError, http.client.HTTPException, ValueError):
        answers.put((server, False))


def _fetch_patiently(job: _Job, pause_s: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _fetch(job)
        except _TryAgain as error:
            reason = str(error)
        if attempt + 1 < ATTEMPTS:
            time.sleep(pause_s * 2**attempt)
    raise DownloadFailed(f"{job.url} could not be downloaded ({reason}); run the same command again to go on")


def _fetch(job: _Job) -> None:
    offset, validator = _resume_point(job)
    headers = dict(_AGENT)
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    try:
        response = urllib.request.urlopen(urllib.request.Request(job.url, headers=headers), timeout=job.timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            _refused(job, error, offset)
    except _BROKEN_OFF as error:
        raise _TryAgain(_plain(error)) from error
    except ValueError as error:
        raise DownloadFailed(f"{job.url} leads to no address of the web ({error}); check the address") from error
    else:
        with response:
            _receive(job, response, offset)


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
    except ValueError:
        # As good as none: it is written anew.
        return {}
    strings = note.items() if isinstance(note, dict) else ()
    return {key: value for key, value in strings if isinstance(value, str) and value.isprintable()}


def _refused(job: _Job, error: urllib.error.HTTPError, offset: int) -> None:
    if error.code == _RANGE_NOT_SATISFIABLE and offset:
        if error.headers.get("Content-Range", "").endswith(f"/{offset}"):
            return
        with storage_errors(job.part):
            job.part.unlink(missing_ok=True)
        raise _TryAgain("the file on the server has changed")
    if error.code in _PASSING_FAILURES:
        raise _TryAgain(f"the server answered {error.code} {error.reason}")
    raise DownloadFailed(
        f"{job.url} cannot be downloaded: the server answered {error.code} {error.reason}; check the address"
    )


def _receive(job: _Job, response: http.client.HTTPResponse, offset: int) -> None:
    start, total = _range_of(job, response, offset)
    announced = response.headers.get("Content-Length")
    check_free_space(job.part.parent, 0 if total is None else total - start)
    with storage_errors(job.part):
        _write_note(job, response, total)
        file = job.part.open("ab" if start else "wb")
    bar = tqdm(total=total, initial=start, desc=job.part.stem, unit="B", unit_scale=True, disable=None, leave=False)
    with file, bar:
        while chunk := _read_chunk(response):
            with storage_errors(job.part):
                file.write(chunk)
            bar.update(len(chunk))
    received = job.part.stat().st_size
    if total is not None and received > total:
        _discard(job)
    if total is not None and received != total:
        raise _TryAgain(f"it broke off after {received} of {total} bytes")
    if not received:
        raise DownloadFailed(f"{job.url} is empty; check the address")
    if total is None and announced is None and response.headers.get("Transfer-Encoding") is None and not job.checksum:
        _discard(job)
        raise DownloadFailed(
            f"{job.url} is served without its length, so that it cannot be told whether it is whole; fetch it by other "
            "means and give the file"
        )


def _range_of(job: _Job, response: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where the bytes that come belong, and the length of the whole file if it is known.

    Raises
    ------
    _TryAgain
        If they are not what was asked for; the next attempt starts from the beginning.
    DownloadFailed
        If they are no file as it lies on the server.
    """
    if urllib.parse.urlsplit(response.url).scheme not in ("http", "https"):
        raise DownloadFailed(f"{job.url} leads to {response.url}, which is no address of the web; check the address")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise DownloadFailed(f"{job.url} is sent {encoding}-encoded though not asked for; fetch it by other means")
    if len(set(response.headers.get_all("Content-Length", []))) > 1:
        raise DownloadFailed(f"{job.url} is sent with two lengths; fetch it by other means")
    if response.status == _OK:
        return 0, _number(response.headers.get("Content-Length"))
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
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def _discard(job: _Job) -> None:
    with storage_errors(job.part):
        job.part.unlink(missing_ok=True)
        job.note.unlink(missing_ok=True)


def _read_chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
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
