"""The samples themselves."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from audioxai.domains.protocol import Axis, require_waveforms


@dataclass(frozen=True)
class Waveform:
    """The samples themselves, ``(batch, 1, time)`` in [−1, 1]."""

    sample_rate_hz: int
    duration_s: float

    name: ClassVar[str] = "waveform"
    unit: ClassVar[str] = "full scale"

    @property
    def silence_value(self) -> float:
        """Zero amplitude."""
        return 0.0

    @property
    def value_range(self) -> tuple[float, float]:
        """Full scale in both directions."""
        return (-1.0, 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(time,)``, in samples."""
        return (round(self.sample_rate_hz * self.duration_s),)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Return the waveforms as they are, after checking their length."""
        require_waveforms(recorded, self.shape[0])
        return recorded

    def synthesis(self, values: Tensor) -> Tensor:
        """Return the waveforms as they are."""
        return values

    def axes(self) -> tuple[Axis, ...]:
        """Time in seconds."""
        times = np.arange(self.shape[0]) / self.sample_rate_hz
        return (Axis("time", "s", tuple(times.tolist())),)
