"""``audioxai app``: the server from start to end."""

import asyncio
import contextlib
import logging
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from audioxai.app.decoding import Decoded
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    import uvicorn

    from audioxai.app.server import Service
    from audioxai.app.work import Loader
    from audioxai.models.loading import Model

PROGRAM = "audioxai"
EXAMPLE_SEED = 1
SHUTDOWN_S = 3
MOST_CONNECTIONS = 512


def run(loaders: "Sequence[Loader]", host: str, port: int) -> None:
    """Serve the app until it is interrupted.

    Parameters
    ----------
    loaders : sequence of callable
        Each returns a model; the example's is made if there are none.
    host : str
        Address to be bound to. Another one than this machine's own makes a token necessary.
    port : int
        Port; 0 for any that is free.

    Raises
    ------
    UserError
        If the extra is not installed, a model cannot be loaded, or the address cannot be had.
    """
    try:
        from audioxai.app.guard import is_loopback, new_token
        from audioxai.app.server import Service
    except ImportError as error:
        raise UserError(f"the app needs {error.name}; install audioxai[app]") from error
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with listening(host, port) as bound, tempfile.TemporaryDirectory(prefix="audioxai-app-") as folder:
        token = "" if is_loopback(host) else new_token()
        service = Service(loaders or [example_model()], Path(folder), example_sound())
        # However it is ended, what pages had is removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print("loading the models", flush=True)

        def show(_: "uvicorn.Server") -> None:
            print(f"open {address(bound, host, token)}\nstop with Ctrl-C", flush=True)

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(service, bound, host, token, show))


def example_sound() -> Decoded:
    """A clip of the example: a call that rises over a louder rumble."""
    import numpy as np

    from audioxai.example import RATE_HZ, SITES, clip

    return Decoded(clip("rising", np.random.default_rng(EXAMPLE_SEED), SITES).astype(np.float32), RATE_HZ)


def example_model() -> "Callable[[], Model]":
    """What loads the example's model, which is trained once and kept where this user's caches are."""
    import pooch

    from audioxai import __version__
    from audioxai.example import MODEL, write_example
    from audioxai.models.loading import load_model

    folder = Path(pooch.os_cache(PROGRAM)) / f"example-{__version__}"
    if not (folder / MODEL).is_file():
        print("no --model is given: training the example's once, which takes a few seconds", flush=True)
        write_example(folder)
    return partial(load_model, str(folder / MODEL))


async def serve(
    service: "Service", bound: socket.socket, host: str, token: str, ready: "Callable[[uvicorn.Server], object]"
) -> None:
    """Serve a service through a socket until it is told to end; ``ready`` is called when the models are loaded."""
    try:
        await service.start()
        server = server_of(service, host, token)
        ready(server)
        await server.serve(sockets=[bound])
    finally:
        await service.close()


def server_of(service: "Service", host: str, token: str) -> "uvicorn.Server":
    """A server with limits, which writes no log of what is asked: addresses may hold a token."""
    import uvicorn

    from audioxai.app.connections import PING_S, PONG_S, HttpConnection, PageConnection
    from audioxai.app.server import MOST_MESSAGE_BYTES

    return uvicorn.Server(
        uvicorn.Config(
            service.app(host, token),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            http=HttpConnection,
            ws=PageConnection,
            ws_max_size=MOST_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PONG_S,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )


def address(bound: socket.socket, host: str, token: str) -> str:
    """What to open in a browser."""
    name = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{bound.getsockname()[1]}/{f'?token={token}' if token else ''}"


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to an address and a port.

    Raises
    ------
    UserError
        If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"host {host} with port {port} cannot be had ({reason}); choose another port or host"
        ) from error
    with bound:
        yield bound
