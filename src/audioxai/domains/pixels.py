"""Grey images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from audioxai.domains.protocol import Axis
from audioxai.utils.errors import UserError

# A side; a model of more would need terabytes.
MOST_PIXELS = 65_536


@dataclass(frozen=True)
class Pixels:
    """Grey images ``(batch, 1, rows, columns)`` in [0, 1]; images of another size are resized bilinearly."""

    rows: int
    columns: int

    name: ClassVar[str] = "pixels"
    unit: ClassVar[str] = "brightness"

    def __post_init__(self) -> None:
        if not 1 <= min(self.rows, self.columns) <= max(self.rows, self.columns) <= MOST_PIXELS:
            raise UserError(f"an image has {self.rows} × {self.columns} pixels; give 1 to {MOST_PIXELS:,} a side")

    @property
    def silence_value(self) -> float:
        """Black."""
        return 0.0

    @property
    def value_range(self) -> tuple[float, float]:
        """Black to white."""
        return (0.0, 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, columns)``."""
        return (self.rows, self.columns)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Images ``(batch, 1, any, any)`` in [0, 1] → ``(batch, 1, rows, columns)``, differentiable.

        Raises
        ------
        UserError
            If the images are not ``(batch, 1, rows, columns)``.
        """
        if recorded.ndim != 4 or recorded.shape[1] != 1:
            raise UserError(f"images have shape {tuple(recorded.shape)}; this domain takes (batch, 1, rows, columns)")
        if tuple(recorded.shape[2:]) == self.shape:
            return recorded
        return functional.interpolate(recorded, self.shape, mode="bilinear", align_corners=False)

    def axes(self) -> tuple[Axis, ...]:
        """Pixel indices."""
        return (
            Axis("row", "pixel", tuple(float(row) for row in range(self.rows))),
            Axis("column", "pixel", tuple(float(column) for column in range(self.columns))),
        )
