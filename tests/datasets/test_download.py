"""Downloads resume, are checked, and only a complete one gets its name."""

import email.utils
import errno
import fcntl
import hashlib
import io
import socket
import threading
import time
import urllib.request
from collections import namedtuple

import pytest

from audioxai.datasets import download as module
from audioxai.datasets.download import DownloadFailed, check_free_space, download, reachable
from audioxai.utils.errors import UserError

CONTENT = bytes(range(256)) * 4_000
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def served(server):
    server.content = CONTENT
    return server


def test_a_download_arrives_whole_and_is_not_repeated(served, tmp_path):
    assert download(served.url, tmp_path / "new" / "a", MD5).read_bytes() == CONTENT
    download(served.url, tmp_path / "new" / "a", MD5)
    assert served.asked_ranges == [None]
    assert not (tmp_path / "new" / "a.part").exists()


def test_a_broken_download_goes_on_where_it_stopped(served, tmp_path):
    served.breaks_after = [300_000, 200_000]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    assert served.asked_ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_another_run_goes_on_where_the_first_gave_up(served, tmp_path):
    served.breaks_after = [1000, 1000, 1000, 1000]
    with pytest.raises(DownloadFailed, match=f"4000 of {len(CONTENT)} bytes.*run the same command again"):
        download(served.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    assert served.asked_ranges[-1] == "bytes=4000-"


def test_a_server_without_ranges_starts_again(served, tmp_path):
    served.ranges = False
    served.breaks_after = [300_000]
    assert download(served.url, tmp_path / "a", MD5).read_bytes() == CONTENT


def test_a_changed_file_starts_again(served, tmp_path):
    served.breaks_after = [1000] * 4
    with pytest.raises(DownloadFailed):
        download(served.url, tmp_path / "a")
    served.content, served.etag = CONTENT[::-1], '"two"'
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_without_a_validator_or_checksum_halves_are_not_joined(served, tmp_path):
    served.etag = None
    served.breaks_after = [1000]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    assert served.asked_ranges == [None, None]


def test_a_finished_part_is_not_fetched_again(served, tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(served.url, tmp_path / "a")
    monkeypatch.undo()
    served.content = CONTENT
    assert download(served.url, tmp_path / "a", MD5).read_bytes() == CONTENT
    assert served.asked_ranges == [None, f"bytes={len(CONTENT)}-"]


def test_another_content_is_removed(served, tmp_path):
    served.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadFailed, match=f"instead of {MD5}"):
        download(served.url, tmp_path / "a", MD5)
    assert list(tmp_path.iterdir()) == []


TOTAL = len(CONTENT)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((204, {}, b""), "answered 204"),
        ((200, {"Content-Length": "0"}, b""), "is empty"),
        ((200, {"Content-Length": "9", "Content-Encoding": "gzip"}, b"\x1f\x8b       "), "gzip-encoded"),
        ((200, {"ETag": '"one"'}, CONTENT[:5000]), "without its length"),
        ((200, {"Content-Length": "5", "Content-Length2": str(TOTAL)}, CONTENT), "two lengths"),
        ((302, {"Location": "http://[::1", "Content-Length": "0"}, b""), "no address of the web"),
    ],
)
def test_what_is_no_file_as_it_lies_on_the_server_is_refused(served, tmp_path, answer, said):
    served.answers = [answer]
    with pytest.raises(DownloadFailed, match=said):
        download(served.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def partial(start, end, total=TOTAL, body=None, tag='"one"'):
    body = CONTENT[start : end + 1] if body is None else body
    headers = {"Content-Range": f"bytes {start}-{end}/{total}", "Content-Length": str(len(body)), "ETag": tag}
    return 206, headers, body


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([partial(0, 999)], id="a range that was not asked for"),
        pytest.param([None, partial(1000, 1999)], id="a shorter range"),
        pytest.param([None, partial(1000, 1099, 1100, bytes(100))], id="another length"),
        pytest.param([None, partial(1000, TOTAL - 1, tag='"two"', body=bytes(TOTAL - 1000))], id="another version"),
        pytest.param([None, partial(990, TOTAL - 1)], id="another start"),
        pytest.param([None, (206, {"Content-Length": "3"}, b"abc")], id="no range"),
    ],
)
def test_parts_that_do_not_fit_are_never_the_file(served, tmp_path, answers):
    """The first answer breaks off after 1000 bytes where it is None; then the server is as it should be."""
    first = (200, {"Content-Length": str(TOTAL), "ETag": '"one"'}, CONTENT[:1000])
    served.answers = [answer or first for answer in answers]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("note", [b"{broken", b"[1]", b"", b"\xff\xfe", b'{"url": 3, "validator": ["x"]}'])
