"""Trust in explanations of models whose decisive sound is known: verdicts, figures and determinism."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from audioxai import trust
from audioxai.baselines import Silence, SpeechShapedNoise
from audioxai.domains import LogMel, Stft, Waveform, matching_stft
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness
from audioxai.trust import Trust, measure

RATE_HZ = 8_000
DOMAIN = LogMel(RATE_HZ, 0.5, bands=24, frames=20)
TARGETS = torch.tensor([1])


class HearsATone(nn.Module):
    """Class 1 where there is power around 2 kHz, whatever else sounds."""

    def __init__(self) -> None:
        super().__init__()
        times_s = torch.arange(4_000) / RATE_HZ
        waves = torch.stack([torch.sin(2 * torch.pi * 2_000 * times_s), torch.cos(2 * torch.pi * 2_000 * times_s)])
        self.register_buffer("waves", waves)

    def forward(self, waveforms: Tensor) -> Tensor:
        power = (waveforms[:, 0] @ self.get_buffer("waves").T).square().sum(1)
        score = 4.0 * (power / 20.0 - 1.0).clamp(-1.0, 1.0)
        return torch.stack([torch.zeros_like(score), score], 1)


class HearsNothing(nn.Module):
    """Class 1 for every sound."""

    def forward(self, waveforms: Tensor) -> Tensor:
        return torch.tensor([0.0, 3.0]).expand(len(waveforms), 2) + 0.0 * waveforms.mean((1, 2))[:, None]


@pytest.fixture
def clip() -> Tensor:
    """A loud rumble and a soft tone of 2 kHz, which decides."""
    times_s = torch.arange(4_000) / RATE_HZ
    rumble = 0.5 * torch.sin(2 * torch.pi * 200 * times_s) + 0.3 * torch.sin(2 * torch.pi * 330 * times_s)
    return (rumble + 0.02 * torch.sin(2 * torch.pi * 2_000 * times_s))[None, None]


def tone_map(_: Tensor | None = None) -> Tensor:
    """Relevance in the band of the tone."""
    bands_hz = torch.tensor(DOMAIN.axes()[0].coordinates)
    relevance = torch.zeros(1, 1, *DOMAIN.shape)
    relevance[:, :, (bands_hz - 2_000).abs().argmin()] = 1.0
    return relevance


def measured(model: nn.Module, clip: Tensor, attributions: Tensor, **changes: Any) -> Trust:
    given: dict[str, Any] = {"label": "tone", "explain_passes": 7, "explain": lambda _: attributions, "steps": 8}
    return measure(model, clip, 1, attributions, DOMAIN, **(given | changes))


def test_a_map_of_what_decides_is_relied_on_and_loudness_is_not(clip: Tensor) -> None:
    good = measured(HearsATone(), clip, tone_map())
    assert good.verdict == "rely"
    assert good.lead > 0.1
    assert good.kept_share is not None
    assert good.kept_share < 0.2
    assert good.loudness_kept_share is None or good.kept_share < good.loudness_kept_share
    loud = measured(HearsATone(), clip, trust.loudness_map(DOMAIN, clip))
    assert loud.verdict == "do not rely"
    np.testing.assert_array_equal(loud.scores.loc["method"], loud.scores.loc["energy"])


def test_a_map_of_the_opposite_and_one_without_order_are_not_relied_on(clip: Tensor) -> None:
    opposite = measured(HearsATone(), clip, -tone_map())
    assert opposite.verdict == "do not rely"
    assert opposite.lead < 0.0
    flat = measured(HearsATone(), clip, torch.ones(1, 1, *DOMAIN.shape))
    assert flat.verdict == "do not rely"
    assert np.isnan(flat.movement)


def test_a_model_that_does_not_hear_the_clip_is_told(clip: Tensor) -> None:
    deaf = measured(HearsNothing(), clip, tone_map())
    assert deaf.verdict == "do not rely"
    assert deaf.removed_probability == pytest.approx(deaf.probability)


def test_doubts_make_caution(clip: Tensor) -> None:
    shuffled = tone_map().flatten()[torch.randperm(480, generator=torch.Generator().manual_seed(0))]
    moving = measured(HearsATone(), clip, tone_map(), explain=lambda _: shuffled.reshape(1, 1, *DOMAIN.shape))
    assert moving.verdict == "caution"
    assert moving.movement > 0.5
    incomplete = measured(HearsATone(), clip, tone_map(), completeness_gap=1.5)
    assert incomplete.verdict == "caution"
    complete = measured(HearsATone(), clip, tone_map(), completeness_gap=0.2)
    assert complete.verdict == "rely"


def test_scores_are_those_of_the_metric(clip: Tensor) -> None:
    found = measured(HearsATone(), clip, tone_map()).scores.loc["method"]
    removals = (Silence(Waveform(RATE_HZ, 0.5)), SpeechShapedNoise.of(clip, 10.0, smoothing_octaves=1.0))
    for name, chosen in (("silence", removals[:1]), ("noise", removals[1:]), ("worse", removals)):
        metric = ResynthesisFaithfulness(DOMAIN, matching_stft(DOMAIN), chosen, steps=8)
        score = metric(HearsATone(), clip, TARGETS, tone_map())
        assert found[name] == pytest.approx(float(score[0]), abs=1e-12)


def test_passes_are_counted(clip: Tensor) -> None:
    calls = []

    class Counting(HearsATone):
        def forward(self, waveforms: Tensor) -> Tensor:
            calls.append(len(waveforms))
            return super().forward(waveforms)

    found = measured(Counting(), clip, tone_map())
    assert sum(calls) + 7 == found.passes


def test_measurements_are_the_same_again(clip: Tensor) -> None:
    first, second = (measured(HearsATone(), clip, tone_map()) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, second.scores, check_exact=True)
    assert first.facts() == second.facts()
    other = measured(HearsATone(), clip, tone_map(), seed=1)
    assert not np.array_equal(other.scores.loc["random"], first.scores.loc["random"])


def test_inaudible_noise_is_thirty_decibels_below_the_clip_in_time_and_frequency(clip: Tensor) -> None:
    stft = Stft(RATE_HZ, 0.5)
    noisy = trust.with_inaudible_noise(clip.double(), stft)
    added, sound = (stft.analysis(values).abs().square() for values in (noisy - clip.double(), clip.double()))
    ratio_db = 10 * torch.log10(added.sum() / sound.sum())
    # Some of the noise is no sound's transform, and goes in the resynthesis.
    assert -38.0 < float(ratio_db) < -28.0
    louder = sound > 1e-3 * sound.max()
    assert float((added[louder] / sound[louder]).max()) < 0.1
    silent = trust.with_inaudible_noise(torch.zeros(1, 1, 4_000), stft)
    assert not bool(silent.any())


def test_movement_is_one_minus_the_rank_correlation() -> None:
    first, second = torch.randn(2, 1, 1, 4, 5, generator=torch.Generator().manual_seed(0)).unbind()
    due = 1.0 - spearmanr(first.flatten(), second.flatten()).statistic
    assert trust.movement_of(first, second) == pytest.approx(due)
    assert trust.movement_of(first, first.exp()) == pytest.approx(0.0)
    assert trust.movement_of(first, -first) == pytest.approx(2.0)


def test_a_lead_within_reach_of_nothing_makes_caution(clip: Tensor) -> None:
    good = measured(HearsATone(), clip, tone_map())
    close = {removal: contrast - 0.01 for removal, contrast in good.contrasts["method"].items()}
    assert dataclasses.replace(good, contrasts={**good.contrasts, "energy": close}).verdict == "caution"
