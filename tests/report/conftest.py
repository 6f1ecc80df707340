"""Fixtures of the report room."""

import pytest
from helpers.synthetic_results import method_entries, metric_entries
from helpers.synthetic_rows import MakeRows, make_rows

from audioxai.report.style import Style


@pytest.fixture(scope="session")
def rows_with() -> MakeRows:
    return make_rows


@pytest.fixture(scope="session")
def style() -> Style:
    return Style(method_entries(), metric_entries())
