"""Values carried over to the cells of a spectrogram: by weights that add up to 1, each against a loop."""

import numpy as np
import pytest
import torch
from helpers.tiny_models import draw

from audioxai.domains import (
    ErbBands,
    LogMel,
    Mask,
    Pixels,
    Stft,
    Waveform,
    audible,
    erb_rate,
    in_columns,
    in_stft_cells,
    matching_stft,
    spread_over_stft,
)
from audioxai.utils.errors import UserError

RATE_HZ = 8_000
MEL = LogMel(RATE_HZ, 0.25, bands=12, frames=10, window_s=0.05)
DOMAINS = (
    Waveform(RATE_HZ, 0.25),
    Stft(RATE_HZ, 0.25, window_s=0.02),
    ErbBands(RATE_HZ, 0.25, 6),
    MEL,
    Mask(RATE_HZ, 0.25, 12, 10),
)
EVERY = pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
# Of another window than any of them.
ELSEWHERE = Stft(RATE_HZ, 0.25, window_s=0.04)


@EVERY
@pytest.mark.parametrize("stft", [None, ELSEWHERE], ids=["beside", "elsewhere"])
def test_values_stay_between_the_least_and_the_largest(domain, stft) -> None:
    stft = stft or matching_stft(domain)
    values = draw(3, 1, *domain.shape)
    cells = in_stft_cells(values, domain, stft)
    assert cells.shape == (3, 1, *stft.shape)
    low, high = values.flatten(1).amin(1), values.flatten(1).amax(1)
    assert bool((cells.flatten(1).amin(1) >= low - 1e-12).all() and (cells.flatten(1).amax(1) <= high + 1e-12).all())
    alike = in_stft_cells(torch.full_like(values, -0.3), domain, stft)
    torch.testing.assert_close(alike, torch.full_like(alike, -0.3), rtol=0, atol=1e-12)


@EVERY
def test_carrying_over_is_linear_and_in_two_steps(domain) -> None:
    one, other = draw(2, 1, *domain.shape), draw(2, 1, *domain.shape, seed=1)
    sums = in_stft_cells(2.0 * one - other, domain, ELSEWHERE)
    apart = 2.0 * in_stft_cells(one, domain, ELSEWHERE) - in_stft_cells(other, domain, ELSEWHERE)
    torch.testing.assert_close(sums, apart, rtol=0, atol=1e-12)
    columns = in_columns(one, domain, ELSEWHERE)
    assert torch.equal(spread_over_stft(columns, domain, ELSEWHERE), in_stft_cells(one, domain, ELSEWHERE))


def test_a_spectrogram_of_the_same_cells_stays_as_it_is() -> None:
    values = draw(2, 1, *ELSEWHERE.shape)
    assert torch.equal(in_stft_cells(values, ELSEWHERE, ELSEWHERE), values)
    assert matching_stft(ELSEWHERE) == ELSEWHERE


def test_another_spectrogram_is_interpolated_in_time_and_frequency() -> None:
    domain = DOMAINS[1]
    values = draw(1, 1, *domain.shape)
    cells = in_stft_cells(values, domain, ELSEWHERE)[0, 0].numpy()
    (known_hz, known_s), (wanted_hz, wanted_s) = (
        [np.array(axis.coordinates) for axis in one.axes()] for one in (domain, ELSEWHERE)
    )
    in_time = np.stack([np.interp(wanted_s, known_s, row) for row in values[0, 0].numpy()])
    expected = np.stack([np.interp(wanted_hz, known_hz, column) for column in in_time.T], axis=1)
    np.testing.assert_allclose(cells, expected, rtol=0, atol=1e-12)


def test_bands_count_by_their_gain_and_samples_by_the_window() -> None:
    domain = DOMAINS[2]
    values = draw(1, 1, *domain.shape)
    cells = in_stft_cells(values, domain, ELSEWHERE)[0, 0]
    length, hop = ELSEWHERE.window_length, ELSEWHERE.hop_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    centres = erb_rate(np.array(domain.axes()[0].coordinates))
    for bin_number, frame in ((0, 3), (11, 0), (40, 7), (160, 20)):
        rate = erb_rate(np.array(bin_number * RATE_HZ / length))
        gains = np.cos(np.pi / 2 * np.minimum(np.abs(rate - centres) / (centres[1] - centres[0]), 1.0)) ** 2
        at = frame * hop - length // 2 + np.arange(length)
        inside = (at >= 0) & (at < domain.samples)
        means = values[0, 0].numpy()[:, at[inside]] @ window[inside] / window[inside].sum()
        assert float(cells[bin_number, frame]) == pytest.approx(float(gains @ means / gains.sum()), abs=1e-12)


def test_the_spectrogram_beside_has_the_window_of_the_log_mel() -> None:
    assert matching_stft(MEL).window_length == MEL.window_length
    assert matching_stft(DOMAINS[0]) == Stft(RATE_HZ, 0.25)


def test_images_are_refused() -> None:
    for ask in (audible, matching_stft):
        with pytest.raises(UserError, match="domain pixels cannot be listened to"):
            ask(Pixels(8, 8))
