"""Maps made to say where something is: loudness that a contrastive map assigns to a class, and the peaks of a map.

Idea
----
Two questions are asked of a map in a mixture: which cells belong to the class, and how much sound is in them. A path's
attributions answer the first and hardly the second, loudness the second alone. So every cell's level is weighted by how
much the model assigns the cell to the class rather than to its rival: the sigmoid of smoothed contrastive attributions,
in standard deviations of the map. A cell that the model does not care about keeps half of its level.

Where one small part decides, such as a tone, little relevance in very many cells outweighs it. There only the peaks of
a map say where it is.

Neither map is complete.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from audioxai.baselines import Silence, blurred
from audioxai.core import Explainer, Targets
from audioxai.domains import Domain, LogMel, Mask
from audioxai.utils.errors import UserError
from audioxai.xai_methods.audio_integrated_gradients import silence
from audioxai.xai_methods.controls import Energy
from audioxai.xai_methods.ordered import ordered_contrastive
from audioxai.xai_methods.paths import broadcast
from audioxai.xai_methods.registry import METHODS

# Both chosen on validation clips of other models than those that are tested.
SIGMA_CELLS = 2.0
PEAK_SHARE = 0.5


@dataclass(frozen=True)
class AssignedLevel:
    """Level of every cell above silence, weighted by how much a map assigns the cell to the class.

    Attributes
    ----------
    relevance : Explainer
        Makes the map, such as of the margin of a class over its rival; in the cells of ``domain``.
    domain : LogMel or Mask
        Where the levels are: of the inputs themselves, or of waveforms in the cells of a mask.
    sigma_cells : float
        Standard deviation, in cells, of the Gaussian that smooths the map.

    Notes
    -----
    A = (L − L₀) σ(R / s), R the smoothed map, s its standard deviation over the cells; 0 where the map is constant.
    """

    relevance: Explainer
    domain: LogMel | Mask
    sigma_cells: float = SIGMA_CELLS

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ≥ 0 ``(batch, 1, bands, frames)`` in dB."""
        maps = self.relevance(model, inputs, cast(Tensor, targets))
        values = self.domain.analysis(inputs.detach()) if isinstance(self.domain, Mask) else inputs
        levels = Energy(Silence(self.domain))(model, values, targets)
        smooth = blurred(maps, maps.new_full((len(maps),), self.sigma_cells))
        deviation, varies = smooth.flatten(1).std(1), maps.flatten(1).amax(1) > maps.flatten(1).amin(1)
        assigned = torch.sigmoid(smooth / broadcast(deviation.where(varies, 1.0), smooth))
        return levels * assigned * broadcast(varies, smooth)

    def passes(self, inputs: Tensor) -> int:
        """Those of the map."""
        return self.relevance.passes(inputs)


@dataclass(frozen=True)
class Peaks:
    """Attributions above a share of the map's largest one; the rest is 0.

    Attributes
    ----------
    of : Explainer
        Whose attributions.
    share : float
        In (0, 1).
    """

    of: Explainer
    share: float = PEAK_SHARE

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise UserError(f"share is {self.share}; give a share in (0, 1) of the largest attribution")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ≥ 0 shaped as those of the wrapped explainer: what is above the share."""
        maps = self.of(model, inputs, cast(Tensor, targets))
        return (maps - self.share * broadcast(maps.flatten(1).amax(1).clamp_min(0.0), maps)).clamp_min(0.0)

    def passes(self, inputs: Tensor) -> int:
        """Those of the wrapped explainer."""
        return self.of.passes(inputs)

    @property
    def domain(self) -> Domain | None:
        """Where the attributions live if not where the inputs do."""
        own: Domain | None = getattr(self.of, "domain", None)
        return own


@METHODS.register(
    "contrastive_loudness",
    label="Contrastive loudness",
    family="two baselines",
    role="ours",
    domains=("log_mel", "mask"),
    revision=2,
)
def contrastive_loudness(
    domain: LogMel | Mask, training_inputs: Tensor, gradients: int = 32, seed: int = 0
) -> AssignedLevel:
    """Loudness where contrastive ordered IG assigns it to the class."""
    return AssignedLevel(ordered_contrastive(domain, training_inputs, gradients, seed), domain)


@METHODS.register("peaks", label="Peaks of silence IG", family="silence baseline", role="ours")
def peaks(domain: Domain, gradients: int = 32) -> Peaks:
    """What of IG from silence is above half of its largest attribution."""
    return Peaks(silence(domain, gradients))
