"""From attributions to a mask in the spectrogram domain from which there is an exact way back to sound.

Idea
----
What counts for the class (the positive part) is scaled so that a stated quantile of it means *wholly kept*, and
carried over to the cells of a complex spectrogram (:mod:`audioxai.domains.stft_cells`) by weighted means, so the mask
stays in [0, 1] and attributions that are alike everywhere keep everything.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audioxai.domains import Domain, Stft, audible, in_columns, spread_over_stft, stft_beside
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class SoftMask:
    """How attributions become a mask.

    Attributes
    ----------
    domain : Domain
        Where the attributions live: waveform, STFT, ERB bands or log-mel.
    quantile : float
        In (0, 1]: the positive attributions of a sample from this quantile of theirs on are wholly kept, those below
        in proportion; 1 divides by the largest.
    smoothing_cells : int
        Width of a moving average over bins and frames of the mask, odd; 1 smooths nothing.

    Raises
    ------
    UserError
        If the domain is none of sound or a number is out of its range.
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
        """Domain of the mask: that of the attributions itself, else one with the window of their log-mel."""
        return stft_beside(self.domain)

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
        # The net contribution of a window's samples counts: single ones alternate in sign.
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
            f"{('batch', 1, *domain.shape)}; give them in their own domain".replace("'", "")
        )
    if not attributions.is_floating_point():
        raise UserError(f"attributions are {attributions.dtype}; give real numbers, one a cell")
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
    wholly_kept = torch.quantile(positive.double(), quantile)
    return (attributions.double() / wholly_kept).clamp(0.0, 1.0).to(attributions.dtype)
