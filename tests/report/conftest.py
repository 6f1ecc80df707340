"""Fixtures of the report room."""

import pytest
from helpers.synthetic_rows import MakeRows, make_cards, make_rows


@pytest.fixture(scope="session")
def rows_with() -> MakeRows:
    return make_rows


@pytest.fixture(scope="session")
def cards() -> list[dict[str, object]]:
    return make_cards()


@pytest.fixture(scope="session")
def directions() -> dict[str, bool | None]:
    return {
        "faithfulness_correlation": True,
        "average_sensitivity": False,
        "sparseness": None,
        "random_logit": False,
        "mprt": False,
    }
