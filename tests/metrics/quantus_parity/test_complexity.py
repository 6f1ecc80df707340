"""Complexity as the installed Quantus computes it."""

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import case
from helpers.quantus_runs import QUIET, call_quantus

from audioxai.compat.quantus.complexity import Complexity, EffectiveComplexity, Sparseness
from audioxai.metrics import complexity

KINDS = pytest.mark.parametrize("kind", ["image", "waveform"])
SETTINGS = pytest.mark.parametrize("settings", [{}, {"normalise": False}, {"abs": False}])
PAIRS = {
    "sparseness": (Sparseness, quantus.Sparseness),
    "complexity": (Complexity, quantus.Complexity),
    "effective complexity": (EffectiveComplexity, quantus.EffectiveComplexity),
}
EVERY = pytest.mark.parametrize("name", PAIRS)


@EVERY
@KINDS
@SETTINGS
def test_is_quantus(name: str, kind: str, settings: dict[str, bool]) -> None:
    ours, theirs = PAIRS[name]
    given = case(kind, torch.float32)
    given[3][given[3].abs() < 0.1] = 0.0
    given[3][0] *= 1e3  # so that the batch's maximum is one sample's
    if settings.get("abs") is False:
        given[3].abs_()  # the entropy of negative numbers is refused there
    expected = call_quantus(theirs(**settings, **QUIET), *given)
    assert len(set(expected)) > 1
    np.testing.assert_allclose(ours(**settings)(*given).numpy(), expected, rtol=1e-5, atol=1e-5)


@KINDS
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.5])
def test_effective_complexity_has_quantus_threshold(kind: str, eps: float) -> None:
    given = case(kind, torch.float32)
    expected = call_quantus(quantus.EffectiveComplexity(eps=eps, **QUIET), *given)
    assert EffectiveComplexity(eps=eps)(*given).tolist() == expected


@KINDS
def test_signed_attributions_have_the_sparseness_of_quantus(kind: str) -> None:
    given = case(kind, torch.float32)
    given[3].add_(0.1)
    expected = call_quantus(quantus.Sparseness(abs=False, **QUIET), *given)
    np.testing.assert_allclose(Sparseness(abs=False)(*given).numpy(), expected, rtol=1e-5)


@KINDS
def test_an_all_zero_sample_is_as_quantus_scores_it(kind: str) -> None:
    given = case(kind, torch.float32)
    given[3][2] = 0.0
    for ours, theirs in PAIRS.values():
        expected = call_quantus(theirs(**QUIET), *given)
        np.testing.assert_allclose(ours()(*given).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert complexity.Sparseness()(*given).isnan().tolist() == [False, False, True, False, False]


def test_a_batch_without_any_attribution_is_refused_there_and_undefined_here() -> None:
    model, inputs, targets, attributions = case("image", torch.float32)
    nothing = torch.zeros_like(attributions)
    for ours, theirs in PAIRS.values():
        with pytest.raises(AssertionError, match="all equal to zero"):
            call_quantus(theirs(**QUIET), model, inputs, targets, nothing)
        scores = ours()(model, inputs, targets, nothing)
        assert bool(scores.isnan().all() | (scores == 0.0).all())


@pytest.mark.parametrize(
    ("fixed", "name"),
    [(complexity.Sparseness(), "sparseness"), (complexity.EffectiveComplexity(), "effective complexity")],
)
def test_what_is_corrected_a_loud_sample_moves_the_others_there(fixed: complexity.MagnitudeMetric, name: str) -> None:
    ours, theirs = PAIRS[name]
    model, inputs, targets, attributions = case("image", torch.float32)
    loud = attributions.clone()
    loud[0] *= 1e6
    before, after = (
        np.array(call_quantus(theirs(**QUIET), model, inputs, targets, maps)) for maps in (attributions, loud)
    )
    assert np.abs(after - before)[1:].max() > 0.01
    np.testing.assert_allclose(ours()(model, inputs, targets, loud).numpy(), after, rtol=1e-5, atol=1e-5)
    assert torch.equal(fixed(model, inputs, targets, loud)[1:], fixed(model, inputs, targets, attributions)[1:])
