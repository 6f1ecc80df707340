"""The protocol of domains, and checks that they share."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Axis:
    """Meaning of one tensor axis: its name, its unit and the coordinate of every index."""

    name: str
    unit: str
    coordinates: tuple[float, ...]


@runtime_checkable
class Domain(Protocol):
    """Maps recordings to the features that are explained.

    Attributes
    ----------
    name : str
        The domain's name in results and on the command line.
    unit : str
        Unit of a feature's value.
    silence_value : float
        Value of every feature of an all-zero recording.
    value_range : tuple of float
        Smallest and largest value of ordinary recordings.
    """

    name: ClassVar[str]
    unit: ClassVar[str]

    @property
    def silence_value(self) -> float:
        """Value of every feature of an all-zero recording."""
        ...

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value of ordinary recordings."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input without batch and channel."""
        ...

    def analysis(self, recorded: Tensor) -> Tensor:
        """Batch of recordings → batch ``(batch, 1, *shape)`` in this domain, differentiable."""
        ...

    def axes(self) -> tuple[Axis, ...]:
        """One axis for each entry of ``shape``."""
        ...


@runtime_checkable
class Invertible(Domain, Protocol):
    """A domain with a linear ``synthesis`` that inverts ``analysis``."""

    def synthesis(self, values: Tensor) -> Tensor:
        """``(batch, 1, *shape)`` → recordings, differentiable; ``synthesis(analysis(recorded))`` is ``recorded``."""
        ...


# Widths of a domain's range beyond which no recording or noise of use reaches.
WIDTHS_OUTSIDE = 4.0
# Share of the range above whose lower end no spectrogram in dB lies as a whole.
LOUD_SHARE = 0.875


def require_ordinary(domain: Domain, values: Tensor) -> None:
    """Refuse values that cannot be in a domain's unit, such as standardised features or 16-bit samples.

    Raises
    ------
    UserError
        If values reach far outside of ``domain.value_range``, or if they should be levels in dB but are not constant
        and not one of them is an eighth of the range below its upper end.
    """
    if values.numel() == 0:
        return
    low, high = domain.value_range
    real = values.detach().abs() if values.is_complex() else values.detach()
    smallest, largest = (float(end) for end in torch.aminmax(real))
    reach = WIDTHS_OUTSIDE * (high - low)
    outside = smallest < low - reach or largest > high + reach
    loud = domain.unit.startswith("dB") and smallest > low + LOUD_SHARE * (high - low) and largest > smallest
    if outside or loud:
        raise UserError(
            f"inputs lie in {smallest:.4g}…{largest:.4g} but those of the {domain.name} domain in {low:g}…{high:g} "
            f"({domain.unit}); give inputs in its unit, or explain the model by a baseline of its own features' silence"
        )


def require_waveforms(recorded: Tensor, samples: int) -> None:
    """Refuse anything but waveforms ``(batch, 1, samples)``.

    Raises
    ------
    UserError
        Naming both shapes.
    """
    if recorded.ndim != 3 or recorded.shape[1] != 1 or recorded.shape[2] != samples:
        raise UserError(
            f"waveforms have shape {tuple(recorded.shape)} but this domain takes (batch, 1, {samples}); "
            "load them with the model's sample rate and duration"
        )


def require_a_window(samples: int, window_length: int, sample_rate_hz: int) -> None:
    """Refuse clips shorter than one window.

    Raises
    ------
    UserError
        Naming both lengths.
    """
    if samples < window_length:
        raise UserError(
            f"clips of {samples} samples are shorter than one window of {window_length} samples at "
            f"{sample_rate_hz} Hz; use longer clips or a shorter window"
        )
