"""What domains whose values are amplitudes of a recording have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Amplitudes:
    """Values in units of full scale: of samples, of bands or of frequencies, where complex ones have both parts.

    Attributes
    ----------
    sample_rate_hz, duration_s
        Sample rate of the waveforms in Hz, and their length in seconds.
    """

    sample_rate_hz: int
    duration_s: float

    unit: ClassVar[str] = "full scale"

    @property
    def samples(self) -> int:
        """Length of a waveform in samples."""
        return round(self.sample_rate_hz * self.duration_s)

    @property
    def silence_value(self) -> float:
        """Zero amplitude."""
        return 0.0

    @property
    def value_range(self) -> tuple[float, float]:
        """Full scale in both directions, of real and imaginary part alike."""
        return (-1.0, 1.0)
