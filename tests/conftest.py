"""What tests of several rooms share: tiny data sets found where studies look for them, and the scripts as modules."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.browser import BROWSERS, executable
from helpers.tiny_data import write_class_folders, write_digit_images, write_spoken_digits
from hypothesis import HealthCheck, settings

# How fast the machine is says nothing of what is tested.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stand-ins of the objectives, tiny."""
    folder = tmp_path_factory.mktemp("data")
    write_spoken_digits(folder / "spoken_digits")
    write_digit_images(folder / "digits_8x8")
    return folder


@pytest.fixture(scope="session")
def sounds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four class folders of sounds."""
    return write_class_folders(tmp_path_factory.mktemp("recordings") / "sounds")


@pytest.fixture
def forget_data() -> Iterator[Callable[[], None]]:
    """Makes studies read data sets anew, as a new process would."""
    from audioxai.experiment.models import forget

    forget()
    yield forget
    forget()


@pytest.fixture
def data(data_folder: Path, monkeypatch: pytest.MonkeyPatch, forget_data: Callable[[], None]) -> Path:
    """Studies find the tiny data sets."""
    monkeypatch.setenv("AUDIO_XAI_DATA", str(data_folder))
    return data_folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a process, with a microphone that beeps."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = executable()
    if found is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)}")
    microphone = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *microphone])
        yield started
        started.close()


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
