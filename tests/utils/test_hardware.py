"""Devices, batches and slices."""

import pytest
import torch

from audioxai.utils.errors import UserError
from audioxai.utils.hardware import (
    CELLS_PER_CALL_CPU,
    CELLS_PER_CALL_CUDA,
    inputs_per_call,
    keep_freed_memory,
    select_device,
    slices,
)


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:0", "mps"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(UserError, match=f"device is '{name}'; choose auto, cpu or cuda"):
        select_device(name)


def test_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device() == select_device("auto") == select_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="no CUDA device here; choose cpu or auto"):
        select_device("cuda")


def test_with_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert select_device("auto").type == select_device("cuda").type == "cuda"
    assert select_device("cpu").type == "cpu"


@pytest.fixture
def loose():
    """Everything as inexact as it can be; as it was afterwards."""
    flags = [
        (torch.backends.cudnn, "allow_tf32", True),
        (torch.backends.cuda.matmul, "allow_tf32", True),
        (torch.backends.cudnn, "deterministic", False),
        (torch.backends.cudnn, "benchmark", True),
    ]
    before = [getattr(module, name) for module, name, _ in flags]
    for module, name, value in flags:
        setattr(module, name, value)
    yield
    for (module, name, _), value in zip(flags, before, strict=True):
        setattr(module, name, value)


def test_cuda_computes_in_single_precision_and_the_same_in_every_run(loose, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    select_device("cpu")
    assert torch.backends.cudnn.allow_tf32
    select_device("auto")
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    assert (cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic, cudnn.benchmark) == (False, False, True, False)


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 1), (7, 3), (9, 3), (2, 5), (10, 1)])
def test_slices_cover_everything_once_in_order(count, size):
    made = list(slices(count, size))
    assert [place for part in made for place in range(count)[part]] == list(range(count))
    assert all(0 < part.stop - part.start <= size for part in made)
    assert len(made) == -(-count // size)


def test_inputs_per_call_fill_the_budget_and_are_never_none():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert inputs_per_call(128 * 128, cpu) == CELLS_PER_CALL_CPU // 128**2 == 16
    assert inputs_per_call(128 * 128, cuda) == CELLS_PER_CALL_CUDA // 128**2
    assert inputs_per_call(10**9, cpu) == inputs_per_call(10**9, cuda) == 1
    assert inputs_per_call(0, cpu) == CELLS_PER_CALL_CPU


def test_keeping_memory_changes_no_result():
    kernel = torch.rand((4, 1, 3, 3), generator=torch.Generator().manual_seed(0))
    inputs = torch.rand((2, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    before = torch.nn.functional.conv2d(inputs, kernel)
    keep_freed_memory()
    keep_freed_memory()
    assert torch.equal(torch.nn.functional.conv2d(inputs, kernel), before)
