"""Loudness assigned by a map, and the peaks of a map, against their formulas."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import draw, tiny_cnn, tiny_waveform_cnn
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from audioxai.domains import LogMel, Mask, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.contrastive_loudness import AssignedLevel, Peaks
from audioxai.xai_methods.masks import in_masks
from audioxai.xai_methods.ordered import ordered_contrastive

LOG_MEL, CELLS = LogMel(8_000, 0.25, bands=16, frames=12), Mask(4_000, 0.1, 6, 7, window_s=0.016)
WAVEFORM = {"domain": Waveform(4_000, 0.1)}
LEVELS = (-40.0 + 15.0 * draw(3, 1, 16, 12, seed=2)).clamp(-80.0, 0.0)
TARGETS = torch.tensor([0, 2, 1])


@dataclass(frozen=True, eq=False)
class Known:
    """A map that is given."""

    map: Tensor

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        return self.map

    def passes(self, inputs: Tensor) -> int:
        return 7 * len(inputs)


def test_is_the_level_above_silence_times_the_sigmoid_of_the_smoothed_map_in_its_deviations() -> None:
    known = Known(draw(3, 1, 16, 12, seed=3))
    found = AssignedLevel(known, LOG_MEL, sigma_cells=1.5)(nn.Identity(), LEVELS, TARGETS)
    for row in range(3):
        # The blur's Gaussian is exact in frequency, this one in time.
        smooth = gaussian_filter(known.map[row, 0].numpy(), 1.5, mode="reflect", truncate=8.0)
        due = (LEVELS[row, 0].numpy() + 80.0) / (1.0 + np.exp(-smooth / smooth.std(ddof=1)))
        np.testing.assert_allclose(found[row, 0].numpy(), due, rtol=1e-3)


def test_neither_unit_nor_sign_of_a_level_matters_but_the_maps_sign_does() -> None:
    known = draw(3, 1, 16, 12, seed=3)
    found, scaled, opposite = (
        AssignedLevel(Known(map_), LOG_MEL)(nn.Identity(), LEVELS, TARGETS) for map_ in (known, 1e3 * known, -known)
    )
    torch.testing.assert_close(scaled, found)
    torch.testing.assert_close(found + opposite, LEVELS + 80.0)


def test_says_nothing_where_the_map_is_constant_or_the_clip_silent() -> None:
    for value in (0.0, 0.7):
        flat = AssignedLevel(Known(torch.full((3, 1, 16, 12), value).double()), LOG_MEL)
        assert not flat(nn.Identity(), LEVELS, TARGETS).any()
    silent = torch.full_like(LEVELS, -80.0)
    assert not AssignedLevel(Known(draw(3, 1, 16, 12, seed=3)), LOG_MEL)(nn.Identity(), silent, TARGETS).any()


def test_peaks_are_what_is_above_a_share_of_the_largest() -> None:
    known = torch.tensor([[[[4.0, 1.0], [2.0, -3.0]]], [[[-1.0, -2.0], [-3.0, -4.0]]]])
    found = Peaks(Known(known), 0.25)(nn.Identity(), known, torch.zeros(2, dtype=torch.int64))
    torch.testing.assert_close(found, torch.tensor([[[[3.0, 0.0], [1.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]]))


@pytest.mark.parametrize(
    ("domain", "model", "inputs", "training"),
    [
        (LOG_MEL, tiny_cnn(), LEVELS, LEVELS.flip(0)),
        (CELLS, tiny_waveform_cnn(), 0.1 * draw(3, 1, 400, seed=4), 0.1 * draw(5, 1, 400, seed=5)),
    ],
)
def test_the_registered_method_is_made_of_contrastive_ordered_ig(
    domain: Any, model: nn.Module, inputs: Tensor, training: Tensor
) -> None:
    relevance = ordered_contrastive(domain, training, 12, 3)
    context = {"domain": domain, "training_inputs": training, "gradients": 12, "seed": 3}
    loud = METHODS.bind("contrastive_loudness", context)
    assert loud.passes(inputs) == relevance.passes(inputs) == 3 * 12
    known = Known(relevance(model, inputs, TARGETS))
    torch.testing.assert_close(loud(model, inputs, TARGETS), AssignedLevel(known, domain)(model, inputs, TARGETS))


def test_registered_peaks_are_those_of_silence_ig() -> None:
    model, inputs = tiny_waveform_cnn(), 0.1 * draw(3, 1, 400, seed=4)
    for made in (
        partial(in_masks, domain=CELLS),
        lambda name, gradients: METHODS.bind(name, WAVEFORM, gradients=gradients),
    ):
        maps = made("silence", gradients=12)(model, inputs, TARGETS)
        found = made("peaks", gradients=12)(model, inputs, TARGETS)
        torch.testing.assert_close(found, Peaks(Known(maps), 0.5)(model, inputs, TARGETS))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="sigma_cells is 0"):
        AssignedLevel(Known(LEVELS), LOG_MEL, sigma_cells=0.0)
    for share in (0.0, 1.0):
        with pytest.raises(UserError, match=f"share is {share}"):
            Peaks(Known(LEVELS), share)
