"""Shares of the plan, for processes or machines that work side by side on one study over one store.

A share is made of whole models: whatever is explained by one model is in one part, so no two processes train the same.
"""

from collections.abc import Callable
from dataclasses import replace

from audioxai.studies.models import Wanted
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.plan import Cell, Method, Place, cells, methods_of, place_of
from audioxai.studies.parts import dealt, numbers_of


def own_cells(config: Objective2Config) -> list[Cell]:
    """Cells of the part that this configuration is for, in the order in which they are worked on; all without one.

    Raises
    ------
    UserError
        If there are more parts than models, so that this one has nothing to do.
    """
    planned = cells(config)
    own = set(dealt(_models(planned), config.part))
    return [cell for cell in planned if cell.wanted in own]


def parts_left(config: Objective2Config, done: Callable[[Place, Method], bool]) -> int:
    """How many of the parts have a method that is not done in one of their cells; a part without work has none."""
    assert config.part is not None
    _, parts = numbers_of(config.part)
    planned = cells(config)
    unfinished = {cell.wanted for cell in planned if not _finished(config, cell, done)}
    models = _models(planned)
    return sum(not unfinished.isdisjoint(models[number::parts]) for number in range(parts))


def whole(config: Objective2Config) -> Objective2Config:
    """The configuration of the whole study."""
    return replace(config, part=None)


def _models(planned: list[Cell]) -> list[Wanted]:
    """Models in the order in which they are dealt out: those of recordings, which have the most to do, first."""
    return sorted(dict.fromkeys(cell.wanted for cell in planned), key=lambda wanted: wanted.cues is not None)


def _finished(config: Objective2Config, cell: Cell, done: Callable[[Place, Method], bool]) -> bool:
    place = place_of(config, cell)
    return place.trained and all(done(place, method) for method in methods_of(config, cell))
