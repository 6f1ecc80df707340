"""The samples themselves."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from audioxai.domains.amplitudes import Amplitudes
from audioxai.domains.protocol import Axis, require_waveforms


@dataclass(frozen=True)
class Waveform(Amplitudes):
    """The samples themselves, ``(batch, 1, time)`` in [−1, 1]."""

    name: ClassVar[str] = "waveform"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(time,)``, in samples."""
        return (self.samples,)

    def analysis(self, recorded: Tensor) -> Tensor:
        """Return the waveforms as they are, after checking their length."""
        require_waveforms(recorded, self.samples)
        return recorded

    def synthesis(self, values: Tensor) -> Tensor:
        """Return the waveforms as they are."""
        return values

    def axes(self) -> tuple[Axis, ...]:
        """Time in seconds."""
        times = np.arange(self.samples) / self.sample_rate_hz
        return (Axis("time", "s", tuple(times.tolist())),)
