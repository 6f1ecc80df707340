"""Reading tensors: an interrupt while a file is read is an interrupt, and no fault of the file."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from audioxai.utils import tensors
from audioxai.utils.tensors import interrupted_afterwards, load_tensors, save_tensors


class Interrupted:
    """A file of tensors during whose reading somebody presses Ctrl-C."""

    def __init__(self, path: Path, framework: str) -> None:
        self.file: Any = safetensors.safe_open(path, framework=framework)

    def __enter__(self) -> "Interrupted":
        self.file = self.file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.file.__exit__(*error)

    def keys(self) -> list[str]:
        return list(self.file.keys())

    def metadata(self) -> dict[str, str]:
        return dict(self.file.metadata())

    def get_tensor(self, name: str) -> torch.Tensor:
        return torch.asarray(Values(self.file.get_tensor(name).tolist()))


class Values:
    """A sequence whose first number PyTorch asks for; whatever is raised then, it says that there is none."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: int) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return self.values[place]


def test_an_interrupt_while_a_file_is_read_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tensors(tmp_path / "a", {"values": torch.tensor([1.0, 2.0])}, {})
    monkeypatch.setattr(tensors, "safe_open", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_tensors(tmp_path / "a")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_interrupted_ends_first() -> None:
    done = []

    def work() -> None:
        with interrupted_afterwards():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [True]


def test_an_error_of_what_is_interrupted_does_not_hide_the_interrupt() -> None:
    def work() -> None:
        with interrupted_afterwards():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        work()


def test_without_an_interrupt_nothing_changes() -> None:
    with interrupted_afterwards():
        pass
    with pytest.raises(ValueError, match="own"), interrupted_afterwards():
        raise ValueError("own")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_handlers_and_threads_are_left_alone() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupted_afterwards():
            seen.append(signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)

    def elsewhere() -> None:
        with interrupted_afterwards():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_IGN, signal.default_int_handler]
