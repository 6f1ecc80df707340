"""The app as tests start it: models that other processes load by name, and sounds as files."""

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import uvicorn
from torch import Tensor

from audioxai.app.command import example_sound, server_of
from audioxai.app.server import Service
from audioxai.models.loading import Model
from helpers.explained import NAMES, RATE_HZ, Bands, model_of, recording
from helpers.ports import free_port


class Slow(Bands):
    """As :class:`Bands`, but every pass takes its time."""

    def forward(self, waveforms: Tensor) -> Tensor:
        time.sleep(0.15)
        return super().forward(waveforms)


def bands() -> Model:
    """Hears hums, whistles and hisses."""
    return model_of()


def bands_in_reverse() -> Model:
    """The same at another rate, under other names, with clips of its own length."""
    return Model(Bands(11_025).eval(), 11_025, 0.8, tuple(f"other {name}" for name in NAMES), name="tests/other")


def slow() -> Model:
    return Model(Slow(RATE_HZ).eval(), RATE_HZ, None, NAMES, name="tests/slow")


def refused() -> Model:
    from audioxai.utils.errors import UserError

    raise UserError("model missing.pt is not there; correct the path")


def sound_file(duration_s: float = 0.6, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    """The whistle over a hum as a file."""
    content = io.BytesIO()
    soundfile.write(content, recording(duration_s)[0, 0].numpy(), RATE_HZ, format=file_format, subtype=subtype)
    return content.getvalue()


def samples_of(content: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Samples of a file as the server reads them, without their mean."""
    samples, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    return samples


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    address: str
    service: Service

    @property
    def origin(self) -> str:
        return self.address.rstrip("/")

    @property
    def live(self) -> str:
        return f"{self.origin.replace('http', 'ws')}/live"


@contextlib.contextmanager
def running(loaders: Sequence[Callable[[], Model]], folder: Path) -> Iterator[Running]:
    """A server in a thread."""
    service, port = Service(loaders, folder, example_sound()), free_port()
    server = server_of(service, "127.0.0.1", "")
    config: uvicorn.Config = server.config
    config.host, config.port, config.lifespan = "127.0.0.1", port, "on"
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield Running(f"http://127.0.0.1:{port}/", service)
    finally:
        server.should_exit = True
        thread.join()
