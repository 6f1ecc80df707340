"""Drawn splits: groups stay whole, every class is in every part, and only names, labels and the seed count."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioxai.datasets.records import SPLITS, Listing, Recording
from audioxai.datasets.splits import are_group_disjoint, fold_splits, stratified_parts
from audioxai.utils.errors import UserError

CLASSES = 4


def listing_of(clips: Sequence[tuple[int, str | None]], classes: int = CLASSES) -> Listing:
    """Recordings of these labels and groups, numbered."""
    recordings = tuple(
        Recording(f"{number:03d}.wav", Path(), label, group) for number, (label, group) in enumerate(clips)
    )
    return Listing(recordings, (), tuple("abcdefgh"[:classes]), "site")


# Per class so many groups of so many clips; then groups that hold several classes.
OWN_GROUPS = st.lists(st.lists(st.integers(1, 9), min_size=3, max_size=8), min_size=CLASSES, max_size=CLASSES)
SHARED_GROUPS = st.lists(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=12), max_size=6)


def built(own: list[list[int]], shared: list[list[int]]) -> Listing:
    clips = [
        (label, f"{label}/{n}") for label, sizes in enumerate(own) for n, size in enumerate(sizes) for _ in range(size)
    ]
    return listing_of(clips + [(label, f"shared {n}") for n, labels in enumerate(shared) for label in labels])


@given(OWN_GROUPS, SHARED_GROUPS, st.integers(0, 3), st.randoms())
def test_any_listing_is_divided_by_group_with_every_class_everywhere_whatever_the_order(own, shared, seed, shuffler):
    listing = built(own, shared)
    parts = stratified_parts(listing, seed=seed)
    assert are_group_disjoint(listing.recordings, parts)
    held = {(one.label, part) for one, part in zip(listing.recordings, parts, strict=True)}
    assert held == set(product(range(CLASSES), SPLITS))
    part_of = {one.id: part for one, part in zip(listing.recordings, parts, strict=True)}
    shuffled = list(listing.recordings)
    shuffler.shuffle(shuffled)
    again = stratified_parts(replace(listing, recordings=tuple(shuffled)), seed=seed)
    assert again == [part_of[one.id] for one in shuffled]


@given(
    st.lists(st.integers(3, 120), min_size=2, max_size=8),
    st.sampled_from([(0.7, 0.1, 0.2), (0.5, 0.25, 0.25), (0.05, 0.05, 0.9), (1 / 3, 1 / 3, 1 / 3)]),
)
def test_without_groups_every_class_is_divided_in_the_shares(counts, shares):
    listing = listing_of([(label, None) for label, count in enumerate(counts) for _ in range(count)], len(counts))
    found = Counter(zip((one.label for one in listing.recordings), stratified_parts(listing, shares), strict=True))
    for label, count in enumerate(counts):
        # No class can have less than one clip in a part, so the others may have a clip or two less.
        for part, share in zip(SPLITS, shares, strict=True):
            assert abs(found[label, part] - share * count) <= 2
            assert found[label, part] >= 1


def test_groups_of_one_size_that_hold_every_class_are_divided_in_the_shares():
    listing = listing_of([(label, str(group)) for group in range(40) for label in range(CLASSES)])
    parts = stratified_parts(listing)
    assert Counter(parts) == {"train": 28 * CLASSES, "validation": 4 * CLASSES, "test": 8 * CLASSES}


def test_a_large_group_does_not_land_in_a_small_part():
    clips = [(label, "large") for label in range(CLASSES) for _ in range(60)]
    clips += [(label, f"small {n}") for label in range(CLASSES) for n in range(20)]
    listing = listing_of(clips)
    assert stratified_parts(listing)[0] == "train"


def test_the_seed_decides_and_the_draw_is_not_the_order_of_the_names():
    listing = listing_of([(label, f"{label}/{n:02d}") for label in range(CLASSES) for n in range(30)])
    draws = {tuple(stratified_parts(listing, seed=seed)) for seed in range(4)}
    assert len(draws) == 4
    for parts in draws:
        first = [part for one, part in zip(listing.recordings, parts, strict=True) if one.label == 0]
        assert first not in (sorted(first), sorted(first, reverse=True))


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True), min_size=1, max_size=7))
@settings(max_examples=200)
def test_a_division_is_found_whenever_there_is_one(groups):
    """Against all divisions of few groups of three classes."""
    listing = listing_of([(label, str(n)) for n, labels in enumerate(groups) for label in labels], 3)
    possible = any(
        len({(label, part) for labels, part in zip(groups, parts, strict=True) for label in labels}) == 9
        for parts in product(range(3), repeat=len(groups))
    )
    try:
        parts = stratified_parts(listing)
    except UserError:
        assert not possible
    else:
        assert possible
        assert are_group_disjoint(listing.recordings, parts)
        assert len({(one.label, part) for one, part in zip(listing.recordings, parts, strict=True)}) == 9


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ([(0, None)] * 3 + [(1, None)], "class 'b' has 1 clip,"),
        ([(0, "x")] * 9 + [(1, "x"), (1, "y"), (1, "z")], "class 'a' has 1 site,"),
        ([(0, "x"), (0, "y"), (1, "x"), (1, "y")], "class 'a' has 2 sites,"),
    ],
)
def test_too_few_groups_are_refused_by_class(clips, said):
    listing = listing_of(clips, 2)
    if clips[0][1] is None:
        listing = replace(listing, group_name=None)
    with pytest.raises(UserError, match=said):
        stratified_parts(listing)


def test_classes_that_need_the_same_groups_are_refused_by_name():
    # Three classes, each in three of four groups: no four groups cover nine places, three of them alone do.
    pairs = [(0, "w"), (0, "x"), (0, "y"), (1, "w"), (1, "x"), (1, "z"), (2, "w"), (2, "y"), (2, "z")]
    with pytest.raises(UserError, match=r"class '[abc]' has too few sites of its own"):
        stratified_parts(listing_of(pairs, 3))


def test_folds_test_in_turn_and_validate_on_the_one_before():
    listing = listing_of([(0, None)] * 3)
    recordings = tuple(
        replace(one, own_part=fold) for one, fold in zip(listing.recordings, ("fold1", "fold2", "fold3"), strict=True)
    )
    splits = fold_splits(("fold1", "fold2", "fold3"))
    parts = {name: split.parts(replace(listing, recordings=recordings)) for name, split in splits.items()}
    assert parts == {
        "fold1": ["test", "train", "validation"],
        "fold2": ["validation", "test", "train"],
        "fold3": ["train", "validation", "test"],
    }
