"""Ways to divide recordings into training, validation and test parts.

A group is what must not be in two parts: a speaker, a source recording, a site. No way depends on the order of the
recordings; those that draw depend on their names, labels and groups and on a seed alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audioxai.datasets.records import SPLITS, Listing, Recording
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

# Of train, validation and test.
SHARES = (0.7, 0.1, 0.2)
# Orders in which groups are tried before it is given up to have every class in every part.
ATTEMPTS = 100


@dataclass(frozen=True)
class Split:
    """A way to divide recordings.

    Attributes
    ----------
    parts : callable
        Listing → part of every recording.
    every_class : bool
        Whether every part has to hold every class.
    """

    parts: Callable[[Listing], list[str]]
    every_class: bool = False


def own_parts(listing: Listing) -> list[str]:
    """The part that the data set itself gives to every recording."""
    return [one.own_part for one in listing.recordings]


def fold_splits(folds: Sequence[str], every_class: bool = False) -> dict[str, Split]:
    """A split per fold: recordings whose own part is that fold test, those of the fold before it validate."""
    return {
        fold: Split(partial(_fold_parts, test=fold, validation=folds[index - 1]), every_class)
        for index, fold in enumerate(folds)
    }


def _fold_parts(listing: Listing, test: str, validation: str) -> list[str]:
    part_of = {test: "test", validation: "validation"}
    return [part_of.get(one.own_part, "train") for one in listing.recordings]


def are_group_disjoint(recordings: Sequence[Recording], parts: Sequence[str]) -> bool:
    """Whether all groups are known and none is in two parts."""
    part_of: dict[str | None, str] = {}
    pairs = zip(recordings, parts, strict=True)
    return all(one.group is not None and part_of.setdefault(one.group, part) == part for one, part in pairs)


def speaker_parts(listing: Listing) -> list[str]:
    """Part of every recording by its speaker: about 20 % of the speakers test, 10 % validation, at least one in each.

    Speakers are ordered by a hash of their name, so that the division depends on nothing but who is there. It suits
    data in which everybody says every word; :func:`stratified_parts` is for all other.

    Raises
    ------
    UserError
        If there are fewer than three speakers.
    """
    speakers = sorted({str(one.group) for one in listing.recordings}, key=lambda name: derived_seed("speakers", name))
    if len(speakers) < len(SPLITS):
        raise UserError(
            f"a speaker-disjoint split needs 3 speakers but there is only {' and '.join(speakers)}; "
            "add recordings of others"
        )
    _, validation_share, test_share = SHARES
    tests = max(1, round(test_share * len(speakers)))
    validations = max(1, round(validation_share * len(speakers)))
    part_of = dict.fromkeys(speakers, "train")
    part_of |= dict.fromkeys(speakers[:tests], "test")
    part_of |= dict.fromkeys(speakers[tests : tests + validations], "validation")
    return [part_of[str(one.group)] for one in listing.recordings]


def stratified_parts(listing: Listing, shares: tuple[float, float, float] = SHARES, seed: int = 0) -> list[str]:
    """Part of every recording, groups undivided and every class in every part, in shares as even as groups allow.

    Groups are first given out such that every part holds every class, classes of few groups first; then the largest
    first, each to the part that lacks most of its classes. A recording without a group is a group of its own.

    Parameters
    ----------
    shares : tuple of float
        Shares of train, validation and test among the recordings of every class.

    Raises
    ------
    UserError
        If a class has fewer than three groups, or too few that are not needed for other classes.
    """
    recordings, class_names = listing.recordings, listing.class_names
    keys = [(one.group is None, one.id if one.group is None else one.group) for one in recordings]
    # Ordered by a hash, so that ties are drawn.
    units = sorted(set(keys), key=lambda key: derived_seed("split", seed, key))
    row_of = {key: row for row, key in enumerate(units)}
    rows = [row_of[key] for key in keys]
    counts = np.zeros((len(units), len(class_names)), np.int64)
    np.add.at(counts, (rows, [one.label for one in recordings]), 1)
    unit = listing.group_name or "clip"
    for name, count in zip(class_names, (counts > 0).sum(0).tolist(), strict=True):
        if count < len(SPLITS):
            raise UserError(
                f"class {name!r} has {count} {unit}{'' if count == 1 else 's'}, too few for training, validation and "
                f"test; add recordings or leave the class out"
            )
    part_of = _balanced(counts, _covering(counts, seed, unit, class_names), np.array(shares))
    return [SPLITS[part_of[row]] for row in rows]


def _covering(counts: NDArray[np.int64], seed: int, unit: str, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Part ``(groups,)`` of so many groups that every class ``(groups, classes)`` is in every part; −1 for the rest."""
    part_of, stuck = _try_covering(counts, None)
    for attempt in range(ATTEMPTS):
        if stuck is None:
            return part_of
        part_of, stuck = _try_covering(counts, np.random.default_rng(derived_seed("covering", seed, attempt)))
    assert stuck is not None
    raise UserError(
        f"class {class_names[stuck]!r} has too few {unit}s of its own to be in training, validation and test with no "
        f"{unit} in two of them; add recordings or divide by smaller groups"
    )


def _try_covering(
    counts: NDArray[np.int64], random: np.random.Generator | None
) -> tuple[NDArray[np.int64], int | None]:
    """One attempt of :func:`_covering`, and the class for which no group was left."""
    present, sizes = counts > 0, counts.sum(1)
    part_of = np.full(len(counts), -1)
    free = present.sum(0)
    lacking = np.ones((len(SPLITS), counts.shape[1]), bool)
    while lacking.any():
        needed = lacking.sum(0)
        label = int(np.where(needed > 0, free - needed, len(counts)).argmin())
        candidates = np.flatnonzero(present[:, label] & (part_of < 0))
        if not len(candidates):
            return part_of, label
        # The small parts first: training takes what is left.
        part = next(part for part in (1, 2, 0) if lacking[part, label])
        gains = (present[candidates] & lacking[part]).sum(1) / sizes[candidates]
        chosen = candidates[gains.argmax() if random is None else random.integers(len(candidates))]
        part_of[chosen] = part
        lacking[part] &= ~present[chosen]
        free = free - present[chosen]
    return part_of, None


def _balanced(counts: NDArray[np.int64], part_of: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the groups that have no part yet to the parts that lack most, relative to what each class is due there."""
    due = shares[:, None] * counts.sum(0)
    held = np.stack([counts[part_of == part].sum(0) for part in range(len(SPLITS))]).astype(float)
    waiting = np.flatnonzero(part_of < 0)
    for row in waiting[np.argsort(-counts[waiting].sum(1), kind="stable")]:
        labels = np.flatnonzero(counts[row])
        own = counts[row, labels]
        # Change of the squared distance from what is due.
        cost = (own * (2 * (held[:, labels] - due[:, labels]) + own) / due[:, labels]).sum(1)
        part_of[row] = cost.argmin()
        held[part_of[row], labels] += own
    return part_of
