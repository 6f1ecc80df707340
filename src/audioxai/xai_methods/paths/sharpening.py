"""From a blur to the input: details come, rather than loudness."""

from dataclasses import dataclass

from torch import Tensor

from audioxai.baselines import blurred
from audioxai.utils.errors import UserError
from audioxai.xai_methods.paths.protocol import Curve, Path


@dataclass(frozen=True, eq=False)
class _Sharpened(Curve):
    """Inputs blurred by ``(1 − place) · sigma_cells``."""

    ends: Tensor
    sigma_cells: float

    def at(self, rows: Tensor, places: Tensor) -> Tensor:
        ends = self.ends[rows]
        return blurred(ends, ((1.0 - places) * self.sigma_cells).to(ends))


@dataclass(frozen=True)
class Sharpening(Path):
    """From the input blurred by a Gaussian of ``sigma_cells`` to the input itself (Blur IG, Xu et al. 2020).

    Attributes
    ----------
    sigma_cells : float
        Standard deviation of the widest blur, in cells; places are even in it.
    """

    sigma_cells: float

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Sharpening of every input."""
        return _Sharpened(inputs, self.sigma_cells)
