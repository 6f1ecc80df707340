"""What a file of a stranger may make a decoder do; loads quickly, as each runs in a fresh process."""

import os
import time
from pathlib import Path

import numpy as np

from audioxai.app import decoding


def sleep(*_: object) -> None:
    time.sleep(60)


def stall(connection: object, *_: object) -> None:
    connection.send_bytes(b'{"rate_hz": 8000, "notes": []}')  # type: ignore[attr-defined]
    time.sleep(60)


def babble(connection: object, *_: object) -> None:
    connection.send_bytes(b"5")  # type: ignore[attr-defined]


def crash(*_: object) -> None:
    os.abort()


def write(connection: object, path: str, longest_s: float) -> None:
    decoding._limit()
    Path(path).with_suffix(".out").write_bytes(bytes(10))


def eat(connection: object, path: str, longest_s: float) -> None:
    decoding._limit()
    np.ones(decoding.MOST_BYTES, np.uint8).sum()
    os._exit(0)


def lie(connection: object, path: str, longest_s: float) -> None:
    connection.send_bytes(b'{"rate_hz": 8000, "notes": []}')  # type: ignore[attr-defined]
    connection.send_bytes(np.full(8, np.nan, np.float32).tobytes())  # type: ignore[attr-defined]
