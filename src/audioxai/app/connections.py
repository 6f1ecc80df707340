"""Connections that are let go when nothing comes through them.

Idea
----
Whoever can reach the port can open connections and leave them idle, or ask and never read the answer, before any token
is looked at. uvicorn limits neither the time until a request has come nor the time until an answer is taken, so both
are limited here. How long the body of an upload may take is limited where it is read (:mod:`audioxai.app.server`).

An open page is asked for a sign of life (a ping) every :data:`PING_S`, which browsers answer by themselves: a reader
may think for as long as they want, and a page whose machine sleeps or has lost its network is let go.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# From the opening of a connection, or from the last answer, to the end of a request's headers.
HEADERS_S = 20.0
# Without any progress of an answer that waits to be taken.
UNREAD_S = 30.0
# Between two signs of life of a page, and until one has to be there.
PING_S, PONG_S = 20.0, 20.0


class HttpConnection(H11Protocol):
    """Requests through one connection, in limited time."""

    _headers_deadline: asyncio.TimerHandle | None = None
    _unread_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._have_headers()
        self.resume_writing()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Note when the headers of a request are there."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._have_headers()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the connection to a page's socket."""
        self._have_headers()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._await_headers()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread_deadline = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()

    def _await_headers(self) -> None:
        self._have_headers()
        # What is left of the last answer is not waited for either.
        self._headers_deadline = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _have_headers(self) -> None:
        if self._headers_deadline is not None:
            self._headers_deadline.cancel()


class PageConnection(WebSocketsSansIOProtocol):
    """A page's socket, which is let go when it gives no sign of life."""

    def keepalive_timeout(self) -> None:
        """Let go of the connection at once: whoever answers no ping does not take what is still to be sent, either."""
        super().keepalive_timeout()
        self.transport.abort()