def test_a_damaged_note_is_as_good_as_none(served, tmp_path, note):
    (tmp_path / "a.note.json").write_bytes(note)
    (tmp_path / "a.part").write_bytes(bytes(1000))
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["a", "a.part", "a.note.json"])
def test_a_folder_in_the_way_is_one_sentence(served, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="is a folder"):
        download(served.url, tmp_path / "a")


def test_a_refusal_is_final_and_an_overload_is_not(served, tmp_path):
    served.statuses = [503, 429]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    served.statuses = [404]
    with pytest.raises(DownloadFailed, match="404"):
        download(served.url, tmp_path / "b")
    assert len(served.asked_ranges) == 4


def test_only_the_web_is_downloaded_from(tmp_path):
    with pytest.raises(DownloadFailed, match="ftp://"):
        download("ftp://127.0.0.1/a", tmp_path / "a")


def test_too_little_room_is_found_out_before_anything_is_written(served, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 10, len(CONTENT) - 1))
    with pytest.raises(UserError, match="GB free"):
        download(served.url, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 10, len(CONTENT)))
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT


def test_free_space_may_be_just_enough(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 5, 5))
    check_free_space(tmp_path, 5)
    with pytest.raises(UserError):
        check_free_space(tmp_path, 6)


@pytest.mark.parametrize(("code", "said"), [(errno.ENOSPC, "no space"), (errno.EACCES, "no permission")])
def test_what_the_disk_refuses_is_one_sentence(served, tmp_path, monkeypatch, code, said):
    def refuse(*_):
        raise OSError(code, "refused", str(tmp_path / "a"))

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(UserError, match=said):
        download(served.url, tmp_path / "a")


def test_a_server_that_answers_anything_is_reachable(server):
    closed = socket.create_server(("127.0.0.1", 0))
    refused = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    closed.close()
    assert reachable([server.url, refused], 5.0) == {server.url}


def test_a_hanging_resolver_is_given_up_on_in_time(server, monkeypatch):
    released = threading.Event()
    resolve = socket.getaddrinfo

    def hang(host, *arguments, **options):
        if host == "127.0.0.1":
            return resolve(host, *arguments, **options)
        released.wait(60)
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = set(threading.enumerate())
    hanging = [f"https://host{number}.invalid/x" for number in range(5)]
    # Long enough for the server to answer on a busy machine; the look-ups hang far longer.
    assert reachable([*hanging, server.url], deadline_s=5) == {server.url}
    left_behind = set(threading.enumerate()) - before
    assert len(left_behind) >= len(hanging)
    assert all(thread.daemon for thread in left_behind)
    released.set()
    for thread in left_behind:
        thread.join(5)


def test_the_deadline_is_below_ten_seconds():
    assert module.REACH_DEADLINE_S < 10


def dripping(server, content):
    """Sends the headers and then a byte a tenth of a second."""
    waits = threading.Event()

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(content)
            while not waits.wait(0.1):
                try:
                    connection.sendall(b"0")
                except OSError:
                    return

    threading.Thread(target=serve, daemon=True).start()
    return waits


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        pytest.param(HEAD + b"X: ", "no answer in", id="headers"),
        pytest.param(HEAD + b"Content-Length: 9999\r\n\r\n", "less than 1,000 bytes a second", id="content"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n", "less than 1,000 bytes a second", id="a chunk's line"
        ),
    ],
)
def test_servers_that_drip_are_given_up_on(tmp_path, monkeypatch, sent, said):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        waits = dripping(server, sent)
        with pytest.raises(DownloadFailed, match=said):
            download(f"http://127.0.0.1:{server.getsockname()[1]}/a", tmp_path / "a", timeout_s=0.5)
        waits.set()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("where", ["ftp://127.0.0.1:9/x", "file:///etc/passwd", "data:text/plain,x", "gopher://x/"])
