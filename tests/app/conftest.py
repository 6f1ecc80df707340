"""Servers that tests of the app share."""

from collections.abc import Iterator
from functools import partial

import pytest

pytest.importorskip("starlette", reason="the extra app is not installed")
pytest.importorskip("uvicorn", reason="the extra app is not installed")
from helpers.app import Running, bands, bands_in_reverse, gated, running


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
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A model whose explanations do not go on before they are let."""
    gate = tmp_path_factory.mktemp("gate") / "open"
    with running([partial(gated, str(gate))], tmp_path_factory.mktemp("waiting"), gate) as found:
        yield found
