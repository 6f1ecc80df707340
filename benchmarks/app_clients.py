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

# Everything that one client does.
ANSWERED_S = 300.0


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


async def client(origin: str, seed: int, brushes: int, times: Times, begin: asyncio.Barrier) -> None:
    """One page."""
    content = sound(seed)
    try:
        async with (
            asyncio.timeout(ANSWERED_S),
            connect(f"{origin.replace('http', 'ws')}/live", origin=Origin(origin), open_timeout=None) as page,
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
                if found["is"] != "erased":
                    raise UserError(found["text"])
                await page.recv()  # the sound
                times.erased_s.append(time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - counted, and shown
        times.errors.append(f"{type(error).__name__}: {error}")
        # The others do not wait for it.
        await begin.abort()


def _brush(opened: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    erased = np.random.default_rng([seed, number]).random(opened["cells"][0] * opened["cells"][1]) < 0.2
    packed = base64.b64encode(np.packbits(erased).tobytes()).decode()
    request = {"do": "erase", "number": number, "sound": opened["sound"], "startS": opened["startS"]}
    return {**request, "erased": packed, "removal": "silence", "hear": True}


async def all_clients(origin: str, clients: int, brushes: int) -> Times:
    """All at once, when all are connected."""
    times, begin = Times(), asyncio.Barrier(clients)
    await asyncio.gather(*(client(origin, seed, brushes, times, begin) for seed in range(clients)))
    return times


def address_of(server: "subprocess.Popen[str]") -> str:
    """Where the server answers, as it prints it.

    Raises
    ------
    UserError
        If it ends before.
    """
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("open "):
            return line.split()[1].rstrip("/")
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
    if options.clients < 1 or options.brushes < 0:
        raise UserError(f"clients are {options.clients}, brushes {options.brushes}; give at least 1 client, 0 brushes")
    model = ["--model", options.model] if options.model else []
    command = [sys.executable, "-m", "audioxai.cli", "app", "--port", "0", *model]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        origin = address_of(server)
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