def test_redirects_out_of_the_web_are_not_followed(served, tmp_path, where):
    served.answers = [(302, {"Location": where, "Content-Length": "0"}, b"")]
    with pytest.raises(DownloadFailed, match=f"{where[:6]}|302"):
        download(served.url, tmp_path / "a")
    assert len(served.asked_ranges) == 1


def test_redirects_may_not_give_up_encryption():
    request = urllib.request.Request("https://host/x")
    with pytest.raises(DownloadFailed, match="another scheme"):
        module._WebOnly().redirect_request(request, io.BytesIO(), 302, "Found", {}, "http://host/x")
    followed = module._WebOnly().redirect_request(
        urllib.request.Request("http://host/x"), io.BytesIO(), 302, "Found", {}, "https://host/y"
    )
    assert followed is not None
    assert followed.full_url == "https://host/y"


@pytest.fixture
def pauses(monkeypatch):
    paused: list[float] = []
    monkeypatch.setattr("time.sleep", paused.append)
    return paused


@pytest.mark.parametrize(
    ("asked", "expected_s"),
    [("7", 7), ("0", 1), ("-5", 1), ("soon", 1), ("Wed, 21 Oct 2015 07:28:00 GMT", 1), ("Wed, 99 Foo 1 1:1:1", 1)],
)
def test_a_pause_that_a_server_asks_for_is_made(served, tmp_path, pauses, asked, expected_s):
    served.answers = [(503, {"Retry-After": asked, "Content-Length": "0"}, b"")]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    assert pauses == [expected_s]


def test_a_pause_until_a_date_is_made(served, tmp_path, pauses):
    until = email.utils.formatdate(time.time() + 20, usegmt=True)
    served.answers = [(429, {"Retry-After": until, "Content-Length": "0"}, b"")]
    download(served.url, tmp_path / "a")
    assert len(pauses) == 1
    assert 10 < pauses[0] <= 20


@pytest.mark.parametrize("asked", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_pause_is_told_and_not_made(served, tmp_path, pauses, asked):
    served.answers = [(503, {"Retry-After": asked, "Content-Length": "0"}, b"")]
    with pytest.raises(DownloadFailed, match="asks to wait"):
        download(served.url, tmp_path / "a")
    assert pauses == []


def test_a_file_without_end_is_given_up_on(served, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_UNANNOUNCED_BYTES", 10_000)
    served.answers = [(200, {}, CONTENT)]
    with pytest.raises(DownloadFailed, match="more than 10,000 bytes"):
        download(served.url, tmp_path / "a", MD5)
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time(served, tmp_path):
    with (tmp_path / "a.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            download(served.url, tmp_path / "a")
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT
    assert not (tmp_path / "a.lock").exists()


def test_a_finished_file_that_was_cut_is_fetched_again(served, tmp_path):
    file = download(served.url, tmp_path / "a")
    file.write_bytes(CONTENT[:100])
    assert download(served.url, file).read_bytes() == CONTENT


@pytest.mark.parametrize("length", ["abc", "-5", "+9", "9" * 5_000])
def test_a_length_that_is_none_is_refused(served, tmp_path, length):
    served.answers = [(200, {"Content-Length": length, "ETag": '"one"'}, CONTENT[:5_000])]
    with pytest.raises(DownloadFailed, match="without its length"):
        download(served.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_that_there_is_no_more_is_not_believed_against_the_length(served, tmp_path):
    """The first answer said how long the file is and broke off."""
    first = (200, {"Content-Length": str(TOTAL), "ETag": '"one"'}, CONTENT[:1000])
    served.answers = [first, (416, {"Content-Range": "bytes */1000", "Content-Length": "0"}, b"")]
    assert download(served.url, tmp_path / "a").read_bytes() == CONTENT


def test_a_name_that_is_too_long_is_one_sentence(served, tmp_path):
    with pytest.raises(UserError, match="shorter"):
        download(served.url, tmp_path / ("a" * 300))


def test_an_address_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(DownloadFailed, match="no address"):
        download("http://[::1", tmp_path / "a")
