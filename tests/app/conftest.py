"""Servers that tests of the app share."""

from collections.abc import Iterator

import pytest

pytest.importorskip("starlette", reason="the extra app is not installed")
pytest.importorskip("uvicorn", reason="the extra app is not installed")
from helpers.app import Running, bands, bands_in_reverse, running, slow


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One model."""
    with running([bands], tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two models of different rates and lengths."""
    with running([bands, bands_in_reverse], tmp_path_factory.mktemp("compared")) as found:
        yield found


@pytest.fixture(scope="session")
def sluggish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A model that takes its time."""
    with running([slow], tmp_path_factory.mktemp("sluggish")) as found:
        yield found
