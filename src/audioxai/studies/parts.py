"""Shares of a study's models, for processes or machines that work side by side over one store."""

import re
from collections.abc import Sequence
from typing import TypeVar

from audioxai.utils.errors import UserError

Model = TypeVar("Model")


def numbers_of(part: str) -> tuple[int, int]:
    """Which part of how many: ``3/12`` is ``(3, 12)``.

    Raises
    ------
    UserError
        If it is written in another way or there is no such part.
    """
    written = re.fullmatch(r"(\d+)/(\d+)", part, re.ASCII)
    number, parts = map(int, written.groups()) if written else (0, 0)
    if not 1 <= number <= parts:
        raise UserError(f"part is {part!r}; write which one of how many, from 1/12 to 12/12 of twelve")
    return number, parts


def dealt(models: Sequence[Model], part: str | None) -> list[Model]:
    """Models of a part, dealt out one by one; all of them where no part is asked for.

    Raises
    ------
    UserError
        If there are more parts than models, so that this one has nothing to do.
    """
    if part is None:
        return list(models)
    number, parts = numbers_of(part)
    own = list(models[number - 1 :: parts])
    if not own:
        raise UserError(f"part {part} is empty because the study has {len(models)} models; make fewer parts")
    return own
