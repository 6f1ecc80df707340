"""Many clients of the app at once: each opens a page, uploads a clip, gets predictions, and brushes a few times.

Usage::

    python benchmarks/app_clients.py --clients 50 --brushes 5
    python benchmarks/app_clients.py --model checkpoints/fsdd.safetensors --json out.json

The server is started as ``audioxai app`` starts it, on a free port, with the example's model (a small CNN of clips of
one second) if none is named. All clients begin together. Printed are the errors, and median and worst times to
predictions (from the first byte of the upload to the answer) and to an answer of the eraser.
"""

import argparse
import asyncio
import base64
import json
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from websockets.asyncio.client import connect
from websockets.typing import Origin

from audioxai.example import RATE_HZ, clip
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_json

STARTED_S, ANSWERED_S = 300.0, 300.0


@dataclass
class Times:
    """Seconds that answers took, and what went wrong."""

    predictions_s: list[float] = field(default_factory=list)
    erased_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def sound(seed: int) -> bytes:
    """A clip of the example as a WAV file."""
    content = BytesIO()
    label = ("rising", "falling", "warble", "nothing")[seed % 4]
    soundfile.write(content, clip(label, np.random.default_rng(seed)), RATE_HZ, format="WAV", subtype="PCM_16")
    return content.getvalue()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def client(origin: str, seed: int, brushes: int, times: Times, begin: asyncio.Event) -> None:
    """One page."""
    content = sound(seed)
    try:
        async with (
            connect(f"{origin.replace('http', 'ws')}/live", origin=Origin(origin), open_timeout=60) as page,
            httpx.AsyncClient(timeout=ANSWERED_S) as http,
        ):
            hello = json.loads(await page.recv())
            await begin.wait()
            started = time.perf_counter()
            headers = {"origin": origin, "x-session": hello["session"], "x-name": f"{seed}.wav"}
            answer = await http.post(f"{origin}/sounds", content=content, headers=headers)
            answer.raise_for_status()
            times.predictions_s.append(time.perf_counter() - started)
            for number in range(brushes):
                started = time.perf_counter()
                await page.send(json.dumps(_brush(answer.json(), number, seed)))
                found = json.loads(await page.recv())
                await page.recv()  # the sound
                if found["is"] != "erased":
                    raise UserError(found["text"])
                times.erased_s.append(time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - counted, and shown
        times.errors.append(f"{type(error).__name__}: {error}")


def _brush(opened: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    erased = np.random.default_rng([seed, number]).random(opened["cells"][0] * opened["cells"][1]) < 0.2
    packed = base64.b64encode(np.packbits(erased).tobytes()).decode()
    request = {"do": "erase", "number": number, "sound": opened["sound"], "startS": opened["startS"]}
    return {**request, "erased": packed, "removal": "silence", "hear": True}


async def all_clients(origin: str, clients: int, brushes: int) -> Times:
    """All at once."""
    times, begin = Times(), asyncio.Event()
    tasks = [asyncio.create_task(client(origin, seed, brushes, times, begin)) for seed in range(clients)]
    await asyncio.sleep(2.0)
    begin.set()
    await asyncio.gather(*tasks)
    return times


def wait_for(origin: str, server: "subprocess.Popen[bytes]") -> None:
    """Until the server answers.

    Raises
    ------
    UserError
        If it ends, or does not answer in time.
    """
    end = time.monotonic() + STARTED_S
    while time.monotonic() < end and server.poll() is None:
        try:
            httpx.get(origin)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise UserError("the app does not start; run audioxai app to see why")


def measured(values: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": statistics.median(values), "worst": max(values)} if values else {}


def main(argv: list[str]) -> None:
    """Start the app, ask it, and print."""
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50, help="clients (50)")
    parser.add_argument(
        "--brushes", type=int, default=5, help="questions to the eraser, each after the last one's answer (5)"
    )
    parser.add_argument("--model", help="as of audioxai app")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args(argv)
    port = free_port()
    model = ["--model", options.model] if options.model else []
    server = subprocess.Popen([sys.executable, "-m", "audioxai.cli", "app", "--port", str(port), *model])
    try:
        origin = f"http://127.0.0.1:{port}"
        wait_for(origin, server)
        # The first upload waits for the decoders to be loaded, and so does nobody after it.
        asyncio.run(all_clients(origin, 1, 1))
        times = asyncio.run(all_clients(origin, options.clients, options.brushes))
    finally:
        server.terminate()
        server.wait()
    found = {
        "clients": options.clients,
        "brushes": options.brushes,
        "errors": len(times.errors),
        "predictions_s": measured(times.predictions_s),
        "erased_s": measured(times.erased_s),
    }
    print(f"{found['clients']} clients, {found['errors']} errors")
    for name, key in (("predictions", "predictions_s"), ("answer of the eraser", "erased_s")):
        print(
            f"{name}: " + ", ".join(f"{which} {value:.2f} s" for which, value in measured(getattr(times, key)).items())
        )
    for error in sorted(set(times.errors)):
        print(error)
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    raise SystemExit(run_command(main))
