"""The app as tests start it: models that other processes load by name, and sounds as files."""

import asyncio
import contextlib
import io
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import uvicorn
from torch import Tensor

from audioxai.app.command import example_sound, listening, serve
from audioxai.app.server import EXPLAINING, Service
from audioxai.models.loading import Model
from helpers.explained import NAMES, RATE_HZ, Bands, model_of, recording


class Gated(Bands):
    """As :class:`Bands`, but the passes of explanations, which come several at once, wait for a file to be there.

    Parameters
    ----------
    gate : str
        The file.
    """

    def __init__(self, gate: str) -> None:
        super().__init__(RATE_HZ)
        self.gate = Path(gate)

    def forward(self, waveforms: Tensor) -> Tensor:
        while multiprocessing.current_process().name == EXPLAINING and len(waveforms) > 1 and not self.gate.exists():
            time.sleep(0.01)
        return super().forward(waveforms)


def bands() -> Model:
    """Hears hums, whistles and hisses."""
    return model_of()


def bands_in_reverse() -> Model:
    """The same at another rate, under other names, with clips of its own length."""
    return Model(Bands(11_025).eval(), 11_025, 0.8, tuple(f"other {name}" for name in NAMES), name="tests/other")


def gated(gate: str) -> Model:
    """Its explanations go on when a file is there."""
    return Model(Gated(gate).eval(), RATE_HZ, None, NAMES, name="tests/gated")


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
    """A server that listens, and the file for which the explanations of a gated model wait."""

    address: str
    service: Service
    server: uvicorn.Server
    gate: Path

    @property
    def origin(self) -> str:
        return self.address.rstrip("/")

    @property
    def live(self) -> str:
        return f"{self.origin.replace('http', 'ws')}/live"


@contextlib.contextmanager
def running(loaders: Sequence[Callable[[], Model]], folder: Path, gate: Path = Path("none")) -> Iterator[Running]:
    """A server in a thread, as the command starts it."""
    with listening("127.0.0.1", 0) as bound:
        service, host = Service(loaders, folder, example_sound()), "127.0.0.1"
        ready: Future[uvicorn.Server] = Future()

        def run() -> None:
            try:
                asyncio.run(serve(service, bound, host, "", ready.set_result))
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            server = ready.result()
            try:
                yield Running(f"http://{host}:{bound.getsockname()[1]}/", service, server, gate)
            finally:
                server.should_exit = True
        finally:
            thread.join()
