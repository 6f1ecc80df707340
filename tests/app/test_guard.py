"""Who may ask: this server's own pages, under its own name, and with the token where others can reach it."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioxai.app.guard import COOKIE, Guard, is_loopback

OURS = "http://127.0.0.1:8765"
SECRET = "s" * 32


async def answer(_: object) -> PlainTextResponse:
    return PlainTextResponse("secret")


async def live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def client(host: str = "127.0.0.1", token: str = "", address: str = OURS) -> TestClient:
    routes = [Route("/", answer, methods=["GET", "POST"]), WebSocketRoute("/live", live)]
    return TestClient(Guard(Starlette(routes=routes), host, token), base_url=address, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:8765", "LOCALHOST"])
def test_its_own_names_are_answered(host: str) -> None:
    found = client().get("/", headers={"host": host})
    assert (found.status_code, found.text) == (200, "secret")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8765",
        "",
        "127.0.0.1:80;script-src",
        "192.168.0.9",
        "a b",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    found = client().get("/", headers={"host": host})
    assert found.status_code == 421
    assert "secret" not in found.text


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:8765.evil", None]
)
def test_other_sites_change_nothing_and_open_no_socket(origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    asked = client()
    assert asked.post("/", headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        asked.websocket_connect("/live", headers={"host": "127.0.0.1:8765", **headers}),
    ):
        pass


def test_its_own_pages_may() -> None:
    asked = client()
    assert asked.post("/", headers={"origin": OURS}).status_code == 200
    with asked.websocket_connect("/live", headers={"host": "127.0.0.1:8765", "origin": OURS}) as socket:
        assert socket.receive_text() == "hello"


def test_answers_say_what_browsers_may_do_with_them() -> None:
    for found in (client().get("/"), client().get("/", headers={"host": "evil.example"})):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        assert "access-control-allow-origin" not in found.headers


def test_with_a_token_nothing_is_answered_without_it() -> None:
    asked = client("0.0.0.0", SECRET, "http://192.168.0.9:8765")
    ours = {"origin": "http://192.168.0.9:8765"}
    for address in ("/", f"/?token={SECRET[:-1]}", "/?token=", "/?token=é", "/nothing"):
        assert asked.get(address).status_code == 401
    assert asked.post(f"/?token={SECRET}", headers=ours).status_code == 401
    assert asked.get("/", headers={"cookie": f"{COOKIE}=x"}).status_code == 401
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect(f"/live?token={SECRET}", headers=ours):
        pass


def test_a_token_is_given_once_and_leaves_the_address() -> None:
    asked = client("0.0.0.0", SECRET, "http://192.168.0.9:8765")
    found = asked.get(f"/?token={SECRET}")
    assert (found.status_code, found.headers["location"]) == (303, "/")
    assert "httponly" in found.headers["set-cookie"].lower()
    assert asked.get("/").text == "secret"
    # Another name of this machine is no reason to be answered under any name.
    assert asked.get("/", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_this_machine_is_told_from_others(host: str, own: bool) -> None:
    assert is_loopback(host) is own
