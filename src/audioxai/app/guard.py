"""Who may ask the server, and what browsers may do with its answers.

Idea
----
A page of another site can make a browser send requests to this machine, and can point a name of its own at it (DNS
rebinding). So a request has to name this server as its host, and everything that changes something or opens a socket
has to come from one of this server's own pages. Bound to other addresses than this machine's own, a random token is
asked for as well: once in the address, then in a cookie that no script can read.
"""

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HOST = re.compile(r"(?:\[([0-9a-f:.]{1,45})\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")
TOKEN, COOKIE = "token", "audioxai_token"
SAFE = ("GET", "HEAD")
# Code of a websocket that is closed for what it is.
POLICY_VIOLATION = 1008
HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
}


def is_loopback(host: str) -> bool:
    """Whether an address that a server is bound to is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def new_token() -> str:
    """What has to be known to ask a server that others can reach, and names that nobody can guess."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, eq=False)
class Guard:
    """Lets through what may ask, with headers that keep browsers from doing more with the answers.

    Attributes
    ----------
    app : callable
        ASGI application behind it.
    host : str
        What the server is bound to.
    token : str
        What has to be known; empty for a server of this machine alone.
    """

    app: App
    host: str
    token: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or socket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        is_socket = scope["type"] == "websocket"
        if refused is None:
            await self.app(scope, receive, send if is_socket else _with_headers(send))
        elif is_socket:
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await refused(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_ours(_name_of(host) or ""):
            return PlainTextResponse(
                "This server is asked under a name that is not its own; open the address that it printed at its start.",
                421,
            )
        is_read = scope["type"] == "http" and scope["method"] in SAFE
        if not is_read and headers.get("origin") not in (f"http://{host}", f"https://{host}"):
            return PlainTextResponse(
                "This is for pages of this server only; open its address in a browser and use its page.", 403
            )
        return self._without_token(scope, headers) if self.token else None

    def _is_ours(self, name: str) -> bool:
        """Whether a server may be asked under a name: no other site can have an address, or these names."""
        if is_loopback(self.host):
            return is_loopback(name)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in ("localhost", self.host.lower(), socket.gethostname().lower())
        return True

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self._knows(cookie_parser(headers.get("cookie", "")).get(COOKIE, "")):
            return None
        asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        if scope["type"] == "http" and scope["method"] == "GET" and self._knows(dict(asked).get(TOKEN, "")):
            # The address with the token leaves the history's top and every log that follows.
            rest = urlencode([one for one in asked if one[0] != TOKEN])
            found = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            found.set_cookie(COOKIE, self.token, httponly=True, samesite="lax")
            return found
        return PlainTextResponse("Open the address that the server printed when it started: it holds a token.", 401)

    def _knows(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


def _name_of(host: str) -> str | None:
    """Name or address in a Host header, without the port; None if it is none."""
    found = _HOST.fullmatch(host.lower())
    return None if found is None else found[1] or found[2]


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
