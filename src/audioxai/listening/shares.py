"""Which time–frequency bins belong to the most relevant share of a clip.

Bins are ranked by the attributions that are spread over them, as insertion and deletion rank them; equally relevant
bins by their place.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioxai.domains import Domain, audible, in_stft_cells, matching_stft


def ordered_bins(attributions: Tensor, domain: Domain) -> Tensor:
    """Indices of the flattened bins of :func:`~audioxai.domains.matching_stft`, the most relevant first.

    Parameters
    ----------
    attributions : Tensor
        ``(1, 1, *domain.shape)``.
    domain : Domain
        One of sound.

    Raises
    ------
    UserError
        If the domain is not one of sound.
    """
    relevance = in_stft_cells(attributions.detach().double(), audible(domain), matching_stft(domain))
    return relevance.flatten().argsort(descending=True, stable=True)


def bins_in(share: float, bins: int) -> int:
    """Number of bins in a share of so many, at least 1."""
    return max(1, round(share * bins))


def kept_from_percent(attributions: Tensor, domain: Domain) -> NDArray[np.uint8]:
    """Smallest whole percentage in 1…100 with which each bin is among the kept ones, shaped as the spectrogram.

    Raises
    ------
    UserError
        If the domain is not one of sound.

    Examples
    --------
    >>> from audioxai.domains import Stft
    >>> domain = Stft(8000, 0.5)
    >>> attributions = torch.zeros(1, 1, *domain.shape)
    >>> attributions[0, 0, 20, 3] = 1.0
    >>> kept = kept_from_percent(attributions, domain)
    >>> int(kept[20, 3]), int(kept.max())
    (1, 100)
    """
    order = ordered_bins(attributions, domain)
    counts = torch.tensor([bins_in(percent / 100.0, len(order)) for percent in range(1, 101)])
    percent = torch.empty(len(order), dtype=torch.uint8)
    percent[order] = (torch.searchsorted(counts, torch.arange(len(order)), right=True) + 1).to(torch.uint8)
    return percent.reshape(matching_stft(domain).shape).numpy()
