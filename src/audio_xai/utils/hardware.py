"""Where and how computations run: device, threads, memory, batches."""

import ctypes
import sys
from collections.abc import Iterator

import torch

from audio_xai.utils.errors import UserError

# Cells (numbers in the inputs) that one model call takes at once. On a CPU a call should stay in the cache: of the
# small CNN's forward passes on 128 × 128 inputs, those in calls of 16 took 0.8 ms each, in calls of 128 1.1 ms.
CELLS_PER_CALL_CPU = 2**18
CELLS_PER_CALL_CUDA = 2**24


def select_device(name: str = "auto") -> torch.device:
    """Device by name; ``auto`` is CUDA where present, else the CPU.

    Raises
    ------
    UserError
        If the name is no device or the device is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device is 'cuda' but PyTorch sees no CUDA device here; choose cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next call instead of returning them to the kernel.

    Every call of a convolution frees and asks again for the same tens of megabytes; the page faults that follow took
    more than half of the time of 128 × 128 calls. No effect where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_maximum = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    mallopt(mmap_maximum, 0)
    mallopt(trim_threshold, 2**31 - 1)


def inputs_per_call(cells: int, device: torch.device) -> int:
    """How many inputs of ``cells`` numbers each one model call should take, at least 1."""
    budget = CELLS_PER_CALL_CUDA if device.type == "cuda" else CELLS_PER_CALL_CPU
    return max(1, budget // max(1, cells))


def slices(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` that cover ``range(count)``."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))
