"""From attributions to a mask in the STFT domain, which can be inverted exactly.

Idea
----
Positive attributions are divided by a stated quantile of them, limited to 1 and mapped to the time–frequency bins of a
complex spectrogram (:mod:`audioxai.domains.stft_cells`) by weighted means, so that the mask stays in [0, 1] and
constant positive attributions keep everything.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audioxai.domains import Domain, Stft, audible, in_columns, matching_stft, spread_over_stft
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class SoftMask:
    """Makes masks of attributions.

    Attributes
    ----------
    domain : Domain
        Domain of the attributions: waveform, STFT, ERB bands or log-mel.
    quantile : float
        In (0, 1]: positive attributions above this quantile of a sample's positive attributions are kept completely,
        those below in proportion; 1 divides by the largest.
    smoothing_cells : int
        Width of a moving average over bins and frames of the mask, odd; 1 for none.

    Raises
    ------
    UserError
        If the domain is not one of sound or a number is out of its range.
    """

    domain: Domain
    quantile: float = 0.99
    smoothing_cells: int = 1

    def __post_init__(self) -> None:
        audible(self.domain)
        if not 0.0 < self.quantile <= 1.0:
            raise UserError(f"quantile is {self.quantile}; give one above 0 and at most 1")
        if self.smoothing_cells < 1 or self.smoothing_cells % 2 == 0:
            raise UserError(f"smoothing_cells is {self.smoothing_cells}; give an odd number of cells, 1 for none")

    @property
    def stft(self) -> Stft:
        """Domain of the mask: that of the attributions, or one with the window of their log-mel."""
        return matching_stft(self.domain)

    def __call__(self, attributions: Tensor) -> Tensor:
        """Attributions ``(batch, 1, *domain.shape)`` → mask in [0, 1], ``(batch, 1, *stft.shape)``.

        Where no attribution of a sample is positive, its mask is zero everywhere.

        Raises
        ------
        UserError
            If the attributions have another shape or are complex, NaN or infinite.
        """
        _require_attributions(attributions, self.domain)
        domain, stft = audible(self.domain), self.stft
        # Attributions of single samples alternate in sign; their sum under a window counts.
        columns = in_columns(attributions.detach(), domain, stft)
        scaled = torch.stack([_share_of_quantile(one, self.quantile) for one in columns])
        return self._smoothed(spread_over_stft(scaled, domain, stft)).clamp(0.0, 1.0)

    def _smoothed(self, mask: Tensor) -> Tensor:
        width = self.smoothing_cells
        if width == 1:
            return mask
        return functional.avg_pool2d(mask, width, stride=1, padding=width // 2, count_include_pad=False)


def _require_attributions(attributions: Tensor, domain: Domain) -> None:
    if attributions.ndim < 2 or tuple(attributions.shape[1:]) != (1, *domain.shape):
        raise UserError(
            f"attributions have shape {tuple(attributions.shape)} but those of domain {domain.name} are "
            f"{('batch', 1, *domain.shape)}; give them in that domain".replace("'", "")
        )
    if not attributions.is_floating_point():
        raise UserError(f"attributions are {attributions.dtype}; give one real number per feature")
    damaged = int((~attributions.isfinite()).flatten(1).any(1).sum())
    if damaged:
        raise UserError(
            f"attributions of {damaged} of {len(attributions)} samples are NaN or infinite; explain them again"
        )


def _share_of_quantile(attributions: Tensor, quantile: float) -> Tensor:
    """One sample's positive part over that quantile of its positive values, at most 1; zeros if there is none."""
    positive = attributions[attributions > 0.0]
    if not len(positive):
        return torch.zeros_like(attributions)
    # In float64, where even the smallest float32 has a reciprocal.
    full = torch.quantile(positive.double(), quantile)
    return (attributions.double() / full).clamp(0.0, 1.0).to(attributions.dtype)
