"""FreqRISE's deletion against a slow twin in bins of a spectrum, closed forms, and a model that hears nothing."""

import numpy as np
import pytest
import torch
from helpers.tiny_models import Function, draw, tiny_waveform_cnn

from audioxai.baselines import Constant, Silence
from audioxai.domains import Rfft, Stft
from audioxai.metrics.faithfulness import PositiveDeletion
from audioxai.utils.errors import UserError
from audioxai.xai_methods.explain_in import seen_in

TARGETS = torch.tensor([2, 0])
SHARES = np.arange(20) / 20


@pytest.mark.parametrize("domain", [Rfft(1_000, 0.1), Rfft(1_000, 0.101), Stft(1_000, 0.1, window_s=0.016)])
def test_is_the_protocol_step_by_step(domain: Rfft | Stft) -> None:
    model, samples = tiny_waveform_cnn(), domain.samples
    waveforms, relevance = draw(2, 1, samples), draw(2, 1, *domain.shape, seed=1)
    seen, bins = seen_in(domain, model, waveforms)
    scores = PositiveDeletion(Silence(domain))(seen, bins, TARGETS, relevance)
    for row, target in enumerate(TARGETS.tolist()):
        positive, curve = relevance[row].flatten().clamp_min(0.0), []
        for share in SHARES:
            count = int(share * len(positive) + 1e-9)
            if count > int((positive > 0).sum()):
                break
            kept = torch.ones(len(positive), dtype=torch.float64)
            kept[positive.argsort(descending=True)[:count]] = 0.0
            sound = domain.synthesis(bins[[row]] * kept.reshape(1, 1, *domain.shape))
            curve.append(float(model(sound)[0].softmax(0)[target].detach()))
        found = PositiveDeletion(Silence(domain)).curve(seen, bins, TARGETS, relevance)[row]
        assert len(curve) > 6
        np.testing.assert_allclose(found[: len(curve)], curve, rtol=0, atol=1e-12)
        assert float(scores[row]) == pytest.approx(float(np.trapezoid(found, SHARES)), abs=1e-12)


def test_a_probability_that_no_deletion_changes_has_95_per_cent_of_itself_as_area() -> None:
    deaf = Function(lambda x: 0.0 * x.flatten(1)[:, :2] + torch.tensor([0.0, 3.346]))
    scores = PositiveDeletion(Constant(0.0))(deaf, draw(1, 1, 40), torch.tensor([1]), draw(1, 1, 40))
    assert float(scores) == pytest.approx(0.95 * 0.966, abs=1e-4)


def test_negative_relevance_counts_as_none_and_a_map_of_it_removes_at_random() -> None:
    # The first class lives on the first half, so removing that at once is worth most.
    model = Function(lambda x: torch.stack([x[:, 0, :50].sum(1) - 25.0, 0.0 * x[:, 0, 0]], 1) / 5.0)
    inputs, target = torch.ones(1, 1, 100, dtype=torch.float64), torch.tensor([0])
    found = torch.cat([torch.ones(50), torch.zeros(50)]).double()[None, None]
    metric = PositiveDeletion(Constant(0.0))
    right, wrong, none = (float(metric(model, inputs, target, one)) for one in (found, found - 1.0, -1.0 - found))
    assert right < none == pytest.approx(float(metric(model, inputs, target, 0.0 * found)))
    # A map with two levels, neither above 0, says as little.
    assert wrong == none


@pytest.mark.parametrize("levels", [1, 21])
def test_levels_beyond_all_features_are_refused(levels: int) -> None:
    with pytest.raises(UserError, match="levels is"):
        PositiveDeletion(Constant(0.0), levels)
