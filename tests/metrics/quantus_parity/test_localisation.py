"""Localisation as the installed Quantus computes it, where masks ask something and no cells tie."""

from typing import Any

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import case
from helpers.quantus_runs import QUIET, call_quantus
from helpers.tiny_models import draw
from torch import Tensor, nn

from audioxai.compat.quantus.localisation import (
    AttributionLocalisation,
    Focus,
    PointingGame,
    RelevanceMassAccuracy,
    RelevanceRankAccuracy,
    TopKIntersection,
    mosaic_masks,
)
from audioxai.metrics import localisation
from audioxai.metrics.batch import PassMetric
from audioxai.utils.errors import UserError

KINDS = pytest.mark.parametrize("kind", ["image", "waveform"])
PAIRS: dict[str, tuple[type[PassMetric], Any, dict[str, Any]]] = {
    "mass": (RelevanceMassAccuracy, quantus.RelevanceMassAccuracy, {}),
    "rank": (RelevanceRankAccuracy, quantus.RelevanceRankAccuracy, {}),
    "pointing": (PointingGame, quantus.PointingGame, {}),
    "top k": (TopKIntersection, quantus.TopKIntersection, {"k": 7}),
    "top k by size": (TopKIntersection, quantus.TopKIntersection, {"k": 7, "concept_influence": True}),
    "localisation": (AttributionLocalisation, quantus.AttributionLocalisation, {}),
    "localisation by size": (AttributionLocalisation, quantus.AttributionLocalisation, {"weighted": True}),
    "positive localisation": (
        AttributionLocalisation,
        quantus.AttributionLocalisation,
        {"positive_attributions": True, "abs": False},
    ),
}
EVERY = pytest.mark.parametrize("name", PAIRS)


def masked_case(kind: str) -> tuple[tuple[nn.Module, Tensor, Tensor, Tensor], Tensor]:
    """Model, inputs, targets and attributions without ties; masks of about a third of the cells."""
    model, inputs, targets, attributions = case(kind, torch.float32)
    attributions = draw(*attributions.shape, seed=11, dtype=torch.float32)
    assert len(attributions.unique()) == attributions.numel()
    return (model, inputs, targets, attributions), draw(*attributions.shape, seed=7) > 0.4


@EVERY
@KINDS
@pytest.mark.parametrize("settings", [{}, {"normalise": False}, {"abs": True}, {"abs": False}])
def test_is_quantus(name: str, kind: str, settings: dict[str, bool]) -> None:
    ours, theirs, own = PAIRS[name]
    given, masks = masked_case(kind)
    both = own | settings
    expected = call_quantus(theirs(**both, **QUIET), *given, masks=masks)
    assert len(set(expected)) > 1
    scores = ours(**both)(*given, masks)
    np.testing.assert_allclose(scores.numpy(), np.array(expected, dtype=float), rtol=1e-5, atol=1e-5)


@EVERY
@KINDS
def test_empty_and_full_masks_are_scored_as_there(name: str, kind: str) -> None:
    ours, theirs, settings = PAIRS[name]
    given, masks = masked_case(kind)
    masks[1], masks[3] = False, True
    expected = np.array(call_quantus(theirs(**settings, **QUIET), *given, masks=masks), dtype=float)
    assert np.isnan(expected).tolist() == [False, name != "pointing", False, False, False]
    np.testing.assert_allclose(ours(**settings)(*given, masks).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_the_reference_counts_an_empty_mask_as_hit_and_the_corrected_one_asks_nothing_of_it() -> None:
    given, masks = masked_case("image")
    masks[1] = False
    assert call_quantus(quantus.PointingGame(**QUIET), *given, masks=masks)[1]
    assert PointingGame()(*given, masks)[1] == 1.0
    assert localisation.PointingGame()(*given, masks)[1].isnan()


def test_signed_relevance_that_cancels_has_a_mass_beyond_one_and_the_corrected_one_has_not() -> None:
    given, masks = masked_case("image")
    scores = RelevanceMassAccuracy()(*given, masks)
    expected = call_quantus(quantus.RelevanceMassAccuracy(**QUIET), *given, masks=masks)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert bool(((scores < 0) | (scores > 1)).any())
    corrected = localisation.RelevanceMass()(*given, masks)
    assert bool(((corrected >= 0) & (corrected <= 1)).all())


def test_the_reference_breaks_ties_by_its_sort_and_the_corrected_rank_by_their_mean() -> None:
    (model, inputs, targets, attributions), masks = masked_case("image")
    tied = (model, inputs, targets, attributions.round())
    scores = RelevanceRankAccuracy()(*tied, masks)
    torch.testing.assert_close(scores, localisation.RelevanceRank()(*tied, masks), rtol=0, atol=0)
    expected = call_quantus(quantus.RelevanceRankAccuracy(**QUIET), *tied, masks=masks)
    assert np.abs(scores.numpy() - expected).max() > 1e-3


@pytest.mark.parametrize(("kind", "k"), [("waveform", 0), ("waveform", 40), ("image", 120), ("image", 1000)])
def test_a_k_that_the_reference_cannot_use_is_refused(kind: str, k: int) -> None:
    given, masks = masked_case(kind)
    with pytest.raises(UserError, match=f"k is {k} for inputs of {given[1][0].numel()} features"):
        TopKIntersection(k=k)(*given, masks)


def test_the_weighted_pointing_game_of_the_reference_raises() -> None:
    given, masks = masked_case("image")
    masks[0] = True
    with pytest.raises((TypeError, ValueError)):
        call_quantus(quantus.PointingGame(weighted=True, **QUIET), *given, masks=masks)


@pytest.mark.parametrize("settings", [{}, {"normalise": False}, {"abs": True}])
def test_focus_is_quantus(settings: dict[str, bool]) -> None:
    given, _ = masked_case("image")
    positions = [(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0), (0, 1, 0, 1), (0, 0, 1, 0)]
    expected = call_quantus(quantus.Focus(**settings, **QUIET), *given, custom_batch=positions)
    masks = mosaic_masks(given[1], positions)
    np.testing.assert_allclose(Focus(**settings)(*given, masks).numpy(), expected, rtol=1e-5, atol=1e-5)
    corrected = localisation.Focus()(*given, masks)
    if not settings:
        np.testing.assert_allclose(corrected.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 10), (7, 9), (2, 2)])
def test_mosaics_are_cut_where_the_reference_cuts_them(shape: tuple[int, int]) -> None:
    inputs = draw(5, 1, *shape, dtype=torch.float32)
    positions = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1)]
    masks = mosaic_masks(inputs, positions)
    rows, columns = shape[0] // 2, shape[1] // 2
    sizes = [rows * columns, rows * (shape[1] - columns), (shape[0] - rows) * columns]
    sizes += [(shape[0] - rows) * (shape[1] - columns), shape[0] * shape[1]]
    assert masks.flatten(1).sum(1).tolist() == sizes
    assert bool((masks[:4].sum(0) == 1).all())


def test_a_mosaic_without_positive_relevance_has_no_focus_there_and_an_undefined_one_here() -> None:
    given, _ = masked_case("image")
    given[3][2].abs_().neg_()
    positions = [(1, 0, 0, 0)] * 5
    masks = mosaic_masks(given[1], positions)
    expected = call_quantus(quantus.Focus(**QUIET), *given, custom_batch=positions)
    assert float(Focus()(*given, masks)[2]) == expected[2] == 0.0
    assert localisation.Focus()(*given, masks).isnan().tolist() == [False, False, True, False, False]
