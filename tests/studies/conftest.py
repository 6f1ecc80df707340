"""Tiny datasets, found where the study looks for them, and the scripts as modules."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from helpers.tiny_data import write_digit_images, write_spoken_digits

from audioxai.studies import models

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_spoken_digits(folder / "spoken_digits")
    write_digit_images(folder / "digits_8x8")
    return folder


@pytest.fixture
def forget_data() -> Iterator[Callable[[], None]]:
    """Makes the study read datasets anew, as a new process would."""

    def forget() -> None:
        models.load_dataset.cache_clear()
        models.fingerprint.cache_clear()

    forget()
    yield forget
    forget()


@pytest.fixture
def data(data_folder, monkeypatch, forget_data) -> Path:
    monkeypatch.setenv("AUDIO_XAI_DATA", str(data_folder))
    return data_folder


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Module of a script, by its path below the project's folder."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
