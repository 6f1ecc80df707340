"""The masking threshold as baseline: audible sound is absent."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from audioxai.domains import LogMel
from audioxai.domains.protocol import require_ordinary

# Below this frequency the formula of the threshold in quiet was not fitted.
LOWEST_HZ = 20.0


@dataclass(frozen=True)
class Inaudible:
    """The input with every feature limited to its masking threshold; inaudible features do not change.

    Attributes
    ----------
    domain : LogMel
        Domain of the inputs; its frequency axis gives the bands' positions on the Bark scale.
    full_scale_spl_db : float
        Sound pressure level at which a full-scale sine is played, which decides the threshold in quiet.
    """

    domain: LogMel
    full_scale_spl_db: float = 90.0

    name: ClassVar[str] = "inaudible"

    def __call__(self, inputs: Tensor) -> Tensor:
        """``min(L, Θ(L))``, but not below the domain's floor."""
        require_ordinary(self.domain, inputs)
        levels = inputs.detach()
        frequencies_hz = self.domain.axes()[0].coordinates
        threshold = masking_threshold_db(levels, frequencies_hz, self.full_scale_spl_db)
        return torch.minimum(levels, threshold.clamp_min(self.domain.floor_db))


def masking_threshold_db(levels_db: Tensor, frequencies_hz: tuple[float, ...], full_scale_spl_db: float) -> Tensor:
    """Level Θ in dB below which a band is masked by its own frame or below the threshold in quiet.

    Parameters
    ----------
    levels_db : Tensor
        ``(batch, 1, bands, frames)``, relative to a full-scale sine.
    frequencies_hz : tuple of float
        Centres of the bands.
    full_scale_spl_db : float
        Sound pressure level of a full-scale sine.

    Notes
    -----
    Simultaneous masking after Johnston (1988), every masker taken as noise, which masks up to 5.5 dB below
    itself, more than a tone does; Schroeder's (1979) spreading function on Zwicker's Bark scale,
    normalised so that a flat spectrum masks at 5.5 dB below itself however many bands there are; threshold in quiet
    after Terhardt (1979). Masking in time is left out.
    """
    spread, quiet = _masking_constants(frequencies_hz, full_scale_spl_db, levels_db.device, levels_db.dtype)
    power = spread @ (10.0 ** (levels_db / 10.0)) + quiet[:, None]
    return 10.0 * power.log10()


@lru_cache(maxsize=8)
def _masking_constants(
    frequencies_hz: tuple[float, ...], full_scale_spl_db: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Share of every band's power that masks each other band, ``(bands, bands)``, and power of the quiet threshold."""
    hz = np.maximum(np.array(frequencies_hz), LOWEST_HZ)
    bark = 13.0 * np.arctan(0.00076 * hz) + 3.5 * np.arctan((hz / 7_500.0) ** 2)
    distance = bark[:, None] - bark + 0.474
    spread = 10.0 ** ((15.81 + 7.5 * distance - 17.5 * np.sqrt(1.0 + distance**2)) / 10.0)
    spread *= 10.0 ** (-5.5 / 10.0) / spread.sum(1, keepdims=True)
    khz = hz / 1_000.0
    quiet_spl_db = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    quiet = 10.0 ** ((quiet_spl_db - full_scale_spl_db) / 10.0)
    # These are cached, and tensors made in inference mode cannot be used with autograd.
    with torch.inference_mode(mode=False):
        return tuple(torch.from_numpy(one).to(device=device, dtype=dtype) for one in (spread, quiet))  # type: ignore[return-value]
