"""Fixtures of the report room."""

from collections.abc import Iterator
from typing import Any

import pytest
from helpers.browser import BROWSERS, executable
from helpers.synthetic_results import method_entries, metric_entries
from helpers.synthetic_rows import MakeRows, make_rows

from audioxai.report.style import Style


@pytest.fixture(scope="session")
def rows_with() -> MakeRows:
    return make_rows


@pytest.fixture(scope="session")
def style() -> Style:
    return Style(method_entries(), metric_entries())


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = executable()
    if found is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()
