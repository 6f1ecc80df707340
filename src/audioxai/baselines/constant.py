"""Baselines of one value everywhere: silence, black, or any other."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from audioxai.domains import Domain
from audioxai.domains.protocol import require_ordinary


@dataclass(frozen=True)
class Silence:
    """No sound: the domain's analysis of zeros (the floor in dB, 0 in a waveform)."""

    domain: Domain

    name: ClassVar[str] = "silence"

    def __call__(self, inputs: Tensor) -> Tensor:
        """Constant tensor at the domain's silence.

        Raises
        ------
        UserError
            If the inputs cannot be in the domain's unit.
        """
        require_ordinary(self.domain, inputs)
        return torch.full_like(inputs, self.domain.silence_value)


@dataclass(frozen=True)
class Black:
    """Every pixel is 0."""

    name: ClassVar[str] = "black"

    def __call__(self, inputs: Tensor) -> Tensor:
        """All-zero tensor."""
        return torch.zeros_like(inputs)


@dataclass(frozen=True)
class Constant:
    """One stated value everywhere, in the inputs' unit; ``Constant(0.0)`` on a dB spectrogram is the loudest sound."""

    value: float

    @property
    def name(self) -> str:
        """``constant`` and the value."""
        return f"constant {self.value:g}"

    def __call__(self, inputs: Tensor) -> Tensor:
        """Constant tensor."""
        return torch.full_like(inputs, self.value)
