"""Tensors with metadata in one file, and a digest by which damage is noticed."""

import hashlib
import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audioxai.utils.files import replacing, storable


class DamagedError(ValueError):
    """A file is not what was written; its message ends a sentence that begins with the file's name."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors, JSON-able metadata and a digest of both as safetensors, in one step."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = storable(json.dumps(dict(metadata), ensure_ascii=False))
    with replacing(path) as temporary:
        save_file(plain, temporary, {"json": text, "digest": digest_of(plain, text)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata that :func:`save_tensors` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DamagedError
        If it is unreadable or not what was written.
    """
    require_regular(path)
    try:
        with interrupted_afterwards(), safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
            stored = file.metadata()
            text, digest = stored["json"], stored["digest"]
            metadata = json.loads(text)
    except FileNotFoundError:
        raise
    except (SafetensorError, TypeError, KeyError, ValueError, OSError, RecursionError) as error:
        raise DamagedError(f"is unreadable ({error})") from error
    if digest_of(tensors, text) != digest:
        raise DamagedError("is damaged: its digest is not that of its content")
    return tensors, metadata


@contextmanager
def interrupted_afterwards() -> Iterator[None]:
    """Context in which an interrupt (Ctrl-C) waits for the end of the body.

    While PyTorch makes a tensor of what safetensors has read, it takes an interrupt for a fault of the data: a complete
    file would be called unreadable, and the interrupt would be lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        # Other threads are not interrupted, and handlers that are not Python's cannot be put back.
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *about: arrived.append(about))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for about in arrived[:1]:
            before(*about)


def require_regular(path: Path) -> None:
    """Refuse what would block or never end where a file is to be read.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    DamagedError
        If it is a folder, a pipe or a device.
    """
    if not path.is_file():
        if path.exists() or path.is_symlink():
            raise DamagedError("is unreadable (no file but a folder, a pipe, a device or a link to nothing)")
        raise FileNotFoundError(str(path))


def digest_of(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Hexadecimal hash of tensors on the CPU (names, types, shapes and bytes) and of a text that belongs to them."""
    total = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        total.update(repr((name, str(values.dtype), tuple(values.shape))).encode())
        total.update(values.resolve_conj().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
